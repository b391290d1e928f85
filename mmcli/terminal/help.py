"""A help page on the screen: an option, one short line, its default. Knows pages as data; knows no command.

Names and values are never cut: a label too long for its column stands on a line of its own. In a pipe there are no
colours and 80 columns, and Rich is not loaded.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mmcli.sanitize import clean
from mmcli.terminal import streams

if TYPE_CHECKING:
    from mmcli.commands.pages import Option, Page


@dataclass(frozen=True)
class HelpRow:
    """One thing to type in a list of such."""

    name: str
    about: str
    value: str = ""
    aside: str = ""
    below: str = ""


Line: TypeAlias = tuple[tuple[str, str], ...]  # texts, each with its look

WIDTH = 80  # columns where there is no terminal
WIDEST = 120  # longer lines are hard to read
NARROWEST = 40
INDENT = 2
GAP = 2
HEADING, NAME, VALUE, ASIDE = "bold", "bold cyan", "cyan", "dim"
GENERAL = "Options"


def help_page(page: Page, *, everything: bool = False) -> None:
    """Print a page on stdout; its rare options, variables and longer explanations only with `everything`."""
    help_pages([page], everything=everything)


def help_pages(pages: Iterable[Page], *, everything: bool) -> None:
    """Print pages, with a line between them."""
    for i, page in enumerate(pages):
        put([*([(), ()] if i else []), *lines(page, width(), everything=everything)])


def put(page: Iterable[Line]) -> None:
    """Print lines on stdout, with their looks where the stream shows any."""
    if streams.is_terminal(sys.stdout) or os.environ.get("FORCE_COLOR"):
        from rich.text import Text

        console = streams.out()
        for line in page:
            console.print(Text.assemble(*line), soft_wrap=True)
        return
    streams.write("".join("".join(text for text, _ in line) + "\n" for line in page), sys.stdout)


def width() -> int:
    """Columns to write help in."""
    is_terminal = streams.is_terminal(sys.stdout)
    columns = shutil.get_terminal_size((WIDTH, 24)).columns if is_terminal or os.environ.get("COLUMNS") else WIDTH
    return max(NARROWEST, min(columns, WIDEST))


def lines(page: Page, columns: int, *, everything: bool = False) -> list[Line]:
    """The whole page, no line wider than `columns` unless a single word is."""
    found: list[Line] = []
    for part in _parts(page, columns, everything):
        part = list(part)
        if part:
            found += [(), *part] if found else part
    return found


def _parts(page: Page, columns: int, everything: bool) -> Iterator[Iterable[Line]]:
    """The paragraphs and lists of a page, in their order."""
    yield _wrapped(f"Usage: {page.usage}", columns, hanging=7, head=(0, 6))
    yield _wrapped(page.about + ("." if page.more and everything else ""), columns)
    if everything:
        for paragraph in filter(None, page.more.split("\n\n")):
            yield _wrapped(paragraph, columns)
    options = [option for option in page.options if everything or not option.is_rare]
    arguments = [(((argument.name, NAME),), argument.about, "") for argument in page.arguments]
    commands = [(((entry.name, NAME),), entry.about, "") for entry in page.commands]
    rows = [(_label(option, everything), option.about, _aside(option, everything)) for option in options]
    labels = [_length(label) for label, _, _ in [*arguments, *commands, *rows]]
    column = _column(labels, columns)
    yield _table(arguments, column, columns)
    for panel in dict.fromkeys(entry.panel for entry in page.commands):
        some = [row for row, entry in zip(commands, page.commands, strict=True) if entry.panel == panel]
        yield [((f"{panel or 'Commands'}:", HEADING),), *_table(some, column, columns)]
    panels = sorted(dict.fromkeys(option.panel for option in options), key=bool)  # those without a panel first
    for panel in panels:
        shown: list[Line] = [((f"{panel or GENERAL}:", HEADING),)]
        for row, option in zip(rows, options, strict=True):
            if option.panel == panel:
                shown += _table([row], column, columns)
                if everything:
                    shown += _more(option, column, columns)
        yield shown
    if page.examples:
        yield [(("Examples:", HEADING),), *_examples(page.examples, columns)]
    yield _foot(page, columns, everything)


def _label(option: Option, everything: bool) -> Line:
    """`-m, --model NAME`; a switch that is on has both its names, since the other one is the one to type."""
    names = option.names if everything else (*(name for name in option.names if name[:2] != "--"), option.name)
    lead = "" if names[0][:2] != "--" else "    "
    text = lead + ", ".join(names)
    if option.off and (everything or option.default == "on"):
        text += "/" + "/".join(option.off)
    return ((text, NAME), (f" {option.value}", VALUE)) if option.value else ((text, NAME),)


def _aside(option: Option, everything: bool) -> str:
    return f"(default: {option.default})" if option.default else ""


def _more(option: Option, column: int, columns: int) -> Iterator[Line]:
    """What --help-all adds to an option: the rest of its text, its limits, its variable."""
    facts = [option.more] if option.more else []
    if option.limits:
        facts.append(f"{option.limits[0].upper()}{option.limits[1:]}.")
    if option.variable:
        facts.append(f"[{option.variable}]")
    for text in textwrap.wrap(" ".join(facts), max(columns - column, 20), break_long_words=False):
        yield ((" " * column, ""), (text, ASIDE))


def _column(labels: Sequence[int], columns: int) -> int:
    """Where the explanations begin: behind the longest label that leaves room for them."""
    most = columns // 3 + 2
    return INDENT + max((length for length in labels if length <= most), default=most) + GAP


def _table(rows: Iterable[tuple[Line, str, str]], column: int, columns: int) -> Iterator[Line]:
    """Labels on the left, texts on the right; an aside in another look behind each."""
    for label, about, aside in rows:
        texts = textwrap.wrap(
            f"{about} {aside}".strip(), max(columns - column, 20), break_long_words=False, break_on_hyphens=False
        )
        head: Line = ((" " * INDENT, ""), *label)
        gap = column - _length(head)
        if gap < GAP:
            yield head
            head, gap = (), column
        texts = texts or [""]
        n_plain = len(about)
        for text in texts:
            yield (*head, (" " * gap, ""), *_with_aside(text, n_plain)) if text else head
            n_plain -= len(text) + 1
            head, gap = (), column


def _with_aside(text: str, n_plain: int) -> Line:
    plain, aside = text[: max(n_plain, 0)], text[max(n_plain, 0) :]
    return tuple((part, look) for part, look in ((plain, ""), (aside, ASIDE)) if part)


def _examples(examples: Sequence[str], columns: int) -> Iterator[Line]:
    """Each on one line, with what it is for behind it (`command  # what for`) or, where that is too wide, above it.

    A command too long for the line is broken as a shell lets it be, so that it works when copied.
    """
    pairs = [example.partition("  # ")[::2] for example in examples]
    size = max(len(command) for command, _ in pairs) + 1
    fits = INDENT + size + max(len(f"# {about}") for _, about in pairs) <= columns
    for command, about in pairs:
        if about and fits:
            yield ((" " * INDENT, ""), (f"{command:<{size}}", ""), (f"# {about}", ASIDE))
            continue
        if about:
            yield ((f"{' ' * INDENT}# {about}", ASIDE),)
        for i, text in enumerate(_broken(command, columns - INDENT)):
            yield ((" " * (INDENT if i == 0 else 2 * INDENT), ""), (text, ""))


def _broken(command: str, room: int) -> list[str]:
    """A command in pieces of at most `room` characters, broken between words outside of quotation marks."""
    if len(command) <= room:
        return [command]
    words: list[str] = []
    is_quoted = False
    for word in command.split(" "):
        if is_quoted:
            words[-1] += f" {word}"
        else:
            words.append(word)
        is_quoted ^= word.count('"') % 2 == 1 or word.count("'") % 2 == 1
    pieces = [words[0]]
    for word in words[1:]:
        if len(pieces[-1]) + len(word) + 3 + (INDENT if len(pieces) > 1 else 0) <= room:
            pieces[-1] += f" {word}"
        else:
            pieces.append(word)
    return [f"{piece} \\" for piece in pieces[:-1]] + pieces[-1:]


def _foot(page: Page, columns: int, everything: bool) -> list[Line]:
    """How to set options for good, and where the rest is."""
    sentences = []
    settable = [option for option in page.options if option.variable and option.value and not option.is_rare]
    for option in sorted(settable, key=lambda option: not option.default.isdigit()):  # a number is the best example
        value = option.default if option.default.isdigit() else "starter" if option.value == "NAME" else ""
        if value:
            sentences.append(
                f"To set an option for good: `mmcli config set {option.setting} {value}`, "
                f"or {option.variable}={value} in the environment."
            )
            break
    n_rare = sum(option.is_rare for option in page.options)
    if n_rare and not everything:
        more = f"{n_rare} more option{'s' if n_rare > 1 else ''}"
        sentences.append(f"{more}, and more about each: {page.path} --help-all")
    return [line for text in sentences for line in _wrapped(text, columns)]


def _wrapped(text: str, columns: int, *, hanging: int = 0, head: tuple[int, int] | None = None) -> list[Line]:
    texts = textwrap.wrap(
        clean(text), columns, subsequent_indent=" " * hanging, break_long_words=False, break_on_hyphens=False
    )
    found: list[Line] = [((line, ""),) for line in texts]
    if head and texts:
        start, end = head
        found[0] = ((texts[0][start:end], HEADING), (texts[0][end:], ""))
    return found


def _length(line: Line) -> int:
    return sum(len(text) for text, _ in line)


def help_found(examples: Sequence[str], sections: Mapping[str, Sequence[HelpRow]], foot: str) -> None:
    """Print what a search found: commands to copy, and lists of what can be typed, each under its heading."""
    put(found_lines(examples, sections, width(), foot))


def found_lines(
    examples: Sequence[str], sections: Mapping[str, Sequence[HelpRow]], columns: int, foot: str
) -> Iterator[Line]:
    """The same as lines; empty lists are left out."""
    if examples:
        yield from [(("How to:", HEADING),), *_examples(examples, columns), ()]
    column = _column([_length(_spelled(row)) for rows in sections.values() for row in rows], columns)
    for heading, rows in sections.items():
        if not rows:
            continue
        yield ((f"{heading}:", HEADING),)
        for row in rows:
            yield from _table([(_spelled(row), row.about, row.aside)], column, columns)
            for text in textwrap.wrap(row.below, max(columns - column, 20), break_on_hyphens=False):
                yield ((" " * column, ""), (text, ASIDE))
        yield ()
    yield from _wrapped(foot, columns)


def _spelled(row: HelpRow) -> Line:
    return ((row.name, NAME), (f" {row.value}", VALUE)) if row.value else ((row.name, NAME),)
