"""The read task's own parts: a page that is read again, and what decides about a cached one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Self

from PIL import Image

from mmcli import media
from mmcli.engine import Answer, Message, Piece, Sampling
from mmcli.engine.messages import Seen, Usage
from mmcli.jobs.inputs import ListedInputs
from mmcli.jobs.read import Reading, ReadTask, ReadWorker, Repeated
from mmcli.jobs.result_cache import Results
from mmcli.jobs.runner import Runner
from mmcli.jobs.task import Outcome
from tests.sheets import sheet


class Looping:
    """An engine that repeats itself on pictures of odd width, unless it is penalized by at least `least`."""

    def __init__(self, least: float) -> None:
        self.least, self.asked = least, list[tuple[int, float]]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def stop(self) -> None: ...

    def generate_many(
        self, requests: Iterable[Sequence[Message]], sampling: Sampling | None = None, **how: object
    ) -> Iterator[tuple[int, Piece]]:
        assert sampling is not None
        for index, messages in enumerate(requests):
            (picture,) = messages[-1].media
            assert isinstance(picture, media.Image)
            width = picture.pixels.shape[1]
            self.asked.append((width, sampling.repeat_penalty))
            loops = width % 2 and sampling.repeat_penalty < self.least
            yield index, Piece("", answer=self._answer(picture, "loop" if loops else "stop"))

    def _answer(self, picture: media.Image, reason: str) -> Answer:
        seen = Seen(picture.receipt, picture.id, 1, 1, "encoded")
        text = f"width {picture.pixels.shape[1]}"
        return Answer(text, "", reason, (seen,), Usage(), "m", None, None, "CPU", 1, 1, 0)  # type: ignore[arg-type]


def read(folder: Path, engine: Looping, task: ReadTask, widths: Sequence[int]) -> list[Outcome[Reading]]:
    names = []
    for at, width in enumerate(widths):
        Image.fromarray(sheet("x")[:, :width]).save(folder / f"{at}.png")
        names.append(str(folder / f"{at}.png"))
    results = Results(folder / "results.db")
    opened: AbstractContextManager[Looping] = engine
    worker = ReadWorker(task, results, lambda: opened)
    try:
        with Runner(ListedInputs(media.find(names)), worker) as runner:
            return list(runner)
    finally:
        worker.close()
        results.close()


TASK = ReadTask(question="?", form="markdown", sampling=Sampling(temperature=0.0))


def test_a_page_that_loops_is_read_once_more_with_a_higher_penalty_and_the_order_stays(tmp_path: Path) -> None:
    engine = Looping(least=1.05)
    outcomes = read(tmp_path, engine, TASK, (300, 301, 302, 303, 304))
    assert [outcome.result.markdown for outcome in outcomes if outcome.result] == [
        f"width {width}" for width in range(300, 305)
    ]
    assert sorted(engine.asked) == [(300, 1.0), (301, 1.0), (301, 1.1), (302, 1.0), (303, 1.0), (303, 1.1), (304, 1.0)]


def test_the_penalty_of_the_makers_is_doubled(tmp_path: Path) -> None:
    engine = Looping(least=1.15)
    task = replace(TASK, sampling=replace(TASK.sampling, repeat_penalty=1.1))
    (outcome,) = read(tmp_path, engine, task, (301,))
    assert outcome.result is not None and [round(penalty, 6) for _, penalty in engine.asked] == [1.1, 1.2]


def test_one_that_still_loops_fails_alone(tmp_path: Path) -> None:
    engine = Looping(least=9.0)
    outcomes = read(tmp_path, engine, TASK, (301, 302))
    assert isinstance(outcomes[0].error, Repeated) and outcomes[1].result is not None
    again = Looping(least=1.05)  # what was read is not read again, what failed is
    outcomes = read(tmp_path, again, TASK, (301, 302))
    assert [outcome.cached for outcome in outcomes] == [False, True] and len(again.asked) == 2


def test_many_cached_pages_behind_one_that_is_read_again_do_not_hold_it_up(tmp_path: Path) -> None:
    widths = (301, *range(302, 360, 2))
    read(tmp_path, Looping(least=9.0), TASK, widths)
    engine = Looping(least=1.05)
    outcomes = read(tmp_path, engine, TASK, widths)
    assert all(outcome.result is not None for outcome in outcomes) and len(engine.asked) == 2


def test_dry_and_new_fields_change_no_key_until_they_are_used() -> None:
    assert TASK.key == replace(TASK, sampling=Sampling(temperature=0.0, dry_base=1.75)).key
    assert TASK.key != replace(TASK, sampling=Sampling(temperature=0.0, dry_multiplier=0.8)).key
    assert TASK.key != replace(TASK, by_sight=True).key
