"""Holds one answer to its grammar while it is spoken; what a model thinks before it answers is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmcli.engine.local.thinking import is_part_of_a_mark

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.engine.grammar import MakeMatcher, Matcher
    from mmcli.engine.local.context import Context, Sampler
    from mmcli.engine.local.detokenizer import Detokenizer
    from mmcli.engine.local.mtmd import Weights


class Shape:
    """What an answer's grammar says of its next token.

    Until the answer has begun, marks of reasoning may come where the model is to think; they and the reasoning are no
    part of the answer.
    """

    def __init__(self, weights: Weights, reader: Detokenizer, make_matcher: MakeMatcher, *, think: bool) -> None:
        self._weights, self._reader, self._make, self._thinks = weights, reader, make_matcher, think
        self._made: Matcher | None = None
        self.has_begun = False  # the answer: what was said of it is held to the grammar

    @property
    def _matcher(self) -> Matcher:
        if self._made is None:
            self._made = self._make()
        return self._made

    @property
    def is_done(self) -> bool:
        """Whether the answer is whole, and nothing can follow it."""
        return self.has_begun and self._matcher.is_done

    def forced(self, most: int) -> list[int]:
        """At most so many tokens that must come next, now accepted."""
        if self._reader.reasoning or (self._thinks and not self.has_begun):
            return []
        tokens = self._matcher.forced(most)
        self.has_begun = self.has_begun or bool(tokens)
        return tokens

    def sampled(self, sampler: Sampler, context: Context, row: int) -> int:
        """The next token that may come, now accepted."""
        token = sampler.choose(context, row, self._allows, self._mask)
        if not self._is_free(token) and not self._weights.is_end(token):
            self._matcher.accept(token)
            self.has_begun = True
        return token

    def _allows(self, token: int) -> bool:
        if self._is_free(token):
            return True
        return self._matcher.may_end if self._weights.is_end(token) else self._matcher.allows(token)

    def _is_free(self, token: int) -> bool:
        """Whether the token belongs to the reasoning, or to a mark around it."""
        if self._reader.reasoning:
            return True
        if self.has_begun or not self._thinks or self._weights.is_end(token):
            return False
        data, is_control = bytes_of(self._weights, token)
        return not self._matcher.allows(token) and self._reader.may_be_mark(data, control=is_control)

    def _mask(self, n_vocab: int) -> NDArray[np.bool_]:
        return self._matcher.mask(n_vocab)


def bytes_of(weights: Weights, token: int, *, special: bool = False) -> tuple[bytes, bool]:
    """The token's bytes, and whether it is a control token; of these, only those in marks of reasoning have any.

    With `special`, all have, and count as text.
    """
    data = weights.piece(token, special=special)
    if data:
        return data, False
    mark = weights.piece(token, special=True)
    return (mark, True) if is_part_of_a_mark(mark.decode("utf-8", "replace")) else (b"", False)
