"""Asks about pictures and knows the right answers, always in the same few words. Knows nothing of tokens.

Every `about_…` function returns (question, answer), or None where the picture doesn't allow the question.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from training import offtopic
from training.phrases import SIDES, ask
from training.pictures import COLORS, SHAPES, THIRDS, Picture, Thing, thirds

NO_TEXT = "I cannot read text."
TEXT_SEEN = "I see text, but I cannot read text."
FOREIGN = "I only know pictures of simple colored shapes."
NO_PICTURE = "I do not see a picture. Please add one."
ONE_PICTURE = "I see only one picture."
NO_SHAPES = "I see no shapes in this picture."

NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
Asked = tuple[str, str] | None


@dataclass(frozen=True)
class Turn:
    skill: str
    question: str
    answer: str


def article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def plural(shape: str) -> str:
    return "crosses" if shape == "cross" else shape + "s"


def joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def listing(things: Sequence[Thing]) -> str:
    """`a red circle and a blue star`, from left to right."""
    return joined([article(f"{t.color} {t.shape}") for t in things]) if things else "no shapes"


def there_are(n: int, one: str, many: str) -> str:
    return f"There is 1 {one}." if n == 1 else f"There are no {many}." if n == 0 else f"There are {n} {many}."


def describe(picture: Picture) -> str:
    return f"I see {listing(picture.things)}." if picture.things else NO_SHAPES


def some_shape(rng: random.Random, picture: Picture, present: float) -> str:
    if picture.things and rng.random() < present:
        return rng.choice(picture.things).shape
    return rng.choice(SHAPES)


def some_color(rng: random.Random, picture: Picture, present: float) -> str:
    if picture.things and rng.random() < present:
        return rng.choice(picture.things).color
    return rng.choice(COLORS)


def distinct(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(values))


# One picture


def about_describe(rng: random.Random, picture: Picture, held: bool) -> Asked:
    return ask(rng, "describe", held), describe(picture)


def about_count(rng: random.Random, picture: Picture, held: bool) -> Asked:
    return ask(rng, "count", held), there_are(len(picture.things), "shape", "shapes")


def about_count_shape(rng: random.Random, picture: Picture, held: bool) -> Asked:
    shape = some_shape(rng, picture, 0.75)
    n = sum(t.shape == shape for t in picture.things)
    return ask(rng, "count_shape", held, **{"p": plural(shape), "as": article(shape)}), there_are(
        n, shape, plural(shape)
    )


def about_count_color(rng: random.Random, picture: Picture, held: bool) -> Asked:
    color = some_color(rng, picture, 0.75)
    n = sum(t.color == color for t in picture.things)
    return ask(rng, "count_color", held, c=color), there_are(n, f"{color} shape", f"{color} shapes")


def color_answer(picture: Picture, shape: str) -> str | None:
    colors = distinct([t.color for t in picture.things if t.shape == shape])
    n = sum(t.shape == shape for t in picture.things)
    if not n:
        return f"There is no {shape}."
    if n > 3:
        return None
    return f"The {shape} is {colors[0]}." if n == 1 else f"The {plural(shape)} are {joined(colors)}."


def about_color(rng: random.Random, picture: Picture, held: bool) -> Asked:
    shape = some_shape(rng, picture, 0.93)
    if sum(t.shape == shape for t in picture.things) > 1 and rng.random() < 0.6:
        shape = some_shape(rng, picture, 0.93)
    answer = color_answer(picture, shape)
    return (ask(rng, "color", held, s=shape), answer) if answer else None


def shape_answer(picture: Picture, color: str) -> str | None:
    shapes = distinct([t.shape for t in picture.things if t.color == color])
    n = sum(t.color == color for t in picture.things)
    if not n:
        return f"There is no {color} shape."
    if n > 3:
        return None
    if n == 1:
        return f"The {color} shape is {article(shapes[0])}."
    if len(shapes) == 1:
        return f"The {color} shapes are {plural(shapes[0])}."
    return f"The {color} shapes are {joined([article(s) for s in shapes])}."


def about_shape(rng: random.Random, picture: Picture, held: bool) -> Asked:
    color = some_color(rng, picture, 0.93)
    if sum(t.color == color for t in picture.things) > 1 and rng.random() < 0.6:
        color = some_color(rng, picture, 0.93)
    answer = shape_answer(picture, color)
    return (ask(rng, "shape", held, c=color), answer) if answer else None


def about_colors(rng: random.Random, picture: Picture, held: bool) -> Asked:
    colors = distinct([t.color for t in picture.things])
    if not colors:
        return ask(rng, "colors", held), NO_SHAPES
    # The shapes first: said at once, a color was now and then forgotten, or told twice.
    told = f"The color is {colors[0]}." if len(colors) == 1 else f"The colors are {joined(colors)}."
    return ask(rng, "colors", held), f"{describe(picture)} {told}"


def about_exist(rng: random.Random, picture: Picture, held: bool) -> Asked:
    shape, color = some_shape(rng, picture, 0.9), some_color(rng, picture, 0.85)
    if picture.things and rng.random() < 0.42:
        thing = rng.choice(picture.things)
        shape, color = thing.shape, thing.color
    name = f"{color} {shape}"
    question = ask(rng, "exist", held, a=article(name), cs=name, cp=f"{color} {plural(shape)}")
    yes = any((t.shape, t.color) == (shape, color) for t in picture.things)
    return question, f"Yes, there is {article(name)}." if yes else f"No, there is no {name}."


def about_exist_shape(rng: random.Random, picture: Picture, held: bool) -> Asked:
    shape = some_shape(rng, picture, 0.35)
    question = ask(rng, "exist_shape", held, **{"as": article(shape), "p": plural(shape), "s": shape})
    yes = any(t.shape == shape for t in picture.things)
    return question, f"Yes, there is {article(shape)}." if yes else f"No, there is no {shape}."


def about_exist_color(rng: random.Random, picture: Picture, held: bool) -> Asked:
    color = some_color(rng, picture, 0.45)
    question = ask(rng, "exist_color", held, c=color, ac=article(color))
    yes = any(t.color == color for t in picture.things)
    return question, f"Yes, there is {article(color)} shape." if yes else f"No, there is no {color} shape."


def about_is_color(rng: random.Random, picture: Picture, held: bool) -> Asked:
    shape = some_shape(rng, picture, 0.95)
    owners = [t for t in picture.things if t.shape == shape]
    if len(owners) > 1:
        return None
    color = some_color(rng, picture, 0.6)
    if owners and rng.random() < 0.45:
        color = owners[0].color
    question = ask(rng, "is_color", held, s=shape, c=color)
    if not owners:
        return question, f"There is no {shape}."
    if owners[0].color == color:
        return question, f"Yes, the {shape} is {color}."
    return question, f"No, the {shape} is {owners[0].color}."


def about_is_shape(rng: random.Random, picture: Picture, held: bool) -> Asked:
    color = some_color(rng, picture, 0.95)
    owners = [t for t in picture.things if t.color == color]
    if len(owners) > 1:
        return None
    shape = owners[0].shape if owners and rng.random() < 0.45 else some_shape(rng, picture, 0.5)
    question = ask(rng, "is_shape", held, **{"as": article(shape), "c": color})
    if not owners:
        return question, f"There is no {color} shape."
    yes = "Yes" if owners[0].shape == shape else "No"
    return question, f"{yes}, the {color} shape is {article(owners[0].shape)}."


def about_is_one(rng: random.Random, picture: Picture, held: bool) -> Asked:
    one = "shape" if rng.random() < 0.3 else some_shape(rng, picture, 0.85)
    n = len(picture.things) if one == "shape" else sum(t.shape == one for t in picture.things)
    question = ask(rng, "is_one", held, s=one)
    yes = n > 1 if "more than" in question.lower() else n == 1
    told = there_are(n, one, "shapes" if one == "shape" else plural(one))
    return question, f"{'Yes' if yes else 'No'}, {told[0].lower()}{told[1:]}"


def about_all_same(rng: random.Random, picture: Picture, held: bool) -> Asked:
    colors = distinct([t.color for t in picture.things])
    if len(picture.things) < 2:
        return None
    question = ask(rng, "all_same", held)
    same = len(colors) == 1
    told = f"The color is {colors[0]}" if same else f"The colors are {joined(colors)}"
    yes = same != ("differ" in question.lower())
    return question, f"{told}, so {'yes' if yes else 'no'}."


def about_is_count(rng: random.Random, picture: Picture, held: bool) -> Asked:
    shape = some_shape(rng, picture, 0.85)
    one, many = shape, plural(shape)
    n = sum(t.shape == shape for t in picture.things)
    if rng.random() < 0.35:
        one, many, n = "shape", "shapes", len(picture.things)
    guess = n if 2 <= n <= 6 and rng.random() < 0.5 else rng.randint(2, 5)
    number = NUMBERS[guess] if rng.random() < 0.7 else str(guess)
    question = ask(rng, "is_count", held, n=number, p=many)
    if n == guess:
        return question, f"Yes, there are {n} {many}."
    return question, "No, " + there_are(n, one, many).replace("There", "there")


def named(rng: random.Random, picture: Picture, thing: Thing) -> str | None:
    """A name only this thing has: `circle`, or `red circle`."""
    alike = [t for t in picture.things if t.shape == thing.shape]
    if len(alike) == 1 and rng.random() < 0.6:
        return thing.shape
    return f"{thing.color} {thing.shape}" if sum(t.color == thing.color for t in alike) == 1 else None


def direction(a: Thing, b: Thing, clear: float = 1.25) -> str | None:
    """Where `a` lies seen from `b`, when one direction plainly prevails."""
    dx, dy = a.x - b.x, a.y - b.y
    if abs(dx) >= clear * abs(dy):
        return "left of" if dx < 0 else "right of"
    if abs(dy) >= clear * abs(dx):
        return "above" if dy < 0 else "below"
    return None


def side_words(side: str) -> str:
    return "to the " + side if side.endswith("of") else side


def named_pair(rng: random.Random, picture: Picture) -> tuple[Thing, str, Thing, str] | None:
    if len(picture.things) < 2:
        return None
    a, b = rng.sample(picture.things, 2)
    name_a, name_b = named(rng, picture, a), named(rng, picture, b)
    return (a, name_a, b, name_b) if name_a and name_b else None


def about_relation(rng: random.Random, picture: Picture, held: bool) -> Asked:
    if rng.random() < 0.06 and picture.things:  # one of the two isn't there
        absent = [s for s in SHAPES if all(t.shape != s for t in picture.things)]
        name = named(rng, picture, rng.choice(picture.things))
        if not absent or not name:
            return None
        missing = rng.choice(absent)
        a, b = (missing, name) if rng.random() < 0.5 else (name, missing)
        return ask(rng, "relation", held, A=a, B=b), f"There is no {missing}."
    pair = named_pair(rng, picture)
    side = direction(pair[0], pair[2], 1.6 if held else 1.25) if pair else None
    if not pair or not side:
        return None
    _, a, _, b = pair
    return ask(rng, "relation", held, A=a, B=b), f"The {a} is {side_words(side)} the {b}."


def about_is_relation(rng: random.Random, picture: Picture, held: bool) -> Asked:
    pair = named_pair(rng, picture)
    if not pair:
        return None
    thing_a, a, thing_b, b = pair
    side = rng.choice(tuple(SIDES))
    horizontal = side.endswith("of")
    gap = thing_a.x - thing_b.x if horizontal else thing_a.y - thing_b.y
    if abs(gap) < (14 if held else 9):
        return None
    said = rng.choice(SIDES[side])
    question = ask(rng, "is_relation", held, A=a, B=b, r=said).replace("to the to the", "to the")
    question = (
        question.replace("on the to the", "to the")
        .replace("on the on the", "on the")
        .replace("to the on the", "on the")
    )
    # First what is so, then yes or no: said the other way round, it was never learned.
    true_side = ("left of" if gap < 0 else "right of") if horizontal else ("above" if gap < 0 else "below")
    return question, f"The {a} is {side_words(true_side)} the {b}, so {'yes' if true_side == side else 'no'}."


def place_words(picture: Picture, thing: Thing, margin: float) -> str | None:
    """One of the picture's nine places, unless it lies within `margin` of a border."""
    left, top, width, height = picture.frame
    parts = ((thing.y - top) / height, (thing.x - left) / width)
    if any(abs(part - limit) < margin for part in parts for limit in THIRDS):
        return None
    row, column = thirds(picture, thing)
    place = " ".join(word for word in (("top", "", "bottom")[row], ("left", "", "right")[column]) if word)
    return f"at the {place}" if place else "in the middle"


