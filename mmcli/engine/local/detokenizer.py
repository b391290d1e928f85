"""Bytes of tokens → pieces a user can read: whole characters, no stop strings, reasoning apart, loops seen.

Knows no models and no tokens' meaning; the marks of reasoning are data in thinking.py.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from mmcli.engine.local.thinking import FAMILIES, Family, Opened, match
from mmcli.engine.messages import PieceKind


class Detokenizer:
    """Feed the bytes of each token; get what may be shown.

    An answer begins at the *start*, goes through *reasoning* and what stands *between*, and ends as the *answer*;
    where none of a family's marks comes, all of it is the answer. A mark may be plain text or control tokens. Control
    tokens are never shown; the reasoning of plain text is only looked for where an answer begins.
    """

    def __init__(self, stop: Sequence[str] = (), *, open_reasoning: str = "", opened: Opened | None = None) -> None:
        """`opened`: what the prompt has begun; `open_reasoning`: the same, given by the mark that ends it."""
        if open_reasoning:
            known = (family for family in FAMILIES if open_reasoning in family.closing)
            opened = Opened(next(known, Family((), (open_reasoning,))), True)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stop = tuple(mark for mark in stop if mark)
        self._state = "start" if opened is None else "reasoning" if opened.is_reasoning else "answer"
        self._family = opened.family if opened is not None else None
        # Whether the mark that ends the answer may be plain text, as the one was that began it.
        self._has_end = opened is not None and not opened.is_reasoning
        self._trim = True  # drop white space before the first words of the answer
        self._pending = ""  # read, but not certain yet
        self._control = ""  # of each character of it: "c" where it is of a control token, else " "
        self.stopped_by = ""  # the stop string that came

    @property
    def stopped(self) -> bool:
        """Whether a stop string came."""
        return bool(self.stopped_by)

    @property
    def reasoning(self) -> bool:
        """Whether what comes next belongs to the reasoning."""
        return self._state == "reasoning"

    def may_be_mark(self, data: bytes, *, control: bool) -> bool:
        """Whether these bytes, coming next, may be a mark of reasoning or answer, or a part or the end of one."""
        if self._state not in ("start", "between"):
            return False
        text = (self._pending + data.decode("utf-8", "replace")).lstrip()
        if not text:
            return not control and self._state == "between"  # white space between two marks
        families = FAMILIES if self._family is None else (self._family,)
        return any(
            match(text, mark) for family in families for mark in (*family.opening, *family.answer, *family.between)
        )

    def feed(self, data: bytes, *, control: bool = False, final: bool = False) -> list[tuple[PieceKind, str]]:
        """What became certain, in order; with `final`, everything that was held back too.

        `control`: the bytes are the text of a control token.
        """
        text = self._decoder.decode(data, final)
        self._pending += text
        self._control += ("c" if control else " ") * len(text)
        out: list[tuple[PieceKind, str]] = []
        while not self.stopped and self._step(out, final):
            pass
        return out

    def cut(self) -> int:
        """The answer was ended from outside: drop half a character at its end; how many bytes it has."""
        pending: bytes = self._decoder.getstate()[0]
        self._decoder.reset()
        return len(pending)

    def _step(self, out: list[tuple[PieceKind, str]], final: bool) -> bool:
        """Handle the next mark in what is pending; False when only more input can help."""
        if self._state in ("start", "between"):
            return self._begin(final)
        if self._state == "reasoning":
            return self._reason(out, final)
        return self._say(out, final)

    def _begin(self, final: bool) -> bool:
        """At the start, or between two parts: which part comes?"""
        space = len(self._pending) - len(self._pending.lstrip())
        text = self._pending[space:]
        may_be_one = not text
        for family in FAMILIES if self._family is None else (self._family,):
            parts = (("reasoning", family.opening), ("answer", family.answer), ("between", family.between))
            for state, mark in ((state, mark) for state, marks in parts for mark in marks):
                n = match(text, mark) if text else 0
                may_be_one = may_be_one or n < 0
                # Without reasoning before it, text that looks like the mark of an answer is the answer.
                is_one = self._state == "between" or state == "reasoning" or "c" in self._control[space : space + n]
                if n > 0 and is_one:
                    self._has_end = state == "answer" and "c" not in self._control[space : space + n]
                    self._drop(space + n)
                    self._family, self._state, self._trim = family, state, True
                    return True
        if may_be_one and not final:
            return False
        if may_be_one and "c" in self._control:  # the answer was cut off inside of a mark
            self._drop(len(self._pending))
        self._state = "answer"
        return True

    def _reason(self, out: list[tuple[PieceKind, str]], final: bool) -> bool:
        assert self._family is not None
        at, mark = self._find(self._family.closing, self._family.answer, final)
        self._release(out, "reasoning", at)
        if mark in self._family.closing:
            self._drop(match(self._pending, mark))
        if mark:
            self._state, self._trim = "between", True
        return bool(mark)

    def _say(self, out: list[tuple[PieceKind, str]], final: bool) -> bool:
        """In the answer: until a stop string, its own end, or a control token that begins another part."""
        ends = self._family.end if self._family is not None else ()
        openings = {mark: family for family in FAMILIES for mark in family.opening}
        at, mark = self._find((*self._stop, *(ends if self._has_end else ())), (*ends, *openings), final)
        self._release(out, "answer", at)
        if mark in self._stop:
            self._drop(len(self._pending))
            self.stopped_by = mark
        elif mark in ends:
            self._drop(len(mark))
            self._state = "between"
        elif mark:
            self._family, self._state = openings[mark], "between"
        return bool(mark) and not self.stopped

    def _find(self, marks: Sequence[str], controls: Sequence[str], final: bool) -> tuple[int, str]:
        """Where the first of `marks` stands, and which; or how much of what is pending can be none of them, and "".

        Those of `controls` count only where a control token begins them.
        """
        firsts = {mark[0] for mark in marks}
        for at, letter in enumerate(self._pending):
            is_control = self._control[at] == "c"
            if letter not in firsts and not is_control:
                continue
            found = [(match(self._pending[at:], mark), mark) for mark in (*marks, *(controls if is_control else ()))]
            if sure := next((mark for n, mark in found if n > 0), ""):
                return at, sure
            if not final and any(n < 0 for n, _ in found):
                return at, ""
        return len(self._pending), ""

    def _drop(self, n: int) -> None:
        self._pending, self._control = self._pending[n:], self._control[n:]

    def _release(self, out: list[tuple[PieceKind, str]], kind: PieceKind, n: int) -> None:
        """Emit the first `n` characters of what is pending, without control tokens."""
        text = self._pending[:n]
        if "c" in (control := self._control[:n]):
            text = "".join(letter for letter, flag in zip(text, control, strict=True) if flag != "c")
        self._drop(n)
        if kind == "answer" and self._trim:
            text = text.lstrip()
            self._trim = not text
        if text:
            out.append((kind, text))


class LoopGuard:
    """Sees when the last tokens only repeat themselves.

    A repetition counts when one pattern of p tokens (p ≤ 128) has filled the last max(128, 4 p) tokens without a
    break: a table's rule, a long row of zeros or a JSON list with changing values stays below that. A small model that
    has lost the thread also wanders between a few phrases, `am only a I am only a am only a`: there, the last 128
    tokens hold at most 24 runs of eight tokens. Prose has more than a hundred of them, a list of equal records fifty.
    Rows of digits may be as uniform as that (a matrix of zeros and ones), so this counts among words alone.
    """

    SHORTEST, LONGEST, REPEATS = 128, 128, 4
    RUN, FEWEST_RUNS = 8, 24

    def __init__(self) -> None:
        self._tokens: list[int] = []
        self._are_words: list[bool] = []
        self._is_json = self._is_inside = self._is_escaped = False

    def follow_json(self, text: str) -> None:
        """The text of a token of a JSON answer: there, only what stands inside of one string can loop.

        Lists of equal records are none.
        """
        self._is_json = True
        for letter in text:
            if self._is_escaped:
                self._is_escaped = False
            elif letter == "\\":
                self._is_escaped = self._is_inside
            elif letter == '"':
                self._is_inside = not self._is_inside
                self._tokens.clear()
                self._are_words.clear()

    def looping(self, token: int, is_word: bool = True) -> bool:
        """Whether the answer loops with this token; `is_word`: there are letters in it."""
        if self._is_json and not self._is_inside:
            return False
        tokens = self._tokens
        tokens.append(token)
        self._are_words.append(is_word)
        n = len(tokens)
        if n < self.SHORTEST or n % 8:  # looking every eighth token is enough
            return False
        return self._repeats() or self._wanders()

    def _repeats(self) -> bool:
        tokens, n = self._tokens, len(self._tokens)
        for period in range(1, self.LONGEST + 1):
            span = max(self.SHORTEST, self.REPEATS * period)
            if n < span:
                break
            if tokens[-1] == tokens[-1 - period] and tokens[-span + period :] == tokens[-span:-period]:
                return True
        return False

    def _wanders(self) -> bool:
        last, size = self._tokens[-self.SHORTEST :], self.RUN
        if 2 * sum(self._are_words[-self.SHORTEST :]) < self.SHORTEST:
            return False
        return len({tuple(last[i : i + size]) for i in range(len(last) - size + 1)}) <= self.FEWEST_RUNS
