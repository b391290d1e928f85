"""Model files: headers whose bytes, keys, types, values and tensors are not what they should be."""

from __future__ import annotations

import functools
import random
import struct
from dataclasses import dataclass
from pathlib import Path

from tests import random_llava
from tests.conftest import STARTER, draw
from tests.fuzz.case import Case, Limits, Ran, command
from tests.fuzz.damage import HUGE, damage, several

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
ALIGNMENT = 32
TEXTS = ("", "llama", "clip", "gemma3", "mmproj", "\x1b]0;owned\x07", "a" * 100_000, "%s%n", "no such thing", "é\u202e")


@dataclass
class Tensor:
    name: bytes
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass
class Gguf:
    """A GGUF taken apart: each value as (key, type, its bytes), the tensors' table, and their data as it is."""

    values: list[tuple[bytes, int, bytes]]
    tensors: list[Tensor]
    data: bytes
    version: int = 3

    def joined(self) -> bytes:
        head = b"GGUF" + struct.pack("<IQQ", self.version, len(self.tensors), len(self.values))
        head += b"".join(_string(key) + struct.pack("<I", kind) + value for key, kind, value in self.values)
        for tensor in self.tensors:
            head += _string(tensor.name) + struct.pack("<I", len(tensor.shape))
            head += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape) + struct.pack(
                "<IQ", tensor.kind, tensor.offset
            )
        return head + bytes(-len(head) % ALIGNMENT) + self.data

    @property
    def header_bytes(self) -> int:
        return len(self.joined()) - len(self.data)

    def replace(self, key: str, kind: int, value: bytes) -> None:
        self.values = [each for each in self.values if each[0] != key.encode()] + [(key.encode(), kind, value)]


