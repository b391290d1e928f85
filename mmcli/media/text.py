"""Text files, and how they are put into a prompt. Knows nothing of templates or models."""

from __future__ import annotations

import codecs
import hashlib
import re
import unicodedata
from dataclasses import replace

from mmcli.errors import InputError
from mmcli.media.types import Receipt, Text

MAX_BYTES = 1_000_000
MAX_TABLE_BYTES = 200_000_000  # of a CSV file, of which the first rows are taken
_FORMATS = {".md": "text/markdown", ".csv": "text/csv", ".json": "application/json", ".html": "text/html"}


def decode(data: bytes, name: str, *, shown: str, suffix: str = "", max_bytes: int = MAX_BYTES) -> Text:
    """Decode UTF-8, or UTF-16 with a byte order mark; `shown` is the name as error messages put it."""
    if len(data) > max_bytes and suffix.lower() in (".csv", ".tsv") and len(data) <= MAX_TABLE_BYTES:
        return _long_table(data, name, shown, suffix, max_bytes)
    if len(data) > max_bytes:
        raise InputError(
            f"{shown} is a text of {len(data) / 1e6:.1f} MB, the limit is {max_bytes / 1e6:.1f} MB",
            hint="give the part that matters, for example with `head` or `grep`",
        )
    notes: tuple[str, ...] = ()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text, notes = _decoded(data, "utf-16", shown), ("read as UTF-16",)
    else:
        text = _decoded(data.removeprefix(codecs.BOM_UTF8), "utf-8", shown)
    if not text.strip():
        raise InputError(f"{shown} holds nothing but white space")
    receipt = Receipt(
        source=name,
        kind="text",
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        format=_FORMATS.get(suffix.lower(), "text/plain"),
        notes=notes,
    )
    rendered = text.strip() if name == "-" else fenced(text, name)
    return Text(text, name, rendered, receipt)


def _long_table(data: bytes, name: str, shown: str, suffix: str, max_bytes: int) -> Text:
    """The header of a long CSV file and as many rows as there is room for; how many are left out is told."""
    from mmcli.media import tabular

    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    rows = tabular.of_csv(_decoded(data.removeprefix(codecs.BOM_UTF8), encoding, shown))
    if rows is None:
        return decode(data, name, shown=shown, max_bytes=max_bytes)  # an error like any long text's
    table, n_left = tabular.as_markdown(rows, max_bytes)
    receipt = Receipt(
        source=name,
        kind="text",
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        format=_FORMATS.get(suffix.lower(), "text/plain"),
        notes=(f"{n_left:,} of {len(rows) - 1:,} rows left out: the text would be too long",) if n_left else (),
    )
    return Text(table, name, fenced(table, name), receipt)


def of_sound(receipt: Receipt, text: str, model: str) -> Text:
    """What was said in a sound, for a model that cannot hear; `model` is the one that wrote it down."""
    heard = replace(receipt, heard_as="transcript", heard_by=model)
    return Text(text, receipt.source, fenced(text, f"transcript of {receipt.source}"), heard)


def _decoded(data: bytes, encoding: str, shown: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{shown} is not valid {encoding.upper()}: byte {error.start} is 0x{data[error.start]:02X}",
            hint="if it is Latin-1, convert it: `iconv -f LATIN1 -t UTF-8 FILE`",
        ) from error


def fenced(text: str, name: str) -> str:
    """A text for a prompt: its name on a line, then the text in a fence that nothing inside can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    end = "" if text.endswith("\n") else "\n"
    return f"{one_line_name(name)}:\n{fence}\n{text}{end}{fence}"


def one_line_name(name: str) -> str:
    """A file's name without line breaks, control or format characters, and without undecodable bytes."""
    kept = (" " if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in name)
    return " ".join("".join(kept).split()) or "text"
