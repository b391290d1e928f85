"""What a spoken sentence asks to look at: the screen, the clipboard, a file. Knows words and names; opens nothing.

The grammar is data, in English. A sentence that matches none of it is a question like any other.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Target = Literal["screen", "clipboard", "file"]

# Before a request: politeness. Taken away before anything else is looked at.
_POLITE = r"(?:(?:please|now|and|so|ok|okay|hey|hello|well|then|can you|could you|would you|let's|let us)[,.]?\s+)*"
_LOOK = r"(?:have a |take a |take another )?(?:look|glance|peek) (?:again )?(?:at|on|into)"
_THE = r"(?:the|my|this|our)"
_SCREEN = r"(?:screen|display|monitor|desktop)"
# What is taken away when it is obeyed: the rest of the sentence, if there is any, is the question.
_ORDERS: tuple[tuple[Target, str], ...] = (
    ("screen", rf"{_LOOK} (?:what is on |what's on )?{_THE} (?:whole |entire )?{_SCREEN}"),
    ("screen", r"(?:take|make) (?:a|another) (?:screenshot|screen shot|picture of (?:the|my) screen)"),
    ("clipboard", rf"{_LOOK} (?:what is in |what's in |the picture in |the image in )?{_THE} clipboard"),
    ("clipboard", rf"(?:paste|attach|take) (?:the picture (?:from|in) )?{_THE} clipboard"),
)
# What is a question in itself, and shows what it is about: nothing is taken away. `my` screen is certainly not one
# that stands in a photo.
_QUESTIONS: tuple[tuple[Target, str], ...] = (
    ("screen", rf"\b(?:on|of) my {_SCREEN}\b"),
    ("screen", rf"^(?:describe|read|explain) my {_SCREEN}\b"),
    ("clipboard", r"\b(?:in|on) (?:the|my) clipboard\b"),
    ("clipboard", r"^(?:describe|read|explain) (?:the|my) clipboard\b"),
)
_FILE = rf"(?:{_LOOK}|open|attach|load|show me)"
# A name that is certainly meant as one, so that it is an error where there is no such file.
_CALLED = r"(?:(?:the|a|my) )?(?:file|picture|image|photo|photograph|sound|recording) (?:called|named)|(?:the|my) file"
_KIND = r"(?:(?:the|my|a) )?(?:(?:file|picture|image|photo|photograph|sound|recording) )?"
_DIGITS = dict(zip("zero one two three four five six seven eight nine ten".split(), map(str, range(11)), strict=True))
_ENDINGS = dict(jay="j", pee="p", gee="g", jpg="jpg", jpeg="jpeg", png="png")
CLOSE = 0.84  # how alike a heard name and a file's must be
LONGEST_NAME = 8  # words


@dataclass(frozen=True)
class Look:
    """What to look at, and what is asked about it."""

    target: Target
    name: str  # of the file, as it lies there; what was heard where there is none like it
    words: str  # "" where nothing was asked
    is_there: bool = True  # file: whether there is one of that name


def may_look(sentence: str) -> bool:
    """Whether the names of files matter to what a sentence means."""
    return re.match(rf"{_POLITE}{_FILE}\b", sentence.strip(), re.IGNORECASE) is not None


def look(sentence: str, files: Iterable[str] = ()) -> Look | None:
    """What a sentence asks to look at; `files` are the names in the working folder. None: a question like any other."""
    text = sentence.strip()
    for target, pattern in _ORDERS:
        if found := re.match(rf"{_POLITE}{pattern}\b", text, re.IGNORECASE):
            return Look(target, "", _rest(text[found.end() :]))
    for target, pattern in _QUESTIONS:
        if re.search(pattern, text, re.IGNORECASE):
            return Look(target, "", text)
    return _look_at_file(text, list(files))


def _look_at_file(text: str, files: list[str]) -> Look | None:
    if found := re.match(rf"{_POLITE}{_FILE} (?:{_CALLED}) ", text, re.IGNORECASE):
        is_certain = True
    elif found := re.match(rf"{_POLITE}{_FILE} {_KIND}", text, re.IGNORECASE):
        is_certain = False
    else:
        return None
    after = text[found.end() :]
    name = re.split(r"[,;?!]|\.(?=\s|$)|\s(?:and|then)\s", after, maxsplit=1)[0].strip()
    words = list(re.finditer(r"\S+", after))[:LONGEST_NAME]
    for end in sorted({match.end() for match in words}, reverse=True):  # the longest beginning that is a file's name
        if file := _same(after[:end], files):
            return Look("file", file, _rest(after[end:]))
    if file := _like(name, files):
        return Look("file", file, _rest(after[len(name) :]))
    return Look("file", name, _rest(after[len(name) :]), is_there=False) if is_certain and name else None


def _same(heard: str, files: list[str]) -> str | None:
    """The only file that is called so, with or without its extension."""
    wanted = _squashed(heard)
    found = [file for file in files if wanted and wanted in (_squashed(file), _squashed(os.path.splitext(file)[0]))]
    return found[0] if len(found) == 1 else None


def _like(heard: str, files: list[str]) -> str | None:
    """The file whose name sounds most alike, if it is like enough and no other one is."""
    wanted = _squashed(heard)
    if len(wanted) < 4:
        return None
    names = [(file, _squashed(name)) for file in files for name in (file, os.path.splitext(file)[0])]
    ranked = [(difflib.SequenceMatcher(None, wanted, name).ratio(), file) for file, name in names]
    alike = {file for ratio, file in ranked if ratio >= CLOSE}
    return alike.pop() if len(alike) == 1 else None


def _squashed(name: str) -> str:
    """A name as it sounds: `IMG_1.png`, `img one dot png` and `Img 1, png` are the same."""
    words = re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=\d)|(?<=\d)(?=[a-z])", " ", name.lower()))
    return "".join(_ENDINGS.get(word, _DIGITS.get(word, word)) for word in words if word != "dot")


def _rest(text: str) -> str:
    """What was asked beside the request, as a sentence of its own."""
    text = re.sub(r"^(?:[\s,.;:!?]|(?:and|then|please|now|again)\b)+", "", text, flags=re.IGNORECASE).strip()
    return text[:1].upper() + text[1:]
