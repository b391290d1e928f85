"""Every command of README.md and the tutorial, and every example of the help, run as printed in a copy of the clone."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mmcli import main
from mmcli.commands import parsing
from mmcli.models import catalogue
from tests import random_llava
from tests.conftest import TIMEOUT
from tests.hub import Hub, Repo
from tests.speaking import needs_espeak
from tests.virtual_microphone import VirtualMicrophone, needs_microphone

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
REPO = "tests/Tiny-GGUF"
LISTENS = re.compile(r"mmcli (voice|transcribe --mic|devices .*--test)")  # until Ctrl-C: they need a microphone
# What sets up the clone itself or installs it anew takes minutes: .ci/run is the first, docs/install.md has the others.
OTHER_SHELLS = {
    "zsh": "printf 'autoload -Uz compinit; compinit -u -D\\n%s\\n' {} | zsh -f",
    "fish": "fish --no-config -c {}",
}
BUILDS = ("scripts/test", "uv tool install", "CMAKE_ARGS=")


@dataclass
class Typed:
    """One command, and the lines that the page prints below it."""

    command: str
    told: list[str] = field(default_factory=list)


def blocks(text: str) -> list[list[Typed]]:
    """The commands of each block that shows any."""
    found = []
    for kind, body in re.findall(r"^```(sh|console)\n(.*?)^```", text, re.M | re.S):
        block: list[Typed] = []
        for line in body.splitlines():
            if kind == "sh" or line.startswith("$ "):
                block.append(Typed(re.sub(r"\s+# .*", "", line.removeprefix("$ "))))
            elif block:
                block[-1].told.append(line)
        found.append([typed for typed in block if typed.command])
    return found


COMMANDS = {
    name: [typed for block in blocks(text) for typed in block]
    for name, text in (("README", README), ("tutorial", TUTORIAL))
}
PAGES = {page.path: page for page in parsing.every_page(parsing.build(main.app))}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files of the clone that commands name, so that none is changed."""
    folder = tmp_path / "clone"
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "README.md", folder)
    return folder


@pytest.fixture
def hub(tmp_path: Path, home: Path) -> Iterator[Hub]:
    """A Hub that has tiny models under the names that the pages pull."""
    with Hub() as running:
        running.add(REPO, *random_llava.write(tmp_path / "files", "tiny"))
        weights, projector = running.repos[REPO].files.values()
        files = {"Qwen3VL-4B-Instruct-Q8_0.gguf": weights, "mmproj-Qwen3VL-4B-Instruct-F16.gguf": projector}
        running.repos["Qwen/Qwen3-VL-4B-Instruct-GGUF"] = Repo(files)
        sizes = [len(weights), len(projector)]
        lines = [
            f'["{name}"]\nabout = "tiny"\nrepo = "{REPO}"\nlicence = "MIT"\nsees = true\ndefault = true\n'
            f'weights = {{ file = "tiny.gguf", bytes = {sizes[0]} }}\n'
            f'projector = {{ file = "tiny-mmproj.gguf", bytes = {sizes[1]} }}\n'
            for name, entry in catalogue.load().items()
            if entry.default
        ]
        path = home / "config" / "mmcli" / "models.toml"
        path.parent.mkdir(parents=True)
        path.write_text("".join(lines))
        yield running


@pytest.fixture
def shell(clone: Path, tmp_path: Path, environment: dict[str, str], hub: Hub) -> dict[str, str]:
    """The environment of a shell in which `mmcli` and `scripts/mmcli` are this program."""
    (tmp_path / "bin").mkdir()
    (clone / "scripts").mkdir()
    for script in (tmp_path / "bin" / "mmcli", clone / "scripts" / "mmcli"):
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mmcli "$@"\n')
        script.chmod(0o755)
    path = os.pathsep.join((str(tmp_path / "bin"), environment["PATH"]))
    settings = {"PATH": path, "PYTHONPATH": str(ROOT), "MMCLI_TEMPERATURE": "0", "MMCLI_MAX_TOKENS": "40"}
    return environment | hub.environment(tmp_path / "hf") | settings | {"SHELL": "/bin/bash", "EDITOR": "true"}


