"""What is wrong with a TIFF's picture data: libtiff's own complaints, and checks that libtiff leaves out.

libtiff writes its errors to stderr by itself and goes on with what it has; Pillow passes over that, and turns the
warnings off. Here libtiff is given another place for both. Knows bytes and tags; decodes through Pillow only.
"""

from __future__ import annotations

import ctypes
import re
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mmcli.media import jpegs

if TYPE_CHECKING:
    from PIL import Image

_COMPRESSION, _FILL_ORDER, _ROWS_PER_STRIP, _BAD_FAX_LINES, _CLEAN_FAX_DATA, _JPEG_TABLES = 259, 266, 278, 326, 327, 347
_PLACES = (273, 279, 324, 325)  # where strips lie and how long they are, and the same of tiles
_FAX, _JPEG, _DEFLATE = 3, 7, (8, 32946)
_MAX_PIECES = 100_000  # strips or tiles
_MAX_WORDS = 50  # complaints kept of one picture
_BAD_LINES = 0.001  # of a fax: as many may have suffered on a telephone line
_MISSING_LINES = 2  # at the end of a strip; some faxes end so

# Complaints about tags, of which none changes a pixel that Pillow shows: it reads the tags by itself.
_OF_TAGS = ("TIFFFetch", "TIFFRead", "TIFFAdvance", "TIFFSet", "_TIFFVSet", "TIFFVSet", "MissingRequired", "_TIFFMerge")
_OF_DATA = ("TIFFReadEncoded", "TIFFReadRaw", "TIFFReadScanline", "TIFFReadBuffer")
_BAD_LINE = re.compile(r"(?:Line length mismatch|Premature EOL) at line (\d+) of \w+ (\d+) \(got (\d+)")
_BAD_JPEG = re.compile(r"Corrupt JPEG data: (premature end|bad Huffman code)")


@dataclass
class Complaints:
    """What libtiff said while it decoded one picture."""

    errors: list[str] = field(default_factory=list)  # about picture data
    bad_lines: int = 0  # rows of a fax that are shorter or longer than the picture
    ends: dict[int, int] = field(default_factory=dict)  # strip of a fax -> its row at which there was nothing left


_heard = threading.local()
_lock = threading.Lock()
_asked = False
_handlers: tuple[Any, ...] = ()  # libtiff calls them as long as the process lives


@contextmanager
def listening() -> Iterator[Complaints]:
    """Keep libtiff's complaints of this thread from stderr, and hand on those that are about picture data.

    Where libtiff cannot be reached (a Pillow that has it built in, as on Windows), there are none.
    """
    global _asked, _handlers
    with _lock:
        if not _asked:
            _asked, _handlers = True, _given_to_libtiff()
    complaints = Complaints()
    _heard.complaints = complaints
    try:
        yield complaints
    finally:
        _heard.complaints = None


def _given_to_libtiff() -> tuple[Any, ...]:
    """Functions of ours, as libtiff has them now."""
    from PIL import _imaging

    try:
        libtiff = ctypes.CDLL(_imaging.__file__)  # finds the libraries that it was linked with, too
        setters = [getattr(libtiff, f"TIFFSet{name}") for name in ("ErrorHandler", "WarningHandler", "TagExtender")]
        write = ctypes.CDLL(None).vsnprintf
    except (OSError, AttributeError, TypeError):
        return ()
    write.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]
    for setter in setters:
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
    handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)

    def told(form: bytes, values: int | None) -> str:
        text = ctypes.create_string_buffer(400)
        write(text, len(text), form, values)
        return " ".join(text.value.decode("ascii", "replace").split())

    def error(where: bytes | None, form: bytes, values: int | None) -> None:
        _hear_error((where or b"").decode("ascii", "replace"), told(form, values))

    def warning(where: bytes | None, form: bytes, values: int | None) -> None:
        _hear_warning(told(form, values))

    def opened(_: int | None) -> None:  # called for each file, after Pillow has turned the warnings off
        setters[1](ctypes.cast(handlers[1], ctypes.c_void_p))

    handlers = handler(error), handler(warning), ctypes.CFUNCTYPE(None, ctypes.c_void_p)(opened)
    setters[0](ctypes.cast(handlers[0], ctypes.c_void_p))
    setters[2](ctypes.cast(handlers[2], ctypes.c_void_p))
    return handlers


