"""Every odd picture is shown right or refused in one sentence; none is shown wrong."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
import threading
import warnings

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from mmcli import media
from mmcli.errors import InputError, MmcliError
from tests.pictures import UPRIGHT_SIZE, chunk, encoded, exif, held, noise, png, tiff, upright

pillow_heif.register_heif_opener()  # the tests write HEIC; mmcli registers it by itself, see the subprocess test


def load(data: bytes, name: str = "picture.png", **options):
    """Load bytes as if they were a file of that name."""
    return media.load(media.Source(name, data=data), **options)


def refusal(data: bytes, name: str = "picture.png", **options) -> MmcliError:
    with pytest.raises(InputError) as caught:
        load(data, name, **options)
    assert "\n" not in caught.value.message and not caught.value.message.endswith(".")
    return caught.value


def mean_difference(image, expected: Image.Image) -> float:
    assert image.pixels.shape == (expected.height, expected.width, 3)
    return float(np.abs(image.pixels.astype(int) - np.asarray(expected.convert("RGB")).astype(int)).mean())


# ---- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_a_picture_comes_out_upright_however_the_camera_was_held(orientation, file_format):
    options = {"quality": 95} if file_format in ("JPEG", "HEIF", "AVIF") else {}
    options |= {"lossless": True} if file_format == "WEBP" else {}
    image = load(held(orientation, file_format, **options))
    assert mean_difference(image, upright()) < 6
    names = {1: "none", 2: "flip horizontal", 3: "180", 4: "flip vertical", 6: "90", 8: "270"}
    names |= {5: "flip horizontal, 270", 7: "flip horizontal, 90"}
    assert image.receipt.rotation == names[orientation]
    width, height = UPRIGHT_SIZE
    assert image.receipt.source_size == ((height, width) if orientation >= 5 else (width, height))
    assert image.receipt.sent_size == (width, height)


def test_orientation_in_xmp_alone_counts():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    image = load(encoded(upright().transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, xmp=xmp))
    assert mean_difference(image, upright()) < 6


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_a_senseless_orientation_leaves_the_picture_alone(orientation):
    image = load(encoded(upright(), "PNG", exif=exif(orientation)))
    assert image.receipt.rotation == "none" and mean_difference(image, upright()) == 0


@pytest.mark.parametrize(
    "broken", [b"Exif\0\0rubbish", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "PNG"])
def test_broken_exif_does_not_cost_a_good_picture(broken, file_format):
    image = load(encoded(upright(), file_format, exif=broken))
    assert image.receipt.sent_size == UPRIGHT_SIZE and image.receipt.rotation == "none"


# ---- what the receipt and the ID say


def test_the_receipt_tells_what_was_read(tmp_path):
    data = encoded(upright(), "PNG")
    path = tmp_path / "four corners.png"
    path.write_bytes(data)
    (source,) = media.find([str(path)])
    image = media.load(source)
    receipt = image.receipt
    assert (receipt.source, receipt.kind, receipt.format) == (str(path), "image", "PNG")
    assert (receipt.n_bytes, receipt.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert receipt.notes == () and receipt.frames is None
    assert image.pixels.dtype == np.uint8 and image.pixels.flags.c_contiguous


def test_the_media_id_is_of_size_and_pixels_and_not_of_the_file():
    as_png, as_bmp = load(encoded(upright(), "PNG")), load(encoded(upright(), "BMP"))
    assert as_png.id == as_bmp.id
    assert as_png.id == hashlib.sha256(b"image 96 64" + upright().tobytes()).hexdigest()
    wide, high = Image.new("RGB", (8, 2)), Image.new("RGB", (2, 8))
    assert load(encoded(wide, "PNG")).id != load(encoded(high, "PNG")).id


def test_the_content_decides_and_not_the_extension():
    assert load(encoded(upright(), "JPEG"), "really.png").receipt.format == "JPEG"
    assert load(encoded(upright(), "PNG"), "no extension").receipt.format == "PNG"


# ---- modes


def test_transparency_is_laid_on_white_and_noted():
    picture = Image.new("RGBA", (4, 4), (255, 0, 0, 255))
    picture.putpixel((0, 0), (0, 0, 0, 0))
    picture.putpixel((1, 0), (0, 0, 0, 128))
    for file_format in ("PNG", "WEBP", "TIFF"):
        image = load(encoded(picture, file_format, **({"lossless": True} if file_format == "WEBP" else {})))
        assert image.pixels[0, 0].tolist() == [255, 255, 255]
        assert image.pixels[0, 1].tolist() == [127, 127, 127]
        assert image.pixels[3, 3].tolist() == [255, 0, 0]
        assert image.receipt.notes == ("transparency laid on white",)


def test_an_alpha_that_hides_nothing_is_not_mentioned():
    assert load(encoded(upright().convert("RGBA"), "PNG")).receipt.notes == ()


def test_a_palette_with_a_transparent_entry():
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    picture.putpixel((0, 0), 0)
    for options in ({"transparency": 0}, {"transparency": b"\x00\xff"}):
        image = load(encoded(picture, "PNG", **options))
        assert image.pixels[0, 0].tolist() == [255, 255, 255] and image.pixels[1, 1].tolist() == [10, 20, 30]


def test_grey_with_alpha_and_grey_with_a_transparent_value():
    picture = Image.new("LA", (2, 2), (90, 255))
    picture.putpixel((0, 0), (0, 0))
    image = load(encoded(picture, "PNG"))
    assert image.pixels[0, 0].tolist() == [255] * 3 and image.pixels[1, 1].tolist() == [90] * 3
    rows = b"\0\x05\x06" * 2
    keyed = load(png(2, 2, 8, 0, rows, extra=chunk(b"tRNS", b"\0\x05")))
    assert keyed.pixels[0].tolist() == [[255] * 3, [6] * 3]


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "RGBX"])
def test_every_mode_of_a_tiff_gives_the_same_colours(mode):
    grey = Image.new("L", (4, 4), 255)
    grey.paste(0, (0, 0, 2, 4))
    if mode == "LAB":
        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        picture = ImageCms.profileToProfile(grey.convert("RGB"), srgb, lab, outputMode="LAB")
    else:
        picture = grey.convert("RGB").convert(mode) if mode in ("CMYK", "YCbCr", "RGBX") else grey.convert(mode)
    image = load(encoded(picture, "TIFF"))
    assert mean_difference(image, grey) < 3


def test_premultiplied_grey_is_understood():
    from mmcli.media import colour

    notes: list[str] = []
    rgb = colour.to_rgb(Image.new("La", (2, 2), (64, 128)), None, notes)
    assert abs(int(rgb[0, 0, 0]) - 191) <= 2 and "transparency laid on white" in notes


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_16_bit_greys_are_scaled_and_not_clipped(file_format):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    image = load(encoded(Image.fromarray(ramp), file_format))
    assert np.abs(image.pixels[..., 0].astype(int).reshape(-1) - np.arange(256)).max() <= 1
    assert "16-bit greys scaled to 8 bits" in image.receipt.notes


def test_16_bit_greys_of_a_12_bit_camera_are_said_to_be_dark():
    ramp = np.linspace(0, 4095, 256).astype(np.uint16).reshape(16, 16)
    image = load(encoded(Image.fromarray(ramp), "PNG"))
    assert "very dark: its brightest grey is 4095 of 65535" in image.receipt.notes


def test_16_bit_colours_and_transparency():
    rows = b"".join(b"\0" + np.full((4, 3), 40000, ">u2").tobytes() for _ in range(3))
    assert load(png(4, 3, 16, 2, rows)).pixels[0, 0].tolist() == [156] * 3
    rows = b"".join(b"\0" + np.full((4, 4), 40000, ">u2").tobytes() for _ in range(3))
    assert load(png(4, 3, 16, 6, rows)).receipt.notes[0] == "transparency laid on white"


def test_white_is_zero_in_a_16_bit_tiff():
    strip = np.array([0, 65535], "<u2").tobytes()
    tags = {256: (3, 2), 257: (3, 1), 258: (3, 16), 259: (3, 1), 262: (3, 0), 277: (3, 1), 278: (3, 1)}
    assert load(tiff(tags, strip)).pixels[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 100.0, 255.0], [0, 100, 255]), ([-10.0, 0.0, 10.0], [0, 128, 255])],
)
def test_greys_as_floats_keep_their_order(values, expected):
    image = load(encoded(Image.fromarray(np.array([values], np.float32)), "TIFF"))
    assert image.pixels[0, :, 0].tolist() == expected


def test_a_grey_that_is_not_a_number_is_black_and_noted():
    image = load(encoded(Image.fromarray(np.array([[np.nan, 1.0, 0.0]], np.float32)), "TIFF"))
    assert image.pixels[0, :, 0].tolist() == [0, 255, 0] and "pixels that are not numbers: 1" in image.receipt.notes


def test_32_bit_greys_are_stretched_and_noted():
    image = load(encoded(Image.fromarray(np.array([[1000, 2000, 3000]], np.int32)), "TIFF"))
    assert image.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert "greys stretched from 1000 … 3000 to 0 … 255" in image.receipt.notes


def test_cmyk_jpeg_is_not_shown_as_its_negative():
    data = encoded(upright().convert("CMYK"), "JPEG", quality=95)  # Pillow writes the inverted kind, as Adobe does
    assert b"Adobe" in data
    image = load(data)
    assert mean_difference(image, upright()) < 6
    assert image.receipt.notes == ("CMYK converted to RGB without a colour profile",)


# ---- colour profiles


def _swapped_profile() -> bytes:
    """An sRGB profile with red and blue exchanged, and a name of the same length: using it shows."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", icc, 128)[0]
    for at in range(132, 132 + 12 * count, 12):
        name = bytes(icc[at : at + 4])
        icc[at : at + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(name, name)
    return bytes(icc).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_an_embedded_profile_is_applied_and_noted(file_format):
    image = load(encoded(Image.new("RGB", (16, 16), (250, 10, 10)), file_format, icc_profile=_swapped_profile()))
    red, _, blue = image.pixels[8, 8].tolist()
    assert red < 60 and blue > 200
    assert any("swap" in note for note in image.receipt.notes)


def test_a_profile_is_applied_under_transparency():
    picture = Image.new("RGBA", (2, 2), (250, 10, 10, 255))
    picture.putpixel((0, 0), (0, 0, 0, 0))
    image = load(encoded(picture, "PNG", icc_profile=_swapped_profile()))
    assert image.pixels[0, 0].tolist() == [255] * 3 and image.pixels[1, 1, 2] > 200


def test_an_srgb_profile_changes_nothing_and_is_not_mentioned():
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = load(encoded(upright(), "PNG", icc_profile=icc))
    assert mean_difference(image, upright()) == 0 and image.receipt.notes == ()


def test_a_broken_profile_and_one_for_another_mode_are_left_out():
    image = load(encoded(upright(), "PNG", icc_profile=b"rubbish"))
    assert mean_difference(image, upright()) == 0
    assert image.receipt.notes == ("its colour profile is broken and was left out",)
    image = load(encoded(upright().convert("L"), "PNG", icc_profile=_swapped_profile()))
    assert mean_difference(image, upright().convert("L")) == 0


# ---- many frames


def test_the_first_frame_of_an_animation_is_shown_and_noted_where_a_picture_is_wanted():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for file_format in ("GIF", "WEBP", "PNG", "AVIF"):
        options = {"lossless": True} if file_format == "WEBP" else {}
        data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
        image = load(data, kinds=frozenset({"image"}))
        assert image.receipt.frames == 3, file_format
        assert "first of 3 frames" in image.receipt.notes
        assert np.abs(image.pixels[4, 4].astype(int) - [255, 0, 0]).max() < 6


def test_the_first_page_of_a_tiff_and_the_main_picture_of_a_heif():
    pages = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    image = load(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert "first of 3 pages" in image.receipt.notes and image.pixels[0, 0].tolist() == [255, 0, 0]
    image = load(encoded(pages[0], "HEIF", save_all=True, append_images=pages[1:], primary_index=2, quality=95))
    assert "main one of 3 pictures" in image.receipt.notes and image.pixels[0, 0, 2] > 240


def test_a_phone_jpeg_with_a_second_picture_in_it():
    data = encoded(upright(), "MPO", save_all=True, append_images=[noise()], exif=exif(3), quality=95)
    image = load(data, "phone.jpg")
    assert image.receipt.notes == ("main one of 2 pictures",) and image.receipt.rotation == "180"
    assert mean_difference(image, upright().transpose(Image.Transpose.ROTATE_180)) < 6


def test_a_gif_whose_first_frame_covers_a_part_of_the_canvas():
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30])
    data = bytearray(encoded(picture, "GIF"))
    data[6:10] = struct.pack("<HH", 8, 8)  # the canvas, twice as large
    assert load(bytes(data)).receipt.sent_size == (8, 8)


