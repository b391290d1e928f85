"""docs/chat.svg, made from a real chat in a pseudo-terminal: `python -m tests.screenshot` writes it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pyte

from tests.terminals import Terminal

ROOT = Path(__file__).parents[1]
CHAT = ROOT / "docs" / "chat.svg"
SVG = "http://www.w3.org/2000/svg"  # a name, which nothing fetches
COLUMNS, ROWS = 80, 20
QUESTIONS = {
    "What is in this picture?": "I see a red circle, a blue square and a yellow star.",
    "How many shapes are there?": "There are 3 shapes.",
    "What color is the star?": "The star is yellow.",
}
WIDTH, HEIGHT, EDGE = 8.4, 18, 16  # pixels: of a cell, and around them all
PAPER, INK, DIM = "#1e1e1e", "#d4d4d4", "#8a8a8a"
NAMES = {"default": INK, "brightblack": DIM}
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


class Cell(NamedTuple):
    """One character on the screen. Colours as SVG has them."""

    char: str
    color: str
    under: str
    is_bold: bool


class Screen(pyte.HistoryScreen):
    """pyte's screen, which knows no dim text: that is drawn in the color of such text."""

    def select_graphic_rendition(self, *attributes: int, **kwargs: Any) -> None:
        super().select_graphic_rendition(*((90,) if attributes == (2,) else attributes), **kwargs)


def chat(environment: dict[str, str]) -> str:
    """The SVG of a chat about docs/pictures/shapes.png with the built-in model, at 80 columns."""
    colours = {"COLORTERM": "truecolor", "MMCLI_GRAPHICS": "blocks", "MMCLI_TEMPERATURE": "0"}
    arguments = ["chat", "docs/pictures/shapes.png", "-m", "starter"]
    terminal = Terminal(arguments, environment | colours, ROOT, columns=COLUMNS, rows=ROWS, emulator=Screen)
    terminal.prompt()
    terminal.send("/show 1\r")
    terminal.wait("▀")
    for question, answer in QUESTIONS.items():
        terminal.ask(question, answer)
    terminal.wait(lambda: "tokens" in terminal.screen.display[-1])
    rows = [*terminal.screen.history.top, *(terminal.screen.buffer[y] for y in range(ROWS))]
    cells = [[_cell(row[x]) for x in range(COLUMNS)] for row in rows]
    terminal.send("\x04")
    assert terminal.end() == 0
    return drawn(cells, f"mmcli {' '.join(arguments)}")


def _cell(char: Any) -> Cell:
    def color(name: str, default: str) -> str:
        return default if name == "default" else NAMES.get(name, f"#{name}")

    return Cell(char.data, color(char.fg, INK), color(char.bg, PAPER), char.bold)


def drawn(rows: Sequence[Sequence[Cell]], title: str) -> str:
    """A screen as SVG: text stays text, half-blocks become rectangles, and nothing is fetched."""
    rows = _squeezed(rows)
    width, height = COLUMNS * WIDTH + 2 * EDGE, len(rows) * HEIGHT + 2 * EDGE
    lines = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {width:g} {height}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width:g}" height="{height}" rx="8" fill="{PAPER}"/>',
        f'<g font-family="{FONT}" font-size="14" xml:space="preserve" transform="translate({EDGE} {EDGE})">',
    ]
    for y, row in enumerate(rows):
        lines += _blocks(row, y)
        lines += _text(row, y)
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _squeezed(rows: Sequence[Sequence[Cell]]) -> list[Sequence[Cell]]:
    """The rows without the empty ones between the last prompt and the status line."""
    filled = [y for y, row in enumerate(rows) if any(cell.char.strip() for cell in row)]
    return [*rows[: min(filled[-2] + 2, filled[-1])], rows[filled[-1]]]


def _blocks(row: Sequence[Cell], y: int) -> Iterator[str]:
    """The two halves of `▀`: the upper one has the text's color, the lower one what is under it."""
    colours: list[Callable[[Cell], str]] = [lambda cell: cell.color, lambda cell: cell.under]
    for half, color in enumerate(colours):
        for x, run in _runs(row, lambda cell, color=color: color(cell) if cell.char == "▀" else ""):  # type: ignore[misc]
            if run[0].char == "▀":
                top = y * HEIGHT + half * HEIGHT // 2
                size = f'width="{len(run) * WIDTH:g}" height="{HEIGHT // 2}"'
                yield f'<rect x="{x * WIDTH:g}" y="{top}" {size} fill="{color(run[0])}" shape-rendering="crispEdges"/>'


def _text(row: Sequence[Cell], y: int) -> Iterator[str]:
    for x, run in _runs(row, lambda cell: (cell.char != "▀", cell.color, cell.is_bold)):
        words = "".join(cell.char for cell in run).rstrip()
        if words and run[0].char != "▀":
            weight = ' font-weight="bold"' if run[0].is_bold else ""
            place = f'x="{x * WIDTH:g}" y="{(y + 0.75) * HEIGHT:g}" textLength="{len(words) * WIDTH:g}"'
            yield f'<text {place} fill="{run[0].color}"{weight}>{escape(words)}</text>'


def _runs(row: Iterable[Cell], key: Callable[[Cell], object]) -> Iterator[tuple[int, list[Cell]]]:
    """Neighbours that are alike, with the column of the first."""
    x = 0
    for _, same in groupby(row, key):
        run = list(same)
        yield x, run
        x += len(run)


def text_of(svg: str) -> str:
    """The lines of text that an SVG of `drawn` shows, with as many spaces as on the screen."""
    lines: dict[int, str] = {}
    for element in ElementTree.fromstring(svg).iter(f"{{{SVG}}}text"):
        y, x = round(float(element.attrib["y"]) / HEIGHT - 0.75), round(float(element.attrib["x"]) / WIDTH)
        lines[y] = lines.get(y, "").ljust(x) + (element.text or "")
    return "\n".join(lines[y] for y in sorted(lines))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        CHAT.write_text(chat({"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8"}), "utf-8")
