"""When a turn is over, what a spoken sentence asks to look at, and what kitty's keys mean: texts in, decisions out."""

from __future__ import annotations

import pytest

from mmcli.chat import look, may_look
from mmcli.speech import end_of_turn
from mmcli.terminal.key_release import Translator

# the end of a turn

ENDS = {
    "What is in this picture?": end_of_turn.COMPLETE,
    "I see a red circle.": end_of_turn.COMPLETE,
    "Stop!": end_of_turn.COMPLETE,
    "No.": end_of_turn.COMPLETE,
    "これは何ですか？": end_of_turn.COMPLETE,
    "": end_of_turn.COMPLETE,  # a noise: nothing to wait for
    "the red one": end_of_turn.OPEN,
    "What is in the": end_of_turn.UNFINISHED,
    "What is in the.": end_of_turn.UNFINISHED,  # a recogniser's full stop says nothing
    "I want to know if the circle is red and": end_of_turn.UNFINISHED,
    "And the blue square,": end_of_turn.UNFINISHED,
    "So...": end_of_turn.UNFINISHED,
    "Well": end_of_turn.UNFINISHED,
    "Um.": end_of_turn.UNFINISHED,
    "Is it because you’re": end_of_turn.UNFINISHED,
}


@pytest.mark.parametrize(("heard", "seconds"), ENDS.items())
def test_the_words_say_how_long_to_wait(heard: str, seconds: float) -> None:
    assert end_of_turn.patience(heard) == seconds
    assert end_of_turn.patience(heard, after_question=True) == seconds + end_of_turn.ASKED


def test_a_whole_sentence_waits_least_and_an_unfinished_clause_most() -> None:
    assert end_of_turn.COMPLETE < end_of_turn.OPEN < end_of_turn.UNFINISHED


@pytest.mark.parametrize(
    ("heard", "language", "seconds"),
    [
        ("Was ist auf dem.", "de", end_of_turn.UNFINISHED),
        ("Was ist auf dem Bild?", "de", end_of_turn.COMPLETE),
        ("Qu'est-ce qu'il y a dans la", "fr", end_of_turn.UNFINISHED),
        ("¿Qué hay en la", "es", end_of_turn.UNFINISHED),
        ("Cosa c'è nella foto?", "it", end_of_turn.COMPLETE),  # a language without words here: punctuation decides
        ("a the of", "it", end_of_turn.OPEN),
        ("What is the", None, end_of_turn.UNFINISHED),
    ],
)
def test_other_languages(heard: str, language: str | None, seconds: float) -> None:
    assert end_of_turn.patience(heard, language=language) == seconds


def test_words_that_whisper_invents_are_dropped_only_where_it_is_in_doubt() -> None:
    assert end_of_turn.is_invented(" Thank you.", 0.3)
    assert end_of_turn.is_invented("Thanks for watching!", 0.1)
    assert not end_of_turn.is_invented("Thank you.", 0.9)
    assert not end_of_turn.is_invented("What is in this picture?", 0.1)


@pytest.mark.parametrize(
    ("said", "asks"),
    [("Which one do you mean?", True), ("**Which one?**\n", True), ("There are 3 shapes.", False), ("", False)],
)
def test_a_question_of_ours(said: str, asks: bool) -> None:
    assert end_of_turn.asks(said) is asks


# look at

FILES = ["shapes.png", "beach photo.jpg", "IMG_1.jpeg", "IMG_12.jpeg", "holiday.png", "talk.wav"]
LOOKS = {
    "Look at the screen.": ("screen", "", ""),
    "Look at my screen. What is there?": ("screen", "", "What is there?"),
    "Please have a look at the display and tell me what you see.": ("screen", "", "Tell me what you see."),
    "Take a screenshot.": ("screen", "", ""),
    "What is on my screen?": ("screen", "", "What is on my screen?"),
    "Look at the clipboard, what colour is it?": ("clipboard", "", "What colour is it?"),
    "What is in the clipboard?": ("clipboard", "", "What is in the clipboard?"),
    "Look at shapes.": ("file", "shapes.png", ""),
    "Okay, look at shapes dot png. How many are there?": ("file", "shapes.png", "How many are there?"),
    "Look at shapes what is in this picture?": ("file", "shapes.png", "What is in this picture?"),
    "Can you open the beach photo, please?": ("file", "beach photo.jpg", ""),
    "Look at img one.": ("file", "IMG_1.jpeg", ""),
    "Look at IMG 12.": ("file", "IMG_12.jpeg", ""),
    "Show me holidays.": ("file", "holiday.png", ""),
}
QUESTIONS = [
    "What is in this picture?",
    "Look at the picture.",
    "Look at this.",
    "Look at the red circle. What is beside it?",
    "What is on the screen of the laptop?",
    "Is there a clipboard?",
    "Describe the file cabinet.",
    "Look at the dog.",
    "Look at my cat, what is it doing?",
    "Look at the left side of the picture.",
    "Look at the picture on the left.",
    "Look at the whole picture carefully.",
    "Look at the first picture again, please.",
    "Look at the blue picture.",
    "Look at it again.",
    "Look at what he holds.",
    "Look at both of them.",
    "Look at all pictures.",
    "Look at people in the background.",
    "Look at people who are running.",
    "Look at the man who holds a cup.",
    "Look at the dog what is it doing?",
    "Look at this what is it?",
    "Look at picture two.",
    "Show me how it works.",
    "Show me recipes for dinner.",
    "Show me the picture of the beach.",
]
# sentence: the name that no file has
MISSING = {
    "Look at sunset.": "sunset",
    "Please look at sunset, what is in it?": "sunset",
    "Okay, look at the sunset picture. What is there?": "sunset",
    "Look at picture sunset and tell me what you see.": "sunset",
    "Look at sunset dot png.": "sunset dot png",
    "Look at the sunset dot png.": "sunset dot png",
    "Look at cat.jpg": "cat.jpg",
    "Open invoice.": "invoice",
    "Look at sunset what is in this picture.": "sunset",
    "Look at birthday who is it?": "birthday",
    "Look at sunset how many people are there?": "sunset",
    "Show me the file budget.": "budget",
    "Look at the budget 2026 picture, please.": "budget 2026",
    "Look at picture three.": "three",
    "Look at img.": "img",
    "Look at the file called birthday, who is it?": "birthday",
}


