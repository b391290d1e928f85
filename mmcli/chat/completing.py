"""Completes what is typed in a chat: commands, paths, names of models, numbers of media. Knows no terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mmcli.chat.input import fold, is_quoted, unfold
from mmcli.media.sources import AUDIO_SUFFIXES, IMAGE_SUFFIXES

Wants = Literal["", "paths", "file", "model", "number", "command"]
MAX_CANDIDATES = 500  # names of a folder


@dataclass(frozen=True)
class Candidate:
    """`text` would take the place of the last `back` characters before the cursor."""

    text: str
    back: int
    shown: str
    about: str = ""


@dataclass(frozen=True)
class Words:
    """What the completion needs to know of the talk: asked anew each time."""

    commands: Mapping[str, tuple[str, Wants]]  # name → (help, what its argument is)
    models: Callable[[], Sequence[str]]
    n_media: Callable[[], int]


def candidates(text: str, words: Words) -> Iterator[Candidate]:
    """All that could go on the `text` before the cursor, in the order to show it."""
    if is_quoted(text):
        yield from _after_at(text)
        return
    command = re.match(r"/(\w*)\Z", text)
    if command:
        yield from _commands(command[1], words)
        return
    given = re.match(r"/(\w+)\s+(.*)\Z", text, re.S)
    if given and given[1] in words.commands:
        yield from _argument(words.commands[given[1]][1], given[2], words)
        return
    yield from _after_at(text)


def _commands(begun: str, words: Words) -> Iterator[Candidate]:
    for name, (about, wants) in words.commands.items():
        if name.startswith(begun):
            yield Candidate(f"/{name}" + (" " if wants else ""), len(begun) + 1, f"/{name}", about)
    if begun:  # an absolute path begins like a command
        yield from _paths("/" + begun)


def _argument(wants: Wants, begun: str, words: Words) -> Iterable[Candidate]:
    if wants in ("paths", "file"):
        last = re.search(r"(?:\\.|\S)*\Z", begun)
        return _paths(last[0] if last else "")
    if wants == "model":
        names = [name for name in words.models() if name.startswith(begun)]
        return (Candidate(name, len(begun), name) for name in names) if names or not begun else _paths(begun)
    if wants == "number":
        numbers = map(str, range(1, words.n_media() + 1))
        return (Candidate(number, len(begun), number) for number in numbers if number.startswith(begun))
    if wants == "command":
        bare = begun.removeprefix("/")
        return (Candidate(n, len(begun), n, a) for n, (a, _) in words.commands.items() if n.startswith(bare))
    return ()


def _after_at(text: str) -> Iterator[Candidate]:
    """A path after an `@` that begins a word; or, at the very beginning, one that can be nothing else."""
    at = re.search(r"(?<!\S)@((?:\\.|[^\s\\])*)\Z", text)
    if at:
        yield from _paths(at[1])
    elif re.match(r"(?:/|~/|\.{1,2}/)(?:\\.|\S)*\Z", text):
        yield from _paths(text)


def _paths(begun: str) -> Iterator[Candidate]:
    """Files and folders whose names begin so; hidden ones only where a dot was typed."""
    folder, name = os.path.split(unfold(begun) if begun else "")
    start = begun[: begun.rfind("/") + 1] if "/" in begun else ""
    yield from _fragments(begun)
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            found = sorted(
                (entry for entry, _ in zip(entries, range(MAX_CANDIDATES), strict=False)),
                key=lambda entry: entry.name.casefold(),
            )
    except (OSError, ValueError):
        return
    for entry in found:
        if not entry.name.startswith(name) or (entry.name.startswith(".") and not name.startswith(".")):
            continue
        try:
            end = "/" if entry.is_dir() else ""
        except OSError:
            end = ""
        yield Candidate(start + fold(entry.name) + end, len(begun), entry.name + end)


def _fragments(begun: str) -> Iterator[Candidate]:
    """`photo.jpg#` goes on with `xywh=`, where there is such a file: a part of it."""
    document, mark, fragment = begun.rpartition("#")
    path = os.path.expanduser(unfold(document) if document else "")
    suffix = os.path.splitext(path)[1].lower()
    for suffixes, name, about in (
        (IMAGE_SUFFIXES, "xywh=", "a box: x,y,width,height"),
        (AUDIO_SUFFIXES, "t=", "a stretch: begin,end in seconds"),
    ):
        if mark and suffix in suffixes and name.startswith(fragment) and os.path.isfile(path):
            yield Candidate(f"{document}#{name}", len(begun), f"#{name}", about)
