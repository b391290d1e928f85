"""Fragments: what they mean, how they are written, and what is said of those that are malformed."""

from __future__ import annotations

import random

import pytest

from mmcli.errors import UsageError
from mmcli.media import locator
from mmcli.media.locator import Locator, Rectangle, Stretch

# fragment, what it means, its canonical text
FORMS = [
    ("xywh=10,20,200,80", Locator(box=Rectangle(10, 20, 200, 80)), "xywh=10,20,200,80"),
    ("xywh=pixel:10,20,200,80", Locator(box=Rectangle(10, 20, 200, 80)), "xywh=10,20,200,80"),
    ("xywh=percent:5,5.50,90,10", Locator(box=Rectangle(5, 5.5, 90, 10, percent=True)), "xywh=percent:5,5.5,90,10"),
    ("xywh=160%2C120%2C320%2C240", Locator(box=Rectangle(160, 120, 320, 240)), "xywh=160,120,320,240"),
    ("xywh=percent%3A1,2,3,4", Locator(box=Rectangle(1, 2, 3, 4, percent=True)), "xywh=percent:1,2,3,4"),
    ("XYWH=1,2,3,4", Locator(box=Rectangle(1, 2, 3, 4)), "xywh=1,2,3,4"),
    ("t=10", Locator(time=Stretch(10)), "t=10"),
    ("t=10,20", Locator(time=Stretch(10, 20)), "t=10,20"),
    ("t=,20", Locator(time=Stretch(0, 20)), "t=0,20"),
    ("t=npt:10,20", Locator(time=Stretch(10, 20)), "t=10,20"),
    ("t=npt:,121.5", Locator(time=Stretch(0, 121.5)), "t=0,121.5"),
    ("t=0:02:00,121.5", Locator(time=Stretch(120, 121.5)), "t=120,121.5"),
    ("t=1:20:00,1:25:00.25", Locator(time=Stretch(4800, 5100.25)), "t=4800,5100.25"),
    ("t=02:05", Locator(time=Stretch(125)), "t=125"),
    ("page=3", Locator(pages=((3, 3),)), "page=3"),
    ("page=3-5,9", Locator(pages=((3, 5), (9, 9))), "page=3-5,9"),
    ("page=9,3-3", Locator(pages=((9, 9), (3, 3))), "page=9,3"),
    ("xywh=1,2,3,4&page=2", Locator(((2, 2),), None, Rectangle(1, 2, 3, 4)), "page=2&xywh=1,2,3,4"),
    ("t=1&xywh=1,2,3,4", Locator((), Stretch(1), Rectangle(1, 2, 3, 4)), "t=1&xywh=1,2,3,4"),
]

# fragment, a part of what is said of it
MISTAKES = [
    ("xywh=", "four numbers"),
    ("xywh=1,2,3", "four numbers"),
    ("xywh=1,2,3,4,5", "four numbers"),
    ("xywh=1,2,,4", "four numbers"),
    ("xywh=-1,0,10,10", "negative"),
    ("xywh=1,1,0,10", "empty"),
    ("xywh=1,1,10,0.0", "empty"),
    ("xywh=nan,1,1,1", "`nan` is not a number"),
    ("xywh=inf,1,1,1", "`inf` is not a number"),
    ("xywh=1e3,1,1,1", "`1e3` is not a number"),
    ("xywh=1,1,1,0x10", "`0x10` is not a number"),
    ("xywh=.,1,1,1", "`.` is not a number"),
    ("xywh=" + "9" * 400 + ",1,1,1", "too large"),
    ("xywh=em:1,1,1,1", "`em`"),
    ("xywh=1, 2, 3, 4", "is not a number"),
    ("t=", "needs a time"),
    ("t=,", "needs a time"),
    ("t=npt:", "needs a time"),
    ("t=10,", "not a time"),
    ("t=20,10", "after it begins"),
    ("t=10,10", "after it begins"),
    ("t=-5", "negative"),
    ("t=nan", "`nan` is not a time"),
    ("t=1:60", "up to 59"),
    ("t=1.5:20", "up to 59"),
    ("t=1:2:3:4", "not a time"),
    ("t=1:,5", "not a time"),
    ("t=smpte:0:02:00", "`smpte`"),
    ("t=1,2,3", "`2,3` is not a time"),
    ("t=999999999:00", "too large"),
    ("t=1٣", "not a time"),
    ("page=", "not a page"),
    ("page=0", "from 1"),
    ("page=5-3", "ends before it begins"),
    ("page=-3", "not a page"),
    ("page=1,,2", "not a page"),
    ("page=one", "`one` is not a page"),
    ("page=" + "9" * 5000, "too large"),
    ("page=" + ",".join(["1"] * 1001), "the limit is 1000"),
    ("t=1&t=2", "twice"),
    ("track=audio&t=1", "`track=audio` names no part"),
    ("page=3&zoom=100", "`zoom=100` names no part"),
    ("t=1&", "names no part"),
]


