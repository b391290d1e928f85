"""Camera raw files of several makers: their largest JPEG is what one sees, upright, and the receipt says so."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmcli import media
from mmcli.errors import InputError
from tests.conftest import Run, draw
from tests.pictures import STORED, encoded, held, noise, upright

SENSOR = np.random.default_rng(4).integers(0, 255, 5000, np.uint8).tobytes()  # what no JPEG is


def load(data: bytes, name: str) -> media.Image:
    return media.load(media.Source(name, data=data), kinds=frozenset({"image"}))


def preview() -> bytes:
    return encoded(Image.new("RGB", (24, 16), "grey"), "JPEG")


def jpeg() -> bytes:
    return encoded(upright(), "JPEG", quality=95)


def tiff(
    tags: dict[int, tuple[int, ...]], *, order: str = "<", magic: bytes = b"*\0", at: int = 8, behind: bytes = b""
) -> bytes:
    """A TIFF of one directory of whole numbers, at most one for each tag, and `behind` it."""
    entries = [struct.pack(order + "HHII", tag, 4, 1, value) for tag, (value,) in sorted(tags.items())]
    head = (b"II" if order == "<" else b"MM") + magic + struct.pack(order + "I", at)
    return head.ljust(at, b"\0") + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4) + behind


def box(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I", 8 + len(contents)) + kind + contents


def raws(orientation: int, large: bytes) -> dict[str, tuple[str, bytes]]:
    """Name -> (format, bytes) of a raw file by each maker; the largest JPEG stands neither first nor last."""
    body = SENSOR + preview() + SENSOR + large + SENSOR + preview() + SENSOR
    size = {256: (96,), 257: (64,), 274: (orientation,)}
    cmt = tiff({274: (orientation,)})
    mrw = b"\0MRM" + struct.pack(">I", 500) + b"\0TTW" + struct.pack(">I", 200) + tiff({274: (orientation,)}, order=">")
    cr2 = bytearray(tiff(size, at=16, behind=body))
    cr2[8:12] = b"CR\2\0"
    return {
        "a.CR2": ("CR2", bytes(cr2)),
        "a.cr3": ("CR3", box(b"ftyp", b"crx \0\0\0\1crx isom") + box(b"moov", box(b"CMT1", cmt)) + box(b"mdat", body)),
        "a.NEF": ("NEF", tiff(size, order=">", magic=b"\0*", behind=body)),
        "a.arw": ("ARW", tiff(size, behind=body)),
        "a.dng": ("DNG", tiff(size | {50706: (0x04010000,)}, behind=body)),
        "a.pef": ("PEF", tiff(size, order=">", magic=b"\0*", behind=body)),
        "a.orf": ("ORF", tiff(size, magic=b"RO", behind=body)),
        "a.rw2": ("RW2", tiff(size, magic=b"U\0", behind=body)),
        "a.mrw": ("MRW", mrw + body),
    }


@pytest.mark.parametrize("name", raws(1, b""))
def test_the_largest_jpeg_is_shown_upright(name: str) -> None:
    for orientation, said in ((1, "none"), (6, "90"), (3, "180")):
        turned = upright() if (turn := STORED[orientation]) is None else upright().transpose(turn)
        stored = encoded(turned, "JPEG", quality=95)
        file_format, data = raws(orientation, stored)[name]
        image = load(data, name)
        assert (image.receipt.format, image.receipt.rotation, image.receipt.sent_size) == (file_format, said, (96, 64))
        width, height = image.receipt.source_size or (0, 0)
        assert image.receipt.notes == (f"camera raw: its largest embedded JPEG, {width}×{height}",)
        expected = np.asarray(upright()).astype(int)
        assert np.abs(image.pixels.astype(int) - expected).mean() < 6
        assert image.receipt.n_bytes == len(data)


@pytest.mark.parametrize(("name", "start"), [("a.raf", b"FUJIFILMCCD-RAW 0201"), ("a.x3f", b"FOVb\0\0\2\0")])
def test_formats_that_keep_the_orientation_in_the_jpeg(name: str, start: bytes) -> None:
    data = start.ljust(100, b"\0") + SENSOR + held(6, "JPEG", quality=95) + SENSOR + preview()
    image = load(data, name)
    assert (image.receipt.format, image.receipt.rotation) == (name[2:].upper(), "90")
    assert image.receipt.sent_size == (96, 64)


def test_a_turned_jpeg_in_a_turned_raw_file_is_turned_once() -> None:
    _, data = raws(6, held(6, "JPEG"))["a.arw"]
    assert load(data, "a.arw").receipt.sent_size == (96, 64)


def test_a_jpeg_much_smaller_than_the_picture_is_told_with_both_sizes() -> None:
    data = tiff({256: (6000,), 257: (4000,), 50706: (1,)}, behind=SENSOR + jpeg())
    assert load(data, "a.dng").receipt.notes == ("camera raw: its largest embedded JPEG, 96×64 of 6000×4000",)


def test_a_preview_inside_the_exif_data_of_the_jpeg_is_not_taken_for_the_picture() -> None:
    large = encoded(noise(200, 100), "JPEG")
    inside = b"\xff\xe1" + struct.pack(">H", 2 + 6 + len(preview())) + b"Exif\0\0" + preview()
    _, data = raws(1, large[:2] + inside + large[2:])["a.arw"]
    assert load(data, "a.arw").receipt.sent_size == (200, 100)


def test_lossless_jpegs_and_tiles_of_the_sensor_are_no_pictures() -> None:
    sensor = bytearray(encoded(noise(400, 300), "JPEG"))
    sensor[sensor.index(b"\xff\xc0") + 1] = 0xC3  # lossless: what a sensor measured
    _, data = raws(1, jpeg() + bytes(sensor))["a.arw"]
    assert load(data, "a.arw").receipt.sent_size == (96, 64)
    tile = encoded(noise(400, 300), "JPEG")
    head = {256: (400,), 257: (300,), 324: (0,), 50706: (1,)}
    at = len(tiff(head)) + len(SENSOR)
    data = tiff(head | {324: (at,)}, behind=SENSOR + tile + SENSOR + jpeg())
    assert load(data, "a.dng").receipt.sent_size == (96, 64)


@pytest.mark.parametrize("name", raws(1, b""))
def test_a_raw_file_without_a_jpeg_is_refused_with_the_command_that_develops_it(name: str) -> None:
    data = raws(1, b"")[name][1].replace(preview(), SENSOR[:50])
    with pytest.raises(InputError) as caught:
        load(data, name)
    assert caught.value.message == f"`{name}` is a camera raw file without a JPEG in it"
    assert "darktable-cli" in (caught.value.hint or "")


def test_a_damaged_jpeg_in_a_raw_file_is_refused() -> None:
    large = encoded(noise(200, 100), "JPEG")
    half = len(large) // 2
    _, data = raws(1, large[:half] + bytes(200) + large[half + 200 :])["a.NEF"]
    with pytest.raises(InputError, match="damaged"):
        load(data, "a.NEF")


def test_rubbish_in_every_byte_of_the_head_is_one_sentence_or_a_picture() -> None:
    rng = np.random.default_rng(8)
    for name, (_, data) in raws(6, jpeg()).items():
        for _ in range(40):
            damaged = bytearray(data)
            for at in rng.integers(0, 120, 3):
                damaged[at] = rng.integers(0, 256)
            try:
                load(bytes(damaged), name)
            except InputError as error:
                assert "\n" not in error.message


def test_an_ordinary_tiff_is_no_raw_file() -> None:
    image = load(encoded(upright(), "TIFF"), "a.tif")
    assert (image.receipt.format, image.receipt.notes) == ("TIFF", ())


def test_a_folder_of_raw_files_and_jpegs_is_captioned_whole(caption: Run, tmp_path: Path) -> None:
    shapes = Image.open(draw(tmp_path / "shapes.png", "red circle", "blue square"))
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(encoded(shapes, "JPEG", quality=95))
    raw = tiff({274: (6,)}, behind=SENSOR + encoded(shapes.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95))
    (folder / "2.NEF").write_bytes(raw)
    (folder / "3.zip").write_bytes(b"PK\x03\x04")
    (folder / "4.pdf").write_bytes(b"%PDF-1.4")
    done = caption("card")
    assert done.status == 0
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["card/1.jpg", "card/2.NEF"]
    assert "red circle" in done.stdout.splitlines()[1]
    assert "left out of the folder `card`: 1 × .pdf, 1 × .zip" in done.stderr
