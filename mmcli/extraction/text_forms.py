"""Answers that are tables, LaTeX, HTML or CSV: how they are asked for, found in what a model says, and checked."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Literal, TypeAlias

from mmcli.documents import tables
from mmcli.errors import OutputError

FormName: TypeAlias = Literal["table", "latex", "html", "csv", "json"]

_ASKED = {
    "table": "Answer with one Markdown table, and nothing else.",
    "csv": "Answer with CSV, the names of the columns in its first line, and nothing else.",
    "latex": "Answer with LaTeX, and nothing else.",
    "html": "Answer with HTML, and nothing else.",
}
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n(.*?)(?:^ {0,3}\1[`~]*\s*$|\Z)", re.M | re.S)
_COMMAND = re.compile(r"\\(?:begin|end)\s*\{([^{}]*)\}|\\(left|right)(?![a-zA-Z])|\\.|[{}]|\$\$?|%[^\n]*", re.S)


@dataclass
class TextForm:
    """One form; `notes` tells what was changed of the last answer that was read."""

    name: FormName
    notes: list[str] = field(default_factory=list)

    def words(self, question: str) -> str:
        """The question as a model gets it."""
        return f"{question.rstrip()}\n\n{_ASKED[self.name]}"

    def read(self, answer: str) -> str:
        """The text in this form that an answer is or holds, with a newline at its end; OutputError where it is none."""
        self.notes = []
        text, others = inside(answer)
        if not text.strip():
            raise OutputError(f"the answer holds no {_TITLES[self.name]}: it is empty")
        if others:
            self.notes.append("what the model said around it was left out")
        made = _READ[self.name](text.strip("\n"), self.notes)
        return made if made.endswith("\n") else made + "\n"


def inside(answer: str) -> tuple[str, bool]:
    """What the first fenced block of an answer holds, and whether there is more; without one, all of it."""
    match = _FENCE.search(answer)
    if match is None:
        return answer, False
    return match[2], bool((answer[: match.start()] + answer[match.end() :]).strip())


# tables


def _table(text: str, notes: list[str]) -> str:
    return tables.as_markdown(_rows(text, notes, "table"))


def _csv(text: str, notes: list[str]) -> str:
    """CSV with as many values in each line; a table in another form becomes one."""
    if re.search(r"^\s*\|.*\|\s*$", text, re.M) or re.search(r"<table\b", text, re.I):
        notes.append("the model gave a table, which was made into CSV")
        return _lines(_rows(text, notes, "CSV"))
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error as error:
        raise OutputError(f"the answer is no CSV: {error}") from error
    width = len(rows[0]) if rows else 0
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise OutputError(
                f"the answer is no CSV: row {number} has {len(row)} values, and the first has {width}",
                hint="--format table, or --schema names the fields",
            )
    if len(rows) < 2:
        raise OutputError(
            "the answer is no CSV: it is a single row", hint="without --format the whole answer is printed"
        )
    return _lines(rows)


def _lines(rows: tables.Rows | list[list[str]]) -> str:
    """CSV with plain line ends: it goes through a text stream, which has its own."""
    return tables.as_csv(rows).replace("\r\n", "\n")


def _rows(text: str, notes: list[str], what: str) -> tables.Rows:
    found = tables.of_markdown(text)
    if not found:
        raise OutputError(f"the answer holds no {what}", hint="without --format the whole answer is printed")
    if len(found) > 1:
        notes.append(f"the answer holds {len(found)} tables; this is the first")
    return found[0]


# LaTeX


def _latex(text: str, notes: list[str]) -> str:
    """LaTeX whose braces, environments and dollar signs are in pairs."""
    if not re.search(r"[\\$^_{}=+<>]", text):
        raise OutputError("the answer holds no LaTeX", hint="without --format the whole answer is printed")
    open_: list[str] = []
    in_math = ""
    for match in _COMMAND.finditer(text):
        sign = match[0]
        if sign == "{":
            open_.append("{")
        elif sign == "}":
            _closes(open_, "{", "}")
        elif sign.startswith("\\begin"):
            open_.append(match[1])
        elif sign.startswith("\\end"):
            _closes(open_, match[1], f"\\end{{{match[1]}}}")
        elif match[2] == "left":
            open_.append("\\left")
        elif match[2] == "right":
            _closes(open_, "\\left", "\\right")
        elif sign in ("\\(", "\\["):
            open_.append(sign)
        elif sign in ("\\)", "\\]"):
            _closes(open_, "\\(" if sign == "\\)" else "\\[", sign)
        elif sign in ("$", "$$"):
            if in_math and in_math != sign:
                raise OutputError(f"the answer is no whole LaTeX: `{in_math}` is closed by `{sign}`")
            in_math = "" if in_math else sign
    if open_ or in_math:
        last = in_math or open_[-1]
        told = last if not last or last[0] in "\\{$" else f"\\begin{{{last}}}"
        raise OutputError(f"the answer is no whole LaTeX: `{told}` is never closed")
    return text


def _closes(open_: list[str], what: str, sign: str) -> None:
    if not open_ or open_.pop() != what:
        raise OutputError(f"the answer is no whole LaTeX: `{sign}` closes nothing")


# HTML

_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_MAY_BE_OPEN = frozenset("p li dt dd tr td th thead tbody tfoot option colgroup html body head".split())
_UNWANTED = frozenset("script style iframe object embed applet link meta base frame frameset noscript template".split())
_ADDRESSES = frozenset("href src action formaction poster cite background data xlink:href srcset".split())
_SAFE = re.compile(r"\s*(?:https?:|mailto:|data:image/(?:png|jpeg|gif|webp);|[^:]*(?:[/?#]|$))", re.I)


class _Cleaner(HTMLParser):
    """Writes HTML anew without what could run, and finds what is not closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.open: list[str] = []
        self.n_removed = 0
        self.n_elements = 0
        self._within = 0  # how deep in what is left out

    @property
    def unclosed(self) -> str | None:
        """What has no end, of what needs one."""
        return next((tag for tag in reversed(self.open) if tag not in _MAY_BE_OPEN), "script" if self._within else None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNWANTED:
            self.n_removed += not self._within
            self._within += tag not in _VOID
        if self._within or tag in _UNWANTED:
            return
        self.n_elements += 1
        kept = [(name, value) for name, value in attrs if self._is_safe(name, value or "")]
        self.n_removed += len(attrs) - len(kept)
        told = "".join(f" {name}" + (f'="{html.escape(value)}"' if value is not None else "") for name, value in kept)
        self.out.append(f"<{tag}{told}>")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNWANTED:
            self._within = max(0, self._within - (tag not in _VOID))
        if self._within or tag in _VOID or tag in _UNWANTED:
            return
        while self.open and self.open[-1] != tag and self.open[-1] in _MAY_BE_OPEN:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            raise OutputError(f"the answer is no well-formed HTML: `</{tag}>` closes nothing")
        self.out.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._within:
            self.out.append(html.escape(data, quote=False))

    def handle_decl(self, decl: str) -> None:
        self.out.append(f"<!{decl}>")

    @staticmethod
    def _is_safe(name: str, value: str) -> bool:
        if not re.fullmatch(r"[a-zA-Z_][\w.:-]*", name) or name.startswith("on") or name in ("style", "srcdoc"):
            return False
        return name not in _ADDRESSES or _SAFE.match(re.sub(r"[\x00-\x20]", "", value)) is not None


def _html(text: str, notes: list[str]) -> str:
    cleaner = _Cleaner()
    cleaner.feed(text)
    cleaner.close()
    if cleaner.unclosed is not None:
        raise OutputError(f"the answer is no well-formed HTML: `<{cleaner.unclosed}>` is never closed")
    if not cleaner.n_elements:
        raise OutputError("the answer holds no HTML", hint="without --format the whole answer is printed")
    if cleaner.n_removed:
        parts = f"{cleaner.n_removed} part{'s' * (cleaner.n_removed > 1)}"
        notes.append(f"{parts} of the HTML that could run or load something were taken out")
    return "".join(cleaner.out)


_TITLES = {"table": "table", "csv": "CSV", "latex": "LaTeX", "html": "HTML"}
_READ: dict[str, Callable[[str, list[str]], str]] = {"table": _table, "csv": _csv, "latex": _latex, "html": _html}
