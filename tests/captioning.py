"""A folder of generated pictures with every odd file in it, and what the starter says of the good ones."""

from __future__ import annotations

import os
import random
from pathlib import Path

from PIL import Image, ImageDraw

from tests import pictures
from tests.conftest import Completed, Run, draw

Caption = Run
COLOURS = ("red", "blue", "green", "yellow", "black", "orange")


def lines(done: Completed) -> list[tuple[str, str]]:
    """(path, caption) of each line."""
    return [(path, text) for path, _, text in (line.partition("\t") for line in done.stdout.splitlines())]


def two_shapes(path: Path, number: int) -> Path:
    """One of many different pictures: a circle and a square, placed and coloured by `number`."""
    rng = random.Random(number)
    picture = Image.new("RGB", (320, 240), "white")
    pen = ImageDraw.Draw(picture)
    for i, colour in enumerate(rng.sample(COLOURS, 2)):
        x, y, r = 80 + 160 * i + rng.randint(-9, 9), 120 + rng.randint(-30, 30), rng.randint(35, 55)
        (pen.ellipse if rng.random() < 0.5 else pen.rectangle)((x - r, y - r, x + r, y + r), fill=colour)
    picture.save(path)
    return path


def many(folder: Path, n: int) -> list[Path]:
    """`n` different pictures: 000.png, 001.png …"""
    folder.mkdir(parents=True, exist_ok=True)
    return [two_shapes(folder / f"{i:03}.png", i) for i in range(n)]


def odd(folder: Path) -> tuple[set[bytes], set[bytes]]:
    """Every odd file there is; returns the raw names of those that are pictures, and of those that cannot be read."""
    folder.mkdir(parents=True)
    plain = draw(folder / "plain.png", "red circle", "blue square")
    picture = Image.open(plain)
    good = {b"plain.png"}
    made = {
        "turned.jpg": pictures.encoded(
            picture.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=pictures.exif(6)
        ),
        "photo.heic": _heic(picture),
        "cmyk.jpg": pictures.encoded(picture.convert("CMYK"), "JPEG", quality=95),
        "moving.gif": pictures.encoded(picture, "GIF", save_all=True, append_images=[picture.rotate(180)]),
        "quo\"ted's.png": plain.read_bytes(),
        "new\nline.png": plain.read_bytes(),
        "tab\t.png": plain.read_bytes(),
        "esc\x1b]0;owned\x07\x1b[31m.png": plain.read_bytes(),
        "back\\slash.png": plain.read_bytes(),
        os.fsdecode(b"latin-\xe9.png"): plain.read_bytes(),
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
        good.add(os.fsencode(name))
    bad = {
        "zero.jpg": b"",
        "cut.png": plain.read_bytes()[:400],
        "text.jpg": b"not a picture\n",
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "unreadable.png").symlink_to("/proc/self/mem")  # for root too: reading it is an I/O error
    (folder / ".hidden.png").write_bytes(plain.read_bytes())
    (folder / "._plain.png").write_bytes(b"\0\5\x16\7resource fork")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "inside.png").write_bytes(plain.read_bytes())
    return good, {os.fsencode(name) for name in bad} | {b"dangling.png", b"unreadable.png"}


def _heic(picture: Image.Image) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    return pictures.encoded(picture, "HEIF", quality=95)
