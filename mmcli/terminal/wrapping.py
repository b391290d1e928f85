"""Wraps sentences to a terminal's width: between words, never inside one. Prints nothing.

What stands in backticks (a command, a name with spaces) stays together where a line has room for it. A word wider than
the terminal, such as a path, keeps a line of its own and is left to the terminal, so that it is copied whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

NARROWEST = 20  # cells: narrower terminals get lines of this width
BACKSLASH = " \\"  # where a command goes on in the next line
_UNIT = re.compile(r"(?:`[^`\n]*`|[^\s`])+|\S")
_WORD = re.compile(r"(?:\"[^\"]*\"|'[^']*'|\S)+")
_PATH = re.compile(r"\W*`(?:[~.]{0,2}[/\\]|[A-Za-z]:[\\/]|\w+://)")
_COMMAND = re.compile(r"\W*`mmcli ")


@dataclass(frozen=True)
class _Unit:
    """What is not broken: a place in the text. `goes_on`: a command that was too wide for a line goes on with it."""

    start: int
    end: int
    goes_on: bool = False


def lines(text: str, width: int, hanging: int = 0) -> list[str]:
    """`text` (one paragraph) in lines of at most `width` cells; all but the first begin with `hanging` spaces.

    A line is wider only where a single word is. A command that needs more than one line gets the backslashes that a
    shell wants at the ends of the others.
    """
    return [
        f"{' ' * indent}{text[start:end]}{BACKSLASH if goes_on else ''}"
        for indent, start, end, goes_on in _laid_out(text, width, hanging)
    ]


def styled(text: Text, width: int, hanging: int = 0) -> list[Text]:
    """The same for a text with looks."""
    from rich.text import Text as RichText

    return [
        RichText.assemble(" " * indent, text[start:end], BACKSLASH if goes_on else "")
        for indent, start, end, goes_on in _laid_out(text.plain, width, hanging)
    ]


def _laid_out(text: str, width: int, hanging: int) -> Iterator[tuple[int, int, int, bool]]:
    """(indent, start, end, whether a command goes on in the next line) of each line; one empty line for no words."""
    from rich.cells import cell_len

    width = max(width, NARROWEST)
    hanging = min(hanging, width // 3)
    begin, end, used, indent = 0, 0, 0, 0
    for unit in _units(text, width - hanging):
        size = cell_len(text[end : unit.start]) + cell_len(text[unit.start : unit.end])
        gap = unit.start - end
        # Behind a label alone nothing is gained by a new line.
        room = width - len(BACKSLASH) if unit.goes_on else width
        if used + size > room and used + gap > max(hanging, 0) and end > begin:
            yield indent, begin, end, unit.goes_on
            begin, indent = unit.start, hanging
            used, size = hanging, size - gap
        used += size
        end = unit.end
    yield indent, begin, end, False


def _units(text: str, room: int) -> Iterator[_Unit]:
    """The words of a text; of what stands in backticks, all of it as one where `room` cells hold it or it is a path."""
    from rich.cells import cell_len

    for match in _UNIT.finditer(text):
        whole = match[0]
        if cell_len(whole) <= room or not re.search(r"\s", whole) or _PATH.match(whole):
            yield _Unit(match.start(), match.end())
            continue
        is_command = _COMMAND.match(whole) is not None
        for i, word in enumerate(_WORD.finditer(whole)):
            yield _Unit(match.start() + word.start(), match.start() + word.end(), goes_on=is_command and i > 0)
