"""How likely an answer is to begin with some words: log-probabilities read from the logits, token by token."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mmcli.engine.local import kv_cells

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.engine.local.kv_cache import Cache
    from mmcli.engine.messages import Usage


def scores(
    cache: Cache, choices: Sequence[Sequence[int]], usage: Usage, interrupted: Callable[[], bool]
) -> list[float] | None:
    """The logarithm of each choice's probability after the prompt that the cache holds; None when interrupted.

    The cache has just computed the prompt's last token, and holds the prompt again at the end. What choices share is
    computed once: they are read in the order of their tokens, each from where the one before it differs.
    """
    context, n_prompt, start = cache.context, len(cache.cells), kv_cells.n_pos(cache.cells)
    # Hybrid, recurrent and sliding-window models go back by a copy of their state only.
    is_long = any(len(tokens) > 1 for tokens in choices)
    state = context.state() if is_long and not cache.can_forget else None
    after: list[NDArray[np.float64]] = [context.log_probs()]  # after the prompt, after each token behind it
    taken: list[int] = []  # the tokens in the cache behind the prompt
    found: dict[int, float] = {}

    def go_back(n_tokens: int) -> None:
        if n_tokens < len(taken):
            if state is None:
                cache.forget_behind(n_prompt + n_tokens)
            else:
                n_tokens = 0
                cache.put_back(state, n_prompt)
            del taken[n_tokens:], after[n_tokens + 1 :]

    with usage.timed("decode"):
        for index in sorted(range(len(choices)), key=lambda index: tuple(choices[index])):
            tokens = choices[index]
            go_back(kv_cells.common_prefix(taken, tokens[:-1]))
            for token in tokens[len(taken) : -1]:
                if interrupted():
                    return None
                cache.advance([token], start + len(taken))
                usage.completion_tokens += 1
                taken.append(token)
                after.append(context.log_probs())
            found[index] = float(sum(after[place][token] for place, token in enumerate(tokens)))
        go_back(0)
    return [found[index] for index in range(len(choices))]


def log_sum(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities, of which the logarithms are given."""
    high, low = max(one, other), min(one, other)
    return high + math.log1p(math.exp(low - high))
