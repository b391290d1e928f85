"""The runner with a worker that computes numbers: order, errors, equal inputs, bounds, and what a task must bear."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mmcli import media
from mmcli.engine import Sampling
from mmcli.errors import InputError, ModelError
from mmcli.jobs import caption_styles, vocabulary
from mmcli.jobs.caption import CaptionTask
from mmcli.jobs.inputs import InputNames, Named, SpooledInputs
from mmcli.jobs.runner import Runner
from mmcli.jobs.task import CacheHit, Done, Items, Kept, ReadAhead
from tests.conftest import TIMEOUT


@dataclass(frozen=True)
class Number:
    named: Named
    value: int

    @property
    def key(self) -> str:
        return str(self.value)

    def released(self) -> Number:
        return self


@dataclass
class Squares:
    """Squares the numbers in files; `seen` notes what was done, in order."""

    read_ahead: ReadAhead = ReadAhead()
    seconds_before: float | None = None
    seen: list[str] = field(default_factory=list)
    results: dict[int, int] = field(default_factory=dict)

    def fetch(self, source: media.Source, stop: threading.Event) -> bytes:
        return media.read(source, stop=stop)

    def open(self, named: Named, data: bytes, stop: threading.Event) -> Number | CacheHit[int]:
        self.seen.append(f"open {named.index}")
        if not data.isdigit():
            raise InputError(f"{named.source.shown} holds no number")
        return Number(named, int(data))

    def known(self, item: Number) -> int | Kept | None:
        return self.results.get(item.value)

    def compute(self, items: Items[Number]) -> Generator[Done[Number, int]]:
        for item in items:
            self.seen.append(f"compute {item.named.index}")
            if item.value == 13:
                raise ModelError("no 13")
            self.results[item.value] = item.value**2
            yield Done(item, item.value**2)

    def share(self, item: Number, done: Number, *, is_first: bool) -> int | Kept:
        return item.value**2

    def stop(self) -> None: ...


def folder(tmp_path: Path, *contents: str) -> SpooledInputs:
    names = []
    for number, content in enumerate(contents):
        (tmp_path / f"{number:02}").write_text(content)
        names.append(str(tmp_path / f"{number:02}"))
    return SpooledInputs(InputNames(names))


def test_outcomes_come_in_the_order_given_and_an_error_ends_nothing(tmp_path: Path) -> None:
    contents = [str(number) for number in range(20)]
    contents[3] = "three"
    contents[13] = "0"
    with Runner(folder(tmp_path, *contents), Squares()) as run:
        outcomes = list(run)
    assert [outcome.index for outcome in outcomes] == list(range(20))
    wanted = [None if number == 3 else 0 if number == 13 else number**2 for number in range(20)]
    assert [outcome.result for outcome in outcomes] == wanted
    assert [outcome.index for outcome in outcomes if isinstance(outcome.error, InputError)] == [3]
    assert [outcome.index for outcome in outcomes if outcome.cached] == [13]


def test_equal_inputs_are_computed_once_and_the_first_is_the_computed_one(tmp_path: Path) -> None:
    worker = Squares()
    with Runner(folder(tmp_path, *["5"] * 12), worker) as run:
        outcomes = list(run)
    assert [outcome.result for outcome in outcomes] == [25] * 12
    assert len([word for word in worker.seen if word.startswith("compute")]) == 1
    assert [outcome.cached for outcome in outcomes] == [False] + [True] * 11


def test_a_dry_run_computes_nothing_and_tells_equal_inputs(tmp_path: Path) -> None:
    worker = Squares(results={7: 49})
    with Runner(folder(tmp_path, "5", "5", "7"), worker, dry_run=True) as run:
        outcomes = list(run)
    assert [(outcome.plan, outcome.equal, outcome.result) for outcome in outcomes] == [
        ("5", False, None),
        ("5", True, None),
        (None, False, 49),
    ]
    assert not [word for word in worker.seen if word.startswith("compute")]


def test_what_ends_the_run_is_raised_after_all_that_was_finished_before(tmp_path: Path) -> None:
    outcomes = []
    inputs, worker = folder(tmp_path, "1", "2", "13", "4"), Squares(ReadAhead(readers=1))
    with pytest.raises(ModelError, match="no 13"), Runner(inputs, worker) as run:
        for outcome in run:
            outcomes.append(outcome.result)
    assert outcomes == [1, 4]


@pytest.mark.parametrize("window", [1, 2, 5])
def test_reading_stays_within_its_window(tmp_path: Path, window: int) -> None:
    worker = Squares(ReadAhead(readers=1, ready=1, window=window))
    with Runner(folder(tmp_path, *(str(number) for number in range(30, 50))), worker) as run:
        for outcome in run:
            n_opened = len([word for word in worker.seen if word.startswith("open")])
            assert n_opened <= outcome.index + window


def test_in_turn_nothing_is_computed_before_what_comes_earlier_was_handed_out(tmp_path: Path) -> None:
    worker = Squares(ReadAhead(readers=1, ready=1, window=2, in_turn=True))
    with Runner(folder(tmp_path, "20", "no", "21", "22", "no", "no", "23"), worker) as run:
        for outcome in run:
            worker.seen.append(f"out {outcome.index}")
    order = [word for word in worker.seen if not word.startswith("open")]
    assert order == [
        *("compute 0", "out 0", "out 1", "compute 2", "out 2", "compute 3", "out 3", "out 4", "out 5"),
        *("compute 6", "out 6"),
    ]


class Payload:
    """What takes memory; counts those that are alive."""

    alive = 0

    def __init__(self) -> None:
        Payload.alive += 1

    def __del__(self) -> None:
        Payload.alive -= 1


@dataclass(frozen=True)
class Heavy(Number):
    payload: Payload | None = None

    def released(self) -> Heavy:
        return replace(self, payload=None)


@dataclass
class Ahead(Squares):
    """Computes each only when the next one was read."""

    n: int = 0
    most_alive: int = 0
    opened: list[threading.Event] = field(default_factory=list)

    def open(self, named: Named, data: bytes, stop: threading.Event) -> Heavy:
        item = Heavy(named, int(data), Payload())
        self.most_alive = max(self.most_alive, Payload.alive)
        self.opened[named.index].set()
        return item

    def compute(self, items: Items[Number]) -> Generator[Done[Number, int]]:
        for item in items:
            following = min(item.named.index + 1, self.n - 1)
            assert self.opened[following].wait(TIMEOUT), "the next one is not read ahead"
            done = Done[Number, int](item.released(), item.value**2)
            del item
            yield done


def test_in_turn_the_next_one_is_read_meanwhile_and_no_third_is_in_memory(tmp_path: Path) -> None:
    n = 12
    worker = Ahead(ReadAhead(readers=1, ready=1, window=2, in_turn=True), n=n)
    worker.opened = [threading.Event() for _ in range(n)]
    with Runner(folder(tmp_path, *(str(number) for number in range(30, 30 + n))), worker) as run:
        assert [outcome.result for outcome in run] == [number**2 for number in range(30, 30 + n)]
    assert worker.most_alive == 2


def test_a_run_that_is_stopped_ends_though_inputs_wait_for_their_turn(tmp_path: Path) -> None:
    worker = Squares(ReadAhead(readers=1, ready=1, window=2, in_turn=True))
    with Runner(folder(tmp_path, *(str(number) for number in range(30, 60))), worker) as run:
        for outcome in run:
            if outcome.index == 3:
                threading.Timer(0, run.stop).start()
                break
    assert not [thread for thread in threading.enumerate() if thread.name in ("computing", "reading-0")]


def test_a_task_can_be_sent_to_another_process() -> None:
    style = vocabulary.Vocabulary(("tree", "sea")).style(caption_styles.STYLES["tags"])
    task = CaptionTask("Tags?", style, Sampling(), system="Be brief.", facts=True, setup="here")
    there = pickle.loads(pickle.dumps(task))
    assert (there.key, there.base, there.style.tidy("Trees, cars")) == (task.key, task.base, "tree")


def test_nothing_is_read_before_all_threads_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first input takes may leave no memory for another thread."""
    worker, start = Squares(), threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == "computing":
            time.sleep(0.2)  # the readers had time enough
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refused)
    run = Runner(folder(tmp_path, "1", "2"), worker)
    with pytest.raises(RuntimeError, match="new thread"):
        run.__enter__()
    for thread in run._threads:
        thread.join(TIMEOUT)
        assert not thread.is_alive()
    assert worker.seen == []
