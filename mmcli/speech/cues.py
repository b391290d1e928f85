"""Segments -> cues: what stands on the screen at once, for how long, in which lines. Knows no file formats.

A segment of Whisper's may last 30 seconds. It is cut where a reader would: between sentences, else between clauses or
in pauses, never inside a word; `Cutter` holds the last cue back until it is known how long it may stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from mmcli.speech.atoms import Atom, atoms, columns, is_right_to_left, joined
from mmcli.speech.transcript import Segment

MOST_SECONDS = 7.0  # that a cue stays
PAUSE = 1.0  # seconds of silence that no cue spans
BREATH = 0.3  # seconds of silence at which a cue may well end
BRIEF = 0.7  # seconds: a shorter cue can hardly be read, so it stays on if silence follows
COMFORTABLE = 17.0  # characters a second that are read without haste
SHORTEST = 0.02  # seconds of a cue, where there is room
SENTENCE_ENDS, CLAUSE_ENDS = frozenset(".!?…。！？｡؟۔।॥"), frozenset(",;:–—、，；：،؛")
BREAK_COSTS = {"sentence": 0.0, "clause": 0.1, "": 0.4}  # of a line's end
CLOSING = "\"'”’»›)]}」』】）"


@dataclass(frozen=True)
class Layout:
    """How much text a cue holds; the defaults are those of television."""

    width: int = 42  # columns of a line; East Asian characters take two
    lines: int = 2
    words: int | None = None  # of a line, at most
    highlight: bool = False  # the word that is being said


@dataclass(frozen=True)
class Cue:
    """What is shown from `start` to `end` (seconds): lines of words, each with the time it is said at."""

    start: float
    end: float
    lines: tuple[tuple[Atom, ...], ...]
    right_to_left: bool = False

    @property
    def words(self) -> tuple[Atom, ...]:
        return tuple(atom for line in self.lines for atom in line)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(joined(line) for line in self.lines)

    @property
    def speed(self) -> float:
        """Characters a second that have to be read."""
        return sum(map(len, self.texts)) / max(self.end - self.start, SHORTEST)


class Cutter:
    """Cuts the segments of one sound, given in order. Cues never overlap and none lies outside of the sound."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._end = 0.0  # seconds: of what came out last, or is held back
        self._held: Cue | None = None
        self.n_cues = 0
        self.fastest: Cue | None = None

    def cut(self, segment: Segment) -> Iterator[Cue]:
        """The cues that are certain now."""
        begin = max(segment.start, self._end)
        found = atoms(segment, self._layout.width)
        is_backwards = is_right_to_left(segment.text)
        cues = [replace(_cue(part, self._layout), right_to_left=is_backwards) for part in _parts(found, self._layout)]
        for cue in _spread(cues, begin, max(segment.end, begin)):
            if self._held is not None:
                yield self._out(self._held, cue.start)
            self._held, self._end = cue, cue.end

    def end(self, seconds: float | None) -> Iterator[Cue]:
        """The last one; `seconds`: where the sound ends."""
        if self._held is not None:
            held, self._held = self._held, None
            yield self._out(held, held.end if seconds is None else max(seconds, held.end))

    def _out(self, cue: Cue, until: float) -> Cue:
        """The cue, no shorter than can be read unless another one follows."""
        end = min(cue.start + BRIEF, until)
        cue = replace(cue, end=_exact(max(cue.end, end)))
        self.n_cues += 1
        if self.fastest is None or cue.speed > self.fastest.speed:
            self.fastest = cue
        return cue


def _parts(found: Sequence[Atom], layout: Layout) -> list[Sequence[Atom]]:
    """The words of a segment, cut into cues at the least cost."""
    n = len(found)
    costs, cuts = [0.0] + [float("inf")] * n, [0] * (n + 1)
    for first in range(n):
        for behind in _ends(found, first, layout):
            cost = costs[first] + _cost(found, first, behind, layout)
            if cost < costs[behind]:
                costs[behind], cuts[behind] = cost, first
    parts: list[Sequence[Atom]] = []
    while n:
        parts.insert(0, found[cuts[n] : n])
        n = cuts[n]
    return parts


