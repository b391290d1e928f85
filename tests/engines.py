"""What the engine's tests share: pictures of circles, messages, and the one answer of a question."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

import mmcli
from mmcli.engine import Answer, Message, Sampling
from mmcli.engine.local.engine import LocalEngine
from mmcli.media.types import Audio, Image, Receipt, Text

GREEDY = Sampling(temperature=0, max_tokens=32)
STARTER = Path(mmcli.__file__).parent / "models" / "starter"
# Greedy, but with a penalty for repetition: random weights would say one word for ever, and prove little.
VARIED = Sampling(temperature=0, repeat_penalty=1.3, max_tokens=24)


def picture(*colours: str) -> Image:
    """Large circles of these colours, left to right, on white."""
    canvas = Pillow.new("RGB", (160 * len(colours), 160), "white")
    for i, colour in enumerate(colours):
        ImageDraw.Draw(canvas).ellipse((160 * i + 40, 40, 160 * i + 120, 120), fill=colour)
    pixels = np.ascontiguousarray(np.asarray(canvas))
    media_id = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Image(pixels, media_id, Receipt("-".join(colours), "image", media_id, pixels.nbytes, "PNG"))


def user(*parts: str | Text | Image | Audio) -> Message:
    return Message("user", parts)


def answer(running: LocalEngine, *messages: Message, sampling: Sampling = VARIED) -> Answer:
    *pieces, last = running.generate(messages, sampling)
    assert last.answer is not None
    assert "".join(piece.text for piece in pieces if piece.kind == "answer") == last.answer.text
    return last.answer


def said(told: Answer) -> Message:
    return Message("assistant", (told.text,))
