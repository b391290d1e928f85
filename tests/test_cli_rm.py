"""`mmcli rm`: what goes, what stays, and what is said about it. The real cache of huggingface_hub, filled by `pull`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests import random_llava
from tests.conftest import Completed, Run
from tests.hub import COMMIT, Hub, Repo

REPO = "tests/Tiny-GGUF"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A repository with two quantizations and one projector."""
    weights, projector = random_llava.write(tmp_path_factory.mktemp("files"), "tiny")
    data = weights.read_bytes()
    return {"Tiny-Q8_0.gguf": data, "Tiny-Q4_0.gguf": data + b"\0", "mmproj-Tiny-F16.gguf": projector.read_bytes()}


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    with Hub() as running:
        running.repos[REPO] = Repo(dict(files))
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "hf" / "hub"


@pytest.fixture
def run(mmcli: Run, hub: Hub, cache: Path) -> Run:
    def run(*arguments: str | Path, env: dict[str, str] | None = None) -> Completed:
        return mmcli(*arguments, env=hub.environment(cache.parent) | (env or {}))

    return run


def blobs(cache: Path) -> int:
    """Bytes in the cache, however many links lead to them."""
    return sum(path.stat().st_size for path in cache.glob("models--*/blobs/*"))


def repository(cache: Path) -> Path:
    return cache / "models--tests--Tiny-GGUF"


def test_a_model_is_removed_and_the_bytes_are_counted_as_they_are(run: Run, cache: Path, hub: Hub) -> None:
    assert run("pull", f"{REPO}:Q8_0").status == 0
    before = blobs(cache)
    done = run("rm", f"{REPO}:Q8_0", "--yes", "--json")
    assert done.status == 0, done.stderr
    assert done.json["freed_bytes"] == before > 0
    assert {Path(path).name for path in done.json["removed"][0]["files"]} == {"Tiny-Q8_0.gguf", "mmproj-Tiny-F16.gguf"}
    assert not repository(cache).exists()
    hub.log.clear()
    gone = run("ask", "What?", "-m", f"{REPO}:Q8_0")
    assert (gone.status, "not on this machine" in gone.stderr, hub.log) == (4, True, [])
    again = run("rm", f"{REPO}:Q8_0", "--yes")
    assert (again.status, "not on this machine" in again.stderr) == (4, True)


def test_removing_makes_no_connection(run: Run, hub: Hub) -> None:
    run("pull", f"{REPO}:Q8_0")
    hub.log.clear()
    assert run("rm", f"{REPO}:Q8_0", "--yes", "--offline").status == 0
    assert hub.log == []


def test_the_projector_stays_while_other_weights_need_it(run: Run, cache: Path, files: dict[str, bytes]) -> None:
    for quant in ("Q8_0", "Q4_0"):
        assert run("pull", f"{REPO}:{quant}").status == 0
    done = run("rm", f"{REPO}:Q4_0", "--yes")
    assert done.status == 0
    assert "mmproj-Tiny-F16.gguf stays" in done.stderr
    assert blobs(cache) == len(files["Tiny-Q8_0.gguf"]) + len(files["mmproj-Tiny-F16.gguf"])
    assert run("ask", "What?", "-m", f"{REPO}:Q8_0", "--max-tokens", "2").status == 0
    run("pull", f"{REPO}:Q4_0")
    both = run("rm", f"{REPO}:Q4_0", f"{REPO}:Q8_0", "--yes", "--json").json
    assert both["freed_bytes"] == sum(map(len, files.values()))  # now nobody needs it
    assert not repository(cache).exists()


def test_a_blob_that_another_revision_needs_stays(run: Run, cache: Path, hub: Hub, files: dict[str, bytes]) -> None:
    assert run("pull", f"{REPO}:Q8_0").status == 0
    hub.repos[REPO].commit = "f" * 40  # an upload later: new weights, the same projector
    hub.repos[REPO].files = files | {"Tiny-Q8_0.gguf": files["Tiny-Q8_0.gguf"] + b"\0\0"}
    (repository(cache) / "refs" / "main").unlink()
    assert run("pull", f"{REPO}:Q8_0", "--accept-changed").status == 0
    done = run("rm", f"{REPO}:Q8_0", "--yes", "--json")
    assert done.json["freed_bytes"] == len(files["Tiny-Q8_0.gguf"]) + 2
    assert blobs(cache) == len(files["Tiny-Q8_0.gguf"]) + len(files["mmproj-Tiny-F16.gguf"])
    old = repository(cache) / "snapshots" / COMMIT
    assert sorted(path.name for path in old.iterdir() if path.exists()) == ["Tiny-Q8_0.gguf", "mmproj-Tiny-F16.gguf"]
    assert not (repository(cache) / "refs" / "main").exists()  # it pointed to what is gone


