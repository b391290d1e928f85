"""Speech models: their entries in models.toml, finding and fetching them, and what is said where one cannot serve."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmcli import main, models
from mmcli.commands import show as show_command
from mmcli.errors import ModelError
from mmcli.models import speech
from tests.conftest import STARTER, Completed, Run
from tests.hub import COMMIT, Hub, Repo

REPO = "tests/faster-whisper-toy"
FILES = {
    "model.bin": bytes(range(256)) * 1000,
    "config.json": b'{"suppress_ids": []}',
    "tokenizer.json": b'{"version": "1.0"}',
    "vocabulary.txt": b"<|endoftext|>\n",
}
GOOD: dict[str, Any] = {
    "about": "a model",
    "repo": "org/name",
    "licence": "MIT",
    "files": [{"file": "model.bin", "bytes": 10}, {"file": "config.json"}],
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as running:
        in_git = frozenset(FILES) - {"model.bin"}
        running.repos[REPO] = Repo(dict(FILES) | {"README.md": b"# a model"}, in_git=in_git, licence="mit")
        yield running


@pytest.fixture
def run(mmcli: Run, hub: Hub, tmp_path: Path) -> Run:
    def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Completed:
        return mmcli(*arguments, env=hub.environment(tmp_path / "hf") | (env or {}))

    return run


@pytest.fixture
def own(home: Path) -> Path:
    """The person's own models.toml, with a `toy` that is the repository's."""
    path = home / "config" / "mmcli" / "models.toml"
    path.parent.mkdir(parents=True)
    sha256 = hashlib.sha256(FILES["model.bin"]).hexdigest()
    rows = [f'{{ file = "{name}", bytes = {len(data)} }}' for name, data in FILES.items()]
    rows[0] = rows[0].replace(" }", f', sha256 = "{sha256}" }}')
    path.write_text(
        f'[speech.whisper-toy]\nabout = "mine"\nrepo = "{REPO}"\nrevision = "{COMMIT}"\nlicence = "MIT"\n'
        f'languages = "en"\nfiles = [{", ".join(rows)}]\n'
    )
    return path


# the catalogue


@pytest.mark.parametrize("name", speech.load())
def test_every_speech_model_of_the_catalogue_is_whole(name: str) -> None:
    entry = speech.load()[name]
    assert not entry.about.endswith(".") and len(entry.about) <= 80
    assert entry.revision is not None and entry.n_bytes
    assert speech.is_one(file.file for file in entry.files)
    assert entry.files[0].file == "model.bin" and entry.files[0].sha256
    assert entry.languages == "many" or len(entry.languages) == 2


def test_exactly_one_speech_model_is_the_default_and_it_knows_many_languages() -> None:
    (default,) = (entry for entry in speech.load().values() if entry.default)
    assert default.languages == "many"


def test_the_page_about_models_shows_the_speech_models_as_they_are() -> None:
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
    for name, entry in speech.load().items():
        size = f"{(entry.n_bytes or 0) / 1e9:.2f} GB"
        assert f"| `{name}` | {size} | {entry.languages} | {entry.licence} | {entry.about} |" in page.splitlines()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"weights": {"file": "a.gguf"}}, "weights"),
        ({"files": []}, "files"),
        ({"files": ["model.bin"]}, "files"),
        ({"files": [{"file": "config.json"}]}, "model.bin"),
        ({"files": [{"file": "model.bin"}, {"file": "model.bin"}]}, "twice"),
        ({"files": [{"file": "model.bin"}, {"file": "../config.json"}]}, "not a file name"),
        ({"files": [{"file": "model.bin", "sha256": "12"}]}, "sha256"),
        ({"languages": 3}, "languages"),
        ({"sees": True}, "sees"),
        ({"repo": "no-slash"}, "repo"),
    ],
)
def test_a_table_that_breaks_the_schema_is_told_what_is_wrong(change: dict[str, Any], word: str) -> None:
    assert speech.parse("mine", GOOD).files[0].bytes == 10
    with pytest.raises(ValueError, match=word):
        speech.parse("mine", {**GOOD, **change})


def test_a_mistake_in_one_s_own_entry_names_file_and_table(run: Run, own: Path) -> None:
    own.write_text(own.read_text().replace("about", "abuot"))
    done = run("models")
    assert (done.status, done.stdout) == (2, "")
    assert "[speech.whisper-toy]" in done.stderr and "`abuot`" in done.stderr


# finding and fetching


def test_a_pulled_speech_model_is_a_folder_found_without_a_connection(run: Run, hub: Hub, own: Path) -> None:
    done = run("pull", "whisper-toy", "--json")
    assert done.status == 0, done.stderr
    folder = Path(done.json[0]["weights"]).parent
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES  # and no README.md
    assert hub.sent == sum(map(len, FILES.values()))
    hub.log.clear()
    assert "already" in run("pull", "toy").stderr
    listed = {row["name"]: row for row in run("models", "--json").json}
    assert listed["whisper-toy"]["here"] is True and listed["whisper-toy"]["abilities"] == "speech"
    assert listed["whisper-small"]["here"] is False
    assert run("show", "whisper-toy", "--json").json["folder"] == str(folder)
    assert hub.log == []


def test_a_repository_of_a_speech_model_is_fetched_as_one(run: Run, hub: Hub, tmp_path: Path) -> None:
    assert run("pull", REPO).status == 0
    hub.log.clear()
    again = run("pull", REPO)
    assert (again.status, "already" in again.stderr, hub.log) == (0, True, [])


def test_small_files_are_checked_by_the_hash_that_git_gives_them(run: Run, hub: Hub) -> None:
    data = FILES["model.bin"]
    hub.repos[REPO].files = {"model.bin": data, **{name: data for name in FILES if name != "model.bin"}}
    hub.faults.flip_a_byte = True
    hub.repos[REPO].in_git = frozenset(FILES)
    done = run("pull", REPO)
    assert (done.status, "Git hash" in done.stderr) == (5, True)
    hub.faults.flip_a_byte = False
    assert run("pull", REPO).status == 0


@pytest.mark.parametrize("name", ["whisper-tiny", "whisper-t", "small", "distil-large-v3.5"])
def test_asking_a_speech_model_is_told_in_one_sentence(run: Run, hub: Hub, name: str) -> None:
    done = run("ask", "What?", "-m", name, "--yes")
    assert (done.status, done.stdout, hub.log) == (4, "", [])
    assert "transcribes speech" in done.stderr.splitlines()[0]


def test_without_a_name_the_default_is_taken_then_what_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    wanted = models.find_speech()
    assert isinstance(wanted, models.WantedSpeech) and wanted.name == "whisper-small"
    _pretend(tmp_path, "distil-large-v3.5")
    _pretend(tmp_path, "whisper-tiny")
    assert models.find_speech().name == "whisper-tiny"  # of all languages, before a larger one of one
    _pretend(tmp_path, "whisper-small")
    found = models.find_speech()
    assert isinstance(found, models.SpeechModel) and found.name == "whisper-small"
    assert (found.folder / "tokenizer.json").exists()


def test_a_folder_is_a_speech_model_if_it_holds_one(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    found = models.find_speech(str(folder))
    assert isinstance(found, models.SpeechModel) and (found.name, found.folder) == ("mine", folder)
    (folder / "tokenizer.json").unlink()  # without it faster-whisper would fetch one
    with pytest.raises(ModelError, match="`tokenizer.json` missing"):
        models.find_speech(str(folder))


def test_the_starter_speech_model_is_found_where_it_ships() -> None:
    found = models.find_speech("starter")
    assert isinstance(found, speech.SpeechModel) and found.folder == STARTER / "speech"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("whisper-smal1", "no speech model named"),
        ("", "no speech model"),
        ("whisper-large", "one of 2"),
    ],
)
def test_what_is_no_speech_model_is_told(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        models.find_speech(name)
    assert caught.value.hint


def _pretend(home: Path, name: str) -> None:
    """Holes of the right sizes where the Hub's cache would have the files: they take no space."""
    entry = speech.load()[name]
    folder = home / "hub" / ("models--" + entry.repo.replace("/", "--")) / "snapshots" / str(entry.revision)
    folder.mkdir(parents=True)
    for file in entry.files:
        with (folder / file.file).open("wb") as out:
            out.truncate(file.bytes)


