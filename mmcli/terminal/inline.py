"""What stands inside one paragraph: how much of it is settled, its styled runs, and its words put on lines.

Knows emphasis, code and links; knows no blocks. All of it is append-only: nothing written is ever taken back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mmcli.sanitize import clean

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.utils import EnvType
    from rich.console import Console
    from rich.text import Text

MAX_HELD = 1000  # characters: an emphasis that hasn't closed by then is shown as the plain characters it is

# Between two of these a line may break without a space; but closing marks must not begin a line.
_CJK = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff10-\uff19\uff21-\uff5a\U00020000-\U0003ffff"
_CJK_BREAK = rf"(?<=[{_CJK}\u3001\u3002\uff0c\uff01\uff1b\uff1a\uff1f])(?=[{_CJK}])"

_SPECIAL = re.compile(
    r"(?P<space>[ \t\n]+(?=[^ \t\n]))"
    rf"|(?P<cjk>{_CJK_BREAK})"
    r"|(?P<escape>\\(?:.|\n))"
    r"|(?P<code>`+)"
    r"|(?P<link>\[)"
    r"|(?P<mark>\*+|_+|~~+)"
)
_LINK_END = re.compile(r"\]\((?:[^()\\]|\\.|\([^()]*\))*\)")


def settled(text: str) -> int:
    """Return how many characters of `text` no later character can change: up to a word's end, with nothing open."""
    cut, pos = 0, 0
    open_marks: list[str] = []
    while match := _SPECIAL.search(text, pos):
        pos = match.end()
        if match.lastgroup in ("space", "cjk"):
            if not open_marks:
                cut = match.start()
            if match.lastgroup == "cjk":  # an empty match: step over the next character, which is a plain one
                pos += 1
        elif match.lastgroup == "code":
            closing = re.compile(rf"(?<!`){match[0]}(?!`)").search(text, pos)
            if closing is None or closing.end() == len(text):
                break
            pos = closing.end()
        elif match.lastgroup == "link":
            end = _closing_bracket(text, pos)
            if end is None or end + 1 == len(text):
                break
            if text[end + 1] == "(":
                target = _LINK_END.match(text, end)
                if target is None:
                    break
                pos = target.end()
        elif match.lastgroup == "mark":
            if pos == len(text):
                break  # the next character decides whether it opens or closes
            _take_mark(open_marks, match[0], text[match.start() - 1 : match.start()] or " ", text[pos])
    return cut or _forced_cut(text)


def _forced_cut(text: str) -> int:
    if len(text) <= MAX_HELD:
        return 0
    spaces = list(re.finditer(r"[ \t\n]+(?=[^ \t\n])", text[:MAX_HELD]))
    return spaces[-1].start() if spaces and spaces[-1].start() else MAX_HELD


def _closing_bracket(text: str, pos: int) -> int | None:
    depth = 1
    for match in re.finditer(r"\\.|[\[\]]", text[pos:]):
        depth += {"[": 1, "]": -1}.get(match[0], 0)
        if depth == 0:
            return pos + match.start()
    return None


def _take_mark(open_marks: list[str], mark: str, before: str, after: str) -> None:
    """Open or close emphasis as CommonMark's flanking rules say, near enough to know when to wait."""
    left = not after.isspace() and (after.isalnum() or before.isspace() or not before.isalnum())
    right = not before.isspace() and (before.isalnum() or after.isspace() or not after.isalnum())
    if mark[0] == "_":  # inside a_word it is only a character
        left, right = left and (not right or not before.isalnum()), right and (not left or not after.isalnum())
    rest = mark
    while right and rest and any(opened[0] == rest[0] for opened in open_marks):
        while open_marks[-1][0] != rest[0]:
            open_marks.pop()  # crossed by the closing one: it can't close any more
        opened = open_marks.pop()
        n_matched = min(len(opened), len(rest))
        if len(opened) > n_matched:
            open_marks.append(opened[n_matched:])
        rest = rest[n_matched:]
    if left and rest:
        open_marks.append(rest)


@dataclass(frozen=True)
class StyledText:
    """Some text in one style; newlines in it are line breaks that stay."""

    text: str
    style: str = ""
    is_code: bool = False


