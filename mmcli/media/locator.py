"""Parses the part of a medium that a fragment names: pages, a stretch of time, a box. Opens no file.

`report.pdf#page=3-5,9`, `talk.mp3#t=80,100`, `photo.jpg#xywh=10,10,200,80`, several joined by `&`: RFC 8118 for pages,
W3C Media Fragments URI 1.0 for times and boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from mmcli.errors import UsageError
from mmcli.media.names import quoted

EXAMPLES = "for example photo.jpg#xywh=10,10,200,80, talk.mp3#t=80,100 or report.pdf#page=3"
_NAMES = ("page", "t", "xywh")  # in the order of the canonical text
_MAX_DIGITS = 9  # before the point: what is larger is a slip of the finger, and floats stay exact
_MAX_RANGES = 1000  # of pages
_NUMBER = re.compile(r"(?P<sign>[+-]?)(?P<whole>[0-9]*)(?:\.(?P<rest>[0-9]*))?", re.ASCII)
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?", re.ASCII)
_PAGES = re.compile(r"(?P<first>-?[0-9]+)(?P<to>-(?P<last>-?[0-9]+)?)?", re.ASCII)  # 3, -1, 3-5, 3-, -3--1
_UNITS = {"pixel": False, "percent": True}


@dataclass(frozen=True)
class Rectangle:
    """A box in the upright picture as a person sees it, from its top left corner; in pixels, or in percent of it."""

    x: float
    y: float
    width: float
    height: float
    percent: bool = False

    def within(self, width: int, height: int) -> Rectangle | None:
        """The box in whole pixels of a picture of that size, cut off at its edges; None where it lies outside."""
        unit_x, unit_y = (width / 100, height / 100) if self.percent else (1.0, 1.0)
        across = _clipped(self.x * unit_x, self.width * unit_x, width)
        down = _clipped(self.y * unit_y, self.height * unit_y, height)
        return Rectangle(across[0], down[0], across[1], down[1]) if across and down else None

    def exceeds(self, width: int, height: int) -> bool:
        """Whether some of it lies outside a picture of that size."""
        right, bottom = (100, 100) if self.percent else (width, height)
        return round(self.x + self.width, 6) > right or round(self.y + self.height, 6) > bottom

    def __str__(self) -> str:
        numbers = ",".join(map(_text, (self.x, self.y, self.width, self.height)))
        return f"percent:{numbers}" if self.percent else numbers


@dataclass(frozen=True)
class Stretch:
    """A stretch of time on the file's own clock, in seconds; without an end it lasts until the file ends."""

    begin: float = 0.0
    end: float | None = None

    def __str__(self) -> str:
        return _text(self.begin) if self.end is None else f"{_text(self.begin)},{_text(self.end)}"


@dataclass(frozen=True)
class PageChoice:
    """Pages of documents whose length is not known yet: `1-3,7,-1,odd`, as `--pages` takes them."""

    text: str
    ranges: tuple[tuple[int, int | None] | str, ...]  # first and last, negative from the end; "odd", "even"

    def numbers(self, n_pages: int) -> tuple[int, ...]:
        """The page numbers of a document of `n_pages`, each once, in the order given.

        Of a range that ends outside of the document, that end alone.
        """
        found: list[int] = []
        for each in self.ranges:
            if isinstance(each, str):
                found += range(1 if each == "odd" else 2, n_pages + 1, 2)
                continue
            first, last = (_counted(number, n_pages) for number in each)
            outside = [number for number in (first, last) if not 1 <= number <= n_pages]
            found += outside[-1:] or range(first, last + 1) or [first, last]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Locator:
    """Where in a document a part lies. `str` gives the canonical fragment, without its `#`, which `parse` reads."""

    pages: tuple[tuple[int, int], ...] = ()  # ranges of page numbers, from 1, both ends included
    time: Stretch | None = None
    box: Rectangle | None = None

    def __str__(self) -> str:
        parts = []
        if self.pages:
            ranges = (str(first) if first == last else f"{first}-{last}" for first, last in self.pages)
            parts.append(f"page={','.join(ranges)}")
        if self.time is not None:
            parts.append(f"t={self.time}")
        if self.box is not None:
            parts.append(f"xywh={self.box}")
        return "&".join(parts)

    @property
    def names(self) -> tuple[str, ...]:
        """The dimensions it has: of "page", "t" and "xywh"."""
        given = dict(zip(_NAMES, (bool(self.pages), self.time is not None, self.box is not None), strict=True))
        return tuple(name for name in _NAMES if given[name])


