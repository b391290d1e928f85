"""Finds the known name nearest to an unknown one: for commands, options and slash commands."""

from __future__ import annotations

from collections.abc import Iterable

N_SUGGESTIONS = 3


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """The names that `word` is likely to mean, the likeliest first: none rather than one that only looks a bit alike.

    A name is near if it differs in dashes or capitals only, if one of the two begins with the other, or if it is a slip
    or two away.
    """
    plain = _plain(word)
    ranked = []
    for name in known:
        other = _plain(name)
        if not plain or not other:
            continue
        if other == plain:
            rank = 0.0
        elif len(plain) >= 3 and other.startswith(plain) or len(other) >= 5 and plain.startswith(other):
            rank = 0.5
        else:
            rank = _slips(plain, other)
            if rank > _bearable(min(len(plain), len(other))):
                continue
        ranked.append((rank, name))
    best = min((rank for rank, _ in ranked), default=0)
    return list(dict.fromkeys(name for rank, name in ranked if rank == best))[:N_SUGGESTIONS]


def _plain(name: str) -> str:
    return name.lower().lstrip("-").replace("-", "").replace("_", "")


def _bearable(length: int) -> int:
    """How many slips a word of that length may hold: one in 3 letters, two in 7, three in 11."""
    return 0 if length < 3 else 1 + (length - 3) // 4


def _slips(one: str, other: str) -> int:
    """Letters left out, added, mistaken or swapped with their neighbour (the optimal string alignment distance)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                row[j] = min(row[j], last[j - 2] + 1)
    return row[-1]
