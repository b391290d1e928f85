"""One JPEG's bytes: where its picture ends, whether its data are whole, and its pixels. Knows no files and no colours.

Pillow shows whatever libjpeg makes of damaged data: grey where they end too early, everything shifted behind a hole.
libjpeg does complain, but Pillow does not listen. So two other readers are asked. simplejpeg, which is libjpeg-turbo,
hands on the complaint, and decodes the same pixels in half of Pillow's time. FFmpeg's decoder notices codes that make
no block, which libjpeg passes over. Together they found 97 % of visible damage where simplejpeg alone found 95 %.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_SEGMENTS = 100_000  # a hostile file must not keep us busy
_MAX_PIXELS = 200_000_000  # FFmpeg refuses pictures not much larger, whole or not
_MAX_STRAY = 32  # bytes of rubbish in a header; more of them are a scan that has lost its own
_LEFT_OVER = 4  # bytes behind the last block that some cameras and webcams leave
_LEFT_OVER_AT_RESTART = 16

_BLOCK = 1 << 20  # bytes looked through at a time
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
# Complaints of libjpeg about what does not change a pixel.
_HARMLESS = ("ICC marker", "Adobe color transform", "JFIF revision", "progression sequence", "SOS parameters")
_COLOURS = (0xE0, 0xEE)  # the segments that say how colours are stored: JFIF's and Adobe's


@dataclass(frozen=True)
class JpegLayout:
    """What the markers of a JPEG say."""

    width: int
    height: int
    coding: (
        int  # the frame's marker: 0xC0 and 0xC1 sequential, 0xC2 progressive, 0xC3 lossless, from 0xC9 on arithmetic
    )
    bits: int  # of a sample
    end: int | None  # where the end mark ends, which need not be the end of the file; None without one
    segments: tuple[tuple[int, int, int], ...]  # marker, start with its 0xFF, end; a scan's data belong to it
    stray: int  # bytes behind the frame's header that belong to no segment

    @property
    def progressive(self) -> bool:
        return self.coding in (0xC2, 0xC6, 0xCA, 0xCE)

    @property
    def usual(self) -> bool:
        """Huffman-coded with 8 bits, as nearly all are: both readers know it."""
        return self.coding in (0xC0, 0xC1, 0xC2) and self.bits == 8


@dataclass(frozen=True)
class Read:
    """What became of a JPEG: pixels, or why there are none."""

    pixels: NDArray[np.uint8] | None = None  # (height, width, 3) RGB, or (height, width) grey
    damage: str | None = None
    note: str | None = None


def layout(data: bytes, at: int = 0, max_segments: int = _MAX_SEGMENTS) -> JpegLayout | None:
    """Walk the segments of a JPEG that begins at `at`; None where there is no frame."""
    frame: tuple[int, int, int, int] | None = None
    end, segments, stray = None, [], 0
    at += 2
    for _ in range(max_segments):
        start = data.find(b"\xff", at)
        stray += start - at if frame is not None and start > at else 0
        at = start
        while 0 <= at < len(data) and data[at] == 0xFF:
            at += 1
        if start < 0 or at >= len(data):
            break
        marker, at = data[at], at + 1
        if marker == 0xD9:
            end = at
            break
        if marker <= 1 or 0xD0 <= marker <= 0xD8:  # stuffing, or a marker that stands alone
            continue
        if at + 2 > len(data):
            break
        body, behind = at + 2, at + int.from_bytes(data[at : at + 2], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and body + 5 <= len(data):
            height, width = (int.from_bytes(data[body + i : body + i + 2], "big") for i in (1, 3))
            frame = (marker, data[body], height, width)
        if marker == 0xDA:
            behind = _end_of_scan(data, behind)
        segments.append((marker, start, behind))
        at = behind
    if frame is None:
        return None
    coding, bits, height, width = frame
    return JpegLayout(width, height, coding, bits, end, tuple(segments), stray)


def _end_of_scan(data: bytes, start: int) -> int:
    """Where the next marker begins that is neither stuffing (FF 00) nor a restart: the end of a scan's coded data."""
    for at in range(start, len(data) - 1, _BLOCK):
        block = np.frombuffer(data, np.uint8, min(_BLOCK + 1, len(data) - at), at)
        marks = np.flatnonzero(block[:-1] == 0xFF)
        behind = block[marks + 1]
        real = marks[(behind != 0) & (behind != 0xFF) & ((behind < 0xD0) | (behind > 0xD7))]
        if real.size:
            return at + int(real[0])
    return len(data)


