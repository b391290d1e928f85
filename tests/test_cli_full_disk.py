"""A disk that is full, wherever something is to be written: status 6, the path in the error, nothing half-written."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PICTURES

TIMEOUT = 120
SOUND = PICTURES.parent / "sounds" / "question.ogg"
SAVED = "hello\n/save talk.json\n"


def full() -> None:
    """From now on every file of this process is too large: the nearest to a full disk that needs no root."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def run_full(
    folder: Path, environment: dict[str, str], command: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """`mmcli COMMAND` in `folder`, where no file can be written."""
    return subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m mmcli {command}"],
        cwd=folder,
        env=environment,
        preexec_fn=full,
        input=typed,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="has no RLIMIT_FSIZE")
@pytest.mark.parametrize(
    ("command", "typed", "path"),
    [
        ("config set temperature 0.5", "", "config.toml"),
        ("ask 'Translate: $input' --save translate", "", "translate.toml"),
        ("transcribe sound.ogg -m starter -o sound.txt", "", "sound.txt"),
        ("transcribe sound.ogg -m starter -f json -o sound.json", "", "sound.json"),
        ("chat -m starter", SAVED, "talk.json"),
    ],
)
def test_a_full_disk_is_status_6_and_names_the_path(
    tmp_path: Path, environment: dict[str, str], command: str, typed: str, path: str
) -> None:
    shutil.copy(SOUND, tmp_path / "sound.ogg")
    (tmp_path / "shapes.png").write_bytes((PICTURES / "shapes.png").read_bytes())
    before = {each.name for each in tmp_path.iterdir()}
    done = run_full(tmp_path, environment, command, typed)
    assert done.returncode == 6, done.stderr
    assert "error: cannot write `" in done.stderr and f"{path}`: File too large" in done.stderr
    assert "hint: free some space on that disk" in done.stderr
    assert {each.name for each in tmp_path.iterdir() if each.is_file()} <= before, "nothing is left half-written"


@pytest.mark.skipif(sys.platform == "win32", reason="has no RLIMIT_FSIZE")
def test_no_room_for_temporary_files_is_status_6_too(tmp_path: Path, environment: dict[str, str]) -> None:
    shutil.copy(PICTURES / "shapes.png", tmp_path)
    done = run_full(tmp_path, environment, "caption shapes.png -m starter --sidecar txt")
    assert done.returncode == 6, done.stderr
    assert "bug" not in done.stderr and "hint: free some space on that disk" in done.stderr
    assert not (tmp_path / "shapes.txt").exists()
