"""Any Pillow mode -> 8-bit RGB, saying what was changed. Knows pixels and colour profiles, not files or rotation."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_PROFILE_ERRORS = (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError)
_WHITE = (255, 255, 255)
_PHOTOMETRIC, _BITS_PER_SAMPLE, _NO_DATA = 262, 258, 42113  # TIFF tags; the last one is GDAL's
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}
_ROWS = 64  # converted at a time: floats of a whole picture would take more memory than all the rest
_SURELY_NO_DATA = 1e30  # no height, temperature or brightness is as large
_OFTEN_NO_DATA = frozenset([-999, -9999, -99999, -32767, -32768, -(2**31) + 1, -(2**31)])


def to_rgb(picture: Image.Image, pixels: NDArray[np.uint8] | None, notes: list[str]) -> NDArray[np.uint8]:
    """Convert a picture to RGB: scale deep greys, apply the colour profile, lay transparency on white.

    `pixels` are those of a picture that was decoded elsewhere, RGB (height, width, 3) or grey (height, width); without
    them, `picture` is loaded. Appends a sentence to `notes` for everything that changes what one would see. Returns
    (height, width, 3), C order.
    """
    icc = picture.info.get("icc_profile")
    if pixels is None:
        rgb = _array(_converted(picture, icc, notes))
    elif (profile := _profile(icc, "RGB" if pixels.ndim == 3 else "L", notes)) is not None:
        picture = Image.fromarray(pixels)
        rgb = _array(_to_srgb(picture, profile, notes) or picture)
    else:
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    _note_one_colour(rgb, notes)
    return rgb


def _array(picture: Image.Image) -> NDArray[np.uint8]:
    """The pixels of an L or RGB picture, (height, width, 3). Faster than asking for all at once, and without a copy."""
    width, height = picture.size
    pixels = np.empty((height, width, 3), np.uint8)
    for i, band in enumerate(_bands(picture)):
        pixels[i * _ROWS : (i + 1) * _ROWS] = band if band.ndim == 3 else np.repeat(band[..., None], 3, axis=2)
    return pixels


def _converted(picture: Image.Image, icc: bytes | None, notes: list[str]) -> Image.Image:
    """A loaded picture in L or RGB, as it is to be seen."""
    flat, alpha = _split_alpha(_to_8_bits(picture, notes))
    profile = _profile(icc, flat.mode, notes)
    rgb = _to_srgb(flat, profile, notes) if profile is not None else None
    if rgb is None:
        if flat.mode == "CMYK":
            notes.append("CMYK converted to RGB without a colour profile")
        rgb = _lab_to_rgb(flat) if flat.mode == "LAB" else flat if flat.mode in ("L", "RGB") else flat.convert("RGB")
    if alpha is not None:
        lowest, _ = alpha.getextrema()
        if lowest != 255:
            white = Image.new("RGB", rgb.size, _WHITE)
            white.paste(rgb.convert("RGB"), mask=alpha)
            rgb = white
            notes.append("transparency laid on white")
    return rgb


def _note_one_colour(rgb: NDArray[np.uint8], notes: list[str]) -> None:
    if rgb.shape[0] * rgb.shape[1] > 1 and all((row == rgb[0, 0]).all() for row in rgb):  # ends at the first other row
        notes.append("every pixel has the same colour")


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


def _profile(icc: bytes | None, mode: str, notes: list[str]) -> ImageCms.ImageCmsProfile | None:
    """The embedded profile if it changes colours; None when it is sRGB already, broken, or made for another mode."""
    if not icc:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = ImageCms.getProfileDescription(profile)
        fits = profile.profile.xcolor_space == _PROFILE_SPACES.get(mode)
    except _PROFILE_ERRORS:
        notes.append("its colour profile is broken and was left out")
        return None
    return profile if fits and "srgb" not in name.lower() else None


def _to_srgb(flat: Image.Image, profile: ImageCms.ImageCmsProfile, notes: list[str]) -> Image.Image | None:
    """Convert by a profile; None where it is broken after all."""
    try:
        converted = ImageCms.profileToProfile(flat, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        name = ImageCms.getProfileDescription(profile).strip()
    except _PROFILE_ERRORS:
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
    tags = getattr(picture, "tag_v2", {})
    no_data = None
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        top = 4095 if tags.get(_BITS_PER_SAMPLE) in (12, (12,)) else 65535
        low, high = 0.0, float(top)
        notes.append(f"{12 if top == 4095 else 16}-bit greys scaled to 8 bits")
        brightest = max(int(greys.max()) for greys in _bands(picture))
        if brightest <= top // 16:
            notes.append(f"very dark: its brightest grey is {brightest} of {top}")
    else:
        low, high, no_data = _range(np.asarray(picture), _declared_no_data(tags), notes)
    white_is_zero = tags.get(_PHOTOMETRIC) == 0  # Pillow turns only 8-bit greys round
    scaled = np.empty((picture.height, picture.width), np.uint8)
    for i, greys in enumerate(_bands(picture)):
        scaled[i * _ROWS : (i + 1) * _ROWS] = _scaled(greys, low, high, no_data, white_is_zero)
    result = Image.fromarray(scaled)  # mode L
    result.info = picture.info
    result.info.pop("transparency", None)  # a key in 16 bits fits nothing any more
    return result


def _bands(picture: Image.Image) -> Iterator[NDArray[Any]]:
    """A picture's rows from top to bottom, some at a time: arrays of a whole large picture fill the memory."""
    for top in range(0, picture.height, _ROWS):
        yield np.asarray(picture.crop((0, top, picture.width, min(top + _ROWS, picture.height))))


