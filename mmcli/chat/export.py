"""Writes a conversation as JSON or Markdown, and reads the JSON again. Media are loaded by the caller.

The document, version 1: `{"mmcli": "talk", "version": 1, "model", "system", "turns": [{"question", "media", "answer",
"finish_reason"}], "staged"}`. A medium is given by its source, its absolute path or address, and its media ID; one that
lies nowhere (from the clipboard, the screen or a pipe) is in the document itself, as base64.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

from mmcli.chat.conversation import Conversation, Turn
from mmcli.errors import InputError
from mmcli.media.types import Medium, Text

VERSION = 1
NOWHERE = ("-", "clip:", "screen:")  # sources that cannot be read a second time

# pack(medium) -> bytes: a file that holds it. load(saved medium) -> Medium: read it again
Pack = Callable[[Medium], bytes]
Load = Callable[[dict[str, Any]], Medium]


def dump(talk: Conversation, model: str, pack: Pack) -> dict[str, Any]:
    """The whole talk, turns left out of the context included."""
    return {
        "mmcli": "talk",
        "version": VERSION,
        "model": model,
        "system": talk.system,
        "turns": [
            {
                "question": turn.words,
                "media": [_medium(medium, pack) for medium in turn.media],
                "answer": turn.said,
                "finish_reason": turn.finish_reason,
            }
            for turn in talk.turns
        ],
        "staged": [_medium(medium, pack) for medium in talk.staged],
    }


def restore(document: Any, load: Load) -> tuple[str | None, list[Turn], list[Medium]]:
    """System prompt, turns and staged media of a document; InputError where it is none, or a medium is not the same."""
    if not isinstance(document, dict) or document.get("mmcli") != "talk":
        raise InputError("this is not a conversation that mmcli saved", hint="/save FILE.json makes one")
    if document.get("version") != VERSION:
        raise InputError(f"this conversation was saved by another version of mmcli (form {document.get('version')})")
    try:
        turns = [
            Turn(
                words=str(turn["question"]),
                media=tuple(_again(medium, load) for medium in turn["media"]),
                said=str(turn["answer"]),
                finish_reason=turn["finish_reason"],
            )
            for turn in document["turns"]
        ]
        return document["system"], turns, [_again(medium, load) for medium in document["staged"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"this saved conversation is damaged: {error!r}") from error


def markdown(talk: Conversation, model: str) -> str:
    """The talk to read, with questions as quotes; it cannot be loaded again."""
    lines = [f"# A conversation with {model}", ""]
    if talk.system:
        lines += [f"System prompt: {talk.system}", ""]
    for turn in talk.turns:
        lines += [f"> *{medium.receipt.source}*" for medium in turn.media]
        lines += [*(f"> {line}".rstrip() for line in turn.words.splitlines()), "", turn.said.strip(), ""]
        if turn.finish_reason != "stop":
            lines += [f"*({turn.finish_reason})*", ""]
    return "\n".join(lines)


def place(medium: Medium) -> str | None:
    """Where the medium can be read again: an address or an absolute path; None where it came from nowhere."""
    source = medium.receipt.source
    if source in NOWHERE:
        return None
    return source if "://" in source else os.path.abspath(os.path.expanduser(source))


def _medium(medium: Medium, pack: Pack) -> dict[str, Any]:
    told: dict[str, Any] = {
        "source": medium.receipt.source,
        "kind": medium.receipt.kind,
        "place": place(medium),
        "id": _id(medium),
    }
    if told["place"] is None:
        told["data"] = base64.b64encode(pack(medium)).decode()
    return told


def _id(medium: Medium) -> str:
    return medium.receipt.sha256 if isinstance(medium, Text) else medium.id


def _again(told: dict[str, Any], load: Load) -> Medium:
    medium = load(told)
    if "data" not in told and _id(medium) != told["id"]:
        raise InputError(
            f"`{told['source']}` has changed since this conversation", hint="attach it again, or restore the file"
        )
    return medium
