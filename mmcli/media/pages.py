"""Opens a PDF as a document of pages, each with its picture and the text that is seen on it. Knows no models.

What is cheap and can fail, a missing page or password, fails when the file is opened; pages are rendered when it is
clear which of them are needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from mmcli.errors import InputError
from mmcli.media.locator import Locator, page_ranges
from mmcli.media.sources import Source
from mmcli.media.text import fenced, one_line_name
from mmcli.media.types import Document, DocumentPart, Image, Receipt, Text, image_id
from mmcli.media.wanted import PagesWanted

if TYPE_CHECKING:
    from mmcli.media.pdf import PdfFile, PdfPage

SIDES = {"low": 1024, "auto": 1540}  # pixels of a page's long side
HIGH_DPI, MAX_HIGH_SIDE = 200, 3500  # for --detail high
SMALL_SIDE = 640  # enough to see whether a text has ink under it
_TRIES = 3  # at a password that is typed


@dataclass(frozen=True, eq=False)
class Book:
    """A PDF that opens with what is known, and the pages of it that are wanted."""

    source: Source
    data: bytes = field(repr=False)
    wanted: PagesWanted = field(repr=False)
    password: str | None = field(repr=False)
    numbers: tuple[int, ...]  # wanted pages, in order
    n_pages: int  # that it has
    is_chosen: bool  # somebody named these pages, so that none may be left out

    @property
    def name(self) -> str:
        """Its name without a fragment."""
        return self.source.document

    def open(self, numbers: Sequence[int] | None = None) -> PagedDocument:
        """A document of these of its pages, rendered; None: of all that are wanted.

        InputError where there is nothing to be seen on any of them, or one is damaged.
        """
        numbers = self.numbers if numbers is None else tuple(numbers)
        pages: list[_Part] = []
        with self._file() as file:
            for number in numbers:
                page = file.page(number, self._side(file, number))
                pages.append(_part(page, self))
        self._check(pages)
        return PagedDocument(self._receipt(numbers, _notes(pages)), tuple(page.part for page in pages), self)

    def unopened(self) -> PagedDocument:
        """The document before it is clear which of its pages are needed."""
        return PagedDocument(self._receipt(self.numbers, ()), (), self)

    def page(self, number: int) -> DocumentPart:
        """One page alone; without a medium where it is blank."""
        with self._file() as file:
            return _part(file.page(number, self._side(file, number)), self).part

    def texts(self, numbers: Sequence[int] | None = None) -> Iterator[str]:
        """The text that is seen on each of these pages."""
        with self._file() as file:
            for number in self.numbers if numbers is None else numbers:
                yield file.page(number, SMALL_SIDE).text

    def sources(self) -> list[Source]:
        """A source for each wanted page."""
        found = []
        for number in self.numbers:
            part = Locator(pages=((number, number),))
            found.append(replace(self.source, name=f"{self.name}#{part}", locator=part))
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file, hex."""
        return hashlib.sha256(self.data).hexdigest()

    def _file(self) -> AbstractContextManager[PdfFile]:
        from mmcli.media import pdf

        return pdf.opened(self.data, shown=self.shown, password=self.password)

    @property
    def shown(self) -> str:
        """Its name as error messages put it."""
        return replace(self.source, name=self.name, locator=None).shown

    def _side(self, file: PdfFile, number: int) -> int:
        if self.wanted.detail == "high":
            return min(round(max(file.size(number)) / 72 * HIGH_DPI), MAX_HIGH_SIDE)
        return SIDES[self.wanted.detail]

    def _check(self, pages: Sequence[_Part]) -> None:
        """InputError where a model would get nothing of these pages."""
        which = _which([page.number for page in pages], self.n_pages)
        if all(page.is_blank for page in pages):
            raise InputError(f"{self.shown} is blank: there is nothing on {which}")
        if self.wanted.text == "only" and not any(page.characters for page in pages):
            raise InputError(
                f"{self.shown} has no text on {which}", hint="without --text only, a model sees the pages as pictures"
            )

    def _receipt(self, numbers: tuple[int, ...], notes: tuple[str, ...]) -> Receipt:
        is_all = numbers == tuple(range(1, self.n_pages + 1))
        locator = None if is_all else str(Locator(pages=page_ranges(numbers)))
        return Receipt(
            source=self.name if locator is None else f"{self.name}#{locator}",
            kind="document",
            sha256=self.digest,
            n_bytes=len(self.data),
            format="PDF",
            locator=locator,
            pages=self.n_pages,
            notes=notes,
        )


