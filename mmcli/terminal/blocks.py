"""The blocks of a Markdown text as a flat list of leaves: paragraphs, code, tables, each with its margin.

Knows markdown-it's tokens; prints nothing and knows nothing of time: markdown.py feeds it a text that grows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from markdown_it.utils import EnvType

LeafKind: TypeAlias = Literal["paragraph", "heading", "fence", "indented", "rule", "table", "empty"]


MAX_MARGINS = 8  # what is nested deeper is shown that deep: its words need some room too


@dataclass(frozen=True)
class Leaf:
    """One block that holds text itself. Lines count from the beginning of the text that was parsed."""

    kind: LeafKind
    text: str
    prefix: tuple[str, str]  # of its first line and of the others: bullets, numbers, quote bars
    start: int
    end: int  # the line after its last one, without the blank lines that follow
    top: int  # where its top-level block starts
    cut: int  # where the text may be cut before it: its top-level block, or its item in a top-level list
    number: int | None = None  # of that item
    level: int = 0  # of a heading
    rows: tuple[tuple[str, ...], ...] = ()  # of a table, the head first
    aligns: tuple[str, ...] = ()
    is_closed: bool = False  # no later line can add to it


@dataclass(frozen=True)
class Glyphs:
    bullets: str
    bar: str
    rule: str


FANCY = Glyphs(bullets="•◦▪", bar="│", rule="─")
PLAIN = Glyphs(bullets="*-+", bar="|", rule="-")


@dataclass
class _Container:
    """A quote or a list item around a leaf."""

    marker: str
    indent: str
    is_used: bool = False  # the marker has been shown

    def take(self) -> str:
        shown = self.indent if self.is_used else self.marker
        self.is_used = True
        return shown


@dataclass
class _Walk:
    """Where the walk through the tokens is."""

    glyphs: Glyphs
    first_number: int | None  # what the first item of a list at the very beginning is numbered, if known
    containers: list[_Container] = field(default_factory=list)
    numbers: list[int | None] = field(default_factory=list)  # the next item's, for each list we are in
    top: int = 0
    cut: int = 0
    cut_number: int | None = None
    leaves: list[Leaf] = field(default_factory=list)

    def leaf(self, kind: LeafKind, text: str, span: Sequence[int], **more: object) -> None:
        rest = "".join([container.indent for container in self.containers][-MAX_MARGINS:])
        first = "".join([container.take() for container in self.containers][-MAX_MARGINS:])
        self.leaves.append(
            Leaf(kind, text, (first, rest), span[0], span[1], self.top, self.cut, self.cut_number, **more)  # type: ignore[arg-type]
        )

    def open_item(self, token: Token, line: int) -> None:
        number = self.numbers[-1]
        depth = len(self.numbers) - 1
        if number is None:
            marker = self.glyphs.bullets[depth % len(self.glyphs.bullets)] + " "
        else:
            marker = f"{number}. "
            self.numbers[-1] = number + 1
        if token.level == 1:
            self.cut, self.cut_number = line, number
        self.containers.append(_Container(marker, " " * len(marker)))


def leaves(source: str, parser: MarkdownIt, env: EnvType, glyphs: Glyphs, number: int | None) -> list[Leaf]:
    """Parse the blocks of `source`; `number` continues an ordered list that was cut off before its first line."""
    tokens: list[Token] = []
    parser.block.parse(source, parser, env, tokens)
    walk = _Walk(glyphs, number)
    span: Sequence[int] = (0, 0)
    for i, token in enumerate(tokens):
        span = token.map or span
        if token.level == 0 and token.nesting >= 0:
            walk.top = walk.cut = span[0]
            walk.cut_number = None
        if token.type == "blockquote_open":
            walk.containers.append(_Container(glyphs.bar + " ", glyphs.bar + " "))
        elif token.type == "bullet_list_open":
            walk.numbers.append(None)
        elif token.type == "ordered_list_open":
            start = int(token.attrs.get("start", 1))
            continues = number is not None and token.level == 0 and not walk.leaves
            walk.numbers.append(number if continues else start)
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            walk.numbers.pop()
        elif token.type == "list_item_open":
            walk.open_item(token, span[0])
        elif token.type in ("list_item_close", "blockquote_close"):
            if token.type == "list_item_close" and not walk.containers[-1].is_used:
                walk.leaf("empty", "", (span[0], span[0] + 1))
            walk.containers.pop()
        elif token.type == "paragraph_open":
            walk.leaf("paragraph", tokens[i + 1].content, span)
        elif token.type == "heading_open":
            walk.leaf("heading", tokens[i + 1].content, span, level=int(token.tag[1:]), is_closed=True)
        elif token.type == "hr":
            walk.leaf("rule", "", span, is_closed=True)
        elif token.type == "fence":
            # With its closing line a fence spans two lines more than it holds.
            is_closed = span[1] - span[0] == token.content.count("\n") + 2
            walk.leaf("fence", token.content, span, is_closed=is_closed)
        elif token.type == "code_block":
            walk.leaf("indented", token.content, span)
        elif token.type == "table_open":
            rows, aligns = _table(tokens, i)
            walk.leaf("table", "", span, rows=rows, aligns=aligns)
    return walk.leaves


def _table(tokens: list[Token], i: int) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    rows: list[list[str]] = []
    aligns: list[str] = []
    while tokens[i].type != "table_close":
        token = tokens[i]
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "th_open":
            aligns.append(str(token.attrs.get("style", "")).removeprefix("text-align:") or "left")
        elif token.type == "inline":
            rows[-1].append(token.content)
        i += 1
    return tuple(tuple(row) for row in rows), tuple(aligns)


_MARGIN = re.compile(r"(?:\s*(?:>|[-+*](?=\s)|\d{1,9}[.)](?=\s)))*\s*")
_UNDECIDED = re.compile(
    r"(?:"
    r"[-+*_=:~`#\s]*"  # a rule, a fence, a heading's or a bullet's beginning
    r"|\d{1,9}[.)]?"  # a number, or an item's
    r"|\|.*"  # a table's row, or only a line with a bar
    r"|(?:```|~~~|\#{1,6}\s).*"
    r"|\[[^\]]*\]?|\[[^\]]*\]:.*"  # a link's definition, which shows nothing
    r")\Z"
)


def is_decided(line: str) -> bool:
    """True if the beginning of a line already says what block it belongs to."""
    margin = _MARGIN.match(line)
    return margin is not None and not _UNDECIDED.match(line, margin.end())
