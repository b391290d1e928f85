"""What a user wants to have of documents and films; callers hand it to `media.open` as it is. Opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mmcli.media.locator import PageChoice

PageText: TypeAlias = Literal["auto", "only", "never"]
PageDetail: TypeAlias = Literal["low", "auto", "high"]


@dataclass(frozen=True)
class PagesWanted:
    """How the pages of a document are opened."""

    choice: PageChoice | None = None  # which; a source's own locator counts instead
    text: PageText = "auto"  # beside the picture of a page, alone, or not at all
    detail: PageDetail = "auto"  # how large the pictures are
    passwords: tuple[str, ...] = ()  # tried one after the other
    ask_password: Callable[[str], str | None] | None = None  # of a file; None: nobody can be asked
    at_once: int | None = None  # a document of more pages is not rendered before it is clear which ones are needed


@dataclass(frozen=True)
class FilmWanted:
    """Which moments of a film are taken, and what of its sound."""


@dataclass(frozen=True)
class Wanted:
    """All of it."""

    pages: PagesWanted = field(default_factory=PagesWanted)
    film: FilmWanted = field(default_factory=FilmWanted)


NOTHING_SPECIAL = Wanted()
