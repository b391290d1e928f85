"""Asks for values in a shape, and knows the right JSON: what `mmcli ask --schema` and `mmcli extract` put to a model.

What a field means is told by its name alone, so each meaning goes by several. Of several things, single values are
those of the first from the left that a list of choices allows.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmcli.extraction import shorthand
from mmcli.extraction.answer_schema import AnswerSchema
from training import pictures
from training.pictures import COLORS, SHAPES, Picture, Thing
from training.questions import Turn, distinct, plural

ASKED = (
    "Read the values from this picture.", "Read the values from this picture.", "Read the values from this picture.",
    "What is in this picture?", "What is this?", "Describe the picture.", "What do you see?", "Describe this image.",
    "Tell me the values.", "Fill in the form.", "What is shown?", "Extract the values.", "Which shapes are there?",
    "What shapes do you see?", "List the shapes.", "Read it.", "Give me the facts.", "",
)  # fmt: skip
HELD_ASKED = ("Read the values from this picture.", "What does the picture show?", "Please extract the data.")
SHAPE_NAMES = ("shape", "shape", "shape", "form", "figure", "kind", "object", "item")
COLOR_NAMES = ("color", "colour", "color", "colour", "paint", "shape_color", "hue")
COUNT_NAMES = ("n", "n", "count", "number", "how_many", "total", "amount", "n_shapes", "quantity")
GROUND_NAMES = ("background", "background_color", "ground", "background_colour")
LIST_NAMES = ("shapes", "things", "items", "objects", "figures", "elements", "parts")
COLORS_NAMES = ("colors", "colours", "all_colors", "paints")
UNSEEN = (
    "text", "title", "name", "date date", "price float", "vendor", "total_price float", "number_plate", "author",
    "page int", "email email", "currency EUR|USD|GBP", "address", "label", "language", "signed bool",
)  # fmt: skip


@dataclass(frozen=True)
class Field:
    """One field in the short form of a schema, and its right value; None: it cannot be seen."""

    text: str
    value: Any


def name_of(field: Field) -> str:
    return field.text.split()[0].split("[")[0]


def choices(rng: random.Random, wanted: str | None, known: Sequence[str]) -> str:
    """`circle|star|square`, which hold what is wanted."""
    found = rng.sample([one for one in known if one != wanted], rng.randint(1, min(5, len(known) - 1)))
    found += [wanted] if wanted is not None else []
    rng.shuffle(found)
    return "|".join(found) if len(found) > 1 else "|".join([*found, "other"])


def scalars(rng: random.Random, picture: Picture) -> list[Field]:
    """The shape, the colour and the number of the things, in any order; some of them."""
    things, n = picture.things, len(picture.things)
    thing: Thing | None = things[0] if things else None
    shape_type = rng.choice(("", "", " str", f" str ..{rng.randint(8, 20)}"))
    if rng.random() < 0.5:
        if things and rng.random() < 0.3:
            thing = rng.choice(things)
        listed = choices(rng, thing.shape if thing else None, SHAPES).split("|")
        if "other" not in listed:
            shape_type = " " + "|".join(listed)
            thing = next((one for one in things if one.shape in listed), None)
    color_type = rng.choice(("", "", " str", " str", f" str ..{rng.randint(8, 20)}"))
    if rng.random() < 0.3 and thing is not None:
        color_type = " " + choices(rng, thing.color, COLORS)
    bounds = rng.choice(("", "", f" {rng.choice((0, 1))}..{rng.choice((6, 9, 9, 10, 12, 20))}", " 0.."))
    if bounds.strip().startswith("1") and not n:
        bounds = ""
    found = [
        Field(rng.choice(SHAPE_NAMES) + shape_type, thing.shape if thing else None),
        Field(rng.choice(COLOR_NAMES) + color_type, thing.color if thing else None),
        Field(rng.choice(COUNT_NAMES) + " int" + bounds, n if picture.kind in ("scene", "empty") else None),
    ]
    if rng.random() < 0.35:
        rng.shuffle(found)
    kept = found if rng.random() < 0.55 else rng.sample(found, rng.randint(1, 2))
    return [one for one in found if one in kept]


def listed(rng: random.Random, picture: Picture) -> Field:
    """All things from left to right."""
    keys = [(rng.choice(("shape", "shape", "form", "kind")), "shape"), (rng.choice(("color", "colour")), "color")]
    if rng.random() < 0.3:
        keys.reverse()
    if rng.random() < 0.15:
        keys = keys[:1]
    value = [{key: getattr(thing, what) for key, what in keys} for thing in picture.things]
    inner = ", ".join(
        key + rng.choice(("", "", " str", " " + "|".join(SHAPES if what == "shape" else COLORS)))
        if rng.random() < 0.3
        else key
        for key, what in keys
    )
    return Field(f"{rng.choice(LIST_NAMES)}[]{{{inner}}}", value if picture.kind in ("scene", "empty") else None)


def others(rng: random.Random, picture: Picture) -> Field:
    """Something else that one may want to know of it."""
    what = rng.random()
    is_scene = picture.kind in ("scene", "empty")
    if what < 0.3:
        found = distinct([thing.color for thing in picture.things])
        return Field(f"{rng.choice(COLORS_NAMES)}[]", found if is_scene else None)
    if what < 0.5:
        ground = picture.background if is_scene else None
        return Field(rng.choice(GROUND_NAMES), ground)
    if what < 0.75:
        shape = rng.choice(picture.things).shape if picture.things and rng.random() < 0.5 else rng.choice(SHAPES)
        is_there = any(thing.shape == shape for thing in picture.things)
        return Field(f"{rng.choice(('has_', 'has_', 'is_'))}{shape} bool", is_there if is_scene else None)
    shape = rng.choice(picture.things).shape if picture.things and rng.random() < 0.6 else rng.choice(SHAPES)
    n = sum(thing.shape == shape for thing in picture.things)
    return Field(f"{rng.choice(('', 'n_'))}{plural(shape)} int", n if is_scene else None)


def fields(rng: random.Random, picture: Picture) -> list[Field]:
    kind = rng.random()
    if kind < 0.62:
        found = scalars(rng, picture)
    elif kind < 0.82:
        found = [listed(rng, picture)]
    else:
        found = [others(rng, picture)]
    if rng.random() < 0.2:
        found.append(others(rng, picture))
    if rng.random() < 0.15:
        text = rng.choice(UNSEEN)
        found.insert(rng.randint(0, len(found)), Field(text, None))
    names: dict[str, Field] = {}
    for field in found:
        names.setdefault(name_of(field), field)
    return list(names.values())


def schema(rng: random.Random, found: Sequence[Field]) -> dict[str, Any]:
    """The JSON schema as a user's words become one: the short form, now and then a file's plainer way."""
    wants_null = any(field.value is None for field in found)
    everywhere = rng.random() < (0.6 if wants_null else 0.45)  # as `mmcli extract` reads it
    marks = {id(field): "?" if field.value is None else "" for field in found}
    if everywhere:
        marks |= {id(field): rng.choice(("", "", "", "!")) for field in found if field.value is not None}
    text = ", ".join(field.text + marks[id(field)] for field in found)
    wanted = shorthand.schema_of(text, nullable=everywhere)
    if rng.random() < 0.08:
        del wanted["additionalProperties"]
    if rng.random() < 0.08:
        wanted = {"properties": wanted["properties"], **{k: v for k, v in wanted.items() if k != "properties"}}
    return wanted


def turn(rng: random.Random, picture: Picture, held: bool = False) -> Turn:
    """One question about a picture, and its answer as JSON in the grammar's style of white space."""
    found = fields(rng, picture)
    wanted = AnswerSchema(schema(rng, found))
    answer = json.dumps({name_of(field): field.value for field in found}, ensure_ascii=False)
    asked = rng.choice(HELD_ASKED if held else ASKED)
    return Turn("fields", wanted.words(asked), answer)


def alike(rng: random.Random) -> Picture:
    """A scene whose things are all of one shape and colour, as a folder of single things may be."""
    canvas = pictures.random_canvas(rng)
    count = rng.choices((1, 2, 3, 4, 5, 6), (5, 4, 4, 3, 3, 3))[0]
    first: Thing | None = None
    things: list[Thing] = []
    for x, y, radius in pictures.random_places(rng, canvas, count):
        if first is None:
            first = pictures.painted(rng, Thing(rng.choice(SHAPES), rng.choice(COLORS), x, y, radius), canvas)
        things.append(replace(first, x=x, y=y, radius=radius))
    placed = pictures.in_order(things)
    return Picture(pictures.draw(rng, canvas, placed), "scene", placed, canvas.ground_name, canvas.frame)
