"""Keywords from a person's own list, and tags that are held to it. Reads one file; knows no engine."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mmcli import files
from mmcli.errors import InputError
from mmcli.jobs.caption_styles import CaptionStyle, tags

MAX_BYTES = 1 << 20
LONGEST_TAG = 4  # words; a longer one is a sentence
MOST_ASKED = 300  # keywords of a list that the model is told; a longer one would fill its context


@dataclass(frozen=True)
class Vocabulary:
    """The only words that tags may be, spelt as the list has them."""

    words: tuple[str, ...]

    def style(self, style: CaptionStyle) -> CaptionStyle:
        """A style for tags that asks for these words, and takes no other from an answer."""
        prompt = style.prompt
        if len(self.words) <= MOST_ASKED:
            prompt = f"{prompt} Use only tags from this list: {', '.join(self.words)}."
        return replace(style, prompt=prompt, tidy=self.only)

    def only(self, answer: str) -> str:
        """The tags of an answer that are in the list, in its spelling, separated by a comma and a space."""
        known = {_folded(word): word for word in reversed(self.words)}
        named = [word for tag in tags(answer).split(", ") for word in _named(tag, known)]
        return ", ".join(dict.fromkeys(named))


def load(path: Path) -> Vocabulary:
    """The keywords of a file, one a line or separated by commas; InputError where there are none."""
    data = files.read(path, max_bytes=MAX_BYTES)
    if data is None:
        raise InputError(f"no file named `{path}`", hint="--keywords-from takes a text file, one keyword a line")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"`{path}` is not UTF-8 text, so it is not a list of keywords") from error
    words = [" ".join(_visible(word).split()) for word in re.split(r"[,;\n\r]", text)]
    unique: dict[str, str] = {}
    for word in filter(None, words):
        unique.setdefault(_folded(word), word)
    if not unique:
        raise InputError(f"`{path}` holds no keywords", hint="one a line, or separated by commas")
    return Vocabulary(tuple(unique.values()))


def _visible(word: str) -> str:
    return "".join(char if unicodedata.category(char)[0] != "C" else " " for char in word)


def _named(tag: str, known: Mapping[str, str]) -> list[str]:
    """The keywords that a tag is or, where a weak model wrote a sentence instead of tags, that it holds."""
    words = _folded(tag).split()
    if (whole := _keyword(" ".join(words), known)) is not None:
        return [whole]
    if len(words) <= LONGEST_TAG:
        return []
    words = [word.strip(".,:;!?()\"'") for word in words]
    longest = max(len(name.split()) for name in known)
    runs = (" ".join(words[start : start + n]) for start in range(len(words)) for n in range(1, longest + 1))
    return [word for run in runs if (word := _keyword(run, known)) is not None]


def _keyword(folded: str, known: Mapping[str, str]) -> str | None:
    """A list's `tree` for `tree` and for `trees`, and the other way round."""
    forms = (folded, folded.removesuffix("s"), folded.removesuffix("es"), f"{folded}s", f"{folded}es")
    return next((known[form] for form in forms if form in known), None)


def _folded(word: str) -> str:
    """A word as it is compared: without case, and with a space for a hyphen or an underscore."""
    return " ".join(re.sub(r"[-_\s]+", " ", unicodedata.normalize("NFKC", word).casefold()).split())
