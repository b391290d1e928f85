"""Tables as texts: rows → Markdown, as many as there is room for; long CSV and TSV files → rows. Opens no files."""

from __future__ import annotations

import csv
from collections.abc import Sequence

MAX_FIELD = 100_000  # characters of a cell
_LOOK = 64_000  # characters from which the separator is told


def as_markdown(rows: Sequence[Sequence[str]], max_bytes: int | None = None) -> tuple[str, int]:
    """A Markdown table whose first row is the header, and how many rows were left out, since `max_bytes` were full."""
    width = max(map(len, rows), default=0)
    if not width:
        return "", 0
    lines, size = list[str](), 0
    for at, row in enumerate(rows):
        cells = [" ".join(cell.replace("|", "\\|").split()) for cell in row] + [""] * (width - len(row))
        line = f"| {' | '.join(cells)} |"
        size += len(line.encode("utf-8", "replace")) + 1
        if max_bytes is not None and size > max_bytes and at > 1:
            return "\n".join(lines), len(rows) - at
        lines.append(line)
        if at == 0:
            lines.append("|" + " --- |" * width)
    return "\n".join(lines), 0


def of_csv(text: str) -> list[list[str]] | None:
    """The rows of a text of values with separators; None where it is no such text."""
    csv.field_size_limit(MAX_FIELD)
    try:
        dialect = csv.Sniffer().sniff(text[:_LOOK].rpartition("\n")[0], delimiters=",;\t|")
        rows = [row for row in csv.reader(text.splitlines(), dialect) if row]
    except csv.Error:
        return None
    return rows if len(rows) > 1 and len(rows[0]) > 1 else None
