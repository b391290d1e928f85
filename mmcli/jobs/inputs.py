"""Which pictures, in which order: arguments, folders and lists of names, read ahead onto disk. Knows no pictures.

Whoever writes the names (`find`) must not wait for the model, progress needs to know how many there are, and a
hundred thousand names must not fill the memory: so a thread reads them into a temporary file as fast as they come.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from mmcli import errors, media
from mmcli.errors import InputError, MmcliError, UsageError
from mmcli.media import locator
from mmcli.media.pages import PagedDocument

_BLOCK = 1 << 16  # bytes per read
LONGEST = 64_000  # bytes of a name in a list: no file system has longer ones, and hardly an address
MOST_EMPTY = 10_000_000  # separators in a row
_SHOWN = 60  # bytes of what is no name


@dataclass(frozen=True)
class Named:
    """One picture to caption, or why there is none under that name."""

    index: int  # its place in the order given, from 0
    source: media.Source
    error: MmcliError | None = None


@dataclass(frozen=True)
class InputNames:
    """What the person named: arguments, among them `-` for what is piped in, and lists of names as blocks of bytes."""

    arguments: Sequence[str] = ()
    recursive: bool = False
    names: Iterable[bytes] | None = None
    separator: bytes = b"\n"
    picture: bytes | None = None  # the one that is piped in
    list_name: str = "-"  # where the names come from
    films: bool = False  # of a folder, they count
    pages: media.PagesWanted | None = None  # a PDF is as many inputs as it has pages that are wanted


class Inputs(Protocol):
    """Iterate by `take` for each input once, in order; from any thread, one at a time."""

    @property
    def n(self) -> int:
        """How many are known so far."""
        ...

    @property
    def complete(self) -> bool:
        """Whether `n` is all there will be."""
        ...

    def start(self) -> None: ...

    def has_second(self) -> bool:
        """Whether there is more than one; waits until that is known."""
        ...

    def take(self) -> Named | None:
        """The next one; waits for it, and returns None after the last, or once stopped."""
        ...

    def stop(self) -> None:
        """End the iteration, also for whoever is waiting in it."""
        ...


class ListedInputs:
    """Inputs that are all known from the start."""

    complete = True

    def __init__(self, sources: Sequence[media.Source | Named]) -> None:
        self._named = [
            source if isinstance(source, Named) else Named(index, source) for index, source in enumerate(sources)
        ]
        self._waiting = iter(self._named)
        self._lock = threading.Lock()
        self._is_stopped = False

    @property
    def n(self) -> int:
        return len(self._named)

    def start(self) -> None: ...

    def has_second(self) -> bool:
        return self.n > 1

    def take(self) -> Named | None:
        with self._lock:
            return None if self._is_stopped else next(self._waiting, None)

    def stop(self) -> None:
        self._is_stopped = True


class SpooledInputs:
    """Iterate for each name once, in order; from any thread, one at a time. `n` counts what is known so far."""

    def __init__(self, wanted: InputNames) -> None:
        self._wanted = wanted
        self._spool = tempfile.TemporaryFile(prefix="mmcli-names-")
        self._changed = threading.Condition()
        self._written = self._read = self._taken = 0
        self._pending = b""
        self._failure: BaseException | None = None
        self._stopped = False
        self.n = 0
        self.skipped: list[str] = []  # what folders hold besides pictures: a sentence for each, when it is walked
        self.complete = False  # whether `n` is all there will be

    def start(self) -> None:
        # A daemon: it may wait for ever on a pipe nobody closes, and must not keep the program from ending.
        threading.Thread(target=self._list, name="listing", daemon=True).start()

    def has_second(self) -> bool:
        """Whether there is more than one; waits until that is known."""
        with self._changed:
            self._changed.wait_for(lambda: self.n > 1 or self.complete or self._stopped)
            return self.n > 1

    def stop(self) -> None:
        """End the iteration, also for whoever is waiting in it."""
        with self._changed:
            self._stopped = True
            self._spool.close()
            self._changed.notify_all()

    def take(self) -> Named | None:
        """The next one; waits for it, and returns None after the last."""
        with self._changed:
            while not self._stopped:
                line, found, rest = self._pending.partition(b"\n")
                if found:
                    self._pending = rest
                    self._taken += 1
                    return self._named(self._taken - 1, line)
                if self._read < self._written:
                    self._spool.seek(self._read)
                    block = self._spool.read(min(_BLOCK, self._written - self._read))
                    self._read += len(block)
                    self._pending += block
                elif self._failure is not None:
                    raise self._failure
                elif self.complete:
                    break
                else:
                    self._changed.wait()
            return None

    def _named(self, index: int, line: bytes) -> Named:
        entry: dict[str, Any] = json.loads(line)
        name = entry["name"]
        if "error" in entry:  # of an argument, or of the list
            kind = getattr(errors, entry["error"], InputError)  # or one of its kinds, such as a locked PDF
            return Named(index, media.Source(name), kind(entry["message"], hint=entry["hint"]))
        part = locator.parse(entry["locator"]) if entry.get("locator") else None
        if "path" not in entry and not entry.get("url"):  # a list may name a file `-`
            return Named(index, media.Source(name, data=self._wanted.picture, locator=part))
        if entry.get("url"):
            return Named(index, media.Source(name, url=entry["url"], locator=part))
        within = Path(entry["within"]) if entry.get("within") else None
        return Named(index, media.Source(name, Path(entry["path"]), within=within, locator=part))

    # the thread that lists

    def _list(self) -> None:
        try:
            for entries in self._entries():
                # ASCII only, with escapes for what no encoding has: names need not be valid in any
                lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
                with self._changed:
                    if self._stopped:
                        return
                    self._spool.seek(self._written)
                    self._spool.write(lines)
                    self._spool.flush()
                    self._written += len(lines)
                    self.n += len(entries)
                    self._changed.notify_all()
        except BaseException as error:
            self._failure = error
        finally:
            with self._changed:
                self.complete = True
                self._changed.notify_all()

    def _entries(self) -> Iterator[list[dict[str, Any]]]:
        piped = self._piped()
        for argument in self._wanted.arguments:
            if argument == "-":
                yield from piped
                continue
            refused: list[MmcliError] = []
            try:
                for source in media.each(
                    argument,
                    recursive=self._wanted.recursive,
                    kinds=frozenset({"image", "video"} if self._wanted.films else {"image"}),
                    on_error=refused.append,
                    on_skipped=self.skipped.append,
                ):
                    yield from self._pages(source)
            except (InputError, UsageError) as error:
                refused.append(error)
            if refused:
                yield [_refused(argument, error) for error in refused]
        yield from piped  # where no `-` says its place

    def _listed(self, names: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
        """Names of a list, or what is wrong with the part of a file that one names."""
        entries: list[dict[str, Any]] = []
        for name in names:
            try:
                entries += [entry for some in self._pages(media.named(name)) for entry in some]
            except MmcliError as error:
                entries.append(_refused(name, error))
        yield entries

    def _pages(self, source: media.Source) -> Iterator[list[dict[str, Any]]]:
        """What there is to read of a source: itself, or the pages of a PDF; InputError where it cannot be opened."""
        is_pdf = media.sniff(source.data) == "pdf" if source.data is not None else source.suffix == ".pdf"
        if self._wanted.pages is None or not is_pdf or source.url is not None:
            yield [_entry(source)]
            return
        wanted = media.Wanted(pages=replace(self._wanted.pages, at_once=0))
        document = media.load(source, kinds=frozenset({"image", "pdf"}), wanted=wanted)
        if isinstance(document, PagedDocument):
            yield [_entry(page) for page in document.book.sources()]
        else:
            yield [_entry(source)]

    def _piped(self) -> Iterator[list[dict[str, Any]]]:
        """What is piped in: a picture, or names, several at a time as they arrive."""
        if self._wanted.picture is not None:
            yield from self._pages(media.Source("-", data=self._wanted.picture))
        if self._wanted.names is not None:
            try:
                for names in split(self._wanted.names, self._wanted.separator):
                    yield from self._listed(names)
            except InputError as error:
                yield [_refused(self._wanted.list_name, error)]


def split(blocks: Iterable[bytes], separator: bytes) -> Iterator[list[str]]:
    """Names as a list has them, several at a time as they arrive; empty ones are no names.

    InputError, after the names before it, for what is no list: a name that no file can have, separators without end.
    """
    begun: list[bytes] = []  # of the name that the next block goes on with
    n_begun = n_empty = 0  # bytes
    is_first = True
    for block in blocks:
        head, found, tail = block.partition(separator)
        begun.append(head)
        n_begun += len(head)
        if n_begun > LONGEST:
            raise _no_list(b"".join(begun), f"holds a name of more than {LONGEST // 1000} kB")
        if not found:
            continue
        *whole, rest = [b"".join(begun), *tail.split(separator)]
        begun, n_begun = [rest], len(rest)
        if is_first:
            whole[0], is_first = whole[0].removeprefix(b"\xef\xbb\xbf"), False
        names = [name for name in whole if name]
        n_empty = 0 if names else n_empty + len(whole)
        if n_empty > MOST_EMPTY:
            raise _no_list(b"", "goes on without ever ending a name")
        if too_long := [name for name in names if len(name) > LONGEST]:
            raise _no_list(too_long[0], f"holds a name of more than {LONGEST // 1000} kB")
        if names:
            yield [_name(name, separator) for name in names]
    if rest := b"".join(begun):
        yield [_name(rest, separator)]


def _no_list(name: bytes, what: str) -> InputError:
    begin = os.fsdecode(name[:_SHOWN]).replace("\0", "")
    words = f", which begins with {media.quoted(begin)}" if begin else ""
    return InputError(
        f"the list {what}{words}; what follows is not read", hint="a list has one name a line; with -0, NUL ends each"
    )


def _name(name: bytes, separator: bytes) -> str:
    text = os.fsdecode(name)
    if separator == b"\n" and text.endswith("\r") and not os.path.lexists(text):
        return text[:-1]  # a list that was written on Windows
    return text


def _entry(source: media.Source) -> dict[str, Any]:
    entry = {"name": source.name} | ({"locator": str(source.locator)} if source.locator else {})
    if source.url is not None:
        return entry | {"url": source.url}
    if source.data is not None:
        return entry
    entry["path"] = os.fspath(source.path or "")
    return entry | ({"within": os.fspath(source.within)} if source.within else {})


def _refused(argument: str, error: MmcliError) -> dict[str, Any]:
    return {"name": argument, "error": type(error).__name__, "message": error.message, "hint": error.hint}
