"""Rare formats, greys that are measurements, and limits: what is read is right, what is refused is named."""

from __future__ import annotations

import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image, TiffImagePlugin

from mmcli import media
from mmcli.errors import InputError
from mmcli.media.sniffing import sniff
from tests.pictures import encoded, held, noise, png, upright

pillow_heif.register_heif_opener()


def load(data: bytes, name: str = "picture.bin", **options) -> media.Image:
    return media.load(media.Source(name, data=data), kinds=frozenset({"image"}), **options)


def greys(image: media.Image) -> list[int]:
    assert (image.pixels[..., 0] == image.pixels[..., 2]).all()
    return image.pixels[..., 0].ravel().tolist()


# ---- floats and heights


def pfm(*values: float) -> bytes:
    """One row, as a portable float map."""
    return f"Pf\n{len(values)} 1\n-1.0\n".encode() + np.array(values, "<f4").tobytes()


def test_floats_of_a_pfm_are_brightness_and_not_16_bit_greys() -> None:
    assert greys(load(pfm(0.0, 0.5, 1.0), "x.pfm")) == [0, 128, 255]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_pfm_with_what_is_no_number(bad: float) -> None:
    image = load(pfm(0.25, bad, 1.0), "x.pfm")
    assert greys(image)[::2] == [64, 255]
    assert "pixels that are not numbers: 1" in image.receipt.notes
    nothing = load(pfm(bad, bad), "x.pfm")
    assert "pixels that are not numbers: 2" in nothing.receipt.notes


@pytest.mark.parametrize("value", [-5.0, 3e9, -1e20])
def test_one_height_everywhere_is_one_grey(value: float) -> None:
    image = load(encoded(Image.fromarray(np.full((2, 2), value, np.float32)), "TIFF"))
    assert greys(image) == [0] * 4


def heights(no_data: float, dtype: type, declared: str | None = None) -> media.Image:
    values = np.array([[100, 200, no_data, 300]], dtype)
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if declared is not None:
        tags[42113] = declared
        tags.tagtype[42113] = 2
    return load(encoded(Image.fromarray(values), "TIFF", tiffinfo=tags))


@pytest.mark.parametrize(
    ("no_data", "dtype", "declared"),
    [
        (-9999, np.float32, None),
        (-32768, np.float32, None),
        (-3.4028235e38, np.float32, None),
        (3.4028235e38, np.float32, None),
        (-(2**31), np.int32, None),
        (-9999, np.int32, None),
        (0, np.int32, "0"),
        (12345, np.float32, "12345"),
        (-3.4028234663852886e38, np.float32, "-3.4028234663852886e+38"),
    ],
)
def test_values_that_mean_no_data_do_not_stretch_the_others(no_data: float, dtype: type, declared: str | None) -> None:
    image = heights(no_data, dtype, declared)
    assert greys(image) == [0, 128, 0, 255]
    assert [note for note in image.receipt.notes if note.startswith("pixels without data")]
    assert "greys stretched from 100 … 300 to 0 … 255" in image.receipt.notes


def test_a_deep_sea_is_measured() -> None:
    image = heights(-9999, np.float32, "-32768")  # the file says that another value stands for no data
    values = np.array([[-9999, -9000, -8000]], np.float32)
    assert not [note for note in load(encoded(Image.fromarray(values), "TIFF")).receipt.notes if "without data" in note]
    assert image.receipt.sent_size == (4, 1)


# ---- how a picture was held


@pytest.mark.parametrize(
    ("orientation", "said"), [(1, "none"), (2, "flip horizontal"), (3, "180"), (6, "90"), (8, "270")]
)
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg"])
def test_a_turned_tiff_says_how_it_was_turned(orientation: int, said: str, compression: str) -> None:
    image = load(held(orientation, "TIFF", compression=compression))
    assert (image.receipt.rotation, image.receipt.sent_size) == (said, (96, 64))
    assert image.receipt.source_size == ((64, 96) if orientation in (6, 8) else (96, 64))
    assert np.abs(image.pixels.astype(int) - np.asarray(upright()).astype(int)).mean() < 8