@pytest.mark.parametrize("fragment, meant, text", FORMS)
def test_what_a_fragment_means(fragment: str, meant: Locator, text: str) -> None:
    assert locator.parse(fragment) == meant
    assert str(meant) == text
    assert locator.parse(text) == meant


@pytest.mark.parametrize("fragment, words", MISTAKES, ids=[fragment[:30] for fragment, _ in MISTAKES])
def test_a_malformed_fragment_is_one_sentence_with_a_hint(fragment: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        locator.parse(fragment, f"photo.jpg#{fragment}")
    message = caught.value.message
    assert words in message and "photo.jpg#" in message
    assert len(message) < 400 and "\n" not in message
    assert caught.value.hint is not None and "xywh=10,10,200,80" in caught.value.hint


def test_any_locator_survives_its_text() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        numbers = [round(chance.choice((chance.uniform(0, 5), chance.uniform(0, 1e8))), 6) for _ in range(6)]
        begin, length = numbers[4], numbers[5] + 0.000001
        pages = tuple(
            (first, first + chance.randrange(3)) for first in chance.sample(range(1, 999), chance.randrange(3))
        )
        box = Rectangle(*numbers[:2], numbers[2] + 0.01, numbers[3] + 0.01, chance.random() < 0.5)
        for meant in (
            Locator(pages, Stretch(begin, round(begin + length, 6))),
            Locator(pages, None, Rectangle(box.x, box.y, round(box.width, 6), round(box.height, 6), box.percent)),
        ):
            assert locator.parse(str(meant)) == meant


def test_garbage_is_a_usage_error_and_nothing_else() -> None:
    chance = random.Random(11)
    letters = "0123456789,.:-&=%#xywhtpagenptpercentpixel \0\udcff٣²½+eEinfNaN"
    for _ in range(20_000):
        fragment = chance.choice(("xywh=", "t=", "page=", "")) + "".join(
            chance.choices(letters, k=chance.randrange(14))
        )
        try:
            meant = locator.parse(fragment)
        except UsageError:
            continue
        assert locator.parse(str(meant)) == meant


@pytest.mark.parametrize(
    "name, parts",
    [
        ("photo.jpg", None),
        ("photo.jpg#", None),
        ("photo.jpg#1", None),
        ("C#.txt", None),
        ("https://example.com/a.html#top", None),
        ("photo.jpg#track=audio", None),
        ("photo.jpg#xywh", None),
        ("#t=1", None),
        ("photo.jpg#xywh=1,2,3,4", ("photo.jpg", "xywh=1,2,3,4")),
        ("a#1.jpg#xywh=1,2,3,4", ("a#1.jpg", "xywh=1,2,3,4")),
        ("https://example.com/a.mp3?b=c#t=1,2", ("https://example.com/a.mp3?b=c", "t=1,2")),
        ("photo.jpg#xywh=", ("photo.jpg", "xywh=")),
        ("photo.jpg#zoom=2&page=1", ("photo.jpg", "zoom=2&page=1")),
    ],
)
def test_which_fragments_are_meant_for_mmcli(name: str, parts: tuple[str, str] | None) -> None:
    assert locator.split(name) == parts


@pytest.mark.parametrize(
    "fragment, size, inside, exceeds",
    [
        ("xywh=10,20,200,80", (480, 320), (10, 20, 200, 80), False),
        ("xywh=0,0,480,320", (480, 320), (0, 0, 480, 320), False),
        ("xywh=400,300,200,200", (480, 320), (400, 300, 80, 20), True),
        ("xywh=480,0,1,1", (480, 320), None, True),
        ("xywh=0,320,1,1", (480, 320), None, True),
        ("xywh=percent:25,50,50,50", (480, 320), (120, 160, 240, 160), False),
        ("xywh=percent:33.3,0,66.7,100", (480, 320), (160, 0, 320, 320), False),
        ("xywh=percent:50,50,60,10", (480, 320), (240, 160, 240, 32), True),
        ("xywh=percent:100,0,1,1", (480, 320), None, True),
        ("xywh=percent:99.99,99.99,0.01,0.01", (10, 10), (9, 9, 1, 1), False),
        ("xywh=0.2,0.2,0.1,0.1", (10, 10), (0, 0, 1, 1), False),
        ("xywh=9.9,9.9,5,5", (10, 10), (9, 9, 1, 1), True),
    ],
)
def test_a_box_in_a_picture(
    fragment: str, size: tuple[int, int], inside: tuple[int, ...] | None, exceeds: bool
) -> None:
    box = locator.parse(fragment).box
    assert box is not None
    found = box.within(*size)
    assert (None if found is None else (found.x, found.y, found.width, found.height)) == inside
    assert box.exceeds(*size) == exceeds
