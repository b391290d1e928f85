"""How the starter's embeddings are made: what a phrase claims, of which picture that is true, and the words for it."""

from __future__ import annotations

import random

import numpy as np
import pytest

from training import pictures
from training.embed import claims, wording
from training.embed.claims import Claim, Part
from training.pictures import COLORS, SHAPES, Picture, Thing

RED, BLUE = COLORS.index("red"), COLORS.index("blue")
CIRCLE, SQUARE = SHAPES.index("circle"), SHAPES.index("square")
SCENE = Picture(
    None,  # type: ignore[arg-type]
    "scene",
    (Thing("circle", "red", 10, 10, 5), Thing("circle", "red", 50, 60, 5), Thing("square", "blue", 100, 100, 5)),
    "white",
)
EMPTY = Picture(None, "empty", (), None)  # type: ignore[arg-type]
FACTS = claims.of_pictures([SCENE, EMPTY])


@pytest.mark.parametrize(
    ("claim", "is_true"),
    [
        (Claim((Part(RED, CIRCLE),)), True),
        (Claim((Part(BLUE, CIRCLE),)), False),
        (Claim((Part(RED, CIRCLE, 2), Part(BLUE, SQUARE))), True),
        (Claim((Part(RED, CIRCLE, 1),)), False),
        (Claim((Part(None, None, 3),)), True),
        (Claim((Part(RED),), alone=True), False),
        (Claim((Part(RED, CIRCLE, 2), Part(BLUE, SQUARE, 1)), alone=True), True),
        (Claim((Part(RED, CIRCLE),), place=(0, 0)), True),
        (Claim((Part(BLUE, SQUARE),), place=(None, 0)), False),
        (Claim((Part(RED),), background=COLORS.index("white")), True),
        (Claim((Part(RED),), background=COLORS.index("black")), False),
        (Claim(absurd=True), False),
        (Claim(kind="empty"), False),
    ],
)
def test_whether_a_claim_is_true_follows_from_the_scene(claim: Claim, is_true: bool) -> None:
    truth = claims.holds(claim, FACTS)
    assert truth[0] == is_true
    assert truth[1] == (claim.kind == "empty")


def test_what_the_facts_do_not_tell_counts_as_neither() -> None:
    facts = claims.of_pictures([Picture(None, "scene", SCENE.things, None)])  # type: ignore[arg-type]
    assert np.isnan(claims.holds(Claim((Part(RED),), background=RED), facts)).all()


def test_swapped_colours_differ_in_nothing_else() -> None:
    right, wrong = wording.swapped(random.Random(0), FACTS, 0) or ("", "")
    assert sorted(right.split()) == sorted(wrong.split()) and right != wrong
    assert wording.swapped(random.Random(0), FACTS, 1) is None


def test_every_claim_has_words_in_both_languages() -> None:
    rng = random.Random(1)
    scenes = [pictures.scene(rng)[0] for _ in range(30)]
    facts = claims.of_pictures([*scenes, EMPTY])
    for at in range(len(facts)):
        claim = wording.claim_about(rng, facts, at)
        assert wording.say(rng, claim, german=True).strip() and wording.say(rng, claim, german=False).strip()
    red_circle = Claim((Part(RED, CIRCLE),))
    assert "rote" in wording.say(random.Random(2), red_circle, german=True)
