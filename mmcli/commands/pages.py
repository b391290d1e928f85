"""A help page as data: what a command is for, its arguments, options and examples. Knows nothing of Typer or terminals.

`parsing.page` reads one from a command; terminal/help.py, `mmcli help WORDS` and the man page are made of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class HelpMark(Enum):
    """Where help shows an option. Stands beside `typer.Option(…)` in an annotation; the last one counts."""

    RARE = "rare"  # with --help-all only
    COMMON = "common"  # in --help too; takes RARE back for one command


RARE, COMMON = HelpMark.RARE, HelpMark.COMMON


@dataclass(frozen=True)
class Argument:
    """What is typed without dashes."""

    name: str  # as the usage line shows it: `[MEDIA...]`
    about: str


@dataclass(frozen=True)
class Option:
    """An option as help shows it."""

    names: tuple[str, ...]  # the short one first: -m, --model
    off: tuple[str, ...]  # what turns a switch off: --no-history
    value: str  # what follows it: NAME; empty for a switch
    about: str  # one short line, without a full stop
    more: str = ""  # what else there is to say, for --help-all and the man page
    default: str = ""
    limits: str = ""
    variable: str = ""  # MMCLI_MODEL, where there is one
    setting: str = ""  # its name for `mmcli config set`, where there is one
    panel: str = ""
    is_rare: bool = False

    @property
    def long(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name.startswith("--"))

    @property
    def name(self) -> str:
        """The name to speak of it by: its first long one."""
        return (self.long or self.names)[0]


@dataclass(frozen=True)
class Page:
    """The help of one command."""

    path: str  # mmcli history show
    about: str
    more: str = ""
    examples: tuple[str, ...] = ()
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    commands: tuple[CommandEntry, ...] = ()

    @property
    def usage(self) -> str:
        words = [argument.name for argument in self.arguments]
        if self.commands:
            words.append("COMMAND ..." if self.path == "mmcli" else "[COMMAND] ...")
        return " ".join([self.path, "[OPTIONS]", *words])


@dataclass(frozen=True)
class CommandEntry:
    """A command in the list of its group."""

    name: str
    about: str
    panel: str = ""


def split(text: str) -> tuple[str, str]:
    """A help text as its first sentence, without a full stop, and all that follows it."""
    text = " ".join(text.split())
    end = re.search(r"(?<!e\.g)(?<!i\.e)\.\s", text)
    first, rest = (text[: end.start()], text[end.end() :]) if end else (text, "")
    return first.removesuffix("."), rest


def described(docstring: str) -> tuple[str, str, tuple[str, ...]]:
    """A command's docstring as its first sentence, what else it says, and its examples.

    Examples are the lines of its last paragraph, if that speaks of `mmcli` in each of them.
    """
    *paragraphs, last = re.split(r"\n\s*\n", docstring.strip())
    lines = tuple(line.strip() for line in last.splitlines())
    if not paragraphs or not all(re.search(r"(^|[ (|])mmcli( |$)", line) for line in lines):
        paragraphs, lines = [*paragraphs, last], ()
    about, more = split(paragraphs[0])
    return about, "\n\n".join(filter(None, [more, *(" ".join(text.split()) for text in paragraphs[1:])])), lines