def split(name: str) -> tuple[str, str] | None:
    """A name without its fragment, and the fragment without `#`; None where it has none that is meant for mmcli.

    Any other fragment, such as the `#top` of a web page, belongs to the name. A fragment that is meant for mmcli need
    not be a valid one.
    """
    base, _, fragment = name.rpartition("#")
    if not base:
        return None
    pairs = (piece.partition("=") for piece in fragment.split("&"))
    return (base, fragment) if any(equals and unquote(key).lower() in _NAMES for key, equals, _ in pairs) else None


def parse(fragment: str, name: str | None = None) -> Locator:
    """The locator that a fragment, without its `#`, stands for; UsageError where it is malformed.

    `name` is what the error message calls it: the whole argument.
    """
    try:
        return _parsed(fragment)
    except _Malformed as error:
        raise UsageError(f"{quoted(name or '#' + fragment)}: {error}", hint=EXAMPLES) from None


def _counted(number: int | None, n_pages: int) -> int:
    """A page number, from 1: negative ones count from the end where the document has so many; None is the last."""
    if number is None:
        return n_pages
    return n_pages + 1 + number if -n_pages <= number < 0 else number


def pages(value: str) -> PageChoice:
    """The pages that `--pages` names; UsageError where it is malformed."""
    try:
        pieces = [piece.strip().lower() for piece in value.split(",")]
        if len(pieces) > _MAX_RANGES:
            raise _Malformed(f"there are {len(pieces)} ranges, the limit is {_MAX_RANGES}")
        return PageChoice(value, tuple(map(_choice, pieces)))
    except _Malformed as error:
        raise UsageError(
            f"`--pages` {quoted(value)}: {error}", hint="for example --pages 1-3,7 or --pages -1 (the last) or odd"
        ) from None


def page_ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Page numbers in their order as ranges: 3, 4, 5, 9 -> (3, 5), (9, 9)."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)


class _Malformed(Exception):
    """What is wrong with a fragment, as a clause."""


def _parsed(fragment: str) -> Locator:
    found: dict[str, str] = {}
    for piece in fragment.split("&"):
        key, equals, value = piece.partition("=")
        key = unquote(key).lower()
        if not equals or key not in _NAMES:
            raise _Malformed(f"{quoted(piece)} names no part; `page=`, `t=` and `xywh=` do")
        if key in found:
            raise _Malformed(f"`{key}=` is given twice")
        found[key] = unquote(value)
    pages = _pages(found["page"]) if "page" in found else ()
    time = _time(found["t"]) if "t" in found else None
    box = _box(found["xywh"]) if "xywh" in found else None
    return Locator(pages, time, box)


def _pages(value: str) -> tuple[tuple[int, int], ...]:
    pieces = value.split(",")
    if len(pieces) > _MAX_RANGES:
        raise _Malformed(f"`page=` has {len(pieces)} ranges, the limit is {_MAX_RANGES}")
    return tuple(map(_range, pieces))


def _choice(piece: str) -> tuple[int, int | None] | str:
    if piece in ("odd", "even"):
        return piece
    match = _PAGES.fullmatch(piece)
    if match is None:
        raise _Malformed(f"{_shown(piece)} is not a page, a range such as `3-5`, `odd` or `even`")
    if max(len((digits or "").lstrip("-")) for digits in match.group("first", "last")) > _MAX_DIGITS:
        raise _Malformed(f"the page number in {quoted(piece)} is too large")
    first = int(match["first"])
    last = first if match["to"] is None else int(match["last"]) if match["last"] else None
    if first == 0 or last == 0:
        raise _Malformed("pages are counted from 1, or from -1 at the end")
    if last is not None and (first > 0) == (last > 0) and last < first:
        raise _Malformed(f"the range of pages {quoted(piece)} ends before it begins")
    return first, last