@dataclass(frozen=True, eq=False)
class PagedDocument(Document):
    """A document of pages, which `book` opens again with others; without parts, none was rendered yet."""

    book: Book

    @property
    def is_open(self) -> bool:
        """Whether its pages are here."""
        return bool(self.parts)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The pages it has, or will have."""
        found = [first for part in self.parts if part.locator is not None for first, _ in part.locator.pages]
        return tuple(found) or self.book.numbers


@dataclass(frozen=True)
class _Part:
    """One page as a part, and what is to be reported of it."""

    part: DocumentPart
    number: int
    characters: int
    n_hidden: int
    is_blank: bool
    is_faint: bool
    notes: tuple[str, ...]


def open_document(source: Source, data: bytes, wanted: PagesWanted) -> PagedDocument:
    """Open a PDF's bytes. InputError where it is damaged or locked, or a page that is wanted is not there.

    A locked file is opened with the passwords that are known, or with one that the user types.
    """
    book = _book(source, data, wanted)
    if wanted.at_once is not None and len(book.numbers) > wanted.at_once:
        return book.unopened()
    return book.open()


def _book(source: Source, data: bytes, wanted: PagesWanted) -> Book:
    from mmcli.media import pdf

    shown = replace(source, name=source.document, locator=None).shown
    password = _password(data, shown, wanted)
    with pdf.opened(data, shown=shown, password=password) as file:
        n_pages = file.n_pages
        if source.locator is not None and source.locator.pages:
            last = max(last for _, last in source.locator.pages)
            if last > n_pages:
                file.label(last)  # raises, and says how many there are
            ranges = source.locator.pages
            numbers = tuple(dict.fromkeys(n for first, last in ranges for n in range(first, last + 1)))
        elif wanted.choice is not None:
            numbers = wanted.choice.numbers(n_pages)
            for number in numbers:
                file.label(number)
        else:
            numbers = tuple(range(1, n_pages + 1))
    is_chosen = wanted.choice is not None or source.locator is not None
    if not numbers:
        raise InputError(f"{shown} has one page, so none is even")
    return Book(source, data, wanted, password, numbers, n_pages, is_chosen)


def _password(data: bytes, shown: str, wanted: PagesWanted) -> str | None:
    """What opens the file; None where it needs nothing. `Locked` where nothing that is known does."""
    from mmcli.media import pdf

    tries: list[str | None] = [None, *wanted.passwords]
    for password in tries:
        try:
            with pdf.opened(data, shown=shown, password=password):
                return password
        except pdf.Locked as error:
            refused = error
    if wanted.ask_password is None:
        raise refused
    for _ in range(_TRIES):
        typed = wanted.ask_password(shown)
        if not typed:
            break
        try:
            with pdf.opened(data, shown=shown, password=typed):
                return typed
        except pdf.Locked as error:
            refused = error
    raise refused


def _part(page: PdfPage, book: Book) -> _Part:
    """A page as a part of the prompt: a heading and its text, and its picture."""
    wanted = book.wanted.text
    read = _read(page, book.wanted)
    text = read or (page.text if wanted != "never" else "")
    locator = Locator(pages=((page.number, page.number),))
    heading = f"{book.name}, page {page.number}" + (f' (printed "{page.label}")' if page.label else "")
    height, width = page.pixels.shape[:2]
    receipt = Receipt(
        source=f"{book.name}#{locator}",
        kind="image",
        sha256=book.digest,
        n_bytes=len(book.data),
        format="PDF",
        source_size=(round(page.size[0]), round(page.size[1])),
        sent_size=(width, height),
        locator=str(locator),
        page=page.number,
        pages=book.n_pages,
        label=page.label,
        text="read" if read else _use_of_text(page, wanted),
        characters=len(text),
        hidden_lines=page.n_hidden,
        notes=page.notes,
    )
    if page.is_blank:
        part = DocumentPart(locator, None, f"{one_line_name(heading)}: this page is blank")
    elif wanted == "only":
        words = fenced(text, heading) if text else f"{one_line_name(heading)}: no text"
        part = DocumentPart(locator, Text(text, book.name, words, replace(receipt, kind="text", sent_size=None)))
    else:
        words = fenced(text, heading) if text else f"{one_line_name(heading)}:"
        part = DocumentPart(locator, Image(page.pixels, image_id(page.pixels), receipt), words)
    return _Part(part, page.number, len(text), page.n_hidden, page.is_blank, page.is_faint, page.notes)


def _read(page: PdfPage, wanted: PagesWanted) -> str:
    """The words that a reader finds on the picture of a page, where they are wanted."""
    if wanted.reader is None or wanted.text == "never" or page.is_blank or (page.text and not wanted.reads_all):
        return ""
    return wanted.reader(page.pixels)


def _use_of_text(page: PdfPage, wanted: str) -> str:
    if not page.lines:
        return "absent"
    if not page.text:
        return "hidden"
    return "ignored" if wanted == "never" else "used"


def _notes(pages: Sequence[_Part]) -> tuple[str, ...]:
    """What must be known of pages that are not as the file has them, in sentences."""
    notes: list[str] = []
    if blank := [page.number for page in pages if page.is_blank]:
        notes.append(f"{counted(blank)} {'is' if len(blank) == 1 else 'are'} blank")
    if faint := [page.number for page in pages if page.is_faint and not page.is_blank]:
        notes.append(f"{counted(faint)} {'is' if len(faint) == 1 else 'are'} faint: very pale ink")
    if n_hidden := sum(page.n_hidden for page in pages):
        lines = "1 line" if n_hidden == 1 else f"{n_hidden} lines"
        notes.append(f"{lines} of hidden text left out on {counted([page.number for page in pages if page.n_hidden])}")
    notes += [f"page {page.number}: {note}" for page in pages for note in page.notes]
    return tuple(notes)


def counted(numbers: Sequence[int]) -> str:
    """`page 4`, `pages 4, 7-9`"""
    ranges = (str(first) if first == last else f"{first}-{last}" for first, last in page_ranges(numbers))
    return f"page{'s' * (len(numbers) > 1)} {', '.join(ranges)}"


def _which(numbers: Sequence[int], n_pages: int) -> str:
    if len(numbers) == n_pages:
        return "its only page" if n_pages == 1 else f"any of its {n_pages} pages"
    return counted(numbers)
