"""Films for tests, made in a moment: PyAV encodes frames that a function draws."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Draw = Callable[[ImageDraw.ImageDraw, float], None]  # (canvas, seconds)


ROOT = Path(__file__).parents[1]


def real() -> list[Path]:
    """The films of MMCLI_TEST_DATA or of ../shared/data; none where there are none."""
    named = os.environ.get("MMCLI_TEST_DATA")
    folders = [Path(named)] if named else [parent / "shared" / "data" for parent in ROOT.parents]
    found = next((folder for folder in folders if (folder / "video").is_dir()), None)
    return sorted(path for path in found.glob("video/**/*.m[pk][4v]")) if found else []


def moving_box(canvas: ImageDraw.ImageDraw, seconds: float) -> None:
    """A red box that crosses the picture."""
    left = 10 + (seconds * 37) % 260
    canvas.rectangle((left, 20, left + 40, 60), fill="red")


def make(
    path: Path,
    draw: Draw = moving_box,
    *,
    size: tuple[int, int] = (320, 180),
    seconds: float = 4.0,
    rate: int = 10,
    gop: int = 20,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    options: dict[str, str] | None = None,
    times: Sequence[float] | None = None,
    subtitles: Sequence[tuple[float, float, str]] = (),
    sound: NDArray[np.int16] | None = None,
    background: str = "white",
) -> Path:
    """A film; `rotation` is what its display matrix asks for, in degrees counter-clockwise.

    `times`: when each frame is shown, instead of at an even rate; `subtitles`: (begin, end, words), in Matroska only;
    `sound`: (n,) at 16,000 Hz.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.codec_context.gop_size = gop
        if rotation:
            stream.set_display_rotation(rotation)
        if times is not None:
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        track = container.add_stream("aac", rate=16_000, layout="mono") if sound is not None else None
        written = av.open(_srt(subtitles), format="srt") if subtitles else None
        words = container.add_stream_from_template(written.streams.subtitles[0]) if written else None
        for number, second in enumerate(times if times is not None else np.arange(0, seconds, 1 / rate)):
            picture = Image.new("RGB", size, background)
            draw(ImageDraw.Draw(picture), float(second))
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = round(second * 1000), Fraction(1, 1000)
            else:
                frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None and sound is not None:
            for packet in _sound(track, sound):
                container.mux(packet)
        for packet in written.demux() if written else ():
            if packet.size:
                packet.stream = words
                container.mux(packet)
    return path


def _sound(track: av.AudioStream, samples: NDArray[np.int16]) -> Iterator[av.Packet]:
    for start in range(0, len(samples), 1024):
        block = np.ascontiguousarray(samples[start : start + 1024]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
        yield from track.encode(frame)
    yield from track.encode(None)


def _srt(subtitles: Sequence[tuple[float, float, str]]) -> io.BytesIO:
    def clock(second: float) -> str:
        return (
            f"{int(second // 3600):02}:{int(second // 60) % 60:02}:{int(second % 60):02},{round(second % 1 * 1000):03}"
        )

    cues = [f"{i}\n{clock(a)} --> {clock(b)}\n{text}\n" for i, (a, b, text) in enumerate(subtitles, 1)]
    return io.BytesIO("\n".join(cues).encode())


def star_at(second: float) -> Draw:
    """A blue circle throughout, and from `second` on a yellow star in its place."""

    def draw(canvas: ImageDraw.ImageDraw, at: float) -> None:
        if at < second:
            canvas.ellipse((110, 40, 210, 140), fill="blue")
        else:
            canvas.polygon(_star(160, 90, 60), fill="yellow")

    return draw


def _star(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    points = []
    for i in range(10):
        length, angle = radius if i % 2 == 0 else 0.45 * radius, math.pi * (i / 5 - 0.5)
        points.append((x + length * math.cos(angle), y + length * math.sin(angle)))
    return points
