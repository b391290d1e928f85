"""How rows become lines on a terminal of a given width. Prints nothing: output.py does.

A table that is too wide leaves out what matters least, if its command names that, and shortens the prose in its last
column. Any other is told row by row, a fact on each line, so that paths stay whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmcli.terminal.clean import one_line

PROSE = 24  # cells: a shorter last column tells nothing, and is left out
GAP = 2


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
    columns: Sequence[str], sections: Mapping[str, Sequence[Sequence[str]]], width: int, spare: Sequence[str] = ()
) -> list[str]:
    """The lines of one table with its head, at most `width` cells wide where that can be had.

    Each section but one without a name stands under its heading; empty ones are left out. `spare` are the columns that
    may be missing, the first one first.
    """
    sections = {heading: rows for heading, rows in sections.items() if rows}
    rows = [row for part in sections.values() for row in part]
    kept = _kept([list(columns), *rows], columns, width, spare)
    if kept is None:
        return [line for part in sections.values() for line in _told(columns, part)]
    head = [column.upper().replace("_", " ") for column in columns]
    lines = aligned([[row[index] for index in kept] for row in (head, *rows)])
    lines = [shortened(line, width) for line in lines] if spare else lines
    told, rest = [lines[0]], iter(lines[1:])
    for heading, part in sections.items():
        told += ["", one_line(heading)] if heading else []
        told += [next(rest) for _ in part]
    return told


def shortened(line: str, width: int) -> str:
    """The line, cut with an ellipsis where it is wider than `width` cells."""
    from rich.cells import cell_len, set_cell_size

    return line if cell_len(line) <= width else set_cell_size(line, max(width - 1, 0)).rstrip() + "…"


def _kept(rows: Sequence[Sequence[str]], columns: Sequence[str], width: int, spare: Sequence[str]) -> list[int] | None:
    """The columns to show, by number: all but as many of the spare ones as it takes. None where even that is too wide.

    A spare column at the end is prose, and may be shortened to PROSE cells.
    """
    widths = _widths(rows)
    for n_gone in range(len(spare) + 1):
        kept = [index for index, column in enumerate(columns) if column not in spare[:n_gone]]
        least = [widths[index] for index in kept]
        if columns[kept[-1]] in spare:
            least[-1] = min(least[-1], PROSE)
        if sum(least) + GAP * (len(least) - 1) <= width:
            return kept
    return kept if spare else None


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
