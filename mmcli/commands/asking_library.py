"""A question about a library: which sources it gets, and what is said of them afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcli.commands.option_groups import Group
from mmcli.commands.pages import RARE
from mmcli.errors import InputError, MmcliError, UsageError

if TYPE_CHECKING:
    from mmcli.engine import Answer, Engine, Message, Sampling
    from mmcli.library.sources import NumberedSource
    from mmcli.media import Document, Medium, Wanted
    from mmcli.runtime.reporter import Reporter
    from mmcli.terminal import Style

FRAMES = 3  # of a film's moment


FromOpt = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="LIBRARY",
        help="Answer from what was indexed. With its sources; `default`, another library's name, or its path.",
    ),
]
LimitOpt = Annotated[
    int,
    typer.Option("-n", "--limit", min=1, max=99, help="With --from: give the model the best N sources."),
    RARE,
]
AnywayOpt = Annotated[
    bool, typer.Option("--anyway", help="With --from: ask although nothing in the library seems to tell."), RARE
]


@dataclass(frozen=True)
class TalkLibraryOptions(Group):
    """Which library the questions of a talk are looked up in."""

    from_: FromOpt = None
    limit: LimitOpt = 6
    anyway: AnywayOpt = False

    def talk(self, style: Style, threads: int | None) -> TalkLibrary | None:
        """The library; None where the talk is about none."""
        if self.from_ is None:
            if self.anyway:
                raise UsageError("--anyway belongs to --from")
            return None
        return TalkLibrary(self.from_, self.limit, style, threads, anyway=self.anyway)


@dataclass(frozen=True)
class LibraryOptions(Group):
    """Which sources of which library a question gets."""

    from_: FromOpt = None
    limit: LimitOpt = 6
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="TEXT", help="With --from: look for this, not for the question's words."),
        RARE,
    ] = None
    anyway: AnywayOpt = False

    def check(self, talk: str | None) -> None:
        """UsageError where a talk goes on, whose files are its own."""
        if self.from_ is not None and talk is not None:
            raise UsageError(
                "--from and --continue cannot be combined", hint="mmcli chat --from LIBRARY looks for each question"
            )

    def sources(self, question: str, style: Style, threads: int | None, *, has_media: bool) -> LibrarySources | None:
        """The sources for a question; None where it is about no library. InputError where there are none."""
        if self.from_ is None:
            if self.query is not None or self.anyway:
                raise UsageError(f"{'--query' if self.query is not None else '--anyway'} belongs to --from")
            return None
        if has_media:
            raise UsageError("--from takes no files beside it", hint="leave the files or --from out")
        found = LibrarySources(self.from_, style, threads)
        found.find(question if self.query is None else self.query, self.limit, anyway=self.anyway)
        if not found.sources:
            raise InputError(
                f"nothing in `{self.from_}` seems to tell that",
                hint="--query TEXT looks for other words; --anyway asks about the best there is",
            )
        return found


class LibrarySources:
    """The numbered sources of one question."""

    def __init__(self, name: str, style: Style, threads: int | None) -> None:
        self._name, self._style, self._threads = name, style, threads
        self.sources: list[NumberedSource] = []
        self.is_told = False  # whether something was found for the last question

    def find(self, question: str, n: int, *, anyway: bool) -> None:
        """Look for the pieces that a question is about; those that are sources already keep their numbers."""
        from mmcli.commands import find_query, libraries
        from mmcli.commands.find import QueryOptions
        from mmcli.library import sources
        from mmcli.library.facts import PieceFacts
        from mmcli.library.store import Library

        with Library(libraries.folder(self._name)) as library:
            asked = find_query.QueryMaker(library, self._style, threads=self._threads, keep=True)
            try:
                query = asked.query([sources.wanted(question)], QueryOptions(), PieceFacts())
                known = {source.found.source for source in self.sources}
                found = sources.relevant(library, query, n, anyway=anyway)
                new = [piece for piece in found if piece.source not in known]
                self.is_told = bool(found)
                self.sources += sources.numbered(library, new, len(self.sources) + 1)
            finally:
                asked.close()

    @property
    def system(self) -> str:
        """The system prompt, where the user has none."""
        from mmcli.library import sources

        return sources.SYSTEM

    @property
    def n_films(self) -> int:
        """How many share the room for frames."""
        return max(1, sum(source.found.kind == "moment" for source in self.sources))

    def media(self, load: Callable[..., Medium], wanted: Wanted, screen: Reporter, n_known: int = 0) -> list[Medium]:
        """Each source as a document under its number; those that cannot be read are left out, with a note.

        The first `n_known` were opened before. InputError where none can be read.
        """

        few = replace(wanted, film=replace(wanted.film, frames=wanted.film.frames or FRAMES, sound="off"))
        kept = self.sources[:n_known]
        opened: list[Medium] = []
        for source in self.sources[n_known:]:
            numbered = replace(source, number=len(kept) + 1)
            try:
                medium = _spoken(numbered) if source.found.kind == "speech" else _loaded(numbered, load, few)
            except MmcliError as error:
                screen.warning(f"{os.fsdecode(source.found.path)} was found, and left out: {error.message}")
                continue
            kept.append(numbered)
            opened.append(_labelled(numbered, medium))
        self.sources = kept
        if not kept:
            raise InputError("none of the sources that were found can be read", hint="`mmcli index` looks again")
        return opened

    def fitted(
        self,
        media: list[Medium],
        engine: Engine,
        messages: Callable[[Sequence[Medium]], list[Message]],
        max_tokens: int,
    ) -> list[Medium]:
        """As many of the first sources as the context has room for beside an answer; at least one."""
        from mmcli import documents

        room = documents.room_for_answer(max_tokens, engine.n_ctx_limit)
        while len(media) > 1 and engine.count(messages(media)) + room > engine.n_ctx_limit:
            media = media[:-1]
        self.sources = self.sources[: len(media)]
        return media

    def held(self, sampling: Sampling) -> Sampling:
        """The same, with brackets around nothing but numbers of sources."""
        from mmcli.library import sources

        return replace(sampling, grammar=sources.grammar(len(self.sources)))

    def facts(self, answer: Answer) -> dict[str, Any]:
        """What --json has beside the answer."""
        cited = self._cited(answer)
        return {"sources": [_told(source) | {"cited": source.number in cited} for source in self.sources]}

    def tell(self, answer: Answer, screen: Reporter) -> None:
        """Which sources the answer names, a line each; or that it names none, and which it was given."""
        cited = self._cited(answer)
        n = len(self.sources)
        if not cited and answer.finish_reason != "interrupted":
            screen.notice(f"no source is cited; {n} {'was' if n == 1 else 'were'} shown")
        for source in self.sources:
            if not cited or source.number in cited:
                taken = f", {source.found.taken.replace('T', ' ')[:16]}" if source.found.taken else ""
                screen.notice(f"[{source.number}] {source.found.source}{taken} ({source.number} of {n} sources)")

    def _cited(self, answer: Answer) -> list[int]:
        from mmcli.library import sources

        return sources.cited(answer.text, len(self.sources))


def _loaded(source: NumberedSource, load: Callable[..., Medium], wanted: Wanted) -> Medium:
    from mmcli import media

    (found,) = media.find([source.found.source])
    return load(found, wanted=wanted)


def _labelled(source: NumberedSource, medium: Medium) -> Document:
    """A medium under its number and with what is known of it."""
    from mmcli import media

    parts = medium.parts if isinstance(medium, media.Document) else (media.DocumentPart(None, medium),)
    first = parts[0]
    words = f"{source.label}\n{first.words}" if first.words else source.label
    return media.Document(medium.receipt, (replace(first, words=words), *parts[1:]))


def _spoken(source: NumberedSource) -> Document:
    """What is said in a sound: the words beside the number are all of it."""
    from mmcli import media

    receipt = media.Receipt(
        source=source.found.source,
        kind="text",
        sha256=source.found.sha256.hex(),
        n_bytes=len(source.text.encode()),
        format="transcript",
    )
    return media.Document(receipt, (media.DocumentPart(None, None),))


def _told(source: NumberedSource) -> dict[str, Any]:
    found = source.found
    return {
        "number": source.number,
        "source": found.source,
        "path": os.fsdecode(found.path),
        "kind": found.kind,
        "strength": None if found.z is None else round(found.z, 2),
        "taken": found.taken,
        "place": found.place,
        "text": source.text,
    }


class TalkLibrary:
    """A library that each question of a talk is looked up in; sources keep their numbers through the talk."""

    def __init__(self, name: str, limit: int, style: Style, threads: int | None, *, anyway: bool) -> None:
        """InputError where there is no such library."""
        from mmcli.commands import libraries
        from mmcli.library.store import Library

        self._name, self._limit, self._anyway = name, limit, anyway
        self._library = LibrarySources(name, style, threads)
        Library(libraries.folder(name)).close()

    @property
    def system(self) -> str:
        """The system prompt, where the user has none."""
        return self._library.system

    def more(self, question: str, load: Callable[..., Medium], wanted: Wanted, screen: Reporter) -> list[Medium]:
        """The sources that this question is about and the talk has not, under their numbers.

        InputError where there are none, and the talk has no others.
        """
        library, n_known = self._library, len(self._library.sources)
        library.find(question, self._limit, anyway=self._anyway)
        if not library.is_told:
            if not n_known:
                raise InputError(f"nothing in `{self._name}` seems to tell that", hint="ask in other words")
            screen.notice(f"nothing new in `{self._name}` seems to tell that: the sources are those from before")
        if len(library.sources) == n_known:
            return []
        return library.media(load, wanted, screen, n_known)

    def held(self, sampling: Sampling) -> Sampling:
        """With brackets around nothing but numbers of sources."""
        return self._library.held(sampling)

    def tell(self, answer: Answer, screen: Reporter) -> None:
        """Which sources the answer names."""
        self._library.tell(answer, screen)

    def forget(self) -> None:
        """A new talk begins: its sources are numbered from 1."""
        self._library.sources = []
