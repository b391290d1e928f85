"""Any Pillow mode -> 8-bit RGB, saying what was changed. Knows pixels and colour profiles, not files or rotation."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_WHITE = (255, 255, 255)
_PHOTOMETRIC, _BITS_PER_SAMPLE = 262, 258  # TIFF tags
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}


def to_rgb(picture: Image.Image, notes: list[str]) -> Image.Image:
    """Convert a loaded picture to RGB: scale deep greys, apply the colour profile, lay transparency on white.

    Appends a sentence to `notes` for everything that changes what one would see.
    """
    icc = picture.info.get("icc_profile")
    flat, alpha = _split_alpha(_to_8_bits(picture, notes))
    rgb = _apply_profile(flat, icc, notes) if icc else None
    if rgb is None:
        if flat.mode == "CMYK":
            notes.append("CMYK converted to RGB without a colour profile")
        rgb = _lab_to_rgb(flat) if flat.mode == "LAB" else flat.convert("RGB")
    if alpha is not None:
        lowest, _ = alpha.getextrema()
        if lowest != 255:
            white = Image.new("RGB", rgb.size, _WHITE)
            white.paste(rgb, mask=alpha)
            rgb = white
            notes.append("transparency laid on white")
    if rgb.width * rgb.height > 1 and all(low == high for low, high in rgb.getextrema()):  # type: ignore[misc]
        notes.append("every pixel has the same colour")
    return rgb


def _split_alpha(picture: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Part a picture into its colours (L, RGB, CMYK, LAB or another mode without alpha) and its alpha (L) or None."""
    if picture.mode == "La":  # premultiplied; Pillow knows no shorter way
        picture = picture.convert("LA")
    if picture.has_transparency_data and picture.mode not in ("I;16", "I", "F"):
        rgba = picture.convert("RGBA")
        alpha = rgba.getchannel("A")
        return (picture if picture.mode == "LA" else rgba).convert("L" if picture.mode == "LA" else "RGB"), alpha
    if picture.mode == "1":
        return picture.convert("L"), None
    if picture.mode in ("P", "RGBX", "YCbCr", "HSV"):
        return picture.convert("RGB"), None
    return picture, None


def _apply_profile(flat: Image.Image, icc: bytes, notes: list[str]) -> Image.Image | None:
    """Convert to sRGB by the embedded profile; None when it is sRGB already, broken, or made for another mode."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = ImageCms.getProfileDescription(profile).strip()
        if profile.profile.xcolor_space != _PROFILE_SPACES.get(flat.mode) or "srgb" in name.lower():
            return None
        converted = ImageCms.profileToProfile(flat, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        notes.append("its colour profile is broken and was left out")
        return None
    notes.append(f"colours converted to sRGB from the profile {name!r}")
    return converted


def _lab_to_rgb(picture: Image.Image) -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    assert converted is not None, "profileToProfile returns a picture unless it works in place"
    return converted


def _to_8_bits(picture: Image.Image, notes: list[str]) -> Image.Image:
    """Scale greys of 12, 16 or 32 bits, or floats, to 8 bits; Pillow's own convert() would clip them at 255."""
    if not (picture.mode.startswith("I") or picture.mode == "F"):
        return picture
    greys = np.asarray(picture)  # (height, width) uint16, int32 or float32
    tags = getattr(picture, "tag_v2", {})
    if picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM"):
        top = 4095 if tags.get(_BITS_PER_SAMPLE) in (12, (12,)) else 65535
        low, high = 0.0, float(top)
        notes.append(f"{12 if top == 4095 else 16}-bit greys scaled to 8 bits")
        brightest = int(greys.max())
        if brightest <= top // 16:
            notes.append(f"very dark: its brightest grey is {brightest} of {top}")
    else:
        low, high = _range(greys, notes)
    scaled = (greys.astype(np.float32) - low) * (255.0 / (high - low))
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero; Pillow turns only 8-bit greys round
        scaled = 255.0 - scaled
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0)
    result = Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))  # (height, width) uint8 -> mode L
    result.info = picture.info
    result.info.pop("transparency", None)  # a key in 16 bits fits nothing any more
    return result


def _range(greys: NDArray[np.floating[Any] | np.integer[Any]], notes: list[str]) -> tuple[float, float]:
    """The values that become black and white, for files that do not say: 0…1 and 0…255 as they are, else stretched."""
    finite = greys[np.isfinite(greys)]  # (n,)
    if finite.size < greys.size:
        notes.append(f"pixels that are not numbers: {greys.size - finite.size}")
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low >= 0 and high <= 1 and greys.dtype.kind == "f":
        return 0.0, 1.0
    if low >= 0 and high <= 255:
        return 0.0, 255.0
    notes.append(f"greys stretched from {low:g} … {high:g} to 0 … 255")
    return low, max(high, low + 1e-6)
