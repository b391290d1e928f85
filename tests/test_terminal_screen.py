"""What a person really sees: a child process on a pseudo-terminal, its output drawn by a terminal emulator."""

import os
import sys
from pathlib import Path

import pytest

pexpect = pytest.importorskip("pexpect")
pyte = pytest.importorskip("pyte")
if not hasattr(pexpect, "spawn"):
    pytest.skip("pseudo-terminals need a Unix", allow_module_level=True)

from tests.answers import ANSWER  # noqa: E402, F401
from tests.markdown_documents import DOCUMENTS, LONG_LISTING, whole  # noqa: E402, F401  the child uses them too

# A child is forked while other tests' libraries have threads running; it executes Python anew at once.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

DRIVER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from tests.answers import *
from tests.markdown_documents import *
from dataclasses import replace
from mmcli import terminal
from mmcli.engine.messages import Piece
from mmcli.errors import InputError
from mmcli.terminal import Style

PLAIN = replace(ANSWER, seen=())
MARK = "=" * 12

def cut(text, step):
    for i in range(0, len(text), step):
        yield Piece(text[i : i + step])
    yield Piece("", answer=PLAIN)

exec(sys.argv[2])
"""
MARK = "=" * 12


class Seen:
    """The bytes that came, and what an emulator makes of them, scrollback included."""

    def __init__(self, code: str, columns: int = 80, rows: int = 24, send: str = "", **env: str) -> None:
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")}
        child = pexpect.spawn(
            sys.executable,
            ["-c", DRIVER, str(Path(__file__).parents[1]), code],
            dimensions=(rows, columns),
            env={**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONUTF8": "1", **env},
            timeout=60,
        )
        if send:
            child.expect("ready")
            child.send(send)
            before = child.before + child.after
        else:
            before = b""
        child.expect(pexpect.EOF)
        child.close()
        self.raw: bytes = before + child.before
        self.screen = pyte.HistoryScreen(columns, rows, history=100_000, ratio=0.1)
        pyte.ByteStream(self.screen).feed(self.raw)

    @property
    def lines(self) -> list[str]:
        """Every line that isn't blank, the scrolled-off ones first."""
        columns = range(self.screen.columns)
        above = ["".join(row[x].data for x in columns).rstrip() for row in self.screen.history.top]
        return [line for line in (*above, *(line.rstrip() for line in self.screen.display)) if line]


@pytest.mark.parametrize("columns", [40, 80])
def test_markdown_on_a_screen_equals_the_whole_rendered_at_once(columns: int) -> None:
    code = """
for text in DOCUMENTS:
    for step in (1, 3, 7, 50):
        terminal.answer(cut(text, step), Style())
        print(MARK)
"""
    seen = Seen(code, columns)
    expected = [
        line.rstrip()
        for text in DOCUMENTS
        for _ in range(4)
        for line in (*whole(text, columns).splitlines(), MARK)
        if line.strip()
    ]
    assert seen.lines == expected


def test_nothing_is_printed_twice_on_a_screen_of_five_rows() -> None:
    seen = Seen("terminal.answer(cut(LONG_LISTING, 3), Style())", rows=5)
    assert seen.lines == [f"x{i} = {i}" for i in range(60)]


def test_the_answer_is_only_appended_to_the_screen_and_never_redrawn() -> None:
    raw = Seen("terminal.answer(cut(DOCUMENTS[0], 3), Style())").raw
    moves = [part for part in raw.split(b"\x1b[")[1:] if part.lstrip(b"0123456789;?")[:1] != b"m"]
    assert moves == []


def test_no_color_keeps_weight_but_no_colours() -> None:
    raw = Seen("terminal.answer(cut('**bold** and `code`', 3), Style())", NO_COLOR="1").raw
    assert b"\x1b[1m" in raw
    assert b"\x1b[36m" not in raw


def test_a_dumb_terminal_gets_the_plain_text_and_no_escapes() -> None:
    code = "terminal.answer(spoken('**bold** `code`', PLAIN, 'hm'), Style()); terminal.notice('yes', Style())"
    seen = Seen(code, TERM="dumb")
    assert b"\x1b" not in seen.raw
    assert seen.lines == ["hm", "**bold** `code`", "note: yes"]


def test_markdown_never_shows_the_text_as_it_is() -> None:
    assert Seen("terminal.answer(cut('# **x**', 3), Style(markdown='never'))").lines == ["# **x**"]


def test_columns_overrides_the_width_of_the_terminal() -> None:
    seen = Seen("terminal.answer(cut('word ' * 20, 3), Style())", COLUMNS="20")
    assert max(map(len, seen.lines)) <= 20


