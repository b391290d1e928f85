"""Reports key releases where the terminal can: kitty's keyboard protocol. Knows no line editor.

https://sw.kovidgoyal.net/kitty/keyboard-protocol/ : all keys are asked for as escape codes with their text, since only
so every key's release is reported; what a line editor understands is made of them again.
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Callable

ASK = "\x1b[?u\x1b[c"  # which flags are on? and a question that every terminal answers
BEGIN, END = "\x1b[>27u", "\x1b[<u"  # 1 + 2 (press, repeat, release) + 8 (all keys) + 16 (with their text)
PATIENCE = 3.0  # seconds: a terminal far away may take a while
SPACE = 32
_KNOWS = re.compile(rb"\x1b\[\?\d+u")
_ANSWERED = re.compile(rb"\x1b\[\?[\d;]*c")
# CSI key[:alternates] [; modifiers[:event]] [; text] u|~|letter
_KEY = re.compile(
    r"\x1b\[(?P<key>\d+)?(?::[\d:]*)?(?:;(?P<mods>\d*)(?::(?P<event>\d+))?)?(?:;(?P<text>[\d:]*))?(?P<end>[u~A-HPQS])"
)
_BEGUN = re.compile(r"\x1b(?:\[[\d:;]*)?\Z")  # may be the beginning of one
_SHIFT, _ALT, _CTRL = 1, 2, 4
_LOCKS = 64 | 128
_RELEASE = "3"
_PRIVATE = range(57344, 63744)  # keys without a character: modifiers, media keys, those of the number block
_NUMBER_BLOCK = {57414: "\r"}


def tells_key_up() -> bool:
    """Ask the terminal whether it can. False where there is none, or it does not know the question."""
    if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
        return False
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor, termios.TCSADRAIN)  # no echo, and the answer comes without Enter
        os.write(descriptor, ASK.encode())
        return bool(_KNOWS.search(_answer(descriptor)))
    except OSError:
        return False
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _answer(descriptor: int) -> bytes:
    told, end = b"", time.monotonic() + PATIENCE
    while not _ANSWERED.search(told) and (left := end - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            data = os.read(descriptor, 1024)
            if not data:
                break
            told += data
    return told


class Translator:
    """What comes from the terminal -> what came before there was such a protocol; a released Space is distinguished."""

    def __init__(self, on_release: Callable[[], None]) -> None:
        self._on_release = on_release
        self._rest = ""

    def __call__(self, data: str) -> str:
        data = self._rest + data
        begun = _BEGUN.search(data)
        # A lone Escape cannot be the beginning of one: under this protocol that key comes as `CSI 27 u`.
        self._rest = begun[0] if begun else ""
        return _KEY.sub(self._legacy, data[: len(data) - len(self._rest)])

    def _legacy(self, match: re.Match[str]) -> str:
        code, end = int(match["key"] or 1), match["end"]
        if match["event"] == _RELEASE:
            if end == "u" and code == SPACE:
                self._on_release()
            return ""
        modifiers = max(0, int(match["mods"] or 1) - 1) & ~_LOCKS
        if end != "u":
            return _function_key(code, modifiers, end)
        if match["text"] and not modifiers & (_CTRL | _ALT):
            return "".join(chr(int(point)) for point in match["text"].split(":") if point)
        return _character(code, modifiers)


def _function_key(code: int, modifiers: int, end: str) -> str:
    """Arrows, Home, F1 …: the same without the kind of event."""
    if modifiers:
        return f"\x1b[{code};{modifiers + 1}{end}"
    if end == "~":
        return f"\x1b[{code}~"
    return f"\x1bO{end}" if end in "PQS" else f"\x1b[{end}"


def _character(code: int, modifiers: int) -> str:
    """A key with a character, or one of the old control characters."""
    if code in _PRIVATE:
        return _NUMBER_BLOCK.get(code, "")
    if code == 9 and modifiers & _SHIFT:
        return "\x1b[Z"
    text = chr(code)
    if modifiers & _CTRL and (text.isalpha() and text.isascii() or text in " @[\\]^_"):
        text = chr(code & 0x1F)
    elif modifiers & _SHIFT:
        text = text.upper()
    return "\x1b" + text if modifiers & _ALT else text
