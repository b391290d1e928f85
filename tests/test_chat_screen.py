"""`mmcli chat` as a person has it: the real program in a pseudo-terminal, with the starter model."""

from __future__ import annotations

import re
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pexpect")
pytest.importorskip("pyte")
if sys.platform == "win32":
    pytest.skip("pseudo-terminals need a Unix", allow_module_level=True)

from tests.conftest import PARROT, Random, Run, draw  # noqa: E402
from tests.terminals import Terminal  # noqa: E402

# A child is forked while other tests' libraries have threads running; it executes Python anew at once.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

WHAT = "What is in this picture?"
TWO = "I see a red circle and a blue square."
CTRL_C, CTRL_D, CTRL_G, CTRL_R, CTRL_V, ALT_ENTER = "\x03", "\x04", "\x07", "\x12", "\x16", "\x1b\r"

Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Start]:
    """Start `mmcli chat ARGUMENTS` with the starter, or the model that the arguments name."""
    started: list[Terminal] = []

    def run(*arguments: str, columns: int = 80, rows: int = 30, **env: str) -> Terminal:
        model = ("--temp", "0") if {"-m", "-c"} & set(arguments) else ("-m", "starter", "--temp", "0")
        terminal = Terminal(["chat", *model, *arguments], environment | env, tmp_path, columns=columns, rows=rows)
        started.append(terminal)
        return terminal

    yield run
    for terminal in started:
        terminal.child.close(force=True)


# a talk


def test_a_talk_about_a_picture(start: Start, two: Path) -> None:
    chat = start("two.png")
    chat.wait("starter: sees · context 2048 tokens · /help")
    chat.wait("staged as 1: two.png, PNG 320×240")
    chat.wait("starter  0/2048 tokens  staged: two.png")
    chat.ask(WHAT, TWO)
    chat.ask("How many shapes are there?", "There are 2 shapes.")
    chat.wait("staged: two.png", gone=True)
    chat.send(CTRL_D)
    assert chat.end() == 0


def test_a_follow_up_computes_only_what_is_new(start: Start, two: Path) -> None:
    chat = start("two.png", "-v")
    chat.ask(WHAT, "two.png: PNG 320×240, 64 tokens, encoded")
    chat.ask("How many shapes are there?", "two.png: PNG 320×240, 64 tokens, reused from memory")
    before, after = (line for line in chat.flat.split("starter on CPU: context ")[1:])
    assert f"{before.split('/')[0]} of " in after, "not all that was said before is reused"


def test_media_come_in_every_way(start: Start, two: Path, one: Path) -> None:
    spaced = draw(two.parent / "my pic.png", "red square")
    chat = start()
    chat.ask("/attach two.png one.png", "staged as 2: one.png")
    chat.ask(f"'{spaced}'", "staged as 3: my pic.png")
    chat.ask(f"file://{two.parent}/my%20pic.png", "staged as 4: my pic.png")
    chat.ask("two.png", "staged as 5: two.png")
    chat.ask("/media", "5 two.png, PNG 320×240, staged")
    for _ in range(4):
        chat.ask("/drop 1", "dropped")
    chat.ask("/drop", "dropped two.png")
    chat.ask(f"{two} {WHAT}", TWO)
    chat.ask("/clear", "a new conversation starts")
    chat.ask(f"@one.png {WHAT}", "I see a green triangle.")


def test_a_dropped_file_is_staged_at_once_and_the_line_stays(start: Start, two: Path) -> None:
    chat = start()
    chat.prompt()
    chat.send("What is in ")
    chat.wait("> What is in")
    chat.paste(f"'{two}' ")
    chat.wait("staged as 1: two.png")
    chat.wait(lambda: chat.line.rstrip() == "> What is in")
    chat.send("this picture?\r")
    chat.wait(TWO)


