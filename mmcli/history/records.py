"""The history's conversations, turns and media, as data. Knows JSON; knows no database.

Times are seconds since 1970, UTC; NaN where the file no longer says.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmcli import schema
from mmcli.engine.messages import Answer, FinishReason
from mmcli.media.types import Receipt


@dataclass(frozen=True)
class Shown:
    """One medium of a question: where it lay, and what it was. Its bytes are here only if they were kept."""

    receipt: Receipt
    path: str | None  # absolute; a file:// address as it was given
    url: str | None  # without user and password
    media_id: str | None  # None: a text
    text: str | None  # of a piped text: it is part of what was asked
    is_dropped: bool = False  # taken out of the talk later


@dataclass(frozen=True)
class KeptTurn:
    """One question and what came of it."""

    number: int  # its key in the file; grows with time
    asked: float
    model: str
    system: str | None
    question: str
    shown: tuple[Shown, ...]
    said: str  # the answer as far as it came
    finish_reason: FinishReason
    error: str | None  # why there is no answer
    answer: Answer | None  # with receipts and usage; None: the process ended before the answer did
    sampling: Mapping[str, Any] | None
    is_taken_back: bool
    heard_by: str | None = None  # the speech model that wrote the question down; None: it was typed


@dataclass(frozen=True)
class Talk:
    """A conversation. `model`, `mmproj` and `system` are those of its next question."""

    id: str
    kind: str  # "ask", "chat", "voice"
    model: str  # what -m takes to find it again: a name, or an absolute path
    mmproj: str | None
    system: str | None
    started: float
    changed: float
    turns: tuple[KeptTurn, ...]  # in order; those taken back are among them
    n_left_out: int = 0  # of the oldest answered turns: the context was full, and the model got their words no more
    damage: tuple[str, ...] = ()  # what of it cannot be read, a clause each; the rest is as it was

    @property
    def live(self) -> tuple[KeptTurn, ...]:
        """The turns that were not taken back."""
        return tuple(turn for turn in self.turns if not turn.is_taken_back)


@dataclass(frozen=True)
class Summary:
    """A talk in one line of a list."""

    id: str
    kind: str
    model: str
    started: float
    changed: float
    n_turns: int  # without those taken back
    n_media: int
    title: str  # its first question
    damage: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hit:
    """A turn that has the words searched for."""

    talk: str
    asked: float
    question: str
    said: str
    is_taken_back: bool
    damage: tuple[str, ...] = ()


def pack_receipt(receipt: Receipt) -> str:
    return json.dumps(dataclasses.asdict(receipt))


def unpack_receipt(document: Any) -> Receipt:
    """`schema.Unreadable` where it is none."""
    return schema.made(Receipt, schema.parse(document))


def pack_answer(answer: Answer) -> str:
    """All of an answer but its texts, which have columns of their own."""
    facts = dataclasses.asdict(answer)
    for name in ("text", "reasoning", "finish_reason"):
        del facts[name]
    return json.dumps(facts)


def unpack_answer(document: Any, text: str, reasoning: str, finish_reason: FinishReason) -> Answer:
    """`schema.Unreadable` where it is none."""
    return schema.made(Answer, schema.parse(document), text=text, reasoning=reasoning, finish_reason=finish_reason)
