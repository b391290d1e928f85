"""A PNG's checksums and rows, which Pillow does not look at. Knows bytes only; decodes nothing but zlib.

Pillow takes the picture data (IDAT) of a PNG without comparing their checksum, and leaves rows that are missing black.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DAMAGED_DATA = "damaged: the checksum of its picture data is wrong"
_SHOWN = frozenset([b"tRNS"])  # chunks that may be left out by the standard, but change what one sees
_BLOCK = 1 << 20
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type -> samples of a pixel
# Adam7: first column and row of each pass, and the steps between them
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True)
class _Chunk:
    kind: bytes
    start: int  # of the chunk: its length
    end: int
    whole: bool  # its checksum is right


@dataclass(frozen=True)
class Checked:
    """A PNG as it can be decoded; `damage` says why it must not be."""

    data: bytes
    damage: str | None = None
    notes: tuple[str, ...] = ()


def check(data: bytes) -> Checked:
    """Compare all checksums. Damaged chunks that change no pixel are taken out where Pillow would stumble over them."""
    left_out: list[_Chunk] = []
    notes: list[str] = []
    seen_data = False
    for chunk in _chunks(data):
        seen_data = seen_data or chunk.kind == b"IDAT"
        if chunk.whole or (chunk.kind == b"IDAT" and chunk.end - chunk.start == 12):  # an empty one holds no pixels
            continue
        if not chunk.kind.isalpha() or not chunk.kind[0] & 0x20 or chunk.kind in _SHOWN:
            return Checked(data, _DAMAGED_DATA)
        if chunk.kind in (b"fdAT", b"fcTL") and seen_data:
            notes.append("a frame after the first is damaged")
            continue
        notes.append(f"its {chunk.kind.decode('ascii')} chunk is damaged and was left out")
        left_out.append(chunk)
    for chunk in reversed(left_out):
        data = data[: chunk.start] + data[chunk.end :]
    return Checked(data, None, tuple(dict.fromkeys(notes)))


def damage_inside(data: bytes) -> str | None:
    """The damage of a PNG that lies in another file, such as an icon."""
    starts = (match.start() for match in re.finditer(re.escape(SIGNATURE), data))
    return next((found.damage for found in map(check, (data[start:] for start in starts)) if found.damage), None)


def missing_rows(data: bytes) -> str | None:
    """The damage of a PNG whose compressed data end before its last row. It unpacks them all: ask on suspicion only."""
    chunks = list(_chunks(data))
    if not chunks or chunks[0].kind != b"IHDR" or chunks[0].end - chunks[0].start != 25:
        return None
    width, height, bits, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    expected = _n_bytes(width, height, bits * _SAMPLES.get(colour, 1), bool(interlaced))
    unpack, n_bytes = zlib.decompressobj(), 0
    for chunk in chunks:
        if chunk.kind != b"IDAT":
            continue
        part = data[chunk.start + 8 : chunk.end - 4]
        while part and n_bytes < expected:
            try:
                n_bytes += len(unpack.decompress(part, _BLOCK))
            except zlib.error:  # Pillow said so already where it matters
                return None
            part = unpack.unconsumed_tail
    return "cut short: its last rows are missing" if n_bytes < expected else None


def _n_bytes(width: int, height: int, bits: int, interlaced: bool) -> int:
    """Bytes of the unpacked picture data: each row has a byte for its filter."""

    def of(columns: int, rows: int) -> int:
        return rows * (1 + (columns * bits + 7) // 8) if columns else 0

    if not interlaced:
        return of(width, height)
    return sum(
        of(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in _PASSES if x < width and y < height
    )


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """The chunks up to the end mark, as far as they are there."""
    at, view = len(SIGNATURE), memoryview(data)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + length
        if end > len(data):
            return
        kind = data[at + 4 : at + 8]
        yield _Chunk(kind, at, end, zlib.crc32(view[at + 4 : end - 4]).to_bytes(4, "big") == data[end - 4 : end])
        if kind == b"IEND":
            return
        at = end
