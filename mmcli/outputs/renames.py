"""Renames, moves and copies pictures, with a journal, and undoes that. Knows files; prints nothing.

No rename overwrites anything, and each is written into the journal, on disk for certain, before it happens.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from mmcli import files
from mmcli.errors import InputError
from mmcli.outputs.embedding import Change, of_json

_SIDECARS = (".txt", ".json", ".xmp")
_RESERVED = frozenset("con prn aux nul".split() + [f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)])
MAX_JOURNAL = 1 << 30  # bytes: some million renames
MOST_EQUAL = 100_000  # names that differ only in their number


@dataclass(frozen=True)
class Move:
    """One file, from one name to another; both absolute."""

    old: Path
    new: Path


@dataclass(frozen=True)
class Copied:
    """A file that was made of another; both absolute. `sha256` is that of what was copied."""

    old: Path
    new: Path
    sha256: str

    def undo(self, *, dry_run: bool) -> str | None:
        """Remove the copy; the reason where it is left. What a kill left unfinished is removed, too."""
        try:
            if not os.path.lexists(self.new):
                return None
            if _sha256(self.new) != self.sha256 and not _is_begun(self.new, self.old):
                return "it was changed since"
            if not dry_run:
                os.unlink(self.new)
        except OSError as error:
            return error.strerror
        return None


@dataclass(frozen=True)
class MadeFolder:
    """A folder that was made for files to be in."""

    path: Path

    def undo(self, *, dry_run: bool) -> None:
        """Remove it, unless there is something in it."""
        if not dry_run:
            with suppress(OSError):
                os.rmdir(self.path)


class Namer:
    """Finds free names; remembers those it gave away, since without --yes they are not taken on disk.

    Names are compared without their extensions and without case: `cat.jpg` and `Cat.png` would share their sidecars.
    So are letters with accents, which can be written in two ways.
    """

    def __init__(self) -> None:
        self._given: set[str] = set()  # folder and stem
        self._folder: Path | None = None
        self._stems: set[str] = set()  # what that folder held when its first picture was named

    def propose(self, picture: Path, name: str) -> Path:
        """The path that a picture should have: its folder, `name`, a number if need be, its own extension.

        A picture that has that name already, numbered or not, keeps it.
        """
        if not name:
            raise InputError(f"`{picture}`: the caption cannot become a file name", hint="try another --prompt")
        if picture.parent != self._folder:
            self._folder = picture.parent
            self._stems = {folded(Path(entry).stem) for entry in _names(picture.parent)}
        stem = f"{name}-picture" if name in _RESERVED else name
        for number in range(1, MOST_EQUAL):
            numbered = f"{stem}-{number}" if number > 1 else stem
            if folded(numbered) == folded(picture.stem):
                return picture
            key = os.path.join(picture.parent, folded(numbered))
            if key not in self._given and folded(numbered) not in self._stems:
                self._given.add(key)
                return picture.with_name(numbered + picture.suffix)
        raise InputError(f"`{picture}`: there are too many pictures named `{stem}`")


def folded(name: str) -> str:
    """A name as a file system compares it that knows neither case nor two ways to write an accent."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def moves(picture: Path, wanted: Path, known: Iterable[Path] = ()) -> list[Move]:
    """The picture's move and those of the sidecars that can only be its own.

    `known` are sidecars that were written for it, in other folders too. InputError where a name in one of these is
    taken; nothing was renamed then.
    """
    found = [Move(picture, wanted)]
    for suffix in _SIDECARS:
        found.append(Move(picture.with_name(picture.name + suffix), wanted.with_name(wanted.name + suffix)))
    others = {name for name in _names(picture.parent) if Path(name).stem == picture.stem}
    others -= {picture.name, *(picture.stem + suffix for suffix in _SIDECARS)}
    if not others:  # no raw file or second picture that `a.xmp` could belong to
        found += [Move(picture.with_suffix(suffix), wanted.with_suffix(suffix)) for suffix in _SIDECARS]
    beside = {os.path.realpath(picture.parent)}
    for place in known:
        name = _follows(place.name, picture, wanted)
        if name and os.path.realpath(place.parent) not in beside:
            found.append(Move(place, place.with_name(name)))
    there = [move for move in found[1:] if os.path.lexists(move.old)]
    if taken := [move.new for move in there if move.old.parent != picture.parent and os.path.lexists(move.new)]:
        raise InputError(f"`{taken[0]}` already exists: `{picture}` keeps its name", hint="move it away")
    return [found[0], *there]


def _follows(name: str, picture: Path, wanted: Path) -> str | None:
    """What a sidecar is called once its picture is: `a.jpg.xmp` and `a.txt` follow `a.jpg`."""
    for old, new in ((picture.name, wanted.name), (picture.stem, wanted.stem)):
        if name in [old + suffix for suffix in _SIDECARS]:
            return new + name[len(old) :]
    return None


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError as error:
        raise InputError(f"the folder `{folder}` cannot be listed: {error.strerror}") from error


