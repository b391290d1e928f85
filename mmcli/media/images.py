"""One picture's bytes -> upright RGB pixels with a receipt. Knows Pillow; knows no files, addresses or models."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from mmcli.errors import InputError, ResourceError
from mmcli.media import colour, suspect
from mmcli.media.kinds import is_svg
from mmcli.media.paths import UNMARKED_FORMATS
from mmcli.media.types import Image, Receipt

# Pillow logs damage as errors, which Python prints to stderr when nobody has set logging up. It raises as well.
logging.getLogger("PIL").addHandler(logging.NullHandler())

MAX_MEGAPIXELS = 100.0
_EXTREME_RATIO = 20  # longer than this times its short side: models see little of it

# Formats that Pillow would take random bytes for are tried only under their own extension (UNMARKED_FORMATS).
_NEVER = frozenset("TGA PCD IM IMT IPTC SPIDER GBR MCIDAS XVTHUMB".split()) | frozenset(
    # Only names without a decoder; EPS would start Ghostscript; MPEG is a video.
    "EPS WMF BUFR GRIB HDF5 MPEG FPX MIC".split()
)
_LAYERED = frozenset({"PSD"})  # "frames" are layers here, and Pillow shows them merged

_ORIENTATION = 0x0112
# EXIF orientation -> what to do with the stored picture, and its name in the receipt (degrees clockwise)
_UPRIGHT = {
    2: (Pillow.Transpose.FLIP_LEFT_RIGHT, "flip horizontal"),
    3: (Pillow.Transpose.ROTATE_180, "180"),
    4: (Pillow.Transpose.FLIP_TOP_BOTTOM, "flip vertical"),
    5: (Pillow.Transpose.TRANSPOSE, "flip horizontal, 270"),
    6: (Pillow.Transpose.ROTATE_270, "90"),
    7: (Pillow.Transpose.TRANSVERSE, "flip horizontal, 90"),
    8: (Pillow.Transpose.ROTATE_90, "270"),
}
_SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height


def decode(
    data: bytes,
    name: str,
    *,
    shown: str,
    suffix: str = "",
    max_megapixels: float = MAX_MEGAPIXELS,
    max_side: int | None = None,
) -> Image:
    """Decode a picture, turn it upright and give it an ID; `shown` is the name as error messages put it.

    What is no picture, damaged, cut short or too big is an InputError. `max_side` shrinks the longer side to that
    many pixels.
    """
    notes: list[str] = []
    with warnings_kept() as heard:
        # 1  open: read the header only, and refuse what would be too big or would show a preview
        _refuse_what_pillow_cannot(data, shown)
        picture = _open(data, shown, suffix, max_megapixels)
        _check_size(picture.size, shown, max_megapixels)
        file_format = picture.format or "unknown"
        frames = _count_frames(picture, notes)
        # 2  decode; TIFF and HEIF come out upright, so their orientation is asked for before
        stored_size, turned = picture.size, _turned_by_decoder(picture)
        if max_side is not None and file_format in ("JPEG", "MPO"):
            picture.draft(None, (max_side, max_side))  # decodes at 1/2, 1/4 or 1/8, never below max_side
        _load(picture, data, shown)
        orientation = turned or _orientation(picture, notes)
        if turned in _SIDEWAYS:
            stored_size = (stored_size[1], stored_size[0])
        # 3  colours, upright, size
        rgb = colour.to_rgb(picture, notes)
        if orientation in _UPRIGHT and not turned:
            rgb = rgb.transpose(_UPRIGHT[orientation][0])
        full_size = (stored_size[1], stored_size[0]) if orientation in _SIDEWAYS else stored_size
        rgb = _shrink(rgb, full_size, max_side, notes)
    if max(rgb.size) > _EXTREME_RATIO * min(rgb.size):
        notes.append(f"very long and narrow: {rgb.width}×{rgb.height}")
    notes += heard
    # 4  pixels and their ID
    pixels = np.asarray(rgb)  # (height, width, 3) uint8, C order
    media_id = hashlib.sha256(b"image %d %d" % rgb.size)
    media_id.update(pixels.data)
    receipt = Receipt(
        source=name,
        kind="image",
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        format=file_format,
        source_size=stored_size,
        sent_size=rgb.size,
        rotation=_UPRIGHT[orientation][1] if orientation in _UPRIGHT else "none",
        frames=frames,
        notes=tuple(dict.fromkeys(notes)),
    )
    return Image(pixels, media_id.hexdigest(), receipt)


def _refuse_what_pillow_cannot(data: bytes, shown: str) -> None:
    if is_svg(data):
        raise InputError(f"{shown} is an SVG drawing", hint="convert it: `rsvg-convert -w 1024 IN.svg -o OUT.png`")
    if data.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        raise InputError(f"{shown} is PostScript", hint="convert it: `gs -sDEVICE=png16m -r150 -o OUT.png IN.eps`")
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        raise InputError(f"{shown} is JPEG XL, which is not supported yet", hint="convert it: `djxl IN.jxl OUT.png`")
    if suspect.is_raw_by_magic(data):
        raise _raw(shown)
    if suspect.is_unfinished(data):
        raise InputError(f"{shown} ends in zeros: an unfinished copy or download", hint="copy or download it again")


def _raw(shown: str) -> InputError:
    return InputError(
        f"{shown} is a camera raw file, and only its small preview could be read",
        hint="develop it first, for example: `darktable-cli IN.nef OUT.jpg`",
    )


def _open(data: bytes, shown: str, suffix: str, max_megapixels: float) -> Pillow.Image:
    """Read the header. Pillow's own bomb guard stays on for pictures inside pictures (icons), never below our limit."""
    pixels = int(max_megapixels * 1e6)
    if Pillow.MAX_IMAGE_PIXELS is not None and Pillow.MAX_IMAGE_PIXELS < pixels:
        Pillow.MAX_IMAGE_PIXELS = pixels
    try:
        picture = _identified(data, suffix)
    except Pillow.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        raise _too_big(shown, int(found[0]) if found else 0, max_megapixels) from error
    except MemoryError as error:
        raise ResourceError(f"not enough memory to open {shown}") from error
    except Exception as error:  # Pillow's plugins let any exception fly on a damaged header
        if suffix in suspect.RAW_SUFFIXES:
            raise _raw(shown) from error
        raise _damaged(data, shown, error) from error
    if suspect.is_raw_by_tags(getattr(picture, "tag_v2", {}), suffix) and picture.format == "TIFF":
        raise _raw(shown)
    return picture


