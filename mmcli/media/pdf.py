"""Opens PDF files: pages as pictures, with the text that is seen on them. Knows PDFium; knows no models or prompts.

PDFium is not thread-safe, even for different files: everything that calls it holds one lock.
"""

from __future__ import annotations

import ctypes
import logging
import math
import threading
import unicodedata
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcli.errors import InputError, ResourceError
from mmcli.media import painted

SIDE = 1540  # pixels of a page's long side, unless a caller asks for another
MAX_SIDE = 8192
MAX_CHARACTERS = 200_000  # of one page's text; more is a table of numbers or an attack
_MIN_HEIGHT = 1 / 420  # of the long side, 2 points of an A4 page: smaller letters are not read by anybody
_END = 2048  # bytes at the end of a file, where its end mark stands
_FORMAT, _PASSWORD, _SECURITY = 3, 4, 5  # FPDF_ERR_*
_INVISIBLE = 3  # text render mode: neither filled nor stroked, as OCR puts it over a scan
_HYPHENS = "\x02\ufffe"  # PDFium's marks for a hyphen at a line's end
_MANY = 40  # painted characters: a page with so many is neither blank nor faint
_MAX_WORD = 12  # characters that are judged together
_WIDE_GAP = 1.2  # heights of the words beside it: wider than a space between words, as between cells and columns
_SHARE_BELOW = 0.5  # of an invisible letter that lies over visible ones: not the text of a scan

_lock = threading.RLock()


@dataclass(frozen=True)
class PdfStretch:
    """Some text without a wide gap in it, on one row of a page: of a table, a cell."""

    text: str
    box: tuple[int, int, int, int]  # as a line's


@dataclass(frozen=True)
class PdfLine:
    """Some text on a line of a page, and whether a person sees it."""

    text: str
    box: tuple[int, int, int, int]  # left, top, right, bottom, in pixels of the page's picture; it may lie outside
    is_painted: bool  # False: no ink under it, hidden below something, or too small to be read
    stretches: tuple[PdfStretch, ...] = ()  # the same text, cut at wide gaps and where a divided word goes on below


@dataclass(frozen=True, eq=False)
class PdfPage:
    """One page, upright: its picture, and its text line by line in the file's order."""

    number: int  # from 1
    label: str | None  # the number printed on it, where it differs: "iv", "A-3"
    size: tuple[float, float]  # width, height in points (1/72 inch), upright
    pixels: NDArray[np.uint8]  # (height, width, 3), RGB, C order
    lines: tuple[PdfLine, ...]
    is_blank: bool  # nothing is to be seen on it
    is_faint: bool  # what is to be seen is very pale
    notes: tuple[str, ...] = ()  # sentences on what was left out

    @property
    def text(self) -> str:
        """The text that a person sees, a line each."""
        return "\n".join(line.text for line in self.lines if line.is_painted)

    @property
    def n_hidden(self) -> int:
        """Lines of text that nobody sees."""
        return sum(not line.is_painted for line in self.lines)


class Locked(InputError):
    """A file that opens with a password alone."""