def run(command: str, clone: Path, shell: dict[str, str], status: int = 0) -> tuple[int, str]:
    """Run one command after one that ended with `status`; its own status, and what it printed on both streams."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; (exit {status})\n{command}"],
        cwd=clone,
        env=shell,
        input=b"How many shapes are there?\n" if re.match(r"mmcli chat", command) else b"",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT,
    )
    return done.returncode, done.stdout.decode()


def is_told(lines: list[str], printed: str) -> bool:
    """Whether the lines are among what was printed, in their order; figures may differ."""
    rest = iter(printed.splitlines())
    return all(any(re.fullmatch(_with_any_figures(line), other) for other in rest) for line in lines)


def _with_any_figures(line: str) -> str:
    return re.sub(r"\d+(?:\\\.\d+)?", r"[\\d.]+", re.escape(line))


@pytest.mark.parametrize("page", COMMANDS)
def test_the_page_has_commands_with_what_they_print(page: str) -> None:
    assert len(COMMANDS[page]) >= 20
    assert sum(bool(typed.told) for typed in COMMANDS[page]) >= 5
    assert is_told(["a 1.5 s", "c"], "a 2 s\nb\nc") and not is_told(["c", "a"], "a\nc")


@pytest.mark.skipif(shutil.which("bash") is None, reason="the page is written for bash and its relatives")
@pytest.mark.parametrize("page", COMMANDS)
def test_every_command_of_the_page_works_as_printed(page: str, clone: Path, shell: dict[str, str]) -> None:
    before = 0
    n_failed = 0
    for typed in COMMANDS[page]:
        if LISTENS.search(typed.command) or typed.command.startswith(BUILDS):
            continue
        status, printed = run(typed.command, clone, shell, before)
        assert is_told(typed.told, printed), f"{typed.command}\n{printed}"
        fails = any(line.startswith("error:") for line in typed.told)
        assert (status != 0) == fails, f"{typed.command}\n{printed}"
        n_failed += fails
        before = status
    assert n_failed == 1  # the one that shows an error


@needs_espeak
@needs_microphone
@pytest.mark.parametrize(
    "command",
    [typed.command for page in COMMANDS.values() for typed in page if LISTENS.search(typed.command)],
    ids=lambda text: text[6:40],
)
def test_what_listens_works_as_printed(
    clone: Path, shell: dict[str, str], microphone: VirtualMicrophone, command: str
) -> None:
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=clone,
        env=shell | microphone.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.decode())
        if "listening to" in said[-1]:
            break
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=TIMEOUT)
    printed = "".join(said) + rest.decode()
    assert process.returncode in (0, 130), printed
    assert "listening to" in printed and "error" not in printed


def test_no_command_between_the_lines_is_unknown() -> None:
    for words in re.findall(r"`mmcli ([a-z]+)[^`]*`", README + TUTORIAL):
        assert f"mmcli {words}" in PAGES


@pytest.mark.parametrize("page", ("README.md", "CONTRIBUTING.md"))
def test_the_map_of_the_source_has_every_folder(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for folder in (path.parent.name for path in (ROOT / "mmcli").glob("*/__init__.py")):
        assert re.search(rf"(── |mmcli/){folder}/", text), folder


# the examples of the help


def examples() -> list[tuple[str, str]]:
    return [(page.path, example.partition("  # ")[0]) for page in PAGES.values() for example in page.examples]


def test_every_command_has_up_to_three_examples() -> None:
    for path, page in PAGES.items():
        assert page.examples or path == "mmcli config path"
        assert len(page.examples) <= 3 or path == "mmcli"
        for example in page.examples:
            assert re.search(rf"\b{path}\b", example)


@pytest.mark.skipif(shutil.which("bash") is None, reason="the examples are written for bash and its relatives")
@pytest.mark.parametrize("path", PAGES)
def test_every_example_works_when_copied(path: str, clone: Path, shell: dict[str, str]) -> None:
    wanted = [example for name, example in examples() if name == path and not LISTENS.search(example)]
    if any("-c" in example.split() or "history" in path for example in wanted):
        run('mmcli ask docs/pictures/shapes.png "What is in this picture?" -m starter', clone, shell)
    if path.startswith("mmcli prompts"):
        run("mmcli ask 'Translate into German: $input' --save translate", clone, shell)
        shell = shell | {"VISUAL": "true"}  # an editor that changes nothing
        wanted = [f"{example} --yes" if path == "mmcli prompts rm" else example for example in wanted]
    if path == "mmcli undo":
        run("mmcli caption docs/pictures/album -r --rename --yes -m starter", clone, shell)
    if path == "mmcli rm":
        run("mmcli pull qwen3-vl-2b", clone, shell)
        wanted = [f"{example} --yes" for example in wanted]  # on a terminal it asks
    if path == "mmcli history delete":
        wanted = [example if "--yes" in example else f"{example} --yes" for example in wanted]
    for example in wanted:
        other = next((name for name in OTHER_SHELLS if f"completion {name}" in example), None)
        if other is not None and shutil.which(other) is None:
            continue
        example = OTHER_SHELLS.get(other or "", "{}").format(shlex.quote(example) if other else example)
        if path == "mmcli pull" and "whisper" in example:
            continue  # of fixed sizes and hashes
        status, printed = run(example, clone, shell)
        may_find_fault = path in ("mmcli devices", "mmcli doctor")  # with this machine, which is not ours
        assert status == 0 or (may_find_fault and "a bug in mmcli" not in printed), f"{example}\n{printed}"
