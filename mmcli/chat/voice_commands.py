"""Recognises spoken requests to look at the screen, the clipboard or a file. Knows words and names; opens nothing.

The grammar is data, in English. A sentence that matches none of it is a question like any other.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from mmcli.chat.input import looks_like_medium
from mmcli.errors import InputError

Target = Literal["screen", "clipboard", "file"]
MOST_FILES = 2000  # names in the working folder that "look at FILE" is compared with

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
_OPEN = rf"(?:{_LOOK}|open|attach|load)"
_FILE = rf"(?:{_OPEN}|show me)"
_KINDS = r"(?:file|picture|image|photo|photograph|sound|recording)"
# A name that is certainly meant as one, so that it is an error where there is no such file.
_CALLED = rf"(?:(?:the|a|my) )?{_KINDS} (?:called|named)|(?:the|my) file"
_KIND = rf"(?:(?:the|my|a) )?(?:{_KINDS} )?"
# How something in a picture begins that is talked about already, and how no file's name begins.
_DESCRIBED = frozenset(
    "a all an and any are as at behind beside between both can did do does each either every everybody everyone "
    "everything for from he her here hers him his how i if in into is it its let me mine more most my near next no now "
    "of on one ones only or our ours out over please she some somebody someone something that the their theirs them "
    "then there these they this those through to together too under us was we were what when where whether which who "
    "whom whose why with yes you your yours again once twice pictures images photos photographs files sounds".split()
)
# What distinguishes one picture from others without being its name.
_ADJECTIVES = frozenset(
    "first second third fourth fifth sixth seventh eighth ninth tenth last next previous other same whole entire "
    "current new old left right top bottom upper lower middle big small large little red orange "
    "yellow green blue purple pink brown black white grey gray".split()
)
# Where a name ends and something else is said.
_NEXT = (
    r"and|then|please|what(?:'s)?|where|when|how|why|who(?:'s| is| are) (?:it|this|that|these|those|they|there|he|she)|"
    r"which (?:one )?is|(?:is|are) there|tell|describe|can you|could you|do you"
)
LONGEST_GUESS = 4  # words: what is longer describes something
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
    close: tuple[str, ...] = ()  # where there is none: files that may be meant


def may_look(sentence: str) -> bool:
    """Whether the names of files matter to what a sentence means."""
    return re.match(rf"{_POLITE}{_FILE}\b", sentence.strip(), re.IGNORECASE) is not None


def look(sentence: str, files: Iterable[str] = (), n_media: int = 1) -> Look | None:
    """What a sentence asks to look at; `files` are the names in the working folder. None: a question like any other.

    `n_media` is how many pictures and sounds the talk has: "look at the dog" is about what is in one of them, and can
    only be a file where there is none.
    """
    text = sentence.strip()
    for target, pattern in _ORDERS:
        if found := re.match(rf"{_POLITE}{pattern}\b", text, re.IGNORECASE):
            return Look(target, "", _rest(text[found.end() :]))
    for target, pattern in _QUESTIONS:
        if re.search(pattern, text, re.IGNORECASE):
            return Look(target, "", text)
    return _look_at_file(text, list(files), n_media)


def _look_at_file(text: str, files: list[str], n_media: int) -> Look | None:
    called = re.match(rf"{_POLITE}{_FILE} (?:{_CALLED}) ", text, re.IGNORECASE)
    found = called or re.match(rf"{_POLITE}{_FILE} {_KIND}", text, re.IGNORECASE)
    if found is None:
        return None
    after = text[found.end() :]
    name = _name(after)
    words = list(re.finditer(r"\S+", after))[:LONGEST_NAME]
    for end in sorted({match.end() for match in words}, reverse=True):  # the longest beginning that is a file's name
        if file := _same(after[:end], files):
            return Look("file", file, _rest(after[end:]))
    if file := _like(name, files):
        return Look("file", file, _rest(after[len(name) :]))
    if called:
        return Look("file", name, _rest(after[len(name) :]), False, _close(name, files)) if name else None
    order = re.match(rf"{_POLITE}(?P<verb>{_FILE}) ", text, re.IGNORECASE)
    assert order is not None, f"{text} begins with no order"
    heard = _name(text[order.end() :])
    name = _named(heard, n_media, is_open=re.fullmatch(_OPEN, order["verb"], re.IGNORECASE) is not None)
    rest = _rest(text[order.end() + len(heard) :])
    return Look("file", name, rest, is_there=False, close=_close(name, files)) if name else None


def _name(text: str) -> str:
    """What may be a name at the beginning of a text: all before a comma, the end of the sentence, or a question.

    Speech models leave out commas: "look at sunset what is there".
    """
    return re.split(rf"[,;?!]|\.(?=\s|$)|\s(?:{_NEXT})\b", text, maxsplit=1, flags=re.IGNORECASE)[0].strip()


def _named(heard: str, n_media: int, *, is_open: bool) -> str:
    """The name in what is to be looked at, though no file has it; nothing where something in a picture is meant.

    `sunset`, `the sunset picture`, `picture sunset` and `sunset dot png` are names. `the sunset` is one only where
    there is no picture that could show it, and `picture two` where there are not so many.
    """
    words = re.findall(r"[^\W_]+", heard)
    article = bool(words) and words[0].casefold() in ("the", "my", "a", "an")
    words = words[1:] if article else words
    while words and (words[-1].casefold().endswith("ly") or words[-1].casefold() in ("again", "now", "please")):
        words.pop()
    is_kind = [re.fullmatch(_KINDS, word, re.IGNORECASE) is not None for word in words]
    if is_kind[:1] == [True]:
        words = words[1:]
    elif is_kind[-1:] == [True]:
        words = words[:-1]
    lower = [word.casefold() for word in words]
    if not words or lower[0] in _DESCRIBED or lower[0].endswith("ly") or set(lower) <= _ADJECTIVES:
        return ""
    name = heard[heard.index(words[0]) : heard.rindex(words[-1]) + len(words[-1])]
    number = _DIGITS.get(lower[0], lower[0])
    if len(words) == 1 and number.isdecimal():
        return name if any(is_kind) and int(number) > n_media else ""
    if "dot" in lower[1:] or os.path.splitext(name)[1][1:].lower() in _ENDINGS.values():
        return name
    if len(words) > LONGEST_GUESS or _DESCRIBED & set(lower) or any(is_kind[1:-1]):
        return ""
    return name if any(is_kind) or (is_open and not (article and n_media)) else ""


def _close(name: str, files: list[str]) -> tuple[str, ...]:
    """Files whose names have much in common with what was heard."""
    wanted = _squashed(name)
    if len(wanted) < 3:
        return ()
    known = {file: _squashed(os.path.splitext(file)[0]) for file in files}
    alike = difflib.get_close_matches(wanted, known.values(), n=3, cutoff=0.6)
    return tuple(file for file, squashed in known.items() if wanted in squashed or squashed in alike)[:3]


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


def no_such_file(wanted: Look) -> InputError:
    """Nothing is answered then: it would be about another picture."""
    others = "type /attach and a part of its path, or ask without `look at`"
    if len(wanted.close) > 1:
        choices = ", ".join(f"`{name}`" for name in wanted.close)
        return InputError(f"`{wanted.name}` may be one of {len(wanted.close)} files: {choices}", hint=others)
    hint = f"did you mean `{wanted.close[0]}`? else {others}" if wanted.close else others
    return InputError(f"no file here sounds like `{wanted.name}`, so nothing was asked", hint=hint)


def files() -> list[str]:
    """The pictures and sounds in the working folder."""
    found: list[str] = []
    try:
        with os.scandir() as entries:
            for entry in entries:
                if looks_like_medium(entry.name):
                    found.append(entry.name)
                if len(found) >= MOST_FILES:
                    break
    except OSError:
        return []
    return sorted(found)
