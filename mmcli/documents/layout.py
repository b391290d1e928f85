"""Lines with boxes → blocks in reading order: columns, headings, paragraphs, rough tables by their places.

Knows where lines stand and what they say; not who read them, and no pictures. Nothing is left out: page numbers and
running heads are text, too. Only rows of dots say nothing.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

_GUTTER = 0.6  # line heights between two columns, at least
_CROSSING = 0.3  # of the lines, as many at most may cross a gutter: headings, wide pictures' captions
_MISPLACED = 0.03  # of the lines, as many at most may cross a gutter and have a neighbour: noise
_MOST_CUTS = 12  # gaps between lines that are tried
_LEAST_ROWS, _LEAST_LINES = 3, 3  # of a table; of a column
_WORDS_OF_A_CELL = 4  # on average; columns of prose have more
_SENTENCES = 0.08  # of a table's cells, as many at most are sentences
_CELLS_ACROSS = 0.12  # of a table's rows, as many at most have a cell that reaches over a column's edge
_LONE_CELLS = 2  # rows of a single cell that may follow each other in a table: a name over others, a divided cell
_FILLED = 0.5  # of a table's cells
_HEADING = 1.45  # times the usual line height
_BULLET = re.compile(r"[•‣▪●◦■□–—*·-]\s+(?=\S)")
_NUMBERED = re.compile(r"(?:\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+\S")
_LEADERS = re.compile(r"(?:[.…_]\s?){4,}")  # rows of dots, from a table of contents' name to its page
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")


class Placed(Protocol):
    """A line of text, or a stretch of one, and where it stands."""

    @property
    def text(self) -> str: ...

    @property
    def box(self) -> Box: ...


@dataclass(frozen=True)
class Run:
    """Text that stands in one place; of neighbours on one line, joined."""

    text: str
    box: Box

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


@dataclass(frozen=True)
class Block:
    """A paragraph, a heading (`level` 1 or 2), or a table (`rows` of cells, all of one length)."""

    text: str
    box: Box
    level: int = 0
    rows: tuple[tuple[str, ...], ...] = ()


def blocks(lines: Sequence[Placed], *, touching: str = " ") -> list[Block]:
    """The blocks of one page in reading order.

    `touching` stands between stretches without a gap: nothing in a text layer, whose stretches may end within a word.
    """
    pieces = [Run(text, line.box) for line in lines if (text := " ".join(line.text.split()))]
    pieces = [piece for piece in pieces if not _LEADERS.fullmatch(piece.text)]
    if not pieces:
        return []
    usual = statistics.median(piece.height for piece in pieces)
    return _region(_joined(pieces, usual, touching), usual)


def _region(pieces: Sequence[Run], usual: float) -> list[Block]:
    """Tables first, since their columns are none of text; what stands between them is cut into columns."""
    rows, found, prose = _rows(pieces), [], list[Run]()
    at = 0
    while at < len(rows):
        end = _table_end(rows, at)
        if end > at:
            found += [*_columns(prose, usual), _table(rows[at:end])]
            prose, at = [], end
        else:
            prose += rows[at]
            at += 1
    return [*found, *_columns(prose, usual)]


# rows and tables


def _rows(pieces: Sequence[Run]) -> list[list[Run]]:
    """Pieces at one height, from left to right; rows from top to bottom."""
    rows: list[list[Run]] = []
    for piece in sorted(pieces, key=lambda piece: piece.box[1] + piece.box[3]):
        if rows and _is_beside(rows[-1][0].box, piece.box):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda piece: piece.box[0]) for row in rows]


def _is_beside(one: Box, other: Box) -> bool:
    """Whether the middle of each lies between top and bottom of the other, and they share most of their height."""
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared > 0.5 * max(
        min(one[3] - one[1], other[3] - other[1]), 0.5 * max(one[3] - one[1], other[3] - other[1])
    )


def _joined(pieces: Sequence[Run], usual: float, touching: str) -> list[Run]:
    """Stretches of one line that are a word's space apart become one: text layers change it where the font changes."""
    out = []
    for row in _rows(pieces):
        held = row[0]
        for piece in row[1:]:
            gap, height = piece.box[0] - held.box[2], min(piece.height, held.height)
            is_near = -height < gap < 0.5 * max(height, 0.5 * usual)
            if is_near and max(piece.height, held.height) < 2.5 * height:
                space = "" if _WIDE.match(piece.text) else touching if gap < 0.12 * height else " "
                held = Run(held.text + space + piece.text, _around((held.box, piece.box)))
            else:
                out.append(held)
                held = piece
        out.append(held)
    return out


