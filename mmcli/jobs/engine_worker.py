"""A Task that asks an engine about each input: what is in the result cache needs no engine. Knows no styles, no files.

An answer is found by the medium's ID and everything that could change it; a file's SHA-256 leads to the medium's ID
without decoding. So a file that was moved or renamed costs neither decoding nor the engine.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Generic

from mmcli import media
from mmcli.engine import Answer, Message, Piece, Sampling, Seen
from mmcli.errors import ModelError, OutputError
from mmcli.jobs import examples
from mmcli.jobs.inputs import Named
from mmcli.jobs.result_cache import Results, is_cut, key
from mmcli.jobs.task import Asked, CacheHit, Done, Items, Kept, Picture, ReadAhead, ResultT, Task

if TYPE_CHECKING:
    from mmcli.engine.protocol import BatchEngine


class EngineWorker(Generic[ResultT]):
    """A Task with an engine, opened for the first input that needs it, and the cache of answers."""

    read_ahead = ReadAhead()  # few are decoded: the engine reads ahead itself

    def __init__(
        self,
        task: Task[ResultT],
        results: Results,
        open_engine: Callable[[], AbstractContextManager[BatchEngine]],
    ) -> None:
        self._task, self._results, self._open_engine = task, results, open_engine
        self._setup, self._base = task.key, task.base
        self.seconds_before = results.seconds(self._setup)
        self._retried: set[str] = set()  # base keys of what was cut, and has been computed again
        self._engine: BatchEngine | None = None

    # reading

    def fetch(self, source: media.Source, stop: threading.Event) -> bytes:
        return media.read(source, stop=stop)

    def open(self, named: Named, data: bytes, stop: threading.Event) -> Asked | CacheHit[ResultT]:
        text, facts = self._task.ask(data)
        sha256 = hashlib.sha256(data).hexdigest()
        before = self._results.seen_before(sha256, named.source.locator)
        if before is not None and before[1].kind != "video":  # of a film, other frames may be wanted now
            media_id, receipt = before
            examples.refuse(self._task.examples, media_id, named.source.shown)
            item = self._asked(named, text, facts, media_id, replace(receipt, source=named.source.name))
            if (answer := self._answer(item)) is not None:
                return CacheHit(self._task.result(item, answer))
        picture = self._task.load(named.source, data)
        if isinstance(picture, Kept):
            return CacheHit(picture)
        examples.refuse(self._task.examples, picture.id, named.source.shown)
        return self._asked(named, text, facts, picture.id, picture.receipt, picture)

    def _asked(
        self,
        named: Named,
        text: str,
        facts: Mapping[str, str],
        media_id: str,
        receipt: media.Receipt,
        picture: Picture | None = None,
    ) -> Asked:
        name, base = key(self._setup, text, media_id), key(self._base, text, media_id)
        return Asked(named, text, facts, receipt, media_id, name, base, picture)

    def known(self, item: Asked) -> ResultT | Kept | None:
        if (answer := self._answer(item)) is None:
            return None
        self._results.know(item.receipt, item.media_id)
        return self._task.result(item, answer)

    def _answer(self, item: Asked) -> Answer | None:
        """The answer that is there already, unless it was cut and is to be made again."""
        answer = self._results.load(item.key, item.receipt, base=item.base, max_tokens=self._task.sampling.max_tokens)
        is_retried = answer is not None and self._task.retry_cut and is_cut(answer) and item.base not in self._retried
        return None if is_retried else answer

    # computing

    def compute(self, items: Items[Asked]) -> Generator[Done[Asked, ResultT]]:
        try:
            with self._open_engine() as engine:
                self._engine = engine
                if items.stopped:
                    engine.stop()
                yield from self._answers(engine, items)
        finally:
            self._engine = None

    def stop(self) -> None:
        engine = self._engine
        if engine is not None:
            engine.stop()

    def _answers(self, engine: BatchEngine, items: Items[Asked]) -> Iterator[Done[Asked, ResultT]]:
        for item, piece, seconds in self._answered(engine, items, self._task.sampling, items.expected):
            yield self._done(item, piece, seconds)

    def _answered(
        self,
        engine: BatchEngine,
        items: Iterable[Asked],
        sampling: Sampling,
        expected: int | None,
        *,
        kept: Callable[[Asked], Asked] = Asked.released,
    ) -> Iterator[tuple[Asked, Piece, float]]:
        """The last piece of each, as they finish, and the seconds since the one before; `kept` is what waits for it."""
        asked: dict[int, Asked] = {}  # by the place in which the engine was asked; without pixels

        def requests() -> Iterator[Sequence[Message]]:
            for place, item in enumerate(items):
                assert item.picture is not None
                asked[place] = kept(item)
                yield self._task.messages(item.picture, item.text)

        since = time.monotonic()
        answers = engine.generate_many(
            requests(),
            sampling,
            parallel=self._task.parallel,
            expected=expected,  # one picture needs no sixteen places
        )
        for index, piece in answers:
            if piece.error is None and piece.answer is None:
                continue
            if isinstance(piece.error, ModelError):  # no projector, the wrong one: no other input would fare better
                raise piece.error
            now = time.monotonic()
            since, seconds = now, now - since
            yield asked.pop(index), piece, seconds

    def _done(self, item: Asked, piece: Piece, seconds: float) -> Done[Asked, ResultT]:
        answer = piece.answer
        if answer is None or piece.error is not None:
            return Done(item, error=piece.error, seconds=seconds)
        if answer.finish_reason == "interrupted":
            return Done(item, seconds=seconds)
        if shown_before := len(self._task.examples):
            answer = replace(answer, seen=answer.seen[shown_before:])
        if item.receipt.kind == "video":
            answer = _of_whole(item, answer)
        try:
            result = self._task.result(item, answer)
        except OutputError as error:
            return Done(item, error=error, seconds=seconds)
        self._keep(item, answer, seconds)
        return Done(replace(item, answer=answer), result, seconds=seconds)

    def _keep(self, item: Asked, answer: Answer, seconds: float) -> None:
        if retried := self._task.retry_cut:
            self._retried.add(item.base)
        limit = self._task.sampling.max_tokens
        self._results.save(item.key, self._setup, answer, seconds, base=item.base, max_tokens=limit, for_cut=retried)

    def share(self, item: Asked, done: Asked, *, is_first: bool) -> ResultT | Kept:
        assert done.answer is not None
        self._results.know(item.receipt, item.media_id)
        seen = tuple(
            replace(seen, receipt=item.receipt, origin=seen.origin if is_first else "memory")
            for seen in done.answer.seen
        )
        return self._task.result(item, replace(done.answer, seen=seen))


def _of_whole(item: Asked, answer: Answer) -> Answer:
    """The answer with one receipt for all moments of the film that it is about."""
    n_tokens, n_pos = sum(seen.n_tokens for seen in answer.seen), sum(seen.n_pos for seen in answer.seen)
    return replace(answer, seen=(Seen(item.receipt, item.media_id, n_tokens, n_pos, answer.seen[0].origin),))
