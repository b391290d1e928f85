"""Two ONNX towers as one space: pictures and texts → vectors of unit length. Knows no names of models, no terminals."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mmcli import files as safe_files
from mmcli.embed import onnx, prepare
from mmcli.embed.recipe import Preparation, Recipe, Wording
from mmcli.errors import ModelError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmcli.embed.words import TextTokens

CANARY_TEXT = "a red circle on a white background"
_TEXTS_AT_ONCE = 64
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class TowerFiles:
    """Where a model's parts are."""

    pictures: Path
    texts: Path
    tokenizer: Path

    @property
    def all(self) -> tuple[Path, ...]:
        """With the files that hold a graph's numbers apart from it."""
        graphs = (self.pictures, self.texts)
        beside = [path.with_name(path.name + end) for path in graphs for end in ("_data", ".data")]
        return (*graphs, self.tokenizer, *(path for path in beside if path.is_file()))


def open_space(
    name: str, files: TowerFiles, recipe: Recipe, *, dim: int, threads: int | None = None, cache: Path | None = None
) -> TowerSpace:
    """The space of these towers; ModelError where a file is missing. No tower is loaded, and onnxruntime neither.

    `cache`: a folder for digests of files and compiled tokenizers; without one they are made again each time.
    """
    for path in (files.pictures, files.texts, files.tokenizer):
        if not path.is_file():
            raise ModelError(
                f"`{name}` lacks its file `{path.name}`", hint=f"`mmcli rm {name}`, then `mmcli pull {name}`"
            )
    return TowerSpace(name, files, recipe, dim, threads or onnx.all_threads(), cache)


