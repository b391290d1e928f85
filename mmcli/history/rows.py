"""Reads records from the history's rows, damaged ones included, and says what cannot be read.

SQLite takes a value of any type in any column, and a failing disk or another program may have put one there.
"""

from __future__ import annotations

import math
import os
import typing
from collections.abc import Iterable, Sequence
from typing import Any

from mmcli import schema
from mmcli.engine.messages import FinishReason
from mmcli.history.records import Hit, KeptTurn, Shown, Summary, Talk, unpack_answer, unpack_receipt
from mmcli.media.types import Receipt

LAST_MOMENT = 253_402_300_799.0  # seconds since 1970: the end of the year 9999, the last that Python's dates know
TALK = "kind, model, mmproj, system, started, changed, left_out"
TURN = (
    "id, asked, model, system, question, answer, reasoning, finish_reason, error, facts, sampling,"
    " taken_back IS NOT NULL, heard_by"
)
MEDIUM = "receipt, path, url, media_id, text, dropped, sha256"


class Reader:
    """Reads values of rows, and notes what is wrong with them."""

    def __init__(self) -> None:
        self._damage: list[str] = []

    @property
    def damage(self) -> tuple[str, ...]:
        return tuple(self._damage)

    def note(self, where: str, what: str) -> None:
        self._damage.append(f"{where}: its {what} cannot be read")

    def text(self, value: Any, where: str, what: str) -> str:
        """A text; of bytes that are none, what can be read."""
        if isinstance(value, str):
            return value
        self.note(where, what)
        return value.decode(errors="replace") if isinstance(value, bytes) else "" if value is None else str(value)

    def maybe(self, value: Any, where: str, what: str) -> str | None:
        return None if value is None else self.text(value, where, what)

    def time(self, value: Any, where: str, what: str = "time") -> float:
        """Seconds since 1970; NaN where no clock can have shown them."""
        if isinstance(value, int | float) and 0 <= value <= LAST_MOMENT:
            return float(value)
        self.note(where, what)
        return math.nan


def talk(name: str, row: Sequence[Any], turns: Iterable[tuple[Sequence[Any], Sequence[Sequence[Any]]]]) -> Talk:
    """A talk from its row (TALK), and those of its turns (TURN), each with those of its media (MEDIUM)."""
    kind, model, mmproj, system, started, changed, left_out = row
    reader = Reader()
    return Talk(
        id=name,
        kind=reader.text(kind, "the talk", "kind"),
        model=reader.text(model, "the talk", "model"),
        mmproj=reader.maybe(mmproj, "the talk", "projector"),
        system=reader.maybe(system, "the talk", "system prompt"),
        started=reader.time(started, "the talk", "beginning"),
        changed=reader.time(changed, "the talk", "end"),
        turns=tuple(_turn(reader, f"turn {place}", *rows) for place, rows in enumerate(turns, 1)),
        n_left_out=left_out if isinstance(left_out, int) and left_out >= 0 else 0,
        damage=reader.damage,
    )


def summary(row: Sequence[Any]) -> Summary:
    """A line of the list of talks."""
    name, kind, model, started, changed, n_turns, n_media, title = row
    reader, where = Reader(), "the talk"
    return Summary(
        id=str(name),
        kind=reader.text(kind, where, "kind"),
        model=reader.text(model, where, "model"),
        started=reader.time(started, where, "beginning"),
        changed=reader.time(changed, where, "end"),
        n_turns=n_turns,
        n_media=n_media,
        title=reader.text(title, where, "first question"),
        damage=reader.damage,
    )


def hit(row: Sequence[Any]) -> Hit:
    """A turn that a search found."""
    name, asked, question, said, is_taken_back = row
    reader, where = Reader(), "a turn that was found"
    return Hit(
        talk=str(name),
        asked=reader.time(asked, where),
        question=reader.text(question, where, "question"),
        said=reader.text(said, where, "answer"),
        is_taken_back=bool(is_taken_back),
        damage=reader.damage,
    )


def _turn(reader: Reader, where: str, row: Sequence[Any], media: Sequence[Sequence[Any]]) -> KeptTurn:
    number, asked, model, system, question, said, reasoning, reason, error, facts, sampling, taken, heard_by = row
    said, reasoning = reader.text(said, where, "answer"), reader.text(reasoning, where, "reasoning")
    if reason not in typing.get_args(FinishReason):
        reader.note(where, "ending")
        reason = "interrupted"
    answer = how = None
    try:
        answer = unpack_answer(facts, said, reasoning, reason) if facts else None
    except schema.Unreadable:
        reader.note(where, "receipts and usage")
    try:
        how = schema.parse(sampling) if sampling else None
    except schema.Unreadable:
        reader.note(where, "sampling")
    return KeptTurn(
        number=number,
        asked=reader.time(asked, where),
        model=reader.text(model, where, "model"),
        system=reader.maybe(system, where, "system prompt"),
        question=reader.text(question, where, "question"),
        shown=tuple(_shown(reader, f"file {place} of {where}", each) for place, each in enumerate(media, 1)),
        said=said,
        finish_reason=reason,
        error=reader.maybe(error, where, "error"),
        answer=answer,
        sampling=how if isinstance(how, dict) else None,
        is_taken_back=bool(taken),
        heard_by=reader.maybe(heard_by, where, "speech model"),
    )


def _shown(reader: Reader, where: str, row: Sequence[Any]) -> Shown:
    document, path, url, media_id, text, dropped, sha256 = row
    path = os.fsdecode(path) if isinstance(path, bytes) else path  # a name that is no UTF-8
    path, url = reader.maybe(path, where, "path"), reader.maybe(url, where, "address")
    media_id, text = reader.maybe(media_id, where, "media ID"), reader.maybe(text, where, "text")
    try:
        receipt = unpack_receipt(document)
    except schema.Unreadable:
        reader.note(where, "receipt")
        kind = "text" if media_id is None else "image"
        receipt = Receipt(path or url or "-", kind, str(sha256), 0, "unknown")
    return Shown(receipt, path, url, media_id, text, dropped is not None)
