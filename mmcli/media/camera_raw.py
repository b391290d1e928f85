"""Camera raw files: the largest JPEG that the camera put into one, and how to turn it. Knows bytes; decodes nothing.

A raw file holds what the sensor measured, and one JPEG or more that the camera made of it, often in full size. They are
found by looking for JPEGs, which works for every maker's format alike.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mmcli.errors import InputError
from mmcli.media import jpegs
from mmcli.media.sources import RAW_SUFFIXES

_MAX_ENTRIES = 4096  # tags of a directory
_MAX_DIRECTORIES = 64
_MAX_CANDIDATES = 500
_MAX_SEGMENTS = 1000  # of a JPEG that is looked at

# Formats with first bytes of their own: their name and where their first bytes stand.
_STARTS: tuple[tuple[str, int, bytes], ...] = (
    ("CR2", 8, b"CR"),
    ("CR3", 4, b"ftypcrx "),
    ("CRW", 6, b"HEAPCCDR"),
    ("RAF", 0, b"FUJIFILMCCD-RAW"),
    ("ORF", 0, b"IIRO"),
    ("ORF", 0, b"IIRS"),
    ("ORF", 0, b"MMOR"),
    ("RW2", 0, b"IIU\0"),
    ("X3F", 0, b"FOVb"),
    ("MRW", 0, b"\0MRM"),
)
_TIFF_STARTS = (b"II*\0", b"MM\0*")

# TIFF tags
_NEW_SUBFILE_TYPE, _WIDTH, _HEIGHT, _ORIENTATION, _TILE_OFFSETS, _SUB_IFDS = 254, 256, 257, 274, 324, 330
_DNG_VERSION = 50706
_FORMS = {1: "B", 3: "H", 4: "I", 13: "I"}  # types of whole numbers


@dataclass(frozen=True)
class Embedded:
    """The largest JPEG of a raw file."""

    format: str  # of the raw file: "CR2", "NEF" …
    data: bytes
    orientation: int | None  # EXIF, of the raw file; None where it tells none
    note: str  # for the receipt


_Tags: TypeAlias = dict[int, tuple[int, ...]]  # whole numbers only


def embedded(data: bytes, suffix: str, shown: str) -> Embedded | None:
    """The largest JPEG in a camera raw file, by its pixels; None for every other file.

    An InputError for a raw file without one: what the sensor measured is no picture yet.
    """
    file_format = _format(data, suffix)
    if file_format is None:
        return None
    header = _tiff_header(data)
    directories = list(_directories(data, header)) if header is not None else []
    tiles = {at for tags in directories for at in tags.get(_TILE_OFFSETS, ())}  # pieces of the raw picture itself
    candidates = [(found.width * found.height, start, found) for start, found in _jpegs(data) if start not in tiles]
    if not candidates:
        raise InputError(
            f"{shown} is a camera raw file without a JPEG in it",
            hint="develop it first, for example: `darktable-cli IN.nef OUT.jpg`",
        )
    _, start, found = max(candidates, key=lambda candidate: candidate[:2])
    turn = directories[0].get(_ORIENTATION, ()) if directories else ()
    return Embedded(
        format=file_format,
        data=data[start : found.end],
        orientation=turn[0] if turn and 1 <= turn[0] <= 8 else None,
        note=f"camera raw: its largest embedded JPEG, {found.width}×{found.height}{_of_full_size(found, directories)}",
    )


def _of_full_size(found: jpegs.JpegLayout, directories: list[_Tags]) -> str:
    """` of 6000×4000` where the JPEG is much smaller than the picture in the raw file."""
    sizes = [(tags[_WIDTH][0], tags[_HEIGHT][0]) for tags in directories if tags.get(_WIDTH) and tags.get(_HEIGHT)]
    width, height = max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))
    return f" of {width}×{height}" if found.width * 2 < width else ""


def _format(data: bytes, suffix: str) -> str | None:
    """The name of a raw file's format; None for every other file."""
    for format_name, at, start in _STARTS:
        if data[at : at + len(start)] == start and (format_name != "CR2" or data[:4] in _TIFF_STARTS):
            return format_name
    if data[:4] not in _TIFF_STARTS:
        return None
    first: _Tags = next(_directories(data, 0), {})
    if _DNG_VERSION in first:
        return "DNG"
    if suffix in RAW_SUFFIXES:
        return suffix[1:].upper()
    reduced = first.get(_NEW_SUBFILE_TYPE, (0,))[:1] == (1,) and _SUB_IFDS in first  # a preview stands first
    return "camera raw" if reduced else None


def _jpegs(data: bytes) -> Iterator[tuple[int, jpegs.JpegLayout]]:
    """Whole JPEGs that a program can show, each with its place; not those inside another one."""
    at = 0
    for _ in range(_MAX_CANDIDATES):
        at = data.find(b"\xff\xd8\xff", at)
        if at < 0:
            return
        found = jpegs.layout(data, at, max_segments=_MAX_SEGMENTS)
        kinds = {kind for kind, _, _ in found.segments} if found is not None else set()
        if found is None or found.end is None or not found.usual or not {0xDA, 0xDB} <= kinds:
            at += 3
            continue
        yield at, found
        at = found.end


def _tiff_header(data: bytes) -> int | None:
    """Where the TIFF header lies that has the directories of a raw file."""
    if data[:2] in (b"II", b"MM") and data[6:14] != b"HEAPCCDR":
        return 0
    for start, mark, behind in ((b"\0MRM", b"\0TTW", 8), (b"\0\0\0", b"CMT1", 4)):  # Minolta; Canon's CR3
        if data.startswith(start) and (at := data.find(mark, 0, 1 << 20)) >= 0:
            return at + behind
    return None


def _directories(data: bytes, header: int) -> Iterator[_Tags]:
    """The directories of a TIFF, each with those below it, the main one first; what makes no sense ends them."""
    order = {b"II": "<", b"MM": ">"}.get(data[header : header + 2])
    if order is None or header + 8 > len(data):
        return
    waiting = [int(struct.unpack_from(order + "I", data, header + 4)[0])]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        at = waiting.pop(0)
        if at in seen or not 0 < header + at <= len(data) - 2:
            continue
        seen.add(at)
        n = min(int(struct.unpack_from(order + "H", data, header + at)[0]), _MAX_ENTRIES)
        tags = {}
        for entry in range(header + at + 2, min(header + at + 2 + 12 * n, len(data) - 11), 12):
            tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
            tags[tag] = _values(data, order, header, entry + 8, kind, count)
        waiting += list(tags.get(_SUB_IFDS, ()))
        behind = header + at + 2 + 12 * n
        if behind + 4 <= len(data):
            waiting.append(int(struct.unpack_from(order + "I", data, behind)[0]))
        yield tags


def _values(data: bytes, order: str, header: int, at: int, kind: int, count: int) -> tuple[int, ...]:
    """A tag's whole numbers; () for texts, fractions and what lies outside."""
    if kind not in _FORMS or not 0 < count <= _MAX_CANDIDATES * _MAX_DIRECTORIES:
        return ()
    form = f"{order}{count}{_FORMS[kind]}"
    if struct.calcsize(form) > 4:
        at = header + int(struct.unpack_from(order + "I", data, at)[0])
    return struct.unpack_from(form, data, at) if at + struct.calcsize(form) <= len(data) else ()
