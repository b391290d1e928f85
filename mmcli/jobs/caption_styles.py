"""What is asked of the model for each style of caption, and how its answer is tidied. Data; knows no engine."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mmcli import languages

# How models begin where they should come to the point; taken off names only.
_LEAD_IN = re.compile(
    r"(?:(?:i (?:can )?see|there (?:is|are)|(?:this|the|it) (?:is|shows|depicts|contains|features)|"
    r"(?:this|the|an?) (?:image|picture|photo|photograph|drawing)(?: (?:is|shows|of|depicts|contains|features))?)\s+)+",
    re.IGNORECASE,
)
# Control characters, line separators, direction overrides, "tags"; joiners stay, as many scripts are spelt with them.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]")
_QUOTES = ('""', "''", "“”", "‘’", "«»", "„“", "``", "**")


@dataclass(frozen=True)
class CaptionStyle:
    """One way to describe a picture; `tidy` takes the model's answer, on one line, and gives the caption."""

    prompt: str
    max_tokens: int
    tidy: Callable[[str], str]


def plain(text: str) -> str:
    """Without the quotation marks a model may put around all of it, and without Markdown's label before it."""
    text = re.sub(
        r"^\W{0,3}(?:caption|alt[- ]text|description|tags|file ?name)\W{0,3}:\W{0,3}\s*", "", text, flags=re.I
    )
    for opening, closing in (tuple(pair) for pair in _QUOTES):
        if len(text) > 2 and text[0] == opening and text[-1] == closing and opening not in text[1:-1]:
            text = text[1:-1].strip()
    return text


def tags(text: str) -> str:
    """Each tag once, separated by a comma and a space, however the model put them."""
    parts = (re.sub(r"^[\s\-*#]*(?:\d{1,2}[.)]\s+)?", "", part) for part in re.split(r"[,;\n•|]", plain(text)))
    names = [part.strip(" .\t\"'`*").casefold() for part in parts]
    return ", ".join(dict.fromkeys(name for name in names if name))


def file_name(text: str) -> str:
    """A name without extension: letters and digits in words joined by hyphens, lower case, at most 60 characters."""
    text = re.sub(r"\.[A-Za-z]{3,4}$", "", plain(text).strip())
    text = _LEAD_IN.sub("", text, count=1)
    text = re.sub(r"^(?:an?|the)\s+", "", text, flags=re.IGNORECASE)
    text = unicodedata.normalize("NFC", text.casefold()).replace("'", "").replace("’", "")
    words = "".join(char if unicodedata.category(char)[0] in "LMN" else " " for char in text).split()
    name = ""
    for word in words:
        if len(name) + 1 + len(word) > LONGEST_NAME:
            break
        name = f"{name}-{word}" if name else word
    return name or "-".join(words)[:LONGEST_NAME]


LONGEST_NAME = 60  # characters: leaves room for numbers and extensions, and fits every file system in any script

STYLES: Mapping[str, CaptionStyle] = {
    "short": CaptionStyle("Describe this picture in one short sentence.", 64, plain),
    "detailed": CaptionStyle(
        "Describe this picture in detail: what is in it, where, its colors, and any text that can be read.", 400, plain
    ),
    "alt-text": CaptionStyle(
        "Write a short alt text for this picture, one or two plain sentences, at most 125 characters, without "
        '"picture of".',
        96,
        plain,
    ),
    "tags": CaptionStyle(
        "Give 5 to 12 tags for this picture: single words or short terms, separated by commas, and nothing else.",
        96,
        tags,
    ),
    "filename": CaptionStyle(
        "Write a short title for this picture, at most six words.",
        24,
        file_name,
    ),
}

ANY = CaptionStyle("", 0, plain)  # an answer on one line, whatever was asked


def question(style: CaptionStyle, *, prompt: str | None, language: str | None) -> str:
    """What is asked about every picture: the person's own words or the style's, and the language to answer in."""
    asked = (prompt or style.prompt).strip()
    if not language:
        return asked
    return f"{asked} Answer in {languages.name(language)}."


def with_facts(asked: str, facts: Mapping[str, str]) -> str:
    """The same with what the file says about itself before it, each fact under its own name."""
    if not facts:
        return asked
    lines = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    return f"What the file says about this picture (it may be wrong; use it only where it helps):\n{lines}\n\n{asked}"


def tidy(style: CaptionStyle, answer: str) -> str:
    """The caption in an answer: tidied, on one line, without control characters."""
    return " ".join(_CONTROLS.sub(" ", style.tidy(answer.strip())).split())
