"""What is said of an answer, and how early; whether what was heard is an echo of it."""

from __future__ import annotations

import pytest

from mmcli.speech.echo import remainder, resembles
from mmcli.speech.sentences import LONGEST, Sentences, speakable


def sentences(text: str, n: int = 1) -> list[str]:
    """The sentences of a text that comes in pieces of `n` characters."""
    found = Sentences()
    said = [one for start in range(0, len(text), n) for one in found.feed(text[start : start + n])]
    return said + found.flush()


@pytest.mark.parametrize("n", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It is red. It is blue.", ["It is red.", "It is blue."]),
        ("Really?! Yes! It costs 3.5 dollars.", ["Really?!", "Yes!", "It costs 3.5 dollars."]),
        ("Ask Dr. Smith, e.g. at St. Paul's. He knows.", ["Ask Dr. Smith, e.g. at St. Paul's.", "He knows."]),
        ("We go at 5 p.m. to the U.S. embassy. Good.", ["We go at 5 p.m. to the U.S. embassy.", "Good."]),
        ("Circles, stars etc. in it, etc. Then", ["Circles, stars etc. in it, etc.", "Then"]),
        ("No. 5 is alive. No. It is not.", ["No. 5 is alive.", "No.", "It is not."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("J. S. Bach wrote it. So did I.", ["J. S. Bach wrote it.", "So did I."]),
        ("Wait... what? Oh…", ["Wait...", "what?", "Oh…"]),
        ("写真には赤い丸があります。青い四角も！", ["写真には赤い丸があります。", "青い四角も！"]),
        ("A soft\nline end. Two.", ["A soft line end.", "Two."]),
        ("One paragraph\n\nand another", ["One paragraph", "and another"]),
        ("# A title\nAnd text", ["A title", "And text"]),
        ("There are:\n- a **red** circle\n- [ ] a _blue_ one", ["There are:", "a red circle", "a blue one"]),
        ("1. First. It is red\n2. Second", ["1. First.", "It is red", "2. Second"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", ["a, b", "1, 2"]),
        ("Before:\n\n```python\nprint('x. y')\n```\nAfter.", ["Before:", "After."]),
        ("~~~\n```\nstill code. Really.\n~~~\nAfter.", ["After."]),
        ("Use `a.b` and snake_case.", ["Use a.b and snake case."]),
        ("See [the page](https://a.b/c?d=e.f) now.", ["See the page now."]),
        ("See https://www.example.com/a/b?c=d#e. Or not.", ["See example.com.", "Or not."]),
        ("> quoted **text** 😀 -> done <br> 3 * 4 &amp; [^1]", ["quoted text, done 3 × 4 &"]),
        ("***\n\n---\n\n...\n", []),
        ("```\nnever closed. Really.", []),
        ("\x1b[31mred\x07 \u202eright\u200b", ["[31mred right"]),
        ("", []),
    ],
)
def test_a_text_is_cut_into_what_can_be_said(text: str, said: list[str], n: int) -> None:
    assert sentences(text, n) == said


def test_a_sentence_comes_out_as_soon_as_it_is_certain() -> None:
    found = Sentences()
    assert found.feed("It is red") == []
    assert found.feed(".") == []  # 3. may become 3.5
    assert found.feed(" ") == ["It is red."]
    assert found.feed("Is it? ") == ["Is it?"]
    assert found.feed("青い。") == ["青い。"]


def test_the_first_sentence_may_end_at_a_comma_and_later_ones_may_not() -> None:
    found = Sentences()
    first = "In the middle of this picture there is, "
    assert found.feed(first) == [first.strip()]
    assert found.feed("as far as I can tell from here, a circle") == []
    assert found.flush() == ["as far as I can tell from here, a circle"]
    assert found.feed("Well, ") == []  # too short to begin with


def test_no_sentence_is_endless() -> None:
    said = sentences("word, " * 500 + "x" * 1000)
    assert all(0 < len(one) <= LONGEST for one in said) and len(said) > 10
    assert sum(one.count("word") for one in said) == 500
    whole = sentences("word " * 500 + "end. " + "word, " * 500 + "end.", 10_000)
    assert all(0 < len(one) <= LONGEST for one in whole) and sum(one.count("word") for one in whole) == 1000


def test_nothing_of_a_text_is_lost() -> None:
    text = "One two three. Four five, six; seven: eight! Nine ten?\nEleven twelve\n\n* thirteen\n* fourteen. Fifteen"
    for n in range(1, 12):
        joined = " ".join(sentences(text, n)).lower()
        assert [word.strip(".,;:!?") for word in joined.split()] == [
            *("one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()),
        ]


def test_what_only_the_eye_needs_is_left_out() -> None:
    assert speakable("  ## **Bold** title ##") == "Bold title"
    assert speakable("![a red circle](x.png)") == "a red circle"
    assert speakable("20 °C, 5 % of $3 – it's") == "20 °C, 5 % of $3 – it's"
    assert speakable("—") == ""


SAID = "I see a red circle, a blue square and a yellow star. There are 3 shapes. Would you like to know more?"


@pytest.mark.parametrize(
    "heard",
    [
        "i see a read circle",
        "A blue square, and the yellow star.",
        "there are three shapes would you",
        "like to no more",
        "yellow star there are three",
        SAID.upper(),
    ],
)
def test_an_echo_is_known_with_its_errors(heard: str) -> None:
    assert resembles(heard, SAID) >= 0.8


@pytest.mark.parametrize(
    "heard",
    [
        "how many shapes are there",
        "what colour is the star",
        "stop",
        "is the circle above the square",
        "tell me about the weather in Paris",
        f"{SAID} And now to something that is entirely different from all of this, and longer too",
    ],
)
def test_what_a_person_says_is_no_echo(heard: str) -> None:
    assert resembles(heard, SAID) < 0.8


def test_echoes_of_other_scripts_and_of_nothing() -> None:
    assert resembles("赤い丸", "写真には赤い丸があります。") == 1
    assert resembles("été", "ETE") == 1
    assert resembles("", SAID) == resembles("a circle", "") == resembles("?!", "...") == 0


@pytest.mark.parametrize(
    ("heard", "rest"),
    [
        ("I see a read circle. There are three shapes.", ""),
        ("A blue square and a yellow star. There are three shapes! Is there a blue square?", "Is there a blue square?"),
        ("There are three shapes. What is 3.5 times 2?", "What is 3.5 times 2?"),
        ("Stop. There are three shapes.", "Stop."),
        ("What colour is the star? There are three shapes", "What colour is the star?"),
        ("", ""),
    ],
)
def test_what_follows_an_echo_is_found(heard: str, rest: str) -> None:
    assert remainder(heard, SAID, 0.8) == rest
