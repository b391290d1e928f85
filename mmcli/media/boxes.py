"""The boxes of an ISO base media file (HEIF, AVIF, CR3, MP4): what kind it is, its sizes, where its data lie.

Reads bytes and trusts none of them; decodes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

_MAX_BOXES = 100_000  # no picture has as many; a hostile file must not keep us busy
_MAX_EXTENTS = 100_000
_MAX_BRANDS = 64

# Brands of still pictures and bursts: HEIF and its profiles by codec, AVIF, Canon raw, JPEG XL.
_IMAGE_BRANDS = frozenset(
    b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 mif3 msf1 miaf MiHB MiHA MiHE MiAB MiAn MiBu MiAC MiPr MA1A "
    b"MA1B avif avis avio avci avcs jpeg jpgs j2ki j2is vvic vvis evbi evbs evmi evms heoi unif geo1 1pic".split()
) | {b"crx ", b"jxl "}
_AUDIO_BRANDS = frozenset([b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "])
# Which brand says what another program may take the file for; a film may also hold a burst or a cover picture.
_SURE_OF_IMAGE = frozenset(b"heic heix heim heis mif1 mif2 mif3 avif avci jpeg j2ki vvic".split())


_CODINGS = frozenset([b"hvc1", b"av01", b"avc1", b"vvc1", b"j2k1", b"jpeg"])


class Box(NamedTuple):
    kind: bytes  # four letters
    start: int  # of its contents
    end: int  # may lie beyond the data


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes between two places, one after the other."""
    at, end = start, len(data) if end is None else end
    for _ in range(_MAX_BOXES):
        if at + 8 > min(end, len(data)):
            return
        size, kind, contents = int(struct.unpack_from(">I", data, at)[0]), data[at + 4 : at + 8], at + 8
        if size == 1 and at + 16 <= len(data):
            size, contents = int(struct.unpack_from(">Q", data, at + 8)[0]), at + 16
        behind = end if size == 0 else at + size
        yield Box(kind, contents, behind)
        if behind < contents:
            return
        at = behind


def kind_of(head: bytes) -> str:
    """What a file that begins with `ftyp` holds: "image", "audio" or "video". Its first brand counts most."""
    brands = _brands(head)
    if brands[0] in _IMAGE_BRANDS:
        return "image"
    if brands[0] in _AUDIO_BRANDS:
        return "audio"
    return "image" if _SURE_OF_IMAGE & set(brands[1:]) else "video"


def _brands(head: bytes) -> list[bytes]:
    """The major brand and the compatible ones."""
    size = min(int.from_bytes(head[:4], "big"), len(head), 16 + 4 * _MAX_BRANDS)
    return [head[8:12]] + [head[at : at + 4] for at in range(16, size - 3, 4)]


def largest_size(data: bytes) -> tuple[int, int]:
    """Width and height of the largest picture that a HEIF or AVIF file declares (`ispe`); (0, 0) if it says none."""
    sizes = [
        struct.unpack_from(">II", data, box.start + 4)
        for box in _find(data, b"meta", b"iprp", b"ipco", b"ispe")
        if box.start + 12 <= len(data)
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def picture_data(data: bytes) -> list[tuple[bytes, int, int]]:
    """Where the coded pictures of a HEIF or AVIF file lie: coding (`hvc1`, `av01` …), start and end of each piece."""
    coded = _coded_items(data)
    found = []
    for box in _find(data, b"meta", b"iloc"):
        for item, start, end in _extents(data[box.start : box.end]):
            if item in coded and start < end <= len(data):
                found.append((coded[item], start, end))
    return found


def _coded_items(data: bytes) -> dict[int, bytes]:
    """The numbers of the items that are coded pictures, not EXIF data or a plan of tiles; each with its coding."""
    coded = {}
    for iinf in _find(data, b"meta", b"iinf"):
        n_counted = 2 if data[iinf.start : iinf.start + 1] == b"\0" else 4
        for infe in boxes(data, iinf.start + 4 + n_counted, min(iinf.end, len(data))):
            fields = _Fields(data[infe.start : infe.start + 16])
            version = fields.take(4) >> 24
            number = fields.take(4 if version == 3 else 2)
            fields.take(2)  # protection
            kind = fields.take(4).to_bytes(4, "big")
            if version in (2, 3) and kind in _CODINGS:
                coded[number] = kind
    return coded


def _find(data: bytes, kind: bytes, *below: bytes) -> Iterator[Box]:
    """The boxes at a path from the top. `meta` has four bytes of version and flags before the boxes in it."""
    for box in boxes(data):
        if box.kind == kind:
            yield from _inside(data, box, below)


def _inside(data: bytes, box: Box, path: tuple[bytes, ...]) -> Iterator[Box]:
    if not path:
        yield box
        return
    start = box.start + (4 if box.kind == b"meta" else 0)
    for inner in boxes(data, start, min(box.end, len(data))):
        if inner.kind == path[0]:
            yield from _inside(data, inner, path[1:])


def _extents(iloc: bytes) -> list[tuple[int, int, int]]:
    """Number, start and end of items (ISO/IEC 14496-12, 8.11.3); those kept elsewhere than in the file are left out."""
    fields = _Fields(iloc)
    version = fields.take(4) >> 24
    sizes = fields.take(2)
    offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    found: list[tuple[int, int, int]] = []
    for _ in range(fields.take(4 if version == 2 else 2)):
        number = fields.take(4 if version == 2 else 2)
        method = fields.take(2) & 15 if version in (1, 2) else 0
        fields.take(2)  # data reference
        base = fields.take(base_size)
        for _ in range(fields.take(2)):
            if version in (1, 2):
                fields.take(index_size)
            start = base + fields.take(offset_size)
            length = fields.take(length_size)
            if method == 0:
                found.append((number, start, start + length))
            if fields.at > len(iloc) or len(found) > _MAX_EXTENTS:
                return found
    return found


class _Fields:
    """Big-endian numbers, one after the other; zeros behind the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def take(self, n_bytes: int) -> int:
        self.at += n_bytes
        return int.from_bytes(self._data[self.at - n_bytes : self.at], "big")