def _scaled(greys: NDArray[Any], low: float, high: float, no_data: float | None, inverted: bool) -> NDArray[np.uint8]:
    scaled = (greys.astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
    if inverted:
        scaled = 255.0 - scaled
    scaled = np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0)
    if no_data is not None:
        scaled[greys == no_data] = 0.0
    result: NDArray[np.uint8] = np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
    return result


def _declared_no_data(tags: Mapping[int, Any]) -> float | None:
    """The value that stands for "nothing was measured here", where the file says so (GDAL's tag)."""
    try:
        return float(str(tags.get(_NO_DATA, "")).strip("\0 "))
    except ValueError:
        return None


def _range(greys: NDArray[Any], declared: float | None, notes: list[str]) -> tuple[float, float, float | None]:
    """The values that become black and white, and the one that stands for no data.

    0…1 and 0…255 are taken as they are, everything else is stretched: the files do not say.
    """
    finite = greys[np.isfinite(greys)]  # (n,)
    if finite.size < greys.size:
        notes.append(f"pixels that are not numbers: {greys.size - finite.size}")
    no_data = _no_data(finite, declared)
    if no_data is not None:
        measured = finite[finite != no_data]
        notes.append(f"pixels without data ({no_data:g}), black: {finite.size - measured.size}")
        finite = measured
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if low >= 0 and high <= 1 and greys.dtype.kind == "f":
        return 0.0, 1.0, no_data
    if low >= 0 and high <= 255:
        return 0.0, 255.0, no_data
    notes.append(f"greys stretched from {low:g} … {high:g} to 0 … 255")
    return low, high if high > low else low + max(1.0, abs(low)), no_data


def _no_data(values: NDArray[Any], declared: float | None) -> Any:
    """The value of pixels that hold no measurement: the declared one, or one of those in use, far from all others."""
    if not values.size:
        return None
    if declared is not None and np.isfinite(declared):
        value = np.float32(declared) if values.dtype.kind == "f" else declared  # as the pixels hold it
        if (values == value).any():
            return value
    lowest, highest = values.min(), values.max()
    if highest >= _SURELY_NO_DATA or (values.dtype.kind == "i" and highest == np.iinfo(values.dtype).max):
        return highest
    if lowest in _OFTEN_NO_DATA or lowest <= -_SURELY_NO_DATA:
        others = values[values != lowest]
        if not others.size or others.min() > lowest / 2:
            return lowest
    return None
