"""The read task: pages of PDFs, pictures and texts → Markdown, by their own text, the embedded reader, or a model.

A page whose text is painted gives that text; a blank one gives nothing; only the others are read. A page on which a
model repeats itself is read once more with a higher penalty.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from mmcli import media
from mmcli.documents import layout, ocr, ppocr, writing
from mmcli.engine import Answer, Message, Sampling
from mmcli.errors import OutputError
from mmcli.jobs import keys
from mmcli.jobs.engine_worker import EngineWorker
from mmcli.jobs.examples import Example
from mmcli.jobs.inputs import Named
from mmcli.jobs.result_cache import Results, is_cut
from mmcli.jobs.task import Asked, CacheHit, Done, Items, Kept, Picture, ReadAhead, parts_of
from mmcli.media.types import image_id

if TYPE_CHECKING:
    from mmcli.engine.protocol import BatchEngine
    from mmcli.media.pdf import PdfFile, PdfPage

READER_SIDE, MODEL_SIDE = 1920, 1540  # pixels of a page's long side, for the embedded reader and for models
FEW_LETTERS = 200  # a page with less painted text may be a picture with a stamp on it
PICTURED = 0.005  # of a page's pixels: so much ink beside its text is a picture that may hold words
MOST_TEXT = 50_000_000  # bytes of a text or a spreadsheet
HARDER = 1.1  # penalty of the second try, where the first one had none

How: TypeAlias = Literal["painted", "read", "blank", "text"]


@dataclass(frozen=True)
class ReadText:
    """A line of a page's own text, and where it stands."""

    text: str
    box: tuple[float, float, float, float]  # left, top, right, bottom, in pixels of a page of `size`


@dataclass(frozen=True)
class Reading:
    """What one page, picture or text says."""

    markdown: str
    how: How
    receipt: media.Receipt
    lines: tuple[ocr.ReadLine | ReadText, ...] = ()
    size: tuple[int, int] | None = None  # (width, height) that the boxes are in
    notes: tuple[str, ...] = ()
    answer: Answer | None = None  # of the model or reader
    label: str | None = None  # the number printed on the page, where it is another one

    @property
    def cut(self) -> bool:
        """Whether it ends where --max-tokens ended it."""
        return self.answer is not None and is_cut(self.answer)


@dataclass(frozen=True)
class ReadTask:
    """How pages are read; fields in the order people ask for them."""

    question: str = ""
    sampling: Sampling = Sampling(temperature=0.0)
    system: str | None = None
    form: writing.Form | None = None  # of the answers; None: they are the embedded reader's
    by_sight: bool = False  # even where a page's text is painted
    side: int = READER_SIDE  # pixels of a page's long side
    max_megapixels: float = 100.0
    setup: str = ""  # all else that could change an answer: weights, projector, detail …
    parallel: int | None = None
    retry_cut: bool = False
    examples: tuple[Example, ...] = ()

    @property
    def key(self) -> str:
        return keys.whole(self._words, self.sampling)

    @property
    def base(self) -> str:
        return keys.base(self._words, self.sampling)

    @property
    def _words(self) -> list[object]:
        return ["read", self.setup, self.system, self.question, self.by_sight, self.side]

    @property
    def harder(self) -> Sampling:
        """How a page is read again on which the model repeated itself."""
        penalty = self.sampling.repeat_penalty
        return replace(self.sampling, repeat_penalty=HARDER if penalty == 1.0 else 1 + 2 * (penalty - 1))

    def ask(self, data: bytes) -> tuple[str, Mapping[str, str]]:
        return self.question, {}

    def load(self, source: media.Source, data: bytes) -> media.Image:
        """A picture; pages are rendered by the worker."""
        picture = media.load(
            replace(source, data=data, path=None, url=None),
            kinds=frozenset({"image"}),
            max_megapixels=self.max_megapixels,
        )
        assert isinstance(picture, media.Image)
        return picture

    def messages(self, picture: Picture, text: str) -> Sequence[Message]:
        parts = parts_of(picture)
        question = Message("user", (*parts, text) if text else parts)
        return [question] if self.system is None else [Message("system", (self.system,)), question]

    def result(self, asked: Asked, answer: Answer) -> Reading | Kept:
        shown = asked.named.source.shown
        if answer.finish_reason == "loop":
            raise Repeated(f"{shown}: the model kept repeating itself", hint="try another model")
        lines: tuple[ocr.ReadLine, ...] = ()
        size, notes = asked.receipt.sent_size, list(asked.receipt.notes)
        if self.form is None:
            page = ppocr.parsed(answer.text)
            lines, size = page.lines, page.size
            text = layout.markdown(layout.blocks(lines))
            if page.turned:
                notes.append(f"turned by {90 * page.turned}° to be read")
        else:
            text = writing.as_markdown(self.form, answer.text)
        if asked.facts.get("layer"):
            strange = writing.strange_numbers(text, asked.facts["layer"])
            if strange:
                differ = "1 number differs" if len(strange) == 1 else f"{len(strange)} numbers differ"
                notes.append(f"{differ} from the text layer")
        if is_cut(answer):
            notes.append("cut off; raise --page-tokens")
        return Reading(text, "read", asked.receipt, lines, size, tuple(notes), answer, asked.facts.get("label"))