def know_heif() -> None:
    """Teach Pillow HEIC and AVIF, once."""
    if "HEIF" not in Pillow.OPEN:
        import pillow_heif

        pillow_heif.register_heif_opener()


def _identified(data: bytes, suffix: str) -> Pillow.Image:
    """Let Pillow find the format: first among the few common ones, as loading all of its plugins takes a while."""
    Pillow.preinit()
    if data[4:8] == b"ftyp":
        know_heif()
    try:
        return Pillow.open(io.BytesIO(data), formats=_formats(suffix))
    except UnidentifiedImageError:
        Pillow.init()
        return Pillow.open(io.BytesIO(data), formats=_formats(suffix))


def _formats(suffix: str) -> list[str]:
    formats = [name for name in Pillow.ID if name not in _NEVER]
    return formats + [UNMARKED_FORMATS[suffix]] if suffix in UNMARKED_FORMATS else formats


def _check_size(size: tuple[int, int], shown: str, max_megapixels: float) -> None:
    if size[0] < 1 or size[1] < 1:
        raise InputError(f"{shown} has no pixels: {size[0]}×{size[1]}")
    if size[0] * size[1] > max_megapixels * 1e6:
        raise _too_big(f"{shown} ({size[0]}×{size[1]})", size[0] * size[1], max_megapixels)


def _too_big(shown: str, n_pixels: int, max_megapixels: float) -> InputError:
    return InputError(
        f"{shown} has {n_pixels / 1e6:.0f} megapixels, the limit is {max_megapixels:g}",
        hint="shrink it first; if you trust it, raise MMCLI_MAX_MEGAPIXELS",
    )


