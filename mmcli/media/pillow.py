"""Pillow as mmcli uses it: which formats it may try, which it must be taught, and its warnings kept from stderr."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from mmcli.media.sources import UNMARKED_FORMATS

# Pillow logs damage as errors, which Python prints to stderr when nobody has set logging up. It raises as well.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# Formats that Pillow would take random bytes for are tried only under their own extension (UNMARKED_FORMATS).
_NEVER = frozenset("TGA PCD IM IMT IPTC SPIDER GBR DIB MCIDAS XVTHUMB".split()) | frozenset(
    # Only names without a decoder; EPS would start Ghostscript; MPEG is a video.
    "EPS WMF BUFR GRIB HDF5 MPEG FPX MIC".split()
)


def open_header(stream: io.BytesIO, suffix: str, max_pixels: int) -> Pillow.Image:
    """Let Pillow find the format and read the header; whatever its plugins raise.

    Pillow's own guard against bombs stays on for pictures inside pictures (icons), never below `max_pixels`.
    """
    if Pillow.MAX_IMAGE_PIXELS is not None and Pillow.MAX_IMAGE_PIXELS < max_pixels:
        Pillow.MAX_IMAGE_PIXELS = max_pixels
    Pillow.preinit()  # the few common formats first: loading all plugins takes a while
    if bytes(stream.getbuffer()[4:8]) == b"ftyp":
        know_heif()
    try:
        return Pillow.open(stream, formats=_formats(suffix))
    except UnidentifiedImageError:
        Pillow.init()
        return Pillow.open(stream, formats=_formats(suffix))


def _formats(suffix: str) -> list[str]:
    formats = [name for name in Pillow.ID if name not in _NEVER]
    return formats + [UNMARKED_FORMATS[suffix]] if suffix in UNMARKED_FORMATS else formats


def know_heif() -> None:
    """Teach Pillow HEIC and AVIF, once."""
    if "HEIF" not in Pillow.OPEN:
        import pillow_heif

        pillow_heif.register_heif_opener()


_lock = threading.Lock()
_inside = 0
_catcher: warnings.catch_warnings[None] | None = None
_heard = threading.local()


@contextmanager
def warnings_kept() -> Iterator[list[str]]:
    """Keep Pillow's warnings from stderr and hand them to the caller.

    The filters of `warnings` belong to the whole process, and pictures may be decoded in several threads: the first
    one in sets them, the last one out puts them back, and each thread hears its own.
    """
    global _inside, _catcher
    mine: list[str] = []
    _heard.messages = mine
    with _lock:
        _inside += 1
        if _inside == 1:
            _catcher = warnings.catch_warnings()
            _catcher.__enter__()
            warnings.simplefilter("always")
            warnings.showwarning = _hear
    try:
        yield mine
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _catcher is not None:
                _catcher.__exit__(None, None, None)
                _catcher = None


def _hear(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    if category is UserWarning:  # deprecations and bomb warnings say nothing about this picture
        getattr(_heard, "messages", []).append("the decoder warned: " + " ".join(str(message).split()))
