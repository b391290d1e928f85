"""Parts of files: which names mean one, and what is cut out of a picture."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from mmcli import media
from mmcli.errors import InputError, MmcliError, UsageError
from mmcli.media import locator
from tests.pictures import UPRIGHT_SIZE, encoded, held, noise, upright

pillow_heif.register_heif_opener()  # the tests write HEIC

WIDTH, HEIGHT = UPRIGHT_SIZE


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with photo.png in it."""
    monkeypatch.chdir(tmp_path)
    upright().save("photo.png")
    return tmp_path


def only(argument: str) -> media.Source:
    (source,) = media.find([argument])
    return source


def image(source: media.Source) -> media.Image:
    found = media.load(source)
    assert isinstance(found, media.Image)
    return found


def part(data: bytes, fragment: str, name: str = "picture.png") -> media.Image:
    return image(media.Source(f"{name}#{fragment}", data=data, locator=locator.parse(fragment)))


# ---- which names mean a part


def test_a_part_has_the_name_that_was_typed_and_the_path_of_the_file(here: Path) -> None:
    source = only("photo.png#xywh=percent:0,0,50,50")
    assert source.name == "photo.png#xywh=percent:0,0,50,50" and source.document == "photo.png"
    assert source.path == Path("photo.png") and source.suffix == ".png"
    assert str(source.locator) == "xywh=percent:0,0,50,50"
    assert only("photo.png").locator is None


@pytest.mark.parametrize("name", ["a#1.png", "photo.png#xywh=1,1,2,2", "photo.png#xywh=oops", "photo.png#t=9.png"])
def test_a_file_whose_name_holds_it_wins(here: Path, name: str) -> None:
    noise(8, 8).save(name, "PNG")
    for source in (only(name), media.named(name), *media.each(name)):
        assert source.path == Path(name) and source.locator is None
        assert image(source).receipt.source_size == (8, 8)
    assert media.part_of(name) is None


def test_a_part_of_a_file_whose_name_holds_a_mark(here: Path) -> None:
    noise(8, 8).save("a#1.png")
    assert image(only("a#1.png#xywh=2,2,3,4")).receipt.sent_size == (3, 4)
    noise(9, 9).save("photo.png#xywh=1,1,2,2", "PNG")
    assert image(only("photo.png#xywh=1,1,2,2#xywh=0,0,5,5")).receipt.source_size == (9, 9)


def test_a_pattern_means_the_same_part_of_each(here: Path) -> None:
    noise(WIDTH, HEIGHT).save("other.png")
    found = media.find(["*.png#xywh=1,2,3,4"])
    assert [source.name for source in found] == ["other.png#xywh=1,2,3,4", "photo.png#xywh=1,2,3,4"]
    assert [image(source).receipt.sent_size for source in found] == [(3, 4)] * 2
    noise(5, 5).save("x.png#xywh=1,2,3,4", "PNG")  # and real names win
    assert [source.name for source in media.find(["*.png#xywh=1,2,3,4"])] == ["x.png#xywh=1,2,3,4"]


def test_an_address_is_asked_for_without_its_part() -> None:
    source = only("https://me:secret@example.com/a.jpg?b#xywh=1,2,3,4")
    assert source.url == "https://me:secret@example.com/a.jpg?b" and source.suffix == ".jpg"
    assert source.name == "https://example.com/a.jpg?b#xywh=1,2,3,4"
    plain = only("https://example.com/a.html#top")
    assert plain.url == plain.name == "https://example.com/a.html#top" and plain.locator is None
    assert media.named("https://example.com/a.jpg#xywh=1,2,3,4").locator == source.locator
    with pytest.raises(UsageError) as caught:
        media.find(["https://me:secret@example.com/a.jpg#xywh=1"])
    assert "secret" not in caught.value.message


def test_a_file_address_has_parts(here: Path) -> None:
    uri = (here / "photo.png").as_uri()
    assert image(only(f"{uri}#xywh=1,2,3,4")).receipt.sent_size == (3, 4)
    with pytest.raises(InputError, match="is a folder"):
        media.find([f"{here.as_uri()}#xywh=1,2,3,4"])
    with pytest.raises(InputError, match="is a folder"):
        list(media.each(f"{here.as_uri()}#xywh=1,2,3,4"))


@pytest.mark.parametrize(
    "argument, error, words",
    [
        ("photo.png#xywh=1", UsageError, "four numbers"),
        ("*.png#xywh=1", UsageError, "four numbers"),
        (".#xywh=1,2,3,4", InputError, "is a folder"),
        ("phto.png#xywh=1,2,3,4", InputError, "no file named `phto.png#xywh=1,2,3,4`"),
        ("nothing*.png#xywh=1,2,3,4", InputError, "nothing matches `nothing*.png`"),
        ("#xywh=1,2,3,4", InputError, "no file named"),
        ("photo.png" + "#t=1" * 3000, InputError, "no file named"),
    ],
)
def test_what_is_no_part_of_a_file(here: Path, argument: str, error: type[MmcliError], words: str) -> None:
    with pytest.raises(error) as caught:
        media.find([argument])
    assert words in caught.value.message
    media.looks_like_medium(argument)  # raises nothing


