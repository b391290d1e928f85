"""Files that decode without a complaint and still show the wrong thing, or whose complaint needs a better word.

Looks at bytes and TIFF tags only; decodes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

RAW_SUFFIXES = frozenset(
    ".dng .nef .nrw .cr2 .cr3 .arw .sr2 .raf .orf .rw2 .pef .srw .x3f .3fr .iiq .erf .kdc .dcr".split()
)
_RAW_STARTS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb")

_CUT_SHORT_WORDS = (
    "truncated",
    "end of file",
    "end-of-file",
    "not enough",
    "broken data stream",
    "premature",
    "unexpected eof",
)
_UNKNOWN_RIFF_SIZE = 0x7FFF_0000  # writers that cannot seek back put "very long" into the header

# TIFF tags
NEW_SUBFILE_TYPE = 254  # bit 0: a reduced copy of another picture in this file
_SUB_IFDS = 330
_DNG_VERSION = 50706


def is_raw_by_magic(data: bytes) -> bool:
    """Is this camera raw in a format of its own, or Canon's TIFF?"""
    canon = data[:4] in (b"II*\0", b"MM\0*") and data[8:10] == b"CR"
    return canon or data[4:12] == b"ftypcrx " or data.startswith(_RAW_STARTS)


def is_raw_by_tags(tags: Mapping[int, object], suffix: str) -> bool:
    """Is this TIFF camera raw, of which Pillow would show the small preview that stands first?"""
    subfile = tags.get(NEW_SUBFILE_TYPE, 0)
    reduced = isinstance(subfile, int) and subfile & 1 == 1 and _SUB_IFDS in tags
    return reduced or _DNG_VERSION in tags or suffix in RAW_SUFFIXES


def is_cut_short(data: bytes, error: BaseException | None = None) -> bool:
    """Does the decoder's complaint, or a length written in the file, say that the end is missing?"""
    words = str(error).lower() if error is not None else ""
    if isinstance(error, EOFError) or any(word in words for word in _CUT_SHORT_WORDS):
        return True
    if data[:4] == b"RIFF":
        size = _riff_size(data)
        return size is not None and size > len(data)
    if data[4:8] == b"ftyp":
        return any(end > len(data) for _, _, end in boxes(data))
    return False


def is_unfinished(data: bytes) -> bool:
    """Is the end of the picture data nothing but zeros, as an interrupted copy or download leaves it?

    JPEG, WebP, HEIF and AVIF decoders take zeros for picture data and paint a plausible grey.
    """
    if data.startswith(b"\xff\xd8"):
        no_end_after_last_scan = data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")
        return no_end_after_last_scan and _zeros_at_end(data) > 256
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _zeros_at_end(data[: _riff_size(data)]) > 256
    if data[4:8] == b"ftyp":
        return any(
            kind == b"mdat" and _zeros_at_end(data[start:end]) > max(1024, (end - start) // 100)
            for kind, start, end in boxes(data)
        )
    return False


def _zeros_at_end(data: bytes) -> int:
    return len(data) - len(data.rstrip(b"\0"))


def _riff_size(data: bytes) -> int | None:
    """Length of the whole file in bytes by its RIFF header; None if the header does not know."""
    if len(data) < 8:
        return None
    size = int(struct.unpack_from("<I", data, 4)[0])
    return None if size == 0 or size >= _UNKNOWN_RIFF_SIZE else size + 8


def boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Top-level boxes of an ISO base media file: (type, start of contents, end); the end may lie beyond the data."""
    at = 0
    while at + 8 <= len(data):
        size, kind, start = int(struct.unpack_from(">I", data, at)[0]), data[at + 4 : at + 8], at + 8
        if size == 1 and at + 16 <= len(data):
            size, start = int(struct.unpack_from(">Q", data, at + 8)[0]), at + 16
        end = len(data) if size == 0 else at + size
        yield kind, start, end
        if end <= at + 7:
            return
        at = end
