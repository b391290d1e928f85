"""What a KV cache holds, as data: cells that can be compared, in memory and on disk. Knows no llama.cpp.

A cell is a token id, or one chunk of a medium under its media ID: the placeholder tokens of all media are alike, so
only the ID distinguishes two pictures.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mmcli import files
from mmcli.engine.messages import Origin

MAGIC = b"MMCLIKV\x02"
DIGEST = 16  # bytes
SUFFIX = ".kv"
MOST_HEADER = 64 << 20  # bytes: a million cells take less


@dataclass(frozen=True)
class MediaCells:
    """One media chunk in the cache: slice `part` of the `index`-th medium of the conversation."""

    media_id: str
    index: int
    n_tokens: int
    n_pos: int


Cell: TypeAlias = int | MediaCells


def n_tokens(cells: Sequence[Cell]) -> int:
    """KV cells taken."""
    return sum(1 if isinstance(cell, int) else cell.n_tokens for cell in cells)


def n_pos(cells: Sequence[Cell]) -> int:
    """Positions advanced: the next position after these cells."""
    return sum(1 if isinstance(cell, int) else cell.n_pos for cell in cells)


def common_prefix(a: Sequence[Cell], b: Sequence[Cell]) -> int:
    """How many cells at the start are equal."""
    for i, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return i
    return min(len(a), len(b))


def text_run(cells: Sequence[Cell], start: int, most: int) -> list[int]:
    """The tokens from cell `start` to the next medium, at most so many."""
    tokens: list[int] = []
    for cell in cells[start : start + most]:
        if not isinstance(cell, int):
            break
        tokens.append(cell)
    return tokens


def boundary(cells: Sequence[Cell], place: int) -> int:
    """The last place up to `place` where a medium begins or ends: what is before it holds whole runs of text."""
    while place > 0 and (place < len(cells) and isinstance(cells[place], int) and isinstance(cells[place - 1], int)):
        place -= 1
    return place


@dataclass(frozen=True)
class Reuse:
    """How many of a prompt's first cells were not computed for it: memory held some, or all came from disk."""

    in_memory: int = 0
    from_disk: int = 0

    def origin(self, place: int) -> Origin:
        """Where the cell at that place of the prompt came from."""
        if place < self.from_disk:
            return "disk"
        return "memory" if place < self.in_memory else "encoded"

    @property
    def n_cells(self) -> int:
        return max(self.in_memory, self.from_disk)


def identity(*paths: Path) -> str:
    """Which files these are, without reading all: SHA-256 of sizes, times of change, and samples spread over them."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(struct.pack("<qq", status.st_size, status.st_mtime_ns))
        with path.open("rb") as file:
            digest.update(file.read(1 << 20))  # the GGUF header: metadata, vocabulary, tensor table
            for i in range(64):
                file.seek(status.st_size * i // 64)
                digest.update(file.read(4096))
    return digest.hexdigest()


@dataclass(frozen=True)
class PrefixRecord:
    """A saved prefix: everything up to and including the last medium."""

    cells: tuple[Cell, ...]
    suffix: tuple[int, ...]  # tokens libmtmd puts after that medium before the text goes on
    state: bytearray  # llama.cpp's own serialisation


class PrefixStore:
    """Saved prefixes in one folder: one file each, 0600, written atomically, least recently used removed first."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes

    @staticmethod
    def key(engine: Sequence[str], segments: Sequence[Sequence[tuple[str, bool]]], media_ids: Sequence[str]) -> str:
        """The name of a prefix: what computes it (weights, projector, versions) and the text and media in it."""
        return hashlib.sha256(json.dumps([list(engine), list(segments), list(media_ids)]).encode()).hexdigest()

    def has_any(self, beginning: str) -> bool:
        """Whether a prefix whose name begins so is there."""
        return any(self._folder.glob(beginning + "*" + SUFFIX))

    def has(self, key: str) -> bool:
        """Whether a prefix of this name is there, sound or not."""
        return (self._folder / (key + SUFFIX)).exists()

    def cells(self, key: str) -> tuple[Cell, ...] | None:
        """What a prefix holds, without its state; None where there is none. It proves nothing: `load` does."""
        try:
            with open(self._folder / (key + SUFFIX), "rb") as file:
                start = file.read(len(MAGIC) + 4 + DIGEST)
                if len(start) < len(MAGIC) + 4 + DIGEST or not start.startswith(MAGIC):
                    return None
                told = json.loads(file.read(min(MOST_HEADER, struct.unpack_from("<I", start, len(MAGIC))[0])))
                return tuple(c if isinstance(c, int) else MediaCells(*c) for c in told["cells"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def load(self, key: str) -> PrefixRecord | None:
        """The prefix, or None; a damaged or foreign file is removed. OSError where the disk refuses."""
        path = self._folder / (key + SUFFIX)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        record = _unpack(data, key)
        if record is None:
            path.unlink(missing_ok=True)
            return None
        os.utime(path)
        return record

    def save(self, key: str, record: PrefixRecord) -> None:
        """Write the prefix; raises OSError where the disk refuses (nothing half-written stays)."""
        data = _pack(record, key)
        if len(data) > self._max_bytes:
            return
        files.private_folder(self._folder)
        self._make_room(len(data))
        files.cache(self._folder / (key + SUFFIX), data)

    def remove(self, key: str) -> None:
        (self._folder / (key + SUFFIX)).unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        files = []
        for entry in self._folder.iterdir():
            try:
                status = entry.stat()
            except FileNotFoundError:  # another process cleans up too
                continue
            files.append((status.st_mtime, status.st_size, entry))
        total = sum(file_size for _, file_size, _ in files) + size
        for _, file_size, entry in sorted(files):
            if total <= self._max_bytes:
                break
            entry.unlink(missing_ok=True)
            total -= file_size


def _pack(record: PrefixRecord, key: str) -> bytes:
    cells = [c if isinstance(c, int) else [c.media_id, c.index, c.n_tokens, c.n_pos] for c in record.cells]
    header = json.dumps({"key": key, "cells": cells, "suffix": record.suffix}).encode()
    return b"".join((MAGIC, struct.pack("<I", len(header)), _digest(header, record.state), header, record.state))


def _unpack(data: bytes, key: str) -> PrefixRecord | None:
    start = len(MAGIC) + 4 + DIGEST
    if len(data) < start or not data.startswith(MAGIC):
        return None
    end = start + struct.unpack_from("<I", data, len(MAGIC))[0]
    header, state = data[start:end], bytearray(memoryview(data)[end:])
    if _digest(header, state) != data[start - DIGEST : start]:
        return None
    try:
        told = json.loads(header)
        cells = tuple(c if isinstance(c, int) else MediaCells(*c) for c in told["cells"])
        suffix, same_key = tuple(told["suffix"]), told["key"] == key
    except (ValueError, KeyError, TypeError):
        return None
    return PrefixRecord(cells, suffix, state) if same_key else None


def _digest(header: bytes, state: bytearray) -> bytes:
    """Of all that is in a record: a wrong cell is as bad as a wrong number."""
    digest = hashlib.blake2b(header, digest_size=DIGEST)
    digest.update(state)
    return digest.digest()
