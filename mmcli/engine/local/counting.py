"""Counts the cost of a chat template: sizes of values, steps, and what filters and methods cost before they run.

The proof that one rendering is bounded has three parts. (1) No value weighs more than `MOST_OF_A_VALUE`, its characters
and items counted as a tree: whatever could put a larger one together is looked at first. So no step, a comparison or a
printed list included, takes longer than milliseconds. (2) All values ever made take at most `MOST_IN_ALL`, whether they
are still there or not. (3) Each turn of a loop, each call, filter, test and item of a generator is a step, and between
steps the thread's CPU time is looked at. What has no known cost is `Uncounted`. Knows no environment and no template.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

MOST_OF_A_VALUE = 16 << 20  # characters, and eight times what was given
MOST_IN_ALL = 64 << 20  # characters, and sixty-four times what was given
ITEM = 64  # characters that one item of a list weighs
REFERENCE = 8  # bytes of a list for an item that is there anyway
MOST_BITS = 4096  # of an integer
MOST_WIDTH = 10_000  # of padding
SECONDS = 2.0  # of the thread's CPU: a thousand times what a chat template takes

# What takes no longer than its arguments and its result are long.
FILTERS = frozenset(
    "abs attr capitalize count d default dictsort e escape filesizeformat first float forceescape groupby int items"
    " last length list lower map max min reject rejectattr reverse safe select selectattr sort string title trim"
    " truncate unique upper urlencode wordcount".split()
)
METHODS: Mapping[type, frozenset[str]] = {
    str: frozenset(
        "capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit isidentifier islower"
        " isnumeric isprintable isspace istitle isupper lower lstrip partition removeprefix removesuffix rfind rindex"
        " rpartition rsplit rstrip split splitlines startswith strip swapcase title upper".split()
    ),
    dict: frozenset("copy get items keys values".split()),
    list: frozenset("copy count index".split()),
    tuple: frozenset("count index".split()),
}
PADDING = frozenset(("center", "ljust", "rjust", "zfill"))
FORMATS = r"%[-#0 +]*(\*|\d{3,}|\d*\.(\*|\d{3,}))"  # `%` formats that pad to more than a hundred characters
LONG, MOST_KNOWN = 16, 4096  # items of what is worth remembering the weight of, and of how many
# Concrete types: the ABCs of collections.abc take several times as long to ask.
SERIES: tuple[type[Collection[Any]], ...] = (list, tuple, type({}.keys()), type({}.values()), type({}.items()))
DIGITS = "it calculates with numbers of thousands of digits"


class Uncounted(Exception):
    """The template does something whose cost nobody knows before it is done."""


class TooMuch(Exception):
    """The template takes more time or memory than one rendering may."""


class Alone:
    """A base of what no value may hold, since it could come to hold itself."""


class Meter(threading.local):
    """What the rendering in this thread may still take."""

    def __init__(self) -> None:
        self.most, self.left = MOST_OF_A_VALUE, MOST_IN_ALL
        self.until, self.steps = 0.0, 0
        self._known: dict[int, tuple[object, int]] = {}  # long lists and tables that were weighed: nothing changes them

    def start(self, n_given: int) -> None:
        """A rendering begins that is given so many characters."""
        self.most = MOST_OF_A_VALUE + 8 * n_given
        self.left = MOST_IN_ALL + 64 * n_given
        self.until = time.thread_time() + SECONDS
        self.steps = 0
        self._known.clear()

    def weigh(self, value: object) -> int:
        """Characters and items in `value`, counted as a tree; TooMuch where they are too many for one."""
        if isinstance(value, str):
            total = len(value)
        elif (known := self._known.get(id(value))) is not None:
            total = known[1]
        else:
            total = self._walk(value)
            self.know(value, total)
        if total > self.most:
            raise TooMuch(f"one of its values takes more than {self.most >> 20} million characters")
        return total

    def know(self, value: object, total: int) -> None:
        """Remember what a long list or table weighs, so that one that grows is not walked each turn."""
        if isinstance(value, list | tuple | dict) and len(value) >= LONG:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[id(value)] = value, total

    def _walk(self, value: object) -> int:
        total, rest = 0, [value]
        while rest and total <= self.most:
            item = rest.pop()
            if isinstance(item, str):
                total += len(item)
            elif (known := self._known.get(id(item))) is not None:
                total += known[1]
            elif isinstance(item, SERIES):
                total += ITEM * (len(item) + 1)
                rest.extend(item)
            elif isinstance(item, dict):
                total += 2 * ITEM * (len(item) + 1)
                rest.extend(item)
                rest.extend(item.values())
            elif isinstance(item, Alone):
                raise Uncounted("a namespace in a value")
            else:
                total += ITEM
                if isinstance(item, int) and item.bit_length() > MOST_BITS:
                    raise TooMuch(DIGITS)
        return total

    def tick(self) -> bool:
        """One more step; always true, so that it can stand in a condition."""
        self.steps += 1
        if not self.steps % 64 and time.thread_time() > self.until:
            raise TooMuch(f"it does not end within {SECONDS:.0f} seconds")
        return True

    def take(self, value: Any) -> Any:
        """`value`, which was just made of values that are there."""
        if isinstance(value, str):
            self.spend(len(value))
        elif isinstance(value, list | tuple | dict):
            self.spend(REFERENCE * (len(value) + 1))
        elif isinstance(value, int):
            self.weigh(value)
        return value

    def build(self, value: Any) -> Any:
        """`value`, which was just put together, and may hold another several times."""
        self.weigh(value)
        return self.take(value)

    def spend(self, n: int) -> None:
        """So many characters are made."""
        if n > self.most:
            raise TooMuch(f"one of its values takes more than {self.most >> 20} million characters")
        self.left -= n
        if self.left < 0:
            raise TooMuch("it produces too much text")

    def each(self, items: Iterator[Any]) -> Iterator[Any]:
        """The items of a generator, each a step."""
        for item in items:
            self.tick()
            yield item


meter = Meter()


def joined(*values: object) -> str:
    """`a ~ b`"""
    for value in values:
        meter.weigh(value)
    text = "".join(map(str, values))
    meter.spend(len(text))
    return text


def concat(parts: Iterable[str]) -> str:
    """The output of a template, a macro or a block."""
    said = []
    for part in parts:
        meter.spend(len(part))
        said.append(part)
    return "".join(said)


def shown(value: Any) -> Any:
    """What `{{ value }}` prints, before it becomes text."""
    if not isinstance(value, str):
        meter.weigh(value)
    return value


# what filters and methods may make; the arguments are called as Jinja calls them


def _width(width: object) -> None:
    if not isinstance(width, int) or width > MOST_WIDTH:
        raise TooMuch(f"it pads a text to more than {MOST_WIDTH} characters")


def _replace(s: object, old: object, new: object, count: object = None) -> None:
    if not (isinstance(s, str) and isinstance(old, str) and isinstance(new, str)):
        raise Uncounted("replace")
    grows = max(0, len(new) - len(old))
    meter.spend(len(s) + (s.count(old) * grows if grows else 0))


def _join(value: object, d: object = "", attribute: object = None) -> None:
    if not isinstance(value, list | tuple | str) or not isinstance(d, str):
        raise Uncounted("join")
    meter.spend(meter.weigh(value) + len(d) * len(value))


def _indent(s: object, width: object = 4, first: object = False, blank: object = False) -> None:
    if not isinstance(s, str):
        raise Uncounted("indent")
    if not isinstance(width, str):
        _width(width)
    meter.spend(len(s) + (s.count("\n") + 1) * (len(width) if isinstance(width, str) else int(str(width))))


def _tojson(value: object, ensure_ascii: object = False, indent: object = None, **kwargs: object) -> None:
    n = meter.weigh(value)
    if kwargs or indent is not None and (not isinstance(indent, int) or indent > 16 or n > 1 << 20):
        raise Uncounted("tojson")


def _round(value: object, precision: object = 0, method: object = "") -> None:
    if not isinstance(precision, int) or abs(precision) > 30:
        raise TooMuch(DIGITS)


def _sum(iterable: object, attribute: object = None, start: object = 0) -> None:
    if not isinstance(start, int | float):
        raise Uncounted("sum")


# Filters that may make more than they are given: what is looked at first.
CHECKED: Mapping[str, Callable[..., None]] = {
    "join": _join,
    "replace": _replace,
    "indent": _indent,
    "center": lambda value, width=80: _width(width),
    "tojson": _tojson,
    "round": _round,
    "batch": lambda value, linecount, fill_with=None: _width(linecount),
    "slice": lambda value, slices, fill_with=None: _width(slices),
    "sum": _sum,
}


def counted_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose cost is known before it runs, and whose result is counted."""
    check, skip = CHECKED.get(name), int(hasattr(function, "jinja_pass_arg"))

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        meter.tick()
        if check is not None:
            if name == "join" and len(args) > skip and not isinstance(args[skip], list | tuple | str):
                args = (*args[:skip], list(args[skip]), *args[skip + 1 :])  # what is lazy can be looked at only once
            check(*args[skip:], **kwargs)
        elif name not in FILTERS:
            raise Uncounted(f"the filter {name}")
        value = function(*args, **kwargs)
        return meter.each(value) if isinstance(value, Iterator) else meter.build(value)

    return run


