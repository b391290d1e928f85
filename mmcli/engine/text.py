"""Bytes of tokens → pieces a person can read: whole characters, no stop strings, reasoning apart, loops seen.

Knows no models and no tokens' meaning.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from mmcli.engine.messages import PieceKind

# How models open and close their reasoning (read in llama.cpp's common/chat.cpp and the models' own templates).
REASONING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel>thought", "<channel|>"),
)
REASONING_MARKS = tuple(mark for pair in REASONING for mark in pair)


def held_back(text: str, marks: Sequence[str]) -> int:
    """How many characters at the end of `text` could be the beginning of one of `marks`."""
    longest = max((len(mark) for mark in marks), default=0) - 1
    for size in range(min(longest, len(text)), 0, -1):
        tail = text[-size:]
        if any(mark.startswith(tail) for mark in marks):
            return size
    return 0


class Reader:
    """Feed the bytes of each token; get what may be shown. `stopped` is set when a stop string came."""

    def __init__(self, stop: Sequence[str] = (), *, open_reasoning: str = "") -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = tuple(mark for mark in stop if mark)
        self._close = open_reasoning  # the mark that ends the reasoning we are in; "" outside of it
        self._begun = bool(open_reasoning)  # whether anything but white space was read
        self._trim = True  # drop white space before the first words of the answer
        self._pending = ""
        self.stopped = False

    @property
    def reasoning(self) -> bool:
        """Whether what comes next belongs to the reasoning."""
        return bool(self._close)

    def feed(self, data: bytes, *, final: bool = False) -> list[tuple[PieceKind, str]]:
        """What became certain, in order; with `final`, everything that was held back too."""
        self._pending += self._decoder.decode(data, final)
        out: list[tuple[PieceKind, str]] = []
        while not self.stopped and self._step(out, final):
            pass
        return out

    def _step(self, out: list[tuple[PieceKind, str]], final: bool) -> bool:
        """Handle the next mark in what is pending; False when only more input can help."""
        if not self._begun and not self._close:
            return self._look_for_opening(final)
        if self._close:
            before, found, after = self._pending.partition(self._close)
            if found:
                self._emit(out, "reasoning", before)
                self._pending, self._close, self._trim = after, "", True
                return True
            self._release(out, "reasoning", (self._close,), final)
            return False
        cut = min((at for mark in self._stop if (at := self._pending.find(mark)) >= 0), default=-1)
        if cut >= 0:
            self._emit(out, "answer", self._pending[:cut])
            self._pending, self.stopped = "", True
            return False
        self._release(out, "answer", self._stop, final)
        return False

    def _look_for_opening(self, final: bool) -> bool:
        """At the very start: does the answer open with reasoning?"""
        text = self._pending.lstrip()
        for opening, closing in REASONING:
            if text.startswith(opening):
                self._pending, self._close, self._begun = text[len(opening) :], closing, True
                return True
        if final or (text and not any(opening.startswith(text) for opening, _ in REASONING)):
            self._begun = True
            return True
        return False

    def _release(self, out: list[tuple[PieceKind, str]], kind: PieceKind, marks: Sequence[str], final: bool) -> None:
        keep = 0 if final else held_back(self._pending, marks)
        ready, self._pending = (
            self._pending[: len(self._pending) - keep],
            self._pending[len(self._pending) - keep :],
        )
        self._emit(out, kind, ready)

    def _emit(self, out: list[tuple[PieceKind, str]], kind: PieceKind, text: str) -> None:
        if kind == "answer" and self._trim:
            text = text.lstrip()
            self._trim = not text
        if text:
            out.append((kind, text))


class LoopGuard:
    """Sees when the last tokens only repeat themselves.

    A repetition counts when one pattern of p tokens (p ≤ 128) has filled the last max(128, 4 p) tokens without a
    break: a table's rule, a long row of zeros or a JSON list with changing values stays below that.
    """

    SHORTEST, LONGEST, REPEATS = 128, 128, 4

    def __init__(self) -> None:
        self._tokens: list[int] = []

    def looping(self, token: int) -> bool:
        tokens = self._tokens
        tokens.append(token)
        n = len(tokens)
        if n < self.SHORTEST or n % 8:  # looking every eighth token is enough
            return False
        for period in range(1, self.LONGEST + 1):
            span = max(self.SHORTEST, self.REPEATS * period)
            if n < span:
                break
            if tokens[-1] == tokens[-1 - period] and tokens[-span + period :] == tokens[-span:-period]:
                return True
        return False
