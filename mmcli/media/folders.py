"""The files of a folder: which of them are taken, in which order, and what is left out. Opens none of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path

from mmcli.errors import InputError
from mmcli.media.names import natural, quoted

# Files that belong to the medium of the same name beside them: captions, transcripts, a camera's or editor's notes.
_COMPANIONS = frozenset(".txt .json .jsonl .xmp .srt .vtt .tsv .md .aae .thm".split())
_MAX_EXTENSIONS = 4  # in a sentence


@dataclass
class Skipped:
    """What is left out of a folder."""

    extensions: Counter[str] = field(default_factory=Counter)
    n_folders: int = 0

    def sentence(self, folder: str) -> str | None:
        """What was left out, for a note; None if nothing was."""
        common = sorted(self.extensions.items(), key=lambda item: (-item[1], item[0]))[:_MAX_EXTENSIONS]
        parts = [f"{n} × {extension}" for extension, n in common]
        if (n_others := sum(self.extensions.values()) - sum(n for _, n in common)) > 0:
            parts.append(f"{n_others} other file{'s' * (n_others > 1)}")
        if self.n_folders:
            parts.append(f"{self.n_folders} sub-folder{'s' * (self.n_folders > 1)} (`-r` takes what is in them)")
        return f"left out of the folder {quoted(folder)}: {', '.join(parts)}" if parts else None


def streamed(
    root: str, recursive: bool, suffixes: Set[str], on_error: Callable[[InputError], None] | None, skipped: Skipped
) -> Iterator[str]:
    """Visible files of a folder, relative to `root`, in natural order, each sub-folder in its place."""

    def opened(below: str) -> tuple[Iterator[os.DirEntry[str]], str]:
        entries = _entries(root, below, on_error)
        _count(entries, suffixes, recursive, skipped)
        return iter(entries), below

    folders = [opened("")]  # those we are in, the innermost last: nested deep is no recursion
    while folders:
        entries, below = folders[-1]
        entry = next(entries, None)
        if entry is None:
            folders.pop()
            continue
        name = os.path.join(below, entry.name)
        if _is_folder(entry):
            if recursive:
                folders.append(opened(name))
        elif _extension(name) in suffixes and _may_be_read(entry):
            yield name


def walk(path: Path, recursive: bool, suffixes: Set[str], skipped: Skipped) -> Iterator[str]:
    """Names of visible regular files, relative to `path`; InputError for a folder that cannot be listed.

    All of them are yielded; `skipped` counts those without one of the extensions.
    """
    folders = [""]
    while folders:
        below = folders.pop()
        entries = _entries(os.fspath(path), below, None)
        _count(entries, suffixes, recursive, skipped)
        for entry in entries:
            name = os.path.join(below, entry.name)
            if _is_folder(entry):
                folders += [name] if recursive else []
            elif os.path.isfile(entry.path):
                yield name


def what_else(path: Path, files: Iterable[str], recursive: bool) -> str | None:
    """What a folder holds that has none of the wanted files: a hint."""
    counts = Counter(_extension(name) or "no extension" for name in files)
    if counts:
        return "it holds " + ", ".join(f"{n} × {suffix}" for suffix, n in counts.most_common(3))
    if recursive:
        return None
    with os.scandir(path) as entries:
        has_folders = any(_is_folder(entry) and not entry.name.startswith(".") for entry in entries)
    return "add `-r` to look into its sub-folders" if has_folders else None


def _entries(root: str, below: str, on_error: Callable[[InputError], None] | None) -> list[os.DirEntry[str]]:
    """What is visible in one folder, in natural order."""
    folder = os.path.join(root, below) if below else root
    try:
        with os.scandir(folder) as listing:
            return sorted((entry for entry in listing if entry.name[0] != "."), key=lambda e: natural(e.name))
    except OSError as error:
        refused = InputError(f"the folder {quoted(folder)} cannot be listed: {error.strerror}")
        if on_error is None:
            raise refused from error
        on_error(refused)
        return []


def _count(entries: list[os.DirEntry[str]], suffixes: Set[str], recursive: bool, skipped: Skipped) -> None:
    """Count what is left out of one folder, but for the companions of what is taken."""
    names = [entry.name for entry in entries if not _is_folder(entry)]
    taken = {part for name in names if _extension(name) in suffixes for part in (name, os.path.splitext(name)[0])}
    for entry in entries:
        name, extension = entry.name, _extension(entry.name)
        if extension in suffixes and not _is_folder(entry) and not _may_be_read(entry):
            skipped.extensions["pipe, socket or device"] += 1
    for name in names:
        extension = _extension(name)
        is_companion = extension in _COMPANIONS and os.path.splitext(name)[0] in taken
        if extension not in suffixes and not is_companion:
            skipped.extensions[extension or "no extension"] += 1
    skipped.n_folders += 0 if recursive else len(entries) - len(names)


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # gone meanwhile
        return False


def _may_be_read(entry: os.DirEntry[str]) -> bool:
    """A regular file, or what cannot be told: a link that leads nowhere, to itself, into a folder that refuses.

    Reading those says what is wrong with them.
    """
    try:
        return entry.is_file() or not os.path.exists(entry.path)
    except OSError:
        return True
