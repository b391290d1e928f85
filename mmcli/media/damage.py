"""Files that decode without a complaint and still show the wrong thing, or whose complaint needs a better word.

Looks at bytes and at what Pillow says of them; decodes nothing. JPEG, PNG and TIFF have modules of their own.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmcli.media import boxes, jpegs

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

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
_MANY_ZEROS = 256  # bytes at the end of coded data: no coder writes as many
_ENOUGH_ZEROS = 512  # bytes at the end of plain pixels, before anybody looks at them
_FEW_BYTES = 8  # of a row, too few to tell that it breaks off

_QOI_END = bytes(7) + b"\1"

# TIFF tags
NEW_SUBFILE_TYPE = 254  # bit 0: a reduced copy of another picture in this file


def is_cut_short(data: bytes, error: BaseException | None = None) -> bool:
    """Does the decoder's complaint, or a length written in the file, say that the end is missing?"""
    words = str(error).lower() if error is not None else ""
    if isinstance(error, EOFError) or any(word in words for word in _CUT_SHORT_WORDS):
        return True
    if data[:4] == b"RIFF":
        size = _riff_size(data)
        return size is not None and size > len(data)
    if data[4:8] == b"ftyp":
        return any(box.end > len(data) for box in boxes.boxes(data))
    return False


def is_unfinished(data: bytes) -> bool:
    """Is the end of the picture data nothing but zeros (or ones), as an interrupted copy or a broken disk leaves it?

    JPEG, WebP, HEIF and AVIF decoders take those for picture data and paint a plausible grey.
    """
    if data.startswith(b"\xff\xd8"):
        if _n_same_at_end(data) <= _MANY_ZEROS:
            return False
        found = jpegs.layout(data)  # zeros behind the end mark do no harm, and some cameras write them
        return found is not None and found.end is None
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _n_same_at_end(data[: _riff_size(data)]) > _MANY_ZEROS
    if data[4:8] == b"ftyp":
        return any(_has_gap(data, *piece) for piece in boxes.picture_data(data))
    return False


def _has_gap(data: bytes, coding: bytes, start: int, end: int) -> bool:
    """Are there bytes in a coded picture that its coder cannot have written?"""
    if coding == b"hvc1" and data.find(bytes(_FEW_BYTES), start, end) >= 0:
        return True  # HEVC puts a 3 behind every two zeros
    return _n_same_at_end(data[start:end]) > max(64, (end - start) // 100)


def qoi_damage(data: bytes, stream: io.BytesIO) -> str | None:
    """Of a QOI file that was decoded from `stream`: its data must end right where the last pixel does."""
    rest = data[stream.tell() :][: len(_QOI_END)]  # nothing, where a writer leaves the end mark out
    return None if _QOI_END.startswith(rest) else "damaged: its data do not end where the picture does"


def unwritten(data: bytes, picture: Image.Image, tiles: Sequence[Any]) -> tuple[int, int, bool]:
    """Rows of plain pixels at the end of a file that are all zeros: how many, of how many, and whether they are lost.

    Black rows look the same as rows that were never written. The row in which the zeros begin may tell: where its
    left part goes on as the row before it does, and its right part does not, somebody was interrupted.
    `tiles` is what Pillow was going to decode; (0, 0, False) where that is not plain pixels.
    """
    coders = {tile[0] for tile in tiles}
    if (
        not coders
        or not coders <= {"raw", "dds_rgb", "SGI16", "pcx"}
        or _n_same_at_end(data, zeros=True) < _ENOUGH_ZEROS
    ):
        return 0, 0, False
    rows = _in_file_order(picture, tiles)  # (n_rows, bytes of a row) uint8
    written = np.flatnonzero(rows.any(axis=1))
    last = int(written[-1]) if written.size else -1
    n_zero = len(rows) - 1 - last
    if "pcx" in coders:  # which has a short code for many zeros, and nobody would write them one by one
        return n_zero, len(rows), n_zero > 0
    return n_zero, len(rows), n_zero > 1 and last > 0 and _breaks_off(rows[last - 1], rows[last])


def _in_file_order(picture: Image.Image, tiles: Sequence[Any]) -> NDArray[np.uint8]:
    pixels = np.asarray(picture)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if any(-1 in tile[3] for tile in tiles if isinstance(tile[3], tuple)):
        pixels = pixels[::-1]
    if len({tile[1] for tile in tiles}) == 1 < len(tiles) and pixels.ndim == 3:  # one plane after the other
        pixels = np.moveaxis(pixels, 2, 0).reshape(-1, pixels.shape[1])
    return np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)


def _breaks_off(before: NDArray[np.uint8], row: NDArray[np.uint8]) -> bool:
    """Is this row like the one before it, up to a place from where on it is zeros and that one is not?"""
    at = int(np.flatnonzero(row)[-1]) + 1
    left, right = row[max(0, at - 64) : at], row[at:]
    if len(left) < _FEW_BYTES or len(right) < _FEW_BYTES:
        return False
    return bool(
        np.mean(before[at:] != 0) > 0.9
        and np.mean(before[at:]) > 16
        and np.mean(left) > 0.5 * np.mean(before[max(0, at - 64) : at])
    )


def is_preview(tags: Mapping[int, object]) -> bool:
    """Is this page of a TIFF marked as a reduced copy of another one?"""
    subfile = tags.get(NEW_SUBFILE_TYPE, 0)
    return isinstance(subfile, int) and subfile & 1 == 1


def _n_same_at_end(data: bytes, zeros: bool = False) -> int:
    """Bytes at the end that are all zeros, or all ones (0xFF)."""
    if data[-1:] not in ((b"\0",) if zeros else (b"\0", b"\xff")):
        return 0
    return len(data) - len(data.rstrip(data[-1:]))


def _riff_size(data: bytes) -> int | None:
    """Length of the whole file in bytes by its RIFF header; None if the header does not know."""
    if len(data) < 8:
        return None
    size = int.from_bytes(data[4:8], "little")
    return None if size == 0 or size >= _UNKNOWN_RIFF_SIZE else size + 8