def test_files_that_are_no_model_s_stay(run: Run, cache: Path) -> None:
    run("pull", f"{REPO}:Q8_0")
    other = repository(cache) / "snapshots" / COMMIT / "notes.txt"
    other.write_text("mine")
    assert run("rm", REPO, "--yes").status == 0
    assert other.read_text() == "mine"


def test_half_a_model_is_removed_too(run: Run, cache: Path, home: Path, hub: Hub) -> None:
    own = home / "config" / "mmcli" / "models.toml"
    own.parent.mkdir(parents=True)
    own.write_text(
        f'[toy]\nabout = "mine"\nrepo = "{REPO}"\nlicence = "MIT"\nsees = true\n'
        'weights = { file = "Tiny-Q8_0.gguf" }\nprojector = { file = "mmproj-Tiny-F16.gguf" }\n'
    )
    run("pull", "toy")
    (repository(cache) / "snapshots" / COMMIT / "mmproj-Tiny-F16.gguf").unlink()
    assert run("rm", "toy", "--yes").status == 0
    assert not (repository(cache) / "snapshots" / COMMIT).exists()


def test_a_speech_model_is_removed_by_its_repository(run: Run, hub: Hub, cache: Path) -> None:
    files = {name: name.encode() for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json")}
    hub.repos["tests/speech"] = Repo(files)
    assert run("pull", "tests/speech").status == 0
    assert run("rm", "tests/speech", "--yes", "--json").json["freed_bytes"] == sum(map(len, files.values()))
    assert not (cache / "models--tests--speech").exists()


def test_another_tool_s_model_is_only_forgotten(run: Run, home: Path, files: dict[str, bytes]) -> None:
    folder = home / ".lmstudio" / "models" / "a" / "b"
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    run("models", "--adopt")
    done = run("rm", "tiny-q8-0", "--yes", "--json")
    assert done.json == {"removed": [], "forgotten": ["tiny-q8-0"], "freed_bytes": 0}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert run("ask", "What?", "-m", "tiny-q8-0").status == 4
    assert "tiny-q4-0" in run("models").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("rm", "mine.gguf", "--yes"), 2, "file of your own"),
        (("rm", "./mine.gguf", "--yes"), 2, "file of your own"),
        (("rm", "none.gguf", "--yes"), 2, "file of your own"),
        (("rm", "starter", "--yes"), 2, "part of mmcli"),
        (("rm", "qwen3-vl-4b", "--yes"), 4, "not on this machine"),
        (("rm", "whisper-tiny", "--yes"), 4, "not on this machine"),
        (("rm", "org/none", "--yes"), 4, "not on this machine"),
        (("rm", "qwen3-vl-4x", "--yes"), 4, "`qwen3-vl-4b`"),
        (("rm",), 2, "name the models"),
        (("rm", "qwen3-vl-4b", "--partial"), 2, "name the models"),
        (("rm", "qwen3-vl-4b"), 2, "--yes"),
        (("rm", "--partial"), 2, "--yes"),
    ],
)
def test_what_cannot_be_removed_is_told(
    run: Run, tmp_path: Path, files: dict[str, bytes], arguments: tuple[str, ...], status: int, words: str
) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(files["Tiny-Q8_0.gguf"])
    done = run(*arguments)
    assert (done.status, done.stdout) == (status, "")
    assert words in done.stderr
    assert mine.read_bytes() == files["Tiny-Q8_0.gguf"]


def test_the_first_mistake_stops_all_of_it(run: Run, cache: Path) -> None:
    run("pull", f"{REPO}:Q8_0")
    before = blobs(cache)
    assert run("rm", f"{REPO}:Q8_0", "qwen3-vl-4x", "--yes").status == 4
    assert blobs(cache) == before


def test_consent_to_downloads_is_no_consent_to_this(run: Run, cache: Path, home: Path) -> None:
    run("pull", f"{REPO}:Q8_0")
    config = home / "config" / "mmcli" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("yes = true")
    assert run("rm", f"{REPO}:Q8_0", env={"MMCLI_YES": "1"}).status == 2
    assert repository(cache).exists()


@pytest.mark.skipif(os.geteuid() == 0 or sys.platform == "win32", reason="nothing is forbidden to root")
def test_a_cache_that_may_not_be_written_is_a_sentence(run: Run, cache: Path) -> None:
    run("pull", f"{REPO}:Q8_0")
    snapshot = repository(cache) / "snapshots" / COMMIT
    snapshot.chmod(0o500)
    try:
        done = run("rm", REPO, "--yes")
        assert (done.status, "cannot remove" in done.stderr) == (6, True)
    finally:
        snapshot.chmod(0o700)


