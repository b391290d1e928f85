"""Many pictures through one engine: read ahead, computed once, given back in order. Knows threads; prints nothing.

    the listing's thread → names on disk
    reading threads      → bytes, cache, pixels     ─┐ a picture that is known needs no engine
    the engine's thread  → answers, as they finish  ─┴→ outcomes → whoever iterates, in the order given

At most WINDOW pictures are anywhere between the first and the last of these, and only AHEAD of them decoded and
waiting: memory does not grow with the number of pictures.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mmcli import media, schema
from mmcli.engine import Answer, Message, Sampling
from mmcli.errors import MmcliError, ModelError, OutputError, ResourceError
from mmcli.jobs import caption_styles
from mmcli.jobs.inputs import Listing, Named, Wanted
from mmcli.jobs.ordered_channel import Channel
from mmcli.jobs.result_cache import Results, is_cut, key

if TYPE_CHECKING:
    from mmcli.engine import Engine

# Of the sampling, what every key has always held; see schema.named.
KEYED = tuple("temperature max_tokens seed top_p top_k min_p repeat_penalty stop think loop_guard".split())
READERS = 3  # threads that read and decode
AHEAD = 2  # decoded pictures that wait for the engine, which reads ahead itself: a photo takes 36 MB
LOOK_UP = 0.1  # seconds between two looks whether the run is stopped
ENOUGH = 8  # pictures that make a measurement
WINDOW = 256  # pictures that may be finished before an earlier one is


@dataclass(frozen=True)
class Job:
    """What to do with each picture; fields in the order people ask for them."""

    asked: str  # the question, in the language wanted
    style: caption_styles.Style
    sampling: Sampling
    system: str | None = None
    facts: bool = False  # put what the file says about itself into the prompt
    max_megapixels: float = 100.0
    setup: str = ""  # all else that could change a caption: weights, projector, detail …
    parallel: int | None = None  # answers at once; None: what the engine finds best
    obstacle: Callable[[media.Source], str | None] = lambda source: None  # why there is nothing to do, or an error
    objection: Callable[[media.Source, bytes], str | None] = lambda source, data: None  # the same, once it is read
    dry_run: bool = False  # look at everything, compute nothing
    retry_cut: bool = False  # compute again what --max-tokens cut off

    @property
    def key(self) -> str:
        """Everything but picture and facts that could change a caption, in one word."""
        return self._key(schema.named(self.sampling, KEYED))

    @property
    def base(self) -> str:
        """The same without the limit, which changes only those captions that it cuts."""
        sampling = schema.named(self.sampling, KEYED)
        del sampling["max_tokens"]
        return self._key(sampling)

    def _key(self, sampling: dict[str, Any]) -> str:
        words = [self.setup, self.system, self.asked, self.facts, sampling]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of one picture: a caption with its answer, an error, or the reason why it was left as it was."""

    index: int
    source: media.Source
    caption: str = ""
    answer: Answer | None = None
    cached: bool = False  # computed by an earlier run, or for a picture with the same pixels in this one
    plan: str | None = None  # in a dry run: the key of what would be computed
    equal: bool = False  # and that an earlier picture has the same
    error: MmcliError | None = None
    kept: str | None = None
    sidecars: tuple[str, ...] = ()
    embedded: bool = False  # the caption was put into the picture's own file
    facts: Mapping[str, str] = field(default_factory=dict)
    renamed: str | None = None  # the name it got, or would get

    @property
    def cut(self) -> bool:
        """Whether the caption ends where --max-tokens ended it."""
        return self.answer is not None and is_cut(self.answer)


@dataclass
class _Asked:
    """A picture on its way to the engine."""

    named: Named
    picture: media.Image
    text: str
    facts: Mapping[str, str]
    key: str
    base: str  # the key without the limit


