"""A description inside a picture's file: a person's words count, a camera's do not, nor mmcli's own."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from mmcli.jobs.result_cache import Results
from mmcli.outputs import embedded, xmp
from mmcli.outputs.sidecars import SidecarPlan, Sidecars
from tests import pictures
from tests.captioning import Caption, lines
from tests.conftest import draw

WORDS = "Zwei Kühe"
TAGS = ("XMP-dc:Description", "IPTC:Caption-Abstract", "IFD0:ImageDescription")


def exiftool(picture: Path, *options: str) -> Path:
    """The picture with what exiftool, which knows nothing of us, writes into it."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    done = subprocess.run(["exiftool", "-q", "-overwrite_original", *options, picture], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return picture


def with_exif(text: str) -> bytes:
    tags = Image.Exif()
    tags[0x010E] = text
    return pictures.encoded(pictures.upright(), "JPEG", exif=tags.tobytes())


def with_xmp(packet: bytes, file_format: str = "JPEG") -> bytes:
    return pictures.encoded(pictures.upright(), file_format, xmp=packet)


HUMAN = xmp.with_description(None, "x", model="m", date="").replace(b">x<", b">Two cows<")
OURS = xmp.with_description(None, "Two cows", model="m", date="")


# what counts


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF"])
def test_a_person_s_words_are_found_where_other_programs_write_them(tmp_path: Path, file_format: str, tag: str) -> None:
    path = tmp_path / "a.picture"
    path.write_bytes(pictures.encoded(pictures.upright(), file_format))
    assert not embedded.has_words(path.read_bytes())
    assert embedded.has_words(exiftool(path, f"-{tag}={WORDS}").read_bytes())


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "HEIF"])
def test_xmp_is_read_in_every_format_that_carries_it(file_format: str) -> None:
    if file_format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    if file_format == "PNG":  # which Pillow does not write
        plain = pictures.encoded(pictures.upright(), "PNG")
        at = plain.index(b"IDAT") - 4
        chunk = pictures.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + HUMAN)
        found = plain[:at] + chunk + plain[at:]
    else:
        found = with_xmp(HUMAN, file_format)
    assert embedded.has_words(found)


def test_a_png_s_words_are_found_without_its_pixels() -> None:
    tags = Image.Exif()
    tags[0x010E] = WORDS
    late = pictures.chunk(b"eXIf", tags.tobytes().removeprefix(b"Exif\0\0"))
    plain = pictures.encoded(pictures.upright(), "PNG")
    at, end = plain.index(b"IDAT") - 4, plain.index(b"IEND") - 4
    broken = pictures.chunk(b"IDAT", zlib.compress(b"no row is like this"))
    assert embedded.has_words(plain[:at] + broken + late + plain[end:])


@pytest.mark.parametrize(
    ("text", "is_human"),
    [
        ("Two cows", True),
        ("Canon in D, played at our wedding", True),
        ("My daughter with her digital camera", True),
        ("Default settings of the old radio", True),
        ("", False),
        ("   \0 ", False),
        ("OLYMPUS DIGITAL CAMERA         ", False),
        ("KODAK Digital Still Camera", False),
        ("SONY DSC", False),
        ("<KENOX S860  / Samsung S860>", False),
        (r"DCIM\100MEDIA\DJI_0001.JPG", False),
        ("default", False),
        ("cof", False),
        ("oznorHDR", False),
        ("Exif_JPEG_PICTURE", False),
        ("Processed with VSCO with c1 preset", False),
    ],
)
def test_what_a_camera_writes_into_every_picture_is_no_description(text: str, is_human: bool) -> None:
    assert embedded.has_words(with_exif(text)) == is_human


def test_what_mmcli_wrote_and_somebody_copied_into_the_picture_is_no_person_s() -> None:
    assert embedded.has_words(with_xmp(HUMAN)) and not embedded.has_words(with_xmp(OURS))
    assert embedded.has_words(with_exif("Two  cows")) and not embedded.has_words(with_exif("Two  cows"), OURS)
    tags = Image.Exif()
    tags[0x010E] = "Two cows"
    both = pictures.encoded(pictures.upright(), "JPEG", xmp=OURS, exif=tags.tobytes())
    assert not embedded.has_words(both)
    assert embedded.has_words(with_xmp(OURS.replace(b"Two cows", b"Three cows")))  # changed since


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta",
        b"<a>" * 3000 + b"</a>" * 3000,
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b"\xff\xfe\0",
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    ],
)
def test_a_broken_block_says_nothing(packet: bytes) -> None:
    assert not embedded.has_words(with_xmp(packet))
    assert not embedded.has_words(pictures.encoded(pictures.upright(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    assert not embedded.has_words(b"no picture") and not embedded.has_words(b"")


# what follows from it


def test_a_described_picture_gets_no_xmp_unless_asked(caption: Caption, tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(tmp_path / f"{name}.jpg", "red circle", "blue square")
    tags = Image.Exif()
    tags[0x010E] = WORDS
    Image.open(tmp_path / "a.jpg").save(tmp_path / "a.jpg", exif=tags.tobytes())
    done = caption("a.jpg", "b.jpg", "--sidecar", "xmp", "-v")
    assert (done.status, [name for name, _ in lines(done)]) == (0, ["b.jpg"])
    assert "`a.jpg` already holds a description that mmcli did not write" in done.stderr
    assert not (tmp_path / "a.jpg.xmp").exists() and (tmp_path / "b.jpg.xmp").exists()
    # other sidecars contradict nobody
    done = caption("a.jpg", "--sidecar", "xmp", "--sidecar", "txt")
    assert (done.status, [name for name, _ in lines(done)]) == (0, ["a.jpg"])
    assert (tmp_path / "a.txt").exists() and not (tmp_path / "a.jpg.xmp").exists()
    assert dict(lines(caption("a.jpg", "--sidecar", "xmp", "--dry-run")))["a.jpg"].startswith("stays as it is")
    assert caption("a.jpg", "--sidecar", "xmp", "--overwrite").status == 0
    assert (tmp_path / "a.jpg.xmp").exists()


def test_tags_stand_beside_a_description(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(with_exif(WORDS))
    data = picture.read_bytes()
    results = Results(None)
    assert Sidecars(SidecarPlan(("xmp",)), results).objection(picture, data) is not None
    assert Sidecars(SidecarPlan(("xmp",), tags=True), results).objection(picture, data) is None
    assert Sidecars(SidecarPlan(("txt", "json")), results).objection(picture, data) is None
    assert Sidecars(SidecarPlan(("xmp",), overwrite=True), results).objection(picture, data) is None
    results.close()


def test_a_picture_is_not_decoded_to_find_words_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached picture must stay cheap."""
    made = [pictures.encoded(pictures.noise(), file_format) for file_format in ("JPEG", "PNG", "TIFF", "WEBP")]
    decoded: list[tuple[int, int]] = []
    real = ImageFile.ImageFile.load
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: (decoded.append(self.size), real(self))[1])
    assert not any(embedded.has_words(picture) for picture in made)
    assert set(decoded) <= {(1, 1)}
