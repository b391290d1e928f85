"""What the tests with real weights share: the models, real voices, and a run that may take its time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Completed, Run
from tests.real import weights

PATIENCE = 900  # seconds by the clock, on a busy machine: only a hang takes that long


@pytest.fixture(scope="session")
def whisper() -> Path:
    return _there(weights.whisper)


@pytest.fixture(scope="session")
def gemma() -> Path:
    return _there(weights.gemma)


def _there(find: Callable[[], Path]) -> Path:
    try:
        return find()
    except weights.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def speech() -> Callable[[str], Path]:
    """A recording by name; the test is skipped where it is not on this machine."""

    def find(name: str) -> Path:
        path = weights.speech(name)
        if path is None:
            pytest.skip(f"no recording `{name}` here: MMCLI_TEST_DATA=FOLDER names one that holds speech/{name}.*")
        return path

    return find


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """`mmcli ARGUMENTS` in `tmp_path`, which may take as long as a busy machine needs."""

    def run(*arguments: str | Path, **env: str) -> Completed:
        done = subprocess.run(
            [sys.executable, "-m", "mmcli", *map(str, arguments)],
            cwd=tmp_path,
            env=environment | {"MMCLI_OFFLINE": "1"} | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
        return Completed(done.returncode, done.stdout.decode(), done.stderr.decode(), done.stdout)

    return run


@pytest.fixture
def transcribe(run: Run, whisper: Path) -> Run:
    """`mmcli transcribe … -m WHISPER -f json`; gives what it wrote, once it ended with 0."""

    def write_down(*arguments: str | Path) -> Any:
        done = run("transcribe", "-m", whisper, "-f", "json", *arguments)
        assert done.status == 0, done.stderr
        return done.json

    return write_down


@pytest.fixture
def ask(run: Run, gemma: Path) -> Run:
    """`mmcli ask … -m GEMMA` at temperature 0, with nothing kept between runs but the history."""

    def run_it(*arguments: str | Path, model: Path | None = None) -> Completed:
        how = ("-m", model or gemma, "--temperature", "0", "--no-cache", "--no-loop-guard")
        return run("ask", *how, *arguments)

    return run_it
