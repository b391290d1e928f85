"""One picture's bytes -> upright RGB pixels with a receipt. Knows Pillow; knows no files, addresses or models."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from mmcli.errors import InputError, MmcliError, ResourceError
from mmcli.media import boxes, camera_raw, colour, damage, jpegs, pillow, pngs, tiffs, upright
from mmcli.media.locator import Locator, Rectangle
from mmcli.media.sniffing import is_svg
from mmcli.media.types import Image, Receipt, image_id

MAX_MEGAPIXELS = 100.0
_EXTREME_RATIO = 20  # longer than this times its short side: models see little of it
_LAYERED = frozenset({"PSD"})  # "frames" are layers here, and Pillow shows them merged
_JPEG = frozenset({"JPEG", "MPO"})
_COPY_AGAIN = "copy or download it again"
_TRY_ANOTHER = "does another program open it?"


@dataclass
class _Opened:
    """A picture whose header is read, and what is known of it by then."""

    picture: Pillow.Image
    data: bytes  # of the picture alone: a raw file's embedded JPEG, a PNG without damaged comments
    shown: str  # the name as error messages put it
    max_megapixels: float
    stream: io.BytesIO  # what Pillow reads
    tiles: list[Any]  # what Pillow is going to decode
    frames: int | None  # None for one picture, and where they are layers of one
    orientation: int | None  # EXIF, where decoding turns the picture by it
    notes: list[str]

    @property
    def stored_size(self) -> tuple[int, int]:
        """(width, height) in the file, before it is turned."""
        width, height = self.picture.size
        return (height, width) if self.orientation in upright.SIDEWAYS else (width, height)


def decode(
    data: bytes,
    name: str,
    *,
    shown: str,
    suffix: str = "",
    max_megapixels: float = MAX_MEGAPIXELS,
    box: Rectangle | None = None,
    least: int = 0,
) -> Image:
    """Decode a picture, turn it upright and give it an ID; `shown` is the name as error messages put it.

    What is no picture, damaged, cut short or too big is an InputError; a ResourceError where the memory is too small.
    `box` is cut out of the upright picture; an InputError where it lies outside. `least`: it may come out smaller than
    it is, but no side below so many pixels, which is a third of the work; its ID is then that of the smaller one.
    """
    with pillow.warnings_kept() as heard, tiffs.listening() as complaints:
        try:
            return _decoded(data, name, shown, suffix, max_megapixels, box, least, heard, complaints)
        except MemoryError as error:
            raise _too_large_for_memory(shown) from error


def _decoded(
    data: bytes,
    name: str,
    shown: str,
    suffix: str,
    max_megapixels: float,
    box: Rectangle | None,
    least: int,
    heard: list[str],
    complaints: tiffs.Complaints,
) -> Image:
    # 1  open: read the header only, and refuse what would be too big or would show a preview
    _refuse_what_pillow_cannot(data, shown)
    raw = camera_raw.embedded(data, suffix, shown)
    opened = _open(data if raw is None else raw.data, shown, suffix if raw is None else "", max_megapixels)
    file_format = (opened.picture.format or "unknown") if raw is None else raw.format
    stored_size, notes = opened.stored_size, opened.notes
    # 2  decode, and look for the damage that decoders pass over
    pixels = _jpeg_pixels(opened, least) if opened.picture.format in _JPEG else None
    if pixels is None:
        _load(opened, complaints)
    # 3  colours, upright, the box
    orientation = opened.orientation or upright.of(opened.picture, notes)
    if raw is not None:
        orientation = orientation or raw.orientation
        notes.insert(0, raw.note)
    rgb = colour.to_rgb(opened.picture, pixels, notes)  # (height, width, 3) uint8, C order
    if opened.orientation is None and orientation is not None:
        rgb = upright.turned(rgb, orientation)
    if least and (factor := min(rgb.shape[:2]) // (2 * least)) > 1:
        rgb = np.asarray(Pillow.fromarray(rgb).reduce(factor))
    cut = None if box is None else _inside(box, rgb, shown, notes)
    if cut is not None:
        rgb = _cut(rgb, cut)
    height, width = rgb.shape[:2]
    if max(width, height) > _EXTREME_RATIO * min(width, height):
        notes.append(f"very long and narrow: {width}×{height}")
    # 4  pixels and their ID
    receipt = Receipt(
        source=name,
        kind="image",
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        format=file_format,
        source_size=stored_size,
        sent_size=(width, height),
        rotation=upright.NAMES.get(orientation or 1, "none"),
        frames=opened.frames,
        locator=None if cut is None else str(Locator(box=cut)),
        notes=tuple(dict.fromkeys(notes + heard)),
    )
    return Image(rgb, image_id(rgb), receipt)


def _refuse_what_pillow_cannot(data: bytes, shown: str) -> None:
    if is_svg(data):
        raise InputError(f"{shown} is an SVG drawing", hint="convert it: `rsvg-convert -w 1024 IN.svg -o OUT.png`")
    if data.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        raise InputError(f"{shown} is PostScript", hint="convert it: `gs -sDEVICE=png16m -r150 -o OUT.png IN.eps`")
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        raise InputError(f"{shown} is JPEG XL, which is not supported yet", hint="convert it: `djxl IN.jxl OUT.png`")
    if damage.is_unfinished(data):
        raise _unfinished(shown)


def _open(data: bytes, shown: str, suffix: str, max_megapixels: float) -> _Opened:
    """Read the header."""
    notes: list[str] = []
    if data.startswith(pngs.SIGNATURE):
        checked = pngs.check(data)
        if checked.damage is not None:
            raise _refused(shown, checked.damage)
        data, notes = checked.data, list(checked.notes)
    elif data[4:8] == b"ftyp":  # its decoders have limits of their own, with words of their own
        _check_megapixels(boxes.largest_size(data), shown, max_megapixels)
    stream = io.BytesIO(data)
    try:
        picture = pillow.open_header(stream, suffix, int(max_megapixels * 1e6))
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins let any exception fly on a damaged header
        raise _damaged(data, shown, error, max_megapixels) from error
    if picture.width < 1 or picture.height < 1:
        raise InputError(f"{shown} has no pixels: {picture.width}×{picture.height}")
    _check_megapixels(picture.size, shown, max_megapixels)
    frames = _count_frames(picture, notes)
    return _Opened(
        picture=picture,
        data=data,
        shown=shown,
        max_megapixels=max_megapixels,
        stream=stream,
        tiles=list(getattr(picture, "tile", ())),
        frames=frames,
        orientation=upright.by_decoder(picture, notes),
        notes=notes,
    )


def _check_megapixels(size: tuple[int, int], shown: str, max_megapixels: float) -> None:
    if size[0] * size[1] > max_megapixels * 1e6:
        raise _too_big(f"{shown} ({size[0]}×{size[1]})", size[0] * size[1], max_megapixels)


def _too_big(shown: str, n_pixels: int, max_megapixels: float) -> InputError:
    return InputError(
        f"{shown} has {n_pixels / 1e6:.0f} megapixels, the limit is {max_megapixels:g}",
        hint="shrink it first; if you trust it, raise MMCLI_MAX_MEGAPIXELS",
    )


def _jpeg_pixels(opened: _Opened, least: int) -> NDArray[np.uint8] | None:
    """A JPEG's pixels, RGB (height, width, 3) or grey (height, width); None where only Pillow can decode it."""
    found = jpegs.layout(opened.data)
    if found is None:
        return None
    read = jpegs.read(opened.data, found, opened.picture.mode, least)
    if read.damage is not None:
        raise _refused(opened.shown, read.damage)
    if read.note is not None:
        opened.notes.append(read.note)
    return read.pixels


