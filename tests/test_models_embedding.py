"""Embedding models: their entries in models.toml, finding, fetching and removing them, and what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmcli import models
from mmcli.errors import ModelError
from mmcli.models import embedding
from tests import towers
from tests.conftest import Completed, Run
from tests.hub import COMMIT, Hub, Repo

FAMILY, PLAIN = "immich-app/Toy-B-16", "tests/toy-ONNX"
GOOD: dict[str, Any] = {
    "about": "a model",
    "repo": "org/name",
    "licence": "MIT",
    "pictures": {"file": "onnx/vision.onnx", "bytes": 10},
    "texts": {"file": "onnx/text.onnx"},
    "tokenizer": {"file": "tokenizer.json"},
    "dim": 8,
    "side": 32,
    "context": 16,
}


def read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return read(towers.write_parts(tmp_path_factory.mktemp("parts")))


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return read(towers.write_folder(tmp_path_factory.mktemp("family")))


@pytest.fixture
def hub(parts: dict[str, bytes], family: dict[str, bytes]) -> Iterator[Hub]:
    with Hub() as running:
        running.repos[PLAIN] = Repo({f"onnx/{name}": data for name, data in parts.items()} | {"README.md": b"#"})
        running.repos[FAMILY] = Repo(family | {"README.md": b"# a model"}, licence="mit")
        yield running


@pytest.fixture
def run(mmcli: Run, hub: Hub, tmp_path: Path) -> Run:
    def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Completed:
        return mmcli(*arguments, env=hub.environment(tmp_path / "hf") | (env or {}))

    return run


@pytest.fixture
def own(home: Path, parts: dict[str, bytes]) -> Path:
    """The person's own models.toml, with a `toy` that is the repository's."""
    path = home / "config" / "mmcli" / "models.toml"
    path.parent.mkdir(parents=True)

    def row(name: str) -> str:
        sha256 = hashlib.sha256(parts[name]).hexdigest()
        return f'{{ file = "onnx/{name}", bytes = {len(parts[name])}, sha256 = "{sha256}" }}'

    path.write_text(
        f'[embed.toy]\nabout = "mine"\nrepo = "{PLAIN}"\nrevision = "{COMMIT}"\nlicence = "MIT"\n'
        f"pictures = {row('vision.onnx')}\ntexts = {row('text.onnx')}\ntokenizer = {row('tokenizer.json')}\n"
        "dim = 16\nside = 32\ncontext = 16\ncanonicalise = true\n"
    )
    return path


# the catalogue


@pytest.mark.parametrize("name", embedding.load())
def test_every_embedding_model_of_the_catalogue_is_whole(name: str) -> None:
    entry = embedding.load()[name]
    assert not entry.about.endswith(".") and len(entry.about) <= 85
    assert entry.builtin or entry.revision is not None
    assert entry.languages == "many" or len(entry.languages) == 2
    assert entry.tokenizer.bytes or entry.builtin


def test_one_embedding_model_is_the_one_to_recommend() -> None:
    (name,) = (name for name, entry in embedding.load().items() if entry.default)
    assert name == "siglip2-b32" and embedding.load()[name].languages == "many"


def test_the_page_about_models_shows_the_embedding_models_as_they_are() -> None:
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
    for name, entry in embedding.load().items():
        row = f"| {entry.dim} | {entry.languages} | {entry.licence} | {entry.about} |"
        assert any(line.startswith(f"| `{name}` |") and line.endswith(row) for line in page.splitlines()), name


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"weights": {"file": "a.gguf"}}, "weights"),
        ({"pictures": {"file": "a.gguf"}}, "pictures"),
        ({"texts": {"file": "onnx/vision.onnx"}}, "twice"),
        ({"others": [{"file": "../x.onnx_data"}]}, "others"),
        ({"dim": 0}, "dim"),
        ({"resize": "stretch"}, "resize"),
        ({"mean": [0.5, 0.5]}, "mean"),
        ({"std": [0.5, 0, 0.5]}, "std"),
        ({"ground": [300, 0, 0]}, "ground"),
        ({"canonicalise": 1}, "canonicalise"),
        ({"builtin": True}, "built in"),
    ],
)
def test_a_table_that_breaks_the_schema_is_told_what_is_wrong(change: dict[str, Any], word: str) -> None:
    assert embedding.parse("mine", GOOD).pictures.bytes == 10
    with pytest.raises(ValueError, match=word):
        embedding.parse("mine", {**GOOD, **change})


# finding and fetching


def test_a_pulled_model_is_found_without_a_connection_and_removed(run: Run, hub: Hub, own: Path) -> None:
    done = run("pull", "toy", "--json")
    assert done.status == 0, done.stderr
    folder = Path(done.json[0]["weights"]).parents[1]
    assert set(read(folder)) == {"onnx/vision.onnx", "onnx/text.onnx", "onnx/tokenizer.json"}
    hub.log.clear()
    assert "already" in run("pull", "toy").stderr
    listed = {row["name"]: row for row in run("models", "embedding", "--json").json}
    assert listed["toy"]["here"] and listed["toy"]["chosen"] and not listed["siglip2-b32"]["here"]
    shown = run("show", "toy", "--json").json
    assert (shown["folder"], shown["embedding_length"], shown["abilities"]) == (str(folder), 16, ["embedding"])
    assert hub.log == []
    assert run("rm", "toy", "--yes").status == 0 and not folder.exists()


@pytest.mark.parametrize("name", [FAMILY, f"hf:{FAMILY}"])
def test_a_repository_that_describes_itself_is_fetched_as_one(run: Run, hub: Hub, name: str) -> None:
    assert run("pull", name).status == 0
    hub.log.clear()
    again = run("pull", name)
    assert (again.status, "already" in again.stderr, hub.log) == (0, True, [])
    assert run("show", name, "--json").json["here"] is True
    assert run("rm", name, "--yes").status == 0


def test_another_repository_of_that_owner_is_refused_by_what_it_lacks(run: Run, hub: Hub) -> None:
    hub.repos["immich-app/faces"] = Repo({"recognition/model.onnx": b"x"})
    done = run("pull", "immich-app/faces")
    assert done.status == 4 and "holds no embedding model" in done.stderr


def test_a_changed_file_is_refused(run: Run, hub: Hub, own: Path) -> None:
    hub.repos[PLAIN].files["onnx/text.onnx"] += b"more"
    done = run("pull", "toy")
    assert done.status == 4 and "not the file the catalogue knows" in done.stderr


def test_offline_and_not_here_is_told(run: Run) -> None:
    done = run("classify", "x.png", "--by", "embedding", "--labels", "a,b", "-m", "siglip2-b32", "--offline", "-y")
    assert done.status in (3, 5)
    assert run("pull", "siglip2-b32", "--offline").status == 5


@pytest.mark.parametrize(("name", "words"), [("whisper-small", "no embedding model"), ("siglip3", "siglip2-b32")])
def test_another_kind_of_model_or_an_unknown_name_is_refused(name: str, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        models.find_embedding(name)
    assert words in f"{caught.value.message} {caught.value.hint}"


def test_an_embedding_model_answers_nothing() -> None:
    with pytest.raises(ModelError, match="cannot answer"):
        models.find("siglip2-b32")


def test_without_a_name_the_built_in_one_is_taken() -> None:
    found = models.find_embedding()
    assert isinstance(found, models.EmbeddingModel) and found.entry is not None


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    folder = towers.write_folder(tmp_path / "mine")
    found = models.find_embedding(str(folder))
    assert isinstance(found, models.EmbeddingModel) and found.entry is None and found.n_bytes > 1000
    assert models.find_any(str(folder)) == found
