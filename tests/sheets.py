"""Pictures of printed pages for the tests of reading."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LINES = ("The quick brown fox", "jumps over 1,234 lazy dogs", "on Monday morning.")


def sheet(*lines: str, size: int = 36, ink: str = "black", ground: str = "white") -> np.ndarray:
    """A picture (height, width, 3) with these lines of ASCII text."""
    picture = Image.new("RGB", (800, 120 + 80 * len(lines)), ground)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size)
    for at, line in enumerate(lines):
        draw.text((60, 60 + 80 * at), line, ink, font=font)
    return np.asarray(picture)
