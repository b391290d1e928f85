"""Which characters of a page have ink under them, and whether a page is blank or faint. Knows pixels, no PDF.

The text layer of a page is a claim; what a person sees is its picture. White letters on white, letters below a box, too
small or beside the page are in the layer, and not in the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CONTRAST = 48  # of 255, between lightest and darkest pixel: less is not seen as letters
FAINT_CONTRAST = 24  # the same on a page whose darkest ink is itself pale
FAINT_INK = 96  # a page whose darkest ink differs from its ground by less is faint
BLANK_SHARE = 4e-5  # of the page's pixels: less ink than that is dust
_INK = 40  # from the ground, of 255: what counts as ink when a page may be blank
_TILE = 16  # pixels; the ground of a scan changes slowly
_COARSE, _FINE = 6, 32  # pixels looked at along a side of a letter: first few, then all but of very large ones
_AT_ONCE = 1_000_000  # pixels gathered at a time


def is_inked(pixels: NDArray[np.uint8], boxes: NDArray[np.int32], least: int = CONTRAST) -> NDArray[np.bool_]:
    """(n,): whether the lightest and the darkest pixel of each box differ by `least`, of 255, in any channel.

    `pixels` are (height, width, 3) in C order, `boxes` (n, 4): left, top, right, bottom in pixels, the last two
    exclusive. What lies outside of the picture is cut off; in a box without pixels there is no ink.
    """
    height, width = pixels.shape[:2]
    clipped = np.empty_like(boxes)
    clipped[:, 0::2] = boxes[:, 0::2].clip(0, width)
    clipped[:, 1::2] = boxes[:, 1::2].clip(0, height)
    found = np.zeros(len(boxes), np.bool_)
    left = np.flatnonzero((clipped[:, 2:] > clipped[:, :2]).all(axis=1))
    # Most letters show in a few pixels of green; letters of one colour, such as yellow on white, in blue alone.
    for channel, samples in ((1, _COARSE), (1, _FINE), (0, _FINE), (2, _FINE)):
        if not len(left):
            break
        found[left] = _contrast(pixels, channel, clipped[left], samples) >= least
        left = left[~found[left]]
    return found


def _contrast(pixels: NDArray[np.uint8], channel: int, boxes: NDArray[np.int32], samples: int) -> NDArray[np.uint8]:
    """Lightest minus darkest pixel in each box, which is not empty, among at most so many across and down."""
    width = pixels.shape[1]
    flat = pixels.reshape(-1)
    sides = boxes[:, 2:] - boxes[:, :2]
    steps = -(-sides // samples)  # (n, 2): across, down
    counts = -(-sides // steps)
    areas = counts[:, 0] * counts[:, 1]
    ends = np.cumsum(areas, dtype=np.int64)
    found = np.empty(len(boxes), np.uint8)
    first = 0
    while first < len(boxes):
        before = int(ends[first - 1]) if first else 0
        last = max(int(np.searchsorted(ends, before + _AT_ONCE, "right")), first + 1)
        part = slice(first, last)
        begins = np.concatenate(([0], ends[first : last - 1] - before))
        n_across, area = counts[part, 0], areas[part]
        place = np.arange(ends[last - 1] - before, dtype=np.int32) - np.repeat(begins.astype(np.int32), area)
        row = place // np.repeat(n_across, area)
        column = place - row * np.repeat(n_across, area)
        origin = (boxes[part, 1] * width + boxes[part, 0]) * 3 + channel
        values = flat[
            np.repeat(origin, area)
            + row * np.repeat(steps[part, 1] * (3 * width), area)
            + column * np.repeat(steps[part, 0] * 3, area)
        ]
        found[part] = np.maximum.reduceat(values, begins) - np.minimum.reduceat(values, begins)
        first = last
    return found


def covered(shape: tuple[int, int], boxes: NDArray[np.int32], by: NDArray[np.int32]) -> NDArray[np.float64]:
    """The share of each box (n, 4) that lies below the boxes `by` (m, 4), in a picture of `shape` (height, width)."""
    height, width = shape
    mask = np.zeros((height + 1, width + 1), np.int32)  # with a row and a column of zeros before, for the sums
    for left, top, right, bottom in by.clip(0, max(shape)).tolist():
        mask[top + 1 : bottom + 1, left + 1 : right + 1] = 1
    sums = mask.cumsum(0).cumsum(1)
    left, right = boxes[:, 0].clip(0, width), boxes[:, 2].clip(0, width)
    top, bottom = boxes[:, 1].clip(0, height), boxes[:, 3].clip(0, height)
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return np.asarray(inside / np.maximum((right - left) * (bottom - top), 1))


def ink(pixels: NDArray[np.uint8]) -> tuple[float, int]:
    """The share of a page (height, width, 3) that is ink, and how far its darkest ink lies from the ground, of 255.

    The ground is what is lightest nearby (darkest, on a dark page), so that shadows and yellowed edges are none.
    """
    best = (0.0, 0)
    for channel in (1, 0, 2):
        best = max(best, _ink_of(pixels[:, :, channel]))
        if best[0] >= BLANK_SHARE and best[1] >= FAINT_INK:
            break
    return best


def _ink_of(plane: NDArray[np.uint8]) -> tuple[float, int]:
    """As `ink`, of one channel (height, width)."""
    height, width = plane.shape
    rows, columns = max(height // _TILE, 1), max(width // _TILE, 1)
    tall, wide = min(_TILE, height), min(_TILE, width)
    tiles = plane[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)
    lightest, darkest = tiles.max(axis=(1, 3)), tiles.min(axis=(1, 3))
    spread = lightest - darkest
    is_dark = np.median(lightest) < 128
    ground = darkest if is_dark else lightest
    suspects = np.argwhere(spread >= FAINT_CONTRAST)
    if not len(suspects):
        return _of_flat_tiles(ground)
    found = tiles[suspects[:, 0], :, suspects[:, 1], :]  # (n, tall, wide)
    base = ground[suspects[:, 0], suspects[:, 1]][:, None, None]
    distance = found - base if is_dark else base - found
    n_ink = int(np.count_nonzero(distance >= _INK))
    return max((n_ink / plane.size, int(distance.max())), _of_flat_tiles(ground))


def _of_flat_tiles(ground: NDArray[np.uint8]) -> tuple[float, int]:
    """The same where whole tiles are ink: a filled shape has no light pixel nearby. `ground` is one value a tile."""
    usual = int(np.median(ground))
    distance = np.abs(ground.astype(np.int16) - usual)
    return 0.0, int(distance.max())
