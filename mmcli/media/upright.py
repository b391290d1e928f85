"""How a camera was held: the orientation that a picture's file tells, and pixels turned by it. Decodes nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

_TAG = 0x0112
SIDEWAYS = (5, 6, 7, 8)  # orientations that swap width and height
# EXIF orientation -> what is done to the stored picture, in words (degrees clockwise)
NAMES = {
    2: "flip horizontal",
    3: "180",
    4: "flip vertical",
    5: "flip horizontal, 270",
    6: "90",
    7: "flip horizontal, 90",
    8: "270",
}


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Stored pixels (height, width, 3) as they are seen upright, C order."""
    if orientation in SIDEWAYS:
        pixels = pixels.transpose(1, 0, 2)
    rows = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    columns = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return np.ascontiguousarray(pixels[rows, columns])


def of(picture: Pillow.Image, notes: list[str]) -> int | None:
    """The EXIF or XMP orientation of a picture, 1 … 8; None where it tells none that makes sense."""
    try:
        value = picture.getexif().get(_TAG)
    except Exception:  # a broken tag must not cost a good picture
        notes.append("its EXIF data is broken: taken as upright")
        return None
    return int(value) if value == 1 or value in NAMES else None


def by_decoder(picture: Pillow.Image, notes: list[str]) -> int | None:
    """The orientation that decoding applies by itself; None for formats where it is left to us.

    To be asked before the picture is loaded: Pillow forgets it then.
    """
    if picture.format == "TIFF":
        return of(picture, notes) or 1
    return _by_heif(picture) if picture.format == "HEIF" else None


def _by_heif(picture: Pillow.Image) -> int:
    """A HEIF file's `irot` and `imir` boxes, which libheif obeys, as an EXIF orientation: for the receipt only."""
    try:
        steps = picture._heif_file[picture.tell()]._c_image.transformations  # type: ignore[attr-defined]
    except (AttributeError, IndexError, TypeError):  # pillow_heif keeps this to itself, and may move it
        return 1
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
    return table.get(mirrored, {}).get(clockwise, 1)