def _table_end(rows: Sequence[Sequence[Run]], start: int) -> int:
    """Where the longest table ends that begins with row `start`; `start` where there is none."""
    if len(rows[start]) < 2:
        return start
    end, last = start, start
    while end < len(rows) and end - last <= _LONE_CELLS:
        if len(rows[end]) >= 2:
            last = end
        end += 1
    end = last + 1
    while end - start >= _LEAST_ROWS:
        if _is_table(rows[start:end]):
            return end
        end -= 1
    return start


def _is_table(rows: Sequence[Sequence[Run]]) -> bool:
    columns = _column_spans(rows)
    cells = [piece for row in rows for piece in row]
    words = [len(piece.text.split()) for piece in cells]
    is_prose = statistics.mean(words) > _WORDS_OF_A_CELL or sum(n > 7 for n in words) > _SENTENCES * len(words)
    several = [len(row) for row in rows if len(row) > 1]
    full = sum(several) / (max(1, len(columns)) * len(several))
    return len(columns) >= 2 and len(several) >= _LEAST_ROWS and not is_prose and full >= _FILLED


def _column_spans(rows: Sequence[Sequence[Run]]) -> list[tuple[float, float]]:
    """From where to where each column goes: what lies between them, cells of hardly any row cover."""
    cells = [piece.box for row in rows if len(row) > 1 for piece in row]
    few = _CELLS_ACROSS * sum(len(row) > 1 for row in rows)
    edges = sorted([(box[0], 1) for box in cells] + [(box[2], -1) for box in cells])
    spans: list[tuple[float, float]] = []
    depth, start = 0, 0.0
    for x, step in edges:
        was, depth = depth, depth + step
        if was <= few < depth:
            start = x
        elif depth <= few < was:
            spans.append((start, x))
    return spans


def _table(rows: Sequence[Sequence[Run]]) -> Block:
    columns = _column_spans(rows)
    table = []
    for row in rows:
        cells = [""] * len(columns)
        for piece in row:
            at = max(range(len(columns)), key=lambda i: _shared(columns[i], piece.box))
            cells[at] = f"{cells[at]} {piece.text}".strip()
        table.append(tuple(cells))
    text = "\n".join("\t".join(row) for row in table)
    return Block(text, _around([piece.box for row in rows for piece in row]), rows=tuple(table))


def _shared(column: tuple[float, float], box: Box) -> float:
    """How much of a cell lies in a column; the nearest column where none of it does."""
    return min(column[1], box[2]) - max(column[0], box[0])


# columns


def _columns(pieces: Sequence[Run], usual: float) -> list[Block]:
    """Left before right, down to the next line that crosses the gutter; each column may have columns of its own."""
    gutter = _gutter(pieces, usual)
    if gutter is None:
        above, below = _halves(pieces, usual)
        if below:
            return [*_columns(above, usual), *_columns(below, usual)]
        return list(_paragraphs([_as_one(row) for row in _rows(pieces)], usual))
    out: list[Block] = []
    left: list[Run] = []
    right: list[Run] = []
    across: list[Run] = []

    def flush() -> None:
        out.extend([*_columns(left, usual), *_columns(right, usual)])
        left.clear()
        right.clear()

    for piece in sorted(pieces, key=lambda piece: (piece.box[1], piece.box[0])):
        is_across = piece.box[0] < gutter < piece.box[2]
        if is_across and (left or right):
            flush()
        elif not is_across and across:
            out.extend(_columns(across, usual))
            across.clear()
        (across if is_across else left if piece.box[2] <= gutter else right).append(piece)
    flush()
    return [*out, *_columns(across, usual)]


def _gutter(pieces: Sequence[Run], usual: float) -> float | None:
    """The x between two columns that the fewest lines cross; None where the text has one column."""
    if len(pieces) < 2 * _LEAST_LINES:
        return None
    best: tuple[int, float] | None = None
    page = _around([piece.box for piece in pieces])
    middle = (page[0] + page[2]) / 2
    for x in sorted({piece.box[0] - 0.5 * _GUTTER * usual for piece in pieces}):
        left = [piece for piece in pieces if piece.box[2] <= x]
        right = [piece for piece in pieces if piece.box[0] >= x]
        crossing = [piece for piece in pieces if piece.box[0] < x < piece.box[2]]
        n_crossing = len(crossing)
        if min(len(left), len(right)) < _LEAST_LINES or n_crossing > _CROSSING * len(pieces):
            continue
        # What crosses a gutter stands alone on its row; a line with a neighbour is of columns elsewhere on the page
        if sum(any(_is_beside(piece.box, other.box) for other in [*left, *right]) for piece in crossing) > (
            _MISPLACED * len(pieces)
        ):
            continue
        if not _stand_beside(left, right, usual):
            continue
        if best is None or (n_crossing, abs(x - middle)) < (best[0], abs(best[1] - middle)):
            best = n_crossing, x
    return None if best is None else best[1]


