"""Shows captions of many pictures on stdout, errors and progress on stderr. Knows no engine."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mmcli.sanitize import clean, escaped
from mmcli.terminal import output, streams, wrapping
from mmcli.terminal.batch_view import BatchView
from mmcli.terminal.progress_line import duration, out_of_the_way

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmcli.outputs.caption_outputs import Written
    from mmcli.terminal.progress_line import Progress
    from mmcli.terminal.style import Style

Form: TypeAlias = Literal["lines", "plain", "print0", "json", "jsonl"]
HANGING = 4  # cells before the second line of a caption


class Captions(BatchView):
    """Call it with each outcome in order; `close` when there are no more."""

    def __init__(
        self,
        form: Form,
        style: Style,
        progress: Progress,
        record: Callable[[Written], dict[str, Any]],
        *,
        dry_run: bool = False,
    ) -> None:
        """`record` makes the JSON of an outcome."""
        super().__init__("caption", style, progress)
        self._form, self._dry_run, self._json_of = form, dry_run, record
        self._n_records = 0
        self.new = self.known = self.sidecars = self.embedded = 0
        self.kept = self.cut = self.named = self.planned = 0

    def __call__(self, written: Written) -> None:
        outcome, caption = written.outcome, written.outcome.result
        self.done += 1
        self.failed += outcome.error is not None
        self.kept += outcome.kept is not None
        self.named += written.renamed is not None
        is_open = caption is None and outcome.error is None and outcome.kept is None
        self.planned += is_open and not outcome.equal
        self.cut += caption is not None and caption.cut
        self.known += caption is not None and outcome.cached
        self.new += caption is not None and not outcome.cached
        self.sidecars += len(written.sidecars)
        self.embedded += written.embedded
        if self._form in ("json", "jsonl"):
            self._record(self._json_of(written))
        elif outcome.error is not None:
            self.tell_failure(outcome.source, outcome.error)
        elif outcome.kept is not None and not self._dry_run:
            if self._style.verbose:
                output.notice(f"{escaped(outcome.source.name)} is left as it is: {outcome.kept}", self._style)
        else:
            self._show(written)
        if caption is not None and not self._dry_run:
            output.receipts(caption.answer, self._style)

    @property
    def tells_all(self) -> bool:
        """Whether what is left as it is has given its reason already."""
        return self._dry_run or self._form in ("json", "jsonl")

    def plan(self, pace: float | None) -> None:
        """What a dry run comes to; `pace` in seconds a picture, if it is known."""
        how_long = "" if pace is None else f", about {duration(pace * self.planned)} on this machine"
        output.notice(f"{self.planned} of {self.done} to be captioned{how_long}", self._style)

    def is_summed_up(self) -> bool:
        """Whether the end is reported in one sentence: on a terminal, where many captions went by."""
        return self.done > 1 and not self._dry_run and streams.is_terminal(sys.stderr)

    def sum_up(self, n_written: int, *more: str) -> None:
        """Say in one sentence what was done; `n_written` of the sidecars were made or changed."""
        of = f" ({self.new} new, {self.known} known)" if self.new and self.known else " (known)" if self.known else ""
        parts = [f"{_count(self.new + self.known, 'caption')}{of} in {duration(time.monotonic() - self._began)}"]
        if self.sidecars:
            rest = self.sidecars - n_written
            parts.append(f"{_count(n_written, 'sidecar')} written{f', {rest} unchanged' if rest else ''}")
        if self.embedded:
            parts.append(
                f"{self.embedded} put into the {'file' if self.embedded == 1 else 'files'}; `mmcli undo` undoes that"
            )
        output.notice("; ".join([*parts, *more]), self._style)

    def close(self) -> None:
        """End what was begun: a JSON array is valid after an interruption too."""
        if self._form == "json":
            self._write("]\n" if self._n_records else "[]\n")

    def _show(self, written: Written) -> None:
        """One caption; a terminal gets two spaces instead of the tab, and lines that end between words."""
        line = self._line(written)
        if self._form == "print0" or not streams.is_terminal(sys.stdout):
            self._write(line)
            return
        shown = "\n".join(wrapping.lines(line.rstrip("\n").replace("\t", "  "), streams.out().width, HANGING))
        self._write(shown + "\n")

    def _line(self, written: Written) -> str:
        name = written.outcome.source.name
        text = clean(written.renamed or _caption(written), newlines=False)
        if self._dry_run:
            text = _planned(written)
        if self._form == "plain":
            return text + "\n"
        if self._form == "print0":
            return f"{name}\0{written.renamed or text}\0"
        return f"{escaped(name)}\t{escaped(written.renamed) if written.renamed else text}\n"

    def _record(self, record: dict[str, Any]) -> None:
        document = output.json_text(record, sys.stdout)
        before = ""
        if self._form == "json":
            before = ",\n" if self._n_records else "[\n"
        self._n_records += 1
        self._write(f"{before}{document}" + ("\n" if self._form == "jsonl" else ""))

    def _write(self, text: str) -> None:
        with out_of_the_way():
            if self._form == "print0":  # names as they are, bytes that are no UTF-8 included
                sys.stdout.buffer.write(os.fsencode(text))
                sys.stdout.buffer.flush()
            else:
                streams.write(text, sys.stdout)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def pair(old: str, new: str) -> None:
    """Two paths on one line, as captions and their pictures stand on one."""
    streams.write(f"{escaped(old)}\t{escaped(new)}\n", sys.stdout)


def _caption(written: Written) -> str:
    caption = written.outcome.result
    return caption.text if caption is not None else ""


def _planned(written: Written) -> str:
    outcome = written.outcome
    if outcome.kept is not None:
        return f"stays as it is: {clean(outcome.kept, newlines=False)}"
    wanted = "gets the caption of an equal picture" if outcome.equal else "will be captioned"
    words = [f"is known: {clean(_caption(written), newlines=False)}" if outcome.result else wanted]
    words += [f"→ {escaped(place)}" for place in (*written.sidecars, *([written.renamed] if written.renamed else ()))]
    return " ".join([*words, "→ into its file"] if written.embedded else words)
