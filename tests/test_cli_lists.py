"""Lists on screens of 60, 80 and 120 columns and in a pipe: `mmcli history`, `mmcli config`, `mmcli models`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from mmcli.history import Store
from tests.conftest import TIMEOUT, Run
from tests.terminals import Terminal

WIDTHS = (60, 80, 120)
LONG = "What is the man on the left holding, and why does the dog look at it as if it had never\nseen one before?"
FLAT = " ".join(LONG.split())
SAID = "A stick. " * 40 + "The umbrella, perhaps."

Screen = Callable[..., list[str]]
at_widths = pytest.mark.parametrize("columns", WIDTHS)


@pytest.fixture
def screen(environment: dict[str, str], tmp_path: Path) -> Screen:
    """The lines that `mmcli ARGUMENTS` shows on a terminal."""

    def show(*arguments: str, columns: int, status: int = 0) -> list[str]:
        shown = Terminal(list(arguments), environment, tmp_path, columns=columns, rows=60)
        assert shown.end() == status, shown.text
        return shown.text.splitlines()

    return show


@pytest.fixture
def talks(home: Path, environment: dict[str, str]) -> list[str]:
    """Four talks with long questions, the last one first; the model of one has a long name."""
    environment["MMCLI_DATA_DIR"] = str(home / "data")
    found = []
    with Store(home / "data") as store:
        for model in ("starter", "/models/" + "a-long-name-" * 6 + "q4.gguf", "qwen3-vl-2b", "starter"):
            talk = store.start("chat", model)
            store.say(store.ask(talk, LONG), SAID)
            found.append(talk)
    return found[::-1]


# history


@at_widths
def test_a_talk_is_one_line_on_a_screen(screen: Screen, talks: list[str], columns: int) -> None:
    head, *lines = screen("history", columns=columns)
    assert head.split()[0] == "ID" and head.endswith("FIRST QUESTION")
    assert [line.split()[0] for line in lines] == talks
    assert all("What is the man on the" in line and line.endswith("…") for line in lines)
    assert max(map(len, lines)) <= columns


@at_widths
def test_what_a_search_finds_is_one_line_on_a_screen(screen: Screen, talks: list[str], columns: int) -> None:
    head, *lines = screen("history", "search", "umbrella", columns=columns)
    assert [line.split()[0] for line in lines] == talks
    assert all("umbrella" in line or columns == 60 for line in lines)
    assert max(map(len, [head, *lines])) <= columns


def test_in_a_pipe_questions_and_answers_are_whole(mmcli: Run, talks: list[str]) -> None:
    rows = [line.split("\t") for line in mmcli("history").stdout.splitlines()]
    assert [(row[0], row[-1]) for row in rows] == [(talk, FLAT) for talk in talks]
    assert rows[2][3] == "a-long-name-" * 6 + "q4.gguf"
    rows = [line.split("\t") for line in mmcli("history", "search", "umbrella").stdout.splitlines()]
    assert [row[2:] for row in rows] == [[FLAT, SAID]] * 4


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("umbrella",), "`mmcli history search umbrella`"),
        (("red", "circle's"), """`mmcli history search red 'circle'"'"'s'`"""),
        (("4k2f9x",), "`mmcli history show 4k2f9x`"),
        (("shwo",), "did you mean `mmcli history show`?"),
    ],
)
def test_words_after_history_lead_to_the_search(mmcli: Run, words: tuple[str, ...], hint: str) -> None:
    done = mmcli("history", *words)
    assert (done.status, done.stdout) == (2, "")
    assert hint in done.stderr


def test_there_may_be_nothing_to_show(mmcli: Run) -> None:
    done = mmcli("history", "show")
    assert (done.status, done.stdout) == (3, "")
    assert done.stderr.startswith("error: there is no conversation in the history yet\nhint: ")
    assert "mmcli ask " in done.stderr  # and not the list, which is empty


def test_a_screen_of_no_talks_has_no_table(screen: Screen) -> None:
    assert screen("history", columns=80) == ['note: nothing is kept yet: mmcli ask photo.jpg "What is this?"']
    (line,) = screen("history", "search", "red", columns=80)
    assert line == "note: no question or answer has all of these words"


def test_everything_can_be_deleted(mmcli: Run, talks: list[str]) -> None:
    for arguments in ([], ["--all", talks[0], "-y"], ["--all", "--older-than", "1d", "-y"], ["--all"]):
        assert mmcli("history", "delete", *arguments).status == 2
    assert "--all" in mmcli("history", "delete").stderr
    assert len(mmcli("history", "--json").json) == 4
    done = mmcli("history", "delete", "--all", "--yes")
    assert (done.status, "all 4 conversations deleted" in done.stderr) == (0, True)
    assert mmcli("history", "--json").json == []


@pytest.mark.parametrize(("answer", "left"), [("n", 4), ("y", 0)])
def test_on_a_terminal_deleting_everything_is_asked_about(
    mmcli: Run, talks: list[str], environment: dict[str, str], answer: str, left: int
) -> None:
    command = ["-m", "mmcli", "history", "delete", "--all"]
    process = pexpect.spawn(sys.executable, command, env=environment, timeout=TIMEOUT, encoding="utf-8")
    process.expect_exact("Delete all 4 conversations? [y/N] ")
    process.sendline(answer)
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 0
    assert len(mmcli("history", "--json").json) == left


# config


@pytest.fixture
def config(home: Path) -> Path:
    folder = home / "config" / "mmcli"
    folder.mkdir(parents=True)
    return folder / "config.toml"


@at_widths
def test_what_is_set_is_a_line_a_setting(screen: Screen, config: Path, columns: int) -> None:
    config.write_text(f'model = "/models/{"a-folder/" * 20}model.gguf"\nmax-tokens = 7\n')
    head, *lines = screen("config", columns=columns)
    assert head.split() == ["SETTING", "VALUE", "SOURCE"]
    assert [line.split()[0] for line in lines[:2]] == ["model", "max-tokens"]
    assert lines[1].split() == ["max-tokens", "7", "config.toml"]
    assert lines[2] == ""
    assert [line.split()[0] for line in lines if line.startswith(("config.toml", "cache", "history"))] == [
        "config.toml",
        "cache",
        "history",
    ]
    assert "`mmcli config --all` lists them" in " ".join("\n".join(lines).split())
    assert len(lines) <= 12 and all("…" not in line for line in lines[3:])
    assert max(map(len, lines[:2])) <= columns


@at_widths
def test_every_setting_is_a_line_those_that_are_set_first(screen: Screen, config: Path, columns: int) -> None:
    config.write_text("seed = 7\n")
    shown = screen("config", "--all", columns=columns)
    lines = shown[1 : shown.index("")]
    assert max(map(len, lines)) <= columns
    assert lines[0].split() == ["seed", "7", "config.toml"]
    assert len(lines) == len({line.split()[0] for line in lines}) > 40
    assert all(line.split()[-1] == "default" for line in lines[1:])


def test_where_nothing_is_set_that_is_said(mmcli: Run) -> None:
    done = mmcli("config")
    assert (done.status, len(done.stdout.splitlines())) == (0, 3)
    assert "nothing is set" in done.stderr and "`mmcli config --all`" in done.stderr
    assert mmcli("config", "-q").stderr == ""


def test_one_setting_is_printed(mmcli: Run, config: Path) -> None:
    config.write_text('model = "starter"\nstop = ["a b", "c"]\n')
    assert mmcli("config", "get", "model").stdout == "starter\n"
    assert mmcli("config", "get", "model", env={"MMCLI_MODEL": "other"}).stdout == "other\n"
    assert mmcli("config", "get", "stop").stdout == "a b\nc\n"
    assert mmcli("config", "get", "cache").stdout == "true\n"
    assert "1024 (ask, chat" in mmcli("config", "get", "max_tokens").stdout
    assert mmcli("config", "get", "model", "--json").json == {
        "name": "model",
        "value": "starter",
        "source": "config.toml",
        "variable": "MMCLI_MODEL",
    }
    done = mmcli("config", "get", "seed")
    assert (done.status, done.stdout) == (0, "") and "`seed` is not set" in done.stderr
    done = mmcli("config", "get", "modle")
    assert (done.status, done.stdout) == (2, "") and "did you mean `model`?" in done.stderr
    done = mmcli("config", "max-tokens")
    assert done.status == 2 and "`mmcli config get max-tokens` shows it" in done.stderr


# models


@at_widths
def test_the_list_of_models_fits_and_says_what_each_is_for(screen: Screen, columns: int) -> None:
    lines = screen("models", columns=columns)
    head, table = lines[0], lines[1 : next(i for i, line in enumerate(lines) if line.startswith("note:"))]
    assert {"NAME", "SIZE", "FITS", "ABOUT"} <= set(head.split()) and "HERE" not in head
    assert max(map(len, lines)) <= columns
    place = head.index("ABOUT")
    models = [line for line in table if line and not line.startswith(("on this machine", "not here yet"))]
    assert len(models) >= 30 and all(len(line[place:]) >= 12 for line in models)
    assert any("1.6 GB" in line for line in models)
    assert table[1] == "on this machine" and table[2].startswith("starter ")
    first = table.index("not here yet")
    assert table.index("not here yet, for speech") > first
    assert table.index("not here yet, to find pictures by words") > first
    marked = [line.split()[0] for line in models if line.split()[1] == "*"]
    assert len(marked) == 3  # one that answers, one that writes down speech, one that compares
    assert f"`mmcli pull {marked[0]}` downloads it" in " ".join(" ".join(lines).split())


def test_the_marked_model_is_the_one_that_is_used(mmcli: Run, home: Path) -> None:
    def chosen(**env: str) -> list[str]:
        return [
            row["name"]
            for row in mmcli("models", "--json", env=env).json
            if row["chosen"] and row["abilities"] != "embedding"
        ]

    default, speech = chosen()
    assert f"mmcli pull {default}`" in mmcli("ask", "What?").stderr and speech == "whisper-small"
    assert chosen(MMCLI_MODEL="starter") == ["starter", "whisper-small"]
    assert chosen(MMCLI_MODEL="/a/file.gguf", MMCLI_SPEECH_MODEL="whisper-base") == ["whisper-base"]
    (home / "config" / "mmcli").mkdir(parents=True)
    (home / "config" / "mmcli" / "config.toml").write_text('model = "starter"\n')
    assert chosen() == ["starter", "whisper-small"]


def test_words_and_here_narrow_the_list(mmcli: Run) -> None:
    def names(*arguments: str) -> list[str]:
        return [line.split("\t")[0] for line in mmcli("models", *arguments).stdout.splitlines()]

    found = names("qwen")
    assert len(found) > 5 and all("qwen" in name for name in found)
    assert names("QWEN", "speaks") == ["qwen3-tts-1.7b"]
    assert set(names("--here")) == {"starter"}
    assert names("qwen", "--here") == []
    done = mmcli("models", "zzz")
    assert (done.status, done.stdout) == (0, "") and "no model in this list" in done.stderr
    assert mmcli("models", "zzz", "--json").json == []
    assert mmcli("models", "qwen", "--adopt").status == 2


def test_speech_models_are_told_with_what_they_need(mmcli: Run) -> None:
    rows = {row["name"]: row for row in mmcli("models", "--json").json if row["abilities"] == "speech"}
    assert all(row["fits"] in ("fits", "tight", "no") for row in rows.values())
    assert rows["whisper-large-v3"]["needs_bytes"] > rows["whisper-tiny"]["needs_bytes"] > 78_000_000
    assert "fits here" in mmcli("show", "whisper-small").stdout


@at_widths
def test_a_model_is_shown_in_words(screen: Screen, columns: int) -> None:
    lines = screen("show", "qwen3-vl-2b", columns=columns)
    labels = [line[:20].strip() for line in lines if line[:20].strip()]
    assert labels[:2] == ["name", "on this machine"]
    assert {"size", "parameters", "advised context", "on the Hub", "SHA-256", "memory needed", "fits here"} <= set(
        labels
    )
    assert "memory" not in labels, "one figure"
    text = "\n".join(lines)
    assert "1.6 GB" in text and "2 billion" in text and "8192 tokens" in text
    assert "_" not in "".join(labels) and "gb" not in labels


# help


@at_widths
def test_the_first_page_answers_what_a_newcomer_looks_for(screen: Screen, columns: int) -> None:
    lines = screen("--help", columns=columns)
    assert max(map(len, lines)) <= columns and (len(lines) <= 60 or columns < 80)
    text = " ".join(" ".join(lines).split())
    for command in ("models", "config", "transcribe", "chat", "history", "ask"):
        assert f"  {command} " in "\n".join(lines)
    assert "mmcli help" in text


def test_json_has_the_license_under_both_spellings(mmcli: Run) -> None:
    for arguments in (("models", "--json"), ("show", "starter", "--json"), ("show", "whisper-small", "--json")):
        told = mmcli(*arguments).json
        for facts in told if isinstance(told, list) else [told]:
            assert facts["license"] == facts["licence"]
