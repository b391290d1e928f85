"""How likely an answer is to begin with some words: log-probabilities read from the logits.

What choices have in common is computed once, and all that is different in one forward pass: each choice is a branch
behind the prompt, whose cells they share. Models that cannot forget (hybrid, recurrent, sliding window) cannot share
cells either, and read one choice after the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from mmcli.engine.local import kv_cells
from mmcli.engine.local.context import BRANCH_ROWS, BranchRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.engine.local.kv_cache import Cache
    from mmcli.engine.messages import Usage

BRANCHES = 64  # at once
Path: TypeAlias = tuple[int, ...]  # the first tokens of some choices


def room(choices: Sequence[Sequence[int]]) -> int:
    """Tokens of context that it takes to read them at once, or a good part of them."""
    longest = max((len(tokens) for tokens in choices), default=0)
    return max(longest, min(sum(len(tokens) for tokens in choices), BRANCH_ROWS))


def scores(
    cache: Cache, choices: Sequence[Sequence[int]], usage: Usage, interrupted: Callable[[], bool]
) -> list[float] | None:
    """The logarithm of each choice's probability after the prompt that the cache holds; None when interrupted.

    The cache has just computed the prompt's last token, and holds the prompt again at the end.
    """
    with usage.timed("decode"):
        if cache.can_forget and cache.context.branches:
            return _together(cache, choices, usage, interrupted)
        return _apart(cache, choices, usage, interrupted)


def _together(
    cache: Cache, choices: Sequence[Sequence[int]], usage: Usage, interrupted: Callable[[], bool]
) -> list[float] | None:
    context, start = cache.context, kv_cells.n_pos(cache.cells)
    following: dict[Path, set[int]] = {}  # after these tokens, whose probabilities are wanted
    for tokens in choices:
        for place, token in enumerate(tokens):
            following.setdefault(tuple(tokens[:place]), set()).add(token)
    after: dict[Path, Mapping[int, float]] = {}

    def read(path: Path, row: int) -> None:
        log_probs = context.log_probs(row)
        after[path] = {token: float(log_probs[token]) for token in following.get(path, ())}

    read((), -1)
    for block in _blocks([tuple(tokens[:-1]) for tokens in choices], context.branches, context.n_ctx - cache.n_tokens):
        seqs: dict[Path, list[int]] = {}  # in the order in which they are computed: a path before those that go on
        for seq, path in enumerate(block, 1):
            for place in range(len(path)):
                seqs.setdefault(path[: place + 1], []).append(seq)
        paths = list(seqs)
        context.branch(len(block))
        try:
            for first in range(0, len(paths), BRANCH_ROWS):
                if interrupted():
                    return None
                some = paths[first : first + BRANCH_ROWS]
                rows = [BranchRow(path[-1], start + len(path) - 1, tuple(seqs[path])) for path in some]
                context.decode_branches(rows)
                usage.completion_tokens += len(rows)
                for row, path in enumerate(some):
                    read(path, row)
        finally:
            for seq in range(1, len(block) + 1):
                context.forget(seq)
    return [sum(after[tuple(tokens[:place])][token] for place, token in enumerate(tokens)) for tokens in choices]


def _blocks(paths: Sequence[Path], branches: int, room: int) -> Iterator[list[Path]]:
    """The paths in order, without those that others go on; so many together as there are branches, and room for.

    Tokens that paths have in common need room once.
    """
    ordered = sorted(set(paths))
    ends = [
        path for path, after in zip(ordered, [*ordered[1:], ()], strict=True) if path and after[: len(path)] != path
    ]
    block: list[Path] = []
    taken = 0
    for path in ends:
        new = len(path) - (kv_cells.common_prefix(block[-1], path) if block else 0)
        if block and (len(block) == branches or taken + new > room):
            yield block
            block, taken, new = [], 0, len(path)
        block.append(path)
        taken += new
    if block:
        yield block


def _apart(
    cache: Cache, choices: Sequence[Sequence[int]], usage: Usage, interrupted: Callable[[], bool]
) -> list[float] | None:
    """They are read in the order of their tokens, each from where the one before it differs."""
    context, n_prompt, start = cache.context, len(cache.cells), kv_cells.n_pos(cache.cells)
    # Hybrid, recurrent and sliding-window models go back by a copy of their state only.
    is_long = any(len(tokens) > 1 for tokens in choices)
    state = context.state() if is_long and not cache.can_forget else None
    after: list[NDArray[np.float32]] = [context.log_probs()]  # after the prompt, after each token behind it
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
