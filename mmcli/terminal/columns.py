"""Lays out rows as lines on a terminal of a given width. Prints nothing: output.py does.

A table that is too wide leaves out what matters least, if its command names that, shortens the prose in its last column
and puts a long name on a line of its own. Any other is shown row by row, a fact on each line, so that paths stay whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmcli.sanitize import one_line

PROSE = 24  # cells: a shorter last column says nothing, and is left out
GAP = 2
FIRST = 24  # cells: names up to this length, or a third of the terminal, stand in the table itself


def cell(value: object) -> str:
    """A value as a table shows it, on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(f"{value:.3f}" if isinstance(value, float) else str(value))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows with their columns below each other."""
    from rich.cells import set_cell_size

    widths = _widths(rows)
    return ["  ".join(map(set_cell_size, row, widths)).rstrip() for row in rows]


def fitted(
    columns: Sequence[str],
    sections: Mapping[str, Sequence[Sequence[str]]],
    width: int,
    spare: Sequence[str] = (),
    prose: int = PROSE,
) -> list[str]:
    """The lines of one table with its head, at most `width` cells wide where that can be had.

    Each section but one without a name stands under its heading; empty ones are left out. `spare` are the columns that
    may be missing, the first one first; the last one, if it is among them, may be shortened to
    `prose` cells. Then also a first cell much longer than the others gets a line of its own.
    """
    sections = {heading: rows for heading, rows in sections.items() if rows}
    kept = _kept(columns, sections, width, spare, prose)
    if kept is None:
        return [line for part in sections.values() for line in _told(columns, part)]
    head = [column.upper().replace("_", " ") for column in columns]
    most = _longest(width) if spare else None
    parts = {heading: [[row[index] for index in kept] for row in part] for heading, part in sections.items()}
    broken = {heading: [_broken(row, most) for row in part] for heading, part in parts.items()}
    lines = aligned([[head[index] for index in kept], *(row for part in broken.values() for _, row in part)])
    lines = [shortened(line, width) for line in lines] if spare else lines
    told, rest = [lines[0]], iter(lines[1:])
    for heading, rows in broken.items():
        told += ["", one_line(heading)] if heading else []
        for first, _ in rows:
            told += [first] if first else []  # whole, however long: it is there to be copied
            told.append(next(rest))
    return told


def left_out(
    columns: Sequence[str],
    sections: Mapping[str, Sequence[Sequence[str]]],
    width: int,
    spare: Sequence[str],
    prose: int = PROSE,
) -> list[str]:
    """The columns for which `fitted` has no room."""
    kept = _kept(columns, {heading: rows for heading, rows in sections.items() if rows}, width, spare, prose)
    return [column for index, column in enumerate(columns) if kept is not None and index not in kept]


def shortened(line: str, width: int) -> str:
    """The line, cut with an ellipsis where it is wider than `width` cells."""
    from rich.cells import cell_len, set_cell_size

    return line if cell_len(line) <= width else set_cell_size(line, max(width - 1, 0)).rstrip() + "…"


def _kept(
    columns: Sequence[str],
    sections: Mapping[str, Sequence[Sequence[str]]],
    width: int,
    spare: Sequence[str],
    prose: int,
) -> list[int] | None:
    """The columns to show, by number: all but as many of the spare ones as it takes. None where even that is too wide.

    A spare column at the end is prose, and may be shortened to `prose` cells.
    """
    most = _longest(width) if spare else None
    widths = _widths([list(columns), *(_broken(row, most)[1] for rows in sections.values() for row in rows)])
    for n_gone in range(len(spare) + 1):
        kept = [index for index, column in enumerate(columns) if column not in spare[:n_gone]]
        least = [widths[index] for index in kept]
        if columns[kept[-1]] in spare:
            least[-1] = min(least[-1], prose)
        if sum(least) + GAP * (len(least) - 1) <= width:
            return kept
    return kept if spare else None


def _longest(width: int) -> int:
    """Cells for the first column of a table that is to fit."""
    return max(FIRST, width // 3)


def _broken(row: Sequence[str], most: int | None) -> tuple[str, list[str]]:
    """A first cell that is longer than that, to stand on a line of its own, and the row that is left."""
    from rich.cells import cell_len

    if most is None or len(row) == 1 or cell_len(row[0]) <= most:
        return "", list(row)
    return row[0], ["", *row[1:]]


def _told(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Each row as lines of its own, a fact on each, with an empty line between rows."""
    size = max(map(len, columns)) + GAP
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        lines += [f"{name.replace('_', ' '):<{size}}{text}" for name, text in zip(columns, row, strict=True)]
    return lines


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    from rich.cells import cell_len

    return [max(cell_len(text) for text in column) for column in zip(*rows, strict=True)]