class Repeated(OutputError):
    """The model repeated itself until it was stopped."""


class ReadWorker(EngineWorker[Reading]):
    """The task at work: pages come from an open file, and only those that must be read go to the engine."""

    # One thread: PDFium does one thing at a time. All outcomes may wait for a page that is read again.
    read_ahead = ReadAhead(readers=1, ready=2, window=1 << 30)

    def __init__(
        self,
        task: ReadTask,
        results: Results,
        open_engine: Callable[[], AbstractContextManager[BatchEngine]],
        passwords: Mapping[str, str] | None = None,
    ) -> None:
        """`passwords`: of PDF files, by their names."""
        super().__init__(task, results, open_engine)
        self._passwords = passwords or {}
        self._reading = task
        self._file: tuple[str, PdfFile] | None = None  # the last one, by its digest: its pages follow each other
        self._closing = ExitStack()
        self._fetched: tuple[str, bytes] | None = None  # the last file, by its name

    def close(self) -> None:
        """Nothing more will be read."""
        self._closing.close()

    # reading

    def fetch(self, source: media.Source, stop: threading.Event) -> bytes:
        name = source.document
        if self._fetched is None or self._fetched[0] != name or source.data is not None:
            self._fetched = name, super().fetch(source, stop)
        return self._fetched[1]

    def open(self, named: Named, data: bytes, stop: threading.Event) -> Asked | CacheHit[Reading]:
        source = named.source
        if source.locator is not None and source.locator.pages:
            return self._open_page(named, data, source.locator.pages[0][0])
        if media.sniff(data) == "text" or media.is_office(data):
            whole = replace(source, data=data, path=None, url=None)
            text = media.load(whole, kinds=frozenset({"text"}), max_text_bytes=MOST_TEXT)
            assert isinstance(text, media.Text)
            return CacheHit(Reading(text.text.strip(), "text", text.receipt, notes=text.receipt.notes))
        found = super().open(named, data, stop)
        if isinstance(found, Asked) and isinstance(found.picture, media.Image) and _is_blank(found.picture):
            return CacheHit(Reading("", "blank", found.receipt))
        return found

    def _open_page(self, named: Named, data: bytes, number: int) -> Asked | CacheHit[Reading]:
        task, source = self._reading, named.source
        digest = hashlib.sha256(data).hexdigest()
        text, _ = task.ask(data)
        facts: dict[str, str] = {}
        if not task.by_sight and (before := self._results.seen_before(digest, source.locator)) is not None:
            media_id, receipt = before
            item = self._asked(named, text, facts, media_id, replace(receipt, source=source.name))
            if (answer := self._answer(item)) is not None:
                return CacheHit(task.result(item, answer))
        file = self._opened(digest, data, source)
        page = file.page(number, task.side)
        picture = _image(page, source, digest, len(data), file.n_pages)
        if page.is_blank:
            return CacheHit(Reading("", "blank", picture.receipt, notes=page.notes, label=page.label))
        if not task.by_sight and _speaks_for_itself(page):
            return CacheHit(_painted(page, picture.receipt))
        if page.text:
            facts["layer"] = page.text
        if page.label is not None:
            facts["label"] = page.label
        return self._asked(named, text, facts, picture.id, picture.receipt, picture)

    def _opened(self, digest: str, data: bytes, source: media.Source) -> PdfFile:
        from mmcli.media import pdf

        if self._file is None or self._file[0] != digest:
            self._closing.close()
            shown = replace(source, name=source.document, locator=None).shown
            password = self._passwords.get(source.document)
            file = self._closing.enter_context(pdf.opened(data, shown=shown, password=password))
            self._file = digest, file
        return self._file[1]

    # computing

    def _answers(self, engine: BatchEngine, items: Items[Asked]) -> Iterator[Done[Asked, Reading]]:
        task, waiting, again = self._reading, iter(items), list[Asked]()
        is_over = False

        def fresh() -> Generator[Asked]:
            nonlocal is_over
            while not again:
                item = next(waiting, None)
                if item is None:
                    is_over = True
                    return
                yield item

        while not is_over:
            first = self._answered(engine, fresh(), task.sampling, items.expected, kept=lambda item: item)
            for item, piece, seconds in first:
                if piece.answer is not None and piece.answer.finish_reason == "loop" and not items.stopped:
                    again.append(item)
                else:
                    yield self._done(item.released(), piece, seconds)
            second = self._answered(engine, list(again), task.harder, len(again))
            for item, piece, seconds in second if again else ():
                yield self._done(item, piece, seconds)
            again.clear()
            is_over = is_over or items.stopped


