"""Draws a test card with questions about it, and judges the answers. Knows no engine.

Digits, stripe and arrow are drawn anew each time, so that right answers come from the picture alone. An empty grey
picture is asked about too: who gives the right answer there did not look. The starter model cannot read; it gets two
coloured shapes instead.
"""

from __future__ import annotations

import io
import random
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image as Pillow
    from PIL import ImageDraw

Kind = Literal["text", "shapes"]

SIDE = 512  # pixels
GREY = (128, 128, 128)
INK = (15, 15, 15)
COLOURS = {"red": (220, 30, 30), "green": (20, 150, 50), "blue": (30, 60, 220), "yellow": (250, 210, 0)}
DIGITS = "23456789"  # 0 and 1 look like letters
TURNS = ("up", "right", "down", "left")  # clockwise
SHAPES = ("circle", "square", "triangle", "star", "cross")

DAMAGED = "the picture arrives damaged, or hardly at all: a broken quantization, or a projector for other weights"
UNSEEN = (
    "the picture does not reach it: use the projector published with these weights (--mmproj FILE), "
    "then another quantization such as Q8_0, then --gpu-layers 0"
)
MIRRORED = "the picture arrives mirrored or upside down: a fault of the projector's conversion, or of this llama.cpp"
TURNED = "the picture arrives turned: a fault of the projector's conversion, or of this llama.cpp"
SWAPPED = "red and blue are swapped: a fault of the projector's conversion"
WEAK = "small models often fail this one; by itself it means little"
STALE = "it answers without looking, or about a picture it was shown before: please report this"


@dataclass(frozen=True)
class CanaryQuestion:
    """One thing to ask about a card, and the only right answer."""

    item: str  # "digits", "edge", "arrow" …
    text: str
    expected: str
    choices: tuple[str, ...] = ()  # all answers there could be; empty: digits
    essential: bool = True  # a model that sees gets it right

    def is_right(self, answer: str) -> bool:
        """Whether `answer` says what is expected, and nothing beside it that contradicts."""
        return self.said(answer) == {self.expected}

    def said(self, answer: str) -> set[str]:
        """What `answer` names: those of the choices, or the digits as one number."""
        if not self.choices:
            digits = re.sub(r"(?<=\d)[\s,.-]+(?=\d)", "", answer)
            return set(re.findall(r"\d+", digits))
        words = re.findall(r"[a-z]+", answer.lower())
        return {choice for choice in self.choices if any(re.fullmatch(f"{choice}(s|wards?)?", word) for word in words)}

    def meaning(self, answer: str) -> str:
        """What it usually means that `answer` is wrong."""
        said = self.said(answer)
        if self.item == "digits":
            if said == {self.expected[::-1]}:
                return MIRRORED
            return DAMAGED if any(digit in answer for digit in DIGITS) else UNSEEN
        if self.item == "arrow" and len(said) == 1:
            steps = (TURNS.index(said.pop()) - TURNS.index(self.expected)) % 4
            return f"{MIRRORED if steps == 2 else TURNED}; but {WEAK}"
        if self.item == "place" and len(said) == 1:
            return f"{MIRRORED}; but {WEAK}"
        if said | {self.expected} == {"red", "blue"} and len(said) == 1:
            return SWAPPED
        if not self.essential:
            return WEAK
        return DAMAGED if said else UNSEEN


@dataclass(frozen=True)
class Card:
    """A picture (PNG) with questions, the first of them the one that nobody can guess; and a picture of nothing."""

    picture: bytes
    empty: bytes
    questions: tuple[CanaryQuestion, ...]

    def blind(self) -> Card:
        """The same questions about the picture of nothing."""
        return replace(self, picture=self.empty)


def draw(kind: Kind, seed: int) -> Card:
    """A card of this kind; the same seed draws the same one."""
    from PIL import Image

    chance = random.Random(seed)
    canvas = Image.new("RGB", (SIDE, SIDE), "white")
    questions = _text(canvas, chance) if kind == "text" else _shapes(canvas, chance)
    return Card(_png(canvas), _png(Image.new("RGB", (SIDE, SIDE), GREY)), questions)


def _png(canvas: Pillow.Image) -> bytes:
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def _text(canvas: Pillow.Image, chance: random.Random) -> tuple[CanaryQuestion, ...]:
    """Four digits, a stripe along the left edge, an arrow below."""
    from PIL import ImageDraw, ImageFont

    pen = ImageDraw.Draw(canvas)
    number = "".join(chance.sample(DIGITS, 4))
    edge, turn = chance.choice(tuple(COLOURS)), chance.choice(TURNS)
    pen.rectangle((0, 0, SIDE // 8, SIDE), fill=COLOURS[edge])
    middle = (SIDE + SIDE // 8) // 2
    pen.text((middle, 165), number, INK, ImageFont.load_default(150), anchor="mm", stroke_width=4, stroke_fill=INK)
    arrow = [(0, -85), (60, -15), (22, -15), (22, 85), (-22, 85), (-22, -15), (-60, -15)]  # upwards, around (0, 0)
    for _ in range(TURNS.index(turn)):
        arrow = [(-y, x) for x, y in arrow]  # a quarter clockwise: y points down
    pen.polygon([(middle + x, 380 + y) for x, y in arrow], fill=INK)
    return (
        CanaryQuestion("digits", "What number is printed on this card? Answer with the digits only.", number),
        CanaryQuestion(
            "edge",
            "What color is the thick stripe along the left edge of this card? Answer with one word.",
            edge,
            tuple(COLOURS),
            essential=False,
        ),
        CanaryQuestion(
            "arrow",
            "In which direction does the arrow point: up, right, down or left? Answer with one word.",
            turn,
            TURNS,
            essential=False,
        ),
    )


def _shapes(canvas: Pillow.Image, chance: random.Random) -> tuple[CanaryQuestion, ...]:
    """Two shapes of different colours, side by side."""
    from PIL import ImageDraw

    pen = ImageDraw.Draw(canvas)
    left, right = chance.sample(SHAPES[:3], 2)
    colours = chance.sample(tuple(COLOURS), 2)
    for shape, colour, x in ((left, colours[0], SIDE // 4), (right, colours[1], SIDE * 3 // 4)):
        _shape(pen, shape, x, SIDE // 2, SIDE // 7, COLOURS[colour])
    return (
        CanaryQuestion("left shape", f"What color is the {left}?", colours[0], tuple(COLOURS)),
        CanaryQuestion("right shape", f"What color is the {right}?", colours[1], tuple(COLOURS)),
        CanaryQuestion("place", "Which shape is on the left?", left, SHAPES, essential=False),
    )


def _shape(pen: ImageDraw.ImageDraw, shape: str, x: int, y: int, r: int, colour: tuple[int, int, int]) -> None:
    if shape == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif shape == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), fill=colour)
    else:
        pen.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], fill=colour)