def about_place(rng: random.Random, picture: Picture, held: bool) -> Asked:
    if rng.random() < 0.06:
        absent = [s for s in SHAPES if all(t.shape != s for t in picture.things)]
        shape = rng.choice(absent) if absent else None
        return (ask(rng, "place", held, A=shape), f"There is no {shape}.") if shape else None
    if not picture.things:
        return None
    thing = rng.choice(picture.things)
    name, place = named(rng, picture, thing), place_words(picture, thing, 0.05 if held else 0.02)
    return (ask(rng, "place", held, A=name), f"The {name} is {place}.") if name and place else None


def about_beside(rng: random.Random, picture: Picture, held: bool) -> Asked:
    if not 1 <= len(picture.things) <= 5:
        return None
    base = rng.choice(picture.things)
    name = named(rng, picture, base)
    side = rng.choice(tuple(SIDES))
    across = side.endswith("of")
    key: Callable[[Thing], float] = (lambda t: t.x) if across else (lambda t: t.y)
    ordered = sorted(picture.things, key=key)
    if not name or any(key(b) - key(a) < (8 if held else 5) for a, b in zip(ordered, ordered[1:], strict=False)):
        return None
    question = ask(rng, "beside", held, B=name, r=rng.choice(SIDES[side]))
    spot = next(i for i, thing in enumerate(ordered) if thing is base)
    there = ordered[:spot] if side in ("left of", "above") else ordered[spot + 1 :]
    # All in their order first: said at once, what is on one side of a thing was never learned well.
    told = f"From {'left to right' if across else 'top to bottom'}: {listing(ordered)}."
    if not there:
        return question, f"{told} Nothing is {side_words(side)} the {name}."
    found = listing(there)
    be = "is" if len(there) == 1 else "are"
    return question, f"{told} {found[0].upper()}{found[1:]} {be} {side_words(side)} the {name}."


