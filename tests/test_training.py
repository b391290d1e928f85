"""The starter model's pictures, questions and answers: answers are true, held-out phrasings stay held out."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from PIL import Image

from training import offtopic, others, pairs, phrases, pictures, questions, second, strangers
from training.pictures import Picture, Thing, in_order

SLOTS = {
    "s": "star", "p": "stars", "c": "red", "a": "a red star", "as": "a star", "ac": "a red", "cs": "red star",
    "cp": "red stars", "n": "two", "A": "star", "B": "circle", "r": "left of", "e": "left", "o": "first",
}  # fmt: skip


def picture_of(*things: tuple[str, str, float, float]) -> Picture:
    drawn = in_order([Thing(shape, color, x, y, 12) for color, shape, x, y in things])
    return Picture(Image.new("RGB", (112, 112)), "scene" if drawn else "empty", drawn, "white")


def test_every_phrasing_expands_to_plain_words() -> None:
    rng = random.Random(0)
    for table in (phrases.TRAIN, phrases.HELD):
        for skill, templates in table.items():
            for template in templates:
                question = phrases.expand(rng, template).format_map(SLOTS)
                assert not set(question) & set("<>[]()|{}"), (skill, template, question)


def test_every_skill_has_held_out_phrasings_that_are_never_trained_on() -> None:
    assert set(phrases.HELD) == set(phrases.TRAIN)
    for skill in phrases.TRAIN:
        assert not set(phrases.HELD[skill]) & set(phrases.TRAIN[skill]), skill
    assert not set(offtopic.HELD_FIXED) & set(offtopic.FIXED)
    assert not set(offtopic.HELD_NOUNS) & set(offtopic.NOUNS)


def test_things_are_told_from_left_to_right_and_a_column_from_the_top() -> None:
    assert questions.describe(picture_of(("red", "star", 80, 50), ("blue", "circle", 20, 50))) == (
        "I see a blue circle and a red star."
    )
    assert questions.describe(picture_of(("red", "star", 50, 80), ("orange", "circle", 50.5, 20))) == (
        "I see an orange circle and a red star."
    )


@pytest.mark.parametrize(
    ("skill", "expected"),
    [
        ("count", {"There are 2 shapes."}),
        ("colors", {"I see a blue circle and a red star. The colors are blue and red."}),
        ("read", {questions.NO_TEXT}),
        ("all_same", {"The colors are blue and red, so no.", "The colors are blue and red, so yes."}),
        ("relation", {"The {} is to the left of the {}.", "The {} is to the right of the {}.", "There is no {}."}),
    ],
)
def test_answers_are_true(skill: str, expected: set[str]) -> None:
    picture = picture_of(("red", "star", 80, 50), ("blue", "circle", 20, 50))
    rng = random.Random(1)
    for _ in range(60):
        turn = questions.one(rng, picture, skill)
        if turn is None:
            continue
        answer = turn.answer
        if skill == "relation":
            if "left of" in answer:
                assert answer.index("circle") < answer.index("star")
            elif "right of" in answer:
                assert answer.index("star") < answer.index("circle")
            else:
                assert answer.startswith("There is no ")
        else:
            assert answer in expected


def test_yes_and_no_agree_with_the_picture() -> None:
    picture = picture_of(("red", "star", 80, 50), ("blue", "circle", 20, 50))
    rng = random.Random(2)
    for _ in range(300):
        turn = questions.one(rng, picture, "exist")
        assert turn is not None
        present = any(f"{t.color} {t.shape}" in turn.answer for t in picture.things)
        assert turn.answer.startswith("Yes" if present else "No"), turn


def test_one_change_between_two_pictures_is_named() -> None:
    red, green = ("red", "circle", 30, 50), ("green", "circle", 30, 50)
    star = ("blue", "star", 80, 50)
    cases = {
        (red, star, red, star): pairs.SAME,
        (red, star, green, star): "The circle is red in the first picture and green in the second.",
    }
    for (a, b, c, d), answer in cases.items():
        assert pairs.difference(picture_of(a, b), picture_of(c, d)) == answer
    assert pairs.difference(picture_of(red), picture_of(red, star)) == "Only the second picture has a blue star."
    assert pairs.difference(picture_of(red, star), picture_of(red)) == "Only the first picture has a blue star."


def test_a_picture_that_is_none_of_ours_is_declined() -> None:
    rng = random.Random(3)
    for make, kind in ((others.foreign, "foreign"), (others.text, "text")):
        picture = make(rng)
        assert picture.kind == kind
        turn = questions.one(rng, picture, "count")
        assert turn is not None and turn.answer == questions.FOREIGN
        turn = questions.one(rng, picture, "read")
        assert turn is not None and turn.answer == questions.NO_TEXT
    turn = questions.one(rng, None, "describe")
    assert turn is not None and turn.answer == questions.NO_PICTURE


def test_the_same_seed_draws_the_same_pictures() -> None:
    first, _ = pictures.scene(random.Random("7"))
    again, _ = pictures.scene(random.Random("7"))
    assert first.image.tobytes() == again.image.tobytes()
    assert first.things == again.things


def test_preprocessing_letterboxes_on_llama_cpps_colour() -> None:
    pixels = pictures.preprocess(Image.new("RGB", (200, 100), "white"))
    assert pixels.shape == (112, 112, 3)
    assert tuple(pixels[0, 0]) == pictures.PAD_COLOR and tuple(pixels[56, 56]) == (255, 255, 255)


def test_the_second_renderer_draws_what_it_says() -> None:
    image = second.paint([("circle", "#ff0000", 50.0, 50.0, 30.0)], 100, 100, "#ffffff")
    assert image.getpixel((50, 50)) == (255, 0, 0) and image.getpixel((5, 5)) == (255, 255, 255)


def test_strangers_questions_are_not_phrasings_of_the_grammar() -> None:
    asked = {one.question for group in strangers.GROUPS.values() for one in group}
    assert len(asked) > 90
    assert not asked & {template for templates in phrases.TRAIN.values() for template in templates}


def test_mmcli_does_not_import_training() -> None:
    code = "import sys, mmcli.engine, mmcli.media; assert not {'training', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
