"""Office files → texts with tables: spreadsheets by python-calamine, Word documents by mammoth. Knows no models.

They come with the extra `mmcli[office]`. What a file is, its content says: a ZIP archive's entries, or OLE's signature.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.util
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from typing import Any

from mmcli.errors import InputError
from mmcli.media import tabular
from mmcli.media.text import fenced
from mmcli.media.types import Receipt, Text

MAX_UNPACKED = 400_000_000  # bytes; a small archive may hold any number of zeros
MAX_CELLS = 2_000_000
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENTRIES = {"xl/workbook": "spreadsheet", "word/document": "document", "ppt/presentation": "slides"}
_OPEN_DOCUMENT = {"spreadsheet": "spreadsheet", "text": "odt", "presentation": "slides"}
_LIBRARY = {"spreadsheet": "python_calamine", "document": "mammoth"}
A_FILE = {"spreadsheet": "a spreadsheet", "document": "a Word document"}
_DAMAGED_HINT = "does another program open it? copy or download it again"


def kind(data: bytes) -> str | None:
    """What an office file is: "spreadsheet", "document" (.docx), "odt", "slides", "ole"; None for anything else."""
    if data.startswith(_OLE):
        return "ole"  # .xls, .doc, .ppt, or one with a password: opening tells
    if not data.startswith(_ZIP):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            mimetype = archive.read("mimetype")[:200].decode("ascii", "replace") if "mimetype" in names else ""
    except Exception:  # zipfile lets any exception fly on a damaged archive
        return "document" if b"word/" in data[:4096] else "spreadsheet" if b"xl/" in data[:4096] else None
    if match := re.fullmatch(r"application/vnd\.oasis\.opendocument\.(\w+)(?:-template)?", mimetype.strip()):
        return _OPEN_DOCUMENT.get(match[1])
    return next((found for start, found in _ENTRIES.items() if any(name.startswith(start) for name in names)), None)


def decode(data: bytes, name: str, *, shown: str, max_bytes: int) -> Text:
    """An office file as a text; rows that do not fit into `max_bytes` are left out, and the receipt's notes say so."""
    found = kind(data)
    if found in ("odt", "slides"):
        raise _convert(shown, "an OpenDocument text" if found == "odt" else "a presentation", name)
    found = "spreadsheet" if found == "ole" else found
    assert found is not None, "asked by `kind` before"
    if importlib.util.find_spec(_LIBRARY[found]) is None:
        raise InputError(
            f"{shown} is {A_FILE[found]}, which needs `mmcli[office]`, and that is not installed",
            hint="`pip install 'mmcli[office]'`",
        )
    _check_size(data, shown)
    notes: list[str] = []
    if found == "spreadsheet":
        text = "\n\n".join(_sheets(data, name, shown, max_bytes, notes))
    else:
        text = _document(data, shown, notes)
        if len(text.encode("utf-8", "replace")) > max_bytes:
            raise InputError(
                f"{shown} is a text of {len(text) / 1e6:.1f} MB, the limit is {max_bytes / 1e6:.1f} MB",
                hint="give the part that matters",
            )
    if not text.strip():
        raise InputError(f"{shown} holds no text")
    receipt = Receipt(
        source=name,
        kind="text",
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        format={"spreadsheet": "spreadsheet", "document": "DOCX"}[found],
        notes=tuple(notes),
    )
    return Text(text, name, fenced(text, name), receipt)


def _convert(shown: str, what: str, name: str) -> InputError:
    return InputError(
        f"{shown} is {what}, which is not supported",
        hint=f"make a PDF of it: `soffice --headless --convert-to pdf {name}`",
    )


def _check_size(data: bytes, shown: str) -> None:
    """InputError for an archive that is damaged, or unpacks to more than the memory should hold."""
    if not data.startswith(_ZIP):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            is_locked = any(entry.flag_bits & 1 for entry in archive.infolist())
    except Exception as error:  # as in `kind`
        raise InputError(f"{shown} is damaged: it cannot be unpacked", hint=_DAMAGED_HINT) from error
    if is_locked:
        raise InputError(f"{shown} is locked with a password", hint="save it without one")
    if size > MAX_UNPACKED:
        raise InputError(
            f"{shown} unpacks to {size / 1e6:.0f} MB, the limit is {MAX_UNPACKED / 1e6:.0f} MB",
            hint="save the part that matters as a file of its own",
        )


# spreadsheets