def _hear_error(where: str, words: str) -> None:
    complaints = getattr(_heard, "complaints", None)
    about_data = where.startswith(_OF_DATA) or not where.startswith(_OF_TAGS)
    if complaints is not None and about_data and len(complaints.errors) < _MAX_WORDS:
        complaints.errors.append(words)


def _hear_warning(words: str) -> None:
    complaints = getattr(_heard, "complaints", None)
    if complaints is None:
        return
    if _BAD_JPEG.match(words):
        complaints.errors.append(words)
    elif (match := _BAD_LINE.match(words)) and match[3] == "0":
        complaints.ends.setdefault(int(match[2]), int(match[1]))
    elif match:
        complaints.bad_lines += 1


def tags(picture: Image.Image) -> dict[int, Any]:
    """The tags that `damage` asks for; to be taken before the picture is decoded. Reading others may warn of them."""
    wanted = (_COMPRESSION, _FILL_ORDER, _ROWS_PER_STRIP, _BAD_FAX_LINES, _CLEAN_FAX_DATA, _JPEG_TABLES, *_PLACES)
    all_tags = getattr(picture, "tag_v2", {})
    return {tag: all_tags.get(tag) for tag in wanted if tag in all_tags}


def damage(data: bytes, n_rows: int, tags: Mapping[int, Any], complaints: Complaints) -> tuple[str | None, str | None]:
    """What is wrong with a decoded page, as (damage, note)."""
    compression, n_bad = tags.get(_COMPRESSION), complaints.bad_lines
    n_missing = _missing_rows(n_rows, tags, complaints)
    if n_missing > _MISSING_LINES:
        return f"cut short: {n_missing} of its rows are missing", None
    if compression == _FAX:
        known = tags.get(_BAD_FAX_LINES, 0) != 0 or tags.get(_CLEAN_FAX_DATA, 0) != 0  # the writer says so itself
        few = not complaints.errors and 0 < n_bad <= n_rows * _BAD_LINES
        if known or few:
            return None, "some of its rows were damaged on the telephone line"
    if complaints.errors:
        return f"damaged: {complaints.errors[0]}", None
    if n_bad:
        return f"damaged: {n_bad} of its rows do not have the right length", None
    if tags.get(_FILL_ORDER, 1) != 1:  # the bits of each byte lie the other way round
        return None, None
    if compression == _JPEG:
        return next(filter(None, (_of_jpeg(piece, tags) for piece in _pieces(data, tags))), None), None
    if compression in _DEFLATE:
        return next(filter(None, (_of_deflate(piece) for piece in _pieces(data, tags))), None), None
    return None, None


def _missing_rows(n_rows: int, tags: Mapping[int, Any], complaints: Complaints) -> int:
    of_strip = tags.get(_ROWS_PER_STRIP)
    of_strip = min(of_strip, n_rows) if isinstance(of_strip, int) and of_strip > 0 else n_rows
    return sum(max(0, min(of_strip, n_rows - strip * of_strip) - row) for strip, row in complaints.ends.items())


def _pieces(data: bytes, tags: Mapping[int, Any]) -> Iterator[bytes]:
    """The strips or tiles as they lie in the file."""
    for offsets, sizes in (_PLACES[:2], _PLACES[2:]):
        starts, lengths = tags.get(offsets), tags.get(sizes)
        if isinstance(starts, tuple) and isinstance(lengths, tuple):
            for start, length, _ in zip(starts, lengths, range(_MAX_PIECES), strict=False):
                yield data[start : start + length]
            return


def _of_jpeg(piece: bytes, tags: Mapping[int, Any]) -> str | None:
    tables = tags.get(_JPEG_TABLES)
    head = tables[:-2] if isinstance(tables, bytes) and tables.startswith(b"\xff\xd8") else b"\xff\xd8"
    whole = head + piece.removeprefix(b"\xff\xd8")
    found = jpegs.layout(whole)
    return None if found is None else jpegs.read(whole, found, "").damage


def _of_deflate(piece: bytes) -> str | None:
    unpack = zlib.decompressobj()
    try:
        while not unpack.eof and piece:
            unpack.decompress(piece, 1 << 20)
            piece = unpack.unconsumed_tail
    except zlib.error:
        return "damaged: the checksum of its picture data is wrong"
    return None