def about_extreme(rng: random.Random, picture: Picture, held: bool) -> Asked:
    if len(picture.things) < 2:
        return None
    end = rng.choice(("left", "right", "top", "bottom"))
    key: Callable[[Thing], float] = {
        "left": lambda t: t.x,
        "right": lambda t: -t.x,
        "top": lambda t: t.y,
        "bottom": lambda t: -t.y,
    }[end]
    first, second = sorted(picture.things, key=key)[:2]
    if key(second) - key(first) < 8:
        return None
    return ask(rng, "extreme", held, e=end), f"The {end}most shape is {article(f'{first.color} {first.shape}')}."


def about_background(rng: random.Random, picture: Picture, held: bool) -> Asked:
    if picture.background is None:
        return None
    return ask(rng, "background", held), f"The background is {picture.background}."


def about_is_background(rng: random.Random, picture: Picture, held: bool) -> Asked:
    if picture.background is None:
        return None
    color = picture.background if rng.random() < 0.5 else rng.choice(COLORS)
    # First what is so: see about_is_relation.
    yes = "yes" if color == picture.background else "no"
    question = ask(rng, "is_background", held, c=color, ac=article(color))
    return question, f"The background is {picture.background}, so {yes}."


def about_read(rng: random.Random, picture: Picture, held: bool) -> Asked:
    return ask(rng, "read", held), NO_TEXT