def _ends(found: Sequence[Atom], first: int, layout: Layout) -> Iterator[int]:
    """Where a cue that begins with the word `first` may end; always behind that word at least."""
    n_lines, n_words, used = 1, 0, 0
    for i in range(first, len(found)):
        atom = found[i]
        if i > first:
            is_long = max(atom.end, found[i - 1].end) - found[first].start > MOST_SECONDS
            if is_long or atom.start - found[i - 1].end >= PAUSE:
                return
        width = columns(atom.text) + (1 if atom.is_spaced and n_words else 0)
        if n_words and (used + width > layout.width or n_words == layout.words):
            n_lines, n_words, used, width = n_lines + 1, 0, 0, columns(atom.text)
            if n_lines > layout.lines:
                return
        n_words, used = n_words + 1, used + width
        yield i + 1


def _cost(found: Sequence[Atom], first: int, behind: int, layout: Layout) -> float:
    """Of one cue: few, whole sentences, neither flashing by nor too fast to read."""
    part = found[first:behind]
    seconds, n_characters = max(part[-1].end - part[0].start, SHORTEST), len(joined(part))
    pause = found[behind].start - part[-1].end if behind < len(found) else PAUSE
    ends, is_last = [_ends_with(atom) for atom in part], behind == len(found)
    cost = 10.0
    if ends[-1] == "clause":
        cost += 3
    elif ends[-1] == "" and not is_last:
        cost += 4 if pause >= BREATH else 9
    cost += ends[:-1].count("sentence") * (2 if is_last or ends[-1] == "sentence" else 11)
    cost += 8 * max(0.0, 1 - seconds / BRIEF) + 6 * max(0.0, 1 - n_characters / (layout.width / 2))
    return cost + max(0.0, n_characters / seconds - COMFORTABLE) / 4


def _cue(part: Sequence[Atom], layout: Layout) -> Cue:
    start, end = part[0].start, max(atom.end for atom in part)
    if end - start > MOST_SECONDS:  # one word, which Whisper stretched over the silence beside it
        end = start + MOST_SECONDS
    return Cue(start, end, tuple(tuple(line) for line in _lines(part, layout)))


def _lines(part: Sequence[Atom], layout: Layout) -> list[Sequence[Atom]]:
    """As few lines as can be, of about equal lengths, broken at commas rather than inside phrases."""
    n, most = len(part), layout.lines
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]  # by number of lines: end -> (cost, start of the last)
    while n not in best[-1]:
        assert len(best) <= most, "a part fits a cue"
        found: dict[int, tuple[float, int]] = {}
        for start, (cost, _) in best[-1].items():
            for end in range(start + 1, n + 1):
                line = part[start:end]
                width = columns(joined(line))
                if end > start + 1 and (width > layout.width or (layout.words and len(line) > layout.words)):
                    break
                total = cost + (width / layout.width) ** 2 + (0 if end == n else BREAK_COSTS[_ends_with(line[-1])])
                if end not in found or total < found[end][0]:
                    found[end] = (total, start)
        best.append(found)
    lines: list[Sequence[Atom]] = []
    for ends in reversed(best[1:]):
        start = ends[n][1]
        lines.insert(0, part[start:n])
        n = start
    return lines


def _ends_with(atom: Atom) -> str:
    """What ends with a word: `sentence`, `clause`, or nothing."""
    end = atom.text.rstrip(CLOSING)[-1:]
    return "sentence" if end in SENTENCE_ENDS else "clause" if end in CLAUSE_ENDS else ""


def _spread(cues: Sequence[Cue], begin: float, end: float) -> Iterator[Cue]:
    """The cues of a segment between its times, in order, each of some length, with their words inside them."""
    shortest = min(SHORTEST, (end - begin) / max(len(cues), 1))
    starts = [min(max(cue.start, begin), end) for cue in cues]
    for i in range(1, len(cues)):
        starts[i] = max(starts[i], starts[i - 1] + shortest)
    for i in reversed(range(len(cues))):
        starts[i] = min(starts[i], end - (len(cues) - i) * shortest)
    for (start, until), cue in zip(pairwise([*starts, end]), cues, strict=True):
        stop = min(max(cue.end, start + shortest), start + MOST_SECONDS, until)
        yield _within(cue, _exact(start), _exact(stop))


def _within(cue: Cue, start: float, end: float) -> Cue:
    def inside(atom: Atom) -> Atom:
        return replace(atom, start=min(max(atom.start, start), end), end=min(max(atom.end, start), end))

    return replace(cue, start=start, end=end, lines=tuple(tuple(map(inside, line)) for line in cue.lines))


def _exact(seconds: float) -> float:
    """To the millisecond, as formats round."""
    return round(1000 * seconds) / 1000
