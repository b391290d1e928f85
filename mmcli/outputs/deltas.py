"""Stores the old bytes of a file as a difference to its new ones, in little space."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

PROBE = 64  # bytes that are looked for
LEAST = 512  # bytes that are worth looking for

Step: TypeAlias = "tuple[int, int] | bytes"  # from where in the new bytes, and how many; or bytes that are not there


@dataclass(frozen=True)
class Delta:
    """From the new bytes back to the old ones, and the digests of both."""

    before: str  # SHA-256, hex
    after: str
    steps: tuple[Step, ...]

    def apply(self, new: bytes) -> bytes:
        """The old bytes; ValueError where `new` is not what the delta was made of."""
        old = b"".join(step if isinstance(step, bytes) else new[step[0] : step[0] + step[1]] for step in self.steps)
        if digest(new) != self.after or digest(old) != self.before:
            raise ValueError("the bytes are others than those the delta was made of")
        return old

    def json(self) -> dict[str, Any]:
        steps = [base64.b64encode(step).decode() if isinstance(step, bytes) else list(step) for step in self.steps]
        return {"before": self.before, "after": self.after, "steps": steps}


def of_json(entry: Mapping[str, Any]) -> Delta:
    """What `json` gave; KeyError, TypeError or ValueError for anything else."""
    steps = (
        base64.b64decode(step, validate=True) if isinstance(step, str) else (int(step[0]), int(step[1]))
        for step in entry["steps"]
    )
    return Delta(str(entry["before"]), str(entry["after"]), tuple(steps))


def delta(old: bytes, new: bytes) -> Delta:
    """How to make `old` of `new`."""
    return Delta(digest(old), digest(new), tuple(_steps(old, new, 0)))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _steps(old: bytes, new: bytes, at: int) -> Iterator[Step]:
    """`at`: where `new` begins in the whole."""
    head = _common(old, new)
    if head:
        yield at, head
    old, new, at = old[head:], new[head:], at + head
    tail = _common(old[::-1], new[::-1])
    old, rest, new = old[: len(old) - tail], (at + len(new) - tail, tail), new[: len(new) - tail]
    found = _match(old, new) if len(old) >= LEAST else None
    if found is None:
        if old:
            yield old
    else:
        in_old, in_new, length = found
        yield from _steps(old[:in_old], new[:in_new], at)
        yield at + in_new, length
        yield from _steps(old[in_old + length :], new[in_new + length :], at + in_new + length)
    if tail:
        yield rest


def _match(old: bytes, new: bytes) -> tuple[int, int, int] | None:
    """A long run of bytes that both have, by what stands at three places of the old ones."""
    for quarter in (2, 1, 3):
        middle = len(old) * quarter // 4
        found = new.find(old[middle : middle + PROBE])
        if found < 0:
            continue
        back = _common(old[:middle][::-1], new[:found][::-1])
        ahead = _common(old[middle:], new[found:])
        return middle - back, found - back, back + ahead
    return None


def _common(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
