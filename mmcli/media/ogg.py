"""The pages of an Ogg file: which of them are damaged or missing. Looks at bytes only; decodes nothing.

FFmpeg drops a page whose checksum is wrong, with about a second of speech in it, and says nothing.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

_HEAD = struct.Struct("<4sBBqIIIB")  # capture pattern, version, flags, granule, serial, number, checksum, segments
_FIRST, _LAST = 2, 4  # the flags of a stream's first and last pages
_MOST_TAIL = 1 << 26  # samples of a damaged page: what seems to be more is a damaged number
_ALL = 0xFFFFFFFF
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CAPTURE = re.compile(rb"OggS\0")


@dataclass
class Pages:
    """What is known of a file's pages."""

    n_lost: int = 0  # damaged or missing
    is_first_lost: bool = False  # the first that held sound: so nothing says where the sound begins
    has_end: bool = False  # the last page that is whole says that it is the last one
    end: float = 0.0  # seconds up to the end of the last page, by its own number; 0 for several streams


@dataclass(frozen=True)
class _Page:
    flags: int
    granule: int  # samples up to its end
    serial: int  # of its stream
    number: int
    is_whole: bool


def pages(data: bytes, rate: int) -> Pages:
    """Walk through all pages of all streams; `rate` is what the sound's granules count per second."""
    found, end = Pages(), 0  # samples
    last: dict[int, _Page] = {}  # the last whole page of each stream
    has_sound, n_damaged = False, 0
    for match in _CAPTURE.finditer(data):
        page = _page(data, match.start())
        if page is None:
            continue
        before = last.get(page.serial)
        if not page.is_whole:
            n_damaged += 1
            if before is not None and 0 < page.granule - before.granule < _MOST_TAIL:
                end = page.granule
            continue
        if before is not None and not page.flags & _FIRST and page.number > before.number + 1:
            found.n_lost += page.number - before.number - 1
            found.is_first_lost |= not has_sound
        has_sound |= page.granule > 0
        last[page.serial] = page
        found.has_end, end = bool(page.flags & _LAST), max(page.granule, end)
    found.n_lost = max(found.n_lost, n_damaged)
    found.end = end / rate if len(last) == 1 else 0.0
    return found


def _page(data: bytes, at: int) -> _Page | None:
    """The page that begins at `at`; None where there is not all of it."""
    if at + _HEAD.size > len(data):
        return None
    _, _, flags, granule, serial, number, checksum, n_segments = _HEAD.unpack_from(data, at)
    table = at + _HEAD.size
    end = table + n_segments + sum(data[table : table + n_segments])
    if end > len(data):
        return None
    page = b"".join((data[at : at + 22], bytes(4), data[at + 26 : end]))
    return _Page(flags, granule, serial, number, _checksum(page) == checksum)


def _checksum(page: bytes) -> int:
    """Ogg's CRC-32: zlib's with all bits the other way round, beginning at 0 and not inverted."""
    crc = zlib.crc32(page.translate(_REVERSED), _ALL) ^ _ALL
    return int(f"{crc:032b}"[::-1], 2)
