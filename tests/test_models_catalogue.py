"""models.toml: every entry keeps its schema, and a person's own are checked as strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmcli import models
from mmcli.errors import ModelError, UsageError
from mmcli.models import catalogue
from tests import tables

GOOD: dict[str, Any] = {
    "about": "a model",
    "repo": "org/name",
    "weights": {"file": "a.gguf"},
    "licence": "MIT",
}


@pytest.mark.parametrize("name", catalogue.load())
def test_every_entry_of_the_catalogue_is_whole(name: str) -> None:
    entry = catalogue.load()[name]
    assert not entry.about.endswith(".") and len(entry.about) <= 80
    assert (entry.sees or entry.hears) != entry.speaks
    assert entry.speaks or not entry.needs_voice
    assert entry.projector is not None and entry.projector != entry.weights
    for file in entry.files:  # a hash without its revision would break with the next upload; without its size, too
        assert file.sha256 is None or (file.bytes is not None and entry.revision is not None)


def test_the_catalogue_reaches_from_small_to_large_and_has_every_kind() -> None:
    entries = catalogue.load()
    sizes = [entry.parameters for entry in entries.values() if entry.parameters and not entry.builtin]
    assert min(sizes) <= 256 and max(sizes) >= 12_000
    assert any(name.startswith("llava") for name in entries)
    assert any(entry.prompts for entry in entries.values())  # those that only read pages
    assert any(entry.hears for entry in entries.values())
    assert any(entry.speaks and not entry.needs_voice for entry in entries.values())


def test_a_good_table_is_an_entry() -> None:
    entry = catalogue.parse("mine", {**GOOD, "sampling": {"temperature": 0.1, "top_k": 0}})
    assert (entry.repo, entry.weights.file, entry.n_bytes, entry.abilities) == ("org/name", "a.gguf", None, ())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"abuot": "typo"}, "abuot"),
        ({"about": 3}, "about"),
        ({"about": " "}, "about"),
        ({"repo": "no-slash"}, "repo"),
        ({"repo": "../../etc/passwd"}, "repo"),
        ({"revision": "main"}, "revision"),
        ({"weights": "a.gguf"}, "weights"),
        ({"weights": {"file": "../a.gguf"}}, "weights"),
        ({"weights": {"file": "/a.gguf"}}, "weights"),
        ({"weights": {"file": "a.bin"}}, "weights"),
        ({"weights": {"file": "a.gguf", "bytes": -1}}, "bytes"),
        ({"weights": {"file": "a.gguf", "sha256": "abc"}}, "sha256"),
        ({"sees": True}, "projector"),
        ({"sees": "yes"}, "sees"),
        ({"context": True}, "context"),
        ({"kv_bytes": 1.5}, "kv_bytes"),
        ({"weights": {"file": "a-00002-of-00003.gguf"}}, "first of its parts"),
        ({"sampling": {"heat": 1}}, "heat"),
        ({"sampling": {"temperature": "warm"}}, "temperature"),
        ({"sampling": {"temperature": float("nan")}}, "temperature"),
        ({"sampling": {"top_k": 0.5}}, "top_k"),
        ({"prompts": "OCR:"}, "prompts"),
        ({"builtin": True}, "built in"),
    ],
)
def test_a_table_that_breaks_the_schema_is_told_what_is_wrong(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        catalogue.parse("mine", {**GOOD, **change})


@pytest.mark.parametrize("missing", ["about", "weights", "licence", "repo"])
def test_a_table_without_what_every_model_has_is_refused(missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        catalogue.parse("mine", {key: value for key, value in GOOD.items() if key != missing})


def test_a_person_s_own_file_with_a_mistake_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCLI_CONFIG", str(tmp_path / "config.toml"))
    for text, words in (("[mine]\nabout = 1", "mine"), ("[mine", "TOML")):
        (tmp_path / "models.toml").write_text(text)
        catalogue.load.cache_clear()
        with pytest.raises(UsageError, match=f"models.toml.*{words}"):
            catalogue.load()
    (tmp_path / "models.toml").unlink()
    catalogue.load.cache_clear()


def test_a_name_may_be_shortened_while_it_is_the_only_one() -> None:
    found = models.find("GLM")
    assert found.name == "glm-ocr"
    with pytest.raises(ModelError) as caught:
        models.find("llava-1")
    assert "`llava-1.5-7b`" in (caught.value.hint or "") and "`llava-1.6-mistral-7b`" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("memory", "name"), [(1, "qwen3.5-0.8b"), (4_000_000_000, "qwen3-vl-2b"), (10**12, "qwen3-vl-4b")]
)
def test_the_default_is_the_largest_that_fits_the_memory(
    memory: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert models.default(models.Room(memory)) == name


def test_a_default_that_is_here_is_taken_before_one_to_fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    entry = catalogue.load()["qwen3-vl-2b"]
    folder = tmp_path / "hub" / "models--Qwen--Qwen3-VL-2B-Instruct-GGUF" / "snapshots" / str(entry.revision)
    folder.mkdir(parents=True)
    for file in entry.files:
        with (folder / file.file).open("wb") as out:
            out.truncate(file.bytes)  # a hole: it takes no space
    assert models.installed("qwen3-vl-2b")
    assert models.default(models.Room(10**12)) == models.default(models.Room(1)) == "qwen3-vl-2b"
    with (folder / entry.weights.file).open("wb") as out:
        out.truncate(1000)
    assert not models.installed("qwen3-vl-2b")


@pytest.mark.parametrize("page", tables.TABLES, ids=lambda page: page.name)
def test_a_page_s_table_of_models_is_made_from_the_catalogue(page: Path) -> None:
    assert page.read_text("utf-8") == tables.rewritten(page), "python -m tests.tables writes it"


def test_a_name_with_a_dot_that_lacks_its_quotes_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('[qwen3.5-0.8b]\nabout = "mine"\n')
    with pytest.raises(UsageError, match=r'a name with a dot goes in quotes: \["qwen3\.5-0\.8b"\]'):
        catalogue.parse_all(path, catalogue.tables(path), catalogue.parse)
