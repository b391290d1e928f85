"""A decoded medium -> the bytes of a file that holds it, for a picture that lies in no file. The opposite of `load`."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING

from mmcli.errors import InputError
from mmcli.media.names import quoted
from mmcli.media.types import Document, Image, Medium, Text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def pack(medium: Medium) -> bytes:
    """A picture as PNG (the same pixels), a sound as 16-bit WAV, a text as UTF-8; InputError for a document."""
    if isinstance(medium, Document):
        name = quoted(medium.receipt.source)
        raise InputError(f"{name} was piped in and lies in no file", hint="save it to a file and attach that")
    if isinstance(medium, Text):
        return medium.text.encode("utf-8", "replace")
    out = io.BytesIO()
    if isinstance(medium, Image):
        from PIL import Image as Pillow

        Pillow.fromarray(medium.pixels).save(out, "PNG")
        return out.getvalue()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(medium.sample_rate)
        file.writeframes((medium.samples * 32767).astype("<i2").tobytes())
    return out.getvalue()


def jpeg(pixels: NDArray[np.uint8], side: int) -> bytes:
    """A small JPEG of RGB pixels (height, width, 3), fitted into a square of `side`."""
    from PIL import Image as Pillow

    picture = Pillow.fromarray(pixels)
    picture.thumbnail((side, side))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return out.getvalue()