class PdfFile:
    """An open PDF file; `opened` makes it. Every call holds the lock."""

    def __init__(self, document: Any, shown: str) -> None:
        self._document = document
        self._shown = shown
        self.n_pages = len(document)
        if self.n_pages < 1:
            raise InputError(f"{shown} is damaged: it has no pages", hint="copy or download it again")

    def label(self, number: int) -> str | None:
        """The number printed on a page where it differs from `number`: "iv", "A-3"."""
        self._check(number)
        with _lock:
            try:
                label = str(self._document.get_page_label(number - 1))
            except UnicodeDecodeError:
                return None
        label = " ".join("".join(char if char.isprintable() else " " for char in label).split())[:40]
        return label if label not in ("", str(number)) else None

    def page(self, number: int, side: int = SIDE) -> PdfPage:
        """A page, rendered so that its long side has `side` pixels; InputError where there is no such page."""
        self._check(number)
        with _lock, self._page(number) as page:
            size = _size(page)
            pixels = self._rendered(page, number, size, min(side, MAX_SIDE))
            characters = _Characters.read(page, pixels.shape[1], pixels.shape[0])
        notes: tuple[str, ...] = ()
        if characters is None:
            notes = (f"its text was left out: more than {MAX_CHARACTERS:,} characters",)
        lines = () if characters is None else characters.lines(pixels, painted.CONTRAST)
        is_blank = is_faint = False
        if sum(len(line.text) for line in lines if line.is_painted) < _MANY:
            share, darkest = painted.ink(pixels)
            is_faint = 0 < darkest < painted.FAINT_INK
            if is_faint and characters is not None:
                lines = characters.lines(pixels, painted.FAINT_CONTRAST)
            is_blank = share < painted.BLANK_SHARE and not any(line.is_painted for line in lines)
        return PdfPage(number, self.label(number), size, pixels, lines, is_blank, is_faint, notes)

    def picture(self, number: int, side: int = SIDE) -> NDArray[np.uint8]:
        """A page's picture alone, (height, width, 3) RGB, with its long side in pixels."""
        self._check(number)
        with _lock, self._page(number) as page:
            return self._rendered(page, number, _size(page), min(side, MAX_SIDE))

    def size(self, number: int) -> tuple[float, float]:
        """A page's width and height in points, upright."""
        self._check(number)
        with _lock, self._page(number) as page:
            return _size(page)

    def _check(self, number: int) -> None:
        if not 1 <= number <= self.n_pages:
            pages = f"{self.n_pages} page{'s' if self.n_pages > 1 else ''}"
            raise InputError(f"{self._shown} has {pages}; there is no page {number}")

    @contextmanager
    def _page(self, number: int) -> Iterator[Any]:
        """PDFium's page, closed afterwards: a finalizer would close it in any thread."""
        import pypdfium2

        try:
            page = self._document.get_page(number - 1)
        except pypdfium2.PdfiumError as error:
            raise InputError(f"{self._shown} is damaged: its page {number} cannot be read") from error
        try:
            yield page
        finally:
            page.close()

    def _rendered(self, page: Any, number: int, size: tuple[float, float], side: int) -> NDArray[np.uint8]:
        """A page's pixels, (height, width, 3) RGB."""
        scale = (side - 0.001) / max(size)  # PDFium's binding rounds up
        try:
            bitmap = page.render(scale=scale, rev_byteorder=True)
            try:
                return np.ascontiguousarray(
                    bitmap.to_numpy()
                )  # no copy: the buffer is Python's, and outlives the bitmap
            finally:
                bitmap.close()
        except MemoryError as error:
            raise ResourceError(f"not enough memory to show page {number} of {self._shown}") from error


@contextmanager
def opened(data: bytes, *, shown: str, password: str | None = None) -> Iterator[PdfFile]:
    """Open a PDF file's bytes; `shown` is its name as error messages put it.

    InputError where it is damaged, cut short, or needs another password. A file that needs none opens with any.
    """
    import pypdfium2

    logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # it warns of XFA forms, whose pages are shown all the same
    if not _has_end(data):
        raise InputError(f"{shown} is damaged: its end is missing", hint="copy or download it again")
    with _lock:
        try:
            document = pypdfium2.PdfDocument(data, password=password)
        except pypdfium2.PdfiumError as error:
            raise _refused(error.err_code, shown, password) from error
    try:
        with _lock:
            try:
                document.init_forms()  # before any page is loaded, or filled-in fields are not drawn
            except pypdfium2.PdfiumError as error:
                raise InputError(f"{shown} is damaged: its form cannot be read") from error
            file = PdfFile(document, shown)
        yield file
    finally:
        with _lock:
            document.close()


def _has_end(data: bytes) -> bool:
    """Whether the file's end mark is there; PDFium opens half a file with the pages that it finds."""
    end = data[-_END:] if not data.endswith(b"\0") else data.rstrip(b"\0")[-_END:]
    return b"%%EOF" in end or b"startxref" in end


