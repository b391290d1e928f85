"""Speech models: their entries in models.toml, and what a folder with one holds. Knows no network and no engine.

A speech model is a folder as CTranslate2 and faster-whisper want it: model.bin with what describes it.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcli.errors import ModelError
from mmcli.models import catalogue
from mmcli.models.catalogue import File

WEIGHTS = "model.bin"
STARTER = Path(__file__).parent / "starter" / "speech"
# faster-whisper fetches a tokenizer from the Hub by itself where there is none: so a folder without one is not whole.
NEEDED = (WEIGHTS, "config.json", "tokenizer.json")
USED = re.compile(r"(model\.bin|(preprocessor_)?config\.json|tokenizer\.json|vocabulary\.\w+)")
MULTILINGUAL = 51_865  # words in the vocabulary of a Whisper of many languages; the English ones have fewer
SPEECH_FILE = re.compile(r"[\w-]+\.\w+")


@dataclass(frozen=True)
class SpeechEntry:
    """One speech model of the catalogue; models.toml explains the fields."""

    about: str
    repo: str
    licence: str
    files: tuple[File, ...]
    revision: str | None = None
    languages: str = "many"  # or the only one, such as "en"
    default: bool = False

    @property
    def n_bytes(self) -> int | None:
        """All files together, where all sizes are known."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size)


@dataclass(frozen=True)
class SpeechModel:
    """A speech model whose files are on this machine: `faster_whisper.WhisperModel(str(folder))` takes it."""

    name: str
    folder: Path
    entry: SpeechEntry | None = None  # what the catalogue knows of it

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    @property
    def n_bytes(self) -> int:
        """Of all its files."""
        names = [path for path in self.folder.iterdir() if USED.fullmatch(path.name)]
        return sum(path.stat().st_size for path in names if path.is_file())

    @property
    def languages(self) -> str | None:
        """`many`, or the only one, by its vocabulary; None where that cannot be decided."""
        n_words = _vocabulary_size(self.folder)
        return None if n_words is None else "many" if n_words >= MULTILINGUAL else "en"


@functools.cache
def load() -> dict[str, SpeechEntry]:
    """The speech models of the catalogue by name; the user's own follow, and replace those of the same name."""
    return {**_read(catalogue.shipped_file()), **_read(catalogue.own_file())}


def match(name: str) -> tuple[str, SpeechEntry] | None:
    """The entry called `name` (`small` for `whisper-small` too), or the only one that begins so."""
    return catalogue.match_in(load(), name) or (catalogue.match_in(load(), f"whisper-{name}") if name else None)


def is_one(names: Iterable[str]) -> bool:
    """Whether files of these names make a speech model."""
    found = set(names)
    return set(NEEDED) <= found and any(name.startswith("vocabulary.") for name in found)


def of_repository(repo: str, names: Iterable[str]) -> tuple[str, ...]:
    """The files of a repository that its speech model needs, the weights first; ModelError where it holds none."""
    found = tuple(names)
    if not is_one(found):
        raise ModelError(
            f"`{repo}` holds no speech model",
            hint="it must be one for faster-whisper (CTranslate2): model.bin and so on",
        )
    return (WEIGHTS, *sorted(name for name in found if USED.fullmatch(name) and name != WEIGHTS))


def open_folder(name: str, folder: Path, entry: SpeechEntry | None = None) -> SpeechModel:
    """The speech model in that folder; ModelError where files are missing."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise ModelError(f"cannot read the folder `{folder}`: {error.strerror or error}") from error
    if not is_one(names):
        missing = [f"`{needed}`" for needed in NEEDED if needed not in names] or ["a `vocabulary` file"]
        raise ModelError(
            f"`{folder}` holds no speech model: {' and '.join(missing)} missing",
            hint="it must be one for faster-whisper (CTranslate2); `mmcli models` lists some",
        )
    return SpeechModel(name, folder, entry)


def folder_of(name: str) -> Path | None:
    """The folder that a name means as a path, by itself or by its model.bin; None where it is a name."""
    path = Path(os.path.expanduser(name))
    if path.name == WEIGHTS and path.is_file():
        return path.parent
    is_path = os.sep in name or "/" in name or (path / WEIGHTS).is_file()
    return path if is_path and path.is_dir() else None


def _vocabulary_size(folder: Path) -> int | None:
    try:
        if (folder / "vocabulary.json").is_file():
            words = json.loads((folder / "vocabulary.json").read_bytes())
            return len(words) if isinstance(words, list | dict) else None
        return len((folder / "vocabulary.txt").read_bytes().splitlines())
    except (OSError, ValueError, RecursionError):
        return None


def has_starter() -> bool:
    """Whether this copy of mmcli has a built-in one."""
    return (STARTER / WEIGHTS).is_file()


def starter() -> SpeechModel:
    """The one that is built in: for trying things out, with a few hundred words."""
    if not has_starter():
        raise ModelError(
            "this copy of mmcli has no starter speech model", hint="`mmcli models` lists those to download"
        )
    return open_folder("starter", STARTER)


def _read(path: Path) -> dict[str, SpeechEntry]:
    tables = catalogue.tables(path).get(catalogue.SPEECH, {})
    return catalogue.parse_all(path, tables, parse, prefix=f"{catalogue.SPEECH}.")


def parse(name: str, table: Any) -> SpeechEntry:
    """One table as an entry; ValueError, in words for a user, where it breaks the schema."""
    values = catalogue.checked(name, table, SpeechEntry, _value)
    if WEIGHTS not in [file.file for file in values["files"]]:
        raise ValueError(f"has `files` without `{WEIGHTS}`")
    return SpeechEntry(**values)


def _value(key: str, value: Any) -> Any:
    if key != "files":
        return catalogue.check(key, value)
    if not isinstance(value, list) or not value:
        raise ValueError("has `files` that are not a list")
    files = tuple(catalogue.file_of(key, table, SPEECH_FILE) for table in value)
    if len({file.file for file in files}) != len(files):
        raise ValueError("has `files` that name one twice")
    return files
