"""What the Hub or the network can do to a download, and what the person is told: the real client, a misbehaving Hub."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import random_llava
from tests.conftest import Completed
from tests.hub import COMMIT, TOKEN, Hub

REPO = "tests/Tiny-GGUF"
# The pauses between tries are minutes' worth of tests: here they are short, and everything else is as it is.
IMPATIENT = (
    "import sys\nfrom mmcli import main\nfrom mmcli.models import hub\n"
    "hub.WAITS, hub.TIMEOUT = (0.05,) * 4, 1.0\nsys.exit(main.run(sys.argv[1:]))"
)
MANY = 60


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("files"), "tiny")


@pytest.fixture
def hub(pair: tuple[Path, Path]) -> Iterator[Hub]:
    with Hub() as running:
        running.add(REPO, *pair)
        yield running


@pytest.fixture
def pull(hub: Hub, tmp_path: Path, environment: dict[str, str]) -> Callable[..., Completed]:
    def pull(*names: str, **env: str) -> Completed:
        done = subprocess.run(
            [sys.executable, "-c", IMPATIENT, "pull", *(names or (REPO,))],
            env=environment | hub.environment(tmp_path / "hf") | env,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    return pull


@pytest.fixture
def own(home: Path) -> Callable[[str], None]:
    """Give the person an entry `toy` with these additions."""

    def own(more: str, projector: str = "tiny-mmproj.gguf") -> None:
        path = home / "config" / "mmcli" / "models.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'[toy]\nabout = "mine"\nrepo = "{REPO}"\nlicence = "MIT"\nsees = true\n'
            f'weights = {{ file = "tiny.gguf" }}\nprojector = {{ file = "{projector}" }}\n{more}\n'
        )

    return own


def fails(done: Completed, *words: str) -> None:
    assert (done.status, done.stdout) == (5, ""), done.stderr
    for word in (*words, "hint: "):
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1


# who may read


def test_a_token_that_was_not_let_in_is_told_of_the_terms(pull: Callable[..., Completed], hub: Hub) -> None:
    hub.repos[REPO].gated = True
    fails(pull(HF_TOKEN="hf_othertokenothertokenothertokenoth"), "gated", f"{hub.address}/{REPO}")  # 403
    assert pull(HF_TOKEN=TOKEN).status == 0


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_without_a_reason_names_the_token(pull: Callable[..., Completed], hub: Hub, status: int) -> None:
    hub.faults.answers = [(status, {})] * MANY
    fails(pull(), f"({status})", "HF_TOKEN")


@pytest.mark.parametrize("token", [None, TOKEN])  # the Hub says 401 to who is nobody, and 404 to who is somebody
def test_a_repository_that_is_not_there_is_told(pull: Callable[..., Completed], token: str | None) -> None:
    fails(pull("tests/none", **({"HF_TOKEN": token} if token else {})), "no public repository `tests/none`")


# what is there


def test_a_revision_that_is_gone_is_told(pull: Callable[..., Completed], own: Callable[..., None]) -> None:
    own(f'revision = "{"9" * 40}"')
    fails(pull("toy"), "no longer has the requested revision")


def test_a_file_that_is_gone_is_told(pull: Callable[..., Completed], own: Callable[..., None]) -> None:
    own(f'revision = "{COMMIT}"', projector="renamed-mmproj.gguf")
    fails(pull("toy"), "has no file `renamed-mmproj.gguf`")


# a Hub in trouble


@pytest.mark.parametrize(("about", "status"), [("described", 500), ("answers", 503)])
def test_a_hub_in_trouble_is_asked_a_few_times_and_then_told(
    pull: Callable[..., Completed], hub: Hub, about: str, status: int
) -> None:
    setattr(hub.faults, about, [(status, {})] * MANY)
    fails(pull(), str(status), "run the same command again")
    assert len(hub.log) > 4
    setattr(hub.faults, about, [])
    assert pull().status == 0


@pytest.mark.parametrize("about", ["described", "answers"])
def test_a_hub_that_wants_patience_is_told_with_the_seconds(
    pull: Callable[..., Completed], hub: Hub, about: str
) -> None:
    setattr(hub.faults, about, [(429, {"Retry-After": "3000"})] * MANY)
    began = time.monotonic()
    fails(pull(), "429", "3000 seconds", "HF_TOKEN")
    assert time.monotonic() - began < 60


# a connection in trouble


def test_a_download_that_stalls_goes_on_and_keeps_what_came(
    pull: Callable[..., Completed], hub: Hub, pair: tuple[Path, Path]
) -> None:
    hub.faults.stall_after = 60_000  # of each answer: several are needed for each file
    assert pull().status == 0
    assert hub.sent == sum(path.stat().st_size for path in pair)
    assert any(request.range for request in hub.log)


def test_a_hub_that_falls_silent_is_told(pull: Callable[..., Completed], hub: Hub) -> None:
    hub.faults.stall_after = 0
    done = pull()
    fails(done, f"cannot reach {hub.address}: it stopped answering")
    assert "what has been downloaded" not in done.stderr  # nothing has


def test_a_connection_that_always_breaks_is_told(
    pull: Callable[..., Completed], hub: Hub, pair: tuple[Path, Path]
) -> None:
    hub.faults.cut_after = [90_000, *[0] * MANY]
    fails(pull(), "what has been downloaded is kept")
    hub.faults.cut_after = []
    hub.log.clear()
    assert pull().status == 0
    assert hub.sent == sum(path.stat().st_size for path in pair) - 90_000


def test_a_connection_that_breaks_again_and_again_brings_every_byte_once(
    pull: Callable[..., Completed], hub: Hub, pair: tuple[Path, Path]
) -> None:
    hub.faults.cut_after = [30_000] * 40  # more often than there are tries: each of them brings something
    assert pull().status == 0
    assert hub.sent == sum(path.stat().st_size for path in pair)


def test_more_bytes_than_were_told_are_damage(pull: Callable[..., Completed], hub: Hub, tmp_path: Path) -> None:
    hub.faults.too_much = b"\0" * 10
    fails(pull(), "arrived damaged, and was removed")
    assert not list((tmp_path / "hf").glob("**/*.incomplete"))
    hub.faults.too_much = b""
    assert pull().status == 0
