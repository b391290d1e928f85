"""Shows a model a test card and prints its answers as JSON lines: a child process, since it may crash.

`python -m mmcli.health.canary_process REQUEST`, where REQUEST is the JSON of a `Request`. Knows cards and the engine's
contract.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli import engine, media
from mmcli.engine import hardware
from mmcli.engine.local.loaded_model import Options
from mmcli.engine.local.probe import tell
from mmcli.errors import MmcliError
from mmcli.health import canary

if TYPE_CHECKING:
    from mmcli.health.canary import CanaryQuestion, Card, Kind

BLIND = "blind"
MAX_TOKENS = 128


@dataclass(frozen=True)
class CanaryRequest:
    """Which model, how to run it, and which card to show."""

    weights: str
    projector: str | None
    kind: Kind
    seed: int
    media_newline: bool = False
    threads: int | None = None
    gpu_layers: int | None = None


@dataclass(frozen=True)
class Item:
    """One question that was asked, and how it went."""

    item: str
    question: str
    expected: str
    answer: str
    passed: bool
    essential: bool
    meaning: str | None  # what it usually means, where it did not pass


def main() -> None:
    request = CanaryRequest(**json.loads(sys.argv[1]))
    options = Options(threads=request.threads, gpu_layers=request.gpu_layers, media_newline=request.media_newline)
    try:
        with engine.load(
            Path(request.weights),
            Path(request.projector) if request.projector else None,
            options,
            on_progress=_report,
        ) as ready:
            for item in look(ready, canary.draw(request.kind, request.seed), _report):
                tell({"item": asdict(item)})
            tell({"memory": {"peak": hardware.peak_memory(), "repacked": ready.repacked}})
    except MmcliError as error:
        tell({"error": error.message, "hint": error.hint, "status": error.status})


def look(ready: engine.Engine, card: Card, on_progress: engine.OnProgress | None = None) -> Iterator[Item]:
    """Ask all questions about the card, and the first one about a picture of nothing."""
    for question in card.questions:
        answer = _ask(ready, card.picture, question, on_progress)
        right = question.is_right(answer)
        yield _item(question.item, question, answer, right, None if right else question.meaning(answer))
    first = card.questions[0]
    answer = _ask(ready, card.empty, first, on_progress)
    guessed = first.is_right(answer)
    yield _item(BLIND, first, answer, not guessed, canary.STALE if guessed else None)


def _item(name: str, question: CanaryQuestion, answer: str, passed: bool, meaning: str | None) -> Item:
    essential = question.essential or name == BLIND
    return Item(name, question.text, question.expected, answer, passed, essential, meaning)


def _ask(ready: engine.Engine, picture: bytes, question: CanaryQuestion, on_progress: engine.OnProgress | None) -> str:
    (source,) = media.find(["-"], stdin=picture)
    image = media.load(source)
    assert isinstance(image, media.Image)
    sampling = engine.Sampling(temperature=0, max_tokens=MAX_TOKENS)
    *_, last = ready.generate([engine.Message("user", (image, question.text))], sampling, on_progress)
    assert last.answer is not None
    return last.answer.text.strip()


def _report(phase: str, done: int, total: int) -> None:
    tell({"progress": [phase, done, total]})


if __name__ == "__main__":
    main()
