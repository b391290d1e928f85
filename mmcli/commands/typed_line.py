"""Remembers the command line as it was typed, for hints that repeat it in the right order. Prints nothing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mmcli.commands import spelling
from mmcli.conversations import LAST

_PLAIN = re.compile(r"[\w@%+=:,./~^-]+", re.ASCII)  # a shell takes such a word as it is
_CONTINUE = "--continue="
_KEY = "mmcli.line"  # in a context's `meta`


@dataclass(frozen=True)
class Line:
    """A command, `mmcli ask`, and everything behind it."""

    path: str
    args: tuple[str, ...]
    places: tuple[int, ...]  # of those arguments that belong to no option

    def with_words(self, *words: str) -> str:
        """The same command with these words instead of its own, quoted as a shell needs it."""
        own = set(self.places)
        first = self.places[0] if self.places else len(self.args)
        before = [arg for place, arg in enumerate(self.args) if place < first and place not in own and arg != "--"]
        after = [arg for place, arg in enumerate(self.args) if place > first and place not in own and arg != "--"]
        shown = [quoted(word) for word in words]
        options = list(_options(before)), list(_options(after))
        if any(word.startswith("-") and word != "-" for word in words):
            return " ".join([self.path, *options[0], *options[1], "--", *shown])
        return " ".join([self.path, *options[0], *shown, *options[1]])


def remember(ctx: Any, params: Sequence[Any], args: Sequence[str]) -> None:
    """Keep what was typed after a command, with -c's value attached to it."""
    ctx.meta[_KEY] = Line(ctx.command_path, tuple(args), tuple(_places(params, args)))


def of(ctx: Any) -> Line:
    """The line that this context's command was called with."""
    kept = ctx.meta.get(_KEY)
    return kept if isinstance(kept, Line) else Line(ctx.command_path, (), ())


def quoted(word: str) -> str:
    """A word for a shell: bare where it can be, in double quotes where those are enough."""
    if _PLAIN.fullmatch(word):
        return word
    return shlex.quote(word) if not word or re.search(r'["$`\\!\x00-\x1f]', word) else f'"{word}"'


def _options(args: Sequence[str]) -> Iterator[str]:
    for arg in args:
        if arg == _CONTINUE + LAST:
            yield "-c"
        elif arg.startswith(_CONTINUE):
            yield f"-c {quoted(arg.removeprefix(_CONTINUE))}"
        else:
            yield quoted(arg)


def _places(params: Sequence[Any], args: Sequence[str]) -> Iterator[int]:
    """The places of the arguments that belong to no option."""
    with_value = spelling.valued(params)
    place = 0
    while place < len(args):
        arg = args[place]
        if arg == "--":
            yield from range(place + 1, len(args))
            return
        if arg == "-" or not arg.startswith("-"):
            yield place
        place += 1 + spelling.values_after(arg, with_value)
