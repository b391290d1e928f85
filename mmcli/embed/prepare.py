"""Upright RGB pixels → what a picture tower sees. Knows no models; Pillow for scaling only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmcli.embed.recipe import Preparation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


def batch(pictures: Sequence[NDArray[np.uint8]], how: Preparation) -> NDArray[np.float32]:
    """(n, 3, side, side) of pictures (height, width, 3) of any sizes."""
    out = np.empty((len(pictures), 3, how.side, how.side), np.float32)
    factor = (1 / (255 * np.array(how.std))).astype(np.float32)[:, None, None]
    offset = (np.array(how.mean) / np.array(how.std)).astype(np.float32)[:, None, None]
    for place, pixels in zip(out, pictures, strict=True):
        np.multiply(square(pixels, how).transpose(2, 0, 1), factor, out=place)
        place -= offset
    return out


def square(pixels: NDArray[np.uint8], how: Preparation) -> NDArray[np.uint8]:
    """(side, side, 3) uint8."""
    height, width = pixels.shape[:2]
    if (height, width) == (how.side, how.side):
        return pixels
    from PIL import Image

    sampling = Image.Resampling[how.interpolation.upper()]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if how.resize == "squash":
        return np.asarray(image.resize((how.side, how.side), sampling))
    fitted = _letterboxed if how.resize == "letterbox" else _cut_out
    return np.asarray(fitted(image, how, sampling))


def _cut_out(image: Image, how: Preparation, sampling: int) -> Image:
    """As torchvision does it: the shorter side to `side`, the longer one rounded down, the middle rounded to even."""
    side, shortest = how.side, min(image.size)
    width, height = (side if length == shortest else int(side * length / shortest) for length in image.size)
    left, top = round((width - side) / 2), round((height - side) / 2)
    scale = shortest / side
    box = (left * image.width / width, top * image.height / height)
    if max(width, height) > 8 * side:  # a panorama: what is cut away in the end is not scaled
        return image.resize((side, side), sampling, box=(*box, box[0] + side * scale, box[1] + side * scale))
    return image.resize((width, height), sampling).crop((left, top, left + side, top + side))


def _letterboxed(image: Image, how: Preparation, sampling: int) -> Image:
    """As llama.cpp does it for the models whose encoders are used here: rounded up, the picture in the middle."""
    from PIL import Image as images

    side, scale = how.side, np.float32(how.side) / np.float32(max(image.size))
    width, height = (min(side, max(1, math.ceil(np.float32(length) * scale))) for length in image.size)
    out = images.new("RGB", (side, side), how.ground)
    out.paste(image.resize((width, height), sampling), ((side - width) // 2, (side - height) // 2))
    return out