MISTAKES = {
    "/attach tow.png": "error: no file named `tow.png` hint: did you mean `two.png`?",
    "/attach two.png README": "no file named `README`",
    "/no/such.png what is it?": "no file named `/no/such.png`",
    "what is in @tow.gif?": "no file named `tow.gif`",
    "/hlep": "error: there is no command `/hlep` hint: did you mean /help?",
    "/drop 7": "there is no file 7: none was attached",
    "/model strater": "did you mean `starter`?",
    "/undo": "nothing was asked yet",
    "/retry": "nothing was asked yet",
    "/show": "which one?",
    "/save": "into which file?",
    "/load none.json": "cannot read `none.json`",
}


def test_a_mistake_is_told_at_once_and_changes_nothing(start: Start, two: Path) -> None:
    chat = start(columns=120)
    for line, told in MISTAKES.items():
        chat.ask(line, told)
    chat.ask("/media", "no files;")
    chat.wait("0/2048 tokens")


def test_help_and_quit_need_no_slash(start: Start) -> None:
    chat = start()
    chat.ask("help", "/quit end the chat")
    chat.ask('"""help"""', "starter model")
    chat.send("Exit\r")
    assert chat.end() == 0


def test_a_model_that_cannot_see_refuses_the_picture_at_once(start: Start, two: Path, tiny: Random) -> None:
    blind = shutil.copy(tiny.weights, two.parent / "blind.gguf")
    chat = start("-m", str(blind), "--no-cache")
    chat.ask("two.png", "has no projector, so it cannot see")


# what is computed while a message is typed


def test_a_staged_picture_is_encoded_while_the_question_is_typed(start: Start, two: Path, one: Path) -> None:
    chat = start("two.png", "-v", columns=120)
    chat.wait("staged: two.png, ready")
    chat.ask("/attach one.png", "staged as 2: one.png")
    chat.wait("staged: two.png, one.png, ready")
    chat.ask("/drop 2", "dropped one.png")
    chat.wait("staged: two.png, ready")
    chat.ask(WHAT, "two.png: PNG 320×240, 64 tokens, encoded ahead")
    assert TWO in chat.flat and "encode 0" not in chat.flat, "it was encoded when it was asked about"
    chat.ask("/undo", "taken back")
    chat.wait("staged: two.png, ready")
    chat.ask(WHAT, "two.png: PNG 320×240, 64 tokens, reused from memory")
    chat.ask("/clear", "a new conversation starts")
    chat.ask("one.png", "staged as 1: one.png")
    chat.ask("What is in this picture?", "I see a green triangle.")


def test_another_model_reads_the_talk_s_pictures_while_the_question_is_typed(
    start: Start, two: Path, parrot: Random
) -> None:
    chat = start("two.png", "-v", "--max-tokens", "12", columns=120)
    chat.wait("staged: two.png, ready")
    chat.ask(f"/model {parrot.weights} {parrot.projector}", "the conversation continues with")
    chat.ask("/model starter", "the conversation continues with starter")  # while the other one may still be reading it
    chat.wait("staged: two.png, ready")
    chat.ask(WHAT, "two.png: PNG 320×240, 64 tokens, encoded ahead")
    assert TWO in chat.flat


def test_a_question_does_not_wait_for_pictures_that_were_dropped(
    start: Start, two: Path, one: Path, parrot: Random
) -> None:
    chat = start("two.png", *["one.png"] * 8, *parrot.options, "-v", "--max-tokens", "8", columns=120)
    for _ in range(8):
        chat.ask("/drop 2", "dropped one.png")
    chat.ask("Hello!", f"{PARROT} {PARROT}")
    assert "two.png: PNG" in chat.flat
    assert "one.png: PNG" not in chat.flat


def test_the_chat_ends_while_a_picture_is_encoded(start: Start, two: Path, parrot: Random) -> None:
    chat = start(*["two.png"] * 20, *parrot.options)
    chat.wait("/4096 tokens")  # it is loaded, and reads
    chat.send(CTRL_D)
    assert chat.end() == 0


# undo, retry, edit


