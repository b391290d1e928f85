"""No library that comes along reports anything, whatever it does by default."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmcli import telemetry
from tests.conftest import PICTURES

SOUND = PICTURES.parent / "sounds" / "question.ogg"
TIMEOUT = 120
# onnxruntime keeps quiet by itself where it is tested
QUIET = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "ORT_RUNNING_UNIT_TESTS", *telemetry.OPT_OUTS)


@pytest.fixture
def home(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    """An environment in which onnxruntime would report: its files would be in `tmp_path`."""
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return {name: value for name, value in environment.items() if name not in QUIET} | places


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "mmcli", "transcribe", str(SOUND), "-m", "starter"],
        ["-c", "from mmcli.speech.vad import Detector; Detector()"],
        [
            "-c",
            "import numpy; from mmcli.speech import spans; spans.speech(numpy.zeros(16000, 'float32'))",
        ],
    ],
    ids=["transcribe", "detector", "spans"],
)
def test_a_run_that_hears_leaves_no_device_id(command: list[str], home: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, *command], env=home, cwd=tmp_path, capture_output=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr.decode()
    left = [path for path in tmp_path.rglob("*") if "onnxruntime" in path.as_posix() or path.name == "deviceid"]
    assert left == []


def test_a_child_process_inherits_the_opt_outs(home: dict[str, str]) -> None:
    child = "import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    code = (
        "import os, subprocess, sys; from mmcli import telemetry; os.environ['ORT_DISABLE_TELEMETRY'] = '0';"
        f"telemetry.forbid(); subprocess.run([sys.executable, '-c', {child!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=home, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.stdout == "1\n"
