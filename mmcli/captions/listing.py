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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcli import errors, media
from mmcli.errors import InputError, MmcliError

_BLOCK = 1 << 16  # bytes per read


@dataclass(frozen=True)
class Named:
    """One picture to caption, or why there is none under that name."""

    index: int  # its place in the order given, from 0
    source: media.Source
    error: MmcliError | None = None


@dataclass(frozen=True)
class Wanted:
    """What the person named: arguments, among them `-` for what is piped in, and lists of names as blocks of bytes."""

    arguments: Sequence[str] = ()
    recursive: bool = False
    names: Iterable[bytes] | None = None
    separator: bytes = b"\n"
    picture: bytes | None = None  # the one that is piped in


class Listing:
    """Iterate for each name once, in order; from any thread, one at a time. `n` counts what is known so far."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._spool = tempfile.TemporaryFile(prefix="mmcli-names-")
        self._changed = threading.Condition()
        self._written = self._read = self._taken = 0
        self._pending = b""
        self._failure: BaseException | None = None
        self._stopped = False
        self.n = 0
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
        if "error" in entry:
            kind = getattr(errors, entry["error"])
            return Named(index, media.Source(name), kind(entry["message"], hint=entry["hint"]))
        if name == "-":
            return Named(index, media.Source("-", data=self._wanted.picture))
        if entry.get("url"):
            return Named(index, media.Source(name, url=entry["url"]))
        return Named(index, media.Source(name, Path(entry["path"])))

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
            refused: list[InputError] = []
            try:
                for source in media.each(argument, recursive=self._wanted.recursive, on_error=refused.append):
                    yield [_entry(source)]
            except InputError as error:
                refused.append(error)
            if refused:
                yield [_refused(argument, error) for error in refused]
        yield from piped  # where no `-` says its place

    def _piped(self) -> Iterator[list[dict[str, Any]]]:
        """What is piped in: a picture, or names, several at a time as they arrive."""
        if self._wanted.picture is not None:
            yield [{"name": "-"}]
        if self._wanted.names is not None:
            for names in split(self._wanted.names, self._wanted.separator):
                yield [_entry(media.named(name)) for name in names]


def split(blocks: Iterable[bytes], separator: bytes) -> Iterator[list[str]]:
    """Names as a list has them, several at a time as they arrive; empty ones are no names."""
    rest, first = b"", True
    for block in blocks:
        *whole, rest = (rest + block).split(separator)
        if first and whole:
            whole[0], first = whole[0].removeprefix(b"\xef\xbb\xbf"), False
        if names := [_name(name, separator) for name in whole if name]:
            yield names
    if rest:
        yield [_name(rest, separator)]


def _name(name: bytes, separator: bytes) -> str:
    text = os.fsdecode(name)
    if separator == b"\n" and text.endswith("\r") and not os.path.lexists(text):
        return text[:-1]  # a list that was written on Windows
    return text


def _entry(source: media.Source) -> dict[str, Any]:
    if source.url is not None:
        return {"name": source.name, "url": source.url}
    return {"name": source.name, "path": os.fspath(source.path or "")}


def _refused(argument: str, error: MmcliError) -> dict[str, Any]:
    return {"name": argument, "error": type(error).__name__, "message": error.message, "hint": error.hint}
