"""models.toml as data. Knows its schema; knows no files of models and no network."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue; models.toml explains the fields."""

    about: str
    weights: str
    licence: str
    parameters: float  # millions
    projector: str | None = None
    builtin: bool = False
    sees: bool = False
    hears: bool = False


@functools.cache
def load() -> dict[str, Entry]:
    """The catalogue by name, in the file's order."""
    with _file().open("rb") as file:
        return {name: Entry(**table) for name, table in tomllib.load(file).items()}


def _file() -> Path:
    """models.toml in the installed package; in a checkout (an editable install) one folder up."""
    package = Path(__file__).parents[1]
    inside = package / "models.toml"
    return inside if inside.exists() else package.parent / "models.toml"
