"""What is done to each of many inputs: a Task says what, a Worker does it, and an Outcome is what became of one input.

A Task is data: it can be pickled and sent to another process. A Worker is a task at work in this process, with its
model and its cache. The Runner (runner.py) knows only Workers, so that a task may ask an engine (engine_worker.py),
listen to sounds (transcribe.py), or compute in any other way.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeAlias, TypeVar

from mmcli import media
from mmcli.engine import Answer, Message, Part, Sampling
from mmcli.errors import MmcliError
from mmcli.jobs.examples import Example
from mmcli.jobs.inputs import Named

ResultT = TypeVar("ResultT")
ResultT_co = TypeVar("ResultT_co", covariant=True)
ItemT = TypeVar("ItemT", bound="Prepared")
ItemT_co = TypeVar("ItemT_co", bound="Prepared", covariant=True)
SelfT = TypeVar("SelfT")


@dataclass(frozen=True)
class Kept:
    """The reason why an input is left as it is."""

    reason: str


@dataclass(frozen=True)
class Outcome(Generic[ResultT_co]):
    """What became of one input: a result, an error, or the reason why it was left as it was; in a dry run, a plan."""

    index: int
    source: media.Source
    result: ResultT_co | None = None
    cached: bool = False  # computed by an earlier run, or for an equal input in this one
    plan: str | None = None  # in a dry run: the key of what would be computed
    equal: bool = False  # and that an earlier input has the same
    error: MmcliError | None = None
    kept: str | None = None


# at work


class Prepared(Protocol):
    """An input that was read and waits to be computed."""

    @property
    def named(self) -> Named: ...

    @property
    def key(self) -> str | None:
        """Inputs with equal keys are computed once; None: this one is computed whatever the others are."""
        ...

    def released(self: SelfT) -> SelfT:
        """The same without what takes memory, for as long as it waits for the result of an equal one."""
        ...


@dataclass(frozen=True)
class CacheHit(Generic[ResultT_co]):
    """A result that was known by the input's bytes alone."""

    result: ResultT_co | Kept


@dataclass(frozen=True)
class Done(Generic[ItemT_co, ResultT_co]):
    """An item that was computed: its result or its error; neither where that was interrupted."""

    item: ItemT_co
    result: ResultT_co | Kept | None = None
    error: MmcliError | None = None
    seconds: float = 0.0  # of computing, by the clock


@dataclass(frozen=True)
class ReadAhead:
    """How far reading may run ahead of computing, and computing ahead of what was handed out: this bounds memory."""

    readers: int = 3  # threads that read and decode
    ready: int = 2  # decoded inputs that wait to be computed: a photo takes 36 MB
    window: int = 256  # inputs between being read and being handed out
    in_turn: bool = False  # nothing is computed before all that comes earlier was handed out


class Items(Protocol[ItemT_co]):
    """What a Worker computes, as it becomes ready; may be taken from in another thread."""

    def __iter__(self) -> Iterator[ItemT_co]:
        """Waits for the next item; ends after the last, and when the run is stopped."""
        ...

    @property
    def expected(self) -> int | None:
        """How many there will be at most, where that is known by now."""
        ...

    @property
    def stopped(self) -> bool: ...


class Worker(Protocol[ItemT, ResultT_co]):
    """A task at work: reads in several threads, computes in one. Errors that concern one input are MmcliErrors."""

    @property
    def read_ahead(self) -> ReadAhead: ...

    @property
    def seconds_before(self) -> float | None:
        """What an input took in earlier runs; None where nobody knows."""
        ...

    def fetch(self, source: media.Source, stop: threading.Event) -> bytes:
        """An input's bytes."""
        ...

    def open(self, named: Named, data: bytes, stop: threading.Event) -> ItemT | CacheHit[ResultT_co]:
        """An input, decoded; or its result, where the bytes are enough to know it."""
        ...

    def known(self, item: ItemT) -> ResultT_co | Kept | None:
        """The result, where it was computed before. Never called at the same time as itself."""
        ...

    def compute(self, items: Items[ItemT]) -> Generator[Done[ItemT, ResultT_co]]:
        """Results in any order; called for the first item, so that a model is loaded only where it is needed.

        An error raised here ends the run. From when a result is yielded on, `known` finds it.
        """
        ...

    def share(self, item: ItemT, done: ItemT, *, is_first: bool) -> ResultT_co | Kept:
        """The result for an item that equals `done`; `is_first`: it is the one that counts as computed."""
        ...

    def stop(self) -> None:
        """End `compute` soon, from any thread; what is finished is still yielded."""
        ...


class Gate(Protocol):
    """Asked before the work by whoever writes the results: a reason to leave an input as it is, or an InputError."""

    def obstacle(self, source: media.Source) -> str | None:
        """Before an input is read."""
        ...

    def objection(self, source: media.Source, data: bytes) -> str | None:
        """Once its bytes are there."""
        ...


# asking a model


Picture: TypeAlias = media.Image | media.Document  # or a film


def parts_of(picture: Picture) -> tuple[Part, ...]:
    """What a model gets of it, in order."""
    return picture.content if isinstance(picture, media.Document) else (picture,)


@dataclass(frozen=True)
class Asked:
    """An input on its way to the engine, and back."""

    named: Named
    text: str  # what is asked about it
    facts: Mapping[str, str]  # what the file says about itself, where that is part of the text
    receipt: media.Receipt
    media_id: str
    key: str
    base: str  # the key without the limit on the answer's length
    picture: Picture | None = None  # None: not decoded, or no longer needed
    answer: Answer | None = None

    def released(self) -> Asked:
        return replace(self, picture=None)


class Task(Protocol[ResultT_co]):
    """What is asked of a model about each input, and what is made of its answer. Data: holds no model, lock or file."""

    @property
    def sampling(self) -> Sampling: ...

    @property
    def parallel(self) -> int | None:
        """Answers at once; None: what the engine finds best."""
        ...

    @property
    def retry_cut(self) -> bool:
        """Whether answers that --max-tokens cut off are computed again."""
        ...

    @property
    def examples(self) -> Sequence[Example]:
        """What the model is shown before each input."""
        ...

    @property
    def key(self) -> str:
        """Everything but the input and the text asked about it that could change an answer, in one word."""
        ...

    @property
    def base(self) -> str:
        """The same without the limit, which changes only the answers that it cuts."""
        ...

    def ask(self, data: bytes) -> tuple[str, Mapping[str, str]]:
        """What is asked about an input, and the facts of its own that are in it."""
        ...

    def load(self, source: media.Source, data: bytes) -> Picture | Kept:
        """The input, decoded; or why there is nothing to ask about it."""
        ...

    def messages(self, picture: Picture, text: str) -> Sequence[Message]:
        """The request to the engine."""
        ...

    def result(self, asked: Asked, answer: Answer) -> ResultT_co | Kept:
        """What is made of an answer; OutputError where it is no good, so that it is not kept."""
        ...
