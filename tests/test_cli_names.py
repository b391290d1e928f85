"""Names of other tools, and slips of the finger: an alias, one exact hint, or none; never a wild guess."""

from __future__ import annotations

import pytest

from mmcli import main
from mmcli.commands import names
from tests.conftest import Completed, Run

COMMANDS = main.commands()
OPTIONS = {name: [text for param in command.params for text in param.opts] for name, command in COMMANDS.items()}


def hint(done: Completed) -> str:
    assert (done.status, done.stdout) == (2, "")
    error, told = done.stderr.splitlines()
    assert error.startswith("error: unknown ")
    return told.removeprefix("hint: ")


@pytest.mark.parametrize(("alias", "name"), names.ALIASES.items())
def test_an_alias_does_the_same(mmcli: Run, alias: str, name: str) -> None:
    mine, its = mmcli(alias, "--json"), mmcli(name, "--json")
    assert mine.status == its.status == 0
    assert [row["name"] for row in mine.json] == [row["name"] for row in its.json]  # what is free in memory differs
    assert mmcli(alias, "--help").stdout == mmcli(name, "--help").stdout == mmcli("help", alias).stdout


def test_an_alias_of_a_group_has_its_commands(mmcli: Run) -> None:
    assert mmcli("logs", "export").status == 0
    assert mmcli("logs", "export", "--help").stdout == mmcli("history", "export", "--help").stdout


@pytest.mark.parametrize("alias", names.ALIASES)
def test_settings_reach_an_alias(mmcli: Run, alias: str) -> None:
    assert mmcli("config", "set", "json", "true").status == 0
    assert mmcli(alias).stdout.startswith("[")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "qwen3-vl-2b"), "that is `mmcli chat -m qwen3-vl-2b`"),
        (("run", "qwen3-vl-2b", "What is this?"), "that is `mmcli ask 'What is this?' -m qwen3-vl-2b`"),
        (("run",), '`mmcli chat -m NAME` talks with a model, `mmcli ask "What?" -m NAME` asks it once'),
        (("download", "whisper-small"), "that is `mmcli pull whisper-small`"),
        (("remove", "a b"), "that is `mmcli rm 'a b'`"),
        (("search", "red", "circle"), "that is `mmcli find red circle`"),
        (("transcibe", "a.mp3"), "did you mean `mmcli transcribe`? see `mmcli --help`"),
        (("aks",), "did you mean `mmcli ask`? see `mmcli --help`"),
        (("hist",), "did you mean `mmcli history`? see `mmcli --help`"),
        (("config", "sett", "model", "x"), "did you mean `mmcli config set`?"),
        (("config", "frobnicate"), "see `mmcli config --help`"),
        (("photo.jpg", "What is this?"), "to ask about it: mmcli ask photo.jpg 'What is this?'"),
        (("What is this?", "photo.jpg"), "to ask it: mmcli ask photo.jpg 'What is this?'"),
        (("frobnicate",), 'see `mmcli --help`, or ask: mmcli ask photo.jpg "What is this?"'),
    ],
)
def test_an_unknown_command_gets_one_exact_hint(mmcli: Run, arguments: tuple[str, ...], told: str) -> None:
    assert hint(mmcli(*arguments)) == told


def test_every_habit_leads_to_a_command_there_is() -> None:
    for word, meant in names.HABITS.items():
        assert word not in COMMANDS and word not in names.ALIASES
        program, name, *rest = meant.replace("{rest}", "").split()
        below = f"{name} {' '.join(rest[:1])}"
        command = COMMANDS[below if below in COMMANDS else name]
        known = {text for param in command.params for text in param.opts}
        assert program == "mmcli" and {text for text in rest if text[:1] == "-"} <= known
    every = {text for command in COMMANDS.values() for param in command.params for text in param.opts}
    every |= {text for command in COMMANDS.values() for param in command.params for text in param.secondary_opts}
    assert {text for meant in names.OPTION_HABITS.values() for text in meant} <= every


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ask", "--max-token", "5", "What?"), "did you mean --max-tokens? see `mmcli ask --help`"),
        (("ask", "--max_tokens", "5", "What?"), "did you mean --max-tokens? see `mmcli ask --help`"),
        (("ask", "--tempature", "0", "What?"), "did you mean --temperature? see `mmcli ask --help`"),
        (("ask", "--no-histroy", "What?"), "did you mean --no-history? see `mmcli ask --help`"),
        (("ask", "--image", "a.png", "What?"), "did you mean --attach? see `mmcli ask --help`"),
        (("ask", "--num-predict", "5", "What?"), "did you mean --max-tokens? see `mmcli ask --help`"),
        (("ask", "--zebra", "x", "What?"), "see `mmcli ask --help`"),
        (("ask", "-z", "What?"), "see `mmcli ask --help`"),
        (("ask", "--sidecar", "xmp", "What?"), "--sidecar is an option of `mmcli caption`; see `mmcli ask --help`"),
        (("--model", "starter", "ask", "What?"), "options follow the command: `mmcli ask --model`"),
        (("caption", "--forse", "a.png"), "see `mmcli caption --help`"),
        (("history", "delete", "--older_then", "1d"), "did you mean --older-than? see `mmcli history delete --help`"),
    ],
)
def test_an_unknown_option_gets_a_near_one_or_none(mmcli: Run, arguments: tuple[str, ...], told: str) -> None:
    assert hint(mmcli(*arguments)) == told


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("--zebra", []),
        ("--stream", []),
        ("--size", []),
        ("--cpu", []),
        ("--port", []),
        ("--tools", []),
        ("--fromat", ["--format"]),
        ("--z", []),
        ("--x", ["-x"]),  # dashes alone
        ("--", []),
        ("--JSON", ["--json"]),
        ("--jsno", ["--json"]),
        ("--sede", ["--seed"]),
        ("--verbos", ["--verbose"]),
        ("--attachment", ["--attach"]),
        ("--gpulayers", ["--gpu-layers"]),
        ("--keep", ["--keep-media"]),
    ],
)
def test_what_is_near_an_option_of_ask(word: str, near: list[str]) -> None:
    assert names.nearest(word, OPTIONS["ask"]) == near


def test_with_json_the_error_is_an_object(mmcli: Run) -> None:
    done = mmcli("ask", "--zebra", "x", "--json", "What?")
    assert done.json_error["message"] == "unknown option `--zebra` for `mmcli ask`"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pull",), "error: missing argument NAME..."),
        (("ask", "What?", "--seed"), "error: `--seed` needs a value"),
        (("ask", "What?", "--json=1"), "error: `--json` takes no value"),
        (("history", "show", "a", "b"), "error: too many arguments: `b`"),
    ],
)
def test_other_mistakes_are_said_in_our_words(mmcli: Run, arguments: tuple[str, ...], said: str) -> None:
    assert mmcli(*arguments).stderr.splitlines()[0] == said
