"""Frames of films: mmcli's decoding beside the ffmpeg program, in turns; and the memory that a long film takes.

    python -m tests.bench.video --ffmpeg PATH [--runs 5]

The film is made here: a minute of 720p at 30 frames a second with a keyframe each five seconds; the long one is the
same minute 120 times. ffmpeg scales a frame a second to what mmcli scales its own to. CPU seconds are compared: of
ffmpeg's whole process, and of the decoding alone within mmcli's, whose imports any other question pays, too. For the
long film, ffmpeg's minute counts 120 times. Bars: 60 frames ≤ 1.05×, 12 frames ≤ 0.15×, 12 exact ones ≤ 0.65×, 32 of
two hours ≤ 0.02× and less than 300 MB.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.bench.measure import COMPILED, Ratios, machine, run

SIZE, SENT, RATE, SECONDS, TIMES = (1280, 720), (768, 432), 30, 60, 120
MOST_MEMORY = 300e6  # bytes
CHILD = """
import json, resource, sys, time
from pathlib import Path
from mmcli.media import video
from mmcli.media.wanted import FilmWanted
path, how = Path(sys.argv[1]), json.loads(sys.argv[2])
started = time.process_time()
film = video.decode(path, shown="film", wanted=FilmWanted(**how))
seconds = time.process_time() - started
print(json.dumps([seconds, len(film.moments), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def minute(path: Path) -> Path:
    """A minute of moving patterns with a little noise, as cameras have it."""
    width, height = SIZE
    rows, columns = np.mgrid[0:height, 0:width]
    pattern = np.stack([(rows * 3 + columns) % 256, (columns * 2) % 256, (rows + columns) % 256], -1).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 24, (4, height, width, 3)).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast", "crf": "26"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = 5 * RATE
        for i in range(SECONDS * RATE):
            picture = np.roll(pattern, 5 * i, axis=1) // 2 + noise[i % 4] + np.uint8(i // RATE)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def repeated(path: Path, film: Path) -> Path:
    """The same minute again and again, without encoding it anew."""
    with av.open(str(path), "w") as out, av.open(str(film)) as first:
        stream = out.add_stream_from_template(first.streams.video[0])
        for number in range(TIMES):
            with av.open(str(film)) as container:
                source = container.streams.video[0]
                shift = int(number * SECONDS / Fraction(source.time_base or 1))
                for packet in container.demux(source):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = (packet.pts or 0) + shift, packet.dts + shift
                    packet.stream = stream
                    out.mux(packet)
    return path


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--ffmpeg", required=True, help="the ffmpeg program")
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    print(machine())
    ratios = Ratios()
    with tempfile.TemporaryDirectory() as scratch:
        film = minute(Path(scratch) / "minute.mp4")
        long = repeated(Path(scratch) / "long.mp4", film)
        print(
            f"a minute: {film.stat().st_size / 1e6:.0f} MB; two hours: {long.stat().st_size / 1e6:.0f} MB", flush=True
        )
        scale = f"fps=1,scale={SENT[0]}:{SENT[1]}"
        theirs = [
            given.ffmpeg,
            "-v",
            "error",
            "-i",
            str(film),
            "-vf",
            scale,
            "-pix_fmt",
            "rgb24",
            "-f",
            "rawvideo",
            "-y",
        ]
        theirs.append(str(Path(scratch) / "frames.rgb"))

        def ours(path: Path, **how: object) -> tuple[float, int, int]:
            seconds, n, peak = json.loads(run([sys.executable, "-c", CHILD, str(path), json.dumps(how)], COMPILED).out)
            return seconds, n, peak

        for number in range(given.runs):
            ffmpeg = run(theirs, COMPILED).cpu
            every, n_every, _ = ours(film, fps=1)
            few, n_few, _ = ours(film, frames=12)
            exact, _, _ = ours(film, frames=12, exact=True)
            hours, n_hours, peak = ours(long, frames=32)
            assert (n_every, n_few, n_hours) == (60, 12, 32), (n_every, n_few, n_hours)
            ratios.add("60 frames of a minute / ffmpeg, CPU", every / ffmpeg, most=1.05)
            ratios.add("12 frames of a minute / ffmpeg, CPU", few / ffmpeg, most=0.15)
            ratios.add("12 exact frames of a minute / ffmpeg, CPU", exact / ffmpeg, most=0.65)
            ratios.add("32 frames of two hours / ffmpeg × 120, CPU", hours / (TIMES * ffmpeg), most=0.02)
            ratios.add("memory of two hours / 300 MB", peak / MOST_MEMORY, most=1.0)
            told = f"ffmpeg {ffmpeg:.2f} s, 60 {every:.2f}, 12 {few:.2f}, exact {exact:.2f}, two hours {hours:.2f}"
            print(f"round {number + 1}: {told}, {peak / 1e6:.0f} MB", flush=True)
    ratios.show()


if __name__ == "__main__":
    main()