def taken_apart(data: bytes) -> Gguf:
    version, n_tensors, n_values = struct.unpack_from("<IQQ", data, 4)
    at, values, tensors = 24, [], []
    for _ in range(n_values):
        key, at = _string_at(data, at)
        (kind,) = struct.unpack_from("<I", data, at)
        end = _after(data, at + 4, kind)
        values.append((key, kind, data[at + 4 : end]))
        at = end
    for _ in range(n_tensors):
        name, at = _string_at(data, at)
        (n_dims,) = struct.unpack_from("<I", data, at)
        shape = struct.unpack_from(f"<{n_dims}Q", data, at + 4)
        kind, offset = struct.unpack_from("<IQ", data, at + 4 + 8 * n_dims)
        tensors.append(Tensor(name, shape, kind, offset))
        at += 4 + 8 * n_dims + 12
    return Gguf(values, tensors, data[-(-at // ALIGNMENT) * ALIGNMENT :], version)


def text(value: str) -> bytes:
    """A string as GGUF has it."""
    return _string(value.encode("utf-8", "surrogatepass"))


def _string(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def _string_at(data: bytes, at: int) -> tuple[bytes, int]:
    (size,) = struct.unpack_from("<Q", data, at)
    return data[at + 8 : at + 8 + size], at + 8 + size


def _after(data: bytes, at: int, kind: int) -> int:
    if kind == STRING:
        return _string_at(data, at)[1]
    if kind == ARRAY:
        item, count = struct.unpack_from("<IQ", data, at)
        at += 12
        for _ in range(count):
            at = _after(data, at, item)
        return at
    return at + struct.calcsize("<" + SCALARS[kind])


@functools.cache
def models(keep: Path) -> dict[str, tuple[Path, Path]]:
    """Weights and projector by name, whole."""
    tiny = keep / "tiny.gguf", keep / "tiny-mmproj.gguf"
    if not tiny[1].exists():
        assert random_llava.write(keep, "tiny") == tiny
    return {"tiny": tiny, "starter": (STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf")}


def make(chance: random.Random, folder: Path, keep: Path) -> Case:
    name = chance.choice(["tiny", "tiny", "starter"])
    whole = models(keep)[name]
    harmed = chance.randrange(2)  # the weights, or the projector
    data = whole[harmed].read_bytes()
    done, what = _harmed(chance, data)
    path = folder / f"{('weights', 'projector')[harmed]}.gguf"
    path.write_bytes(done)
    weights, projector = (path, whole[1]) if harmed == 0 else (whole[0], path)

    def call() -> Ran:
        from mmcli import models

        model = models.find(str(weights), projector)
        assert isinstance(model, models.Model)
        model.needs()
        return command("show", str(path))

    picture = folder / "picture.png"
    models_named = ("-m", str(weights), "--mmproj", str(projector))
    how = ("--no-history", "--no-cache", "--max-tokens", "4", "--no-loop-guard", "--ctx-size", "512", "-v")
    arguments = ("ask", *models_named, *how, f"./{picture.name}", "?")
    label = f"{name}, {path.name}: {what}"
    limits = Limits(memory=400 << 20)

    def prepare() -> None:
        draw(picture, "red circle", "blue square")

    return Case(label, call, arguments, frozenset({0, 4, 6}), limits=limits, prepare=prepare)


def _harmed(chance: random.Random, data: bytes) -> tuple[bytes, str]:
    way = chance.choice((*WAYS, "bytes", "header bytes", "cut"))
    if way == "bytes":
        done = several(chance, data)
        return done.data, str(done)
    if way == "cut":
        done = damage(chance, data, kinds="cut zero-end")
        return done.data, str(done)
    apart = taken_apart(data)
    if way == "header bytes":
        done = several(chance, data, within=apart.header_bytes)
        return done.data, str(done)
    what = WAYS[way](chance, apart)
    return apart.joined(), f"{way}: {what}"


def _drop_value(chance: random.Random, model: Gguf) -> str:
    return repr(model.values.pop(chance.randrange(len(model.values)))[0])


def _rename_value(chance: random.Random, model: Gguf) -> str:
    at = chance.randrange(len(model.values))
    key, kind, value = model.values[at]
    model.values[at] = (chance.choice((key + b"x", b"", key[:-1], b"\x1b[2J", key.upper())), kind, value)
    return repr(key)


def _twice(chance: random.Random, model: Gguf) -> str:
    model.values.append(chance.choice(model.values))
    return repr(model.values[-1][0])


def _other_value(chance: random.Random, model: Gguf) -> str:
    """Another value, mostly of the same type."""
    at = chance.randrange(len(model.values))
    key, kind, _ = model.values[at]
    if chance.random() < 0.3:
        kind = chance.choice((*SCALARS, STRING, ARRAY, 13, 99))
    if kind in SCALARS:
        value = _number(chance, kind)
    elif kind == STRING:
        value = text(chance.choice(TEXTS))
    else:
        item = chance.choice((*SCALARS, STRING, ARRAY))
        count = chance.choice((0, 1, 3, 1000))
        body = b"".join(_number(chance, item) if item in SCALARS else text("a") for _ in range(count))
        claimed = count if chance.random() < 0.7 else chance.choice(HUGE)
        value = struct.pack("<IQ", item, claimed) + body
    model.values[at] = (key, kind, value)
    return f"{key!r} of type {kind} is {value[:24]!r}"


def _number(chance: random.Random, kind: int) -> bytes:
    form = SCALARS[kind]
    size = struct.calcsize("<" + form)
    if form in "fd":
        return struct.pack("<" + form, chance.choice((0.0, -1.0, float("nan"), float("inf"), 1e30, 1e-30)))
    return struct.pack("<Q", chance.choice(HUGE))[:size]


def _tensor(chance: random.Random, model: Gguf) -> str:
    tensor = chance.choice(model.tensors)
    what = chance.choice(("name", "shape", "kind", "offset", "dropped", "twice"))
    before = f"{tensor.name!r} {tensor.shape} {tensor.kind} {tensor.offset}"
    if what == "name":
        tensor.name = chance.choice(
            (tensor.name + b"x", b"", b"\x1b[2J" + tensor.name, chance.choice(model.tensors).name)
        )
    elif what == "shape":
        shape = list(tensor.shape)
        shape[chance.randrange(len(shape))] = chance.choice(HUGE)
        tensor.shape = tuple(shape) if chance.random() < 0.7 else tuple(reversed(tensor.shape))
    elif what == "kind":
        tensor.kind = chance.choice((0, 1, 2, 8, 12, 30, 39, 4, 5, 99, 255, (1 << 32) - 1))
    elif what == "offset":
        tensor.offset = chance.choice((*HUGE, tensor.offset + 1, tensor.offset + ALIGNMENT))
    elif what == "dropped":
        model.tensors.remove(tensor)
    else:
        model.tensors.append(tensor)
    return f"{what} of {before}"


def _counts(chance: random.Random, model: Gguf) -> str:
    model.version = chance.choice((0, 1, 2, 4, 255, 3 << 24, (1 << 32) - 1))
    return f"version {model.version}"


WAYS = {
    "no value": _drop_value,
    "renamed value": _rename_value,
    "value twice": _twice,
    "other value": _other_value,
    "tensor": _tensor,
    "version": _counts,
}