@pytest.mark.parametrize(("sentence", "wanted"), LOOKS.items())
def test_what_a_sentence_asks_to_look_at(sentence: str, wanted: tuple[str, str, str]) -> None:
    found = look(sentence, FILES)
    assert found is not None and found.is_there
    assert (found.target, found.name, found.words) == wanted


@pytest.mark.parametrize("sentence", QUESTIONS)
def test_what_is_a_question_like_any_other(sentence: str) -> None:
    assert look(sentence, FILES, n_media=2) is None


@pytest.mark.parametrize(("sentence", "name"), MISSING.items())
def test_a_name_that_no_file_has_is_no_question_about_another_picture(sentence: str, name: str) -> None:
    found = look(sentence, FILES, n_media=2)
    assert found is not None and not found.is_there
    assert found.name == name


def test_where_no_picture_is_there_a_thing_can_only_be_a_file() -> None:
    for sentence, name in (("Look at the dog.", "dog"), ("Look at picture two.", "two")):
        found = look(sentence, FILES, n_media=0)
        assert found is not None and (found.is_there, found.name) == (False, name)
    assert look("Look at this.", FILES, n_media=0) is None


def test_names_that_come_near_are_told() -> None:
    near = {
        "Look at img.": ("IMG_1.jpeg", "IMG_12.jpeg"),
        "Look at beach.": ("beach photo.jpg",),
        "Look at sunset.": (),
    }
    for sentence, close in near.items():
        found = look(sentence, FILES)
        assert found is not None and found.close == close


def test_the_folder_is_only_read_where_names_matter() -> None:
    assert may_look("Please look at shapes.") and not may_look("What is in shapes?")


# the keys


def test_kitty_s_keys_become_the_old_ones() -> None:
    released: list[None] = []
    translate = Translator(lambda: released.append(None))
    for data, keys in {
        "\x1b[97;;97u": "a",
        "\x1b[97;2;65u": "A",
        "\x1b[97;1:3u": "",
        "\x1b[97;1:2;97u": "a",
        "\x1b[228;;228u": "ä",
        "\x1b[99;5u": "\x03",
        "\x1b[100;69u": "\x04",  # Ctrl-D with Caps Lock
        "\x1b[97;3u": "\x1ba",
        "\x1b[13u": "\r",
        "\x1b[13;3u": "\x1b\r",
        "\x1b[9u": "\t",
        "\x1b[9;2u": "\x1b[Z",
        "\x1b[127u": "\x7f",
        "\x1b[27u": "\x1b",
        "\x1b[A": "\x1b[A",
        "\x1b[1;1:2A": "\x1b[A",
        "\x1b[1;1:3A": "",
        "\x1b[1;5C": "\x1b[1;5C",
        "\x1b[3;1:1~": "\x1b[3~",
        "\x1b[57441;2u": "",  # Shift alone
        "\x1b[57400;;49u": "1",  # on the number block
        "\x1b[200~a b\x1b[201~": "\x1b[200~a b\x1b[201~",  # a paste
        "\x1b[12;40R": "\x1b[12;40R",  # where the cursor is
        "plain": "plain",
    }.items():
        assert translate(data) == keys, repr(data)
    assert not released
    assert translate("\x1b[32;;32u\x1b[32;1:3u") == " " and len(released) == 1


def test_a_key_that_comes_in_two_pieces() -> None:
    translate = Translator(lambda: None)
    assert [translate(piece) for piece in ("x\x1b", "[9", "7;;97", "uy")] == ["x", "", "", "ay"]
