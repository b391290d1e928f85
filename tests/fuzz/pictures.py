"""Pictures: every format that Pillow writes here, damaged; and the ones that tell whether damage was seen."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from mmcli import media
from mmcli.media.types import Receipt
from tests.fuzz.case import Case, Limits, Ran
from tests.fuzz.damage import Damaged, damage, several
from tests.pictures import encoded, exif, held

MAX_MEGAPIXELS = 16.0  # so that a bomb is refused before it takes long
NAMES = ("photo", "a b", "été", "-m", "\x1b]0;owned\x07", "line\nbreak", "\u202egnp.", "x" * 200)
# Formats whose picture data have a checksum: whatever changes in them must be seen.
CHECKED = frozenset({"png", "apng"})
# Texts: without their end they are shorter texts, and nobody can tell.
TEXTS = frozenset({"xpm", "xbm", "plain.ppm"})


@functools.cache
def scene() -> Image.Image:
    """Edges, a slope and noise: what every codec has to work at, and whose parts all differ."""
    width, height = 160, 120
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=2).astype(np.uint8)
    pixels[40:80, 40:100] = np.random.default_rng(5).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    ImageDraw.Draw(picture).ellipse((20, 20, 90, 100), outline="white", width=5)
    return picture


def _heif(kind: str) -> Callable[[], bytes]:
    def make() -> bytes:
        import pillow_heif

        pillow_heif.register_heif_opener()
        return encoded(scene(), kind, quality=70)

    return make


def _frames(kind: str, **how: object) -> bytes:
    return encoded(scene(), kind, save_all=True, append_images=[scene().rotate(90), scene().rotate(180)], **how)


def _with_alpha() -> Image.Image:
    return scene().convert("RGBA").rotate(20)


MAKERS: dict[str, Callable[[], bytes]] = {
    "jpg": lambda: encoded(scene(), "JPEG", quality=85),
    "progressive.jpg": lambda: encoded(scene(), "JPEG", quality=80, progressive=True),
    "restarts.jpg": lambda: encoded(scene(), "JPEG", restart_marker_rows=1),
    "grey.jpg": lambda: encoded(scene().convert("L"), "JPEG"),
    "cmyk.jpg": lambda: encoded(scene().convert("CMYK"), "JPEG"),
    "turned.jpg": lambda: held(6, "JPEG"),
    "mpo": lambda: _frames("MPO"),
    "png": lambda: encoded(scene(), "PNG"),
    "palette.png": lambda: encoded(scene().quantize(64), "PNG"),
    "alpha.png": lambda: encoded(_with_alpha(), "PNG"),
    "deep.png": lambda: encoded(Image.fromarray(np.arange(160 * 120, dtype=np.uint16).reshape(120, 160)), "PNG"),
    "apng": lambda: _frames("PNG"),
    "turned.png": lambda: encoded(scene(), "PNG", exif=exif(5)),
    "gif": lambda: _frames("GIF"),
    "webp": lambda: encoded(scene(), "WEBP", quality=70),
    "lossless.webp": lambda: encoded(_with_alpha(), "WEBP", lossless=True),
    "moving.webp": lambda: _frames("WEBP"),
    "heic": _heif("HEIF"),
    "avif": _heif("AVIF"),
    "tif": lambda: encoded(scene(), "TIFF"),
    "lzw.tif": lambda: encoded(scene(), "TIFF", compression="tiff_lzw"),
    "deflate.tif": lambda: encoded(scene(), "TIFF", compression="tiff_adobe_deflate"),
    "jpeg.tif": lambda: encoded(scene(), "TIFF", compression="jpeg"),
    "fax.tif": lambda: encoded(scene().convert("1"), "TIFF", compression="group4"),
    "packbits.tif": lambda: encoded(scene(), "TIFF", compression="packbits"),
    "pages.tif": lambda: _frames("TIFF"),
    "bmp": lambda: encoded(scene(), "BMP"),
    "palette.bmp": lambda: encoded(scene().quantize(16), "BMP"),
    "ico": lambda: encoded(scene(), "ICO"),
    "icns": lambda: encoded(scene().resize((128, 128)), "ICNS"),
    "jp2": lambda: encoded(scene(), "JPEG2000", quality_mode="rates", quality_layers=[20]),
    "j2k": lambda: encoded(scene(), "JPEG2000", no_jp2=True),
    "ppm": lambda: encoded(scene(), "PPM"),
    "pgm": lambda: encoded(scene().convert("L"), "PPM"),
    "pbm": lambda: encoded(scene().convert("1"), "PPM"),
    "pfm": lambda: encoded(scene().convert("F"), "PPM"),
    "plain.ppm": lambda: b"P3\n4 4\n255\n" + b"10 20 30 " * 16,
    "qoi": lambda: encoded(scene(), "QOI"),
    "sgi": lambda: encoded(scene(), "SGI"),
    "pcx": lambda: encoded(scene(), "PCX"),
    "dds": lambda: encoded(scene(), "DDS"),
    "tga": lambda: encoded(scene(), "TGA"),
    "rle.tga": lambda: encoded(scene(), "TGA", compression="tga_rle"),
    "im": lambda: encoded(scene(), "IM"),
    "xbm": lambda: encoded(scene().convert("1"), "XBM"),
}


@dataclass(frozen=True)
class Whole:
    data: bytes
    pixels: np.ndarray
    notes: frozenset[str]


@functools.cache
def whole(name: str) -> Whole | None:
    """A format's file as it should be; None where this machine's Pillow cannot write or read it."""
    try:
        data = MAKERS[name]()
    except (KeyError, OSError, ValueError):
        return None
    seen = load(Path(f"whole.{name}"), data)
    return Whole(data, seen.pixels, frozenset(seen.receipt.notes))


def load(path: Path, data: bytes) -> media.Image:
    source = media.Source(path.name, data=data)
    found = media.load(source, kinds=frozenset({"image"}), max_megapixels=MAX_MEGAPIXELS)
    assert isinstance(found, media.Image)
    return found


def make(chance: random.Random, folder: Path, keep: Path) -> Case:
    name = chance.choice([name for name in MAKERS if whole(name)])
    before = whole(name)
    assert before is not None
    done = _damaged(chance, before.data)
    if chance.random() < 0.05:  # two formats in one file
        other = whole(chance.choice([name for name in MAKERS if whole(name)]))
        assert other is not None
        done = Damaged(done.data[: len(done.data) // 2] + other.data, done.kind + " + another behind", done.at)
    path = folder / f"{chance.choice(NAMES) if chance.random() < 0.3 else 'photo'}.{name}"
    path.write_bytes(done.data)

    def call() -> Ran:
        seen = load(path, done.data)
        return Ran(said=_told(seen.receipt), silent=_silent(name, done, before, seen))

    label = f"{name}: {done} of {len(before.data)}"
    arguments = ("ask", "-m", "starter", "--no-history", "--no-cache", "--max-tokens", "8", "-v", f"./{path.name}", "?")
    return Case(label, call, arguments, frozenset({0, 3}), limits=Limits(memory=500 << 20))


def _damaged(chance: random.Random, data: bytes) -> Damaged:
    """Half of the cases are of one kind, which the oracle can judge; a quarter harms the header only."""
    if chance.random() < 0.5:
        return damage(chance, data)
    if chance.random() < 0.5:
        return several(chance, data, within=200)
    return several(chance, data)


def _told(receipt: Receipt) -> str:
    """What `-v` would show of it, by the terminal's own ways."""
    from mmcli import terminal

    for note in (receipt.source, *receipt.notes):
        terminal.notice(note, terminal.Style())
    return ""


def _silent(name: str, done: Damaged, before: Whole, seen: media.Image) -> str | None:
    """Whether other pixels than the file's own came out of it without a note."""
    if set(seen.receipt.notes) - before.notes or name in TEXTS:
        return None
    if seen.pixels.shape == before.pixels.shape and np.array_equal(seen.pixels, before.pixels):
        return None
    family = name.rsplit(".", 1)[-1]
    if done.kind == "cut":
        return f"{family} cut short: the rest was shown as if it were whole"
    if done.kind == "zero-end" and len(before.data) - done.at > 1024:
        return f"{family} that ends in zeros: shown as if it were whole"
    if family in CHECKED and done.kind in ("flip", "noise", "zeros", "ones"):
        return f"{family} with a wrong checksum: shown as if it were whole"
    return None
