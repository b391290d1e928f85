"""What nobody vouched for is recorded when it first comes, and compared from then on: the real client, a local Hub."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mmcli import models
from mmcli.models import pinned_hashes
from mmcli.models.hub import Remote
from tests import random_llava
from tests.conftest import Completed, Run
from tests.hub import COMMIT, Hub

REPO = "tests/Tiny-GGUF"
WEIGHTS, PROJECTOR = "Tiny-Q8_0.gguf", "mmproj-Tiny-F16.gguf"
OTHER = "f" * 40


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("files")
    weights, projector = random_llava.write(folder, "tiny")
    return weights.rename(folder / WEIGHTS), projector.rename(folder / PROJECTOR)


@pytest.fixture
def hub(pair: tuple[Path, Path]) -> Iterator[Hub]:
    with Hub() as running:
        running.add(REPO, *pair)
        yield running


@pytest.fixture
def run(mmcli: Run, hub: Hub, tmp_path: Path) -> Run:
    """Run any mmcli command against the local Hub; `cache` names another Hugging Face cache than the usual one."""

    def run(*arguments: str | Path, cache: str = "hf", env: dict[str, str] | None = None, **how: Any) -> Completed:
        given = hub.environment(tmp_path / cache) | {"MMCLI_DATA_DIR": str(tmp_path / "data")} | (env or {})
        return mmcli(*arguments, env=given, **how)

    return run


@pytest.fixture
def kept(tmp_path: Path) -> Callable[[], dict[str, dict[str, Any]]]:
    """The records by file."""

    def kept() -> dict[str, dict[str, Any]]:
        path = tmp_path / "data" / "fetched.json"
        return {row["file"]: row for row in json.loads(path.read_text())["files"]} if path.exists() else {}

    return kept


Kept = Callable[[], dict[str, dict[str, Any]]]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def change(hub: Hub, file: str, data: bytes | None = None, repo: str = REPO) -> None:
    """Let the Hub have another file under the same name; of the same size, where nothing else is said."""
    files = hub.repos[repo].files
    files[file] = files[file][:-4] + b"evil" if data is None else data


def own_entry(home: Path, more: str = "") -> None:
    path = home / "config" / "mmcli" / "models.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'[toy]\nabout = "mine"\nrepo = "{REPO}"\nlicence = "MIT"\nsees = true\n'
        f'weights = {{ file = "{WEIGHTS}" {more} }}\nprojector = {{ file = "{PROJECTOR}" }}\n'
    )


# recording


def test_the_first_fetch_records_size_hash_and_commit(run: Run, kept: Kept, pair: tuple[Path, Path]) -> None:
    assert run("pull", REPO).status == 0
    for path in pair:
        row = kept()[path.name]
        assert (row["repo"], row["revision"], row["commit"]) == (REPO, "main", COMMIT)
        assert (row["bytes"], row["sha256"]) == (path.stat().st_size, sha256(path.read_bytes()))


def test_what_the_catalogue_pins_by_its_hash_needs_no_record(
    run: Run, kept: Kept, home: Path, pair: tuple[Path, Path]
) -> None:
    own_entry(home, f', sha256 = "{sha256(pair[0].read_bytes())}"')
    assert run("pull", "toy").status == 0
    assert set(kept()) == {PROJECTOR}


def test_a_small_file_that_the_hub_keeps_in_git_is_recorded_by_its_sha256_too(run: Run, hub: Hub, kept: Kept) -> None:
    names = {"model.bin": b"m" * 500, "config.json": b"{}", "tokenizer.json": b"{ }", "vocabulary.txt": b"a\nb\n"}
    hub.add("tests/speech", in_git=frozenset(names) - {"model.bin"}).files = dict(names)
    assert run("pull", "tests/speech").status == 0
    assert {name: row["sha256"] for name, row in kept().items()} == {name: sha256(d) for name, d in names.items()}
    change(hub, "vocabulary.txt", b"a\nc\n", repo="tests/speech")
    done = run("pull", "tests/speech", cache="empty")
    assert (done.status, "`vocabulary.txt` of `tests/speech` changed" in done.stderr) == (5, True)
    assert "Git's hash" in done.stderr


# comparing


@pytest.mark.parametrize("commit", [COMMIT, OTHER])
def test_a_file_that_changed_under_the_same_name_is_told_before_a_byte_comes(
    run: Run, hub: Hub, kept: Kept, commit: str
) -> None:
    assert run("pull", REPO).status == 0
    before = kept()
    change(hub, PROJECTOR)
    hub.repos[REPO].commit = commit
    hub.log.clear()
    done = run("pull", REPO, "--yes", cache="empty")
    assert (done.status, done.stdout) == (5, "")
    old, new = before[PROJECTOR]["sha256"], sha256(hub.repos[REPO].files[PROJECTOR])
    for word in (f"`{PROJECTOR}` of `{REPO}` changed", old[:12], new[:12], COMMIT[:8], before[PROJECTOR]["fetched"]):
        assert word in done.stderr
    assert f"`mmcli pull {REPO} --accept-changed`" in done.stderr
    assert hub.sent == 0 and kept() == before
    told = run("ask", "What?", "-m", REPO, "--yes", "--json", cache="empty")
    assert (told.status, told.json_error["code"]) == (5, "network")
    accepted = run("pull", REPO, "--accept-changed", cache="empty")
    assert accepted.status == 0 and "which is accepted" in accepted.stderr
    assert kept()[PROJECTOR]["sha256"] == new and kept()[WEIGHTS] == before[WEIGHTS]
    assert run("pull", REPO, cache="another").status == 0  # from now on this is what it must be


def test_another_size_is_told_in_bytes(run: Run, hub: Hub, pair: tuple[Path, Path]) -> None:
    assert run("pull", REPO).status == 0
    change(hub, WEIGHTS, hub.repos[REPO].files[WEIGHTS] + b"\0")
    n_bytes = pair[0].stat().st_size
    done = run("pull", REPO, cache="empty")
    assert (done.status, f"it had {n_bytes} bytes, now it has {n_bytes + 1}" in done.stderr) == (5, True)


def test_other_weights_of_the_same_repository_do_not_bring_a_changed_projector(
    run: Run, hub: Hub, kept: Kept, pair: tuple[Path, Path]
) -> None:
    assert run("pull", REPO).status == 0
    change(hub, PROJECTOR)
    hub.repos[REPO].files["Tiny-Q4_0.gguf"] = pair[0].read_bytes()
    hub.repos[REPO].commit = OTHER
    assert run("pull", f"{REPO}:Q4_0").status == 5
    assert run("pull", f"{REPO}:Q4_0", "--accept-changed").status == 0
    assert set(kept()) == {WEIGHTS, PROJECTOR, "Tiny-Q4_0.gguf"}


def test_an_accepted_file_takes_the_place_of_the_one_before_under_the_same_commit(
    run: Run, hub: Hub, tmp_path: Path
) -> None:
    assert run("pull", REPO).status == 0
    change(hub, PROJECTOR)
    (snapshot,) = (tmp_path / "hf").glob("hub/models--*/snapshots/*")
    (snapshot / WEIGHTS).unlink()  # so that there is something to fetch
    done = run("pull", REPO, "--accept-changed", "--json")
    assert done.status == 0
    assert Path(done.json[0]["projector"]).read_bytes() == hub.repos[REPO].files[PROJECTOR]


def test_a_record_says_how_large_a_whole_file_is(run: Run, hub: Hub, tmp_path: Path, two: Path) -> None:
    assert run("pull", REPO).status == 0
    (snapshot,) = (tmp_path / "hf").glob("hub/models--*/snapshots/*")
    blob = (snapshot / WEIGHTS).resolve()
    blob.write_bytes(blob.read_bytes()[:-1000])
    assert run("show", REPO, "--json").json["here"] is False
    hub.log.clear()
    assert run("ask", two, "What?", "-m", REPO, "--max-tokens", "2", "--yes").status == 0
    assert hub.sent == len(hub.repos[REPO].files[WEIGHTS])


# told and forgotten


def test_show_tells_the_record_and_whether_the_file_is_still_the_same(run: Run, hub: Hub, tmp_path: Path) -> None:
    assert run("show", REPO, "--json").json["recorded"] == []
    assert run("pull", REPO).status == 0
    rows = {row["file"]: row for row in run("show", REPO, "--json").json["recorded"]}
    assert set(rows) == {WEIGHTS, PROJECTOR}
    assert all(row["unchanged"] is True and len(row["sha256"]) == 64 for row in rows.values())
    assert f"{WEIGHTS}: {rows[WEIGHTS]['bytes']} bytes, SHA-256 {rows[WEIGHTS]['sha256']}" in run("show", REPO).stdout
    assert [row["unchanged"] for row in run("show", REPO, "--json", cache="empty").json["recorded"]] == [None, None]
    # another program fetched what the Hub has by now
    change(hub, PROJECTOR)
    (snapshot,) = (tmp_path / "hf").glob("hub/models--*/snapshots/*")
    data = hub.repos[REPO].files[PROJECTOR]
    blob = snapshot.parents[1] / "blobs" / sha256(data)
    blob.write_bytes(data)
    (snapshot / PROJECTOR).unlink()
    (snapshot / PROJECTOR).symlink_to(blob)
    rows = {row["file"]: row["unchanged"] for row in run("show", REPO, "--json").json["recorded"]}
    assert rows == {WEIGHTS: True, PROJECTOR: False}
    assert "the file here now is a different one" in run("show", REPO).stdout


def test_rm_forgets_what_was_recorded(run: Run, hub: Hub, kept: Kept, tmp_path: Path) -> None:
    assert run("pull", REPO).status == 0
    assert run("rm", REPO, "--yes").status == 0
    assert kept() == {}
    assert run("pull", REPO).status == 0
    (snapshot,) = (tmp_path / "hf").glob("hub/models--*/snapshots/*")
    (snapshot / PROJECTOR).unlink()
    assert run("rm", REPO, "--yes").status == 0  # of what is left of it
    assert kept() == {}
    change(hub, PROJECTOR)
    assert run("pull", REPO).status == 0


def test_sizes_that_were_recorded_stand_where_the_catalogue_has_none(
    run: Run, home: Path, tmp_path: Path, pair: tuple[Path, Path]
) -> None:
    own_entry(home)
    row = next(row for row in run("models", "--json").json if row["name"] == "toy")
    assert (row["size_gb"], row["fits"]) == (None, None)
    assert run("pull", "toy").status == 0
    (snapshot,) = (tmp_path / "hf").glob("hub/models--*/snapshots/*")
    for file, from_headers in ((PROJECTOR, True), (WEIGHTS, False)):  # by the header of weights that are still here
        (snapshot / file).unlink()
        told = run("show", "toy", "--json").json
        assert told["here"] is False and told["needs"]["from_headers"] is from_headers
        assert (told["needs"]["weights"], told["needs"]["projector"]) == tuple(path.stat().st_size for path in pair)
    row = next(row for row in run("models", "--json").json if row["name"] == "toy")
    assert row["fits"] is not None and row["needs_bytes"] > sum(path.stat().st_size for path in pair)


# what can happen to the file


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1, "files": [{"repo": 3}]}', '{"version": 9, "files": []}']
)
def test_a_damaged_record_is_told_and_set_aside(run: Run, kept: Kept, tmp_path: Path, text: str) -> None:
    for count in (1, 2):
        file = tmp_path / "data" / "fetched.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        done = run("pull", REPO, cache=f"hf{count}")
        assert done.status == 0
        assert "warning: " in done.stderr and f"fetched-damaged-{count}.json" in done.stderr
        assert (file.parent / f"fetched-damaged-{count}.json").read_text() == text
        assert set(kept()) == {WEIGHTS, PROJECTOR}
    assert run("show", REPO).status == 0


def test_a_record_that_cannot_be_written_does_not_spoil_the_download(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data" / "fetched.lock").mkdir(parents=True)  # a folder where a file should be
    done = run("pull", REPO)
    assert (done.status, "what came is not recorded" in done.stderr) == (0, True)
    assert run("ask", "What?", "-m", REPO, "--max-tokens", "2").status == 0


def test_processes_that_record_at_once_lose_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    code = (
        "import sys; from pathlib import Path; from mmcli.models import pinned_hashes\n"
        "from mmcli.models.hub import Remote\n"
        "for i in range(12):\n"
        "    pinned_hashes.keep(Remote('a/b', 'main', '1' * 40, f'{sys.argv[1]}-{i}', 5, 'a' * 64), Path('x'))\n"
        "    if i % 3 == 2: pinned_hashes.forget('a/b', 'main', [f'{sys.argv[1]}-{i}'])"
    )
    env = environment | {"MMCLI_DATA_DIR": str(tmp_path)}
    running = [subprocess.Popen([sys.executable, "-c", code, str(who)], env=env) for who in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    rows = json.loads((tmp_path / "fetched.json").read_text())["files"]
    assert sorted(row["file"] for row in rows) == sorted(f"{w}-{i}" for w in range(3) for i in range(12) if i % 3 != 2)
    assert not list(tmp_path.glob("*.tmp"))


def test_a_mirror_that_names_files_otherwise_is_compared_by_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMCLI_DATA_DIR", str(tmp_path / "data"))
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    pinned_hashes.keep(Remote("a/b", "main", COMMIT, "x", 5, "one-name"), path)
    again = Remote("a/b", "main", COMMIT, "x", 5, "another-name")
    assert pinned_hashes.check(again) is None  # the names tell nothing, and the size is the same
    assert pinned_hashes.check_bytes(again, path) is None
    path.write_bytes(b"Hello")
    assert "SHA-256" in (pinned_hashes.check_bytes(again, path) or "")


def test_the_record_of_another_revision_is_another_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMCLI_DATA_DIR", str(tmp_path))
    pinned_hashes.keep(Remote("a/b", "main", COMMIT, "x", 5, "a" * 64), tmp_path)
    assert pinned_hashes.check(Remote("a/b", COMMIT, COMMIT, "x", 6, "b" * 64)) is None
    assert pinned_hashes.check(Remote("a/b", "main", COMMIT, "x", 6, "b" * 64)) is not None
    assert models.records(models.find("a/b"), "a/b")[0][0].sha256 == "a" * 64