def _halves(pieces: Sequence[Run], usual: float) -> tuple[list[Run], list[Run]]:
    """What stands above and below one of the widest gaps, where one of the two has columns; nothing below, if none."""
    ordered = sorted(pieces, key=lambda piece: piece.box[1])
    gaps, bottom = [], ordered[0].box[3] if ordered else 0.0
    for at, piece in enumerate(ordered[1:], 1):
        if piece.box[1] > bottom:
            gaps.append((piece.box[1] - bottom, at))
        bottom = max(bottom, piece.box[3])
    for _, at in sorted(gaps, reverse=True)[:_MOST_CUTS]:
        above, below = ordered[:at], ordered[at:]
        if _gutter(above, usual) is not None or _gutter(below, usual) is not None:
            return above, below
    return list(pieces), []


def _stand_beside(left: Sequence[Run], right: Sequence[Run], usual: float) -> bool:
    """Whether these are two columns: at one height for several lines, a gutter apart."""
    one, other = _around([piece.box for piece in left]), _around([piece.box for piece in right])
    shared = min(one[3], other[3]) - max(one[1], other[1])
    if shared <= _LEAST_LINES * usual or other[0] - one[2] < _GUTTER * usual:
        return False
    few, many = sorted((left, right), key=len)
    n_beside = sum(any(_overlap(piece.box, neighbour.box) > 0 for neighbour in many) for piece in few)
    return n_beside >= max(_LEAST_LINES, len(few) / 2)


def _overlap(one: Box, other: Box) -> float:
    return min(one[3], other[3]) - max(one[1], other[1])


# paragraphs


def _as_one(row: Sequence[Run]) -> Run:
    """What stands on one row of a column: justified text has wide spaces."""
    return Run(" ".join(piece.text for piece in row), _around([piece.box for piece in row]))


def _paragraphs(pieces: Sequence[Run], usual: float) -> Iterator[Block]:
    """Lines of one column, in order, as paragraphs and headings."""
    held: list[Run] = []
    for piece in pieces:
        if held and _begins(held, piece, usual):
            yield _paragraph(held, usual)
            held = []
        held.append(piece)
    if held:
        yield _paragraph(held, usual)


def _begins(held: Sequence[Run], piece: Run, usual: float) -> bool:
    """Whether a line begins a paragraph of its own."""
    last, height = held[-1], max(held[-1].height, piece.height)
    if min(last.height, piece.height) * 1.4 < height and abs(last.height - piece.height) > 6:
        return True
    if piece.box[1] - last.box[3] > 0.75 * height:
        return True
    if _BULLET.match(piece.text) or _NUMBERED.match(piece.text):
        return True
    left, right = min(line.box[0] for line in held), max(line.box[2] for line in held)
    is_indented = piece.box[0] - last.box[0] > 0.8 * height and len(held) > 1 and last.box[0] - left < 0.5 * height
    ends_early = last.box[2] < right - 4 * height or last.box[2] < piece.box[2] - 4 * height
    is_over = ends_early and last.text.endswith((".", "!", "?", ":", "。")) and last.height < _HEADING * usual
    return is_indented or is_over


def _paragraph(lines: Sequence[Run], usual: float) -> Block:
    text = lines[0].text
    for line in lines[1:]:
        text = _continued(text, line.text)
    height = statistics.median(line.height for line in lines)
    is_heading = height >= _HEADING * usual and len(text) <= 160 and len(lines) <= 3 and any(map(str.isalpha, text))
    level = (1 if height >= 1.9 * usual else 2) if is_heading else 0
    return Block(text, _around([line.box for line in lines]), level)


def _continued(text: str, line: str) -> str:
    """A text and its next line: a word that was divided is one again; East Asian lines need no space."""
    if re.search(r"[^\W\d_]-$", text) and line[:1].islower():
        return text[:-1] + line
    return text + line if _WIDE.match(text[-1]) and _WIDE.match(line) else f"{text} {line}"


def _around(boxes: Sequence[Box]) -> Box:
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


# as Markdown and as text


def markdown(found: Sequence[Block]) -> str:
    """Blocks as Markdown: what would begin a heading or a quotation by itself is escaped."""
    return "\n\n".join(_marked(block) for block in found)


def plain(found: Sequence[Block]) -> str:
    """Blocks as plain text; a table's cells with tabs between them."""
    return "\n\n".join(block.text for block in found)


def _marked(block: Block) -> str:
    if block.rows:
        from mmcli.documents import tables

        return tables.as_markdown(block.rows)
    if block.level:
        return f"{'#' * block.level} {block.text}"
    if bullet := _BULLET.match(block.text):
        return f"- {block.text[bullet.end() :]}"
    return re.sub(r"^([#>])", r"\\\1", block.text)
