"""`mmcli history`, and `mmcli ask -c`: talks that were kept are found, shown, gone on with and deleted."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pexpect
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.conftest import PARROT, TIMEOUT, Random, Run, draw

WHAT = "What is in this picture?"
COUNT = "How many shapes are there?"


@pytest.fixture
def data(home: Path, environment: dict[str, str]) -> Path:
    """The folder of the history."""
    environment["MMCLI_DATA_DIR"] = str(home / "data")
    return home / "data"


@pytest.fixture
def last(mmcli: Run, data: Path) -> Callable[[], Any]:
    """The last talk, as `mmcli history show --json` tells it."""
    return lambda: mmcli("history", "show", "--json", "--all").json


def questions(talk: Any) -> list[str]:
    return [turn["question"] for turn in talk["turns"]]


# what ask keeps


def test_a_question_is_kept_with_its_answer_and_receipts(ask: Run, last: Callable[[], Any], two: Path) -> None:
    told = ask("two.png", WHAT, "-s", "Be brief.", "--seed", "7", "--json").json
    talk = last()
    (turn,) = talk["turns"]
    assert (talk["id"], talk["kind"], talk["model"], talk["system"]) == (told["talk"], "ask", "starter", "Be brief.")
    assert turn["question"] == WHAT
    assert {key: turn[key] for key in told if key != "talk"} == {key: told[key] for key in told if key != "talk"}
    assert turn["sampling"]["temperature"] == 0
    assert turn["media"][0]["path"] == str(two)


def test_the_history_lies_where_the_manual_says(ask: Run, two: Path, home: Path) -> None:
    ask("two.png", WHAT)
    found = [path for path in home.rglob("history.db")]
    if sys.platform == "linux":
        assert found == [home / ".local" / "share" / "mmcli" / "history.db"]
    assert len(found) == 1


@pytest.mark.parametrize("how", ["flag", "variable", "file"])
def test_without_history_nothing_is_kept(ask: Run, data: Path, two: Path, home: Path, how: str) -> None:
    if how == "file":
        (home / "config" / "mmcli").mkdir(parents=True)
        (home / "config" / "mmcli" / "config.toml").write_text("history = false\n")
    flags = ["--no-history"] if how == "flag" else []
    done = ask("two.png", WHAT, *flags, "--json", env={"MMCLI_HISTORY": "0"} if how == "variable" else {})
    assert (done.status, done.json["talk"]) == (0, None)
    assert not data.exists()


def test_what_fails_before_it_is_asked_leaves_no_trace(ask: Run, data: Path) -> None:
    assert ask("none.png", WHAT).status == 3
    assert ask("What?", "-m", "none").status == 4
    assert not data.exists()


def test_what_the_engine_refuses_is_kept_as_an_error(ask: Run, last: Callable[[], Any], two: Path) -> None:
    assert ask("two.png", WHAT, "--ctx-size", "64").status == 6
    (turn,) = last()["turns"]
    assert (turn["answer"], turn["finish_reason"]) == ("", "interrupted")
    assert "the prompt takes" in turn["error"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_an_answer_ended_by_ctrl_c_is_kept(
    parrot: Random, last: Callable[[], Any], environment: dict[str, str], tmp_path: Path
) -> None:
    process = talking(parrot, environment, tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    (turn,) = last()["turns"]
    assert turn["finish_reason"] == "interrupted"
    assert set(turn["answer"].split()) == {PARROT}
    assert turn["usage"]["completion_tokens"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGPIPE")
def test_an_answer_whose_reader_went_away_is_kept(
    parrot: Random, last: Callable[[], Any], environment: dict[str, str], tmp_path: Path
) -> None:
    with talking(parrot, environment, tmp_path) as process:
        pass  # closes the pipe
    assert process.returncode == 141
    (turn,) = last()["turns"]
    assert turn["finish_reason"] == "interrupted"
    assert set(turn["answer"].split()) == {PARROT}


def talking(parrot: Random, environment: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    """mmcli in the middle of an answer of a million words."""
    options = (*parrot.options, "--no-loop-guard", "--ctx-size", "20000", "--max-tokens", "19000")
    command = [sys.executable, "-m", "mmcli", "ask", "Hello!", *options]
    process = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.read(1)
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_process_leaves_what_was_said_and_the_talk_goes_on(
    mmcli: Run, parrot: Random, data: Path, last: Callable[[], Any], environment: dict[str, str], tmp_path: Path
) -> None:
    with talking(parrot, environment, tmp_path) as process:
        database = sqlite3.connect(data / "history.db")
        said = ""
        while not said and process.poll() is None:
            time.sleep(0.05)  # leave the cores to it
            ((said,),) = database.execute("SELECT answer FROM turns").fetchall()
        database.close()
        process.kill()
    (turn,) = last()["turns"]
    assert turn["finish_reason"] == "interrupted"
    assert turn["answer"].startswith(said)
    assert PARROT in said
    done = mmcli("ask", "-c", "And now?", "--no-cache", "--temp", "0", "--max-tokens", "2", "--debug")
    assert done.status == 0, done.stderr
    assert f"{said.strip()}" in done.prompt
    assert done.prompt.index("Hello!") < done.prompt.index(said.strip()) < done.prompt.index("And now?")


# trouble


@pytest.mark.parametrize("trouble", ["damaged", "newer", "unwritable"])
def test_trouble_with_the_history_costs_no_answer(ask: Run, mmcli: Run, data: Path, two: Path, trouble: str) -> None:
    path = data / "history.db"
    if trouble == "unwritable":
        data.write_text("a file where the folder should be")
        path = data
    elif trouble == "damaged":
        data.mkdir()
        path.write_bytes(b"no database" * 999)
    else:
        ask("Hello!")
        with sqlite3.connect(path) as database:
            database.execute("PRAGMA user_version = 99")
        database.close()
    before = path.read_bytes()
    done = ask("two.png", WHAT, "-q")
    assert (done.status, "circle" in done.words) == (0, True)
    assert done.stderr.startswith("warning: this conversation is not saved: ")
    assert len(done.stderr.splitlines()) == 1
    warned = ask("two.png", WHAT, "--json")
    assert "not saved" in json.loads(warned.stderr)["warning"]["message"]
    assert warned.json["answer"]
    assert path.read_bytes() == before
    if trouble != "unwritable":
        listed = mmcli("history")
        assert (listed.status, listed.stdout) == (3, "")
        assert "nothing was changed" in listed.stderr
        assert ask("-c", "And?").status == 3


# going on


def test_a_talk_goes_on_with_its_pictures_from_anywhere(
    ask: Run, last: Callable[[], Any], two: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    ask("two.png", WHAT)
    (tmp_path / "elsewhere").mkdir()
    two_elsewhere = tmp_path / "elsewhere" / "two.png"
    draw(two_elsewhere, "green triangle")  # another picture of the same name, where the person is now
    done = subprocess.run(
        [sys.executable, "-m", "mmcli", "ask", "-c", COUNT, "--temp", "0", "--json"],
        cwd=two_elsewhere.parent,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
    )
    told = json.loads(done.stdout)
    assert "2" in told["answer"]
    assert [receipt["source"] for receipt in told["receipts"]] == ["two.png"]
    assert questions(last()) == [WHAT, COUNT]


def test_a_talk_goes_on_with_its_own_model_and_system_prompt(mmcli: Run, last: Callable[[], Any], tiny: Random) -> None:
    mmcli("ask", "Hello!", *tiny.options, "-s", "Be brief.", "--max-tokens", "3")
    done = mmcli("ask", "-c", "Again!", "--max-tokens", "3", "--no-cache", "--debug", env={"MMCLI_MODEL": "none"})
    assert done.status == 0, done.stderr
    assert "Be brief." in done.prompt
    assert last()["model"] == str(tiny.weights)
    assert last()["mmproj"] == str(tiny.projector)
    done = mmcli("ask", "-c", "And you?", "-m", "starter", "-s", "Be long.", "--debug")
    assert "Be long." in done.prompt and "Be brief." not in done.prompt
    assert (last()["model"], last()["system"], questions(last())) == (
        "starter",
        "Be long.",
        ["Hello!", "Again!", "And you?"],
    )


def test_what_was_computed_of_the_pictures_is_not_computed_again(
    mmcli: Run, parrot: Random, data: Path, two: Path
) -> None:
    options = ("-m", parrot.weights, "--mmproj", parrot.projector, "--max-tokens", "2", "--json")
    first = mmcli("ask", "two.png", "One?", *options).json
    assert first["receipts"][0]["origin"] == "encoded"
    then = mmcli("ask", "-c", "Two?", "--max-tokens", "2", "--json").json
    assert then["receipts"][0]["origin"] == "disk"
    assert then["usage"]["n_encodes"] == 0


def test_a_new_picture_may_come_into_a_talk(ask: Run, last: Callable[[], Any], one: Path, two: Path) -> None:
    ask("two.png", WHAT)
    told = ask("-c", "one.png", WHAT, "--json").json
    assert [receipt["source"] for receipt in told["receipts"]] == ["two.png", "one.png"]
    assert "triangle" in told["answer"]
    assert [len(turn["media"]) for turn in last()["turns"]] == [1, 1]


def test_texts_stand_in_the_prompt_as_they_did(ask: Run, data: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("Shapes have corners.")
    first = ask("notes.md", "Is that so?", "--debug", stdin=b"I like shapes.\n")
    then = ask("-c", "Really?", "--debug")
    assert first.prompt.removesuffix("\nASSISTANT:") in then.prompt


def test_a_question_without_an_answer_leaves_its_media_to_the_next(ask: Run, data: Path, two: Path) -> None:
    assert ask("two.png", "A question that finds no room?", "--ctx-size", "64").status == 6
    done = ask("-c", WHAT, "--debug")
    assert {"circle", "square"} <= done.words
    assert done.prompt.count("<media>") == 1
    assert "no room" not in done.prompt
    assert ask("-c", COUNT, "--debug").prompt.startswith(done.prompt.split(WHAT)[0])


def test_going_on_without_history_keeps_nothing(ask: Run, last: Callable[[], Any], two: Path) -> None:
    ask("two.png", WHAT)
    assert "2" in ask("-c", COUNT, "--no-history").words
    assert questions(last()) == [WHAT]


def test_there_must_be_something_to_go_on_with(ask: Run, data: Path) -> None:
    done = ask("-c", "And?")
    assert (done.status, done.stdout) == (3, "")
    assert "no conversation in the history yet" in done.stderr
    ask("Hello!")
    done = ask("-c=zz", "And?")
    assert done.status == 3
    assert "no conversation `zz`" in done.stderr


# media that are no longer what they were


def test_a_picture_that_changed_is_told(ask: Run, last: Callable[[], Any], two: Path) -> None:
    ask("two.png", WHAT)
    draw(two, "green triangle")
    done = ask("-c", COUNT)
    assert (done.status, done.stdout) == (3, "")
    assert f"is about `two.png`, and `{two}` has changed since" in done.stderr
    assert "--keep-media" in done.stderr
    assert questions(last()) == [WHAT]


def test_a_picture_that_is_gone_is_told(ask: Run, data: Path, two: Path) -> None:
    ask("two.png", WHAT)
    two.unlink()
    done = ask("-c", COUNT)
    assert (done.status, done.stdout) == (3, "")
    assert f"is about `two.png`, and no file named `{two}`" in done.stderr


def test_a_picture_that_was_piped_in_is_gone_unless_it_was_kept(ask: Run, data: Path, two: Path) -> None:
    ask("-", WHAT, stdin=two.read_bytes())
    done = ask("-c", COUNT)
    assert done.status == 3
    assert "it was piped in, and no copy was kept" in done.stderr
    ask("-", WHAT, "--keep-media", stdin=two.read_bytes())
    assert "2" in ask("-c", COUNT).words


@pytest.mark.parametrize("fate", ["changed", "gone"])
def test_a_kept_copy_takes_the_place_of_a_picture(ask: Run, data: Path, two: Path, fate: str) -> None:
    ask("two.png", WHAT, "--keep-media")
    if fate == "gone":
        two.unlink()
    else:
        draw(two, "green triangle")
    done = ask("-c", COUNT)
    assert (done.status, "2" in done.words) == (0, True)
    assert "continuing with the copy that was kept" in done.stderr


def test_other_bytes_with_the_same_pixels_are_the_same_picture(ask: Run, data: Path, two: Path) -> None:
    ask("two.png", WHAT)
    tag = PngInfo()
    tag.add_text("Comment", "a new tag")
    Image.open(two).save(two, pnginfo=tag)
    assert "2" in ask("-c", COUNT).words


def test_a_moved_picture_is_gone_even_where_a_copy_lies_elsewhere(ask: Run, data: Path, two: Path) -> None:
    ask("two.png", WHAT)
    shutil.move(two, two.with_name("three.png"))
    assert ask("-c", COUNT).status == 3


# -c with and without an id


@pytest.mark.parametrize(
    "form", ["-c {id}", "-c {id:.3}", "-c={id}", "-c{id}", "--continue {id}", "--continue={id:.1}", "-qc {id}"]
)
def test_an_id_may_follow_or_be_attached(ask: Run, data: Path, mmcli: Run, two: Path, form: str) -> None:
    talk = ask("two.png", WHAT, "--json").json["talk"]
    other = talk
    while other[0] == talk[0]:  # with another first letter, so that the shortest beginning is enough
        mmcli("history", "delete", other, "--yes") if other != talk else None
        other = ask("Hello!", "--json").json["talk"]
    done = ask(*form.format(id=talk).split(), COUNT, "--json")
    assert (done.json["talk"], "2" in done.json["answer"]) == (talk, True)
    assert ask(COUNT, *form.format(id=talk).split(), "--json").status in (0, 3)  # an id at the end is the question


@pytest.mark.parametrize(
    "arguments",
    [("-c", COUNT), (COUNT, "-c"), ("-c", "--", COUNT), ("--continue", COUNT), ("-c", "-v", COUNT), ("-vc", COUNT)],
)
def test_without_an_id_what_follows_is_the_question(
    ask: Run, data: Path, two: Path, arguments: tuple[str, ...]
) -> None:
    ask("two.png", WHAT)
    assert "2" in ask(*arguments).words


def test_a_file_whose_name_looks_like_an_id_is_a_file(
    ask: Run, data: Path, two: Path, one: Path, tmp_path: Path
) -> None:
    ask("two.png", WHAT)
    one.rename(tmp_path / "2abc")
    told = ask("-c", "2abc", WHAT, "--json").json
    assert [receipt["source"] for receipt in told["receipts"]] == ["two.png", "2abc"]


def test_an_id_is_no_question(ask: Run, data: Path) -> None:
    talk = ask("Hello!", "--json").json["talk"]
    done = ask("-c", talk)
    assert done.status == 2
    assert "looks like the ID of a conversation" in done.stderr


def test_what_looks_like_it_may_be_another_option_s_value(ask: Run, data: Path) -> None:
    first = ask("Hello!", "--json").json["talk"]
    done = ask("-s", "-c", "Hello!", "--json", "--debug")
    assert done.json["talk"] != first
    assert done.prompt.startswith("-c")
    assert ask("--stop", "-c", "Hello!", "--json").json["talk"] != first
    assert ask("--", "-c").status == 0  # a question


# showing what was kept


@pytest.fixture
def three(ask: Run, data: Path, two: Path) -> list[str]:
    """Three talks, the last of which has two turns."""
    talks = [ask("Hello!", "--json").json["talk"], ask("two.png", WHAT, "--json").json["talk"]]
    talks.append(ask("two.png", COUNT, "--json").json["talk"])
    ask("-c", "What color is the circle?")
    return talks


def test_talks_are_listed(mmcli: Run, three: list[str]) -> None:
    lines = [line.split("\t") for line in mmcli("history").stdout.splitlines()]
    assert [line[0] for line in lines] == three[::-1]
    assert [line[2:] for line in lines] == [
        ["ask", "starter", "2", "1", COUNT],
        ["ask", "starter", "1", "1", WHAT],
        ["ask", "starter", "1", "0", "Hello!"],
    ]
    done = mmcli("history", "-n", "1")
    assert len(done.stdout.splitlines()) == 1
    assert "1 of 3 conversations" in done.stderr
    assert [talk["id"] for talk in mmcli("history", "--json").json] == three[::-1]


def test_an_empty_history_is_no_error(mmcli: Run, data: Path) -> None:
    done = mmcli("history")
    assert (done.status, done.stdout) == (0, "")
    assert "nothing is kept yet" in done.stderr
    assert mmcli("history", "--json").json == []
    assert mmcli("history", "search", "red").status == 0
    assert mmcli("history", "export").stdout == ""
    assert mmcli("history", "show").status == 3
    assert not data.exists()


def test_a_talk_is_shown(mmcli: Run, three: list[str]) -> None:
    text = mmcli("history", "show").stdout
    assert text.splitlines()[0].startswith(f"conversation {three[2]}, ask, starter, ")
    assert f"> {COUNT}" in text and "two.png: PNG 320×240, 64 tokens" in text and "red" in text
    assert mmcli("history", "show", three[0][:4]).stdout.splitlines()[2] == "> Hello!"


def test_words_are_searched(mmcli: Run, three: list[str]) -> None:
    found = mmcli("history", "search", "CIRC", "blue").stdout.splitlines()
    assert [line.split("\t")[0] for line in found] == [three[1]]
    assert [hit["id"] for hit in mmcli("history", "search", "two.png", "--json").json] == [three[2], three[1]]
    nothing = mmcli("history", "search", "hexagon")
    assert (nothing.status, nothing.stdout) == (0, "")


def test_talks_are_exported(mmcli: Run, three: list[str], two: Path) -> None:
    text = mmcli("history", "export", three[1]).stdout
    assert text.startswith(f"# {WHAT}\n")
    assert f"![two.png](<{two}>)" in text
    everything = mmcli("history", "export", "--format", "json").json
    assert [talk["id"] for talk in everything] == three
    assert everything[1] == mmcli("history", "show", three[1], "--json").json
    assert mmcli("history", "export").stdout.count("\n# ") == 2


def test_a_deleted_talk_is_gone(mmcli: Run, three: list[str]) -> None:
    done = mmcli("history", "delete", three[0], three[1][:4], "--yes")
    assert (done.status, done.stdout) == (0, "")
    assert "2 conversations deleted" in done.stderr
    assert [talk["id"] for talk in mmcli("history", "--json").json] == [three[2]]
    assert mmcli("history", "delete", three[0], "-y").status == 3


@pytest.mark.parametrize("which", [("{}",), ("--older-than", "0d"), ("{}", "-q")])
def test_where_nobody_can_be_asked_deleting_wants_a_yes(mmcli: Run, three: list[str], which: tuple[str, ...]) -> None:
    done = mmcli("history", "delete", *(word.format(three[0]) for word in which), env={"MMCLI_YES": "1"})
    assert (done.status, "--yes" in done.stderr) == (2, True)
    assert len(mmcli("history", "--json").json) == 3


def test_old_talks_are_deleted(mmcli: Run, three: list[str], data: Path) -> None:
    with sqlite3.connect(data / "history.db") as database:
        database.execute("UPDATE talks SET changed = changed - 40 * 86400 WHERE id = ?", (three[0],))
    database.close()
    assert "no conversation deleted" in mmcli("history", "delete", "--older-than", "6w", "-y").stderr
    assert "1 conversation deleted" in mmcli("history", "delete", "--older-than", "30d", "-y").stderr
    assert [talk["id"] for talk in mmcli("history", "--json").json] == three[:0:-1]
    assert mmcli("history", "delete", "--older-than", "soon").status == 2
    assert mmcli("history", "delete").status == 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("answer", "left"), [("y", 2), ("n", 3), ("", 3)])
def test_on_a_terminal_deleting_is_asked_about(
    mmcli: Run, three: list[str], environment: dict[str, str], answer: str, left: int
) -> None:
    process = pexpect.spawn(
        sys.executable,
        ["-m", "mmcli", "history", "delete", three[0]],
        env=environment,
        timeout=TIMEOUT,
        encoding="utf-8",
    )
    process.expect_exact("Delete 1 conversation? [y/N] ")
    process.sendline(answer)
    process.expect(pexpect.EOF)
    process.close()
    assert process.exitstatus == 0
    assert len(mmcli("history", "--json").json) == left


def test_what_was_kept_commands_no_terminal(mmcli: Run, data: Path, tmp_path: Path, two: Path) -> None:
    name = "pic\x1b]0;owned\x07\x9b31m.png"
    two.rename(tmp_path / name)
    mmcli("ask", name, "What\x1b[2J is\u202e this?", "-m", "starter", "-s", "\x1b[31mred", "--temp", "0")
    for arguments in (
        [],
        ["show"],
        ["show", "--json"],
        ["--json"],
        ["search", "this"],
        ["export"],
        ["export", "-f", "json"],
    ):
        done = mmcli("history", *arguments)
        assert done.status == 0, done.stderr
        assert "this" in done.stdout
        for harmful in "\x1b\x07\x9b\u202e":
            assert harmful not in done.stdout, arguments


def test_questions_asked_at_once_are_all_kept(two: Path, data: Path, mmcli: Run, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "mmcli", "ask", "-m", "starter", str(two)]
    running = [
        subprocess.Popen([*command, f"{COUNT} {i}"], env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for i in range(4)
    ]
    for process in running:
        _, stderr = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, stderr) == (0, b"")
    assert sorted(talk["title"] for talk in mmcli("history", "--json").json) == [f"{COUNT} {i}" for i in range(4)]


# damage


def test_damaged_rows_are_told_and_take_no_other_talk_with_them(
    mmcli: Run, ask: Run, three: list[str], data: Path
) -> None:
    first, bad, last = three
    with sqlite3.connect(data / "history.db") as database:
        database.execute("UPDATE turns SET facts = '{}', asked = 1e300, answer = x'ff80' WHERE talk = ?", (bad,))
        database.execute("UPDATE media SET receipt = '[' WHERE turn IN (SELECT id FROM turns WHERE talk = ?)", (bad,))
        database.execute("UPDATE talks SET changed = 1e300 WHERE id = ?", (bad,))
    database.close()
    told = f"conversation `{bad}` is damaged: "
    # the others come out, and all that can be read of this one
    done = mmcli("history", "export", "--format", "json")
    assert (done.status, [talk["id"] for talk in done.json]) == (7, [first, last, bad])
    assert told in done.stderr and "its receipt cannot be read" in done.stderr
    assert [turn["question"] for turn in done.json[2]["turns"]] == [WHAT]
    done = mmcli("history", "export")
    assert (done.status, done.stdout.count("\n# "), told in done.stderr) == (7, 2, True)
    for command in (("history",), ("history", "search", "what")):
        done = mmcli(*command)
        assert (done.status, told in done.stderr, bad in done.stdout) == (0, True, True)
    done = mmcli("history", "show", bad)
    assert (done.status, told in done.stderr, WHAT in done.stdout) == (3, True, True)
    # but no question is put into it
    done = ask(f"-c={bad}", "And now?")
    assert (done.status, done.stdout, told in done.stderr) == (3, "", True)
    assert mmcli("history", "delete", bad, "--yes").status == 0
    done = mmcli("history", "export")
    assert (done.status, done.stderr) == (0, "")
