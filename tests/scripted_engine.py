"""An engine without a model: it answers what a script says, at once. It is what a caller of `Engine` is tested with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self

from mmcli.engine import Answer, FinishReason, Message, OnProgress, Piece, Sampling, Scores, Seen, Usage
from mmcli.errors import ContextFull, MmcliError
from mmcli.media.types import Text

N_CTX = 4096
TOKENS = 100  # of a medium


class ScriptedEngine:
    """Says the `script`'s lines one after the other, and the last one again and again; an error is raised instead.

    A word is a token. `asked` holds all conversations that it was asked, in order.
    """

    def __init__(self, *script: str | MmcliError, name: str = "scripted", n_ctx: int = N_CTX) -> None:
        self._script, self._name, self.n_ctx = script, name, n_ctx
        self.asked: list[Sequence[Message]] = []
        self.prepared: list[Sequence[Message]] = []
        self.is_stopped = self.is_closed = False
        self.on_piece: Callable[[str], None] = lambda text: None  # called before each piece

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self._name

    @property
    def n_ctx_limit(self) -> int:
        return self.n_ctx

    def generate(
        self,
        messages: Sequence[Message],
        sampling: Sampling | None = None,
        on_progress: OnProgress | None = None,
        *,
        least: int = 1,
    ) -> Iterator[Piece]:
        line = self._script[min(len(self.asked), len(self._script) - 1)]
        self.asked.append(tuple(messages))
        n_prompt = self.count(messages)
        if n_prompt + least > self.n_ctx:
            raise ContextFull(f"{n_prompt} tokens do not fit into {self.n_ctx}")
        if isinstance(line, MmcliError):
            raise line
        words, said = line.split(" "), list[str]()
        reason: FinishReason = "stop"
        most = sampling.max_tokens if sampling else Sampling().max_tokens
        for number, word in enumerate(words):
            if number >= most:
                reason = "length"
                break
            text = word if number == 0 else f" {word}"
            self.on_piece(text)
            if self.is_stopped:
                reason, self.is_stopped = "interrupted", False
                break
            said.append(text)
            yield Piece(text)
        usage = Usage(n_prompt, 0, len(said))
        seen = tuple(
            Seen(medium.receipt, medium.id, TOKENS, TOKENS, "encoded")
            for message in messages
            for medium in message.media
        )
        text, filled = "".join(said), n_prompt + len(said)
        yield Piece(
            "", answer=Answer(text, "", reason, seen, usage, self._name, None, None, "script", self.n_ctx, filled, 0)
        )

    def generate_many(
        self,
        requests: Iterable[Sequence[Message]],
        sampling: Sampling | None = None,
        *,
        parallel: int | None = None,
        expected: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Iterator[tuple[int, Piece]]:
        for index, messages in enumerate(requests):
            try:
                for piece in self.generate(messages, sampling, on_progress):
                    yield index, piece
            except MmcliError as error:
                yield index, Piece("", error=error)

    def score(
        self, messages: Sequence[Message], choices: Sequence[str], on_progress: OnProgress | None = None
    ) -> Scores:
        """All choices are as likely as each other."""
        self.asked.append(tuple(messages))
        n_tokens = tuple(len(choice.split(" ")) for choice in choices)
        return Scores((-math.log(len(choices)),) * len(choices), n_tokens, (), Usage())

    def count(self, messages: Sequence[Message]) -> int:
        return sum(map(_n_tokens, messages))

    def prepare(
        self,
        messages: Sequence[Message],
        sampling: Sampling | None = None,
        *,
        paused: Callable[[], bool],
        dropped: Callable[[], bool],
    ) -> None:
        self.prepared.append(tuple(messages))

    def warm(self) -> None: ...

    def stop(self) -> None:
        self.is_stopped = True

    def close(self) -> None:
        self.is_closed = True


def _n_tokens(message: Message) -> int:
    texts = [part.rendered if isinstance(part, Text) else part for part in message.parts]
    words = sum(len(text.split()) for text in texts if isinstance(text, str))
    return words + TOKENS * len(message.media)
