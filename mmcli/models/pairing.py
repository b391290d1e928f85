"""Pairs weights with their projector by name. Knows how people name GGUF files."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mmcli.errors import ModelError

# What is taken where nobody chose: the usual quantizations first, as good answers per byte.
WEIGHTS = ("Q4_K_M", "Q4_K_S", "Q4_K", "Q4_0", "Q5_K_M", "Q6_K", "Q8_0", "F16", "BF16", "F32")
PROJECTORS = ("Q8_0", "F16", "BF16", "F32")
QUANT = re.compile(r"(?:^|[-_.])((?:i?q\d(?:_[a-z0-9]+)*|mxfp4|bf16|f16|f32|int4|int8)(?:[-_]xl)?)(?=[-_.]|$)", re.I)
SHARD = re.compile(r"-(\d{5})-of-(\d{5})(?=(?:\.gguf)?$)", re.I)  # as llama.cpp's gguf-split names them
MOST_PARTS = 1000
NOISE = {"mmproj", "model", "ggml", "gguf", "text", ""}


def is_projector(name: str) -> bool:
    return "mmproj" in name.lower()


def quant(name: str) -> str:
    """`Q4_K_M` of a file's name, or nothing."""
    found = QUANT.findall(SHARD.sub("", _stem(name)))
    return str(found[-1]).upper() if found else ""


def parts(name: str) -> tuple[str, ...]:
    """All files of weights that are split, given the name of one; weights that are whole are their only part."""
    found = SHARD.search(name)
    count = int(found[2]) if found else 0
    if found is None or not 0 < int(found[1]) <= count <= MOST_PARTS:
        return (name,)
    return tuple(f"{name[: found.start()]}-{i:05}-of-{count:05}{name[found.end() :]}" for i in range(1, count + 1))


def choose(repo: str, names: Iterable[str], wanted: str | None, *, projector: bool = True) -> tuple[str, str | None]:
    """The weights (of the quantization or name `wanted`) and their projector among a repository's files.

    ModelError, with the choices, where that is not clear.
    """
    files = sorted(name for name in names if name.lower().endswith(".gguf"))
    whole = [name for name in files if not is_projector(name) and parts(name)[0] == name]
    if not whole:
        why = "holds no complete weights" if files else "holds no GGUF files"
        raise ModelError(f"`{repo}` {why}", hint="look for another conversion, often with GGUF in its name")
    weights = _weights(repo, whole, wanted)
    if missing := [part for part in parts(weights) if part not in files]:
        raise ModelError(
            f"`{repo}` holds `{weights}`, but not `{missing[0]}`, another part of the same weights",
            hint="choose other weights of it, or another repository",
        )
    if not projector:
        return weights, None
    found = [name for name in files if is_projector(name)]
    if not found:
        raise ModelError(
            f"`{repo}` holds no projector, so its model could neither see nor hear",
            hint=f"look for a repository with an mmproj file, or ask with `-m {repo} --mmproj FILE`",
        )
    return weights, _projector(repo, weights, whole, found)


def related(weights: str, names: Iterable[str]) -> list[str]:
    """The projectors that were named for these weights, among the files of one folder."""
    names = list(names)
    found = [name for name in names if is_projector(name)]
    own = _core(weights)
    named = [name for name in found if _core(name) and _core(name) <= own]
    if named:
        return named
    # `mmproj-F16.gguf` belongs to whatever it lies beside: if that is only one model
    alone = all(_core(name) == own for name in names if not is_projector(name))  # parts have the same words
    return [name for name in found if not _core(name)] if alone else []


def is_whole(name: str, names: Iterable[str]) -> bool:
    """Whether a model's parts are all among the files, where `name` is one of several."""
    part = SHARD.search(_stem(name))
    if part is None:
        return True
    beginning = _stem(name)[: part.start()]
    ours = {_stem(other) for other in names if _stem(other).startswith(beginning) and SHARD.search(_stem(other))}
    return len(ours) == int(part[0][-5:])


def says_which(name: str) -> bool:
    """Whether a name says which model it is, and not only its quantization (`ggml-model-q4_k`)."""
    return bool(_core(name))


def plain_name(name: str) -> str:
    """A file's name without its ending, the number of its part, and the ORG_NAME-GGUF_ that llama.cpp puts before."""
    return re.sub(r"^.+?[-_]gguf_(?=.)", "", SHARD.sub("", _stem(name)), flags=re.I)


def candidates(weights: str, names: Iterable[str]) -> list[str]:
    """The projectors that may be meant for these weights, among the files of one repository; the best one first."""
    names = list(names)
    found = related(weights, names)
    cores = {frozenset(_core(name)) for name in names if not is_projector(name)}
    if not found and len(cores) == 1:
        found = [name for name in names if is_projector(name)]  # one model only: then any name will do
    return sorted(found, key=lambda name: (_rank(name), name))


def _rank(projector: str) -> int:
    return PROJECTORS.index(quant(projector)) if quant(projector) in PROJECTORS else len(PROJECTORS)


def _weights(repo: str, names: list[str], wanted: str | None) -> str:
    if wanted:
        low = wanted.lower()
        found = [name for name in names if low in (quant(name).lower(), *_called(name))]
    else:
        ranks = {name: WEIGHTS.index(quant(name)) for name in names if quant(name) in WEIGHTS}
        found = [name for name in names if ranks.get(name) == min(ranks.values(), default=None)]
        found = names if len(names) == 1 else found
    if len(in_one := [name for name in found if parts(name) == (name,)]) == 1:
        found = in_one  # the same weights are there in parts too
    if len(found) == 1:
        return found[0]
    choices = sorted({quant(name) or name for name in names}) if len(found) != 1 and not found else found
    what = f"no weights called `{wanted}`" if wanted and not found else "more than one choice of weights"
    some = ", ".join(f"`{repo}:{choice}`" for choice in choices[:6])
    raise ModelError(f"`{repo}` holds {what}", hint=f"which one: {some}{' …' if len(choices) > 6 else ''}?")


def _called(name: str) -> set[str]:
    """What a user may call a file: with its folder or without, with `.gguf` and the part's number or without."""
    stem = _stem(name).lower()
    return {name.lower(), f"{stem}.gguf", stem, SHARD.sub("", stem)}


def _projector(repo: str, weights: str, all_weights: list[str], found: list[str]) -> str:
    own = _core(weights)
    named = [name for name in found if _core(name) and _core(name) <= own] or [
        name for name in found if not _core(name)
    ]
    if not named and len({frozenset(_core(name)) for name in (*all_weights,)}) == 1:
        named = found  # one model only: then any name will do
    named = [name for name in named if _folder(name) == _folder(weights)] or named
    ranks = {name: _rank(name) for name in named}
    best = [name for name in named if ranks[name] == min(ranks.values())]
    if len(best) == 1:
        return best[0]
    some = ", ".join(f"`{name}`" for name in found[:6])
    raise ModelError(
        f"`{repo}` holds {len(found)} projectors, and none is clearly that of `{weights}`",
        hint=f"download the right one of {some}, and give it with --mmproj FILE",
    )


def _stem(name: str) -> str:
    return re.sub(r"\.gguf$", "", name.rsplit("/", 1)[-1], flags=re.I)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _core(name: str) -> set[str]:
    """The words of a name that say which model it is: without quantization and the usual noise."""
    stem = SHARD.sub("", _stem(name).lower())
    while shorter := QUANT.sub("", stem):
        if shorter == stem:
            break
        stem = shorter
    if QUANT.fullmatch(stem):
        return set()
    return set(re.split(r"[-_.]", stem)) - NOISE
