"""Parses a typed line: a command, files to attach, or a question. Checks whether files exist; opens none.

Terminals paste a dropped file in their own ways: quoted, with backslashes before spaces, as a file:// URL, or bare.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from mmcli.media.sources import AUDIO_SUFFIXES, IMAGE_SUFFIXES, without_part

QUOTES = '"""'  # around a message of several lines
_WORD = re.compile(
    r"(?P<shell>(?:'[^']*'|\"[^\"]*\"|\\.|[^\s'\"\\])+)(?=\s|\Z)|(?P<bare>\S+)"
    if os.sep == "/"
    else r"(?P<shell>(?:'[^']*'|\"[^\"]*\"|[^\s'\"])+)(?=\s|\Z)|(?P<bare>\S+)"  # a backslash parts folders there
)
_AT = re.compile(r"(?<!\S)@(?P<path>'[^']*'|\"[^\"]*\"|(?:\\.|[^\s\\])+)")
_SCHEME = re.compile(r"(?:https?|file)://\S+\Z", re.I)
_ROOTED = re.compile(r"(?:/|~/|\./|\.\./|file://|[A-Za-z]:[\\/])")
_FIXED = re.compile(r"(?:/|file://|[A-Za-z]:[\\/])")
_ENDINGS = ".,;:!?)]}'\""


@dataclass(frozen=True)
class Empty:
    """Nothing but white space."""


@dataclass(frozen=True)
class Command:
    """`/name argument`; whether there is such a command is not looked at."""

    name: str
    argument: str


@dataclass(frozen=True)
class Attach:
    """Files at the beginning of the line, and the question after them, if there is one."""

    paths: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Question:
    """Words for the model; `@path` in them is not looked at (`files_in` does)."""

    words: str


Line: TypeAlias = Empty | Command | Attach | Question


def read(text: str, commands: Collection[str] = ()) -> Line:
    """What `text` means. An absolute path at its beginning is a file, unless a command has that name."""
    text = text.strip()
    if not text:
        return Empty()
    if is_quoted(text):
        words = text.removeprefix(QUOTES).removesuffix(QUOTES).strip()
        return Question(words) if words else Empty()
    found = list(_words(text))
    first, _ = found[0]
    if text.startswith("/"):
        name = text.split(maxsplit=1)[0][1:]
        if name in commands or (re.fullmatch(r"[A-Za-z?!]+", name) and not _exists(first)):
            return Command(name, text[len(name) + 1 :].strip())
    if _exists(text) and (_ROOTED.match(text) or looks_like_medium(text)):
        return Attach((text,), "")
    if _FIXED.match(first):
        return _files_first(text, found)
    if all(_exists(word) and (_ROOTED.match(word) or looks_like_medium(word)) for word, _ in found) or _SCHEME.match(
        text
    ):
        return Attach(tuple(word for word, _ in found), "")
    paths, _ = files_in(text)
    return Attach(paths, "") if paths and not _AT.sub("", text).strip() else Question(text)


def files_in(words: str) -> tuple[tuple[str, ...], str]:
    """The files that a message names with `@path`, and the message with their bare names in their places.

    What looks like a path is one, even if there is no such file: to leave out a picture in silence would be worse. A
    word such as `@alice` stays what it is.
    """
    paths: list[str] = []

    def name(match: re.Match[str]) -> str:
        whole = match["path"]
        path = unfold(whole)
        ending = ""
        if not _is_there(path) and whole[-1] in _ENDINGS:
            bare = path.rstrip(_ENDINGS)
            if _exists(bare) or looks_like_medium(bare):
                path, ending = bare, path[len(bare) :]
        named = path if _is_there(path) else without_part(path)
        if not (os.path.isfile(os.path.expanduser(named)) or _ROOTED.match(path) or looks_like_medium(path)):
            return match[0]
        paths.append(path)
        return os.path.basename(named) + ending

    words = _AT.sub(name, words)
    return tuple(paths), words


def split(argument: str) -> list[str]:
    """The words of an argument, as a shell would take them."""
    return [word for word, _ in _words(argument)]


def dropped(text: str) -> tuple[str, ...]:
    """The files that a paste names, if it is nothing but the whole paths of pictures or sounds that exist."""
    text = text.strip()
    words = [text] if _FIXED.match(text) and _exists(text) else split(text)
    return tuple(words) if words and all(_FIXED.match(w) and _exists(w) and looks_like_medium(w) for w in words) else ()


def unfold(word: str) -> str:
    """A word as a shell would take it: without quotes, and without the backslashes before what they protect."""
    if os.sep != "/":
        return word.replace('"', "").replace("'", "")
    parts = re.findall(r"'([^']*)'|\"([^\"]*)\"|\\(.)|([^'\"\\]+)", word)
    return "".join("".join(part) for part in parts) if parts else word


def fold(path: str) -> str:
    """A path as one word of a line; the opposite of `unfold`."""
    return re.sub(r"([\s'\"\\])", r"\\\1", path) if os.sep == "/" else f'"{path}"' if " " in path else path


def is_quoted(text: str) -> bool:
    """Whether the message stands, or begins to stand, between triple quotes: commands mean nothing in it."""
    return text.lstrip().startswith(QUOTES)


def is_open(text: str) -> bool:
    """Whether a message that began with triple quotes waits for those at its end."""
    return is_quoted(text) and text.count(QUOTES) == 1


def _words(text: str) -> Iterator[tuple[str, int]]:
    """The words of a line as a shell would take them, each with the place after it."""
    for match in _WORD.finditer(text):
        yield (unfold(match["shell"]) if match["shell"] else match["bare"]), match.end()


def _files_first(text: str, found: list[tuple[str, int]]) -> Attach:
    """The files a line begins with: the first word whether it exists or not, then all that do."""
    paths, end = [found[0][0]], found[0][1]
    for word, after in found[1:]:
        if not (_FIXED.match(word) and _exists(word)):
            break
        paths.append(word)
        end = after
    return Attach(tuple(paths), text[end:].strip())


def _exists(path: str) -> bool:
    """Whether there is such a file or folder, or one that this is a part of."""
    return _is_there(path) or _is_there(without_part(path))


def _is_there(path: str) -> bool:
    if path.startswith("file://"):
        from urllib.parse import unquote, urlsplit

        path = unquote(urlsplit(path).path)
    try:
        return os.path.exists(os.path.expanduser(path))
    except ValueError:  # a NUL byte
        return False


def looks_like_medium(path: str) -> bool:
    """Whether a name ends as those of pictures and sounds do, or names a part of one."""
    return os.path.splitext(without_part(path))[1].lower() in IMAGE_SUFFIXES | AUDIO_SUFFIXES
