"""What a user wants to have of documents and films; callers hand it to `media.open` as it is. Opens nothing."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PagesWanted:
    """How the pages of a document are opened."""


@dataclass(frozen=True)
class FilmWanted:
    """Which moments of a film are taken, and what of its sound."""


@dataclass(frozen=True)
class Wanted:
    """All of it."""

    pages: PagesWanted = field(default_factory=PagesWanted)
    film: FilmWanted = field(default_factory=FilmWanted)


NOTHING_SPECIAL = Wanted()