def test_a_damaged_cache_is_a_sentence(run: Run, cache: Path) -> None:
    run("pull", f"{REPO}:Q8_0")
    shutil.rmtree(repository(cache) / "blobs")
    done = run("rm", REPO, "--yes")
    assert done.status in (4, 6) and "hint:" in done.stderr


# what interrupted downloads left


@pytest.fixture
def interrupted(run: Run, hub: Hub, cache: Path, tmp_path: Path, environment: dict[str, str]) -> Path:
    """The part file of a `pull` that was killed."""
    hub.faults.bytes_per_second = 100_000
    process = pulling(tmp_path, environment | hub.environment(cache.parent))
    wait_for_part(cache)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (part,) = cache.glob("**/*.incomplete")
    return part


def pulling(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mmcli", "pull", f"{REPO}:Q8_0"]
    null = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=folder, env=environment, stdin=null, stdout=null, stderr=null)


def wait_for_part(cache: Path) -> None:
    end = time.monotonic() + 20
    while not any(path.stat().st_size for path in cache.glob("**/*.incomplete")):
        assert time.monotonic() < end, "it never began"
        time.sleep(0.02)


def test_what_an_interrupted_download_left_is_removed(run: Run, cache: Path, interrupted: Path) -> None:
    size = interrupted.stat().st_size
    done = run("rm", "--partial", "--yes", "--json")
    assert done.json == {"removed": [str(interrupted)], "freed_bytes": size}
    assert not repository(cache).exists()
    assert run("rm", "--partial", "--yes", "--json").json == {"removed": [], "freed_bytes": 0}


def test_what_huggingface_hub_left_is_removed_and_whole_files_stay(run: Run, cache: Path, hub: Hub) -> None:
    run("pull", f"{REPO}:Q8_0")
    before = blobs(cache)
    (repository(cache) / "blobs" / f"{'a' * 64}.0123abcd.incomplete").write_bytes(b"12345")
    assert run("rm", "--partial", "--yes", "--json").json["freed_bytes"] == 5
    assert blobs(cache) == before


def test_a_download_that_goes_on_is_left_alone(
    run: Run, cache: Path, hub: Hub, tmp_path: Path, environment: dict[str, str]
) -> None:
    hub.faults.bytes_per_second = 100_000
    process = pulling(tmp_path, environment | hub.environment(cache.parent))
    try:
        wait_for_part(cache)
        done = run("rm", "--partial", "--yes")
        assert (done.status, "right now" in done.stderr) == (0, True)
        assert list(cache.glob("**/*.incomplete"))
        hub.faults.bytes_per_second = None
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not hasattr(pexpect, "spawn"), reason="pseudo-terminals need a Unix")
@pytest.mark.parametrize(("reply", "status"), [("", 4), ("n", 4), ("y", 0)])
def test_on_a_terminal_the_person_is_asked_and_enter_means_no(
    run: Run, hub: Hub, cache: Path, tmp_path: Path, environment: dict[str, str], reply: str, status: int
) -> None:
    run("pull", f"{REPO}:Q8_0")
    env: Any = environment | hub.environment(cache.parent) | {"TERM": "xterm-256color"}
    child = pexpect.spawn(
        sys.executable, ["-m", "mmcli", "rm", REPO], cwd=str(tmp_path), env=env, dimensions=(40, 250), timeout=60
    )
    child.expect_exact("[y/N] ")
    shown = child.before.decode()
    assert "Tiny-Q8_0.gguf" in shown and f"Remove {REPO} (2 files, 0.4 MB)?" in shown
    child.sendline(reply)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status
    assert repository(cache).exists() == (status != 0)


def test_all_parts_of_split_weights_go_also_where_some_never_came(
    run: Run, cache: Path, hub: Hub, files: dict[str, bytes]
) -> None:
    names = [f"Big-Q8_0-{part:05}-of-00003.gguf" for part in (1, 2, 3)]
    data = files["Tiny-Q8_0.gguf"]
    hub.repos["tests/Big-GGUF"] = Repo(
        {name: data + bytes(index + 3) for index, name in enumerate(names)}
        | {"mmproj-Big-F16.gguf": files["mmproj-Tiny-F16.gguf"]}
    )
    assert run("pull", "tests/Big-GGUF").status == 0
    place = cache / "models--tests--Big-GGUF" / "snapshots" / COMMIT
    for gone in ((), (names[1],), (names[0], "mmproj-Big-F16.gguf")):
        assert run("pull", "tests/Big-GGUF").status == 0
        for name in gone:
            (place / name).resolve().unlink()
            (place / name).unlink()
        done = run("rm", "tests/Big-GGUF", "--yes", "--json")
        assert done.status == 0, done.stderr
        removed = {Path(path).name for path in done.json["removed"][0]["files"]}
        assert removed == {*names, "mmproj-Big-F16.gguf"} - set(gone)
        assert blobs(cache) == 0