# ---- kinds


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        ("heic mif1", "image"),
        ("mif3 heic", "image"),
        ("heis", "image"),
        ("miaf", "image"),
        ("vvic", "image"),
        ("iso8 avif mif1", "image"),
        ("isom mif1 heic", "image"),
        ("qt   isom", "video"),
        ("isom mp42", "video"),
        ("iso6 msf1", "video"),
        ("M4A  mp42", "audio"),
    ],
)
def test_brands_of_heif_are_pictures(brands: str, kind: str) -> None:
    first, *others = [brand.ljust(4).encode() for brand in brands.replace("   ", " ").replace("  ", " ").split(" ")]
    contents = first + bytes(4) + b"".join(others)
    assert sniff(struct.pack(">I", 8 + len(contents)) + b"ftyp" + contents + bytes(100)) == kind


def fli(width: int, height: int) -> bytes:
    """One frame: a palette and plain bytes."""
    palette = struct.pack("<HBB", 1, 0, 0) + bytes(range(256)) * 3
    chunks = struct.pack("<IH", 6 + len(palette), 4) + palette
    chunks += struct.pack("<IH", 6 + width * height, 16) + bytes([7]) * (width * height)
    frame = struct.pack("<IHH", 16 + len(chunks), 0xF1FA, 2) + bytes(8) + chunks
    head = struct.pack("<IHHHHHHI", 128 + len(frame), 0xAF12, 1, width, height, 8, 3, 100)
    return head.ljust(128, b"\0") + frame


def pixar(width: int, height: int) -> bytes:
    head = bytearray(1024)
    head[:4] = b"\x80\xe8\0\0"
    struct.pack_into("<HH", head, 416, height, width)
    struct.pack_into("<HH", head, 424, 14, 2)  # RGB
    return bytes(head) + noise(width, height).tobytes()


def brush(width: int, height: int) -> bytes:
    name = b"round\0"
    return struct.pack(">IIIII", 28 + len(name), 2, width, height, 1) + b"GIMP\0\0\0\x0a" + name + bytes(width * height)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.fli", fli(20, 12)),
        ("x.flc", fli(20, 12)),
        ("x.pxr", pixar(20, 12)),
        ("x.gbr", brush(20, 12)),
        ("x.msp", encoded(noise(24, 12).convert("1"), "MSP")),
        ("x.dib", encoded(noise(20, 12), "DIB")),
    ],
)
def test_rare_formats_are_read(name: str, data: bytes) -> None:
    image = load(data, name)
    assert image.receipt.sent_size in ((20, 12), (24, 12))
    assert media.looks_like_medium(name)


# ---- limits


def test_a_huge_avif_is_refused_from_its_boxes() -> None:
    data = bytearray(encoded(noise(64, 64), "AVIF"))
    at = data.index(b"ispe") + 8
    assert struct.unpack_from(">II", data, at) == (64, 64)
    struct.pack_into(">II", data, at, 17_000, 17_000)
    with pytest.raises(InputError) as caught:
        load(bytes(data), "x.avif")
    assert caught.value.message == "`x.avif` (17000×17000) has 289 megapixels, the limit is 100"
    assert "MMCLI_MAX_MEGAPIXELS" in (caught.value.hint or "")


def test_a_bomb_inside_an_icns_is_refused_with_its_size() -> None:
    inner = png(50_000, 50_000, 8, 2)
    icon = b"ic09" + struct.pack(">I", 8 + len(inner)) + inner
    with pytest.raises(InputError) as caught:
        load(b"icns" + struct.pack(">I", 8 + len(icon)) + icon, "x.icns")
    assert caught.value.message == "`x.icns` has 2500 megapixels, the limit is 100"
