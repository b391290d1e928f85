"""Logits → pieces: what one answer does with each of its tokens, and the token loop of an answer alone.

Knows the sampler and what ends an answer; knows no messages. Answers that share their forward passes (batching.py) are
spoken by the same `TokenStream`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mmcli.engine.local import kv_cells, mtmd
from mmcli.engine.local.context import Context, Dry, Sampler
from mmcli.engine.local.detokenizer import Detokenizer, LoopGuard
from mmcli.engine.local.kv_cache import Cache
from mmcli.engine.local.template import Prompt
from mmcli.engine.local.thinking import is_part_of_a_mark, opened_by
from mmcli.engine.messages import FinishReason, Piece, PieceKind, Sampling, Usage


class TokenStream:
    """One answer while it is spoken: samples its tokens, reads them as text, and knows when it has ended.

    `answer` and `reasoning` are what it has said so far; `finish_reason` is why it ended, `interrupted` before that.
    """

    def __init__(self, weights: mtmd.Weights, prompt: Prompt, sampling: Sampling, seed: int, usage: Usage) -> None:
        self._weights, self._usage, self.seed = weights, usage, seed
        self._max_tokens, self._loop_guard = sampling.max_tokens, sampling.loop_guard
        self._sampler = Sampler(
            weights,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            min_p=sampling.min_p,
            repeat_penalty=sampling.repeat_penalty,
            seed=seed,
            dry=_dry(sampling),
        )
        self._special = sampling.special
        self._reader = Detokenizer((*prompt.stop, *sampling.stop), opened=opened_by(prompt.text))
        self._guard = LoopGuard()
        self.answer: list[str] = []
        self.reasoning: list[str] = []
        self.finish_reason: FinishReason = "interrupted"
        self.token = -1  # the last one sampled
        self.tokens: list[int] = []  # all that were sampled but the end, reasoning included

    def speak(self, context: Context, row: int, full: bool) -> Iterator[Piece]:
        """Sample after row `row` of the last forward pass; the answer ends there if its cells are `full`."""
        token = self.token = self._sampler.sample(context, row)
        if self._weights.is_end(token):
            self.finish_reason = "stop"
            return
        self.tokens.append(token)
        self._usage.completion_tokens += 1
        self._usage.reasoning_tokens += self._reader.reasoning
        data, control = _bytes(self._weights, token, special=self._special)
        yield from self._take(self._reader.feed(data, control=control))
        if self._reader.stopped:
            self.finish_reason = "stop"
        elif self._loop_guard and self._guard.looping(token, _has_letter(data)):
            self.finish_reason = "loop"
        elif self._usage.completion_tokens >= self._max_tokens or full:
            self.finish_reason = "length"

    @property
    def stopped_by(self) -> str:
        """The stop text that ended the answer, if one did."""
        return self._reader.stopped_by

    @property
    def ended(self) -> bool:
        return self.finish_reason != "interrupted"

    def finish(self) -> Iterator[Piece]:
        """What was held back until it was certain that no more comes."""
        if self.finish_reason != "stop":
            self._drop(self._reader.cut())
        yield from self._take(self._reader.feed(b"", final=True))

    def _drop(self, n_bytes: int) -> None:
        """Take the tokens back that are nothing but the last bytes of the answer, half a character."""
        while n_bytes and self.tokens and (size := len(self._weights.piece(self.tokens[-1]))) <= n_bytes:
            self.tokens.pop()
            n_bytes -= size

    def close(self) -> None:
        self._sampler.close()

    def _take(self, parts: list[tuple[PieceKind, str]]) -> Iterator[Piece]:
        for kind, text in parts:
            (self.answer if kind == "answer" else self.reasoning).append(text)
            yield Piece(text, kind)


def decode(cache: Cache, voice: TokenStream, usage: Usage, interrupted: Callable[[], bool]) -> Iterator[Piece]:
    """Yield the pieces of an answer that has the cache for itself; `usage` is complete when the iterator ends."""
    context = cache.context
    position, filled = kv_cells.n_pos(cache.cells), cache.n_tokens
    with usage.timed("decode"):
        while True:
            yield from voice.speak(context, -1, filled >= context.n_ctx)
            if voice.ended or interrupted():
                break
            cache.advance(voice.token, position)
            position, filled = position + 1, filled + 1
        yield from voice.finish()


def _dry(sampling: Sampling) -> Dry | None:
    if not sampling.dry_multiplier:
        return None
    # To llama.cpp of 2026-08 a negative number means none, whatever its programs' help says.
    last_n = sampling.max_tokens if sampling.dry_last_n < 0 else sampling.dry_last_n
    return Dry(sampling.dry_multiplier, sampling.dry_base, sampling.dry_allowed_length, last_n)


def _bytes(weights: mtmd.Weights, token: int, *, special: bool = False) -> tuple[bytes, bool]:
    """The token's bytes, and whether it is a control token; of these, only those in marks of reasoning have any.

    With `special`, all have, and count as text.
    """
    data = weights.piece(token, special=special)
    if data:
        return data, False
    mark = weights.piece(token, special=True)
    return (mark, True) if is_part_of_a_mark(mark.decode("utf-8", "replace")) else (b"", False)


def _has_letter(data: bytes) -> bool:
    return any(letter.isalpha() for letter in data.decode("utf-8", "ignore"))
