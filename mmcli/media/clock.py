"""The time stamps of a sound's frames -> where each of its samples lies on the file's own clock. Knows no decoder.

A sound may begin after the pictures do, pause in the middle, or lose a part: what comes later keeps its own time. The
samples stay one array. A short pause is silence in it; what is longer, and a clock that runs a little faster or slower
than the samples do, is written down as an anchor: from this sample on, this is the time.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

JUMP = 0.1  # seconds between two frames that are a pause; less is rounding, or a lost packet
DRIFT = 0.1  # seconds by which stamps and samples may disagree before an anchor says so
BACK = 1.0  # seconds: a stamp that is so much earlier belongs to another clock, as where two recordings were joined
LOST = 0.004  # seconds between two frames that are no rounding where stamps are exact: a packet is missing
MOST_SILENCE = 10.0  # seconds of a pause that become silence
MOST_IN_ALL = 600.0  # seconds of silence for all pauses of a sound: stamps may be damaged all over
MOST_GAPS = 100  # that are remembered one by one


@dataclass(frozen=True)
class Gap:
    """A part of the file's time that holds no sound, in seconds."""

    start: float
    seconds: float


@dataclass
class Clock:
    """Told of each frame in turn; says how much silence goes before it."""

    sample_rate: int  # Hz, of the samples that anchors count
    zero: float = 0.0  # the stamp that is 0 on the file's own clock
    longest_jump: float = float("inf")  # seconds: a longer one is another clock
    anchors: list[tuple[int, float]] = field(default_factory=list)  # (sample, seconds), both ascending
    gaps: list[Gap] = field(default_factory=list)  # the longest of them
    lost: float = 0.0  # seconds between frames in all, short ones too
    heard: float = 0.0  # seconds of all frames
    _base: float = 0.0  # seconds to add to a stamp, after another clock began
    _stamped: float = 0.0  # where the frame before ended by its stamp
    _counted: float = 0.0  # where it ended by its samples, from the last anchor on
    _n_samples: float = 0.0
    _silence: float = 0.0  # seconds put between frames so far

    @property
    def start(self) -> float:
        return self.anchors[0][1] if self.anchors else 0.0

    @property
    def end(self) -> float:
        return self._stamped

    @property
    def n_samples(self) -> float:
        """Samples up to the end of the last frame, silence included."""
        return self._n_samples

    def frame(self, stamp: float | None, seconds: float) -> float:
        """The next frame begins at `stamp` (None: right behind the one before); the seconds of silence before it."""
        at = self._placed(stamp)
        if not self.anchors:
            self.anchors.append((0, at))
            self._counted = at
        jump = at - self._stamped if self._n_samples else 0.0
        if jump > LOST:
            self.lost += jump
            self._remember(Gap(self._stamped, jump))
        drift = at - self._counted
        silence = min(drift, MOST_SILENCE, MOST_IN_ALL - self._silence) if jump > JUMP and drift > 0 else 0.0
        self._silence += silence
        self._add(silence)
        if abs(at - self._counted) > DRIFT:
            self.anchors.append((round(self._n_samples), at))
            self._counted = at
        self._add(seconds)
        self.heard += seconds
        self._stamped = at + seconds
        return silence

    def _placed(self, stamp: float | None) -> float:
        """A stamp on the file's clock, in whichever clock it was written."""
        if stamp is None:
            return self._stamped
        at = round(stamp - self.zero + self._base, 5) + 0.0  # what a container rounds, and no -0.0
        jump = at - self._stamped
        if self._n_samples and (jump < -BACK or jump > self.longest_jump):
            self._base -= jump
            return self._stamped
        return at

    def _remember(self, gap: Gap) -> None:
        self.gaps.append(gap)
        if len(self.gaps) > 2 * MOST_GAPS:  # a stream that loses packets all the time
            self.gaps = sorted(sorted(self.gaps, key=lambda gap: gap.seconds)[-MOST_GAPS:], key=lambda gap: gap.start)

    def _add(self, seconds: float) -> None:
        self._counted += seconds
        self._n_samples += seconds * self.sample_rate


def time_of(anchors: Sequence[tuple[int, float]], sample: float, sample_rate: int) -> float:
    """Seconds on the file's own clock at which a sample lies."""
    if not anchors:
        return sample / sample_rate
    at = max(0, bisect.bisect_right(anchors, sample, key=lambda anchor: anchor[0]) - 1)
    first, seconds = anchors[at]
    return seconds + (sample - first) / sample_rate


def shifted(anchors: Sequence[tuple[int, float]], first: int, sample_rate: int) -> list[tuple[int, float]]:
    """The anchors of what is left where the samples before `first` are cut off."""
    return [
        (0, time_of(anchors, first, sample_rate)),
        *((sample - first, seconds) for sample, seconds in anchors if sample > first),
    ]


def sample_at(anchors: Sequence[tuple[int, float]], seconds: float, n_samples: int, sample_rate: int) -> int:
    """The first of `n_samples` that lies at or after a time, to the nearest one; `n_samples` where all lie before."""
    nearest = seconds - 0.5 / sample_rate
    return bisect.bisect_left(range(n_samples), nearest, key=lambda sample: time_of(anchors, sample, sample_rate))


def in_words(seconds: float) -> str:
    """`0:43`, `1:02:03`: a time in a sentence."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
