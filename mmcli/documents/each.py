"""Asks a question of each page by itself, and makes one answer of what the pages say. Prints nothing.

For documents that have no room in a context: no page is left out, and each answer names its page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from mmcli.documents import cite
from mmcli.engine.messages import Message, Piece, Sampling, Seen, Usage
from mmcli.errors import OutputError
from mmcli.media.locator import page_ranges
from mmcli.media.pages import PagedDocument
from mmcli.media.types import Document

if TYPE_CHECKING:
    from mmcli.engine.messages import Answer, OnProgress
    from mmcli.engine.protocol import Engine
    from mmcli.media.types import DocumentPart, Medium

NOTHING = "NOT HERE"
OF_A_PAGE = (
    "Answer from this page alone, in one or two sentences. If the page does not say it, write only " + NOTHING + "."
)
OF_ALL = "Each page was asked by itself. Answer from what they said alone, and name the pages in brackets."
MAX_TOKENS = 200  # of what one page says

AsMessages: TypeAlias = "Callable[[Sequence[Medium], str], list[Message]]"


class Said(NamedTuple):
    """What some pages say."""

    sources: tuple[str, ...]  # "report.pdf#page=12"
    text: str

    @property
    def label(self) -> str:
        """`report.pdf#page=3-5,9, other.pdf#page=1`"""
        names = dict.fromkeys(source.rpartition("#")[0] for source in self.sources)
        return ", ".join(f"{name}#page={self.numbers(name)}" for name in names)

    def numbers(self, name: str) -> str:
        """The pages of a document: `3-5, 9`."""
        parts = (source.rpartition("#page=") for source in self.sources)
        found = page_ranges(sorted(int(number) for of, _, number in parts if of == name))
        return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


@dataclass
class EachPage:
    """A question on its way through all pages. `as_messages` makes a conversation of new media and words."""

    media: Sequence[Medium]
    question: str
    engine: Engine
    as_messages: AsMessages
    sampling: Sampling
    on_progress: OnProgress | None = None
    shown: list[cite.ShownPage] = field(default_factory=list)  # pages that were asked
    said: list[Said] = field(default_factory=list)  # by the pages that answer
    n_blank: int = 0
    n_pages: int = 0
    is_stopped: bool = False
    _seen: list[Seen] = field(default_factory=list)
    _usage: Usage = field(default_factory=Usage)

    def ask(self) -> None:
        """Ask every page. OutputError where none of them answers, KeyboardInterrupt where the engine was stopped."""
        documents = [medium for medium in self.media if isinstance(medium, PagedDocument)]
        self.n_pages = sum(len(document.numbers) for document in documents)
        asked: list[str] = []
        said: dict[int, str] = {}
        sampling = replace(self.sampling, max_tokens=min(self.sampling.max_tokens, MAX_TOKENS))
        answers = self.engine.generate_many(self._requests(documents, asked), sampling, expected=self.n_pages)
        for index, piece in answers:
            if piece.error is not None:
                raise piece.error
            if piece.answer is None:
                continue
            self._seen += piece.answer.seen
            self._add(piece.answer.usage)
            self.is_stopped |= piece.answer.finish_reason == "interrupted"
            said[index] = " ".join(piece.answer.text.split())
            if self.on_progress is not None:
                self.on_progress("pages", len(said), self.n_pages)
        self._seen.sort(key=lambda seen: (seen.receipt.source.rpartition("#")[0], seen.receipt.page or 0))
        self.said = [Said((asked[i],), said[i]) for i in sorted(said) if _says_something(said[i])]
        if self.is_stopped:
            raise KeyboardInterrupt
        if not self.said:
            raise OutputError(
                f"none of the {self.n_pages} pages answers the question", hint="ask in other words, or another model"
            )

    def pieces(self) -> Iterator[Piece]:
        """One answer of all; its receipts are those of all pages."""
        said = self.said
        while len(said) > 1 and self.engine.count(self._summing_up(said)) + MAX_TOKENS > self.engine.n_ctx_limit:
            said = [self._group(part) for part in _pairs(said)]
        for piece in self.engine.generate(self._summing_up(said), self.sampling, self.on_progress):
            yield piece if piece.answer is None else replace(piece, answer=self._all_of(piece.answer))

    @property
    def note(self) -> str:
        """What was done, for the user."""
        answered = f"{len(self.said)} of {self.n_pages} pages answer the question, each asked by itself"
        blank = f"; {self.n_blank} {'is' if self.n_blank == 1 else 'are'} blank" if self.n_blank else ""
        every = Said(tuple(source for each in self.said for source in each.sources), "")
        names = list(dict.fromkeys(source.rpartition("#")[0] for source in every.sources))
        return f"{answered}: {every.numbers(names[0]) if len(names) == 1 else every.label}{blank}"

    def found(self) -> list[Medium]:
        """The media with those pages that answered, as many as have room when the conversation goes on."""
        media: list[Medium] = []
        for medium in self.media:
            if isinstance(medium, PagedDocument):
                answered = {source for said in self.said for source in said.sources}
                numbers = [n for n in medium.numbers if f"{medium.book.name}#page={n}" in answered]
                media += [self._as_many(medium, numbers)] if numbers else []
            else:
                media.append(medium)
        return media

    def _as_many(self, document: PagedDocument, numbers: list[int]) -> PagedDocument:
        while True:
            opened = document.book.open(numbers)
            n_tokens = self.engine.count(self.as_messages([opened], self.question))
            if len(numbers) == 1 or n_tokens + 2 * MAX_TOKENS <= self.engine.n_ctx_limit:
                return opened
            numbers = numbers[: len(numbers) // 2]

    def _requests(self, documents: Sequence[PagedDocument], asked: list[str]) -> Iterator[list[Message]]:
        """A conversation for each page that is not blank; pages are rendered when they are wanted."""
        others = [medium for medium in self.media if not isinstance(medium, PagedDocument)]
        for document in documents:
            for number in document.numbers:
                part = document.book.page(number)
                if part.medium is None:
                    self.n_blank += 1
                    continue
                shown = cite.page(document.book.name, part)
                self.shown.append(shown)
                asked.append(shown.source)
                yield self.as_messages([*others, _alone(document, part)], f"{self.question}\n\n{OF_A_PAGE}")

    def _summing_up(self, said: Sequence[Said]) -> list[Message]:
        lines = "\n".join(f"[{each.label}] {each.text}" for each in said)
        return self.as_messages([], f"{lines}\n\n{OF_ALL}\n\n{self.question}")

    def _group(self, said: Sequence[Said]) -> Said:
        """What some pages say, in one: there are too many for one question."""
        text = "".join(
            piece.text
            for piece in self.engine.generate(
                self._summing_up(said), replace(self.sampling, max_tokens=MAX_TOKENS), self.on_progress
            )
            if piece.kind == "answer"
        )
        return Said(tuple(source for each in said for source in each.sources), " ".join(text.split()))

    def _add(self, usage: Usage) -> None:
        total = self._usage
        total.prompt_tokens += usage.prompt_tokens
        total.reused_tokens += usage.reused_tokens
        total.completion_tokens += usage.completion_tokens
        total.reasoning_tokens += usage.reasoning_tokens
        total.n_encodes += usage.n_encodes
        for phase, seconds in usage.seconds.items():
            total.add(phase, seconds)

    def _all_of(self, answer: Answer) -> Answer:
        n_said = answer.usage.completion_tokens
        self._add(answer.usage)
        usage = replace(self._usage, completion_tokens=n_said)  # of the answer alone: --max-tokens limits that
        return replace(answer, seen=(*self._seen, *answer.seen), usage=usage)


def _alone(document: PagedDocument, part: DocumentPart) -> Document:
    """A document of one page of it."""
    return Document(document.receipt, (part,))


def _says_something(text: str) -> bool:
    return bool(text) and not text.upper().lstrip("\"'*[(").startswith(NOTHING)


def _pairs(said: list[Said]) -> list[list[Said]]:
    """Neighbours two by two: half as many texts."""
    return [said[i : i + 2] for i in range(0, len(said), 2)]
