"""Two pictures and what differs: draws the pairs, asks about them, knows the answers."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from training import offtopic, pictures
from training.phrases import ask
from training.pictures import COLORS, SHAPES, Picture, Thing
from training.questions import (
    FOREIGN,
    NO_TEXT,
    Turn,
    article,
    color_answer,
    describe,
    listing,
    some_color,
    some_shape,
    there_are,
)

SAME = "The pictures are the same."
ORDER = ("first", "second")
CHANGES = {"color": 4.0, "shape": 4.0, "added": 3.0, "removed": 3.0, "same": 2.5, "moved": 1.5, "other": 3.0}


def draw_pair(rng: random.Random, change: str | None = None) -> tuple[Picture, Picture, str]:
    """Two scenes with one change between them, none, or nothing in common; and the answer to "what differs?"."""
    change = change or rng.choices(list(CHANGES), list(CHANGES.values()))[0]
    first, canvas = pictures.scene(rng, rng.choices((1, 2, 3, 4), (5, 6, 5, 2))[0])
    things = list(first.things)
    if change == "other" or not things:
        second, _ = pictures.scene(rng, rng.choices((1, 2, 3), (4, 4, 2))[0])
        return first, second, difference(first, second)
    spot = rng.randrange(len(things))
    thing = things[spot]
    if change == "color":
        color = rng.choice([c for c in COLORS if c != thing.color])
        things[spot] = pictures.painted(rng, replace(thing, color=color), canvas)
    elif change == "shape":
        shape = rng.choice([s for s in SHAPES if s != thing.shape])
        things[spot] = replace(thing, shape=shape, turn=0.0)
    elif change in ("removed", "added"):
        del things[spot]
    elif change == "moved":
        things[spot] = moved(rng, canvas, things, spot)
    ground = canvas if rng.random() < 0.6 else replace(canvas, ground=canvas.ground)
    kept = pictures.in_order(things)
    kind = "scene" if kept else "empty"
    second = Picture(pictures.draw(rng, ground, kept), kind, kept, first.background, first.frame)
    if change == "added":
        first, second = second, first
    return first, second, difference(first, second)


def moved(rng: random.Random, canvas: pictures.Canvas, things: list[Thing], spot: int) -> Thing:
    """The thing at another free place, plainly away from its old one (or where it was, if there is none)."""
    thing = things[spot]
    left, top, width, height = canvas.frame
    edge = thing.radius * 1.1 + 1
    for _ in range(60):
        x = left + rng.uniform(edge, max(edge, width - edge))
        y = top + rng.uniform(edge, max(edge, height - edge))
        others = things[:spot] + things[spot + 1 :]
        free = all(
            math.hypot(x - o.x, y - o.y) > (thing.radius + o.radius) * 1.1 + 2 and abs(x - o.x) >= pictures.MIN_RANK_GAP
            for o in others
        )
        if free and math.hypot(x - thing.x, y - thing.y) > 20:
            return replace(thing, x=x, y=y)
    return thing


def difference(first: Picture, second: Picture) -> str:
    """The truth about two pictures in one sentence: one change where there is one, else both told."""
    one, two = list(first.things), list(second.things)
    left = {(t.shape, t.color, round(t.x), round(t.y)): t for t in one}
    right = {(t.shape, t.color, round(t.x), round(t.y)): t for t in two}
    gone = [t for key, t in left.items() if key not in right]
    new = [t for key, t in right.items() if key not in left]
    if not gone and not new:
        return SAME
    if not new and len(gone) == 1:
        return f"Only the first picture has {article(f'{gone[0].color} {gone[0].shape}')}."
    if not gone and len(new) == 1:
        return f"Only the second picture has {article(f'{new[0].color} {new[0].shape}')}."
    if len(gone) == len(new) == 1 and (round(gone[0].x), round(gone[0].y)) == (round(new[0].x), round(new[0].y)):
        a, b = gone[0], new[0]
        if a.shape == b.shape:
            return f"The {a.shape} is {a.color} in the first picture and {b.color} in the second."
        if a.color == b.color:
            return (
                f"The {a.color} shape is {article(a.shape)} in the first picture and {article(b.shape)} in the second."
            )
    if len(gone) == len(new) == 1 and (gone[0].shape, gone[0].color) == (new[0].shape, new[0].color):
        return f"The {gone[0].color} {gone[0].shape} has moved."
    return both(first, second)


def told_difference(first: Picture, second: Picture, answer: str) -> str:
    """Both pictures, then what differs: said without looking at each first, it was never learned."""
    told = both(first, second)
    return told if answer == told else f"{told} {answer}"


def both(first: Picture, second: Picture) -> str:
    return f"The first picture has {listing(first.things)}. The second picture has {listing(second.things)}."


SKILLS = {
    "differ": 5.0,
    "same": 1.2,
    "pair_describe": 0.8,
    "pair_one": 0.8,
    "pair_count": 0.7,
    "pair_color": 0.8,
    "pair_which": 0.8,
    "read": 0.1,
    "off_topic": 0.5,
}


def one(
    rng: random.Random, first: Picture, second: Picture, answer: str, skill: str, held: bool = False
) -> Turn | None:
    which = rng.randrange(2)
    order, picture = ORDER[which], (first, second)[which]
    if skill == "off_topic":
        return Turn(skill, *offtopic.off_topic(rng, held))
    if skill == "read":
        return Turn(skill, ask(rng, "read", held), NO_TEXT)
    if "foreign" in (first.kind, second.kind):
        return Turn("pair_foreign", ask(rng, "differ", held), FOREIGN) if skill == "differ" else None
    if skill == "differ":
        return Turn(skill, ask(rng, skill, held), told_difference(first, second, answer))
    if skill == "same":
        told = "So yes, the pictures are the same." if answer == SAME else "So no, the pictures are different."
        return Turn(skill, ask(rng, skill, held), f"{both(first, second)} {told}")
    if skill == "pair_describe":
        return Turn(skill, ask(rng, skill, held), both(first, second))
    if skill == "pair_one":
        return Turn(skill, ask(rng, skill, held, o=order), describe(picture))
    if skill == "pair_count":
        return Turn(skill, ask(rng, skill, held, o=order), there_are(len(picture.things), "shape", "shapes"))
    if skill == "pair_color":
        shape = some_shape(rng, picture, 0.95)
        told_color = color_answer(picture, shape)
        return Turn(skill, ask(rng, skill, held, s=shape, o=order), told_color) if told_color else None
    assert skill == "pair_which", skill
    shape, color = some_shape(rng, picture, 0.9), some_color(rng, picture, 0.8)
    if picture.things and rng.random() < 0.7:
        thing = rng.choice(picture.things)
        shape, color = thing.shape, thing.color
    name = article(f"{color} {shape}")
    has = [any((t.shape, t.color) == (shape, color) for t in p.things) for p in (first, second)]
    told = (
        f"Both pictures have {name}."
        if all(has)
        else f"Only the {ORDER[has.index(True)]} picture has {name}."
        if any(has)
        else f"No picture has {name}."
    )
    return Turn(skill, ask(rng, skill, held, a=name), f"{both(first, second)} {told}")


def turns(
    rng: random.Random, first: Picture, second: Picture, answer: str, n: int, weights: dict[str, float]
) -> list[Turn]:
    """`n` questions about two pictures."""
    table = {name: weights.get(name, weight) for name, weight in SKILLS.items()}
    found: list[Turn] = []
    for _ in range(6 * n):
        if len(found) == n:
            break
        turn = one(rng, first, second, answer, rng.choices(list(table), list(table.values()))[0])
        if turn:
            found.append(turn)
    return found