@dataclass(frozen=True)
class _Same:
    """A picture whose pixels are in the engine already, under another name: it waits for that answer, without them."""

    named: Named
    receipt: media.Receipt
    media_id: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class _End:
    """Nothing more will come."""


class Run:
    """One run of a job. Iterate for its outcomes in order; `stop` ends it, also from a signal's thread."""

    def __init__(
        self,
        wanted: Wanted,
        job: Job,
        results: Results,
        open_engine: Callable[[], AbstractContextManager[Engine]],
    ) -> None:
        self._job, self._results, self._open_engine = job, results, open_engine
        self._setup, self._base = job.key, job.base
        self.listing = Listing(wanted)
        self._being_read: set[int] = set()  # indices of pictures
        self._read_one = threading.Condition()
        self._ready: Channel[_Asked] = Channel(AHEAD, lambda asked: asked.named.index)
        self._done: queue.SimpleQueue[Outcome | _End] = queue.SimpleQueue()
        self._window = threading.Semaphore(WINDOW)
        self._lock = threading.Lock()
        self._same: dict[str, list[_Same]] = {}  # key of what is in the engine -> those that wait for it
        self._plans: set[str] = set()  # keys of what a dry run has seen
        self._retried: set[str] = set()  # keys of what was cut, and has been computed again
        self._readers_left = READERS
        self.pace_before = results.seconds(self._setup)
        self._failure: BaseException | None = None  # what ended the run before its time
        self._engine: Engine | None = None
        self._threads: list[threading.Thread] = []
        self.stopped = threading.Event()
        self.computed = 0  # captions the engine made
        self.engine_seconds = 0.0  # it worked so long by the clock, loading left out

    def __enter__(self) -> Run:
        self.listing.start()
        for i in range(READERS):
            self._start(self._read_on, f"reading-{i}")
        self._start(self._compute, "captioning")
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Take no more pictures and end those in the engine; what is finished already still comes out."""
        self.stopped.set()
        self.listing.stop()
        self._ready.close()
        self._window.release(READERS)
        engine = self._engine
        if engine is not None:
            engine.stop()

    def pace(self) -> tuple[float, int] | None:
        """Seconds a picture takes, and how many that was measured on (0: on earlier runs); None while nobody knows.

        Nor while all were known from earlier runs: those cost next to nothing, and more of them may follow.
        """
        if self.computed >= ENOUGH:
            return self.engine_seconds / self.computed, self.computed
        return (self.pace_before, 0) if self.computed and self.pace_before is not None else None

    def __iter__(self) -> Iterator[Outcome]:
        """In the order given. Raises what ended the run, after everything that was finished before it."""
        waiting: dict[int, Outcome] = {}
        following = 0
        while True:
            outcome = self._done.get()
            if isinstance(outcome, _End):
                break
            waiting[outcome.index] = outcome
            while following in waiting:
                yield self._planned(waiting.pop(following))
                self._window.release()
                following += 1
        for index in sorted(waiting):  # behind one that was interrupted
            yield waiting[index]
        if self._failure is not None:
            raise self._failure

    def _planned(self, outcome: Outcome) -> Outcome:
        """In a dry run, which of several equal pictures is the first is seen in the order given."""
        if outcome.plan is None:
            return outcome
        is_equal = outcome.plan in self._plans
        self._plans.add(outcome.plan)
        return replace(outcome, equal=is_equal)

    def _start(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    # reading

    def _read_on(self) -> None:
        """Until there is nothing left to read: take a name, see what is to be done, hand it on."""
        try:
            while True:
                self._window.acquire()
                if self.stopped.is_set() or (named := self.listing.take()) is None:
                    break
                with self._reading(named.index):
                    self._read(named)
        except BaseException as error:
            self._failure = self._failure or error
            self.stop()
        with self._lock:
            self._readers_left -= 1
            is_last = self._readers_left == 0
        if is_last:
            self._ready.close()

    @contextmanager
    def _reading(self, index: int) -> Iterator[None]:
        with self._read_one:
            self._being_read.add(index)
        try:
            yield
        finally:
            with self._read_one:
                self._being_read.remove(index)
                self._read_one.notify_all()

    def _wait_for_those_before(self) -> None:
        """Several are read at once: the first caption to be computed shall be the first to be shown."""
        with self._read_one:
            while not self.stopped.is_set() and (least := self._ready.least) is not None:
                if all(least < index for index in self._being_read - {least}):
                    break
                self._read_one.wait(LOOK_UP)

    def _read(self, named: Named) -> None:
        try:
            if named.error is not None:
                raise named.error
            kept, data = self._job.obstacle(named.source), b""
            if kept is None:
                data = media.read(named.source, stop=self.stopped)
                kept = self._job.objection(named.source, data)
            if kept is not None:
                self._done.put(Outcome(named.index, named.source, kept=kept))
                return
            asked = self._asked(named, data)
        except MmcliError as error:  # it may wait for its turn behind a slow picture, but not with its pixels
            if not self.stopped.is_set():  # else a download ended because of that: the next run fetches it
                self._done.put(Outcome(named.index, named.source, error=error.released()))
            return
        except MemoryError:
            lack = ResourceError(f"not enough memory for {named.source.shown}")
            self._done.put(Outcome(named.index, named.source, error=lack))
            return
        if asked is not None:
            self._ready.put(asked)

    def _asked(self, named: Named, data: bytes) -> _Asked | None:
        """The picture as the engine is asked about it; None where its caption is known, or will be."""
        facts = _facts(data) if self._job.facts else {}
        text = caption_styles.with_facts(self._job.asked, facts)
        part = named.source.locator
        if (before := self._results.seen_before(hashlib.sha256(data).hexdigest(), part)) is not None:
            media_id, receipt = before
            receipt = replace(receipt, source=named.source.name)
            if (answer := self._known(text, media_id, receipt)) is not None:
                self._finish(named, answer, facts, cached=True)
                return None
        source = media.Source(named.source.name, data=data, locator=part)
        picture = media.load(source, kinds=frozenset({"image"}), max_megapixels=self._job.max_megapixels)
        assert isinstance(picture, media.Image)
        name = key(self._setup, text, picture.id)
        answer = None
        with self._lock:
            is_under_way = name in self._same
            if is_under_way:
                self._same[name].append(_Same(named, picture.receipt, picture.id, facts))
            elif (answer := self._known(text, picture.id, picture.receipt)) is None and not self._job.dry_run:
                self._same[name] = []
        if answer is not None:
            self._results.know(picture.receipt, picture.id)
            self._finish(named, answer, facts, cached=True)
        elif self._job.dry_run:
            self._done.put(Outcome(named.index, named.source, facts=facts, plan=name))
        elif not is_under_way:
            return _Asked(named, picture, text, facts, name, key(self._base, text, picture.id))
        return None

    def _known(self, text: str, media_id: str, receipt: media.Receipt) -> Answer | None:
        """The answer that is there already, unless it was cut and is to be made again."""
        name, base = key(self._setup, text, media_id), key(self._base, text, media_id)
        answer = self._results.load(name, receipt, base=base, max_tokens=self._job.sampling.max_tokens)
        is_retried = answer is not None and self._job.retry_cut and is_cut(answer) and base not in self._retried
        return None if is_retried else answer

    # computing

    def _compute(self) -> None:
        """Everything that needs the engine; it is loaded for the first picture that does. Ends after all readers."""
        try:
            if self._ready.wait():
                with self._open_engine() as engine:
                    self._engine = engine
                    if self.stopped.is_set():
                        engine.stop()
                    self._answer_all(engine)
        except BaseException as error:
            if not (self.stopped.is_set() and isinstance(error, KeyboardInterrupt)):  # so ends an interrupted loading
                self._failure = self._failure or error
                self.stop()
        self._engine = None
        self._done.put(_End())

    def _answer_all(self, engine: Engine) -> None:
        asked: dict[int, _Asked] = {}  # by the place in which the engine was asked

        def requests() -> Iterator[Sequence[Message]]:
            self._wait_for_those_before()
            for place in itertools.count():
                item = self._ready.get()
                if item is None or self.stopped.is_set():
                    return
                asked[place] = item
                yield self._messages(item)

        since = time.monotonic()
        expected = self.listing.n if self.listing.complete else None  # one picture needs no sixteen places
        answers = engine.generate_many(requests(), self._job.sampling, parallel=self._job.parallel, expected=expected)
        for index, piece in answers:
            if piece.error is None and piece.answer is None:
                continue
            if isinstance(piece.error, ModelError):  # no projector, the wrong one: no other picture would fare better
                raise piece.error
            now = time.monotonic()
            self.engine_seconds, since, seconds = self.engine_seconds + now - since, now, now - since
            self._answered(asked.pop(index), piece.answer, piece.error, seconds)

    def _messages(self, asked: _Asked) -> list[Message]:
        messages = [Message("user", (asked.picture, asked.text))]
        return [Message("system", (self._job.system,)), *messages] if self._job.system else messages

    def _answered(self, asked: _Asked, answer: Answer | None, error: MmcliError | None, seconds: float) -> None:
        if answer is not None and answer.finish_reason == "interrupted":
            with self._lock:
                self._same.pop(asked.key, None)
            return
        if answer is not None and error is None:
            error = _what_is_wrong(asked.named.source, answer)
            if error is None:
                self.computed += 1
                self._keep(asked, answer, seconds)
        with self._lock:  # from here on an equal picture finds the result
            others = self._same.pop(asked.key, [])
        if error is not None or answer is None:
            error = error and error.released()
            for named in (asked.named, *(other.named for other in others)):
                self._done.put(Outcome(named.index, named.source, error=error))
            return
        # Several are decoded at once: of equal pictures the first in order is the computed one
        first = min([asked.named.index, *(other.named.index for other in others)])
        self._finish(asked.named, answer, asked.facts, cached=asked.named.index != first)
        for other in others:
            self._results.know(other.receipt, other.media_id)
            is_first = other.named.index == first
            seen = tuple(
                replace(seen, receipt=other.receipt, origin=seen.origin if is_first else "memory")
                for seen in answer.seen
            )
            self._finish(other.named, replace(answer, seen=seen), other.facts, cached=not is_first)

    def _keep(self, asked: _Asked, answer: Answer, seconds: float) -> None:
        if retried := self._job.retry_cut:
            self._retried.add(asked.base)
        limit = self._job.sampling.max_tokens
        self._results.save(asked.key, self._setup, answer, seconds, base=asked.base, max_tokens=limit, for_cut=retried)

    def _finish(self, named: Named, answer: Answer, facts: Mapping[str, str], *, cached: bool) -> None:
        caption = caption_styles.tidy(self._job.style, answer.text)
        if not caption:  # no tag of the answer is among the keywords that are allowed
            kept = f"no keyword of the list is in the answer: {caption_styles.tidy(caption_styles.ANY, answer.text)}"
            self._done.put(Outcome(named.index, named.source, kept=kept))
            return
        self._done.put(Outcome(named.index, named.source, caption, answer, cached, facts=facts))


def _what_is_wrong(source: media.Source, answer: Answer) -> MmcliError | None:
    if answer.finish_reason == "loop":
        return OutputError(
            f"{source.shown}: the model kept repeating itself", hint="try another model, or another --prompt"
        )
    if not answer.text.strip():
        return OutputError(f"{source.shown}: the model said nothing", hint="try another --prompt, or more --max-tokens")
    return None


def _facts(data: bytes) -> dict[str, str]:
    from mmcli.media import exif

    return exif.read(data)
