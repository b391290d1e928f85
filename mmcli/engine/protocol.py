"""What a caller may use of an engine: the local one, a remote one, or one that a test has written a script for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, Self

from mmcli.engine.messages import Message, OnProgress, Piece, Sampling, Scores


class BatchEngine(Protocol):
    """What a job needs of an engine: many answers, and an end to them. An engine need not be a language model."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def generate_many(
        self,
        requests: Iterable[Sequence[Message]],
        sampling: Sampling | None = None,
        *,
        parallel: int | None = None,
        expected: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Iterator[tuple[int, Piece]]:
        """See `Engine`."""
        ...

    def stop(self) -> None:
        """See `Engine`."""
        ...


class Engine(Protocol):
    """One model that answers conversations. It does one thing at a time; only `stop` may be called meanwhile."""

    def __enter__(self) -> Self:
        """Close it at the end of a `with`."""
        ...

    def __exit__(self, *exc: object) -> None: ...

    @property
    def name(self) -> str:
        """The model's name, as answers carry it."""
        ...

    @property
    def n_ctx_limit(self) -> int:
        """Tokens the context can grow to."""
        ...

    def generate(
        self,
        messages: Sequence[Message],
        sampling: Sampling | None = None,
        on_progress: OnProgress | None = None,
        *,
        least: int = 1,
    ) -> Iterator[Piece]:
        """Answer the last message; the final Piece carries the Answer with its receipts and usage.

        ContextFull where the context has no room for the messages and `least` tokens of an answer.
        """
        ...

    def generate_many(
        self,
        requests: Iterable[Sequence[Message]],
        sampling: Sampling | None = None,
        *,
        parallel: int | None = None,
        expected: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Iterator[tuple[int, Piece]]:
        """Answer many conversations at once; yield (index of the request, Piece) as they come.

        `requests` may block, and is never read further than the engine has room for. The last Piece of each request
        carries its Answer, or the `error` why there is none: that ends no other. `parallel`: answers at once (None: as
        many as suit); `expected`: how many requests will come at most, where that is known. After `stop` the answers
        that were begun end as `interrupted`, and requests that were not begun get no Piece.
        """
        ...

    def score(
        self, messages: Sequence[Message], choices: Sequence[str], on_progress: OnProgress | None = None
    ) -> Scores:
        """How likely the answer to the last message is to begin with each of `choices`; without reasoning."""
        ...

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of context that these messages take; nothing is encoded or computed."""
        ...

    def prepare(
        self,
        messages: Sequence[Message],
        sampling: Sampling | None = None,
        *,
        paused: Callable[[], bool],
        dropped: Callable[[], bool],
    ) -> None:
        """Compute what these messages' media need, ahead of the question that will end them; or do nothing.

        In any thread, while nobody else uses this engine. Ends soon when it is `paused` or `dropped`.
        """
        ...

    def warm(self) -> None:
        """Load now what the first medium will need; or do nothing. When and where `prepare` may be called."""
        ...

    def stop(self) -> None:
        """End what is running after its current step; what was said is kept. Safe in a signal handler."""
        ...

    def close(self) -> None:
        """Free what the engine holds; it cannot be used any more."""
        ...
