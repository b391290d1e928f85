"""What was read of pages, as one Markdown, text, HTML or JSON document; and their tables as CSV files."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mmcli import files, schema
from mmcli.documents import rendering, tables
from mmcli.errors import MmcliError
from mmcli.jobs.read import Reading, ReadText, Repeated
from mmcli.jobs.task import Outcome

PageFormat: TypeAlias = Literal["md", "txt", "html", "json", "jsonl"]
SUFFIXES = {".md": "md", ".markdown": "md", ".txt": "txt", ".html": "html", ".htm": "html", ".json": "json"}


@dataclass
class PageTexts:
    """Outcome by outcome, in order, a document; `several`: pages of more than one file are in it."""

    format: PageFormat
    several: bool = False
    _before: str | None = None  # the file of the page before
    _n: int = 0

    def begin(self, title: str) -> str:
        """What stands before the first page."""
        if self.format != "html":
            return ""
        head = f'<meta charset="utf-8">\n<title>{html.escape(title)}</title>'
        return f"<!doctype html>\n<html>\n<head>\n{head}\n</head>\n<body>\n"

    def page(self, outcome: Outcome[Reading]) -> str:
        """One page, with what stands between it and the one before."""
        name, is_first = outcome.source.document, self._n == 0
        is_new = self._before != name
        self._before = name
        self._n += 1
        if self.format == "jsonl":
            return _json_line(record(outcome)) + "\n"
        if self.format == "json":
            return ("[" if is_first else ",\n") + _json_line(record(outcome))
        reading = outcome.result
        text = reading.markdown if reading is not None else ""
        if self.format == "html":
            return self._section(outcome, text)
        if self.format == "txt":
            return ("" if is_first else "\f") + (f"{rendering.plain(text)}\n" if text else "")
        marks = [mark(name)] if self.several and is_new else []
        said = self._mark(outcome)
        parts = [*marks, *([said] if said else []), *([text] if text else [])]
        return ("" if is_first else "\n") + "\n\n".join(parts) + "\n" if parts else ""

    def end(self) -> str:
        """What stands behind the last page."""
        if self.format == "json":
            return "]\n" if self._n else "[]\n"
        return "</body>\n</html>\n" if self.format == "html" else ""

    def _mark(self, outcome: Outcome[Reading]) -> str:
        """The comment before a page: which it is, and why nothing follows where that is so."""
        what = page_name(outcome) or ("" if not self.several else outcome.source.name)
        if outcome.error is not None:
            return mark(f"{what or outcome.source.name} could not be read: {reason(outcome)}")
        if outcome.result is not None and outcome.result.how == "blank":
            return mark(f"{what or outcome.source.name} is blank")
        return mark(what) if page_name(outcome) else ""

    def _section(self, outcome: Outcome[Reading], text: str) -> str:
        said = self._mark(outcome)
        attribute = f' data-source="{html.escape(outcome.source.name)}"'
        return f"<section{attribute}>\n{said}\n{rendering.as_html(text)}</section>\n".replace("\n\n", "\n")


def mark(text: str) -> str:
    """A comment; nothing in it can end it."""
    return f"<!-- {re.sub('-{2,}', '-', ' '.join(text.split())).replace('>', '')} -->"


def page_name(outcome: Outcome[Reading]) -> str:
    """`page 3`; empty where it is not a page of a document."""
    locator = outcome.source.locator
    return f"page {locator.pages[0][0]}" if locator is not None and locator.pages else ""


def reason(outcome: Outcome[Reading]) -> str:
    """Why there is nothing, without the file's name."""
    error = outcome.error
    assert error is not None
    if isinstance(error, Repeated):
        return "it repeated itself"
    return error.message.removeprefix(f"{outcome.source.shown}: ").removeprefix(f"{outcome.source.shown} ")


def record(outcome: Outcome[Reading]) -> dict[str, Any]:
    """One page as JSON."""
    locator = outcome.source.locator
    told: dict[str, Any] = {"source": outcome.source.name}
    if locator is not None and locator.pages:
        told |= {"page": locator.pages[0][0]}
    if outcome.error is not None:
        return told | {"error": _error(outcome.error)}
    reading = outcome.result
    if reading is None:
        return told
    if reading.label is not None:
        told["label"] = reading.label
    told |= {"how": reading.how, "markdown": reading.markdown, "tables": tables.of_markdown(reading.markdown)}
    if reading.size is not None:
        told["size"] = reading.size
    lines = [_line(line) for line in reading.lines]
    if lines:
        told["lines"] = lines
    if reading.notes:
        told["notes"] = reading.notes
    told["cached"] = outcome.cached
    if reading.answer is not None:
        answer = schema.answer_json(reading.answer)
        answer.pop("answer", None)
        told |= answer
    return told


def _json_line(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False)


def _line(line: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"text": line.text, "box": line.box}
    if not isinstance(line, ReadText):
        told |= {"confidence": line.confidence, "words": [[word.text, word.confidence] for word in line.words]}
    return told


def _error(error: MmcliError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "hint": error.hint}


class TableFiles:
    """The tables of pages as CSV files of a folder: `page-03-table-1.csv`, or with the file's name before it."""

    def __init__(self, folder: Path, *, several: bool, n_digits: int = 2) -> None:
        self._folder, self._several, self._n_digits = folder, several, n_digits
        self._names: set[str] = set()
        self.n_written = 0

    def write(self, outcome: Outcome[Reading]) -> None:
        """The tables of one page."""
        if outcome.result is None:
            return
        for number, rows in enumerate(tables.of_markdown(outcome.result.markdown), 1):
            name = self._name(outcome, number)
            files.write(self._folder / name, tables.as_csv(rows).encode("utf-8", "replace"))
            self.n_written += 1

    def _name(self, outcome: Outcome[Reading], number: int) -> str:
        source = outcome.source
        page = source.locator.pages[0][0] if page_name(outcome) and source.locator else None
        stem = Path(source.document).stem if source.document != "-" else "stdin"
        parts = [stem] if self._several or page is None else []
        parts += [f"page-{page:0{self._n_digits}}"] if page is not None else []
        name = stem = "-".join([*parts, f"table-{number}"])
        for other in range(2, 10_000):  # two files of one name, from two folders
            if name not in self._names:
                break
            name = f"{stem}-{other}"
        self._names.add(name)
        return f"{name}.csv"
