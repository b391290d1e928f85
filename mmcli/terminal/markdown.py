"""Renders Markdown while it is written: words at their final place, nothing ever redrawn.

Knows which part of a growing text can't change any more; blocks.py knows the blocks, inline.py the words.

There is no live region: a paragraph's words are printed once they are settled, code line by line, a list item by
item, a table when it ends. So nothing flickers, nothing is printed twice when the answer is taller than the screen,
a resize spoils nothing, and a dumb terminal gets the same. The price: a `**` or a `[` waits for its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmcli.sanitize import Cleaner, clean
from mmcli.terminal import blocks, inline
from mmcli.terminal.streams import can_show

if TYPE_CHECKING:
    from markdown_it.utils import EnvType
    from rich.console import Console

    from mmcli.terminal.blocks import Leaf

HEADING_STYLES = ("bold underline", "bold underline", "bold", "bold", "bold italic", "bold italic")


class MarkdownStream:
    """Feed it an answer in pieces of any size, then close it; the console gets the rendered text on the way."""

    def __init__(self, console: Console) -> None:
        from markdown_it import MarkdownIt

        # Raw HTML isn't parsed, so it is shown as the text it is. What is nested deeper than maxNesting is lost.
        self._parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 100}).enable(["table", "strikethrough"])
        self._env: EnvType = {}  # link definitions seen so far
        self._console = console
        fancy = "".join((blocks.FANCY.bullets, blocks.FANCY.bar, blocks.FANCY.rule))
        self._glyphs = blocks.FANCY if can_show(fancy, console.file) else blocks.PLAIN
        self._cleaner = Cleaner()

        self._lines: list[str] = []  # complete lines of the source that may still matter
        self._n_cut = 0  # lines before those
        self._top = 0  # line where the first block of _lines starts in the whole text
        self._number: int | None = None  # of the list item that _lines starts with
        self._line = ""  # the line that is being written
        self._goes_on: bool | None = None  # that line goes on in the open paragraph; None: not known yet
        self._open: Leaf | None = None  # that paragraph, as it was when the line was judged
        self._is_in_table = False  # a top-level one, with nothing after it

        self._n_done = 0  # leaves of _lines that are printed completely
        self._before: tuple[Leaf, int, int] | None = None  # the leaf finished last, its top and end in the whole text
        self._is_begun = False  # something of the leaf after the done ones is printed
        self._writer: inline.WrappedText | None = None  # of the open paragraph
        self._n_written = 0  # characters of its source that are printed
        self._unwritten = ""  # the rest of it
        self._n_code_lines = 0  # lines of the open code block that are printed

    def feed(self, text: str) -> None:
        for part in self._cleaner.feed(text).splitlines(keepends=True):
            self._line += part
            if part.endswith("\n"):
                self._lines.append(self._line)
                self._line, self._goes_on = "", None
                self._line_ended()
            elif self._goes_on is None:
                self._judge_line()
            elif self._goes_on and self._open:
                self._unwritten += part
                self._write_settled(self._open)

    def close(self) -> None:
        """Print what is left; the cursor is then at the beginning of a line."""
        self._line += self._cleaner.flush()
        self._show(self._leaves("".join(self._lines) + self._line), is_last=True)

    # 1 · which leaves are complete

    def _judge_line(self) -> None:
        """Look at the beginning of a line: if it belongs to a paragraph, its words needn't wait for its end."""
        if not blocks.is_decided(self._line):
            return
        source = "".join(self._lines) + self._line
        found = self._leaves(source)
        self._goes_on = bool(found) and found[-1].kind == "paragraph" and found[-1].end > len(self._lines)
        if self._goes_on:
            self._show(found)
            self._open = found[-1]
            self._unwritten += source[len(source.rstrip(" \t")) :]  # stripped by the parser, needed by the next piece

    def _line_ended(self) -> None:
        if self._is_in_table and self._lines[-1].startswith("|"):
            return  # one more row: nothing to parse before the table's end
        found = self._leaves("".join(self._lines))
        self._show(found)
        if found:
            last = found[-1]
            self._is_in_table = last.kind == "table" and last.prefix == ("", "") and last.end == len(self._lines)
            self._forget_before(found)

    def _leaves(self, source: str) -> list[Leaf]:
        return blocks.leaves(source, self._parser, self._env, self._glyphs, self._number)

    def _show(self, found: list[Leaf], is_last: bool = False) -> None:
        """Finish every leaf but the last one, and as much of that as can't change."""
        for leaf in found[self._n_done :]:
            if is_last or leaf is not found[-1] or leaf.is_closed or self._blank_follows(leaf):
                self._finish(leaf)
            elif leaf.kind == "paragraph":
                self._go_on_writing(leaf)
            elif leaf.kind in ("fence", "indented"):
                self._code(leaf)

    def _blank_follows(self, leaf: Leaf) -> bool:
        return leaf.kind != "indented" and leaf.end < len(self._lines) and not self._lines[leaf.end].strip()

    def _forget_before(self, found: list[Leaf]) -> None:
        """Cut off the source of what is printed, so that a long answer costs no more per line than a short one."""
        last = found[-1]
        self._top, self._number = self._top_of(last), last.number
        self._n_done -= sum(leaf.start < last.cut for leaf in found)
        n_cut = last.cut
        if last.kind == "fence" and not last.is_closed and last.prefix == ("", ""):
            # Of an open listing only the opening line is kept: all others are printed.
            n_cut += len(self._lines) - last.start - 1
            del self._lines[last.start + 1 :]
            self._n_code_lines = 0
        del self._lines[: last.cut]
        self._n_cut += n_cut

    def _top_of(self, leaf: Leaf) -> int:
        return self._top if leaf.top == 0 else leaf.top + self._n_cut

    # 2 · how each kind is printed

    def _begin(self, leaf: Leaf) -> None:
        """Leave a blank line between this leaf and the one before, where there is to be one."""
        if self._is_begun:
            return
        self._is_begun = True
        if not self._before:
            return
        before, top_before, end_before = self._before
        is_same_block = self._top_of(leaf) == top_before
        is_list_after_words = before.kind == "paragraph" and leaf.prefix[0] != leaf.prefix[1]
        if leaf.start + self._n_cut > end_before or not (is_same_block or is_list_after_words):
            bar = self._glyphs.bar
            self._print(bar if is_same_block and leaf.prefix[1].startswith(bar) else "")

    def _finish(self, leaf: Leaf) -> None:
        if leaf.kind in ("paragraph", "heading"):
            style = HEADING_STYLES[leaf.level - 1] if leaf.kind == "heading" else ""
            self._unwritten = leaf.text[self._n_written :]
            self._write(leaf, len(self._unwritten), style).close()
        elif self._writer:
            self._writer.close()  # a line with bars in it turned out to be a table's head
        if leaf.kind in ("fence", "indented"):
            self._code(leaf)
        elif leaf.kind == "table":
            self._begin(leaf)
            self._table(leaf)
        if not self._is_begun:  # a rule, an empty item, an empty listing
            self._begin(leaf)
            width = self._console.width - len(leaf.prefix[0]) if leaf.kind == "rule" else 0
            self._print(leaf.prefix[0] + self._glyphs.rule * width)
        self._before = leaf, self._top_of(leaf), leaf.end + self._n_cut
        self._n_done += 1
        self._is_begun, self._writer, self._n_written, self._unwritten = False, None, 0, ""
        self._n_code_lines = 0

    def _go_on_writing(self, leaf: Leaf) -> None:
        text, _, last_line = leaf.text.rpartition("\n")
        if not last_line.startswith("|"):  # else it may be the head of a table: the next line decides
            text = leaf.text
        self._unwritten = text[self._n_written :]
        self._write_settled(leaf)

    def _write_settled(self, leaf: Leaf) -> None:
        while n := inline.settled(self._unwritten):
            self._write(leaf, n)

    def _write(self, leaf: Leaf, n: int, style: str = "") -> inline.WrappedText:
        """Print the next `n` characters of the paragraph's source."""
        self._begin(leaf)
        self._writer = self._writer or inline.WrappedText(self._console, leaf.prefix)
        self._writer.write(inline.runs(self._unwritten[:n], self._parser, self._env, style))
        self._n_written += n
        self._unwritten = self._unwritten[n:]
        return self._writer

    def _code(self, leaf: Leaf) -> None:
        """Print the lines that are new. A line that is too long isn't broken: it can be copied as it is."""
        lines = leaf.text.split("\n")[:-1]
        for i, line in enumerate(lines[self._n_code_lines :], self._n_code_lines):
            self._begin(leaf)
            self._print(leaf.prefix[i > 0], clean(line), "cyan")
        self._n_code_lines = len(lines)

    def _table(self, leaf: Leaf) -> None:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        cells = [[Text.assemble(*self._cell(cell)) for cell in row] for row in leaf.rows]
        for head, align in zip(cells[0], leaf.aligns, strict=True):
            table.add_column(head, justify=align, overflow="fold")  # type: ignore[arg-type]
        for row in cells[1:]:
            table.add_row(*row)
        room = self._console.options.update(width=max(self._console.width - len(leaf.prefix[1]), 10))
        for i, line in enumerate(self._console.render_lines(table, room, pad=False)):
            text = Text.assemble((leaf.prefix[i > 0], "dim"), *((part.text, part.style or "") for part in line))
            text.rstrip()
            self._console.print(text, soft_wrap=True)

    def _cell(self, source: str) -> list[tuple[str, str]]:
        return [(run.text, run.style) for run in inline.runs(source, self._parser, self._env)]

    def _print(self, prefix: str, words: str = "", style: str = "") -> None:
        from rich.text import Text

        text = Text.assemble((prefix, "dim"), (words, style))
        text.rstrip()
        self._console.print(text, soft_wrap=True)