def test_a_mistyped_name_is_found_with_its_part(here: Path) -> None:
    with pytest.raises(InputError) as caught:
        media.find(["phto.png#xywh=1,2,3,4"])
    assert caught.value.hint == "did you mean `photo.png#xywh=1,2,3,4`?"


@pytest.mark.parametrize(
    "argument, is_one",
    [
        ("photo.png#xywh=1,2,3,4", True),
        ("photo.png#xywh=", True),
        ("gone.png#xywh=1,2,3,4", True),
        ("https://example.com/a#t=1", True),
        ("What does #t=1 mean?", False),
        ("Look at gone.png#t=1", False),
        ("gone.png#top", False),
    ],
)
def test_what_looks_like_a_medium(here: Path, argument: str, is_one: bool) -> None:
    assert media.looks_like_medium(argument) == is_one


# ---- the box of a picture


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "HEIF", "JPEG"])
def test_the_box_lies_in_what_a_person_sees(orientation: int, file_format: str) -> None:
    data = held(orientation, file_format, **({"quality": 95} if file_format in ("HEIF", "JPEG") else {}))
    cut, whole = part(data, "xywh=10,20,40,30"), image(media.Source("p", data=data))
    assert np.array_equal(cut.pixels, whole.pixels[20:50, 10:50])
    assert cut.pixels.flags.c_contiguous and cut.pixels.flags.owndata
    expected = np.asarray(upright().crop((10, 20, 50, 50)).convert("RGB")).astype(int)
    assert np.abs(cut.pixels - expected).mean() < 6
    receipt = cut.receipt
    assert receipt.locator == "xywh=10,20,40,30" and receipt.sent_size == (40, 30)
    assert receipt.source_size == whole.receipt.source_size and receipt.rotation == whole.receipt.rotation
    assert f"box 10,20,40,30 of {WIDTH}×{HEIGHT}" in receipt.notes


def test_the_media_id_is_that_of_the_pixels_which_are_cut() -> None:
    data = encoded(upright(), "PNG")
    box = (10, 20, 50, 50)
    same = image(media.Source("p", data=encoded(upright().crop(box), "PNG")))
    assert part(data, "xywh=10,20,40,30").id == same.id
    assert part(data, "xywh=11,20,40,30").id != same.id
    assert part(data, "xywh=10,20,40,30").receipt.sha256 == image(media.Source("p", data=data)).receipt.sha256


def test_a_box_is_cut_off_at_the_edges_with_a_note() -> None:
    cut = part(encoded(upright(), "PNG"), f"xywh={WIDTH - 10},{HEIGHT - 5},100,100")
    assert cut.receipt.sent_size == (10, 5)
    assert cut.receipt.locator == f"xywh={WIDTH - 10},{HEIGHT - 5},10,5"
    assert any("cut off at its edges" in note for note in cut.receipt.notes)


def test_percent_are_of_the_upright_picture() -> None:
    cut = part(held(6, "PNG"), "xywh=percent:50,0,50,100")
    assert cut.receipt.locator == f"xywh={WIDTH // 2},0,{WIDTH // 2},{HEIGHT}"
    assert np.array_equal(cut.pixels, np.asarray(upright().convert("RGB"))[:, WIDTH // 2 :])


@pytest.mark.parametrize("fragment", [f"xywh={WIDTH},0,5,5", f"xywh=0,{HEIGHT},5,5", "xywh=percent:100,0,5,5"])
def test_a_box_outside_the_picture_is_an_error_with_its_size(fragment: str) -> None:
    with pytest.raises(InputError) as caught:
        part(held(6, "PNG"), fragment)
    assert f"{WIDTH}×{HEIGHT}" in caught.value.message and "outside" in caught.value.message


def test_the_first_frame_of_several_is_cut() -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    cut = part(data, "xywh=0,0,10,10", "a.gif")
    assert cut.receipt.frames == 2 and tuple(cut.pixels[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize(
    "fragment, data, words",
    [
        ("page=1", encoded(upright(), "PNG"), "is a picture, which has no pages"),
        ("t=1", encoded(upright(), "PNG"), "is a picture, which has no time"),
        ("t=1&xywh=0,0,5,5", encoded(upright(), "PNG"), "is a picture, which has no time"),
        ("xywh=0,0,5,5", b"words", "is a text file, which has no box"),
        ("page=1", b"%PDF-1.7\n", "is damaged: its end is missing"),
    ],
)
def test_a_part_that_there_cannot_be(fragment: str, data: bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        media.load(media.Source(f"file#{fragment}", data=data, locator=locator.parse(fragment)))
    assert words in caught.value.message


# ---- documents


def test_a_picture_is_a_document_of_one_part(here: Path) -> None:
    whole = media.open(only("photo.png"))
    assert [one.locator for one in whole.parts] == [None]
    assert whole.receipt is whole.parts[0].medium.receipt and whole.receipt.locator is None
    cut = media.open(only("photo.png#xywh=percent:0,0,50,50"))
    assert [str(one.locator) for one in cut.parts] == [f"xywh=0,0,{WIDTH // 2},{HEIGHT // 2}"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_that_is_no_text_has_parts_too(here: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    upright().save(name)
    assert image(only(f"{name}#xywh=1,2,3,4")).receipt.sent_size == (3, 4)
