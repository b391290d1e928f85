"""Remembers prompts and answers as text beside their cells, so that an answer's own tokens are reused.

A talk comes back as text with every question, and text does not always make the tokens that made it: a model may have
said `hel` and `lo` where its tokenizer would write `hello`. Then all that follows would be computed anew. So the text
of each prompt and answer is kept with the cells it had, and only what is new is tokenized. Knows no llama.cpp.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmcli.engine.local import kv_cells
from mmcli.engine.local.template import Prompt, Segment, TextRun

MAX_KNOWN = 32  # texts: a prompt, or a prompt with its answer


@dataclass(frozen=True)
class Known:
    """A prompt, with the answer that was given to it (None: without), and its cells.

    `is_open`: its cells end with the last medium, and any text may follow.
    """

    segments: tuple[Segment, ...]
    media_ids: tuple[str, ...]
    cells: tuple[kv_cells.Cell, ...]
    answer: str | None = None
    is_open: bool = False


@dataclass(frozen=True)
class Beginning:
    """What of a prompt is known: its cells, how many media are in them, and the segments that come after."""

    cells: tuple[kv_cells.Cell, ...]
    n_media: int
    rest: tuple[Segment, ...]


class PromptMemo:
    """The last prompts and answers of one engine. `opens_apart(text)`: its first token is a control token.

    Tokens are cut only there: a control token is never part of a longer one, on either side.
    """

    def __init__(self, opens_apart: Callable[[str], bool]) -> None:
        self._opens_apart = opens_apart
        self._known: deque[Known] = deque(maxlen=MAX_KNOWN)

    def add(self, prompt: Prompt, media_ids: Sequence[str], cells: Sequence[kv_cells.Cell], answer: str | None) -> None:
        """Remember the cells of a prompt, or of a prompt and its answer as the model wrote it."""
        self._known.append(Known(prompt.segments, tuple(media_ids), tuple(cells), answer))

    def add_media(self, prompt: Prompt, media_ids: Sequence[str], cells: Sequence[kv_cells.Cell]) -> None:
        """Remember the cells of a prompt up to its last medium, with what always follows that."""
        self._known.append(Known(prompt.segments, tuple(media_ids), tuple(cells), is_open=True))

    def look_up(
        self, prompt: Prompt, media_ids: Sequence[str], cached: Sequence[kv_cells.Cell] = ()
    ) -> Beginning | None:
        """The longest known beginning of this prompt whose media are all in what is `cached`.

        For a medium that must be computed its chunk is needed, so that its part of the prompt is tokenized anyway.
        """
        found = [beginning for known in self._known if (beginning := self._match(known, prompt, tuple(media_ids)))]
        for beginning in sorted(found, key=lambda beginning: len(beginning.cells), reverse=True):
            media = [place for place, cell in enumerate(beginning.cells) if not isinstance(cell, int)]
            if not media or media[-1] < kv_cells.common_prefix(beginning.cells, cached):
                return beginning
        return None

    def _match(self, known: Known, prompt: Prompt, media_ids: tuple[str, ...]) -> Beginning | None:
        n = len(known.media_ids)
        if media_ids[:n] != known.media_ids or prompt.segments[:n] != known.segments[:n]:
            return None
        if known.is_open:
            return Beginning(known.cells, n, prompt.segments[n:])
        if known.answer is None:  # the same question again
            same = prompt.segments == known.segments
            return Beginning(known.cells, n, ((),)) if same else None
        after = _after(known.segments[n], prompt.segments[n])
        rest = _skip(after, known.answer) if after else None
        if not rest or not self._opens_apart(rest[0].text):
            return None
        return Beginning(known.cells, n, (rest, *prompt.segments[n + 1 :]))


def _after(begin: Segment, whole: Segment) -> Segment | None:
    """What follows `begin` in `whole`, cut inside a run where need be; None where it does not begin so."""
    if not begin:
        return whole
    *before, last = begin
    n = len(before)
    if len(whole) <= n or whole[:n] != tuple(before):
        return None
    run = whole[n]
    if run.special != last.special or not run.text.startswith(last.text):
        return None
    return (TextRun(run.text[len(last.text) :], run.special), *whole[n + 1 :])


def _skip(segment: Segment, answer: str) -> Segment | None:
    """What follows the answer; white space around it is the model's own and not the template's affair."""
    run, body = segment[0], answer.strip()
    text = run.text.lstrip()
    if not run.special or not body or not text.startswith(body):
        return None
    text = text[len(body) :]
    if answer[-1:].isspace():
        text = text.lstrip()
    return (TextRun(text), *segment[1:]) if text else None