def read(data: bytes, found: JpegLayout, mode: str, least: int = 0) -> Read:
    """Decode a JPEG of Pillow's mode "L" or "RGB", or of another one only look for damage; strict in both.

    No pixels and no damage: simplejpeg cannot read this kind of JPEG. `least`: pixels that each side must keep; libjpeg
    then decodes a half, a quarter or an eighth of the size, which costs a third. FFmpeg is not asked then.
    """
    if found.end is None and found.progressive:
        return Read(damage=_CUT_SHORT)
    if found.stray > _MAX_STRAY:
        return Read(damage=f"damaged: {found.stray} bytes of its picture data have no header")
    result = _by_simplejpeg(
        _only(data, found, _COLOURS), found, {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}.get(mode, "GRAY"), least
    )
    if result.damage is not None and found.end is None:
        return Read(damage=_CUT_SHORT)
    if result.damage is None and not least and (words := _ffmpegs_complaint(data, found)) is not None:
        return Read(damage=words)
    if result.damage is not None:
        return result
    return result if mode in ("L", "RGB") else Read(note=result.note)


_CUT_SHORT = "cut short: its end is missing"


def _only(data: bytes, found: JpegLayout, kept: tuple[int, ...] = ()) -> bytes:
    """The picture alone, with its end mark: without what other programs wrote into it, but for the segments `kept`.

    Neither reader then complains of EXIF, profiles or rubbish in the header, which change no pixel.
    """
    parts = (data[start:end] for kind, start, end in found.segments if kind in kept or not 0xE0 <= kind <= 0xFE)
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xd9"


def _by_simplejpeg(data: bytes, found: JpegLayout, colours: str, least: int) -> Read:
    import simplejpeg

    if not found.usual:  # lossless JPEG needs colours as they are, and 12 bits another function
        return Read()
    decode = functools.partial(simplejpeg.decode_jpeg, data, colours, min_height=least, min_width=least)
    try:
        return Read(_squeezed(decode()))
    except ValueError as error:
        damage, note = _judged(str(error), data)
    if damage is not None or note is None:
        return Read(damage=damage)
    try:
        return Read(_squeezed(decode(strict=False)), note=note or None)
    except ValueError:
        return Read()


def _squeezed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _judged(words: str, data: bytes) -> tuple[str | None, str | None]:
    """libjpeg's complaint as (damage, note): damage, or a note ("" to say nothing), or neither where it cannot read.

    Only its last complaint is known; FFmpeg is asked where that one is harmless.
    """
    if "premature end of data" in words:
        return "damaged: its picture data end before the picture does", None
    if "Huffman code" in words:
        return "damaged: its picture data hold a code that means nothing", None
    if match := _EXTRANEOUS.search(words):
        return _left_over(int(match[1]), int(match[2], 16), data)
    return None, "" if any(part in words for part in _HARMLESS) else None


def _left_over(n_bytes: int, marker: int, data: bytes) -> tuple[str | None, str | None]:
    """Bytes of the picture data that no block needs: padding, or what a hole has shifted there."""
    if 0xD0 <= marker <= 0xD7:
        padding = n_bytes <= _LEFT_OVER_AT_RESTART
    else:
        before = data[-2 - n_bytes : -2] if marker == 0xD9 else b""
        padding = n_bytes <= _LEFT_OVER or (len(before) == n_bytes and len(set(before)) == 1)
    if padding:
        return None, f"{n_bytes} bytes behind its picture data belong to nothing"
    return f"damaged: {n_bytes} bytes of its picture data are left over", None


def _ffmpegs_complaint(data: bytes, found: JpegLayout) -> str | None:
    """What FFmpeg's decoder finds wrong with the coded data; None where it finds nothing, or has no say."""
    if not found.usual or found.width * found.height > _MAX_PIXELS or _has_zero_steps(data, found):
        return None
    import av
    import av.error

    decoder = av.CodecContext.create("mjpeg", "r")
    decoder.thread_count = 1
    decoder.options = {"err_detect": "explode", "lowres": "3"}  # an eighth of the size: the codes are what counts
    try:
        decoder.decode(av.Packet(_only(data, found)))
        decoder.decode(None)
    except av.error.InvalidDataError:
        return "damaged: its picture data make no sense"
    except av.error.FFmpegError:  # a kind of JPEG that it does not know
        return None
    return None


def _has_zero_steps(data: bytes, found: JpegLayout) -> bool:
    """Has a quantization table zeros? No encoder should write them, and FFmpeg refuses them; the pixels are there."""
    return any(b"\0" in data[start + 5 : end] for kind, start, end in found.segments if kind == 0xDB)
