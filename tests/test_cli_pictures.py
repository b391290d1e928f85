"""Bad pictures in commands: the status, what stands on stderr, and a batch that goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.conftest import TIMEOUT, Run, draw
from tests.pictures import encoded, noise


def flipped_fax() -> bytes:
    page = Image.new("1", (480, 320), 1)
    lines = "\n".join(f"line {i} of a letter, {i * 7919}" for i in range(20))
    ImageDraw.Draw(page).text((10, 10), lines, fill=0)
    data = encoded(page, "TIFF", compression="group4")
    at = len(data) // 3
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def tiff_with_holes() -> list[bytes]:
    found = [flipped_fax()]
    for compression in ("jpeg", "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        data = encoded(noise(300, 200), "TIFF", compression=compression)
        half = len(data) // 2
        found.append(data[:half] + b"\xff" * 300 + data[half + 300 :])
    return found


def test_libtiff_says_nothing_itself(ask: Run, tmp_path: Path) -> None:
    for i, data in enumerate(tiff_with_holes()):
        (tmp_path / f"{i}.tif").write_bytes(data)
        done = ask(f"{i}.tif", "What is this?", "--json")
        if i < 4:  # there is nothing in packbits by which damage shows
            assert done.status == 3 and done.json_error["code"] == "input", done.stderr
        else:
            assert done.stderr == ""
    done = ask("0.tif", "What is this?", "-q")
    assert done.status == 3 and done.stderr.startswith("error: `0.tif` is ") and done.stderr.count("\n") == 2


def test_a_pfm_with_nan_is_answered_with_a_note(ask: Run, tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((40, 60), np.float32)
    values[3:5] = np.nan
    (tmp_path / "x.pfm").write_bytes(b"Pf\n60 40\n-1.0\n" + values.tobytes())
    done = ask("x.pfm", "What is this?")
    assert done.status == 0 and "pixels that are not numbers: 120" in done.stderr


def test_a_damaged_picture_in_a_batch_is_one_error(caption: Run, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "red circle")
    jpeg = encoded(noise(), "JPEG")
    (tmp_path / "b.jpg").write_bytes(jpeg[: len(jpeg) // 2] + b"\xff\xd9")
    draw(tmp_path / "c.png", "blue square")
    done = caption("a.png", "b.jpg", "c.png")
    assert done.status == 7 and done.stdout.count("\n") == 2
    assert "error: `b.jpg` is damaged: its picture data end before the picture does" in done.stderr


# A process whose memory is short just while one picture is decoded; the others wait for it.
SHORT = textwrap.dedent(
    """
    import resource, sys, threading

    from mmcli import media
    import mmcli.media.images, mmcli.media.jpegs, PIL.PngImagePlugin

    load, done = media.load, threading.Event()

    def with_little_memory(source, **options):
        if source.name != "large.png":
            done.wait(60)
            return load(source, **options)
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        try:
            resource.setrlimit(resource.RLIMIT_AS, (size + {room} * 1_000_000, resource.RLIM_INFINITY))
            return load(source, **options)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            done.set()

    media.load = with_little_memory
    from mmcli.main import main

    main()
    """
)


def large_and_small(folder: Path) -> None:
    values = np.linspace(0, 65535, 6000 * 6000).astype(np.uint16).reshape(6000, 6000)
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.fromarray(values).save(folder / "large.png", compress_level=1, exif=tags)
    draw(folder / "small.png", "red circle")


@pytest.fixture
def short_of_memory(tmp_path: Path, environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(room: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        code = SHORT.replace("{room}", str(room))
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )

    return run


needs_limits = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory and /proc")


@needs_limits
@pytest.mark.parametrize("room", [60, 90, 120, 160])
def test_no_memory_for_one_picture_is_its_error_and_the_others_go_on(
    tmp_path: Path, short_of_memory: Callable[..., subprocess.CompletedProcess[str]], room: int
) -> None:
    """`room`: megabytes, so that reading, decoding, scaling greys or turning is where it ends."""
    large_and_small(tmp_path)
    batch = short_of_memory(room, "caption", "large.png", "small.png", "--jsonl", "-m", "starter", "--no-cache")
    told = {record["path"]: record for record in map(json.loads, batch.stdout.splitlines())}
    assert batch.returncode == 7, batch.stderr
    assert "red circle" in told["small.png"]["caption"]
    error = told["large.png"]["error"]
    assert error["code"] == "resources" and "not enough memory" in error["message"] and "large.png" in error["message"]
    assert "a bug" not in batch.stderr and "Traceback" not in batch.stderr


@needs_limits
def test_no_memory_for_the_picture_of_a_question_is_status_6(
    tmp_path: Path, short_of_memory: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    large_and_small(tmp_path)
    done = short_of_memory(90, "ask", "large.png", "What is this?", "-m", "starter", "--no-history")
    assert done.returncode == 6 and done.stderr.startswith("error: not enough memory"), done.stderr
