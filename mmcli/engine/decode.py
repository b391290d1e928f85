"""Logits → pieces: the token loop of one answer. Knows the sampler and the cache; knows no messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mmcli.engine import kv, mtmd
from mmcli.engine.cache import Cache
from mmcli.engine.messages import FinishReason, Piece, PieceKind, Sampling, Usage
from mmcli.engine.template import Prompt
from mmcli.engine.text import REASONING, REASONING_MARKS, LoopGuard, Reader


@dataclass
class Result:
    """What one answer has said so far, and why it ended."""

    answer: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)  # all that was sampled but the end, reasoning included
    finish_reason: FinishReason = "interrupted"

    def take(self, parts: list[tuple[PieceKind, str]]) -> Iterator[Piece]:
        for kind, text in parts:
            (self.answer if kind == "answer" else self.reasoning).append(text)
            yield Piece(text, kind)


def decode(
    weights: mtmd.Weights,
    cache: Cache,
    prompt: Prompt,
    sampling: Sampling,
    seed: int,
    usage: Usage,
    result: Result,
    interrupted: Callable[[], bool],
) -> Iterator[Piece]:
    """Yield the answer's pieces; `result` and `usage` are complete when the iterator ends."""
    context = cache.context
    sampler = mtmd.Sampler(
        weights,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        min_p=sampling.min_p,
        repeat_penalty=sampling.repeat_penalty,
        seed=seed,
    )
    reader = Reader((*prompt.stop, *sampling.stop), open_reasoning=_open_reasoning(prompt))
    guard = LoopGuard()
    position, filled = kv.n_pos(cache.cells), cache.n_tokens
    started = time.perf_counter()
    try:
        while True:
            token = sampler.sample(context)
            if weights.is_end(token):
                result.finish_reason = "stop"
                break
            result.tokens.append(token)
            usage.completion_tokens += 1
            usage.reasoning_tokens += reader.reasoning
            yield from result.take(reader.feed(_bytes(weights, token)))
            if reader.stopped:
                result.finish_reason = "stop"
                break
            if sampling.loop_guard and guard.looping(token):
                result.finish_reason = "loop"
                break
            if usage.completion_tokens >= sampling.max_tokens or filled >= context.n_ctx:
                result.finish_reason = "length"
                break
            if interrupted():
                break
            cache.advance(token, position)
            position, filled = position + 1, filled + 1
        yield from result.take(reader.feed(b"", final=True))
    finally:
        sampler.close()
        usage.add("decode", time.perf_counter() - started)


def _bytes(weights: mtmd.Weights, token: int) -> bytes:
    """The token's bytes; of the control tokens only those that open or close reasoning show."""
    data = weights.piece(token)
    if data:
        return data
    mark = weights.piece(token, special=True)
    return mark if mark.decode("utf-8", "replace") in REASONING_MARKS else b""


def _open_reasoning(prompt: Prompt) -> str:
    """The mark that ends the reasoning which the prompt itself opened, or ""."""
    end = prompt.text.rstrip()
    return next((closing for opening, closing in REASONING if end.endswith(opening)), "")
