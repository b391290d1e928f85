"""Tells animations from still pictures by their first bytes, without what decodes films: most pictures are still."""

from __future__ import annotations

import io

FORMATS = ("GIF", "PNG", "WEBP")
_STARTS = (b"GIF8", b"\x89PNG\r\n\x1a\n", b"RIFF")


def is_animated(data: bytes) -> bool:
    """Whether these bytes are a GIF, APNG or WebP of two or more frames."""
    if not data.startswith(_STARTS) or (data[:4] == b"RIFF" and data[8:12] != b"WEBP"):
        return False
    if data[:4] == b"RIFF" and b"ANIM" not in data[:1024]:
        return False
    if data[:4] == b"\x89PNG" and b"acTL" not in data[: max(1024, data.find(b"IDAT"))]:
        return False
    from PIL import Image as Pillow

    from mmcli.media import pillow

    with pillow.warnings_kept():
        try:
            with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
                return int(getattr(picture, "n_frames", 1)) > 1
        except Exception:  # damaged: whoever decodes the picture says how
            return False