def test_undo_retry_and_edit(start: Start, two: Path) -> None:
    chat = start("two.png", "-v")
    chat.ask(WHAT, TWO)
    chat.ask("/retry", "64 tokens, reused from memory")
    assert "asked again at temperature 0.7: at 0 the answer would be the same" in chat.flat
    n_said = chat.text.count(TWO)
    chat.ask("/undo", f"taken back: {WHAT}; its files are staged again")
    chat.wait("staged: two.png")
    chat.ask("How many shapes are there?", "There are 2 shapes.")
    chat.send("/edit\r")
    chat.wait(lambda: chat.line.rstrip() == "> How many shapes are there?")
    chat.send("\x15" + WHAT + "\r")  # Ctrl-U: the line goes
    chat.wait(lambda: chat.text.count(TWO) > n_said)
    chat.ask("/edit How many shapes are there?", "There are 2 shapes.")
    assert "reused from memory" in chat.flat.split("/edit How")[1]


def test_another_model_goes_on_with_the_talk(start: Start, two: Path, parrot: Random) -> None:
    chat = start("two.png", "--max-tokens", "12")
    chat.ask(WHAT, TWO)
    chat.ask(f"/model {shutil.copy(parrot.weights, two.parent / 'blind.gguf')}", "cannot see")
    chat.ask(f"/model {parrot.weights} {parrot.projector}", f"the conversation continues with {parrot.weights.name}")
    chat.ask("And now?", f"{PARROT} {PARROT}")
    chat.ask("/model starter", "the conversation continues with starter")
    chat.ask("/media", "1 two.png")


# Ctrl-C and Ctrl-D


def test_ctrl_c_ends_the_answer_and_what_was_said_stays(start: Start, parrot: Random, tmp_path: Path) -> None:
    chat = start(*parrot.options, "--no-loop-guard", "--max-tokens", "1800")
    chat.prompt()
    chat.send("Hello!\r")
    chat.wait(f"{PARROT} {PARROT}")
    chat.send(CTRL_C)
    chat.wait("note: interrupted; the answer is not complete")
    chat.ask("/save talk.json", "saved 1 question")
    assert '"finish_reason": "interrupted"' in (tmp_path / "talk.json").read_text()
    assert PARROT in (tmp_path / "talk.json").read_text()
    chat.send("half a line" + CTRL_C)
    chat.prompt()
    chat.send(CTRL_C)
    assert chat.end() == 130


def test_ctrl_c_before_the_first_word_gives_the_question_back(start: Start, two: Path, parrot: Random) -> None:
    chat = start("two.png", "two.png", "two.png", *parrot.options)
    chat.prompt()
    chat.send("Hello!\r")
    chat.wait(lambda: b"encoding the media" in chat.raw or b"reading the prompt" in chat.raw)
    chat.send(CTRL_C)
    chat.wait("there was no answer: your question is back at the prompt")
    chat.wait(lambda: chat.line.rstrip() == "> Hello!")
    chat.wait("staged: two.png, two.png, two.png")


# the history


def test_a_killed_chat_goes_on_with_its_media_and_what_was_said(start: Start, two: Path) -> None:
    chat = start("two.png")
    chat.ask(WHAT, TWO)
    chat.child.kill(signal.SIGKILL)
    assert chat.end() == -signal.SIGKILL
    again = start("-c", "-v")
    again.wait("continuing conversation")
    again.wait("1 question so far")
    again.ask("How many shapes are there?", "There are 2 shapes.")
    again.wait("two.png: PNG 320×240, 64 tokens")
    again.ask("/undo", "taken back: How many shapes are there?")
    again.ask("/history", "(this one)")
    again.send(CTRL_D)
    again.wait("continues this conversation")
    assert again.end() == 0


def test_a_chat_killed_in_the_middle_of_an_answer_keeps_what_was_said(start: Start, mmcli: Run, parrot: Random) -> None:
    chat = start(*parrot.options, "--no-loop-guard", "--max-tokens", "1800")
    chat.prompt()
    chat.send("Hello!\r")
    chat.wait(lambda: PARROT in mmcli("history", "show").stdout)  # the answer is written down while it comes
    chat.child.kill(signal.SIGKILL)
    chat.end()
    told = mmcli("history", "show", "--json").json["turns"][0]
    assert told["question"] == "Hello!" and PARROT in told["answer"]
    assert told["finish_reason"] == "interrupted"
    again = start("-c", "--max-tokens", "8")
    again.wait("1 question so far")
    again.ask("And?", f"{PARROT} {PARROT}")


