"""A question about documents, asked as the options say: of the pages that fit, or of each; with citations checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mmcli import documents
from mmcli.documents import cite
from mmcli.documents.each import EachPage
from mmcli.errors import ContextFull

if TYPE_CHECKING:
    from mmcli.engine import Answer, Engine, Message, OnProgress, Piece, Sampling
    from mmcli.media import Medium
    from mmcli.terminal import Screen


@dataclass
class PagesAsked:
    """`as_messages` makes the whole conversation of its new media and words. First `choose`, then `pieces`."""

    media: list[Medium]
    question: str  # by whose words pages are chosen
    asked_for: str  # the same with all that is to be said about the answer
    engine: Engine
    as_messages: Callable[[Sequence[Medium], str], list[Message]]
    sampling: Sampling
    screen: Screen
    on_progress: OnProgress
    cites: bool = False
    each_page: bool = False
    notes: list[str] = field(default_factory=list)  # told before the answer
    _shown: list[cite.ShownPage] = field(default_factory=list)
    _each: EachPage | None = None

    def choose(self) -> list[Medium]:
        """The media with the pages that the answer will be about, for the history; what is left out is told."""
        if self.each_page:
            return self._ask_each()
        fitted = documents.fitted(
            self.media,
            self.question,
            self.engine,
            lambda media: self.as_messages(media, self._words(())),
            for_answer=documents.room_for_answer(self.sampling.max_tokens, self.engine.n_ctx_limit),
            on_progress=self.on_progress,
        )
        self.media = fitted.media
        self._shown = cite.pages(fitted.media)
        self._tell([*fitted.notes, *documents.notes(fitted.media)])
        return self.media

    def pieces(self) -> Iterator[Piece]:
        """The answer, as it comes."""
        if self._each is not None:
            return self._each.pieces()
        if self.cites:
            self.sampling = replace(self.sampling, grammar=cite.grammar(self._shown))
        return self._generated(self.as_messages(self.media, self._words(self._shown)))

    def _generated(self, messages: Sequence[Message]) -> Iterator[Piece]:
        try:
            yield from self.engine.generate(messages, self.sampling, self.on_progress)
        except ContextFull as error:
            if not self._shown:
                raise
            raise ContextFull(error.message, hint=documents.LESS_OF_A_PAGE) from error

    def facts(self, answer: Answer) -> dict[str, Any]:
        """What --json has beside the answer."""
        facts: dict[str, Any] = {"notes": self.notes} if documents.kinds(self.media) or self.notes else {}
        if self.cites:
            facts["citations"] = [
                {"source": found.source, "quote": found.quote, "verified": found.verified, "reason": found.reason}
                for found in cite.checked(answer.text, self._shown)
            ]
        return facts

    def tell_citations(self, answer: Answer) -> None:
        """Whether the answer's citations hold, a line each."""
        if not self.cites:
            return
        found = cite.checked(answer.text, self._shown)
        if not found:
            self.screen.warning("the answer names no page, so nothing of it is verified")
        for each in found:
            quote = "" if each.quote is None else f" “{each.quote}”"
            line = f"{each.source or 'no page'}:{quote} {each.reason}"
            if each.verified is False:
                self.screen.warning(f"not verified: {line}")
            else:
                self.screen.notice(f"{'verified' if each.verified else 'not checked'}: {line}")

    def _ask_each(self) -> list[Medium]:
        self._each = EachPage(
            self.media, self._words(()), self.engine, self.as_messages, self.sampling, self.on_progress
        )
        self._each.ask()
        self._shown = self._each.shown
        self._tell([self._each.note])
        return self._each.found()

    def _words(self, shown: Sequence[cite.ShownPage]) -> str:
        return f"{self.asked_for}\n\n{cite.asked_for(shown)}" if self.cites else self.asked_for

    def _tell(self, notes: Sequence[str]) -> None:
        self.notes += notes
        for note in notes:
            self.screen.notice(note)
