"""Stands in for the batching engine until it has landed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mmcli.engine import Answer, Message, Sampling
from mmcli.engine.local import LocalEngine
from mmcli.errors import MmcliError


@dataclass(frozen=True)
class Part:
    answer: Answer | None = None
    error: MmcliError | None = None


def many(
    engine: LocalEngine, requests: Iterable[Sequence[Message]], sampling: Sampling, parallel: int | None
) -> Iterator[tuple[int, Part]]:
    for index, messages in enumerate(requests):
        try:
            answer = None
            for piece in engine.generate(messages, sampling):
                answer = piece.answer or answer
            yield index, Part(answer)
        except MmcliError as error:
            yield index, Part(error=error)