def _load(opened: _Opened, complaints: tiffs.Complaints) -> None:
    """Decode with Pillow, and refuse what it shows in spite of damage; `complaints` are libtiff's."""
    picture, data, shown = opened.picture, opened.data, opened.shown
    tags = tiffs.tags(picture)
    try:
        picture.load()
    except MemoryError:
        raise
    except Exception as error:  # as in _open: decoders let anything fly
        if not _is_room_for(picture.size):  # some decoders only say that they could not
            raise _too_large_for_memory(shown) from error
        if complaints.errors:
            raise _refused_for(shown, complaints.errors[0]) from error
        raise _damaged(data, shown, error, opened.max_megapixels) from error
    _check_megapixels(picture.size, shown, opened.max_megapixels)  # again: an icon knows its size now
    if picture.format == "TIFF":
        fault, note = tiffs.damage(data, picture.height, tags, complaints)
        opened.notes += [note] if note is not None else []
    else:
        fault = _damage_that_shows(opened)
    if fault is not None:
        raise _refused(shown, fault)
    if (opened.orientation or 1) == 1:
        n_zero, n_rows, missing = damage.unwritten(data, picture, opened.tiles)
        if missing:
            raise _unfinished(shown)
        if n_zero:
            opened.notes.append(
                f"its last {n_zero} of {n_rows} rows in the file are zeros: black, or an unfinished copy"
            )