# ---- sizes


def test_one_pixel_is_a_picture():
    image = load(encoded(Image.new("RGB", (1, 1), "red"), "PNG"))
    assert image.pixels.tolist() == [[[255, 0, 0]]] and image.receipt.notes == ()


def test_a_very_long_picture_is_noted():
    assert "very long and narrow: 900×3" in load(encoded(noise(900, 3), "PNG")).receipt.notes


def test_a_blank_picture_is_noted():
    assert "every pixel has the same colour" in load(encoded(Image.new("L", (9, 9), 7), "PNG")).receipt.notes


def test_a_decompression_bomb_is_refused_from_its_header():
    error = refusal(png(60_000, 60_000, 8, 2), "bomb.png")
    assert error.message == "`bomb.png` has 3600 megapixels, the limit is 100"
    error = refusal(png(12_000, 10_000, 8, 2), "bomb.png")
    assert error.message == "`bomb.png` (12000×10000) has 120 megapixels, the limit is 100"


def test_the_megapixel_limit_can_be_moved_both_ways():
    assert "the limit is 0.001" in refusal(encoded(upright(), "PNG"), max_megapixels=0.001).message
    rows = (b"\0" + bytes(2500)) * 10_000
    big = png(20_000, 10_000, 1, 0, rows)  # 200 megapixels, more than Pillow lets pass by itself
    assert load(big, max_megapixels=250).receipt.sent_size == (20_000, 10_000)