def runs(source: str, parser: MarkdownIt, env: EnvType, base: str = "") -> list[StyledText]:
    """Parse one stretch of a paragraph. A link shows its target: a model must not be able to hide it."""
    result: list[StyledText] = []
    styles = [base] if base else []
    targets: list[tuple[str, int]] = []
    for token in (parser.parseInline(source, env)[0].children or []) if source else []:
        style = " ".join(styles)
        if token.type in ("softbreak", "hardbreak"):
            # A model's line break is meant (a poem, the lines of a receipt), not a wrapped text file's.
            result.append(StyledText("\n"))
        elif token.type == "code_inline":
            result.append(StyledText(clean(token.content, newlines=False), f"{style} cyan".strip(), is_code=True))
        elif token.type == "image":
            result.append(StyledText(_with_target(clean(token.content), str(token.attrGet("src") or "")), style))
        elif token.type == "link_open":
            targets.append((clean(str(token.attrGet("href") or ""), newlines=False), len(result)))
            styles.append("underline")
        elif token.type == "link_close":
            styles.pop()
            target, start = targets.pop()
            label = "".join(run.text for run in result[start:])
            result.append(StyledText(_with_target(label, target)[len(label) :], " ".join(styles)))
        elif token.type in _INLINE_STYLES:
            styles.append(_INLINE_STYLES[token.type])
        elif token.type.endswith("_close"):
            styles.pop()
        else:
            # Cleaned again: an entity such as &#x202e; only now becomes the character.
            result.append(StyledText(re.sub(r"[ \t]+", " ", clean(token.content)), style))
    return result


_INLINE_STYLES = {"strong_open": "bold", "em_open": "italic", "s_open": "strike"}


def _with_target(label: str, target: str) -> str:
    if target.removeprefix("mailto:") == label or not target:
        return label
    return f"{label} ({target})" if label else target


def _atoms(parts: list[StyledText]) -> Iterator[str | list[StyledText]]:
    """Split into words (lists of runs without a break inside) and what stands between: "" , spaces or "\\n"."""
    word: list[StyledText] = []
    for part in parts:
        for i, bit in enumerate(re.split(rf"(\n| +|{_CJK_BREAK})", part.text)):
            if i % 2:
                if word:
                    yield word
                    word = []
                yield bit
            elif bit:
                word.append(StyledText(bit, part.style, part.is_code))
    if word:
        yield word


Prefix: TypeAlias = tuple[str, str]  # what the first line and every other line begin with


class WrappedText:
    """Write words as they come, wrapped to the console's width of that moment; the cursor stays after the last."""

    def __init__(self, console: Console, prefix: Prefix) -> None:
        self._console = console
        self._prefix = prefix
        self._n_lines = 0
        self._column: int | None = None  # cells written on this line; None between two lines
        self._indent = 0  # cells of this line's prefix
        self._gap = ""  # spaces that will stand before the next word, if it fits on this line

    def write(self, parts: list[StyledText]) -> None:
        from rich.text import Text

        text = Text()
        for atom in _atoms(parts):
            if isinstance(atom, list):
                self._word(text, atom)
            elif atom == "\n":
                self._end_line(text)
            else:
                self._gap = atom if self._column is not None else ""
        if text:
            self._console.print(text, end="", soft_wrap=True)

    def close(self) -> None:
        """End the last line; a block of no words still shows its prefix, the bullet of an empty item."""
        if self._column is not None or not self._n_lines:
            self.write([StyledText("\n")])

    def _start_line(self, text: Text) -> int:
        from rich.cells import cell_len

        if self._column is None:
            prefix = self._prefix[min(self._n_lines, 1)]
            text.append(prefix, "dim")
            self._column = self._indent = cell_len(prefix)
            self._n_lines += 1
        return self._column

    def _end_line(self, text: Text) -> None:
        self._start_line(text)
        text.append("\n")
        self._column, self._gap = None, ""

    def _word(self, text: Text, word: list[StyledText]) -> None:
        from rich.cells import cell_len

        room = self._console.width
        width = sum(cell_len(run.text) for run in word)
        column = self._start_line(text)
        if column > self._indent and column + len(self._gap) + width > room:
            self._end_line(text)
            column = self._start_line(text)
        text.append(self._gap)
        self._column = column + len(self._gap) + width
        self._gap = ""
        if self._column <= room:
            for run in word:
                text.append(run.text, run.style)
        else:
            self._column -= width
            self._fold(text, word, room)

    def _fold(self, text: Text, word: list[StyledText], room: int) -> None:
        """Append a word that is longer than a line, character by character."""
        from rich.cells import cell_len

        for run in word:
            for char in run.text:
                column = self._start_line(text)
                if column > self._indent and column + cell_len(char) > room:
                    self._end_line(text)
                    column = self._start_line(text)
                text.append(char, run.style)
                self._column = column + cell_len(char)
