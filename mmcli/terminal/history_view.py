"""Shows a conversation of the history: on a terminal, as Markdown, as JSON. Knows no database."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mmcli import schema
from mmcli.sanitize import clean, one_line
from mmcli.terminal import report, streams
from mmcli.terminal.output import _answer_writer

if TYPE_CHECKING:
    from mmcli.history import Hit, KeptTurn, Shown, Summary, Talk
    from mmcli.media.types import Receipt
    from mmcli.terminal.style import Style


def when(seconds: float) -> str:
    """A moment as a user here reads it: `2026-11-22 04:07`; `?` for NaN."""
    if math.isnan(seconds):
        return "?"
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")


def _iso(seconds: float) -> str | None:
    if math.isnan(seconds):
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def flat(text: str, most: int | None = None) -> str:
    """A text on one line; with `most`, only its beginning, in at most so many characters."""
    line = " ".join(clean(text).split())
    return line if most is None or len(line) <= most else line[: most - 1] + "…"


def talk(found: Talk, style: Style, *, everything: bool = False) -> None:
    """Show a talk on stdout; with `everything` also the turns that were taken back."""
    for line in _head(found):
        _put(line, "dim")
    for turn in _turns(found, everything):
        _put("")
        taken = "(taken back) " if turn.is_taken_back else ""
        if turn.heard_by:
            taken += "(spoken) "
        _put("\n".join(f"> {line}" for line in (taken + turn.question).splitlines() or [""]), "bold")
        for line in _media_lines(turn):
            _put(f"  {line}", "dim")
        if turn.said:
            writer = _answer_writer(style)
            writer.feed(turn.said)
            writer.close()
        if ending := _ending(turn):
            _put(f"({ending})", "dim")


def talk_markdown(found: Talk, *, everything: bool = False) -> None:
    """The same as a Markdown document on stdout."""
    turns = _turns(found, everything)
    title = flat(turns[0].question, 200) if turns else f"Talk {found.id}"
    lines = [f"# {_plain(title)}", "", *_head(found)]
    for turn in turns:
        taken = "*(taken back)* " if turn.is_taken_back else ""
        lines += ["", *(f"> {line}".rstrip() for line in (taken + turn.question).splitlines())]
        for shown in turn.shown:
            lines += ["", _media_markdown(shown)]
        lines += ["", turn.said.strip("\n")] if turn.said else []
        if ending := _ending(turn):
            lines += ["", f"*({ending})*"]
    streams.write(clean("\n".join(lines)) + "\n", sys.stdout)


def talk_json(found: Talk, *, everything: bool = False) -> dict[str, Any]:
    """All of a talk for programs."""
    return {
        "id": found.id,
        "kind": found.kind,
        "model": found.model,
        "mmproj": found.mmproj,
        "system": found.system,
        "started": _iso(found.started),
        "changed": _iso(found.changed),
        "turns": [_turn_json(turn) for turn in _turns(found, everything)],
    } | ({"damage": list(found.damage)} if found.damage else {})


def summary_json(summary: Summary) -> dict[str, Any]:
    """A line of the list for programs."""
    return {
        "id": summary.id,
        "kind": summary.kind,
        "model": summary.model,
        "started": _iso(summary.started),
        "changed": _iso(summary.changed),
        "turns": summary.n_turns,
        "media": summary.n_media,
        "title": summary.title,
    }


def hit_json(hit: Hit) -> dict[str, Any]:
    """What a search found, for programs."""
    return {
        "id": hit.talk,
        "asked": _iso(hit.asked),
        "question": hit.question,
        "answer": hit.said,
        "taken_back": hit.is_taken_back,
    }


def _turns(found: Talk, everything: bool) -> tuple[KeptTurn, ...]:
    return found.turns if everything else found.live


def _head(found: Talk) -> Iterator[str]:
    n_turns = len(found.live)
    yield ", ".join(
        [
            f"conversation {found.id}",
            found.kind,
            one_line(found.model),
            when(found.started),
            f"{n_turns} turn{'s' if n_turns != 1 else ''}",
        ]
    )
    if found.system:
        yield f"system prompt: {one_line(found.system)}"


def _media_lines(turn: KeptTurn) -> Iterator[str]:
    """The receipts where there are any; else what is known of the media from before."""
    seen = {_whole_or_part(seen.receipt): seen for seen in turn.answer.seen} if turn.answer else {}
    for shown in turn.shown:
        receipt = shown.receipt
        found = seen.get(_whole_or_part(receipt))
        line = report.seen_line(found) if found else f"{one_line(receipt.source)}: {one_line(receipt.format)}"
        yield f"{line} (dropped later)" if shown.is_dropped else line


def _whole_or_part(receipt: Receipt) -> tuple[str, str | None]:
    return receipt.sha256, receipt.locator


def _ending(turn: KeptTurn) -> str | None:
    if turn.error:
        return f"error: {one_line(turn.error)}"
    return None if turn.finish_reason == "stop" else turn.finish_reason


def _media_markdown(shown: Shown) -> str:
    place = shown.path or shown.url
    name = one_line(shown.receipt.source)
    if place is None:
        return f"{_plain(name)} (piped in)"
    mark = "!" if shown.receipt.kind == "image" else ""
    return f"{mark}[{_plain(name)}](<{one_line(place).replace('<', '%3C').replace('>', '%3E')}>)"


def _plain(text: str) -> str:
    """A text that Markdown takes as it is."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>#" else char for char in text)


def _turn_json(turn: KeptTurn) -> dict[str, Any]:
    answer = schema.answer_json(turn.answer) if turn.answer else {"answer": turn.said, "finish_reason": "interrupted"}
    return {
        "asked": _iso(turn.asked),
        "question": turn.question,
        "heard_by": turn.heard_by,
        "system": turn.system,
        "media": [_shown_json(shown) for shown in turn.shown],
        **answer,
        "sampling": turn.sampling,
        "error": turn.error,
        "taken_back": turn.is_taken_back,
    }


def _shown_json(shown: Shown) -> dict[str, Any]:
    return {
        "source": shown.receipt.source,
        "kind": shown.receipt.kind,
        "sha256": shown.receipt.sha256,
        "locator": shown.receipt.locator,
        "media_id": shown.media_id,
        "path": shown.path,
        "url": shown.url,
        "text": shown.text,
        "dropped": shown.is_dropped,
    }


def _put(text: str, look: str = "") -> None:
    """Lines on stdout, plain where that is not a terminal."""
    if not streams.is_terminal(sys.stdout):
        streams.write(clean(text) + "\n", sys.stdout)
        return
    from rich.text import Text

    streams.out().print(Text(clean(text), look), soft_wrap=True)