def _refused(code: int | None, shown: str, password: str | None) -> InputError:
    if code == _PASSWORD and password is None:
        return Locked(f"{shown} needs a password", hint="put it into a file: `--password-file FILE`")
    if code == _PASSWORD:
        return Locked(f"{shown}: wrong password")
    if code == _SECURITY:
        return InputError(f"{shown} is locked in a way that is not supported")
    return InputError(f"{shown} is damaged: it cannot be read as PDF", hint="copy or download it again")


def _size(page: Any) -> tuple[float, float]:
    """Points, upright; a page without a size has one pixel at least."""
    width, height = (float(side) if math.isfinite(side) else 0.0 for side in page.get_size())
    return max(width, 0.01), max(height, 0.01)


@dataclass
class _Characters:
    """The characters of a page's text layer in the file's order; text and arrays are of the same length."""

    text: str  # one character each, as PDFium gives them: surrogates may come in pairs
    boxes: NDArray[np.float64]  # (n, 4): left, top, right, bottom of the ink, in pixels
    objects: NDArray[np.int64]  # which text object it is of; 0: PDFium made it up, such as a line's end
    heights: dict[int, float]  # of each object's font, in pixels
    invisible: set[int]  # objects that are not drawn at all

    @classmethod
    def read(cls, page: Any, width: int, height: int) -> _Characters | None:
        """Those of a page that is shown in `width` by `height` pixels; None where there are too many."""
        import pypdfium2.raw as raw

        text = page.get_textpage()
        try:
            n = max(raw.FPDFText_CountChars(text), 0)
            return None if n > MAX_CHARACTERS else cls._of(page, text, n, width, height)
        finally:
            text.close()

    @classmethod
    def _of(cls, page: Any, text: Any, n: int, width: int, height: int) -> _Characters:
        import pypdfium2.raw as raw

        handle = ctypes.cast(text.raw, ctypes.c_void_p).value
        object_of = _plain(raw.FPDFText_GetTextObject, ctypes.c_void_p, 2)
        box_of = _plain(raw.FPDFText_GetCharBox, ctypes.c_int, 6)
        found = np.zeros((n, 4))
        # thousands of calls a page: `map` calls without a step of Python between them
        objects = np.array([at or 0 for at in map(object_of, repeat(handle), range(n))], np.int64)
        places = (range(found.ctypes.data + 8 * i, found.ctypes.data + 8 * i + 32 * n, 32) for i in range(4))
        deque(map(box_of, repeat(handle), range(n), *places), maxlen=0)  # left, right, bottom, top
        to_pixels = _to_pixels(page, width, height)
        kinds, firsts = np.unique(objects, return_index=True)
        drawn = [(int(key), int(first)) for key, first in zip(kinds, firsts, strict=True) if key]
        return cls(
            _characters(text, n),
            _mapped(found, to_pixels),
            objects,
            {key: _font_height(text, first, to_pixels) for key, first in drawn},
            {key for key, _ in drawn if _is_invisible(key)},
        )

    def lines(self, pixels: NDArray[np.uint8], least: int) -> tuple[PdfLine, ...]:
        """The text, cut where a line ends and where what is seen ends; `least` is the contrast of what is seen."""
        if not self.text:
            return ()
        codes = np.frombuffer(self.text.encode("utf-32-le", "surrogatepass"), np.uint32)
        is_end, is_space = (codes == 10) | (codes == 13), (codes <= 32) | (codes == 0xA0)
        begins, ends = self._words(is_space)
        if not len(begins):
            return ()
        n_seen = np.concatenate(([0], np.cumsum(self._seen(pixels, codes, least))))
        is_seen = 2 * (n_seen[ends] - n_seen[begins]) >= ends - begins  # a word is, where half of it is
        row = np.cumsum(is_end)[begins]
        changes = np.flatnonzero((np.diff(row) != 0) | (np.diff(is_seen.astype(np.int8)) != 0)) + 1
        firsts = begins[np.concatenate(([0], changes))]
        lasts = ends[np.concatenate((changes - 1, [-1]))]
        seen = is_seen[np.concatenate(([0], changes))]
        cuts = self._cuts(begins, ends)
        found = zip(firsts.tolist(), lasts.tolist(), seen.tolist(), strict=True)
        lines = (self._line(first, last, is_, cuts) for first, last, is_ in found)
        return tuple(line for line in lines if line.text)

    def _line(self, first: int, last: int, is_painted: bool, cuts: NDArray[np.int64]) -> PdfLine:
        inside = cuts[np.searchsorted(cuts, first, "right") : np.searchsorted(cuts, last)].tolist()
        pieces = (self._stretch(*ends) for ends in pairwise([first, *inside, last]))
        text, box = _clean(self.text[first:last]), self._around(first, last)
        return PdfLine(text, box, is_painted, tuple(piece for piece in pieces if piece.text))

    def _stretch(self, first: int, last: int) -> PdfStretch:
        return PdfStretch(_clean(self.text[first:last]), self._around(first, last))

    def _cuts(self, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where a stretch begins, among the words' begins: after a wide gap, or on another row."""
        limit = 1 << 20
        boxes = np.nan_to_num(self.boxes, nan=-1.0, posinf=limit, neginf=-limit).clip(-limit, limit)
        edges = np.stack([begins, ends], axis=1).reshape(-1)
        edges = edges[:-1] if edges[-1] >= len(boxes) else edges
        low = np.minimum.reduceat(boxes[:, :2], edges)[::2]  # (n words, 2): left, top
        high = np.maximum.reduceat(boxes[:, 2:], edges)[::2]  # right, bottom
        height = np.maximum(high[:, 1] - low[:, 1], 1)
        taller = np.maximum(height[1:], height[:-1])
        gap = low[1:, 0] - high[:-1, 0]
        is_below = np.minimum(high[1:, 1], high[:-1, 1]) <= np.maximum(low[1:, 1], low[:-1, 1])
        is_back = gap < -2 * taller
        is_cut = (gap > _WIDE_GAP * taller) | (is_below & (gap < -taller)) | is_back
        return np.asarray(begins[1:][is_cut])

    def _words(self, is_space: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Begins and ends (n,) of runs without spaces, of one text object and not too long."""
        before = np.concatenate(([True], is_space[:-1]))
        changed = np.concatenate(([True], self.objects[1:] != self.objects[:-1]))
        starts = ~is_space & (before | changed)
        stops = np.concatenate((is_space[1:] | starts[1:], [True])) & ~is_space
        begins, ends = np.flatnonzero(starts), np.flatnonzero(stops) + 1
        if len(begins) and (ends - begins).max() > _MAX_WORD:
            cut = [
                (i, min(i + _MAX_WORD, end))
                for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
                for i in range(begin, end, _MAX_WORD)
            ]
            begins, ends = np.array(cut).T
        return begins, ends

    def _seen(self, pixels: NDArray[np.uint8], codes: NDArray[np.uint32], least: int) -> NDArray[np.bool_]:
        """(n,): whether each character has ink under it that may be its own."""
        limit = 1 << 20  # boxes may lie anywhere, or be infinite
        whole = np.nan_to_num(self.boxes, nan=-1.0, posinf=limit, neginf=-limit).clip(-limit, limit)
        boxes = np.concatenate((np.floor(whole[:, :2]), np.ceil(whole[:, 2:])), axis=1).astype(np.int32)
        seen = painted.is_inked(pixels, boxes, least)
        pale = np.flatnonzero(~seen & (codes > 32))
        solid = pale[[not self.text[i].isalnum() for i in pale.tolist()]]
        if len(solid):  # a dash or a dot fills its box: there is contrast around it
            seen[solid] = painted.is_inked(pixels, boxes[solid] + np.array([-1, -1, 1, 1], np.int32), least)
        small = [key for key, height in self.heights.items() if height < _MIN_HEIGHT * max(pixels.shape)]
        if small:
            seen &= ~np.isin(self.objects, small)
        unseen = np.isin(self.objects, list(self.invisible))
        drawn = ~unseen & (self.objects != 0)
        if unseen.any() and drawn.any():  # ink that belongs to other letters does not show these
            places = np.flatnonzero(unseen)
            below = painted.covered(pixels.shape[:2], boxes[places], boxes[drawn & seen])
            seen[places[below > _SHARE_BELOW]] = False
        return seen

    def _around(self, first: int, last: int) -> tuple[int, int, int, int]:
        boxes = self.boxes[first:last]
        boxes = boxes[np.isfinite(boxes).all(axis=1) & (boxes[:, 2] > boxes[:, 0])]
        if not len(boxes):
            return 0, 0, 0, 0
        left, top = boxes[:, :2].min(axis=0).tolist()
        right, bottom = boxes[:, 2:].max(axis=0).tolist()
        return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)


def _characters(text: Any, n: int) -> str:
    """The first `n` characters of a text layer, none left out."""
    import pypdfium2.raw as raw

    handle = ctypes.cast(text.raw, ctypes.c_void_p).value
    unicode = _plain(raw.FPDFText_GetUnicode, ctypes.c_uint, 2)
    codes = map(unicode, repeat(handle), range(n))
    return "".join(chr(code) if code < 0x110000 else "\N{REPLACEMENT CHARACTER}" for code in codes)


def _plain(function: Any, result: Any, n_arguments: int) -> Any:
    """A function of PDFium's that takes and gives plain numbers: a fifth of the time of typed pointers."""
    # The first argument is a handle, the second an index, the others addresses.
    arguments = [ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * (n_arguments - 2)]
    return ctypes.CFUNCTYPE(result, *arguments)(ctypes.cast(function, ctypes.c_void_p).value or 0)


def _to_pixels(page: Any, width: int, height: int) -> NDArray[np.float64]:
    """(2, 3): from a page's own coordinates, which are not turned, to pixels of its upright picture."""
    import pypdfium2.raw as raw

    fine = 1 << 10  # FPDF_PageToDevice gives whole numbers
    across, down = ctypes.c_int(), ctypes.c_int()

    def place(x: float, y: float) -> NDArray[np.float64]:
        raw.FPDF_PageToDevice(page, 0, 0, width * fine, height * fine, 0, x, y, across, down)
        return np.array([across.value, down.value]) / fine

    step = 100.0  # points
    origin = place(0, 0)
    return np.stack([(place(step, 0) - origin) / step, (place(0, step) - origin) / step, origin], axis=1)


def _mapped(boxes: NDArray[np.float64], to_pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes (n, 4) as PDFium gives them (left, right, bottom, top) -> left, top, right, bottom in pixels."""
    one = boxes[:, [0, 2]] @ to_pixels[:, :2].T + to_pixels[:, 2]
    other = boxes[:, [1, 3]] @ to_pixels[:, :2].T + to_pixels[:, 2]
    return np.concatenate([np.minimum(one, other), np.maximum(one, other)], axis=1)


def _font_height(text: Any, index: int, to_pixels: NDArray[np.float64]) -> float:
    """The height of a character's font, in pixels."""
    import pypdfium2.raw as raw

    matrix = raw.FS_MATRIX()
    size = raw.FPDFText_GetFontSize(text, index)
    if not raw.FPDFText_GetMatrix(text, index, matrix):
        return math.inf
    up = to_pixels[:, :2] @ np.array([matrix.c, matrix.d])
    return float(size * math.hypot(*up))


def _is_invisible(text_object: int) -> bool:
    """Whether a text object is drawn in no colour, or in one that lets everything through."""
    import pypdfium2.raw as raw

    handle = ctypes.cast(ctypes.c_void_p(text_object), raw.FPDF_PAGEOBJECT)
    if raw.FPDFTextObj_GetTextRenderMode(handle) == _INVISIBLE:
        return True
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    return bool(raw.FPDFPageObj_GetFillColor(handle, red, green, blue, alpha)) and alpha.value < 8


def _clean(text: str) -> str:
    """Some of a page's text on one line, without control characters; a hyphen at a line's end is one."""
    if not text.isprintable():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        text = "".join(map(_shown, text))
    return " ".join(text.split())


def _shown(char: str) -> str:
    if char in _HYPHENS:
        return "-"
    return " " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char
