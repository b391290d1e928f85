"""Tab, in the shells themselves where they are installed: commands, options, models, talks, files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from mmcli import main
from tests.conftest import TIMEOUT, Run
from tests.imports import HEAVY, loaded

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

REPO = "org/some-model-GGUF"
STARTS = {
    "bash": ["--norc", "--noprofile", "-i"],
    "zsh": ["-f", "-i"],
    "fish": ["--no-config", "-i"],
}
PREPARE = {
    "bash": 'bind "set enable-bracketed-paste off"; eval "$(mmcli completion bash)"',
    "zsh": 'autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste; eval "$(mmcli completion zsh)"',
    "fish": "mmcli completion fish | source",
}


@pytest.fixture
def shell_environment(environment: dict[str, str], home: Path, tmp_path: Path) -> dict[str, str]:
    """An `mmcli` in the PATH, and a model of the Hub on this machine that no catalogue knows."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "mmcli"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mmcli "$@"\n')
    script.chmod(0o755)
    place = home / "cache" / "huggingface" / "hub" / f"models--{REPO.replace('/', '--')}" / "snapshots" / ("a" * 40)
    place.mkdir(parents=True)
    for name in ("some-model-Q4_K_M.gguf", "some-model-Q8_0.gguf", "mmproj-some-model-Q8_0.gguf"):
        (place / name).touch()
    speech = place.parents[2] / "models--some--whisper" / "snapshots" / ("b" * 40)
    speech.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.json"):
        (speech / name).touch()
    return environment | {"PATH": f"{tmp_path / 'bin'}:{environment['PATH']}", "TERM": "xterm"}


@pytest.fixture(params=["bash", "zsh", "fish"])
def press_tab(
    request: pytest.FixtureRequest, shell_environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[str], str]]:
    """What the shell makes of a line when Tab is pressed at its end."""
    name = request.param
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    shell = pexpect.spawn(
        program,
        STARTS[name],
        env=shell_environment,
        cwd=tmp_path,
        timeout=TIMEOUT,
        encoding="utf-8",
        dimensions=(50, 300),
    )
    shell.sendline(PREPARE[name])
    shell.sendline("echo prepa''red")
    shell.expect("prepared\r")

    def press(line: str) -> str:
        shell.send(f"{line}\t\x01printf '<%s>\\n' '\x05'\r")  # the line becomes the words of a printf
        shell.expect(r"<(mmcli[^>\r\n]*)>\r")
        return str(shell.match.group(1)).rstrip()  # zsh takes the space after a word back

    yield press
    shell.close(force=True)


def test_a_shell_completes(press_tab: Callable[[str], str], mmcli: Run, tmp_path: Path) -> None:
    assert press_tab("mmcli comp") == "mmcli completion"
    assert press_tab("mmcli history sea") == "mmcli history search"
    assert press_tab("mmcli ask --max-t") == "mmcli ask --max-tokens"
    assert press_tab("mmcli show gemma-4-e4") == "mmcli show gemma-4-e4b"
    assert press_tab("mmcli ask photo.jpg -m gemma-4-e4") == "mmcli ask photo.jpg -m gemma-4-e4b"
    # `:` and `/`
    assert press_tab("mmcli ask -m org/s") == f"mmcli ask -m {REPO}:Q"
    assert press_tab(f"mmcli ask -m {REPO}:Q8") == f"mmcli ask -m {REPO}:Q8_0"
    assert press_tab(f"mmcli ask --model={REPO}:Q4") == f"mmcli ask --model={REPO}:Q4_K_M"
    # talks
    talk = mmcli("ask", "Hello!", "-m", "starter", "--json").json["talk"]
    assert press_tab(f"mmcli history show {talk[0]}") == f"mmcli history show {talk}"
    assert press_tab(f"mmcli ask -c {talk[:3]}") == f"mmcli ask -c {talk}"
    # files, where nothing else is meant
    (tmp_path / "picture one.png").touch()
    assert press_tab("mmcli ask pictu").replace("'", "").replace("\\", "") == "mmcli ask picture one.png"
    (tmp_path / "weights.gguf").touch()
    assert press_tab("mmcli ask -m wei") == "mmcli ask -m weights.gguf"


