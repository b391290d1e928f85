"""The extraction task: values of a shape from each picture, and the key under which they are cached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mmcli import media, schema
from mmcli.engine import Answer, Message, Sampling
from mmcli.errors import OutputError
from mmcli.extraction import confidence
from mmcli.extraction.answer_schema import AnswerSchema
from mmcli.extraction.confidence import Confidence
from mmcli.jobs import examples, keys, pictures
from mmcli.jobs.examples import Example
from mmcli.jobs.task import Asked, Kept, Picture, parts_of

QUESTION = "Read the values from this picture."


@dataclass(frozen=True)
class Extracted:
    """The values that a model read, and the answer that they were read in."""

    value: Any
    answer: Answer

    @cached_property
    def confidence(self) -> Mapping[str, Confidence]:
        """Of each field, where the task asked for it."""
        return confidence.of(self.answer)

    def doubt(self, least: float) -> str | None:
        """A sentence about the least sure of the values that are less likely than that; None where there is none."""
        unsure = min(self.confidence.items(), key=lambda item: item[1].p, default=None)
        if unsure is None or unsure[1].p >= least:
            return None
        return f"the model is unsure: `{unsure[0]}` has a probability of {unsure[1].p:.3f}"

    @property
    def record(self) -> dict[str, Any]:
        """Receipts, usage and the rest as JSON; the answer itself is the value."""
        told = schema.answer_json(self.answer)
        del told["answer"]
        fields = {name: one.record for name, one in self.confidence.items()}
        return told | ({"fields": fields} if fields else {})


@dataclass(frozen=True)
class ExtractTask:
    """What to do with each picture; fields in the order people ask for them."""

    shape: AnswerSchema
    sampling: Sampling  # with the schema in it
    question: str = QUESTION
    system: str | None = None
    max_megapixels: float = 100.0
    pages: media.PagesWanted = media.PagesWanted()
    setup: str = ""  # all else that could change an answer: weights, projector, detail …
    parallel: int | None = None  # answers at once; None: what the engine finds best
    retry_cut: bool = False
    examples: tuple[Example, ...] = ()

    @property
    def key(self) -> str:
        """Everything but the picture that could change an answer, in one word."""
        return keys.whole(self._words, self.sampling)

    @property
    def base(self) -> str:
        """The same without the limit, which changes only those answers that it cuts."""
        return keys.base(self._words, self.sampling)

    @property
    def _words(self) -> list[object]:
        words: list[object] = ["extract", self.setup, self.system, self.question]
        return [*words, examples.words(self.examples)] if self.examples else words

    def ask(self, data: bytes) -> tuple[str, Mapping[str, str]]:
        return self.shape.words(self.question), {}

    def load(self, source: media.Source, data: bytes) -> Picture | Kept:
        return pictures.load(source, data, max_megapixels=self.max_megapixels, pages=self.pages)

    def messages(self, picture: Picture, text: str) -> Sequence[Message]:
        messages = [*examples.turns(self.examples, text), Message("user", (*parts_of(picture), text))]
        return [Message("system", (self.system,)), *messages] if self.system else messages

    def result(self, asked: Asked, answer: Answer) -> Extracted:
        """The values; OutputError where the answer is not whole, or not of the shape."""
        shown = asked.named.source.shown
        if answer.finish_reason == "loop":
            raise OutputError(f"{shown}: the model kept repeating itself", hint="bound its texts: `name str ..40`")
        try:
            return Extracted(self.shape.read(answer.text), answer)
        except OutputError as error:
            raise OutputError(f"{shown}: {error.message}", hint=error.hint) from error
