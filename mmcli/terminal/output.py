"""Prints everything mmcli has to say: the answer on stdout, all else on stderr. Knows no models and no media.

Nothing here ends the program, and a closed pipe is not hidden: BrokenPipeError goes on to main.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from mmcli import schema
from mmcli.errors import OutputError
from mmcli.sanitize import Cleaner, clean, json_safe, one_line, without_surrogates
from mmcli.terminal import report, streams, wrapping
from mmcli.terminal.code import first_block
from mmcli.terminal.columns import PROSE, aligned, cell, fitted, left_out, shortened
from mmcli.terminal.progress_line import out_of_the_way
from mmcli.terminal.style import Style

if TYPE_CHECKING:
    from mmcli.engine.messages import Answer, Piece
    from mmcli.errors import MmcliError
    from mmcli.terminal.progress_line import Progress

HANGING = 2  # cells before the second line of what has no label
FACT = 20  # cells of a fact's name in a description


# 1 · the answer


class _Writer(Protocol):
    """Where an answer's text goes; `close` leaves the cursor at the beginning of a line."""

    def feed(self, text: str) -> None: ...

    def close(self) -> None: ...


def answer(
    pieces: Iterable[Piece],
    style: Style,
    progress: Progress | None = None,
    *,
    talk: str | None = None,
    tell_media: bool = True,
    extract: bool = False,
    read: Callable[[str], Any] | None = None,
    is_json: bool = True,
    more: Callable[[Answer], Mapping[str, Any]] = lambda answer: {},
) -> Answer:
    """Show an answer while it is written; return it whole. What was said before an interruption stays.

    `talk` is the id that the history keeps it under, for --json. `tell_media`: afterwards, report of which media the
    model saw something else than the file holds. `extract`: show nothing but the first code block of it. `read` makes
    the value of an answer that is JSON (not `is_json`: the text of it that is wanted); what it raises comes before
    anything is shown. `more`: what --json has beside
    the answer.
    """
    reasoning: _Writer = _reasoning_writer(style)
    said: _Writer = _Nowhere() if extract or read else _answer_writer(style)
    is_reasoning = False
    result = None
    try:
        for piece in pieces:
            result = piece.answer or result
            if progress is not None and (piece.text or piece.answer):
                progress.stop()
            if not piece.text:
                continue
            if is_reasoning and piece.kind == "answer":
                reasoning.close()
            is_reasoning = piece.kind == "reasoning"
            (reasoning if is_reasoning else said).feed(piece.text)
    finally:
        if progress is not None:
            progress.stop()
        if is_reasoning:
            reasoning.close()
        said.close()
    assert result is not None, "the last piece of an answer carries it"
    value = {} if read is None or result.finish_reason == "interrupted" else {"data": _read(read, result, style)}
    if style.json:
        code = {"code": first_block(result.text)} if extract else {}
        data(schema.answer_json(result) | code | value | dict(more(result)) | {"talk": talk})
    elif value and isinstance(value["data"], str) and not is_json:
        streams.write(clean(value["data"]), sys.stdout)
    elif value:
        data(value["data"])
    elif extract and (block := first_block(result.text)) is not None:
        streams.write(clean(block), sys.stdout)
    _tell_how_it_ended(result, style, tell_media)
    return result


def _read(read: Callable[[str], Any], result: Answer, style: Style) -> Any:
    """The value of an answer; where there is none, why it ended is reported before the error."""
    try:
        if result.finish_reason in ("length", "loop"):
            raise OutputError("the answer is not whole: it was cut off", hint="a larger --max-tokens lets it continue")
        return read(result.text)
    except OutputError:
        _tell_how_it_ended(result, style, tell_media=True)
        raise


def _answer_writer(style: Style) -> _Writer:
    if style.json:
        return _Nowhere()
    is_terminal = streams.is_terminal(sys.stdout)
    if style.markdown == "never" or (style.markdown == "auto" and not is_terminal):
        return _Plain()
    console = streams.out()
    if style.markdown == "auto" and console.is_dumb_terminal:
        return _Plain()
    from mmcli.terminal.markdown import MarkdownStream

    return MarkdownStream(console)


