"""Boxes around things: how a model is asked for them, and what its numbers mean in pixels.

Qwen3-VL was trained to point in thousandths of the picture's width and height, whatever size it is shown at. Other
families count pixels of the picture as their own code resized it, which nobody outside can be sure of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmcli.extraction.answer_schema import AnswerSchema

WHOLE = 1000  # the far edge of a picture, as models count
_EDGE = {"type": "integer", "minimum": 0, "maximum": WHOLE}
SCHEMA = {
    "type": "array",
    "maxItems": 100,
    "items": {
        "type": "object",
        "properties": {
            "bbox_2d": {"type": "array", "items": _EDGE, "minItems": 4, "maxItems": 4},
            "label": {"type": "string", "maxLength": 60},
        },
        "required": ["bbox_2d", "label"],
        "additionalProperties": False,
    },
}


@dataclass(frozen=True)
class PointedBox:
    """One thing: its label and its box, from the top left corner, in pixels of the upright picture."""

    label: str
    x: int
    y: int
    width: int
    height: int


class Pointing:
    """Boxes as the form of an answer."""

    def __init__(self) -> None:
        self.shape = AnswerSchema(SCHEMA)

    def words(self, question: str) -> str:
        """The question as a model gets it."""
        return self.shape.words(f"{question.rstrip()}\nLocate each of them; an empty list where there is none.")

    def read(self, answer: str, size: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> list[PointedBox]:
        """The boxes of an answer about a picture of (width, height) pixels; OutputError where it is not whole.

        `corner`: where that picture lies in a larger one, in whose pixels they are wanted. Boxes without any width or
        height are left out.
        """
        found = (_box(one, size, corner) for one in self.shape.read(answer))
        return [box for box in found if box.width and box.height]


def _box(told: dict[str, Any], size: tuple[int, int], corner: tuple[int, int]) -> PointedBox:
    left, top, right, bottom = _ordered(told["bbox_2d"])
    (x1, x2), (y1, y2) = _pixels(left, right, size[0]), _pixels(top, bottom, size[1])
    return PointedBox(told["label"], corner[0] + x1, corner[1] + y1, x2 - x1, y2 - y1)


def _ordered(edges: Sequence[int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom; models swap corners now and then."""
    x1, y1, x2, y2 = edges
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _pixels(first: int, last: int, length: int) -> tuple[int, int]:
    return round(first * length / WHOLE), round(last * length / WHOLE)
