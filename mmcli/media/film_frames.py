"""One decoded frame -> upright RGB pixels of the wanted size. Knows PyAV's frames; knows no files and no times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from mmcli.media import film_colour
from mmcli.media.wanted import FilmRecipe, FilmWanted

if TYPE_CHECKING:
    import av
    from numpy.typing import NDArray

HDR = frozenset((film_colour.PQ, film_colour.HLG))
BT709 = 1  # as AVColorSpace has it
UNSPECIFIED = 2
HD = 720  # lines
CELL = 8  # pixels: two frames are compared by the means of squares of this side
SAME = 3.0  # of 255: what the mean of no square may differ by in frames that look alike
BWDIF = "bwdif=mode=send_frame:parity=auto:deint=all"


@dataclass(frozen=True)
class FrameShape:
    """How a film's frames become pictures."""

    stored: tuple[int, int]  # (width, height) in the file
    turned: int  # degrees clockwise that the display matrix asks for: 0, 90, 180, 270
    size: tuple[int, int]  # (width, height) after scaling, before it is turned
    is_hdr: bool

    @property
    def sent(self) -> tuple[int, int]:
        """(width, height) of the upright picture."""
        width, height = self.size
        return (height, width) if self.turned in (90, 270) else (width, height)


def shape(frame: av.VideoFrame, pixel_aspect: float, wanted: FilmWanted) -> FrameShape:
    """What is to be made of a frame like this; `pixel_aspect` is a pixel's width by its height."""
    size = size_of(frame.width * pixel_aspect, float(frame.height), wanted.recipe)
    # PyAV gives the turn counter-clockwise, as av_display_rotation_get does
    turned = round(-frame.rotation / 90) % 4 * 90
    if wanted.size is not None:
        size = wanted.size[::-1] if turned in (90, 270) else wanted.size
    return FrameShape((frame.width, frame.height), turned, size, int(frame.color_trc) in HDR)


def size_of(width: float, height: float, recipe: FilmRecipe) -> tuple[int, int]:
    """(width, height) that a frame is scaled to: never larger than it is."""
    scale = min(1.0, recipe.side / max(width, height))
    if recipe.pixels is not None:
        scale = min(scale, math.sqrt(recipe.pixels / (width * height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


class Pictures:
    """Makes pictures of a film's frames, all in one way."""

    def __init__(self, shape: FrameShape) -> None:
        from av.video.reformatter import VideoReformatter

        self.shape, self._scaler = shape, VideoReformatter()

    def of(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """(height, width, 3) uint8 RGB, upright, C order."""
        width, height = self.shape.size
        is_hdr = int(frame.color_trc) in HDR
        # A film that names no colour matrix means BT.709 where it is large, as players take it.
        is_unnamed = int(frame.colorspace) == UNSPECIFIED and frame.height >= HD
        scaled = self._scaler.reformat(
            frame,
            width,
            height,
            "rgb48le" if is_hdr else "rgb24",
            interpolation="AREA",
            src_colorspace=BT709 if is_unnamed else None,
        )
        coded = np.asarray(scaled.to_ndarray())
        picture = film_colour.to_sdr(coded.astype(np.uint16), int(frame.color_trc)) if is_hdr else coded
        return np.ascontiguousarray(np.rot90(picture, -self.shape.turned // 90))


def deinterlaced(frames: list[av.VideoFrame]) -> av.VideoFrame:
    """The first of two neighbouring interlaced frames, with the lines between its own made from both."""
    from av.filter import Graph

    first = frames[0]
    graph = Graph()
    begin = graph.add_buffer(
        width=first.width, height=first.height, format=first.format, time_base=first.time_base or Fraction(1)
    )
    bwdif, end = graph.add("bwdif", BWDIF.partition("=")[2]), graph.add("buffersink")
    begin.link_to(bwdif)
    bwdif.link_to(end)
    graph.configure()
    for frame in frames:
        graph.push(frame)
    graph.push(None)
    out = graph.pull()
    return out  # type: ignore[return-value]


def look_alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether nobody would tell two pictures apart: no small square of them differs by more than noise does."""
    if one.shape != other.shape:
        return False
    return bool(np.abs(_means(one) - _means(other)).max() <= SAME)


def _means(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(rows, columns, 3) float32: the mean of each square of CELL pixels; the rest at two edges goes to the last."""
    height, width = picture.shape[:2]
    rows, columns = np.arange(0, height, CELL), np.arange(0, width, CELL)
    sums = np.add.reduceat(np.add.reduceat(picture, rows, axis=0, dtype=np.float32), columns, axis=1)
    n_rows = np.diff(np.append(rows, height))[:, None, None]
    n_columns = np.diff(np.append(columns, width))[None, :, None]
    return np.asarray(sums / (n_rows * n_columns), np.float32)
