"""Logits → pieces: what one answer does with each of its tokens, and the token loop of an answer alone.

Knows the sampler and what ends an answer; knows no messages. Answers that share their forward passes (batching.py) are
spoken by the same `TokenStream`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mmcli.engine.grammar import MakeMatcher
from mmcli.engine.local import kv_cells, mtmd
from mmcli.engine.local.context import Context, Dry, Sampler
from mmcli.engine.local.detokenizer import Detokenizer, LoopGuard
from mmcli.engine.local.kv_cache import Cache
from mmcli.engine.local.shape import Shape, bytes_of
from mmcli.engine.local.template import Prompt
from mmcli.engine.local.thinking import opened_by
from mmcli.engine.messages import FinishReason, Piece, PieceKind, Sampling, Usage


class TokenStream:
    """One answer while it is spoken: samples its tokens, reads them as text, and knows when it has ended.

    `answer` and `reasoning` are what it has said so far; `finish_reason` is why it ended, `interrupted` before that.
    """

    def __init__(
        self,
        weights: mtmd.Weights,
        prompt: Prompt,
        sampling: Sampling,
        seed: int,
        usage: Usage,
        make_matcher: MakeMatcher | None = None,
    ) -> None:
        """`make_matcher` is there where the answer has a shape, and is called when its first token is chosen."""
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
        self._shape = None if make_matcher is None else Shape(weights, self._reader, make_matcher, think=sampling.think)
        self._guard = LoopGuard()
        self.answer: list[str] = []
        self.reasoning: list[str] = []
        self.finish_reason: FinishReason = "interrupted"
        self.run: list[int] = []  # the last ones said, which the model has not computed yet
        self.chances: list[tuple[int, float, bool]] = []  # as Answer has them
        self._tells_chances, self._chance = sampling.confidence and self._shape is not None, (0.0, False)
        self.tokens: list[int] = []  # all that were sampled but the end, reasoning included

    def speak(self, context: Context, row: int, room: int) -> Iterator[Piece]:
        """Say the next token, chosen after row `row` of the last forward pass, and those that a schema lets follow.

        `run` holds them then; the answer ends where there is no `room` for so many more cells.
        """
        most = max(1, min(room, self._max_tokens - self._usage.completion_tokens))
        self.run = [] if self._shape is None else self._shape.forced(most)
        self._usage.forced_tokens += len(self.run)
        if not self.run:
            token = self._sampled(context, row)
            if self._weights.is_end(token):
                self.finish_reason = "stop"
                return
            forced = [] if self._shape is None else self._shape.forced(most - 1)
            self._usage.forced_tokens += len(forced)
            self.run = [token, *forced]
        for token in self.run:
            if self._tells_chances and self._shape is not None and self._shape.has_begun:
                self.chances.append((len(bytes_of(self._weights, token)[0]), *self._chance))
                self._chance = 0.0, False  # those that follow are forced
            yield from self._say(token)
            if self.ended:
                return
        if self._shape is not None and self._shape.is_done:
            self.finish_reason = "stop"
        elif self._usage.completion_tokens >= self._max_tokens or len(self.run) > room:
            self.finish_reason = "length"

    def _sampled(self, context: Context, row: int) -> int:
        if self._shape is None:
            return self._sampler.sample(context, row)
        token = self._shape.sampled(self._sampler, context, row)
        if self._tells_chances:
            self._chance = float(context.log_probs(row)[token]), self._sampler.refused
        return token

    def _say(self, token: int) -> Iterator[Piece]:
        self.tokens.append(token)
        self._usage.completion_tokens += 1
        self._usage.reasoning_tokens += self._reader.reasoning
        data, control = bytes_of(self._weights, token, special=self._special)
        yield from self._take(self._reader.feed(data, control=control))
        if self._shape is not None and self._shape.has_begun:
            self._guard.follow_json(data.decode("utf-8", "ignore"))
        if self._reader.stopped:
            self.finish_reason = "stop"
        elif self._loop_guard and self._guard.looping(token, _has_letter(data)):
            self.finish_reason = "loop"

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
            yield from voice.speak(context, -1, context.n_ctx - filled)
            if voice.ended or interrupted():
                break
            cache.advance(voice.run, position)
            position, filled = position + len(voice.run), filled + len(voice.run)
        yield from voice.finish()


def _dry(sampling: Sampling) -> Dry | None:
    if not sampling.dry_multiplier:
        return None
    # To llama.cpp of 2026-08 a negative number means none, whatever its programs' help says.
    last_n = sampling.max_tokens if sampling.dry_last_n < 0 else sampling.dry_last_n
    return Dry(sampling.dry_multiplier, sampling.dry_base, sampling.dry_allowed_length, last_n)


def _has_letter(data: bytes) -> bool:
    return any(letter.isalpha() for letter in data.decode("utf-8", "ignore"))