class RenameJournal:
    """The renames of one run, one JSON line each, in a file of its own that is made with the first."""

    def __init__(self, folder: Path) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        self._path = folder / f"{stamp}-{secrets.token_hex(2)}.jsonl"
        self._descriptor: int | None = None

    def note(self, entry: dict[str, Any]) -> None:
        """Write down a change of another kind, which the caller makes next; errors as `apply` has them."""
        try:
            self._write(entry)
        except OSError as error:
            raise files.refused(self._path, error) from error

    def apply(self, move: Move) -> None:
        """Write the move down, then do it. ResourceError: the disk is full; InputError: the folder refuses."""
        self.note({"old": _words(move.old), "new": _words(move.new)})
        try:
            rename(move)
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise InputError(f"`{move.new}` already exists: `{move.old}` keeps its name") from error
            raise InputError(f"cannot rename `{move.old}`: {error.strerror}") from error

    def copy(self, old: Path, new: Path) -> None:
        """Write the copy down, then make it; errors as `apply` has them."""
        try:
            self.note({"copied": _words(new), "from": _words(old), "sha256": _sha256(old)})
            _copy(old, new)
        except OSError as error:
            if error.errno == errno.EEXIST:
                raise InputError(f"`{new}` already exists: `{old}` is not copied") from error
            raise InputError(f"cannot copy `{old}`: {error.strerror}") from error

    def make_folder(self, path: Path) -> None:
        """Write down which folders are made, then make them: `path`, and what it lies in."""
        missing = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
        for folder in reversed(missing):
            self.note({"made": _words(folder)})
        with files.naming(path):
            path.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, entry: dict[str, Any]) -> None:
        if self._descriptor is None:
            files.private_folder(self._path.parent)
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        line = json.dumps(entry).encode() + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(self._descriptor)


def rename(move: Move) -> None:
    """Rename without overwriting: FileExistsError instead. A file with both names, after a kill, loses the old one."""
    if os.path.lexists(move.new) and os.path.lexists(move.old) and _is_same_file(move):
        if move.old.name != move.new.name and _are_two_entries(move):
            os.unlink(move.old)
        else:  # another case of the same name, where case is ignored
            os.rename(move.old, move.new)
        return
    try:
        os.link(move.old, move.new, follow_symlinks=False)  # fails where the name is taken; rename would not
    except FileExistsError:
        raise
    except (OSError, NotImplementedError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        if os.path.lexists(move.new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(move.new)) from None
        if isinstance(error, OSError) and error.errno == errno.EXDEV:  # another file system
            _copy(move.old, move.new)
            os.unlink(move.old)
            return
        os.rename(move.old, move.new)  # a file system without hard links
        return
    try:
        os.unlink(move.old)
    except OSError:
        os.unlink(move.new)  # as it was
        raise


def _copy(old: Path, new: Path) -> None:
    """Copy a file with its times, on disk for certain; FileExistsError where the name is taken."""
    with open(old, "rb") as source, open(new, "xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    shutil.copystat(old, new)


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_begun(copy: Path, whole: Path) -> bool:
    """Whether a file is the beginning of another, or all of it: a copy that was stopped."""
    try:
        with open(copy, "rb") as one, open(whole, "rb") as other:
            while data := one.read(1 << 20):
                if data != other.read(len(data)):
                    return False
    except OSError:
        return False
    return True


def _is_same_file(move: Move) -> bool:
    old, new = os.lstat(move.old), os.lstat(move.new)
    return (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino)


def _are_two_entries(move: Move) -> bool:
    """Whether both names are in the folder, or one that can be written in two ways."""
    return {move.old.name, move.new.name} <= set(_names(move.new.parent))


def last(folder: Path) -> Path | None:
    """The journal of the last run that renamed anything and was not undone."""
    try:
        return max(folder.glob("*.jsonl"), default=None)
    except OSError:
        return None


Undoable: TypeAlias = Move | Change | Copied | MadeFolder


def undo(journal: Path, *, dry_run: bool = False) -> Iterator[tuple[Undoable, str | None]]:
    """Take the changes of a journal back, the last one first; yields each with the reason why it could not be.

    What was not renamed after all is passed over in silence. A journal that is undone whole is put away.
    """
    failed = False
    for move in reversed(_read(journal)):
        if not isinstance(move, Move):
            reason = move.undo(dry_run=dry_run)
            failed = failed or reason is not None
            yield move, reason
            continue
        back = Move(move.new, move.old)
        if not os.path.lexists(back.old):
            if not os.path.lexists(back.new):
                failed = True
                yield back, "it no longer exists"
            continue
        try:
            if not dry_run:
                rename(back)
        except FileExistsError:
            if _is_begun(back.old, back.new):  # a move to another file system that was stopped
                os.unlink(back.old)
                yield back, None
                continue
            failed = True
            yield back, f"`{back.new}` exists again"
        except OSError as error:
            failed = True
            yield back, error.strerror
        else:
            yield back, None
    if not (failed or dry_run):
        with suppress(OSError):
            journal.rename(journal.with_suffix(".undone"))


def _read(journal: Path) -> list[Undoable]:
    """The changes of a journal; InputError where it is damaged, and then none can be trusted."""
    data = files.read(journal, max_bytes=MAX_JOURNAL)
    if data is None:
        raise InputError(f"cannot read `{journal}`: it no longer exists")
    moves: list[Undoable] = []
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break  # of a run that was killed while it wrote it: nothing was renamed yet
        try:
            entry = json.loads(line)
            moves.append(_of_json(entry))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InputError(
                f"line {number} of `{journal}` is damaged, so nothing is undone",
                hint="remove that line, and `mmcli undo` restores the others",
            ) from error
    return moves


def _of_json(entry: dict[str, Any]) -> Undoable:
    if "embedded" in entry:
        return of_json(entry)
    if "copied" in entry:
        return Copied(Path(entry["from"]), Path(entry["copied"]), str(entry["sha256"]))
    if "made" in entry:
        return MadeFolder(Path(entry["made"]))
    return Move(Path(entry["old"]), Path(entry["new"]))


def _words(path: Path) -> str:
    return os.path.abspath(path)