def test_the_shell_is_found_out(mmcli: Run) -> None:
    assert mmcli("completion", env={"SHELL": "/usr/bin/fish"}).stdout == mmcli("completion", "fish").stdout
    done = mmcli("completion", env={"SHELL": "/bin/csh"})
    assert (done.status, done.stdout) == (2, "")
    assert "bash|zsh|fish|powershell" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_a_shell_takes_its_script(mmcli: Run, shell: str, tmp_path: Path) -> None:
    program = shutil.which({"powershell": "pwsh"}.get(shell, shell))
    script = mmcli("completion", shell).stdout
    assert "_MMCLI_COMPLETE" in script
    if program is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script)
    flags = {"powershell": ["-NoProfile", "-File"]}.get(shell, ["-n"])
    done = subprocess.run([program, *flags, tmp_path / "script"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def replies(mmcli: Run, shell_environment: dict[str, str]) -> Callable[..., list[str]]:
    """What mmcli answers a shell: the words only."""

    def ask(*words: str) -> list[str]:
        *before, word = words
        done = mmcli(*before, env=shell_environment | {"_MMCLI_COMPLETE": "words", "_MMCLI_WORD": word})
        assert (done.status, done.stderr) == (0, "")
        return [line.split("\t")[0] for line in done.stdout.splitlines()]

    return ask


def test_what_is_offered_belongs_to_the_place(replies: Callable[..., list[str]], tmp_path: Path) -> None:
    assert set(replies("")) == {name for name in main.commands() if " " not in name}
    assert replies("history", "de") == ["delete"]
    assert replies("history", "-n", "5", "de") == ["delete"]
    assert "--no-history" in replies("ask", "--no-")
    assert "--no-history" not in replies("history", "--no-")
    assert replies("ask", "--", "--no-") == []  # the question
    assert replies("ask", "--detail", "") == ["low", "auto", "high"]
    assert replies("ask", "-q", "--detail", "h") == ["high"]
    assert replies("ask", "--max-tokens", "") == replies("ask", "photo.jpg", "") == replies("ask", "") == []
    assert "max-tokens" in replies("config", "set", "max")
    assert replies("pull", "smolvlm-500m", "smolvlm-5") == ["smolvlm-500m"]
    for words in (("transcribe", "-m"), ("transcribe", "--speech-model"), ("ask", "--speech-model"), ("pull",)):
        assert replies(*words, "whisper-s") == ["whisper-small"], words
    for words in (("voice", "--speech-model"), ("chat", "--speech-model"), ("doctor", "--speech-model"), ("show",)):
        assert replies(*words, "whisper-s") == ["whisper-small"], words
    assert "smolvlm-500m" not in replies("transcribe", "-m", "")
    assert replies("transcribe", "-m", "star") == ["starter"]
    assert replies("transcribe", "-m", "some/") == ["some/whisper"]  # of the Hub, and here
    assert replies("ask", "--voice-model", "s") == ["system"]
    assert replies("ask", "--voice-model", "pocket") == ["pocket-tts-en"]
    assert replies("transcribe", "--language", "de") == replies("caption", "--answer-language", "de") == ["de"]
    assert replies("completion", "z") == ["zsh"]
    assert replies("nonsense", "x") == []


def test_a_damaged_history_offers_nothing(
    replies: Callable[..., list[str]], home: Path, shell_environment: dict[str, str]
) -> None:
    shell_environment["MMCLI_DATA_DIR"] = str(home)
    (home / "history.db").write_bytes(b"no database" * 99)
    assert replies("history", "show", "") == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mmcli hist", "history"),
        ("sudo mmcli hist", "history"),
        ("mmcli ask 'a question' --max-t", "--max-tokens"),
        ("mmcli ask a\\ b --max-t", "--max-tokens"),
        (f"mmcli ask -m {REPO}:", "Q4_K_M"),
        (f'mmcli ask -m "{REPO}:', f"{REPO}:Q4_K_M"),  # bash splits no quoted word
        ("mmcli ask --model=gemma-4-e4", "gemma-4-e4b"),
        ("mmcli ask 'unclosed --max-t", None),
        ("", None),
    ],
)
def test_bash_gets_back_what_it_will_replace(
    mmcli: Run, shell_environment: dict[str, str], line: str, offered: str | None
) -> None:
    how = {"_MMCLI_COMPLETE": "bash", "_MMCLI_NAME": "mmcli", "COMP_LINE": line, "COMP_WORDBREAKS": " \t\n\"'@><=;|&(:"}
    done = mmcli(env=shell_environment | how)
    words = [text.split("\t")[0] for text in done.stdout.splitlines()]
    assert (words[:1] or [None]) == [offered] if line else done.status == 0


@pytest.mark.parametrize("words", [["ask", "-m", ""], ["ask", "-c", ""], ["ask", "--m"], ["config", "set", ""]])
def test_a_tab_loads_nothing_heavy(shell_environment: dict[str, str], tmp_path: Path, words: list[str]) -> None:
    *before, word = words
    how = shell_environment | {"_MMCLI_COMPLETE": "words", "_MMCLI_WORD": word}
    found = loaded(f"from mmcli import main; main.run({json.dumps(before)})", how, tmp_path)
    assert not (HEAVY - {"sqlite3"}) & found
    assert "mmcli.engine.local.engine" not in found