def test_a_bomb_inside_an_icon_is_refused():
    inner = png(50_000, 50_000, 8, 2)
    icon = struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22) + inner
    assert "megapixels" in refusal(icon, "bomb.ico").message


# ---- what is refused


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    "file_format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF", "BMP", "GIF", "JPEG2000", "PPM", "QOI", "PCX"]
)
def test_a_file_that_is_cut_short_is_refused(file_format, cut):
    data = encoded(noise(), file_format)
    error = refusal(data[: int(len(data) * cut)], "holiday.jpg")
    assert error.message == "`holiday.jpg` is cut short: its end is missing"


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "HEIF", "AVIF"])
def test_an_unfinished_copy_that_ends_in_zeros_is_refused(file_format):
    data = encoded(noise(400, 300), file_format)
    half = len(data) // 2
    assert "ends in zeros" in refusal(data[:half] + bytes(len(data) - half)).message


def test_zeros_behind_a_whole_jpeg_do_no_harm():
    assert load(encoded(noise(), "JPEG") + bytes(5000)).receipt.sent_size == (120, 80)


def test_a_progressive_jpeg_that_is_cut_short_is_refused():
    data = encoded(noise(), "JPEG", progressive=True)
    assert "cut short" in refusal(data[: len(data) // 2]).message


def test_damage_inside_a_png_is_refused():
    data = bytearray(encoded(noise(), "PNG"))
    data[len(data) // 2] ^= 0xFF
    assert "damaged" in refusal(bytes(data)).message or "cut short" in refusal(bytes(data)).message


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"", "photo.png", "`photo.png` is empty: it has 0 bytes"),
        (b"Dear diary\n", "photo.png", "`photo.png` is a text file, not a picture"),
        (b"<!doctype html><html>404", "photo.jpg", "`photo.jpg` is a web page, not a picture"),
        (b"\0\1\2\3" * 50, "photo.png", "`photo.png` has an unknown format, whatever its name says"),
        (b"\0\1\2\3" * 50, "thing", "`thing` has an unknown format: mmcli reads pictures, sounds and texts"),
        (b"PK\x03\x04" + bytes(50), "a.docx", "`a.docx` is a ZIP archive or an office document: "),
        (b"%PDF-1.7\n", "a.pdf", "`a.pdf` is damaged: its end is missing"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", "`a.svg` is an SVG drawing"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<svg/>", "a.png", "`a.png` is an SVG drawing"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a.eps", "`a.eps` is PostScript"),
        (b"\xff\x0a" + bytes(50), "a.jxl", "`a.jxl` is JPEG XL, which is not supported yet"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a.png", "`a.png` "),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a.jpg", "`a.jpg` is only a Git LFS pointer"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_right_name(data, name, message):
    assert refusal(data, name).message.startswith(message)


def test_hints_name_the_next_step():
    assert "rsvg-convert" in (refusal(b"<svg/>", "a.svg").hint or "")
    assert "git lfs pull" in (refusal(b"version https://git-lfs.github.com/spec/v1\n", "a.jpg").hint or "")


def _raw_like(tags: dict[int, tuple[int, int]]) -> bytes:
    small = {256: (3, 2), 257: (3, 2), 258: (3, 8), 259: (3, 1), 262: (3, 1), 277: (3, 1), 278: (3, 2)}
    return tiff(small | tags, bytes(4))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (_raw_like({254: (4, 1), 330: (4, 8)}), "DSC_1.NEF"),
        (_raw_like({254: (4, 1), 330: (4, 8)}), "renamed.tif"),
        (_raw_like({50706: (4, 0x0104)}), "phone.dng"),
        (_raw_like({}), "plain tags.arw"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(60), "IMG_1.CR2"),
        (b"\0\0\0\x18ftypcrx " + bytes(60), "IMG_1.CR3"),
        (b"FUJIFILMCCD-RAW " + bytes(60), "DSCF1.RAF"),
    ],
)
def test_camera_raw_is_refused_and_not_shown_as_its_preview(data, name):
    assert "camera raw" in refusal(data, name).message


def test_a_plain_tiff_of_the_same_making_is_shown():
    assert load(_raw_like({}), "plain.tif").receipt.sent_size == (2, 2)


def test_targa_is_read_by_its_extension_only():
    data = encoded(upright(), "TGA")
    assert mean_difference(load(data, "old.tga"), upright()) == 0
    assert "unknown format" in refusal(data, "old.dat").message
    assert "`a.tga`" in refusal(bytes(500), "a.tga").message


def test_random_bytes_are_never_a_picture():
    rng = np.random.default_rng(3)
    for _ in range(200):
        with pytest.raises(InputError):
            load(rng.bytes(300), "random.png")


def test_damaged_pictures_never_raise_anything_but_our_errors():
    rng = np.random.default_rng(5)
    for file_format in ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "HEIF", "AVIF", "ICO", "JPEG2000"):
        good = encoded(upright(), file_format)
        for _ in range(25):
            data = bytearray(good)
            for at in rng.integers(0, len(data), 4):
                data[at] = rng.integers(0, 256)
            try:
                load(bytes(data), "x.bin", max_megapixels=1)
            except MmcliError as error:
                assert error.message


# ---- warnings and threads


def test_the_decoders_warnings_become_notes():
    tags = {256: (3, 2), 257: (3, 2), 258: (3, 8), 259: (3, 1), 262: (3, 1), 277: (3, 1), 278: (3, 2)}
    data = bytearray(tiff(tags | {306: (2, 5)}, bytes(4)))
    at = data.index(struct.pack("<HH", 306, 2))
    data[at + 4 : at + 12] = struct.pack("<II", 5000, 90_000)  # a date of 5000 characters, far behind the end
    image = load(bytes(data), "x.tif")
    assert any("warned" in note for note in image.receipt.notes)


def test_pictures_decoded_in_threads_leave_the_warning_filters_as_they_were():
    filters, shown = list(warnings.filters), warnings.showwarning
    data, failures = encoded(noise(600, 600), "PNG"), []

    def work():
        try:
            for _ in range(5):
                load(data)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and list(warnings.filters) == filters and warnings.showwarning is shown


def test_heic_is_read_in_a_fresh_process_and_nothing_is_printed(tmp_path):
    path = tmp_path / "IMG_1.HEIC"
    path.write_bytes(held(6, "HEIF"))
    code = "import sys; from mmcli import media; print(media.load(media.find(sys.argv[1:])[0]).receipt.rotation)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("90\n", "", 0)


def test_importing_the_room_imports_no_decoder():
    code = "import sys, mmcli.media; print([m for m in ('PIL', 'numpy', 'av', 'httpx', 'httpx2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr


def test_a_png_with_a_huge_text_chunk_is_no_bomb():
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 5_000_000, zip=True)
    try:
        load(encoded(upright(), "PNG", pnginfo=info))
    except InputError as error:
        assert "damaged" in error.message
