"""What a new user sees first: mmcli alone, --help, --version."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mmcli as package
from mmcli import main
from tests.conftest import Run

COMMANDS = main.commands()
OPTIONS = [(name, param) for name, command in COMMANDS.items() for param in command.params]


def test_mmcli_alone_shows_what_it_can_do(mmcli: Run) -> None:
    done = mmcli()
    assert (done.status, done.stderr) == (0, "")
    assert done.stdout == mmcli("--help").stdout
    for name in COMMANDS:
        if " " not in name:
            assert re.search(rf"^\W+{name} ", done.stdout, re.MULTILINE)
    assert "mmcli demo" in done.stdout  # the first thing to try


def test_every_command_has_one_line_at_80_columns(mmcli: Run) -> None:
    shown = mmcli("--help", env={"COLUMNS": "80"}).stdout.split("Commands")[1].splitlines()
    for name in COMMANDS:
        if " " not in name:
            line = next(i for i, text in enumerate(shown) if re.match(rf"\W+{name} ", text))
            assert shown[line].rstrip(" │").endswith(".")
            assert not shown[line + 1].startswith("│  ")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_s_help_shows_every_option_with_its_variable(mmcli: Run, name: str) -> None:
    done = mmcli(*name.split(), "--help", env={"COLUMNS": "200"})
    assert (done.status, done.stderr) == (0, "")
    for param in COMMANDS[name].params:
        shown = [option for option in param.opts if option.startswith("--")] or [param.metavar.strip("[].")]
        for text in shown:
            assert text in done.stdout
        if param.envvar:
            assert param.envvar in done.stdout
    assert "-h" in done.stdout


@pytest.mark.parametrize(("command", "param"), OPTIONS, ids=[f"{name} {param.name}" for name, param in OPTIONS])
def test_every_option_says_what_it_is_for(command: str, param: object) -> None:
    assert param.help  # type: ignore[attr-defined]


@pytest.mark.parametrize(("command", "param"), OPTIONS, ids=[f"{name} {param.name}" for name, param in OPTIONS])
def test_every_setting_s_variable_is_named_after_its_option(command: str, param: object) -> None:
    variable, name = param.envvar, param.name  # type: ignore[attr-defined]
    assert variable in (None, f"MMCLI_{name.upper()}")
    if variable is None:  # what belongs to one command line only
        assert name in {
            *("media", "question", "attach", "recursive", "damaged_ok", "names", "name", "continue_"),
            *("limit", "talk", "talks", "everything", "words", "form", "older_than", "yes", "key", "values", "shell"),
            *("from_file", "null", "sidecar", "output", "overwrite", "rename", "dry_run", "jsonl", "print0"),
            *("check", "accept_changed", "adopt", "partial", "consent"),
            *("mic", "speech_prompt", "until_silence", "test", "seconds", "show"),
        }


def test_help_fits_a_narrow_terminal(mmcli: Run) -> None:
    done = mmcli("ask", "--help", env={"COLUMNS": "60"})
    assert max(map(len, done.stdout.splitlines())) <= 60


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_told(mmcli: Run, flag: str) -> None:
    done = mmcli(flag)
    assert (done.status, done.stdout, done.stderr) == (0, f"mmcli {package.__version__}\n", "")


def test_the_installed_script_is_the_same_program(environment: dict[str, str]) -> None:
    script = Path(sys.executable).parent / ("mmcli.exe" if sys.platform == "win32" else "mmcli")
    if not script.exists():
        pytest.skip("mmcli is not installed")
    done = subprocess.run([script, "--version"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"mmcli {package.__version__}\n"