def _load(picture: Pillow.Image, data: bytes, shown: str) -> None:
    try:
        picture.load()
    except MemoryError as error:
        raise ResourceError(f"not enough memory to decode {shown}") from error
    except Exception as error:  # as above: decoders let anything fly
        raise _damaged(data, shown, error) from error


def _damaged(data: bytes, shown: str, error: Exception) -> InputError:
    if suspect.is_cut_short(data, error):
        return InputError(f"{shown} is cut short: its end is missing", hint="copy or download it again")
    if isinstance(error, UnidentifiedImageError):  # its message shows a BytesIO, not the reason
        return InputError(f"{shown} begins like a picture but cannot be decoded", hint="does another program open it?")
    reason = " ".join(str(error).split())[:120] or type(error).__name__
    return InputError(f"{shown} is damaged: {reason}", hint="does another program open it?")


def _count_frames(picture: Pillow.Image, notes: list[str]) -> int | None:
    """Frames, pages or pictures in the file; None for one picture, and where they are layers of one."""
    try:
        n = int(getattr(picture, "n_frames", 1))
    except Exception:  # damage behind the first frame, which may be whole all the same
        notes.append("the frames after the first are damaged")
        return None
    if n < 2 or picture.format in _LAYERED:
        return None
    word = {"TIFF": "pages", "MPO": "pictures", "HEIF": "pictures"}.get(picture.format or "", "frames")
    if picture.format == "TIFF" and getattr(picture, "tag_v2", {}).get(suspect.NEW_SUBFILE_TYPE, 0) == 1:
        notes.append("its first page is marked as a preview")
    notes.append(f"{'main one' if word == 'pictures' else 'first'} of {n} {word}")
    return n


def _turned_by_decoder(picture: Pillow.Image) -> int:
    """The EXIF orientation that loading will apply by itself; 0 when it is left to us."""
    if picture.format == "TIFF":
        value = getattr(picture, "tag_v2", {}).get(_ORIENTATION, 0)
        return value if value in _UPRIGHT else 0
    return _turned_by_heif(picture) if picture.format == "HEIF" else 0


def _turned_by_heif(picture: Pillow.Image) -> int:
    """A HEIF file's `irot` and `imir` boxes, which libheif obeys, as an EXIF orientation: for the receipt only."""
    try:
        steps = picture._heif_file[picture.tell()]._c_image.transformations  # type: ignore[attr-defined]
    except (AttributeError, IndexError, TypeError):  # pillow_heif keeps this to itself, and may move it
        return 0
    clockwise, mirrored = 0, None
    for kind, *values in steps:
        if kind == "irot":
            clockwise = (360 - values[0]) % 360
        elif kind == "imir":
            mirrored = values[0]  # 0: top and bottom change places, 1: left and right
    table = {
        None: {90: 6, 180: 3, 270: 8},
        0: {0: 4, 90: 7, 180: 2, 270: 5},
        1: {0: 2, 90: 5, 180: 4, 270: 7},
    }
    return table.get(mirrored, {}).get(clockwise, 0)


def _orientation(picture: Pillow.Image, notes: list[str]) -> int:
    """EXIF (or XMP) orientation of a loaded picture, 1 … 8; 1 when there is none or it makes no sense."""
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken tag must not cost a good picture
        notes.append("its EXIF data is broken: taken as upright")
        return 1
    if value in _UPRIGHT:
        return int(value)
    return 1


def _shrink(rgb: Pillow.Image, full_size: tuple[int, int], max_side: int | None, notes: list[str]) -> Pillow.Image:
    """Make the longer side `max_side` pixels if it is more; `full_size` is the upright size before a draft."""
    if max_side is None or max(full_size) <= max_side:
        return rgb
    width, height = (max(1, round(side * max_side / max(full_size))) for side in full_size)
    notes.append(f"shrunk {full_size[0]}×{full_size[1]} → {width}×{height}")
    return rgb.resize((width, height), Pillow.Resampling.LANCZOS, reducing_gap=3.0)


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
