"""scripts/mmcli and scripts/test: what is missing is installed or told, progress shown, and all else handed on.

The programs around them (uv, cc, apt-get, id) are small scripts here: a machine without a compiler cannot be had in a
test. docs/install.md says on which machines the real ones were tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TIMEOUT
from tests.terminals import Terminal

ROOT = Path(__file__).parents[1]
COMMON = ("bash", "cat", "dirname", "tail", "tr", "mkdir", "touch", "env", "chmod", "sleep")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the programs that are played here are Linux's")

# A uv that makes an environment with an mmcli that repeats its arguments, and talks as uv does while it builds.
UV = """
echo "uv $*" >> "$CALLS"
[ "$1" = run ] && { shift; echo "uv runs: $*"; exit; }
echo "Resolved 3 packages in 2ms" >&2
echo "   Building llama-cpp-python==0.3.36" >&2
for n in 1 2 3 4; do
  echo "DEBUG [$n/4] Building CXX object f$n.cpp.o" >&2
  [ $n = 2 ] && [ -n "${GO:-}" ] && until [ -e "$GO" ]; do sleep 0.1; done
done
[ -n "${FAILS:-}" ] && { echo "error: Failed to build" >&2; exit 2; }
mkdir -p "$ROOT/.venv/bin"
printf '#!/bin/sh\\nprintf "<%%s>" "$@"; exit 3\\n' > "$ROOT/.venv/bin/mmcli"
chmod +x "$ROOT/.venv/bin/mmcli"
"""

Machine = Callable[..., dict[str, str]]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "a clone"
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "pyproject.toml").touch()
    return folder


@pytest.fixture
def machine(tmp_path: Path, clone: Path) -> Machine:
    """Make a machine that has the named programs and no other; return its environment."""

    def make(*programs: str, root: bool = False, **settings: str) -> dict[str, str]:
        folder = tmp_path / "programs"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name in COMMON:
            (folder / name).symlink_to(shutil.which(name) or "/nowhere")
        bodies = {
            "uv": UV,
            "apt-get": 'echo "apt-get $*" >> "$CALLS"; for p in cc c++; do printf "#!/bin/sh\\n" > "$HERE/$p"; '
            'chmod +x "$HERE/$p"; done',
            "sudo": 'echo "sudo $*" >> "$CALLS"; "$@"',
            "python3": f'exec "{sys.executable}" "$@"',
            "id": f"echo {0 if root else 1000}",
            "uname": "echo Linux",
            "ldconfig": "echo libportaudio.so",
        }
        for name in {*programs, "python3", "id", "uname", "ldconfig"}:
            path = folder / name
            path.write_text(f"#!{shutil.which('bash')}\n{bodies.get(name, '')}\n")
            path.chmod(0o755)
        names = {"PATH": str(folder), "HERE": str(folder), "ROOT": str(clone), "CALLS": str(tmp_path / "calls")}
        return {"HOME": str(tmp_path), "LC_ALL": "C.UTF-8", **names, **settings}

    return make


def run(clone: Path, script: str, *arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [clone / "scripts" / script, *arguments],
        env=env,
        cwd=clone.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def calls(tmp_path: Path) -> list[str]:
    path = tmp_path / "calls"
    return path.read_text().splitlines() if path.exists() else []


def test_everything_is_handed_through_and_stdout_is_mmcli_s_alone(
    clone: Path, machine: Machine, tmp_path: Path
) -> None:
    env = machine("uv", "cc", "c++")
    for _ in range(2):
        done = run(clone, "mmcli", "ask", "a b.png", "What's *?", "", env=env)
        assert (done.returncode, done.stdout) == (3, "<ask><a b.png><What's *?><>")
    assert len(calls(tmp_path)) == 1  # the second time nothing is set up


def test_a_changed_project_and_a_moved_clone_are_set_up_again(clone: Path, machine: Machine, tmp_path: Path) -> None:
    env = machine("uv", "cc", "c++")
    run(clone, "mmcli", env=env)
    later = (clone / ".venv" / ".mmcli-is-ready").stat().st_mtime + 5
    os.utime(clone / "pyproject.toml", (later, later))
    run(clone, "mmcli", env=env)
    assert len(calls(tmp_path)) == 2
    moved = clone.rename(tmp_path / "moved")
    os.utime(moved / "pyproject.toml", (0, 0))
    run(moved, "mmcli", env=env | {"ROOT": str(moved)})
    assert len(calls(tmp_path)) == 3


def test_the_test_script_hands_its_arguments_to_pytest(clone: Path, machine: Machine) -> None:
    done = run(clone, "test", "tests/test_x.py", "-k", "a or b", env=machine("uv", "cc", "c++"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "uv runs: pytest tests/test_x.py -k a or b\n"


@pytest.mark.parametrize(
    ("manager", "line"),
    [
        ("apt-get", "as root: apt install build-essential"),
        ("dnf", "as root: dnf install gcc gcc-c++ make"),
        ("pacman", "as root: pacman -S base-devel"),
    ],
)
def test_a_missing_compiler_is_told_with_the_line_that_installs_it(
    clone: Path, machine: Machine, tmp_path: Path, manager: str, line: str
) -> None:
    for script in ("mmcli", "test"):
        done = run(clone, script, env=machine("uv", manager, "sudo"))  # there is nobody to ask
        assert (done.returncode, done.stdout) == (127, "")
        assert done.stderr.splitlines()[1] == f"hint: {line}"
    assert calls(tmp_path) == []


def test_root_gets_the_compiler_installed(clone: Path, machine: Machine, tmp_path: Path) -> None:
    done = run(clone, "mmcli", "x", env=machine("uv", "apt-get", root=True))
    assert (done.returncode, done.stdout) == (3, "<x>"), done.stderr
    update, install, sync = calls(tmp_path)
    assert update == "apt-get update -q" and install.endswith("ca-certificates build-essential")
    assert sync.startswith("uv sync ")


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_a_person_is_asked_before_sudo(clone: Path, machine: Machine, tmp_path: Path, answer: str) -> None:
    env = machine("uv", "apt-get", "sudo")
    screen = Terminal(["x"], env, clone.parent, command=(str(clone / "scripts" / "mmcli"),))
    screen.wait("install build-essential with sudo? [y/N]")
    screen.send(f"{answer}\r")
    status = screen.end()
    assert (status == 3) == (answer == "y")
    assert any(call.startswith("sudo ") for call in calls(tmp_path)) == (answer == "y")
    assert answer == "y" or "apt install build-essential" in screen.flat


def test_how_far_the_compiler_is_is_redrawn_on_one_line(clone: Path, machine: Machine, tmp_path: Path) -> None:
    env = machine("uv", "cc", "c++", GO=str(tmp_path / "go"))
    screen = Terminal(["x"], env, clone.parent, command=(str(clone / "scripts" / "mmcli"),))
    screen.wait("compiling llama-cpp-python: 2 of 4")
    assert screen.text.count("compiling llama-cpp-python:") == 1
    screen.wait("so far")
    (tmp_path / "go").touch()
    assert screen.end() == 3
    assert "compiling llama-cpp-python:" not in screen.text  # nothing of it is left
    assert "DEBUG" not in screen.text and "Resolved 3 packages" in screen.text
    assert "DEBUG [4/4]" in (clone / ".tools" / "setup.log").read_text()


def test_a_build_that_fails_ends_with_uv_s_words_and_the_log(clone: Path, machine: Machine) -> None:
    env = machine("uv", "cc", "c++", FAILS="1")
    done = run(clone, "mmcli", env=env)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: Failed to build" in done.stderr and "setup.log" in done.stderr
    assert "DEBUG" not in done.stderr
    assert not (clone / ".venv" / ".mmcli-is-ready").exists()


def test_tests_run_without_what_only_some_of_them_need(clone: Path, machine: Machine, tmp_path: Path) -> None:
    done = run(clone, "test", env=machine("uv", "cc", "c++", "apt-get"))
    assert done.stdout == "uv runs: pytest\n"
    assert "note: some tests are skipped" in done.stderr and "apt install espeak-ng" in done.stderr
    run(clone, "test", env=machine("uv", "cc", "c++", "apt-get", root=True))
    assert any("espeak-ng" in call and "xvfb" in call for call in calls(tmp_path))


def test_ci_runs_the_same_script() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    assert "\nscripts/test </dev/null" in ci and "espeak-ng" not in ci
