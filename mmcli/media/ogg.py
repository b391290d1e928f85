"""The pages of an Ogg file: which of them are damaged or missing. Looks at bytes only; decodes nothing.

FFmpeg drops a page whose checksum is wrong, with about a second of speech in it, and says nothing.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

_HEAD = struct.Struct("<4sBBqIIIB")  # capture pattern, version, flags, granule, serial, number, checksum, segments
_LAST = 4  # the flag of a stream's last page
_ALL = 0xFFFFFFFF
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_CAPTURE = re.compile(rb"OggS\0")


@dataclass
class Pages:
    """What is known of a file's pages."""

    n_lost: int = 0  # damaged or missing
    is_first_lost: bool = False  # the first that held sound: so nothing says where the sound begins
    has_end: bool = False  # the last page that is whole says that it is the last one


def pages(data: bytes) -> Pages:
    """Walk through all pages of all streams."""
    found, numbers, n_whole = Pages(), dict[int, int](), 0
    for match in _CAPTURE.finditer(data):
        page = _page(data, match.start())
        if page is None:
            continue
        flags, granule, serial, number = page
        expected = numbers.get(serial, -1) + 1
        if number > expected and not flags & 2:  # 2: a stream's first page
            if serial in numbers:
                found.n_lost += number - expected
                found.is_first_lost |= n_whole == 0
        numbers[serial] = number
        n_whole += granule > 0
        found.has_end = bool(flags & _LAST)
    return found


def _page(data: bytes, at: int) -> tuple[int, int, int, int] | None:
    """Flags, granule, serial and number of the page that begins at `at`; None where it is not whole."""
    if at + _HEAD.size > len(data):
        return None
    _, _, flags, granule, serial, number, checksum, n_segments = _HEAD.unpack_from(data, at)
    table = at + _HEAD.size
    end = table + n_segments + sum(data[table : table + n_segments])
    if end > len(data):
        return None
    page = b"".join((data[at : at + 22], bytes(4), data[at + 26 : end]))
    return (flags, granule, serial, number) if _checksum(page) == checksum else None


def _checksum(page: bytes) -> int:
    """Ogg's CRC-32: zlib's with all bits the other way round, beginning at 0 and not inverted."""
    crc = zlib.crc32(page.translate(_REVERSED), _ALL) ^ _ALL
    return int(f"{crc:032b}"[::-1], 2)