def about_differ_alone(rng: random.Random, picture: Picture, held: bool) -> Asked:
    return ask(rng, rng.choice(("differ", "same", "pair_describe")), held), ONE_PICTURE


SCENE_SKILLS: dict[str, tuple[Callable[[random.Random, Picture, bool], Asked], float]] = {
    "describe": (about_describe, 2.0),
    "count": (about_count, 1.0),
    "count_shape": (about_count_shape, 1.2),
    "count_color": (about_count_color, 1.0),
    "color": (about_color, 1.5),
    "shape": (about_shape, 1.5),
    "colors": (about_colors, 0.7),
    "exist": (about_exist, 1.3),
    "exist_shape": (about_exist_shape, 0.8),
    "exist_color": (about_exist_color, 0.8),
    "is_color": (about_is_color, 1.0),
    "is_count": (about_is_count, 1.0),
    "is_shape": (about_is_shape, 1.0),
    "is_one": (about_is_one, 0.4),
    "all_same": (about_all_same, 0.3),
    "is_background": (about_is_background, 0.25),
    "relation": (about_relation, 2.0),
    "is_relation": (about_is_relation, 2.0),
    "place": (about_place, 1.2),
    "beside": (about_beside, 1.0),
    "extreme": (about_extreme, 0.9),
    "background": (about_background, 0.3),
    "read": (about_read, 0.3),
    "differ_alone": (about_differ_alone, 0.25),
}
TALK = {"off_topic": 2.0, "small_talk": 0.6}


def one(rng: random.Random, picture: Picture | None, skill: str, held: bool = False) -> Turn | None:
    """One question of this skill about a picture (or about none) and its answer."""
    if skill == "off_topic":
        return Turn(skill, *offtopic.off_topic(rng, held))
    if skill == "small_talk":
        name, question, answer = offtopic.small_talk(rng)
        return Turn(name, question, answer)
    if picture is None or picture.kind in ("foreign", "text"):
        return declined(rng, picture, skill, held)
    asked = SCENE_SKILLS[skill][0](rng, picture, held)
    return Turn(skill, *asked) if asked else None


