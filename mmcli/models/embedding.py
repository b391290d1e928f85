"""Embedding models: their entries in models.toml, and what a folder with one holds. Knows no network and no graphs.

An embedding model is two ONNX graphs, for pictures and for texts, and a tokenizer. The catalogue says how pictures and
texts are prepared; a repository that is made as those of immich-app are says it itself.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcli.errors import ModelError
from mmcli.models import catalogue
from mmcli.models.catalogue import File

PICTURES, TEXTS, TOKENIZER = "visual/model.onnx", "textual/model.onnx", "textual/tokenizer.json"
NEEDED = (PICTURES, TEXTS, TOKENIZER, "visual/preprocess_cfg.json", "config.json")  # of one that describes itself
BESIDE = re.compile(r"(visual|textual)/(model\.onnx[._]data|[\w.-]+\.weight|onnx__[\w.-]+|Constant_[\w.-]+)")
STARTER = Path(__file__).parent / "starter" / "embed"
EMBED_FILE = re.compile(r"[\w.-]+(/[\w.-]+)*\.(onnx|json|onnx_data|data)")
RESIZES = ("squash", "shortest", "letterbox")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")


@dataclass(frozen=True)
class EmbeddingEntry:
    """One embedding model of the catalogue; models.toml explains the fields."""

    about: str
    licence: str
    pictures: File
    texts: File
    tokenizer: File
    dim: int
    side: int  # pixels
    context: int  # tokens
    repo: str | None = None
    revision: str | None = None
    builtin: bool = False
    others: tuple[File, ...] = ()
    resize: str = "squash"
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    ground: tuple[int, ...] = (0, 0, 0)
    pad: int = 0
    fixed: bool = True
    canonicalise: bool = False
    scale: float = 100.0
    bias: float | None = None
    calibrated: bool = False
    languages: str = "many"  # or the only one, such as "en"
    default: bool = False

    @property
    def files(self) -> tuple[File, ...]:
        return (self.pictures, self.texts, self.tokenizer, *self.others)

    @property
    def n_bytes(self) -> int | None:
        """All files together, where all sizes are known."""
        sizes = [file.bytes for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size)


@dataclass(frozen=True)
class EmbeddingModel:
    """An embedding model whose files are on this machine; without an entry it describes itself."""

    name: str
    folder: Path
    entry: EmbeddingEntry | None = None

    @property
    def weights(self) -> Path:
        return self.folder / (self.entry.pictures.file if self.entry else PICTURES)

    @property
    def n_bytes(self) -> int:
        """Of all its files."""
        if self.entry:
            return sum((self.folder / file.file).stat().st_size for file in self.entry.files)
        names = [path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file()]
        return sum((self.folder / name).stat().st_size for name in names if name in NEEDED or BESIDE.fullmatch(name))


@functools.cache
def load() -> dict[str, EmbeddingEntry]:
    """The embedding models of the catalogue by name; the user's own follow, and replace those of the same name."""
    return {**_read(catalogue.shipped_file()), **_read(catalogue.own_file())}


def match(name: str) -> tuple[str, EmbeddingEntry] | None:
    """The entry called `name`, or the only one that begins so."""
    return catalogue.match_in(load(), name)


def is_one(names: Iterable[str]) -> bool:
    """Whether files of these names make an embedding model that describes itself."""
    return set(NEEDED) <= set(names)


def of_repository(repo: str, names: Iterable[str]) -> tuple[str, ...]:
    """The files of a repository that its embedding model needs; ModelError where it holds none."""
    found = tuple(names)
    if not is_one(found):
        raise ModelError(
            f"`{repo}` holds no embedding model that says how it is used",
            hint="it must be made as those of immich-app are: visual/, textual/, config.json",
        )
    return (*NEEDED, *sorted(name for name in found if BESIDE.fullmatch(name)))


def open_folder(name: str, folder: Path, entry: EmbeddingEntry | None = None) -> EmbeddingModel:
    """The embedding model in that folder; ModelError where files are missing."""
    needed = [file.file for file in entry.files] if entry else list(NEEDED)
    missing = [f"`{file}`" for file in needed if not (folder / file).is_file()]
    if missing:
        raise ModelError(
            f"`{folder}` holds no embedding model: {' and '.join(missing)} missing",
            hint="`mmcli models` lists some; a folder must be made as the repositories of immich-app are",
        )
    return EmbeddingModel(name, folder, entry)


def folder_of(name: str) -> Path | None:
    """The folder that a name means as a path; None where it is a name."""
    path = Path(os.path.expanduser(name))
    return path if (path / PICTURES).is_file() else None


def repository(name: str) -> str:
    """`ORG/REPO` for `hf:ORG/REPO`; any other name as it is."""
    return name.removeprefix("hf:")


def is_family(name: str) -> bool:
    """Whether a repository belongs to the family of embedding models that describe themselves."""
    return name.lower().startswith("immich-app/")


def _read(path: Path) -> dict[str, EmbeddingEntry]:
    tables = catalogue.tables(path).get(catalogue.EMBED, {})
    return catalogue.parse_all(path, tables, parse, prefix=f"{catalogue.EMBED}.")


def parse(name: str, table: Any) -> EmbeddingEntry:
    """One table as an entry; ValueError, in words for a user, where it breaks the schema."""
    entry = EmbeddingEntry(**catalogue.checked(name, table, EmbeddingEntry, _value))
    if entry.builtin == bool(entry.repo):
        raise ValueError("needs a `repo`" if not entry.builtin else "is built in and has a `repo`")
    if len({file.file for file in entry.files}) != len(entry.files):
        raise ValueError("names one file twice")
    return entry


def _value(key: str, value: Any) -> Any:
    if key in ("pictures", "texts", "tokenizer"):
        return catalogue.file_of(key, value, EMBED_FILE)
    if key == "others":
        if not isinstance(value, list):
            raise ValueError("has `others` that are not a list")
        return tuple(catalogue.file_of(key, table, EMBED_FILE) for table in value)
    if key in ("mean", "std", "ground"):
        return _three(key, value)
    if key in ("resize", "interpolation"):
        words = RESIZES if key == "resize" else INTERPOLATIONS
        if value not in words:
            raise ValueError(f"has a `{key}` that is none of {', '.join(words)}")
        return value
    if key in ("fixed", "canonicalise", "calibrated"):
        if not isinstance(value, bool):
            raise ValueError(f"has a `{key}` of the wrong type")
        return value
    if key in ("dim", "pad", "scale", "bias"):
        return _number(key, value)
    return catalogue.check(key, value)


def _three(key: str, value: Any) -> tuple[Any, ...]:
    """Red, green and blue: parts of 1, or of 255 for `ground`."""
    most = 255 if key == "ground" else 1
    numbers = (int,) if key == "ground" else (int, float)
    of_kind = isinstance(value, list) and len(value) == 3 and all(isinstance(item, numbers) for item in value)
    if not of_kind or not all(0 <= item <= most for item in value) or (key == "std" and 0 in value):
        raise ValueError(f"has a `{key}` that is not three numbers up to {most}")
    return tuple(value)


def _number(key: str, value: Any) -> Any:
    numbers = (int,) if key in ("dim", "pad") else (int, float)
    low, high = {"dim": (1, 16384), "pad": (0, 10**7), "scale": (1e-3, 1e4), "bias": (-1e4, 1e4)}[key]
    if not isinstance(value, numbers) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"has a `{key}` out of range")
    return value if key in ("dim", "pad") else float(value)