def test_what_came_from_the_clipboard_is_there_when_the_talk_goes_on(start: Start, two: Path, tmp_path: Path) -> None:
    chat = start(**tool(tmp_path, "wl-paste", f'cat "{two}"'))
    chat.ask("/paste", "staged as 1: clip:")
    chat.ask(WHAT, TWO)
    chat.ask("/clear", "a new conversation starts")
    chat.ask("Hello!", "starter model")
    chat.ask("/history", WHAT)
    talk = re.findall(rf"^(\w{{6}}) .*{re.escape(WHAT)}", chat.text, re.MULTILINE)[0]
    chat.ask(f"/history {talk[:4]}", f"continuing conversation {talk}, 1 question so far")
    chat.ask("How many shapes are there?", "There are 2 shapes.")


def test_with_keep_media_a_talk_goes_on_without_the_file(start: Start, home: Path, two: Path) -> None:
    chat = start("--keep-media", "two.png")
    chat.ask(WHAT, TWO)
    chat.ask("/attach two.png", "staged as 2")  # what was never asked about is not kept
    chat.send(CTRL_D)
    assert chat.end() == 0
    (kept,) = home.rglob("media/*")
    assert kept.read_bytes() == two.read_bytes()
    two.unlink()
    again = start("-c")
    again.wait("continuing with the copy that was kept")
    again.ask("How many shapes are there?", "There are 2 shapes.")
    again.ask("/media", "1 two.png")


def test_a_medium_that_was_dropped_stays_out_when_the_talk_goes_on(start: Start, two: Path, one: Path) -> None:
    chat = start("two.png", "one.png")
    chat.ask(WHAT, "I see")
    chat.ask("/drop 1", "dropped two.png")
    chat.send(CTRL_D)
    assert chat.end() == 0
    two.unlink()  # it is not even looked for
    again = start("-c")
    again.wait("1 question so far")
    again.ask("/media", "1 one.png")
    assert "two.png" not in again.text


def test_a_question_that_was_killed_is_not_counted_twice(start: Start, mmcli: Run, two: Path, parrot: Random) -> None:
    chat = start("two.png", "two.png", "two.png", *parrot.options)
    chat.prompt()
    chat.send("Hello!\r")
    chat.wait(lambda: mmcli("history", "show").status == 0)  # it is written down before it is answered
    chat.child.kill(signal.SIGKILL)
    chat.end()
    again = start("-c", "--no-cache", "--max-tokens", "8")
    again.wait("staged: two.png, two.png, two.png")
    again.ask("Hello!", f"{PARROT} {PARROT}")
    again.send(CTRL_D)
    assert again.end() == 0
    once_more = start("-c", "--no-cache", "--max-tokens", "8")
    once_more.wait("1 question so far")
    once_more.ask("/media", "3 two.png")
    assert "4 two.png" not in once_more.text and "staged" not in once_more.text


def test_a_talk_that_is_kept_nowhere_is_not_lost_unasked(start: Start, tmp_path: Path) -> None:
    chat = start("--no-history")
    chat.ask("/clear", "a new conversation starts")  # nothing to lose
    chat.ask("Hello!", "starter model")
    chat.send("/clear\r")
    chat.wait("this conversation is not saved (/save FILE saves it). Discard it? [y/N]")
    chat.send("n\r")
    chat.prompt()
    chat.ask("/save talk.json", "saved 1 question")
    chat.ask("/load talk.json", "loaded 1 question")  # what is saved needs no question
    chat.ask("And now?", "starter model")
    chat.send("/load talk.json\r")
    chat.wait(lambda: chat.flat.count("[y/N]") == 2)
    chat.send("y\r")
    chat.wait(lambda: chat.flat.count("loaded 1 question") == 2)
    chat.prompt()
    chat.send(CTRL_D)
    assert chat.end() == 0


