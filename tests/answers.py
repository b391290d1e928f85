"""An answer as the engine would give it, in pieces; for tests of the terminal, and for the children that they start."""

from collections.abc import Iterator
from dataclasses import replace

from mmcli.engine.messages import Answer, Piece, Seen, Usage
from mmcli.media.types import Receipt

USAGE = Usage(prompt_tokens=600, completion_tokens=20, n_encodes=1, seconds={"encode": 1.23456, "decode": 2.0})
PHOTO = Receipt("photo.jpg", "image", "ab" * 32, 1234, "JPEG", (4032, 3024), (3024, 4032), "90")
GIF = Receipt("an\nim.gif", "image", "cd" * 32, 99, "GIF", (8, 8), (8, 8), frames=12, notes=("first of 12 frames",))
ANSWER = Answer(
    text="A *cat*.",
    reasoning="",
    finish_reason="stop",
    seen=(Seen(PHOTO, "ef" * 32, 576, 576, "encoded"), Seen(GIF, "01" * 32, 64, 8, "memory")),
    usage=USAGE,
    model="starter",
    weights="aa",
    projector="bb",
    device="cpu",
    n_ctx=4096,
    n_past=620,
    seed=7,
)


def spoken(text: str, answer: Answer = ANSWER, reasoning: str = "") -> Iterator[Piece]:
    for char in reasoning:
        yield Piece(char, "reasoning")
    for char in text:
        yield Piece(char)
    yield Piece("", answer=replace(answer, text=text, reasoning=reasoning))