def _reasoning_writer(style: Style) -> _Writer:
    is_wanted = style.verbose or streams.is_terminal(sys.stderr)
    return _Dim() if is_wanted and not (style.quiet or style.json) else _Nowhere()


class _Nowhere:
    def feed(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Plain:
    """The text as it is, flushed piece by piece, without newlines around it and with exactly one at its end.

    Nothing said leaves nothing: an error before the first word must not put a newline on stdout.
    """

    def __init__(self) -> None:
        self._cleaner = Cleaner()
        self._newlines = ""  # not written yet: they may be the last ones
        self._is_empty = True

    def feed(self, text: str) -> None:
        text = self._newlines + self._cleaner.feed(text)
        if self._is_empty:
            text = text.lstrip("\n")
        body = text.rstrip("\n")
        self._newlines = text[len(body) :]
        if body:
            self._is_empty = False
            self._put(body)

    def close(self) -> None:
        self.feed(self._cleaner.flush())
        if not self._is_empty:
            self._put("\n")

    def _put(self, text: str) -> None:
        streams.write(text, sys.stdout)


class _Dim(_Plain):
    """Reasoning: the same, on stderr and dim, with a blank line between it and the answer."""

    def _put(self, text: str) -> None:
        _say(text, "dim", end="")

    def close(self) -> None:
        super().close()
        super().close()  # the blank line
        self._is_empty, self._newlines = True, ""  # it may think again


def _tell_how_it_ended(result: Answer, style: Style, tell_media: bool) -> None:
    if tell_media and not style.verbose:  # receipts() tells them then
        for line in report.media_notices(result):
            notice(line, style)
    if ending := report.finish_notice(result):
        notice(ending, style)


# 2 · beside the answer


def receipts(answer: Answer, style: Style) -> None:
    """With --verbose, prove what the model saw: a line for each medium, and one for the answer."""
    if style.verbose and not style.json:
        for line in report.seen_lines(answer.seen):
            beside(line, "dim")
        beside(report.answer_line(answer), "dim")


def notice(text: str, style: Style) -> None:
    """Something worth knowing that is no problem; --json carries it in the answer's own fields."""
    if not (style.quiet or style.json):
        _labelled("note", text, "dim")


def warning(text: str, style: Style) -> None:
    """Something that went wrong without spoiling the answer; --quiet doesn't hide it."""
    if style.json:
        data({"warning": {"message": text}}, sys.stderr)
    else:
        _labelled("warning", text, "yellow")


def error(err: MmcliError, style: Style) -> None:
    """The person's mistake or the world's: what is wrong, and what to do next."""
    _error(err.code, err.message, err.hint, style)


def failure(message: str, hint: str | None) -> None:
    """One of many inputs failed, and the others go on."""
    _error("", message, hint, Style())


def bug(exc: BaseException, style: Style) -> None:
    """Our mistake, in one sentence; with --debug its traceback."""
    if style.debug:
        import traceback

        debug("".join(traceback.format_exception(exc)), style)
    kind, words = type(exc).__name__, str(exc)
    hint = None if style.debug else "--debug shows the traceback"
    _error("bug", f"a bug in mmcli: {kind}: {words}" if words else f"a bug in mmcli: {kind}", hint, style)


def _error(code: str, message: str, hint: str | None, style: Style) -> None:
    if style.json:
        data({"error": {"code": code, "message": message, "hint": hint}}, sys.stderr)
        return
    _labelled("error", message, "bold red")
    if hint:
        _labelled("hint", hint, "cyan")


def debug(text: str, style: Style) -> None:
    """Lines for --debug, as they are."""
    if style.debug:
        _say(text.rstrip("\n"))


def debug_table(title: str, rows: Sequence[Mapping[str, object]], style: Style) -> None:
    """Rows for --debug; the first one's keys are the columns."""
    if not style.debug:
        return
    _say(title, "bold")
    columns = list(rows[0]) if rows else []
    for line in aligned([columns, *([cell(row.get(column)) for column in columns] for row in rows)]):
        _say("  " + line)


def _labelled(label: str, text: str, look: str) -> None:
    from rich.text import Text

    with out_of_the_way():
        streams.put(Text.assemble((f"{label}:", look), " ", one_line(text)), sys.stderr, len(label) + 2)


def beside(text: str, look: str = "") -> None:
    """A line of facts on stderr, as --verbose shows them."""
    from rich.text import Text

    with out_of_the_way():
        streams.put(Text(one_line(text), look), sys.stderr, HANGING)


def _say(text: str, look: str = "", end: str = "\n") -> None:
    from rich.text import Text

    with out_of_the_way():
        streams.err().print(Text(clean(text), look), end=end, soft_wrap=True)


# 3 · results that aren't answers


def line(text: str) -> None:
    """One line of a result on stdout."""
    streams.write(clean(text, newlines=False) + "\n", sys.stdout)


def fact(name: str, text: str) -> None:
    """One line of a description on stdout; a terminal breaks it between words, and keeps paths whole."""
    said = f"{name:<{FACT}}{clean(text, newlines=False)}"
    width = streams.out().width if streams.is_screen() else 0
    streams.write("\n".join(wrapping.lines(said, width, FACT) if width else [said]) + "\n", sys.stdout)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    style: Style,
    *,
    spare: Sequence[str] = (),
    shares: Mapping[str, float] | None = None,
) -> None:
    """A listing on stdout: aligned for a user, tab-separated without a head for a pipe, objects for --json.

    `spare` names the columns that a narrow terminal goes without, the first one first; the last column, if it is one of
    them, is prose and may be shortened. Without it, a table that is too wide is shown row by row. `shares`: cells of
    these columns are cut to such a part of a terminal's width.
    """
    tables(columns, {"": rows}, style, spare=spare, shares=shares)


