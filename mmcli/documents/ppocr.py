"""The embedded reader as an engine: pictures go in, and what was read of each comes out as an answer in JSON."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

from mmcli.documents import ocr
from mmcli.documents.ocr import ReadLine, ReadPage, ReadWord
from mmcli.engine.messages import Answer, Message, OnProgress, Piece, Sampling, Seen, Usage
from mmcli.media.types import Image


class PpocrEngine:
    """Reads one picture after the other; see `protocol.BatchEngine`."""

    def __init__(self, threads: int) -> None:
        self._reader = ocr.PageReader(threads)
        self._version = ocr.version()
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def stop(self) -> None:
        self._stop.set()

    def generate_many(
        self,
        requests: Iterable[Sequence[Message]],
        sampling: Sampling | None = None,
        *,
        parallel: int | None = None,
        expected: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Iterator[tuple[int, Piece]]:
        """An answer for each request, whose last message holds one picture; its words are not looked at."""
        for index, messages in enumerate(requests):
            if self._stop.is_set():
                return
            (picture,) = messages[-1].media
            assert isinstance(picture, Image)
            yield index, self._read(picture, self._stop.is_set)

    def _read(self, picture: Image, stopped: Callable[[], bool]) -> Piece:
        usage = Usage(n_encodes=1)
        with usage.timed("encode"):
            text = written(self._reader.read(picture.pixels, stopped))
        return Piece(
            text,
            answer=Answer(
                text=text,
                reasoning="",
                finish_reason="interrupted" if stopped() else "stop",
                seen=(Seen(picture.receipt, picture.id, 0, 0, "encoded"),),
                usage=usage,
                model=ocr.NAME,
                weights=self._version,
                projector=None,
                device="CPU",
                n_ctx=0,
                n_past=0,
                seed=0,
            ),
        )


def written(page: ReadPage) -> str:
    """A page as the answer's JSON; numbers are rounded, since no more is known."""
    facts = dataclasses.asdict(page)
    for line in facts["lines"]:
        line["box"] = [round(edge, 1) for edge in line["box"]]
        line["confidence"] = round(line["confidence"], 3)
        for word in line["words"]:
            word.update({name: round(word[name], 3) for name in ("confidence", "start", "end")})
    return json.dumps(facts, ensure_ascii=False)


def parsed(text: str) -> ReadPage:
    """The page of an answer."""
    facts = json.loads(text)
    lines = [
        ReadLine(
            line["text"], tuple(line["box"]), line["confidence"], tuple(ReadWord(**word) for word in line["words"])
        )
        for line in facts["lines"]
    ]
    width, height = facts["size"]
    return ReadPage(tuple(lines), (width, height), facts["turned"])