def _sheets(data: bytes, name: str, shown: str, max_bytes: int, notes: list[str]) -> Iterator[str]:
    """A heading and a table for each sheet that is visible and not empty."""
    import python_calamine as calamine

    try:
        book = calamine.load_workbook(io.BytesIO(data))
        sheets = [sheet for sheet in book.sheets_metadata if sheet.typ == calamine.SheetTypeEnum.WorkSheet]
        hidden = [sheet for sheet in sheets if sheet.visible != calamine.SheetVisibleEnum.Visible]
        tables = [(sheet.name, _rows(book, sheet.name, shown)) for sheet in sheets if sheet not in hidden]
    except calamine.PasswordError as error:
        raise InputError(f"{shown} is locked with a password", hint="save it without one") from error
    except InputError:
        raise
    except BaseException as error:  # Rust's panics are no Exceptions
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        if data.startswith(_OLE):  # no workbook: a document or slides of old
            raise _convert(shown, "an office file of before 2007, or locked", name) from error
        raise InputError(f"{shown} is damaged: {_short(error)}", hint=_DAMAGED_HINT) from error
    if hidden:
        notes.append(f"{len(hidden)} hidden sheet{'s' if len(hidden) > 1 else ''} left out")
    filled = [(title, rows) for title, rows in tables if rows]
    for title, rows in filled:
        table, n_left = tabular.as_markdown(rows, max_bytes // len(filled))
        if n_left:
            notes.append(f"{n_left:,} of {len(rows):,} rows of `{title}` left out: the text would be too long")
        yield f"## {' '.join(title.split())}\n\n{table}"


def _rows(book: Any, title: str, shown: str) -> list[list[str]]:
    """A sheet's cells as texts, without what is empty around them."""
    sheet = book.get_sheet_by_name(title)
    if sheet.total_height * sheet.total_width > MAX_CELLS:
        raise InputError(
            f"{shown}: its sheet `{title}` has more than {MAX_CELLS:,} cells", hint="save the part that matters as CSV"
        )
    rows = [[_cell(value) for value in row] for row in sheet.to_python()]
    while rows and not any(rows[-1]):
        rows.pop()
    return rows


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "auto").removesuffix(" 00:00:00")
    return str(value)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__


# Word


def _document(data: bytes, shown: str, notes: list[str]) -> str:
    import mammoth

    n_pictures = 0

    def picture(image: Any) -> dict[str, str]:
        nonlocal n_pictures
        n_pictures += 1
        return {}

    try:
        html = mammoth.convert_to_html(io.BytesIO(data), convert_image=mammoth.images.img_element(picture)).value
    except MemoryError:
        raise
    except Exception as error:  # mammoth lets any exception fly on a damaged document
        raise InputError(f"{shown} is damaged: {_short(error)}", hint=_DAMAGED_HINT) from error
    if n_pictures:
        notes.append(f"{n_pictures} picture{'s' if n_pictures > 1 else ''} left out")
    writer = _Writer()
    writer.feed(html)
    writer.close()
    return writer.text()


class _Writer(HTMLParser):
    """mammoth's HTML as Markdown: headings, paragraphs, lists, tables whose spans are repeated."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._blocks: list[str] = []
        self._words: list[str] = []
        self._mark = ""  # what stands before the block
        self._lists: list[int | None] = []  # the number of the last item; None: bullets
        self._rows: list[list[tuple[str, int, int]]] = []  # cells: text, columns, rows
        self._depth = 0  # of tables
        self._span = (1, 1)

    def text(self) -> str:
        self._end()
        return "\n\n".join(self._blocks)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        if tag == "table":
            self._end()
            self._depth += 1
            if self._depth == 1:
                self._rows = []
        elif self._depth:
            if self._depth == 1 and tag == "tr":
                self._rows.append([])
            elif self._depth == 1 and tag in ("td", "th"):
                self._span = tuple(int(facts.get(name) or 1) for name in ("colspan", "rowspan"))  # type: ignore[assignment]
                self._words = []
            elif tag in ("p", "br", "li"):
                self._words.append(" ")
        elif re.fullmatch("h[1-6]", tag):
            self._end()
            self._mark = "#" * int(tag[1]) + " "
        elif tag in ("ul", "ol"):
            self._end()
            self._lists.append(None if tag == "ul" else 0)
        elif tag == "li":
            self._end()
            self._mark = self._bullet()
        elif tag == "p":
            self._end()
        elif tag == "br":
            self._words.append("\n")

    def _bullet(self) -> str:
        if not self._lists:
            return "- "
        last = self._lists[-1]
        if last is not None:
            self._lists[-1] = last + 1
        return "   " * (len(self._lists) - 1) + ("- " if last is None else f"{last + 1}. ")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._depth = max(0, self._depth - 1)
            if not self._depth and self._rows:
                self._blocks.append(tabular.as_markdown(_grid(self._rows))[0])
                self._words = []
        elif self._depth == 1 and tag in ("td", "th") and self._rows:
            self._rows[-1].append((" ".join("".join(self._words).split()), *self._span))
        elif not self._depth:
            if tag in ("ul", "ol"):
                self._end()
                del self._lists[-1:]
            elif tag in ("p", "li") or re.fullmatch("h[1-6]", tag):
                self._end()

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def _end(self) -> None:
        """A block is over."""
        lines = [" ".join(line.split()) for line in "".join(self._words).split("\n")]
        self._words = []
        said = "\n".join(filter(None, lines))
        if said:
            block = self._mark + said
            if self._lists and self._blocks and re.match(r" *(?:-|\d+\.) ", self._blocks[-1].rsplit("\n", 1)[-1]):
                self._blocks[-1] += "\n" + block  # of one list
            else:
                self._blocks.append(block)
            self._mark = ""


def _grid(rows: Sequence[Sequence[tuple[str, int, int]]]) -> list[list[str]]:
    """Cells by row and column; one that spans several stands in each."""
    cells: dict[tuple[int, int], str] = {}
    for y, row in enumerate(rows):
        x = 0
        for text, n_columns, n_rows in row:
            while (y, x) in cells:
                x += 1
            for down in range(min(n_rows, len(rows) - y)):
                for right in range(min(n_columns, 1000)):
                    cells.setdefault((y + down, x + right), text)
            x += n_columns
    width = max((x for _, x in cells), default=-1) + 1
    return [[cells.get((y, x), "") for x in range(width)] for y in range(len(rows))]
