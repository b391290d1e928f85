"""A decoded medium -> the bytes of a file that holds it, for a picture that lies in no file. The opposite of `load`."""

from __future__ import annotations

import io
import wave

from mmcli.errors import InputError
from mmcli.media.names import quoted
from mmcli.media.types import Document, Image, Medium, Text


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