def tables(
    columns: Sequence[str],
    sections: Mapping[str, Sequence[Sequence[object]]],
    style: Style,
    *,
    spare: Sequence[str] = (),
    shares: Mapping[str, float] | None = None,
    prose: int = PROSE,
) -> list[str]:
    """Listings of the same columns, each under its heading on a terminal; elsewhere they are one.

    `prose`: cells that are left of the last column, at least. The spare columns for which the terminal had no room are
    returned.
    """
    cells = {heading: [[cell(value) for value in row] for row in rows] for heading, rows in sections.items()}
    if style.json:
        data([dict(zip(columns, row, strict=True)) for rows in sections.values() for row in rows])
        return []
    missing: list[str] = []
    if streams.is_terminal(sys.stdout):
        width = streams.out().width
        most = {columns.index(column): int(share * width) for column, share in (shares or {}).items()}
        for rows_ in cells.values():
            for row in rows_:
                for place, size in most.items():
                    row[place] = shortened(row[place], size)
        lines, missing = fitted(columns, cells, width, spare, prose), left_out(columns, cells, width, spare, prose)
    else:
        lines = ["\t".join(row) for rows in cells.values() for row in rows]
    for text in lines:
        streams.write(text + "\n", sys.stdout)
    return missing


def data(value: Any, stream: TextIO | None = None) -> None:
    """One JSON document: indented for a user, on one line for a pipe."""
    stream = stream or sys.stdout
    streams.write(json_text(value, stream, indent=2 if streams.is_terminal(stream) else None) + "\n", stream)


def json_text(value: Any, stream: TextIO, indent: int | None = None) -> str:
    """A value as JSON that `stream` can show."""
    document = json_safe(without_surrogates(json.dumps(value, ensure_ascii=False, indent=indent)))
    if not streams.can_show(document, stream):  # a backslash escape of the stream's own would be no JSON
        document = json.dumps(json.loads(document), indent=indent)
    return document