def _is_blank(picture: media.Image) -> bool:
    from mmcli.media import painted

    return painted.ink(picture.pixels)[0] < painted.BLANK_SHARE


def _speaks_for_itself(page: PdfPage) -> bool:
    """Whether the painted text is what there is to be read: not where a picture with a few words beside it is."""
    if not page.text:
        return False
    if len(page.text) >= FEW_LETTERS:
        return True
    from mmcli.media import painted

    rest = page.pixels.copy()
    for line in page.lines:
        left, top, right, bottom = (max(edge, 0) for edge in line.box)
        rest[top:bottom, left:right] = 255
    return painted.ink(rest)[0] < PICTURED


def _painted(page: PdfPage, receipt: media.Receipt) -> Reading:
    """A page's own text, in the order in which people read."""
    seen = [line for line in page.lines if line.is_painted]
    text = layout.markdown(layout.blocks([stretch for line in seen for stretch in line.stretches], touching=""))
    notes = list(page.notes)
    if page.n_hidden:
        notes.append(f"{page.n_hidden} line{'s' if page.n_hidden > 1 else ''} of hidden text left out")
    height, width = page.pixels.shape[:2]
    lines = tuple(ReadText(line.text, line.box) for line in seen)
    return Reading(text, "painted", receipt, lines, (width, height), tuple(notes), label=page.label)


def _image(page: PdfPage, source: media.Source, digest: str, n_bytes: int, n_pages: int) -> media.Image:
    height, width = page.pixels.shape[:2]
    receipt = media.Receipt(
        source=source.name,
        kind="image",
        sha256=digest,
        n_bytes=n_bytes,
        format="PDF",
        sent_size=(width, height),
        locator=str(source.locator),
        page=page.number,
        pages=n_pages,
        label=page.label,
        notes=page.notes,
    )
    return media.Image(page.pixels, image_id(page.pixels), receipt)