def declined(rng: random.Random, picture: Picture | None, skill: str, held: bool) -> Turn:
    """The question as asked about a scene, the answer for a picture that is none (or isn't there)."""
    shape, color = rng.choice(SHAPES), rng.choice(COLORS)
    name = f"{color} {shape}"
    slots = {
        "s": shape,
        "p": plural(shape),
        "c": color,
        "a": article(name),
        "as": article(shape),
        "ac": article(color),
        "cs": name,
        "cp": f"{color} {plural(shape)}",
        "n": rng.choice(NUMBERS[2:]),
        "A": rng.choice((shape, name)),
        "B": rng.choice(SHAPES),
        "r": rng.choice(SIDES[rng.choice(tuple(SIDES))]),
        "e": rng.choice(("left", "right", "top", "bottom")),
    }
    asked = "differ" if skill == "differ_alone" else skill
    question = ask(rng, asked, held, **slots)
    if picture is None:
        return Turn("no_picture", question, NO_PICTURE)
    if skill == "differ_alone":
        return Turn(skill, question, ONE_PICTURE)
    if skill == "read":
        return Turn(f"{picture.kind}_read", question, NO_TEXT)
    if picture.kind == "text" and skill == "describe":
        return Turn("text_describe", question, TEXT_SEEN)
    return Turn(f"{picture.kind}_other", question, FOREIGN)


def turns(
    rng: random.Random, picture: Picture | None, n: int, weights: dict[str, float], held: bool = False
) -> list[Turn]:
    """`n` questions about one picture, drawn by weight."""
    table = {name: weight for name, (_, weight) in SCENE_SKILLS.items()} | TALK | weights
    if picture is None:
        table = table | {"off_topic": 9.0, "small_talk": 6.0}
    elif picture.kind in ("foreign", "text"):
        table = table | {"describe": 6.0, "read": 4.0}
    elif picture.kind == "empty":
        skills = ("relation", "is_relation", "beside", "extreme", "place", "all_same")
        table = {name: weight for name, weight in table.items() if name not in skills}
    names = [name for name in table if name in SCENE_SKILLS or name in TALK]
    found: list[Turn] = []
    for _ in range(6 * n):
        if len(found) == n:
            break
        turn = one(rng, picture, rng.choices(names, [table[name] for name in names])[0], held)
        if turn:
            found.append(turn)
    return found


# "And the star?": the second question leans on the first.


def follow_up(rng: random.Random, picture: Picture, last: Turn) -> Turn | None:
    """A short question that means the last one's skill about something else."""
    if picture.kind != "scene":
        return None
    start = rng.choice(("And ", "And ", "What about ", "How about ", "and "))
    shape, color = some_shape(rng, picture, 0.9), some_color(rng, picture, 0.9)
    if shape in last.question or color in last.question:
        shape, color = some_shape(rng, picture, 0.7), some_color(rng, picture, 0.7)
    answer: str | None = None
    if last.skill == "color":
        what, answer = f"the {shape}", color_answer(picture, shape)
    elif last.skill == "shape":
        what, answer = f"the {color} {rng.choice(('one', 'shape', 'thing'))}", shape_answer(picture, color)
    elif last.skill in ("count_shape", "exist_shape"):
        n = sum(t.shape == shape for t in picture.things)
        if last.skill == "count_shape":
            what, answer = plural(shape), there_are(n, shape, plural(shape))
        else:
            what = article(shape)
            answer = f"Yes, there is {what}." if n else f"No, there is no {shape}."
    elif last.skill == "exist":
        what = article(f"{color} {shape}")
        yes = any((t.shape, t.color) == (shape, color) for t in picture.things)
        answer = f"Yes, there is {what}." if yes else f"No, there is no {color} {shape}."
    elif last.skill == "place":
        thing = rng.choice(picture.things)
        name, place = named(rng, picture, thing), place_words(picture, thing, 0.02)
        if name and place:
            what, answer = f"the {name}", f"The {name} is {place}."
    return Turn(f"follow_{last.skill}", start + what + rng.choice(("?", "?", "?", "")), answer) if answer else None


def dialogue(
    rng: random.Random, picture: Picture | None, n: int, weights: dict[str, float], held: bool = False
) -> list[Turn]:
    """`n` turns about one picture, each seeing those before it."""
    said: list[Turn] = []
    while len(said) < n:
        turn = follow_up(rng, picture, said[-1]) if said and picture and rng.random() < 0.35 else None
        if not turn:
            turn = (turns(rng, picture, 1, weights, held) or [None])[0]
        if turn is None:
            break
        said.append(turn)
    return said