def counted_test(function: Callable[..., Any]) -> Callable[..., Any]:
    """A test, each run of it a step."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        meter.tick()
        return function(*args, **kwargs)

    return run


def check_method(owner: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """TooMuch or Uncounted for a method of a text, list or table that may make more than it is given."""
    kind = type(owner)
    if name in METHODS.get(kind, ()):
        return
    if kind is str and name in PADDING and args and not kwargs:
        _width(args[0])
    elif kind is str and name == "replace" and len(args) >= 2 and not kwargs:
        _replace(owner, *args)
    elif kind is str and name == "join" and len(args) == 1:
        _join(args[0], owner)
    elif kind is str and name == "format" and ":" not in owner and "!" not in owner:
        meter.spend(len(owner) + owner.count("{") * meter.weigh([*args, *kwargs.values()]))
    elif kind is str and name == "expandtabs" and len(args) <= 1 and not kwargs:
        _width(args[0] if args else 8)
        meter.spend(len(owner) + owner.count("\t") * (args[0] if args else 8))
    else:
        raise Uncounted(f"{kind.__name__}.{name}")


def check_operator(operator: str, left: Any, right: Any) -> None:
    """TooMuch or Uncounted for an operator whose result would be too large."""
    meter.tick()
    if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
        if operator == "*":
            values, times = (right, left) if isinstance(left, int) else (left, right)
            meter.spend(meter.weigh(values) * max(0, times) if isinstance(times, int) else 0)
        elif operator == "%" and (not isinstance(left, str) or re.search(FORMATS, left)):
            raise Uncounted("a format")
        elif operator == "%":
            meter.spend(len(left) + left.count("%") * meter.weigh(right))
        elif isinstance(left, str):
            meter.spend(len(left) + meter.weigh(right))
        elif meter.weigh(left) + meter.weigh(right) > meter.most:
            raise TooMuch(f"one of its values takes more than {meter.most >> 20} million characters")
    elif isinstance(left, int) and isinstance(right, int):
        left_bits, right_bits = left.bit_length(), right.bit_length()
        bits = left_bits * max(0, min(right, MOST_BITS)) if operator == "**" else left_bits + right_bits
        if bits > MOST_BITS or operator == "**" and abs(right) > MOST_BITS:
            raise TooMuch(DIGITS)
