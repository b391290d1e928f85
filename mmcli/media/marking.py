"""Draws labelled boxes on a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    MarkedBox = tuple[str, int, int, int, int]  # label, x, y, width, height, in pixels of the picture

_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#f032e6")


def marked(pixels: NDArray[np.uint8], boxes: Sequence[MarkedBox]) -> NDArray[np.uint8]:
    """A copy of an RGB picture (height, width, 3) with these boxes on it; each label has a colour of its own."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    line = max(2, round(min(picture.size) / 200))
    font = ImageFont.load_default(max(11, round(min(picture.size) / 30)))
    colours = {label: _COLOURS[i % len(_COLOURS)] for i, label in enumerate(dict.fromkeys(box[0] for box in boxes))}
    for label, x, y, width, height in boxes:
        pen.rectangle((x, y, x + width - 1, y + height - 1), outline=colours[label], width=line)
        left, top, right, bottom = pen.textbbox((0, 0), label, font=font)
        text_y = y - (bottom - top) - 2 * line if y >= bottom - top + 2 * line else y + line
        pen.rectangle((x, text_y, x + right - left + 2 * line, text_y + bottom - top + 2 * line), fill=colours[label])
        pen.text((x + line - left, text_y + line - top), label, fill="white", font=font)
    return np.asarray(picture)


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """An RGB picture as the bytes of a PNG."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()
