"""Many inputs through one worker: read ahead, computed once, given back in order. Knows threads; prints nothing.

    the inputs' thread   → names on disk (inputs.py)
    reading threads      → bytes, what is known, decoded  ─┐ an input that is known is not computed
    the computing thread → results, as they finish        ─┴→ outcomes → whoever iterates, in the order given

At most `window` inputs are anywhere between the first and the last of these, and only `ready` of them decoded and
waiting (task.ReadAhead): memory does not grow with the number of inputs. One that equals an input under way waits for
its result; what fails is one outcome with an error, and the others go on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Generic

from mmcli.errors import MmcliError, ResourceError
from mmcli.jobs.inputs import Inputs, Named
from mmcli.jobs.ordered_channel import Channel
from mmcli.jobs.task import CacheHit, Done, Gate, ItemT, Kept, Outcome, ResultT, Worker

LOOK_UP = 0.1  # seconds between two looks whether the run is stopped
ENOUGH = 8  # inputs that make a measurement


@dataclass(frozen=True)
class _End:
    """Nothing more will come."""


class Runner(Generic[ItemT, ResultT]):
    """One run. Iterate for its outcomes in order; `stop` ends it, also from a signal's thread."""

    def __init__(
        self, inputs: Inputs, worker: Worker[ItemT, ResultT], gate: Gate | None = None, *, dry_run: bool = False
    ) -> None:
        """`dry_run`: look at everything, compute nothing."""
        self.inputs, self._worker, self._gate, self._dry_run = inputs, worker, gate, dry_run
        ahead, self.seconds_before = worker.read_ahead, worker.seconds_before
        self._being_read: set[int] = set()  # indices of inputs
        self._read_one = threading.Condition()
        self._ready: Channel[ItemT] = Channel(ahead.ready, lambda item: item.named.index)
        self._done: queue.SimpleQueue[Outcome[ResultT] | _End] = queue.SimpleQueue()
        self._window = threading.Semaphore(ahead.window)
        self._lock = threading.Lock()
        self._same: dict[str, list[ItemT]] = {}  # key of what is being computed -> those that wait for it, released
        self._plans: set[str] = set()  # keys of what a dry run has seen
        self._readers_left = ahead.readers
        self._handed_out = 0  # outcomes whose receiver is ready for the next one
        self._turned = threading.Condition()
        self._failure: BaseException | None = None  # what ended the run before its time
        self._threads: list[threading.Thread] = []
        self._begun = threading.Event()  # all threads are there
        self.stopped = threading.Event()
        self.computed = 0  # results the worker made
        self.seconds = 0.0  # it worked so long by the clock, loading left out

    def __enter__(self) -> Runner[ItemT, ResultT]:
        try:
            self.inputs.start()
            for i in range(self._readers_left):
                self._start(self._read_on, f"reading-{i}")
            self._start(self._compute, "computing")
        except BaseException:
            self.stop()
            raise
        finally:
            self._begun.set()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        """Take no more inputs and end those that are being computed; what is finished already still comes out."""
        self.stopped.set()
        self.inputs.stop()
        self._ready.close()
        self._window.release(self._worker.read_ahead.readers)
        with self._turned:
            self._turned.notify_all()
        self._worker.stop()

    def pace(self) -> tuple[float, int] | None:
        """Seconds an input takes, and how many that was measured on (0: on earlier runs); None while nobody knows.

        Nor while all were known from earlier runs: those cost next to nothing, and more of them may follow.
        """
        if self.computed >= ENOUGH:
            return self.seconds / self.computed, self.computed
        return (self.seconds_before, 0) if self.computed and self.seconds_before is not None else None

    def __iter__(self) -> Iterator[Outcome[ResultT]]:
        """In the order given. Raises what ended the run, after everything that was finished before it."""
        waiting: dict[int, Outcome[ResultT]] = {}
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
            with self._turned:
                self._handed_out = following
                self._turned.notify_all()
        for index in sorted(waiting):  # behind one that was interrupted
            yield waiting[index]
        if self._failure is not None:
            raise self._failure

    def _planned(self, outcome: Outcome[ResultT]) -> Outcome[ResultT]:
        """In a dry run, which of several equal inputs is the first is seen in the order given."""
        if outcome.plan is None:
            return outcome
        is_equal = outcome.plan in self._plans
        self._plans.add(outcome.plan)
        return replace(outcome, equal=is_equal)

    def _start(self, target: Callable[[], None], name: str) -> None:
        def run() -> None:
            self._begun.wait()  # what the first one reads may leave no memory for another thread
            target()

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or error
        self.stop()

    # reading

    def _read_on(self) -> None:
        """Until there is nothing left to read: take a name, see what is to be done, hand it on."""
        try:
            while True:
                self._window.acquire()
                if self.stopped.is_set() or (named := self.inputs.take()) is None:
                    break
                with self._reading(named.index):
                    self._hand_on(named)
        except BaseException as error:
            self._fail(error)
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

    def _hand_on(self, named: Named) -> None:
        """Read one input, and put it where it waits to be computed, or its outcome where that is known."""
        try:
            item = self._read(named)
        except MmcliError as error:  # it may wait for its turn behind a slow input, but not with its pixels
            if not self.stopped.is_set():  # else a download ended because of that: the next run fetches it
                self._done.put(Outcome(named.index, named.source, error=error.released()))
            return
        except MemoryError:
            lack = ResourceError(f"not enough memory for {named.source.shown}")
            self._done.put(Outcome(named.index, named.source, error=lack))
            return
        if item is not None:
            self._ready.put(item)

    def _read(self, named: Named) -> ItemT | None:
        """The input, ready to be computed; None where its outcome is known, or will be."""
        if named.error is not None:
            raise named.error
        kept = self._gate.obstacle(named.source) if self._gate is not None else None
        data = b""
        if kept is None:
            data = self._worker.fetch(named.source, self.stopped)
            kept = self._gate.objection(named.source, data) if self._gate is not None else None
        if kept is not None:
            self._finish(named, Kept(kept), cached=False)
            return None
        found = self._worker.open(named, data, self.stopped)
        if isinstance(found, CacheHit):
            self._finish(named, found.result, cached=True)
            return None
        return self._unless_known(found)

    def _unless_known(self, item: ItemT) -> ItemT | None:
        key, result = item.key, None
        with self._lock:
            is_under_way = key in self._same
            if key is not None and is_under_way:
                self._same[key].append(item.released())
            elif (result := self._worker.known(item)) is None and key is not None and not self._dry_run:
                self._same[key] = []
        if result is not None:
            self._finish(item.named, result, cached=True)
        elif self._dry_run:
            self._done.put(Outcome(item.named.index, item.named.source, plan=key))
        elif not is_under_way:
            return item
        return None

    # computing

    def _compute(self) -> None:
        """Everything that needs a model; it is loaded for the first input that does. Ends after all readers."""
        try:
            if self._ready.wait():
                with closing(self._worker.compute(_ReadyItems(self))) as results:
                    for done in results:
                        self._finish_computed(done)
        except BaseException as error:
            if not (self.stopped.is_set() and isinstance(error, KeyboardInterrupt)):  # so ends an interrupted loading
                self._fail(error)
        self._done.put(_End())

    def _next_ready(self) -> ItemT | None:
        """The next one to be computed; None after the last, and once stopped."""
        item = self._ready.get()
        if item is not None and self._worker.read_ahead.in_turn:
            self._wait_for_turn(item.named.index)
        return None if self.stopped.is_set() else item

    def _wait_for_those_before(self) -> None:
        """The first result to be computed shall be the first to be shown."""
        with self._read_one:
            while not self.stopped.is_set() and (least := self._ready.least) is not None:
                if all(least < index for index in self._being_read - {least}):
                    break
                self._read_one.wait(LOOK_UP)

    def _wait_for_turn(self, index: int) -> None:
        with self._turned:
            self._turned.wait_for(lambda: self._handed_out >= index or self.stopped.is_set())

    def _finish_computed(self, done: Done[ItemT, ResultT]) -> None:
        self.seconds += done.seconds
        item, result, error = done.item, done.result, done.error
        self.computed += result is not None
        with self._lock:  # from here on an equal input finds the result
            others = self._same.pop(item.key, []) if item.key is not None else []
        if error is not None:
            error = error.released()
            for named in (item.named, *(other.named for other in others)):
                self._done.put(Outcome(named.index, named.source, error=error))
        if error is not None or result is None:  # None: interrupted
            return
        # Several are computed at once: of equal inputs the first in order counts as the computed one
        first = min([item.named.index, *(other.named.index for other in others)])
        self._finish(item.named, result, cached=item.named.index != first)
        for other in others:
            is_first = other.named.index == first
            self._finish(other.named, self._worker.share(other, item, is_first=is_first), cached=not is_first)

    def _finish(self, named: Named, result: ResultT | Kept, *, cached: bool) -> None:
        if isinstance(result, Kept):
            self._done.put(Outcome(named.index, named.source, kept=result.reason))
        else:
            self._done.put(Outcome(named.index, named.source, result, cached))


class _ReadyItems(Generic[ItemT]):
    """What a worker sees of its run (task.Items). No generator: that would hold the last item, and its pixels."""

    def __init__(self, runner: Runner[ItemT, ResultT]) -> None:
        self._runner = runner

    def __iter__(self) -> Iterator[ItemT]:
        self._runner._wait_for_those_before()
        return self

    def __next__(self) -> ItemT:
        if (item := self._runner._next_ready()) is None:
            raise StopIteration
        return item

    @property
    def expected(self) -> int | None:
        return self._runner.inputs.n if self._runner.inputs.complete else None

    @property
    def stopped(self) -> bool:
        return self._runner.stopped.is_set()