def test_no_history_leaves_no_trace(start: Start, home: Path) -> None:
    chat = start("--no-history")
    chat.ask("Hello!", "starter model")
    chat.ask("/history", "nothing is kept yet")
    chat.send(CTRL_D)
    assert chat.end() == 0
    assert not list(home.rglob("typed")) and not list(home.rglob("history.db"))


# the keys


def test_a_message_of_several_lines(start: Start, tmp_path: Path) -> None:
    chat = start()
    said = "only a starter model"
    chat.prompt()
    chat.send("Hello" + ALT_ENTER + "/help\r")
    chat.wait(lambda: chat.flat.count(said) == 1, told=said)
    chat.prompt()
    chat.send('"""\r/quit\rsecond """\r')
    chat.wait(lambda: chat.flat.count(said) == 2, told=said)
    chat.prompt()
    chat.paste("one\r\ntwo\n")
    chat.wait(". two")
    chat.send("\r")
    chat.ask("/save talk.md", "saved 3 questions")
    text = (tmp_path / "talk.md").read_text()
    assert "> Hello\n> /help\n" in text
    assert "> /quit\n> second\n" in text
    assert "> one\n> two\n" in text


def test_what_was_typed_is_found_again_in_the_next_chat(start: Start, home: Path) -> None:
    chat = start()
    chat.ask("/media", "no files;")
    chat.ask("Hello there!", "starter model")
    chat.send(CTRL_D)
    assert chat.end() == 0
    (kept,) = home.rglob("typed")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    again = start()
    again.prompt()
    again.send(CTRL_R + "hello")
    again.wait("> Hello there!")


def test_tab_completes_commands_paths_and_models(start: Start, two: Path, one: Path) -> None:
    chat = start()
    chat.prompt()
    for keys, typed, completed in (
        ("/att", "/att", "/attach"),
        ("tw", "/attach tw", "/attach two.png"),
        ("\x15/model sta", "/model sta", "/model starter"),
        ("\x15What is in @on", "What is in @on", "What is in @one.png"),
    ):
        chat.send(keys)
        chat.wait(lambda line=f"> {typed}": chat.line.rstrip() == line)  # type: ignore[misc]
        chat.send("\t")
        chat.wait(lambda line=f"> {completed}": chat.line.rstrip() == line)  # type: ignore[misc]
    chat.send("\x15/")
    chat.wait("take back the last question and its answer")  # the menu, with what each does


