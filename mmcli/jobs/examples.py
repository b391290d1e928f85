"""Pictures with their answers, shown to a model before it is asked: read, checked, and put before the question.

An answer stands on the command line (`a.jpg=receipt`), in a file that is named there (`a.jpg=@a.json`), or beside its
picture in a folder (`a.txt`, `a.json`, `a.jpg.txt`, `a.jpg.json`: what `mmcli caption --sidecar` writes). Where answers
are labels, the name of a picture's sub-folder is its label, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmcli import media
from mmcli.engine import Message
from mmcli.errors import InputError, MmcliError, UsageError

MOST = 64  # that a model is shown before each question
MOST_BYTES = 1 << 20  # of an answer's file
_BESIDE = (".txt", ".json")


@dataclass(frozen=True)
class GivenExample:
    """An example before its picture is decoded: where it comes from, and the answer as it was given."""

    source: media.Source
    answer: str

    @property
    def shown(self) -> str:
        return self.source.shown


@dataclass(frozen=True)
class Example:
    """A picture, and what the right answer about it is."""

    picture: media.Image
    answer: str


def find(
    given: Sequence[str], folder: Path | None, *, labels: bool = False, most: int | None = MOST
) -> tuple[GivenExample, ...]:
    """The examples of `--example` in their order, then those of the `--examples` folder by name; nothing is decoded.

    `labels`: the answers are labels, so that a sub-folder's name is the one of its pictures. UsageError for one
    without an answer, or for more than `most`; InputError for a file that cannot be read.
    """
    found = [_of_argument(argument) for argument in given]
    if folder is not None:
        found += _of_folder(Path(os.path.expanduser(folder)), labels=labels)
    if most is not None and len(found) > most:
        raise UsageError(
            f"there are {len(found)} examples, and a model is shown {most} at most",
            hint="choose a few: each takes as much room as a picture",
        )
    return tuple(found)


def checked(named: Sequence[GivenExample], check: Callable[[str], str]) -> tuple[GivenExample, ...]:
    """The same with each answer as `check` gives it back; its errors say which example they are about."""
    found = []
    for one in named:
        try:
            found.append(replace(one, answer=check(one.answer)))
        except MmcliError as error:
            raise UsageError(f"the example {one.shown}: {error.message}", hint=error.hint) from error
    return tuple(found)


def load(named: Sequence[GivenExample], *, max_megapixels: float) -> tuple[Example, ...]:
    """Their pictures, decoded. InputError where one is no picture, or the same as another with another answer."""
    found: dict[str, Example] = {}
    for one in named:
        picture = media.load(one.source, kinds=frozenset({"image"}), max_megapixels=max_megapixels)
        if not isinstance(picture, media.Image):
            raise InputError(f"the example {one.shown} is no picture")
        same = found.setdefault(picture.id, Example(picture, one.answer))
        if same.answer != one.answer:
            raise InputError(
                f"the example {one.shown} is the same picture as {same.picture.receipt.source}, with another answer",
                hint="name each once",
            )
    return tuple(found.values())


def turns(examples: Sequence[Example], question: str) -> list[Message]:
    """The examples as turns of a conversation: the same question about each, and its answer."""
    return [
        message
        for one in examples
        for message in (Message("user", (one.picture, question)), Message("assistant", (one.answer,)))
    ]


def refuse(examples: Sequence[Example], media_id: str, shown: str) -> None:
    """InputError for a picture that is an example itself: the model would only repeat what it was told."""
    for one in examples:
        if one.picture.id == media_id:
            raise InputError(
                f"{shown} is one of the examples, so its answer is known",
                hint="leave it out of the examples, or out of what is asked about",
            )


def words(examples: Sequence[Example]) -> list[list[str]]:
    """What of them decides about an answer, for the keys of caches."""
    return [[one.picture.id, one.answer] for one in examples]


def _of_argument(argument: str) -> GivenExample:
    name, equals, answer = argument.rpartition("=")
    if not equals or not name or not answer.strip():
        raise UsageError(
            f"--example: `{argument}` is not FILE=ANSWER", hint='for example --example a.jpg="A red kite."'
        )
    source, *others = media.find([name], kinds=frozenset({"image"}))
    if others:
        raise UsageError(f"--example: `{name}` is more than one picture", hint="--examples DIR takes a folder")
    return GivenExample(
        source, _read(Path(os.path.expanduser(answer[1:]))) if answer.startswith("@") else answer.strip()
    )


def _of_folder(folder: Path, *, labels: bool) -> list[GivenExample]:
    if not folder.is_dir():
        raise InputError(f"--examples: there is no folder `{folder}`")
    sources = media.find([str(folder)], recursive=labels, kinds=frozenset({"image"}))
    found = []
    for source in sorted(sources, key=lambda source: source.name):
        assert source.path is not None
        beside = next(filter(os.path.isfile, _places(source.path)), None)
        in_sub_folder = os.path.realpath(source.path.parent) != os.path.realpath(folder)
        if beside is not None:
            found.append(GivenExample(source, _read(beside)))
        elif labels and in_sub_folder:
            found.append(GivenExample(source, source.path.parent.name))
        else:
            where = "in a folder named after its label, or " if labels else ""
            raise InputError(
                f"the example {source.shown} has no answer",
                hint=f"put it {where}beside it: {source.path.with_suffix('.txt').name}",
            )
    return found


def _places(picture: Path) -> list[Path]:
    """Where a picture's answer may lie."""
    names = [picture.name + suffix for suffix in _BESIDE] + [picture.with_suffix(suffix).name for suffix in _BESIDE]
    return [picture.with_name(name) for name in names]


def _read(path: Path) -> str:
    """A file's answer; of a sidecar with a caption in it, the caption."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"the answer in `{path}` is larger than a megabyte")
        text = path.read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot read the answer in `{path}`: {reason}") from error
    if not text:
        raise InputError(f"the answer in `{path}` is empty")
    if path.suffix.lower() == ".json":
        try:
            told = json.loads(text)
        except ValueError as error:
            raise InputError(f"the answer in `{path}` is not JSON") from error
        if isinstance(told, dict) and isinstance(told.get("caption"), str) and "receipts" in told:
            return str(told["caption"])
    return text