def _is_room_for(size: tuple[int, int]) -> bool:
    """Whether the memory would hold a picture twice, with four bytes a pixel."""
    try:
        bytearray(size[0] * size[1] * 8)
    except MemoryError:
        return False
    return True


def _damage_that_shows(opened: _Opened) -> str | None:
    """What is wrong with a picture that Pillow has decoded without an error; None if nothing is."""
    picture, data = opened.picture, opened.data
    if picture.format == "PNG":
        # Missing rows are black. Those of an interlaced picture may be anywhere.
        last_row = picture.crop((0, picture.height - 1, picture.width, picture.height))
        suspicious = picture.info.get("interlace") or not np.asarray(last_row).any()
        return pngs.missing_rows(data) if suspicious else None
    if picture.format in ("ICO", "ICNS", "CUR"):
        return pngs.damage_inside(data)
    return damage.qoi_damage(data, opened.stream) if picture.format == "QOI" else None


def _refused(shown: str, damage: str) -> InputError:
    return InputError(f"{shown} is {damage}", hint=_COPY_AGAIN)


def _unfinished(shown: str) -> InputError:
    return InputError(f"{shown} ends in zeros: an unfinished copy or download", hint=_COPY_AGAIN)


def _too_large_for_memory(shown: str) -> ResourceError:
    return ResourceError(f"not enough memory to decode {shown}", hint="close other programs, or shrink it first")


def _damaged(data: bytes, shown: str, error: Exception, max_megapixels: float) -> MmcliError:
    """What an exception of Pillow's means."""
    if isinstance(error, Pillow.DecompressionBombError):
        found = re.search(r"\d+", str(error))
        return _too_big(shown, int(found[0]) if found else 0, max_megapixels)
    if "memory" not in str(error) and damage.is_cut_short(data, error):
        return _refused(shown, "cut short: its end is missing")
    if isinstance(error, UnidentifiedImageError):  # its message shows a BytesIO, not the reason
        return InputError(f"{shown} begins like a picture but cannot be decoded", hint=_TRY_ANOTHER)
    return _refused_for(shown, " ".join(str(error).split())[:120] or type(error).__name__)


def _refused_for(shown: str, reason: str) -> MmcliError:
    """What a decoder says: of damage, of a kind of picture that it does not know, or of the memory."""
    if re.search(r"(?i)out of memory|memory alloc|alloc\w* memory|insufficient memory|not enough memory", reason):
        return _too_large_for_memory(shown)
    if re.search(r"(?i)\bun(supported|implemented|known)\b|\bnot (supported|implemented|configured)\b", reason):
        return InputError(f"{shown} cannot be decoded: {reason}", hint="convert it to PNG with another program")
    return InputError(f"{shown} is damaged: {reason}", hint=_TRY_ANOTHER)


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
    if picture.format == "TIFF" and damage.is_preview(getattr(picture, "tag_v2", {})):
        notes.append("its first page is marked as a preview")
    notes.append(f"{'main one' if word == 'pictures' else 'first'} of {n} {word}")
    return n


def _inside(box: Rectangle, rgb: NDArray[np.uint8], shown: str, notes: list[str]) -> Rectangle:
    """The part of the box, in pixels, that lies in the picture (height, width, 3); a note says which."""
    height, width = rgb.shape[:2]
    found = box.within(width, height)
    if found is None:
        raise InputError(
            f"{shown}: the box lies outside the picture, which is {width}×{height}",
            hint="x and y count from the top left corner of the upright picture",
        )
    clipped = f", cut off at its edges ({box} was asked for)" if box.exceeds(width, height) else ""
    notes.append(f"box {found} of {width}×{height}{clipped}")
    return found


def _cut(rgb: NDArray[np.uint8], box: Rectangle) -> NDArray[np.uint8]:
    """A copy of those pixels, C order, so that the whole picture can be let go."""
    left, top = int(box.x), int(box.y)
    return rgb[top : top + int(box.height), left : left + int(box.width)].copy()