def test_ctrl_g_opens_the_editor(start: Start, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nprintf "Hello!\\nfrom the editor" > "$1"\n')
    editor.chmod(0o755)
    chat = start(EDITOR=str(editor), VISUAL=str(editor))
    chat.prompt()
    chat.send("x" + CTRL_G)
    chat.wait(". from the editor")
    chat.send("\r")
    chat.wait("starter model")


def tool(folder: Path, name: str, script: str) -> dict[str, str]:
    """A program of that name that comes first in PATH."""
    place = folder / "bin" / name
    place.parent.mkdir(exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return {"PATH": f"{place.parent}:/usr/bin:/bin", "WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ""}


def test_the_clipboard_and_the_screen(start: Start, two: Path, tmp_path: Path) -> None:
    env = tool(tmp_path, "wl-paste", f'cat "{two}"') | tool(tmp_path, "grim", f'cat "{two}"')
    env |= tool(tmp_path, "wl-copy", 'cat > "$HOME/copied"')
    chat = start(**env)
    chat.prompt()
    chat.send(CTRL_V)
    chat.wait("staged as 1: clip:, PNG 320×240")
    chat.ask(WHAT, TWO)
    chat.ask("/screen", "staged as 2: screen:, PNG 320×240")
    chat.ask("/copy", "copied the last answer, by wl-copy")
    assert (tmp_path / "home" / "copied").read_text() == TWO


@pytest.mark.parametrize(
    ("command", "env", "told"),
    [
        ("/paste", {"WAYLAND_DISPLAY": "w"}, "`wl-paste` is missing hint: install wl-clipboard"),
        ("/paste", {"DISPLAY": ":9"}, "`xclip` is missing hint: install xclip"),
        ("/screen", {"WAYLAND_DISPLAY": "w"}, "`grim` or `gnome-screenshot` or `spectacle` is missing"),
        ("/paste", {}, "there is no clipboard here"),
    ],
)
def test_a_missing_tool_is_named(start: Start, tmp_path: Path, command: str, env: dict[str, str], told: str) -> None:
    none = {"WAYLAND_DISPLAY": "", "DISPLAY": "", "WSL_DISTRO_NAME": "", "PATH": str(tmp_path)}
    start(**(none | env)).ask(command, told)


def test_an_empty_clipboard_is_told(start: Start, tmp_path: Path) -> None:
    env = tool(tmp_path, "wl-paste", "echo 'No selection' >&2; exit 1")
    start(**env).ask("/paste", "`wl-paste` found no picture in the clipboard: No selection")


# terminals


def test_show_draws_the_picture(start: Start, two: Path) -> None:
    chat = start("two.png", columns=40)
    chat.ask("/show 1", "▀" * 40)


@pytest.mark.parametrize(
    ("graphics", "begins"),
    [("kitty", b"\x1b_Ga=T,f=100"), ("iterm", b"\x1b]1337;File=inline=1"), ("sixel", b'\x1bPq"1;1;')],
)
def test_show_uses_the_terminal_s_own_protocol(start: Start, two: Path, graphics: str, begins: bytes) -> None:
    chat = start("two.png", MMCLI_GRAPHICS=graphics)
    chat.prompt()
    chat.send("/show\r")
    chat.wait(lambda: begins in chat.raw)


def test_forty_columns_and_wide_characters(start: Start, two: Path) -> None:
    chat = start("two.png", columns=40, rows=16)
    words = "日本語は何ですか？広い文字がここにあります。はい"
    chat.prompt()
    chat.send(words)
    chat.wait(lambda: "はい" in chat.text)
    typed = [line.replace(" ", "").lstrip(">") for line in chat.screen.display if "日" in line or "はい" in line]
    assert "".join(typed) == words
    chat.send("\r")
    chat.wait("I am only a starter model.")
    chat.ask(WHAT, TWO)
    chat.ask("/help", "Ctrl-D ends the chat")
    assert "/attach PATH…\n  stage files" in chat.text


def test_a_resize_while_a_message_is_typed(start: Start, two: Path) -> None:
    chat = start("two.png")
    chat.prompt()
    chat.send("What is in this ")
    chat.wait("> What is in this")
    chat.resize(40, 20)
    chat.send("picture?")
    chat.wait("> What is in this picture?")
    chat.send("\r")
    chat.wait(TWO)
    chat.prompt()


def test_no_color_shows_no_colour(start: Start, two: Path) -> None:
    chat = start("two.png", NO_COLOR="1")
    chat.ask(WHAT, TWO)
    chat.send("/")
    chat.wait("/attach")
    colours = [code for code in chat.raw.split(b"\x1b[")[1:] if code[:1] in b"34" and b"m" in code[:6]]
    assert colours == []


def test_a_dumb_terminal_gets_lines_and_no_escape_codes(start: Start, two: Path) -> None:
    chat = start("two.png", TERM="dumb")
    chat.ask(WHAT, TWO)
    chat.ask("/undo", "taken back")
    chat.ask('"""\rHow many shapes\rare there?\r"""', "There are 2 shapes.")
    chat.send(CTRL_D)
    assert chat.end() == 0
    assert b"\x1b" not in chat.raw


def test_names_that_would_command_the_terminal_are_harmless(start: Start, two: Path) -> None:
    bad = two.rename(two.parent / "a\x1b]0;owned\x07b.png")
    chat = start(str(bad))
    chat.ask("/media", "1 ab.png, PNG 320×240, staged")
    chat.wait("staged: ab.png")
    assert b"owned" not in chat.raw and b"\x1b]0;" not in chat.raw
