"""TOML files that people write: read within bounds, parsed with errors in one sentence, and the lines of their keys."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmcli.errors import UsageError

MAX_BYTES = 1 << 20  # of a file that people write by hand
FIX = "fix it, or move it away"


def read(path: Path) -> str:
    """The text of a regular file; an empty one for the null device.

    FileNotFoundError where there is none; UsageError where it is a pipe or a device, too large, or not UTF-8.
    """
    # A pipe would block in open(), and a device may never end: both are detected by the open file itself.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            if _is_null(path):
                return ""
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UsageError(f"`{path}` is a pipe or a device, not a file", hint="name a regular file")
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"`{path}` is larger than {MAX_BYTES >> 20} MB, too large for settings", hint=FIX)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is not valid UTF-8, so it is not TOML", hint=FIX) from error


def parse(text: str, name: str, *, hint: str = FIX) -> dict[str, Any]:
    """The tables of a TOML text; UsageError, which says `name` for the text, where it is not valid."""
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is not valid TOML: {error}", hint=hint) from error
    except RecursionError as error:
        raise UsageError(f"{name} nests brackets too deeply", hint=hint) from error
    except ValueError as error:  # Python reads no decimal number of more than 4,300 digits
        raise UsageError(f"{name} holds a number with too many digits", hint=hint) from error


# What a value or a header is made of; within a string or a comment nothing else counts.
_TOKEN = re.compile(
    r'''"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}|\'\'\'(?:[^\']++|\'(?!\'\'))*+\'{3,5}'''
    r"""|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+'|\#[^\n]*+|[\[\]{}\n]|\s|[^"'\#\[\]{}\n\s]++""",
    re.DOTALL,
)
_FIRST_KEY = re.compile(r"""\[{0,2}[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[\w-]+)""")


def line_of(text: str, key: str) -> int:
    """The line, from 1 on, in which a valid TOML text begins to set a top-level key; 1 where it does not."""
    in_table = False
    for start in _statements(text):
        is_header = text[start] == "["
        if (is_header or not in_table) and _first_key(text, start) == key:
            return text.count("\n", 0, start) + 1
        in_table = in_table or is_header
    return 1


def _statements(text: str) -> Iterator[int]:
    """Where each key and each table header of a valid TOML text begins."""
    depth, start = 0, -1
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark == "\n" and depth == 0:
            start = -1
        elif start < 0 and not mark.isspace() and mark[0] != "#":
            start = token.start()
            yield start
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1


def _first_key(text: str, start: int) -> str:
    found = _FIRST_KEY.match(text, start)
    if found is None:
        return ""
    raw = found[1]
    return str(next(iter(parse(f"{raw} = 0", "the key")))) if raw[0] in "\"'" else raw


def _is_null(path: Path) -> bool:
    """Whether a path leads to the null device, which people name for "no settings"."""
    try:
        return os.path.samestat(os.stat(path), os.stat(os.devnull))
    except OSError:
        return False