class TowerSpace:
    """A `Space` (protocol.py): each tower is loaded when it is first used."""

    def __init__(
        self, name: str, files: TowerFiles, recipe: Recipe, dim: int, threads: int, cache: Path | None
    ) -> None:
        self.name, self.dim = name, dim
        self._files, self._recipe, self._threads, self._cache = files, recipe, threads, cache
        self._pictures: onnx.Tower | None = None
        self._texts: onnx.Tower | None = None
        self._words: TextTokens | None = None
        self._loading = threading.Lock()

    @property
    def side(self) -> int:
        return self._recipe.preparation.side

    @property
    def scale(self) -> float:
        return self._recipe.scale

    @property
    def bias(self) -> float | None:
        return self._recipe.bias

    @property
    def calibrated(self) -> bool:
        """Whether sigmoid(scale · cosine + bias) is a true probability."""
        return self._recipe.calibrated

    @property
    def runs_on(self) -> str:
        return f"CPU, {self._threads} thread{'s' if self._threads > 1 else ''}"

    @functools.cached_property
    def identity(self) -> bytes:
        whole = hashlib.sha256(b"mmcli space 1\0")
        for path in self._files.all:
            whole.update(bytes.fromhex(digest(path, self._cache)))
        whole.update(self._recipe.as_text.encode())
        return whole.digest()

    def pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        if not pictures:
            return np.empty((0, self.dim), np.float32)
        with self._loading:
            tower = self._pictures = self._pictures or onnx.Tower(self._files.pictures, self._threads)
        return self._checked(
            tower, tower.run({next(iter(tower.inputs)): prepare.batch(pictures, self._recipe.preparation)})
        )

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.empty((0, self.dim), np.float32)
        if any(not text.strip() for text in texts):
            raise UsageError("an empty text has no meaning to look for")
        with self._loading:
            words = self._words = self._words or self._tokenizer()
            tower = self._texts = self._texts or onnx.Tower(self._files.texts, self._threads)
        parts = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            ids, mask = words.rows(texts[start : start + _TEXTS_AT_ONCE])
            by_name = {name: mask if "mask" in name else ids for name in tower.inputs}
            parts.append(self._checked(tower, tower.run(by_name)))
        return np.concatenate(parts)

    def canary(self) -> NDArray[np.float32]:
        pair = np.concatenate((self.pictures([canary_picture()]), self.texts([CANARY_TEXT])))
        return onnx.unit(pair.sum(0))

    def close(self) -> None:
        self._pictures = self._texts = self._words = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _tokenizer(self) -> TextTokens:
        from mmcli.embed import merges
        from mmcli.embed.words import Reference, TextTokens

        path = self._files.tokenizer
        tables = None
        if self._cache and merges.may_be(path):
            tables = merges.compiled(path, digest(path, self._cache), self._cache)
        cutter = merges.CompiledCutter(tables, lambda: Reference(path)) if tables else Reference(path)
        return TextTokens(cutter, self._recipe.wording)

    def _checked(self, tower: onnx.Tower, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        if vectors.ndim != 2 or vectors.shape[1] != self.dim or not np.isfinite(vectors).all():
            raise ModelError(
                f"`{tower.path}` gives no vectors of {self.dim} numbers, but {' × '.join(map(str, vectors.shape))}"
                if vectors.shape[-1:] != (self.dim,)
                else f"`{tower.path}` gives vectors that are no numbers",
                hint="its entry in models.toml and its files do not belong together",
            )
        return vectors


def canary_picture() -> NDArray[np.uint8]:
    """(192, 256, 3): waves of all colours and a disc, by whole numbers alone: the same everywhere."""
    y, x = np.mgrid[0:192, 0:256]
    waves = np.stack((x, y * 4 // 3, 255 - (x + y) % 256), -1)
    disc = (x - 128) ** 2 + (y - 96) ** 2 < 60**2
    waves[disc] = (230, 20, 20)
    return waves.astype(np.uint8)


def from_folder(name: str, folder: Path, *, threads: int | None = None, cache: Path | None = None) -> TowerSpace:
    """A model that describes itself as those of immich-app do: visual/, textual/, preprocess_cfg.json, config.json.

    ModelError where the folder holds no such model. A `scale` and a `bias` in config.json are taken; else open_clip's.
    """
    files = TowerFiles(folder / "visual/model.onnx", folder / "textual/model.onnx", folder / "textual/tokenizer.json")
    how = _json(folder / "visual/preprocess_cfg.json")
    config = _json(folder / "config.json")
    try:
        recipe, dim = self_described(how, config)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"`{folder}` does not say how its pictures are prepared: {error}") from error
    return open_space(name, files, recipe, dim=dim, threads=threads, cache=cache)


def self_described(how: dict[str, Any], config: dict[str, Any]) -> tuple[Recipe, int]:
    """The recipe and the number of dimensions, told in open_clip's words; KeyError, TypeError, ValueError if not."""
    size = how["size"]
    side = int(size[0] if isinstance(size, list | tuple) else size)
    mean, std = (tuple(float(number) for number in how[key]) for key in ("mean", "std"))
    if len(mean) != 3 or len(std) != 3:
        raise ValueError("mean and std are not three numbers")
    resize, interpolation = str(how.get("resize_mode", "shortest")), str(how.get("interpolation", "bicubic"))
    text = config["text_cfg"]
    if not isinstance(text, dict):
        raise TypeError("text_cfg is not a table")
    clean = (text.get("tokenizer_kwargs") or {}).get("clean") == "canonicalize"
    is_sigmoid = config.get("init_logit_bias") is not None or "siglip" in str(text.get("hf_tokenizer_name", "")).lower()
    wording = Wording(int(text.get("context_length", 77)), int(text.get("pad_id", 0)), clean)
    bias = float(config.get("bias", config["init_logit_bias"])) if config.get("init_logit_bias") is not None else None
    scale = float(config.get("scale", 112.0 if is_sigmoid else 100.0))
    return Recipe(Preparation(side, resize, interpolation, mean, std), wording, scale, bias), int(config["embed_dim"])


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read `{path}`: {error}") from error
    if not isinstance(found, dict):
        raise ModelError(f"`{path}` is not a table")
    return found


def digest(path: Path, cache: Path | None) -> str:
    """SHA-256 of a file as hex; a file of the Hub's cache is named by it, others are remembered by size and time."""
    real = path.resolve()
    if _DIGEST.fullmatch(real.name):
        return real.name
    status = real.stat()
    key = hashlib.sha256(f"{real}\0{status.st_size}\0{status.st_mtime_ns}".encode()).hexdigest()
    memo = cache / "digests" / key if cache else None
    if memo and memo.is_file() and _DIGEST.fullmatch(known := memo.read_text("ascii", errors="replace")):
        return known
    with real.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if memo and status.st_size > 1_000_000:
        with contextlib.suppress(OSError):  # it is counted again the next time
            safe_files.private_folder(memo.parent)
            safe_files.cache(memo, found.encode())
    return found
