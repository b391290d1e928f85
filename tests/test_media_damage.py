"""A damaged picture is refused in one sentence, and a whole one never, whatever else lies in its file."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageDraw, TiffImagePlugin

from mmcli import media
from mmcli.errors import InputError
from mmcli.media import jpegs, pngs
from tests.pictures import chunk, encoded, noise, png, upright

pillow_heif.register_heif_opener()


def load(data: bytes, name: str = "picture.bin", **options):
    return media.load(media.Source(name, data=data), kinds=frozenset({"image"}), **options)


def refusal(data: bytes, name: str = "picture.bin") -> str:
    """Why it is refused, without its name."""
    with pytest.raises(InputError) as caught:
        load(data, name)
    assert "\n" not in caught.value.message and not caught.value.message.endswith(".") and caught.value.hint
    return caught.value.message.partition("` ")[2].removeprefix("is ")


def holed(data: bytes, part: float, hole: bytes) -> bytes:
    at = int(len(data) * part)
    return data[:at] + hole + data[at + len(hole) :]


def photo(width: int = 480, height: int = 320) -> Image.Image:
    """Smooth, with noise: what a camera sees."""
    rng = np.random.default_rng(11)
    across, down = np.linspace(20, 200, width), np.linspace(0, 55, height)
    values = across[None, :, None] + down[:, None, None] + rng.normal(0, 3, (height, width, 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def letter() -> Image.Image:
    page = Image.new("RGB", (480, 320), "white")
    lines = "\n".join(f"line {i} of a letter, {i * 7919}" for i in range(20))
    ImageDraw.Draw(page).text((10, 10), lines, fill="black")
    return page


# ---- JPEG

JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "fine": {"quality": 95, "subsampling": 0},
    "restart": {"restart_marker_rows": 2},
    "optimized": {"optimize": True},
}


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_was_cut_and_closed_with_an_end_mark(kind, part):
    data = encoded(photo(), "JPEG", **JPEGS[kind])
    assert refusal(data[: int(len(data) * part)] + b"\xff\xd9").startswith("damaged: its picture data")


@pytest.mark.parametrize("hole", ["random", "zeros"])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_with_a_hole(kind, hole):
    data = encoded(photo(), "JPEG", **JPEGS[kind])
    content = np.random.default_rng(5).integers(0, 255, 600, np.uint8).tobytes() if hole == "random" else bytes(600)
    for part in (0.4, 0.5, 0.6):
        assert refusal(holed(data, part, content)).startswith(("damaged", "cut short"))


def test_bytes_that_are_missing_in_the_middle_of_a_jpeg():
    data = encoded(photo(), "JPEG")
    half = len(data) // 2
    assert "damaged" in refusal(data[:half] + data[half + 300 :])


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_whole_jpeg_shows_the_pixels_that_pillow_decodes(mode, kind):
    data = encoded(photo().convert(mode), "JPEG", **JPEGS[kind])
    image = load(data)
    expected = Image.open(io.BytesIO(data)).convert("RGB")
    assert np.array_equal(image.pixels, np.asarray(expected))
    assert [note for note in image.receipt.notes if "CMYK" not in note] == []


@pytest.mark.parametrize(
    "trailer",
    [
        b"MakerTrailer\xff\xda" + bytes(400),  # some cameras pad with zeros, after bytes that look like a scan
        bytes(5000),
        b"\xff" * 3000,
        b"\0" * 100 + encoded(noise(30, 20), "JPEG")[:300],  # a second picture that is cut short
        b"SEFT\xff\xd8\xff\xe0" + bytes(3000),
    ],
)
def test_bytes_behind_the_end_mark_do_no_harm(trailer):
    whole = encoded(photo(), "JPEG")
    assert load(whole + trailer).id == load(whole).id
    assert load(whole + trailer).receipt.notes == ()


def test_a_jpeg_without_its_end_mark_alone_is_whole():
    whole = encoded(photo(), "JPEG")
    assert load(whole[:-2]).id == load(whole).id
    assert refusal(whole[:-40]) == "cut short: its end is missing"


def test_other_programs_data_in_a_jpeg_may_be_damaged():
    whole = encoded(photo(), "JPEG")
    rubbish = b"\xff\xe1\0\x20Exif\0\0" + b"\xfe" * 24 + b"\xff\xe2\0\x10ICC_PROFILE\0\5\1" + b"\xff\xfe\0\4ab"
    assert load(whole[:2] + rubbish + whole[2:]).id == load(whole).id
    assert load(whole[:20] + b"rubbish" + whole[20:]).id == load(whole).id  # some programs leave a few bytes


def test_padding_at_the_end_of_the_data_is_noted_and_no_damage():
    whole = encoded(photo(), "JPEG")
    for padding, noted in ((bytes(40), True), (b"\x55" * 40, True), (b"\x12\x34\x56", False)):
        image = load(whole[:-2] + padding + whole[-2:])
        assert image.id == load(whole).id and bool(image.receipt.notes) == noted
    assert "left over" in refusal(whole[:-2] + whole[1000:1200] + whole[-2:])


def test_a_table_of_zeros_is_left_to_the_reader_that_can_show_it():
    """FFmpeg refuses such a quantization table from the header, which says nothing of the data."""
    data = bytearray(encoded(photo(), "JPEG"))
    table = data.index(b"\xff\xdb")
    data[table + 60] = 0
    assert load(bytes(data)).receipt.sent_size == (480, 320)


def test_a_jpeg_is_walked_to_a_limit():
    whole = encoded(photo(), "JPEG")
    assert len(jpegs.layout(whole[:2] + b"\xff\xfe\0\2" * 50_000 + whole[2:]).segments) > 50_000
    hostile = whole[:2] + b"\xff\xfe\0\2" * 300_000 + whole[2:]
    assert jpegs.layout(hostile) is None
    assert load(hostile).id == load(whole).id  # by Pillow alone


# ---- PNG


def _with_wrong_checksum(data: bytes, kind: bytes) -> bytes:
    at = data.index(kind) - 4
    end = at + 12 + int.from_bytes(data[at : at + 4], "big")
    return data[: end - 4] + bytes(byte ^ 0x55 for byte in data[end - 4 : end]) + data[end:]


@pytest.mark.parametrize("kind", [b"IDAT", b"PLTE", b"IHDR", b"tRNS"])
def test_a_png_whose_checksum_is_wrong(kind):
    picture = Image.new("P", (40, 30), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    data = encoded(picture, "PNG", transparency=0)
    assert load(data).receipt.sent_size == (40, 30)
    assert refusal(_with_wrong_checksum(data, kind)) == "damaged: the checksum of its picture data is wrong"


@pytest.mark.parametrize("kind", [b"tEXt", b"gAMA", b"iCCP", b"pHYs"])
def test_a_damaged_comment_does_not_cost_a_whole_png(kind):
    picture = encoded(upright(), "PNG")
    body = {b"tEXt": b"a\0b", b"gAMA": struct.pack(">I", 45455), b"iCCP": b"p\0\0xyz", b"pHYs": bytes(9)}[kind]
    data = picture[:33] + _with_wrong_checksum(b"12345678" + chunk(kind, body), kind)[8:] + picture[33:]
    image = load(data)
    assert image.id == load(picture).id
    assert image.receipt.notes == (f"its {kind.decode()} chunk is damaged and was left out",)


def test_a_damaged_later_frame_is_noted():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    assert "a frame after the first is damaged" in load(_with_wrong_checksum(data, b"fdAT")).receipt.notes
    assert "checksum" in refusal(_with_wrong_checksum(data, b"IDAT"))


@pytest.mark.parametrize("file_format", ["ICO", "ICNS"])
def test_a_png_inside_an_icon_is_checked_as_well(file_format):
    picture = noise(256, 256)
    data = encoded(picture, file_format, **({"sizes": [(256, 256)]} if file_format == "ICO" else {}))
    assert load(data).receipt.format == file_format
    assert "checksum" in refusal(_with_wrong_checksum(data, b"IDAT"))


@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_png_with_rows_that_are_missing(interlaced):
    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, interlaced)

    def of(n_bytes: int) -> bytes:
        rows = zlib.compress(b"\2" * n_bytes)  # as a filter: take the row above
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

    whole = pngs._n_bytes(64, 64, 8, bool(interlaced))
    assert load(of(whole)).receipt.sent_size == (64, 64)
    for n_bytes in (1000, 3000, whole - 70):
        assert refusal(of(n_bytes)).startswith("cut short")


def test_black_rows_at_the_end_of_a_png_are_rows():
    rows = (b"\0" + b"\x80" * 64) * 32 + (b"\0" + bytes(64)) * 32
    assert load(png(64, 64, 8, 0, rows)).receipt.notes == ()


# ---- TIFF


@pytest.mark.parametrize("compression", ["group4", "tiff_ccitt", "group3"])
def test_a_flipped_bit_in_a_fax(compression, capfd):
    data = encoded(letter().convert("1"), "TIFF", compression=compression)
    assert load(data).receipt.notes == ()
    at = len(data) // 3
    assert refusal(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]).startswith(("damaged", "cut short"))
    assert refusal(holed(data, 0.5, bytes(64))).startswith(("damaged", "cut short"))
    assert capfd.readouterr().err == ""  # libtiff would write there itself


@pytest.mark.parametrize("compression", ["jpeg", "tiff_adobe_deflate"])
@pytest.mark.parametrize("tiled", [False, True])
def test_a_hole_in_a_compressed_tiff(compression, tiled, capfd):
    options = {"compression": compression}
    if tiled:
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[278] = 32  # rows in a strip
        options["tiffinfo"] = tags
    data = encoded(photo(), "TIFF", **options)
    assert load(data).receipt.notes == ()
    for part in (0.4, 0.5, 0.7):
        hole = np.random.default_rng(3).integers(0, 255, 400, np.uint8).tobytes()
        assert "damaged" in refusal(holed(data, part, hole))
    assert capfd.readouterr().err == ""


def test_a_broken_tag_of_a_tiff_is_neither_damage_nor_told(capfd):
    data = encoded(photo(), "TIFF", compression="tiff_lzw", dpi=(72, 72))
    unit = struct.pack("<HHI", 296, 3, 1)  # of the resolution
    at = data.index(unit) + len(unit)
    image = load(data[:at] + struct.pack("<H", 30_000) + data[at + 2 :])
    assert image.receipt.sent_size == (480, 320) and capfd.readouterr().err == ""


def test_a_fax_that_suffered_on_the_line_and_says_so_is_shown():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[327] = 1  # CleanFaxData: bad lines were put right by the one who received it
    data = encoded(letter().convert("1"), "TIFF", compression="group3", tiffinfo=tags)
    assert load(data).receipt.notes == ("some of its rows were damaged on the telephone line",)


# ---- ends of zeros


PLAIN = {"BMP": "bmp", "TIFF": "tif", "PPM": "ppm", "TGA": "tga", "DDS": "dds", "SGI": "sgi", "DIB": "dib"}


@pytest.mark.parametrize("file_format", PLAIN)
def test_plain_pixels_that_end_in_zeros_in_the_middle_of_a_row(file_format):
    data, name = encoded(photo(), file_format), f"picture.{PLAIN[file_format]}"
    at = len(data) // 2 - 3 * 480 // 4
    assert load(data, name).receipt.notes == ()
    assert refusal(data[:at] + bytes(len(data) - at), name) == "ends in zeros: an unfinished copy or download"


@pytest.mark.parametrize("file_format", ["BMP", "TIFF", "PPM", "DIB"])
def test_black_rows_are_shown_and_counted(file_format):
    picture = photo()
    black = Image.new("RGB", (480, 40))
    picture.paste(black, (0, 0) if file_format in ("BMP", "DIB") else (0, 280))  # these begin at the bottom
    data = encoded(picture, file_format)
    notes = load(data, f"x.{PLAIN[file_format]}").receipt.notes
    assert notes == ("its last 40 of 320 rows in the file are zeros: black, or an unfinished copy",)


def test_a_night_sky_is_no_unfinished_copy():
    stars = np.zeros((200, 300, 3), np.uint8)
    stars[20, 33] = stars[77, 210] = stars[120, 151] = 255
    image = load(encoded(Image.fromarray(stars), "PPM"))
    assert image.receipt.notes == ("its last 79 of 200 rows in the file are zeros: black, or an unfinished copy",)


@pytest.mark.slow
@pytest.mark.parametrize("part", [0.4, 0.6, 0.9])
def test_a_qoi_file_must_end_where_its_picture_does(part):
    data = encoded(photo(), "QOI")
    at = int(len(data) * part)
    assert load(data).receipt.notes == ()
    assert "damaged" in refusal(data[:at] + bytes(len(data) - at))
    assert "damaged" in refusal(holed(data, part, b"\x55\xaa\x31" * 30))


def test_a_pcx_file_that_ends_in_zeros():
    data = encoded(letter(), "PCX")
    at = int(len(data) * 0.7)
    assert load(data).receipt.notes == ()
    with pytest.raises(InputError, match="ends in zeros|cut short"):
        load(data[:at] + bytes(4 * (len(data) - at)))


@pytest.mark.parametrize("file_format", ["HEIF", "AVIF", "WEBP"])
@pytest.mark.parametrize("byte", [b"\0", b"\xff"])
def test_coded_pictures_that_end_in_one_byte(file_format, byte):
    data = encoded(photo(), file_format, quality=60)
    at = len(data) * 2 // 3
    if (file_format, byte) == ("WEBP", b"\xff"):
        at = len(data) // 2
    with pytest.raises(InputError):
        load(data[:at] + byte * (len(data) - at))


@pytest.mark.slow
def test_zeros_in_the_middle_of_a_heic():
    data = encoded(noise(400, 300), "HEIF", quality=60)
    assert "zeros" in refusal(holed(data, 0.6, bytes(100)))