def test_the_built_in_one_is_found_and_listed_only_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(speech, "STARTER", tmp_path / "speech")
    with pytest.raises(ModelError, match="no starter speech model"):
        models.find_speech("starter")
    assert main.run(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["abilities"] for row in listed if row["name"] == "starter"] == ["image", "embedding"]
    speech.STARTER.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (speech.STARTER / name).write_bytes(bytes(500_000))
    assert models.find_speech("starter") == models.SpeechModel("starter", speech.STARTER)
    assert main.run(["models", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(row["abilities"], row["here"]) for row in listed if row["name"] == "starter"] == [
        ("image", True),
        ("speech", True),
        ("embedding", True),
    ]
    assert [row["size_gb"] for row in listed if row["name"] == "starter"][1] == 0.002
    show_command.show("starter", json=True)
    assert json.loads(capsys.readouterr().out)["speech_model"] == str(speech.STARTER)


# by path


def test_a_speech_model_s_folder_is_shown_by_its_path(mmcli: Run, speech_model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(speech_model)
    names = (str(speech_model), "mine", "./mine", "mine/model.bin", str(speech_model / "model.bin"))
    for name in names:
        told = mmcli("show", name, "--json").json
        assert (told["here"], told["abilities"]) == (True, ["speech"])
        assert (tmp_path / told["weights"]).resolve() == (speech_model / "model.bin").resolve()
        assert told["size_gb"] > 0 and told["languages"] in ("en", "many")
    assert mmcli("show", "mine").stdout.startswith("name                mine\n")


def test_a_folder_that_holds_none_is_told_as_such(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = mmcli("show", "./empty")
    assert (done.status, done.stdout) == (4, "")
    assert "holds no speech model: `model.bin`" in done.stderr


@pytest.mark.parametrize(("n_words", "languages"), [(51_864, "en"), (51_865, "many"), (51_866, "many")])
def test_the_vocabulary_tells_whether_it_knows_many_languages(tmp_path: Path, n_words: int, languages: str) -> None:
    found = models.SpeechModel("x", tmp_path)
    assert found.languages is None
    (tmp_path / "vocabulary.txt").write_text("word\n" * n_words)
    assert found.languages == languages
    (tmp_path / "vocabulary.json").write_text(json.dumps(["word"] * n_words))
    assert found.languages == languages
    (tmp_path / "vocabulary.json").write_text("[" * 5000)
    assert found.languages is None
