"""Fits documents into a model's context: all of their pages, or those that the question is about.

Nothing is left out without a word: what was chosen, and how, is a sentence for the user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mmcli.engine.messages import Message
from mmcli.errors import ContextFull
from mmcli.media.pages import PagedDocument, counted

if TYPE_CHECKING:
    from mmcli.engine.messages import OnProgress
    from mmcli.engine.protocol import Engine
    from mmcli.media.pages import Book
    from mmcli.media.types import Medium

HEADING = 24  # tokens that stand around a page, at most
SURELY = 0.97  # of the room: an estimate may be a little off
_TEXT_SAMPLE = 20_000  # characters of which the tokens are counted
_SAMPLES = 8  # pages of which one is not blank

LESS_OF_A_PAGE = "--text never gives the pictures alone, --text only the text; a larger --ctx-size makes room"

AsMessages: TypeAlias = "Callable[[Sequence[Medium]], list[Message]]"


@dataclass(frozen=True)
class Fitted:
    """The media with the pages that the model gets, and sentences on those it does not get."""

    media: list[Medium]
    notes: tuple[str, ...] = ()


@dataclass
class _Page:
    """One page that could be asked about."""

    place: int  # of its document among the media
    number: int
    text: str
    n_tokens: float = 0.0


def unopened(media: Sequence[Medium]) -> bool:
    """Whether pages of one of these still have to be chosen or rendered."""
    return any(isinstance(medium, PagedDocument) and not medium.is_open for medium in media)


def fitted(
    media: Sequence[Medium],
    question: str,
    engine: Engine,
    as_messages: AsMessages,
    *,
    for_answer: int,
    on_progress: OnProgress | None = None,
    ways_out: str = "--pages chooses, --every-page reads all",
) -> Fitted:
    """The media with as many pages as have room beside the question and `for_answer` tokens of an answer.

    `as_messages` makes the conversation of the media that are new in it. ContextFull, with the numbers, where pages
    that somebody named have no room, or pages without text to choose by.
    """
    return _Fitting(list(media), question, engine, as_messages, for_answer, on_progress, ways_out).run()


def room_for_answer(max_tokens: int, limit: int) -> int:
    """Tokens that are kept free for an answer when pages are chosen: a fraction of a small context."""
    return min(max_tokens, max(limit // 8, 64), 1024)


class _Fitting:
    def __init__(
        self,
        media: list[Medium],
        question: str,
        engine: Engine,
        as_messages: AsMessages,
        for_answer: int,
        on_progress: OnProgress | None,
        ways_out: str,
    ) -> None:
        self._media, self._question, self._engine, self._as_messages = media, question, engine, as_messages
        self._for_answer, self._ways_out = for_answer, ways_out
        self._on_progress = on_progress
        self._documents = {i: medium for i, medium in enumerate(media) if isinstance(medium, PagedDocument)}

    def run(self) -> Fitted:
        """1 all that is open fits? 2 estimate; 3 all fit; 4 choose, and take away until it does."""
        documents = self._documents.values()
        if not documents or (len(documents) == 1 and all(len(each.parts) == 1 for each in documents)):
            return Fitted(self._media)
        if not unopened(self._media) and self._fits(self._media):
            return Fitted(self._media)
        room = self._room()
        pictures = {place: self._picture_tokens(document.book) for place, document in self._documents.items()}
        bare = sum((pictures[place] + HEADING) * len(each.numbers) for place, each in self._documents.items())
        if bare > room and all(each.book.is_chosen for each in documents):
            raise self._too_much(
                list(documents), bare, room, about="at least"
            )  # without reading their texts, which may take a while
        pages = self._estimated(pictures)
        needed = sum(page.n_tokens for page in pages)
        if needed <= SURELY * room:
            everything = self._opened({place: each.numbers for place, each in self._documents.items()})
            if self._fits(everything):
                return Fitted(everything)
        named = [each for each in documents if each.book.is_chosen]
        fixed = sum(page.n_tokens for page in pages if self._documents[page.place].book.is_chosen)
        if fixed > room or len(named) == len(documents):
            raise self._too_much(named, fixed, room)
        return self._chosen(pages, room)

    # what there is room for

    def _fits(self, media: Sequence[Medium]) -> bool:
        return self._engine.count(self._as_messages(media)) + self._for_answer <= self._engine.n_ctx_limit

    def _room(self) -> int:
        """Tokens that are left for pages."""
        others = [medium for place, medium in enumerate(self._media) if place not in self._documents]
        taken = self._engine.count(self._as_messages(others))
        return max(self._engine.n_ctx_limit - taken - self._for_answer, 0)

    def _estimated(self, pictures: dict[int, int]) -> list[_Page]:
        """All pages that are wanted, with about the tokens that each takes; `pictures`: those of one, by document."""
        pages = [page for place in self._documents for page in self._pages(place)]
        text = "\n".join(page.text for page in pages)[:_TEXT_SAMPLE]
        per_character = self._tokens(text) / len(text) if text else 0.0
        for page in pages:
            page.n_tokens = pictures[page.place] + HEADING + per_character * len(page.text)
        return pages

    def _pages(self, place: int) -> list[_Page]:
        document = self._documents[place]
        texts = document.book.texts(document.numbers)
        found: list[_Page] = []
        for number in document.numbers:
            self._tell("pages", len(found), len(document.numbers))
            found.append(_Page(place, number, next(texts)))
        return found

    def _picture_tokens(self, book: Book) -> int:
        """Of one page's picture: those of a document are alike."""
        from mmcli.media.types import Image

        for number in book.numbers[:_SAMPLES]:
            picture = book.page(number).medium
            if isinstance(picture, Image):
                counted = self._engine.count([Message("user", (picture, "?"))])
                return counted - self._engine.count([Message("user", ("?",))])
            if book.wanted.text == "only":
                break
        return 0

    def _tokens(self, text: str) -> int:
        return self._engine.count([Message("user", (text,))]) - self._engine.count([Message("user", ("",))])

    def _tell(self, phase: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(phase, done, total)

    # which pages

    def _chosen(self, pages: list[_Page], room: float) -> Fitted:
        """The first page of each document, then those with the words of the question, as many as have room."""
        from mmcli.documents import choose

        choosable = [page for page in pages if not self._documents[page.place].book.is_chosen]
        if not any(page.text for page in choosable):
            raise self._nothing_to_choose_by(choosable, sum(page.n_tokens for page in pages), room)
        fixed = [page for page in pages if self._documents[page.place].book.is_chosen]
        firsts = [
            next(page for page in choosable if page.place == place)
            for place in dict.fromkeys(p.place for p in choosable)
        ]
        found = [choosable[i] for i in choose.ranked([page.text for page in choosable], self._question)]
        by_words = bool(found)
        if not found:
            found = _spread([page for page in choosable if page.text])
        order = list({id(page): page for page in [*firsts, *found]}.values())
        taken: list[_Page] = []
        left = SURELY * room - sum(page.n_tokens for page in fixed)
        for page in order:
            if page.n_tokens <= left:
                taken.append(page)
                left -= page.n_tokens
        while taken:
            media = self._opened(self._numbers([*fixed, *taken]))
            if self._fits(media):
                return Fitted(media, tuple(self._told(taken, choosable, by_words=by_words)))
            taken.pop()  # the estimate was too small: without the last one
        raise self._not_even_one(choosable, room)

    def _numbers(self, pages: Sequence[_Page]) -> dict[int, tuple[int, ...]]:
        """The pages of each document, in the document's order."""
        wanted = {(page.place, page.number) for page in pages}
        return {
            place: tuple(number for number in document.numbers if (place, number) in wanted)
            for place, document in self._documents.items()
        }

    def _opened(self, numbers: dict[int, tuple[int, ...]]) -> list[Medium]:
        """All media, documents with those pages; a document without any is left out."""
        media: list[Medium] = []
        for place, medium in enumerate(self._media):
            document = self._documents.get(place)
            if document is None:
                media.append(medium)
            elif document.is_open and numbers[place] == document.numbers:
                media.append(document)
            elif numbers[place]:
                media.append(document.book.open(numbers[place]))
        return media

    def _told(self, taken: Sequence[_Page], pages: Sequence[_Page], *, by_words: bool) -> list[str]:
        """`3 of 212 pages were read, chosen by the words of the question: 12, 13, 47 (…)`, for each document."""
        how = "chosen by the words of the question" if by_words else "spread evenly, as no page has its words"
        places = list(dict.fromkeys(page.place for page in pages))
        told = []
        for place in places:
            numbers = sorted(page.number for page in taken if page.place == place)
            n_all = sum(page.place == place for page in pages)
            if len(numbers) == n_all:
                continue
            n_bare = sum(page.place == place and not page.text for page in pages)
            bare = f"; {n_bare} pages have no text to choose by" if n_bare else ""
            name = f"{self._documents[place].book.name}: " if len(places) > 1 else ""
            if not numbers:
                told.append(
                    f"{name}none of its {n_all} pages was read: others have more of the question ({self._ways_out})"
                )
                continue
            listed = counted(numbers).partition(" ")[2]
            were = "page was" if n_all == 1 else "pages were"
            told.append(f"{name}{len(numbers)} of {n_all} {were} read, {how}: {listed}{bare} ({self._ways_out})")
        return told

    # where there is no way

    def _too_much(
        self, documents: Sequence[PagedDocument], needed: float, room: float, *, about: str = "about"
    ) -> ContextFull:
        n_pages = sum(len(each.numbers) for each in documents)
        pages = f"{n_pages} pages of {documents[0].book.name}" if len(documents) == 1 else f"{n_pages} pages"
        limit = self._engine.n_ctx_limit
        return ContextFull(
            f"the {pages} take {about} {round(needed):,} tokens, but of the context's {limit:,} only"
            f" {round(room):,} are left for them",
            hint="name fewer pages, or none: then the question chooses; --text only takes less room",
        )

    def _not_even_one(self, pages: Sequence[_Page], room: float) -> ContextFull:
        names = ", ".join(dict.fromkeys(self._documents[page.place].book.name for page in pages))
        limit, least = self._engine.n_ctx_limit, min(page.n_tokens for page in pages)
        return ContextFull(
            f"no page of {names} has room: of the context's {limit:,} tokens {round(room):,} are left, and the smallest"
            f" page takes about {round(least):,} or more",
            hint=LESS_OF_A_PAGE,
        )

    def _nothing_to_choose_by(self, pages: Sequence[_Page], needed: float, room: float) -> ContextFull:
        most = max(1, int(len(pages) * room / max(needed, 1)))
        names = ", ".join(dict.fromkeys(self._documents[page.place].book.name for page in pages))
        return ContextFull(
            f"the {len(pages)} pages of {names} have no text to choose by, and take about {round(needed):,} tokens;"
            f" the context has room for {round(room):,}",
            hint=f"--pages 1-{most} has room; --every-page asks about each page by itself, which takes its time",
        )


def _spread(pages: Sequence[_Page]) -> list[_Page]:
    """Pages in an order such that the first n lie evenly over all of them."""
    n = len(pages)
    order: list[int] = []
    step = n
    while step >= 1:
        order += range(0, n, step)
        step //= 2
    return [pages[i] for i in dict.fromkeys(order)]