def test_reasoning_is_dim_and_stands_apart_from_the_answer() -> None:
    seen = Seen("terminal.answer(spoken('yes', PLAIN, 'I think\\nso'), Style())")
    assert [line.rstrip() for line in seen.screen.display[:4]] == ["I think", "so", "", "yes"]
    assert b"\x1b[2m" in seen.raw
    assert b"\x1b[2m" not in Seen("terminal.answer(spoken('yes', PLAIN, 'hm'), Style(quiet=True))").raw


def test_json_on_a_terminal_is_indented() -> None:
    lines = Seen("terminal.answer(cut('yes', 1), Style(json=True))").lines
    assert lines[:2] == ["{", '  "answer": "A *cat*.",']


def test_an_error_is_in_colour_on_a_terminal() -> None:
    seen = Seen("terminal.error(InputError('no file `x`', hint='see `ls`'), Style())")
    assert seen.lines == ["error: no file `x`", "hint: see `ls`"]
    assert seen.screen.buffer[0][0].fg == "red"


SLOW_ENGINE = """
import mmcli.terminal.progress_line as module, threading
module.DELAY = 0
drawn, draw = threading.Event(), module.Progress.draw
def noted(self):
    draw(self)
    drawn.set()
module.Progress.draw = noted
def slow(progress, text="The answer"):
    progress("encode", 288, 576)
    drawn.wait(30)
    yield from cut(text, 3)
"""


def test_progress_is_drawn_and_gone_before_the_answer_begins() -> None:
    seen = Seen(f"{SLOW_ENGINE}\nwith terminal.progress(Style()) as p: terminal.answer(slow(p), Style(), p)")
    assert b"encoding the media  [##########----------]  50%" in seen.raw
    assert seen.lines == ["The answer"]


def test_messages_do_not_mix_with_the_progress_line() -> None:
    code = """
with terminal.progress(Style()) as p:
    for piece in slow(p):
        terminal.notice("a message", Style())
        break
"""
    assert Seen(SLOW_ENGINE + code).lines == ["note: a message"]


def test_ctrl_c_erases_the_progress_line_and_leaves_the_cursor_alone() -> None:
    code = """
try:
    with terminal.progress(Style()) as p:
        p("prefill", 1, 0)
        drawn.wait(30)
        print("ready")
        time.sleep(60)
except KeyboardInterrupt:
    terminal.notice("interrupted", Style())
"""
    seen = Seen(SLOW_ENGINE + code, send="\x03")
    assert seen.lines[-1] == "note: interrupted"
    assert not seen.screen.cursor.hidden
    assert b"\x1b[?25" not in seen.raw


@pytest.mark.parametrize(
    ("style", "env"), [("quiet=True", {}), ("json=True", {}), ("", {"TERM": "dumb"})], ids=["quiet", "json", "dumb"]
)
def test_progress_is_silent_where_it_would_disturb(style: str, env: dict[str, str]) -> None:
    code = f"with terminal.progress(Style({style})) as p:\n    p('load', 1, 2)\n    p.draw()"
    assert Seen(SLOW_ENGINE + code, **env).raw == b""


PICTURE = """
import numpy as np
pixels = np.zeros((40, 80, 3), np.uint8)
pixels[:20] = (255, 0, 0)
pixels[20:] = (0, 0, 255)
terminal.picture(pixels, Style(), columns=16)
"""


def test_a_picture_is_shown_in_half_blocks_with_its_proportions() -> None:
    seen = Seen(PICTURE)
    assert seen.lines == ["▀" * 16] * 4
    assert (seen.screen.buffer[0][0].fg, seen.screen.buffer[3][0].bg) == ("ff0000", "0000ff")


def test_without_truecolour_a_picture_has_the_nearest_of_256_colours() -> None:
    seen = Seen(PICTURE, COLORTERM="")
    assert b"38;5;" in seen.raw or b"\x1b[91" in seen.raw
    assert b"38;2;" not in seen.raw


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_without_colours_a_picture_is_drawn_with_characters(env: dict[str, str]) -> None:
    seen = Seen(PICTURE, **env)
    assert len(seen.lines) == 4
    assert seen.lines[0][0] != seen.lines[3][0]
    assert b"\x1b" not in seen.raw


def test_one_reader_at_a_time_has_the_keys() -> None:
    """Two would take each other's: a chat's first prompt was lost so, once in ten times."""
    code = """
import threading
from mmcli.terminal import keyboard
hooks = keyboard.Hooks(lambda text: (), lambda: (), lambda text: False, lambda text: None, lambda: None)
def prompt(**_):
    print("other readers:", [one.name for one in threading.enumerate() if one.name == "typeahead"])
    return ""
with keyboard.open_keyboard(hooks, None) as keys:
    keys._session.prompt = prompt
    keys.send("Hello")
    keys.read()
    print("between:", [one.name for one in threading.enumerate() if one.name == "typeahead"])
"""
    assert Seen(code).lines == ["other readers: []", "other readers: []", "between: ['typeahead']"]
