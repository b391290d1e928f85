"""Ways to damage bytes, chosen by chance. Knows no formats."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, (1 << 31) - 1, 1 << 31)
HUGE = (*NUMBERS, (1 << 32) - 1, 1 << 32, (1 << 40) + 7, (1 << 62), (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


@dataclass(frozen=True)
class Damaged:
    """`kind` is the way, `at` the first byte that changed."""

    data: bytes
    kind: str
    at: int

    def __str__(self) -> str:
        return f"{self.kind} at byte {self.at}"


def damage(chance: random.Random, data: bytes, *, within: int | None = None, kinds: str = "") -> Damaged:
    """One kind of damage; `within` keeps it to the first so many bytes, `kinds` (words) to some of the ways."""
    names = kinds.split() or list(WAYS)
    kind = chance.choice(names)
    end = min(len(data), within or len(data))
    changed, at = WAYS[kind](chance, bytearray(data), max(1, end))
    return Damaged(bytes(changed), kind, at)


def several(chance: random.Random, data: bytes, *, within: int | None = None) -> Damaged:
    """One to four kinds of damage on top of each other."""
    done = [damage(chance, data, within=within)]
    for _ in range(chance.choice((0, 0, 0, 1, 3))):
        done.append(damage(chance, done[-1].data, within=within))
    kinds = " + ".join(each.kind for each in done)
    return Damaged(done[-1].data, kinds, min(each.at for each in done))


def _flip(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
    places = sorted(chance.randrange(end) for _ in range(chance.choice((1, 1, 1, 2, 5, 20))))
    for at in places:
        if at < len(data):
            data[at] ^= 1 << chance.randrange(8)
    return data, places[0]


def _noise(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
    at, size = chance.randrange(end), chance.choice((1, 2, 4, 30, 300))
    data[at : at + size] = chance.randbytes(min(size, len(data) - at))
    return data, at


def _fill(byte: bytes) -> Callable[[random.Random, bytearray, int], tuple[bytearray, int]]:
    def fill(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
        at, size = chance.randrange(end), chance.choice((4, 64, 1000, 10_000))
        size = min(size, len(data) - at)
        data[at : at + size] = byte * size
        return data, at

    return fill


def _fill_end(byte: bytes) -> Callable[[random.Random, bytearray, int], tuple[bytearray, int]]:
    def fill(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
        at = chance.randrange(len(data) // 10, len(data)) if len(data) > 20 else 0
        data[at:] = byte * (len(data) - at)
        return data, at

    return fill


def _cut(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
    at = chance.choice(
        (chance.randrange(end), max(0, end - chance.choice((1, 2, 5, 12, 100))), chance.randrange(1, 64))
    )
    return data[:at], at


def _insert(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
    at = chance.randrange(end)
    data[at:at] = chance.choice((b"\0", b"\xff", chance.randbytes(chance.choice((1, 4, 100)))))
    return data, at


def _delete(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
    at = chance.randrange(end)
    del data[at : at + chance.choice((1, 2, 4, 50, 1000))]
    return data, at


def _repeat(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
    at, size = chance.randrange(end), chance.choice((4, 16, 200))
    data[at:at] = bytes(data[at : at + size]) * chance.choice((1, 3, 50))
    return data, at


def _swap(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
    size = chance.choice((1, 4, 32, 200))
    at, other = sorted((chance.randrange(end), chance.randrange(end)))
    size = min(size, other - at, len(data) - other)
    if size > 0:
        data[at : at + size], data[other : other + size] = data[other : other + size], data[at : at + size]
    return data, at


def _number(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
    at, form = chance.randrange(end), chance.choice(("B", "<H", ">H", "<I", ">I", "<Q", ">Q"))
    size = struct.calcsize(form)
    value = chance.choice(HUGE) & ((1 << 8 * size) - 1)
    data[at : at + size] = struct.pack(form, value)[: max(0, len(data) - at)]
    return data, at


def _append(chance: random.Random, data: bytearray, end: int) -> tuple[bytearray, int]:
    at = len(data)
    data += chance.choice((bytes(1000), b"\xff" * 300, chance.randbytes(200), bytes(data[: chance.randrange(1, 5000)])))
    return data, at


WAYS: dict[str, Callable[[random.Random, bytearray, int], tuple[bytearray, int]]] = {
    "flip": _flip,
    "noise": _noise,
    "zeros": _fill(b"\0"),
    "ones": _fill(b"\xff"),
    "zero-end": _fill_end(b"\0"),
    "ones-end": _fill_end(b"\xff"),
    "cut": _cut,
    "insert": _insert,
    "delete": _delete,
    "repeat": _repeat,
    "swap": _swap,
    "number": _number,
    "append": _append,
}
