"""Removes from any text what could command a terminal. Knows escape sequences; not colours or streams.

A terminal obeys what it is shown: a clipboard write, a hidden link, a line drawn over another. So text from a
model, a file name or a model file passes through here before it is shown, whether or not it came in pieces.
"""

from __future__ import annotations

import os
import re

MAX_SEQUENCE = 256  # characters: an unended sequence longer than this is shown rather than waited for

_STRING_OPENERS = r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])"  # OSC, DCS, SOS, PM, APC; 7-bit and C1 forms
_STRING_BODY = rf"[^\x07\x1b\x9c\n]{{0,{MAX_SEQUENCE}}}"
_CSI_BODY = r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}"

# Directions that reorder a line, line separators that only some programs honour, and invisible "tag" characters.
_INVISIBLE = "\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f"
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_SURROGATES = "\ud800-\udfff"

_SUSPECT = re.compile(f"[{_CONTROLS}{_INVISIBLE}{_SURROGATES}]")
_HARMFUL = re.compile(
    rf"(?P<whole>{_CSI_BODY}[@-~]|{_STRING_OPENERS}{_STRING_BODY}(?:\x07|\x1b\\|\x9c))"
    rf"|(?P<begun>(?:{_CSI_BODY}|{_STRING_OPENERS}{_STRING_BODY}\x1b?|\x1b[ -/]{{0,4}})\Z)"
    r"|(?P<short>\x1b[ -/]{0,4}[0-~])"  # also the opener of a sequence that never ended
    rf"|(?P<line>[\u2028\u2029])"
    rf"|(?P<surrogate>[{_SURROGATES}])"
    rf"|[{_CONTROLS}{_INVISIBLE}]"
)
_JSON_UNSAFE = re.compile(f"[\x7f-\x9f{_INVISIBLE}]")


class Cleaner:
    """Clean a text that comes in pieces: what may be the beginning of a sequence waits for the next piece."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        text, self._held = self._held + piece, ""
        if not _SUSPECT.search(text):
            return text
        return _HARMFUL.sub(self._replace, text)

    def flush(self) -> str:
        """Return what was held back, without the opener that made it suspicious."""
        # A newline can't be part of any sequence, so with it nothing is left half begun.
        return self.feed("\n")[:-1]

    def _replace(self, match: re.Match[str]) -> str:
        if match["begun"] is not None:
            self._held = match["begun"]
            return ""
        if match["line"]:
            return "\n"
        return "\ufffd" if match["surrogate"] else ""


def clean(text: str, *, newlines: bool = True) -> str:
    """Return `text` without anything a terminal would obey; with `newlines=False` on one line."""
    cleaner = Cleaner()
    text = cleaner.feed(text) + cleaner.flush()
    return text if newlines else re.sub(r"[\n\t]+", " ", text)


def one_line(text: str) -> str:
    """Return a name for use inside a sentence: newlines and tabs show as `\\n` and `\\t`."""
    return clean(text).replace("\n", "\\n").replace("\t", "\\t")


def escaped(name: str) -> str:
    """A file's name on one line with nothing lost: what a line or a terminal cannot carry is a backslash escape.

    These are tab, newline, carriage return and backslash in the usual way, `xNN` for other ASCII controls and for
    bytes that are no UTF-8, `uNNNN` for other controls and what turns the direction of a line: `printf %b` knows all.
    """
    return _ESCAPED.sub(lambda match: _escape(match[0]), name)


def without_surrogates(text: str) -> str:
    """Return `text` as it is but for lone surrogates, which no stream can carry."""
    return re.sub(f"[{_SURROGATES}]", "\ufffd", text)


def json_safe(document: str) -> str:
    """Escape in a JSON document what JSON itself allows raw but a terminal would obey; the values stay the same."""
    return _JSON_UNSAFE.sub(lambda match: _json_escape(match[0]), document)


_ESCAPED = re.compile(f"[\x00-\x1f\x7f-\x9f{_INVISIBLE}{_SURROGATES}" + (r"\\" if os.sep != "\\" else "") + "]")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\"}


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as Python carries it (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return _SHORT.get(char) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
