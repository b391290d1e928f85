"""The classification task: how likely a model's answer to a question is to be each of some labels.

The probabilities are the model's own, read from its logits. What it says of a label without seeing anything (a common
word, a short one) is divided out: contextual calibration (Zhao et al. 2021, arXiv 2102.09690).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from mmcli import media
from mmcli.engine import Answer, Message, Piece, Sampling
from mmcli.errors import MmcliError, ModelError, OutputError, UsageError
from mmcli.jobs import examples, pictures
from mmcli.jobs.engine_worker import EngineWorker
from mmcli.jobs.examples import Example
from mmcli.jobs.task import Asked, Done, Items, Kept, Picture, parts_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mmcli.engine import Engine, Scores
    from mmcli.engine.protocol import BatchEngine
    from mmcli.jobs.result_cache import Results

UNKNOWN = "?"
LEAST_MASS = 0.05  # of all labels together: below, the model would have answered something else
MOST_LABELS = 1000
FITS = "Does this fit the picture: {}? Answer yes or no."
YES, NO = "yes", "no"


@dataclass(frozen=True)
class Classified:
    """How likely each label is, most likely first."""

    ranked: tuple[tuple[str, float], ...]  # probabilities; of several labels that may be true at once, each its own
    mass: float  # the probability that the model answers with one of the labels at all
    answer: Answer  # holds receipts and usage

    def label(self, abstain: float | None) -> str:
        """The most likely label; `?` where it is less likely than `abstain`, or the model meant none of them."""
        label, p = self.ranked[0]
        return UNKNOWN if abstain is not None and (p < abstain or self.mass < LEAST_MASS) else label


@dataclass(frozen=True)
class ClassifyTask:
    """What to do with each picture; fields in the order people ask for them."""

    labels: tuple[str, ...]
    question: str
    form: str = "{}"  # how the model says a label, such as "The circle is {}."
    multi: bool = False  # several labels may be true: each is asked about by itself
    system: str | None = None
    max_megapixels: float = 100.0
    pages: media.PagesWanted = media.PagesWanted()
    setup: str = ""  # all else that could change a probability: weights, projector, detail …
    parallel: int | None = None
    retry_cut: bool = False
    sampling: Sampling = Sampling(temperature=0)
    examples: tuple[Example, ...] = ()  # with labels as the form has them

    def __post_init__(self) -> None:
        """UsageError where the labels cannot be told apart, or the form has no place for one."""
        check_labels(self.labels, least=1 if self.multi else 2)
        if self.form.count("{}") != 1:
            raise UsageError("--form needs one `{}`, where the label stands", hint='for example "The circle is {}."')

    @property
    def key(self) -> str:
        """Everything but the picture that could change a probability, in one word."""
        words: list[object] = ["classify", self.setup, self.system, self.question, self.labels, self.form, self.multi]
        words += [examples.words(self.examples)] if self.examples else []
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()

    @property
    def base(self) -> str:
        """The same: no limit cuts anything."""
        return self.key

    def ask(self, data: bytes) -> tuple[str, Mapping[str, str]]:
        return self.question, {}

    def load(self, source: media.Source, data: bytes) -> Picture | Kept:
        return pictures.load(source, data, max_megapixels=self.max_megapixels, pages=self.pages)

    def messages(self, picture: Picture | None, text: str) -> Sequence[Message]:
        """`picture` None: the question without it."""
        message = Message("user", (text,) if picture is None else (*parts_of(picture), text))
        messages = [*examples.turns(self.examples, text), message]
        return [Message("system", (self.system,)), *messages] if self.system else messages

    def asked(self) -> list[tuple[str, tuple[str, ...]]]:
        """The questions that are put, each with the choices whose probabilities are read."""
        if not self.multi:
            return [(self.question, tuple(self.form.format(label) for label in self.labels))]
        return [(f"{self.question} {FITS.format(label)}".strip(), (YES, NO)) for label in self.labels]

    def result(self, asked: Asked, answer: Answer) -> Classified:
        try:
            told = json.loads(answer.text)
            seen, unseen = told["with"], told["without"]
            assert len(seen) == len(unseen) == len(self.asked())
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise OutputError(f"{asked.named.source.shown}: its probabilities cannot be read") from error
        shares = [_shares(one, other) for one, other in zip(seen, unseen, strict=True)]
        found = [share[0] for share in shares] if self.multi else shares[0]
        masses = [sum(math.exp(value) for value in one) for one in seen]
        ranked = sorted(zip(self.labels, found, strict=True), key=lambda pair: -pair[1])
        return Classified(tuple(ranked), min(1.0, min(masses)), answer)


def check_labels(labels: Sequence[str], *, least: int) -> None:
    """UsageError for too few or too many labels, empty ones, and two that are equal but for case and spaces."""
    if len(labels) < least:
        raise UsageError("there are too few labels to choose from", hint="--labels cat,dog,bird names three")
    if len(labels) > MOST_LABELS:
        raise UsageError(f"there are {len(labels)} labels, the limit is {MOST_LABELS}", hint="choose in two steps")
    seen: dict[str, str] = {}
    for label in labels:
        if not label.strip():
            raise UsageError("a label is empty", hint="--labels cat,dog,bird names three")
        same = seen.setdefault(" ".join(label.casefold().split()), label)
        if same is not label:
            raise UsageError(f"the labels `{same}` and `{label}` are the same", hint="name each once")


def _shares(seen: Sequence[float], unseen: Sequence[float]) -> list[float]:
    """Probabilities that add up to 1, of log-probabilities with the picture and without it."""
    scores = [one - other for one, other in zip(seen, unseen, strict=True)]
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    return [weight / sum(weights) for weight in weights]


class ClassifyWorker(EngineWorker[Classified]):
    """The task with an engine: nothing is generated, only read from the logits."""

    _task: ClassifyTask

    def __init__(
        self, task: ClassifyTask, results: Results, open_engine: Callable[[], AbstractContextManager[Engine]]
    ) -> None:
        super().__init__(task, results, open_engine)

    def _answers(self, engine: BatchEngine, items: Items[Asked]) -> Iterator[Done[Asked, Classified]]:
        scoring = cast("Engine", engine)  # what `open_engine` gave
        unseen: list[Sequence[float]] | None = None
        for item in items:
            since = time.monotonic()
            assert item.picture is not None
            try:
                if unseen is None:
                    unseen = [one.log_probs for one in self._scores(scoring, None)]
                scored = self._scores(scoring, item.picture)
            except KeyboardInterrupt:  # `stop` came in between
                return
            except ModelError:  # no projector, the wrong one: no other input would fare better
                raise
            except MmcliError as error:
                yield Done(item.released(), error=error.released(), seconds=time.monotonic() - since)
                continue
            answer = _as_answer(scoring, scored, unseen)
            yield self._done(item.released(), Piece("", answer=answer), time.monotonic() - since)

    def _scores(self, engine: Engine, picture: Picture | None) -> list[Scores]:
        return [engine.score(self._task.messages(picture, text), choices) for text, choices in self._task.asked()]


def _as_answer(engine: Engine, scored: Sequence[Scores], unseen: Sequence[Sequence[float]]) -> Answer:
    """What was read, in the form that results are kept in."""
    text = json.dumps({"with": [one.log_probs for one in scored], "without": [list(one) for one in unseen]})
    usage = scored[0].usage
    for other in scored[1:]:
        usage.prompt_tokens += other.usage.prompt_tokens
        usage.reused_tokens += other.usage.reused_tokens
        usage.n_encodes += other.usage.n_encodes
        for phase, seconds in other.usage.seconds.items():
            usage.add(phase, seconds)
    n_ctx = engine.n_ctx_limit
    return Answer(text, "", "stop", scored[0].seen, usage, engine.name, None, None, "", n_ctx, usage.prompt_tokens, 0)


def record(found: Classified, abstain: float | None) -> dict[str, Any]:
    """One picture's labels as JSON."""
    from mmcli import schema

    told = schema.answer_json(found.answer)
    return {
        "label": found.label(abstain),
        "p": round(found.ranked[0][1], 6),
        "mass": round(found.mass, 6),
        "labels": {label: round(p, 6) for label, p in found.ranked},
        "receipts": told["receipts"],
        "usage": told["usage"],
    }
