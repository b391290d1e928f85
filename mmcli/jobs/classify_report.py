"""How good a classification was, where the truth is known: confusions, precision, recall, calibration, mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmcli.jobs.classify import UNKNOWN

BINS = 10  # of the calibration error: Guo et al. 2017, arXiv 1706.04599
WORST = 10


@dataclass(frozen=True)
class Judged:
    """One picture: what it is, what was said, and how sure that was."""

    source: str
    truth: str
    label: str
    p: float


@dataclass(frozen=True)
class ClassifyReport:
    """What became of all pictures whose truth is known."""

    judged: Sequence[Judged]

    @property
    def labels(self) -> list[str]:
        """In the order of the truth, then those that were only said; `?` last."""
        names = dict.fromkeys([*sorted({one.truth for one in self.judged}), *(one.label for one in self.judged)])
        return [name for name in names if name != UNKNOWN] + ([UNKNOWN] if UNKNOWN in names else [])

    @property
    def answered(self) -> list[Judged]:
        return [one for one in self.judged if one.label != UNKNOWN]

    @property
    def accuracy(self) -> float:
        """Of what was answered; NaN where nothing was."""
        right = sum(one.label == one.truth for one in self.answered)
        return right / len(self.answered) if self.answered else float("nan")

    def confusion(self) -> list[list[Any]]:
        """A line for each truth: how often each label was said."""
        said = Counter((one.truth, one.label) for one in self.judged)
        truths = [name for name in self.labels if any(one.truth == name for one in self.judged)]
        return [[truth, *(said[truth, label] for label in self.labels)] for truth in truths]

    def each(self) -> list[tuple[str, float | None, float | None, int]]:
        """Of each label: precision, recall (None where there is nothing to count) and how many there are."""
        found = []
        for label in self.labels:
            if label == UNKNOWN:
                continue
            n_said = sum(one.label == label for one in self.judged)
            n_true = sum(one.truth == label for one in self.judged)
            n_right = sum(one.label == one.truth == label for one in self.judged)
            found.append((label, n_right / n_said if n_said else None, n_right / n_true if n_true else None, n_true))
        return found

    def calibration_error(self) -> float:
        """By how much the probabilities differ from how often they were right, on average: 0 is best."""
        bins: dict[int, list[Judged]] = {}
        for one in self.answered:
            bins.setdefault(min(int(one.p * BINS), BINS - 1), []).append(one)
        gaps = [
            len(some)
            * abs(sum(one.p for one in some) / len(some) - sum(one.label == one.truth for one in some) / len(some))
            for some in bins.values()
        ]
        return sum(gaps) / len(self.answered) if self.answered else float("nan")

    def worst(self) -> list[Judged]:
        """The mistakes that were made with most confidence."""
        wrong = [one for one in self.answered if one.label != one.truth]
        return sorted(wrong, key=lambda one: -one.p)[:WORST]

    def as_json(self) -> dict[str, Any]:
        return {
            "n": len(self.judged),
            "answered": len(self.answered),
            "accuracy": None if not self.answered else round(self.accuracy, 6),
            "calibration_error": None if not self.answered else round(self.calibration_error(), 6),
            "labels": {
                label: {"precision": precision, "recall": recall, "n": n} for label, precision, recall, n in self.each()
            },
            "confusion": {"labels": self.labels, "rows": self.confusion()},
            "worst": [
                {"source": one.source, "truth": one.truth, "label": one.label, "p": one.p} for one in self.worst()
            ],
        }
