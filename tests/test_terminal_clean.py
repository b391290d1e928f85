"""Nothing a terminal would obey comes through, however it is cut into pieces."""

import json

import pytest

from mmcli.sanitize import MAX_SEQUENCE, Cleaner, clean, json_safe, one_line

PAYLOADS = {
    "clipboard, ended by BEL": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "clipboard, ended by ST": "\x1b]52;c;cm0gLXJmIC8=\x1b\\",
    "window title": "\x1b]0;pwned\x07",
    "hyperlink": "\x1b]8;;https://evil.example\x1b\\",
    "hyperlink, C1": "\x9d8;;https://evil.example\x9c",
    "device control": "\x1bP+q544e\x1b\\",
    "device control, C1": "\x90+q544e\x9c",
    "application command": "\x1b_Gf=100;AAAA\x1b\\",
    "colour": "\x1b[31m",
    "colour, C1": "\x9b31m",
    "clear and home": "\x1b[2J\x1b[H",
    "cursor report": "\x1b[6n",
    "private mode": "\x1b[?1049h",
    "intermediate bytes": "\x1b[0 q",
    "reset": "\x1bc",
    "character set": "\x1b(0",
    "bell and backspace": "\x07\x08\x08",
    "carriage return": "\r",
    "delete": "\x7f",
    "bidi override": "\u202e\u2066\u2069\u200f\u061c",
    "tag characters": "\U000e0041\U000e0042\U000e007f",
}


def fed(text: str, step: int) -> str:
    cleaner = Cleaner()
    return "".join(cleaner.feed(text[i : i + step]) for i in range(0, len(text), step)) + cleaner.flush()


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_whole_sequence_vanishes_wherever_it_is_split(payload: str, step: int) -> None:
    assert fed(f"before{payload}after\n", step) == "beforeafter\n"


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_a_sequence_that_never_ends_does_not_swallow_the_answer(step: int) -> None:
    answer = "x" * (2 * MAX_SEQUENCE)
    assert fed("\x1b]52;c;" + answer, step) == "52;c;" + answer
    assert fed("\x1b]0;title\nnext line", step) == "0;title\nnext line"
    assert fed("\x1b[" + "1" * 100 + "m", step).count("1") == 100


def test_what_is_held_back_comes_out_without_its_opener_at_the_end() -> None:
    cleaner = Cleaner()
    assert cleaner.feed("text\x1b]8;;http") == "text"
    assert cleaner.flush() == "8;;http"
    assert cleaner.flush() == ""


def test_escapes_inside_escapes_leave_no_escape() -> None:
    for step in (1, 2, 1000):
        result = fed("\x1b\x1b[3\x1b[31m1m \x1b]\x1b]0;x\x07\x07 \x9b\x9b31m", step)
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in result)


def test_every_lone_control_character_but_newline_and_tab_is_dropped() -> None:
    controls = "".join(map(chr, [*range(32), *range(127, 160)]))
    for char in controls:
        assert clean(f"a{char}").rstrip("\n\t") == "a"
    assert clean("a\tb\nc\r\nd") == "a\tb\nc\nd"


def test_lone_surrogates_become_a_character_that_can_be_printed() -> None:
    assert clean("caf\udce9.png") == "caf\ufffd.png"
    clean("\ud83d\ude00").encode()


def test_ordinary_text_of_any_language_stays_as_it_is() -> None:
    text = "naïve 李雷 😀 👩\u200d👧 שלום [31m list[int] \ufeff\u00a0"
    assert clean(text) == text


def test_a_name_stays_on_one_line_and_shows_what_it_holds() -> None:
    assert one_line("a\nerror: b\tc\x1b[2J.png") == "a\\nerror: b\\tc.png"
    assert clean("a\nb\tc", newlines=False) == "a b c"
    assert one_line("a\u2028b") == "a\\nb"


def test_json_on_a_screen_is_harmless_and_means_the_same() -> None:
    value = "\x1b[31m \x9b31m \u202e \u2028 \U000e0041 é 😀"
    document = json_safe(json.dumps(value, ensure_ascii=False))
    assert json.loads(document) == value
    assert clean(document) == document
    assert "é 😀" in document