def _range(piece: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(piece)
    if match is None:
        raise _Malformed(f"{_shown(piece)} is not a page or a range of pages, such as `3-5`")
    if max(len(digits or "") for digits in match.groups()) > _MAX_DIGITS:
        raise _Malformed(f"the page number in {quoted(piece)} is too large")
    first = int(match[1])
    last = int(match[2] or match[1])
    if first < 1 or last < 1:
        raise _Malformed("pages are counted from 1")
    if last < first:
        raise _Malformed(f"the range of pages {quoted(piece)} ends before it begins")
    return first, last


def _time(value: str) -> Stretch:
    unit, colon, rest = value.partition(":")
    if colon and unit.lower() == "npt":
        value = rest
    elif colon and not unit[:1].isdigit():
        raise _Malformed(f"times are given in seconds or as h:mm:ss, not in {quoted(unit)}")
    begin, comma, end = value.partition(",")
    if not begin and not end:
        raise _Malformed("`t=` needs a time, such as `t=80,100` or `t=1:20`")
    stretch = Stretch(_seconds(begin) if begin else 0.0, _seconds(end) if comma else None)
    if stretch.end is not None and stretch.end <= stretch.begin:
        raise _Malformed(f"the time ends at {_text(stretch.end)} s, not after it begins at {_text(stretch.begin)} s")
    return stretch


def _seconds(value: str) -> float:
    """`80`, `1:20`, `0:01:20.5` -> seconds."""
    *clock, rest = value.split(":")
    wrong = f"{_shown(value)} is not a time in seconds or as h:mm:ss"
    if len(clock) > 2:
        raise _Malformed(wrong)
    numbers = [_number(part, "a time", wrong) for part in (*clock, rest)]
    if any("." in part for part in clock) or any(number >= 60 for number in numbers[1:]):
        raise _Malformed(f"{quoted(value)} is not a time: minutes and seconds go up to 59")
    total = 0.0
    for number in numbers:
        total = 60 * total + number
    if total >= 10**_MAX_DIGITS:
        raise _Malformed(f"the time {quoted(value)} is too large")
    return round(total, 6)


def _box(value: str) -> Rectangle:
    unit, colon, rest = value.partition(":")
    if colon and unit.lower() not in _UNITS:
        raise _Malformed(f"a box is given in `pixel:` or `percent:`, not in {quoted(unit)}")
    numbers = (rest if colon else value).split(",")
    if len(numbers) != 4 or not all(numbers):
        raise _Malformed("`xywh=` takes four numbers: x, y, width and height")
    x, y, width, height = (_number(number, "a box", f"{quoted(number)} is not a number") for number in numbers)
    if not width or not height:
        raise _Malformed(f"the box is empty: it is {_text(width)} wide and {_text(height)} high")
    return Rectangle(x, y, width, height, colon == ":" and _UNITS[unit.lower()])


def _number(value: str, of: str, wrong: str) -> float:
    """A decimal number from 0 on. `of` says what it measures, `wrong` what to say of what is no number."""
    match = _NUMBER.fullmatch(value)
    if match is None or not (match["whole"] or match["rest"]):
        raise _Malformed(wrong)
    if match["sign"] == "-":
        raise _Malformed(f"{of} has no negative numbers, such as {quoted(value)}")
    if len(match["whole"].lstrip("0")) > _MAX_DIGITS:
        raise _Malformed(f"the number {quoted(value)} is too large")
    return round(float(value), 6)


def _clipped(start: float, length: float, limit: int) -> tuple[int, int] | None:
    """Start and length in whole pixels, at least one of them; None where nothing of it lies before `limit`."""
    if start >= limit:
        return None
    first = min(round(start), limit - 1)
    return first, max(min(round(start + length), limit) - first, 1)


def _shown(value: str) -> str:
    return quoted(value) if value else "an empty text"


def _text(number: float) -> str:
    """A number without needless digits: `10`, `0.5`."""
    return f"{number:.6f}".rstrip("0").rstrip(".")
