"""What documents among the media of a question mean for it, before any of their pages is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mmcli.engine.messages import Message
from mmcli.errors import UsageError
from mmcli.media.pages import PagedDocument
from mmcli.media.types import Text

if TYPE_CHECKING:
    from mmcli.media import Medium


def opened(media: Sequence[Medium]) -> list[Medium]:
    """The media without the documents whose pages are not rendered yet."""
    return [medium for medium in media if not isinstance(medium, PagedDocument) or medium.is_open]


def kinds(media: Sequence[Medium]) -> set[str]:
    """The kinds of media that documents will be for the model, rendered or not."""
    documents = [medium for medium in media if isinstance(medium, PagedDocument)]
    return {"text" if document.book.wanted.text == "only" else "image" for document in documents}


def check_pages(media: Sequence[Medium], option: str | None) -> None:
    """UsageError where an `option` is about pages and there are none."""
    if option is not None and not any(isinstance(medium, PagedDocument) for medium in media):
        raise UsageError(
            f"{option} is about the pages of PDF files, and none was given", hint="leave it out, or name a PDF file"
        )


def swapped(messages: Sequence[Message], before: Sequence[Message], after: Sequence[Message]) -> list[Message]:
    """Messages with those parts replaced that differ between `before` and `after`: sounds that became words."""
    pairs = zip(before, after, strict=True)
    found = {id(old): new for one, other in pairs for old, new in zip(one.parts, other.parts, strict=True)}
    return [replace(message, parts=tuple(found.get(id(part), part) for part in message.parts)) for message in messages]


def notes(media: Sequence[Medium]) -> list[str]:
    """What must be known of documents and texts: pages that are blank or faint, text that was left out."""
    found = []
    for medium in media:
        if isinstance(medium, PagedDocument):
            found += [f"{medium.book.name}: {note}" for note in medium.receipt.notes]
        elif isinstance(medium, Text):
            found += [f"{medium.name}: {note}" for note in medium.receipt.notes if "left out" in note]
    return found
