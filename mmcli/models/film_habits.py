"""How films are shown to a model, by its projector's type: data of models.toml. Opens no file but the catalogue's."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

from mmcli.models import catalogue, memory
from mmcli.models.gguf import Header

DYNAMIC_TOKENS = 256  # of a frame, for projectors that take pictures of any size and of which nothing else is known
STAMP = "\n{clock} "
MERGED = 2  # patches a side that become one token, where the header is silent


@dataclass(frozen=True)
class FilmHabits:
    """What one kind of projector expects; models.toml explains the fields."""

    frames: int = 16
    tokens: int | None = None
    side: int = 768
    pixels: int | None = None
    pairs: bool = False
    stamp: str = STAMP
    intro: str = ""


def of(projector: Header | None, kind: str | None = None) -> FilmHabits:
    """The habits that a catalogue's entry names (`kind`), or else those of the projector, by its header's type."""
    named = load().get(kind or "")
    if projector is None:
        return named or FilmHabits()
    habits = named or load().get(memory.kind_of(projector), FilmHabits())
    if habits.tokens is not None:
        return habits
    tokens, grid = memory.picture_tokens(projector)
    if grid and habits.pixels is None:  # its tokens follow the size
        tokens = min(tokens, DYNAMIC_TOKENS)
        return replace(habits, tokens=tokens, pixels=tokens * grid * grid)
    return replace(habits, tokens=tokens or None)


@functools.cache
def load() -> dict[str, FilmHabits]:
    """By projector type; a user's own tables replace the shipped ones."""
    found: dict[str, FilmHabits] = {}
    for path in (catalogue.shipped_file(), catalogue.own_file()):
        tables = catalogue.tables(path).get(catalogue.FILM, {})
        found |= catalogue.parse_all(path, tables, _parse, f"{catalogue.FILM}.")
    return found


def _parse(name: str, table: Any) -> FilmHabits:
    return FilmHabits(**catalogue.checked(name.replace("_", "-"), table, FilmHabits, _check))


_KINDS: dict[str, type] = {
    **dict.fromkeys(("frames", "tokens", "side", "pixels"), int),
    "pairs": bool,
    **dict.fromkeys(("stamp", "intro"), str),
}


def _check(key: str, value: Any) -> Any:
    if type(value) is not _KINDS[key]:
        raise ValueError(f"has a `{key}` of the wrong type")
    if isinstance(value, int) and not isinstance(value, bool) and not 0 < value < 1 << 24:
        raise ValueError(f"has a `{key}` out of range")
    return value
