"""Tables in Markdown, HTML and OTSL → rows of cells, spans repeated; and rows → Markdown, CSV and HTML."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TypeAlias

Rows: TypeAlias = tuple[tuple[str, ...], ...]  # all of one length

_TABLE = re.compile(r"<table\b.*?(?:</table\s*>|\Z)", re.I | re.S)
_OTSL = re.compile(r"<otsl>.*?(?:</otsl>|\Z)", re.S)
_OTSL_CELL = re.compile(r"<(fcel|ecel|lcel|ucel|xcel|nl|ched|rhed|srow)>([^<]*)")
_LOCATION = re.compile(r"<loc_\d+>")
_MOST_SPANNED, _MOST_CELLS = 1000, 200_000  # what a made-up colspan may ask for


def of_markdown(text: str) -> list[Rows]:
    """All tables of a page's Markdown, in order: HTML and OTSL ones that stand in it, and its own."""
    found = [(match.start(), of_html(match[0])) for match in _TABLE.finditer(text)]
    found += [(match.start(), [of_otsl(match[0])]) for match in _OTSL.finditer(text)]
    rest = _OTSL.sub(_blank, _TABLE.sub(_blank, text))
    found += [(at, [rows]) for at, rows in _pipes(rest)]
    return [rows for _, tables in sorted(found, key=lambda one: one[0]) for rows in tables if rows]


def _blank(match: re.Match[str]) -> str:
    """As many lines and letters of nothing: places stay where they were."""
    return re.sub(r"[^\n]", " ", match[0])


# HTML


@dataclass
class _Cell:
    n_columns: int
    n_rows: int
    text: list[str] = field(default_factory=list)


class _Parser(HTMLParser):
    """Cells of the outermost tables; what stands in a table within a cell is part of the cell's text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[_Cell]]] = []
        self._depth = 0
        self._cell: _Cell | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._depth += 1
            if self._depth == 1:
                self.tables.append([])
        elif self._depth == 1 and tag == "tr":
            self._cell = None
            self.tables[-1].append([])
        elif self._depth == 1 and tag in ("td", "th"):
            if not self.tables[-1]:
                self.tables[-1].append([])
            facts = dict(attrs)
            self._cell = _Cell(_span(facts.get("colspan")), _span(facts.get("rowspan")))
            self.tables[-1][-1].append(self._cell)
        elif self._cell is not None and tag in ("br", "p", "div", "li", "td", "tr"):
            self._cell.text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._depth = max(0, self._depth - 1)
        if self._depth == 0 or (self._depth == 1 and tag in ("td", "th", "tr")):
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.text.append(data)


def _span(value: str | None) -> int:
    try:
        return min(_MOST_SPANNED, max(1, int(value or "1")))
    except ValueError:
        return 1


def of_html(text: str) -> list[Rows]:
    """The tables of an HTML text; a cell that spans several rows or columns stands in each of them."""
    parser = _Parser()
    parser.feed(text)
    parser.close()
    return [rows for table in parser.tables if (rows := _grid(table))]


def _grid(table: Sequence[Sequence[_Cell]]) -> Rows:
    cells: dict[tuple[int, int], str] = {}
    for y, row in enumerate(table):
        x = 0
        for cell in row:
            while (y, x) in cells:
                x += 1
            text = " ".join("".join(cell.text).split())
            n_rows = min(cell.n_rows, len(table) - y)  # spans end with the table
            if len(cells) + n_rows * cell.n_columns > _MOST_CELLS:
                n_rows, cell.n_columns = 1, 1
            for down in range(n_rows):
                for right in range(cell.n_columns):
                    cells.setdefault((y + down, x + right), text)
            x += cell.n_columns
    width = max((x for _, x in cells), default=-1) + 1
    return tuple(tuple(cells.get((y, x), "") for x in range(width)) for y in range(len(table)) if width)


# OTSL


def of_otsl(text: str) -> Rows:
    """A table in OTSL.

    `<fcel>` is a cell, `<ecel>` an empty one; `<lcel>`, `<ucel>`, `<xcel>` are more of a neighbour; `<nl>` ends a row.
    """
    rows: list[list[str]] = [[]]
    for match in _OTSL_CELL.finditer(_LOCATION.sub("", text)):
        kind, said = match[1], " ".join(html.unescape(match[2]).split())
        row, x = rows[-1], len(rows[-1])
        above = rows[-2][x] if len(rows) > 1 and x < len(rows[-2]) else ""
        if kind == "nl":
            rows.append([])
        elif kind in ("lcel", "xcel") and x:
            row.append(row[-1])
        elif kind in ("ucel", "xcel"):
            row.append(above)
        else:
            row.append(said)
    rows = [row for row in rows if row]
    return _even(rows)


# Markdown


def _pipes(text: str) -> Iterator[tuple[int, Rows]]:
    """The Markdown tables of a text, each with where it begins."""
    from markdown_it import MarkdownIt

    lines = text.split("\n")
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    rows: list[list[str]] = []
    start = 0
    for at, token in enumerate(tokens):
        if token.type == "table_open":
            rows, start = [], token.map[0] if token.map else 0
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            children = tokens[at + 1].children or []
            said = (" " if child.type in ("softbreak", "hardbreak") else child.content for child in children)
            rows[-1].append(" ".join(re.sub(r"<br\s*/?>", " ", "".join(said)).split()))
        elif token.type == "table_close":
            yield sum(len(line) + 1 for line in lines[:start]), _even(rows)


def _even(rows: Sequence[Sequence[str]]) -> Rows:
    width = max(map(len, rows), default=0)
    return tuple((*row, *[""] * (width - len(row))) for row in rows)


# written


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; its first row is the header."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"

    first, *others = _even(rows)
    return "\n".join([line(first), "|" + " --- |" * len(first), *map(line, others)])


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    """CSV by RFC 4180: CRLF, quotation marks doubled."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue()


def as_html(rows: Sequence[Sequence[str]]) -> str:
    """An HTML table of plain cells; its first row is the header."""
    first, *others = rows

    def row(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    return "\n".join(["<table>", row(first, "th"), *(row(cells, "td") for cells in others), "</table>"])
