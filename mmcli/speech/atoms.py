"""Splits a segment into the words that lines may be broken between, each with its time. Knows scripts; no cues.

Most scripts are broken at spaces. Chinese, Japanese, Thai, Lao, Khmer, Burmese and Tibetan are not: there, a line may
end after any character that can stand at an end. What is wider than a line is cut between characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mmcli.speech.transcript import Segment, Word

_UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3001-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\ua000-\ua4cf\uaa60-\uaa7f\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff9f\U00020000-\U0003fffd]"
)
_NO_START = frozenset(
    "、。，．・：；？！ー々〻ゝゞヽヾ…‥〜～–—％℃）」』】〉》〕］｝〟’”"
    "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ｡､･｣"
    "!%),.:;?]}'\""
    "ะาำๅๆฯะາຳໆฯ་།၊။។៕ៗ"
)
_NO_END = frozenset("（「『【〈《〔［｛〝‘“([{$£¥￥＄#เแโใไເແໂໃໄ")


@dataclass(frozen=True)
class Atom:
    """What is never cut: a word as a rule; in scripts without spaces, a character with its punctuation."""

    text: str
    start: float  # seconds
    end: float
    is_spaced: bool = False  # a space stands before it, unless it begins a line


def atoms(segment: Segment, width: int) -> list[Atom]:
    """A segment's, none of them wider than `width` columns; times ascend, estimated where the words have none."""
    found: list[Atom] = []
    for word in _words(segment):
        for text, start, end in _timed(_tokens(word.text), word.start, word.end):
            bare = text.strip()
            is_spaced = text[:1].isspace()
            if found and not is_spaced and not _may_break(found[-1].text, bare):
                found[-1] = replace(found[-1], text=found[-1].text + bare, end=max(found[-1].end, end))
            else:
                found.append(Atom(bare, start, end, is_spaced))
    return list(_ascending(piece for atom in found for piece in _narrow(atom, width)))


def joined(line: Sequence[Atom]) -> str:
    """A line's text."""
    return "".join((" " if atom.is_spaced and i else "") + atom.text for i, atom in enumerate(line))


def columns(text: str) -> int:
    """How wide a text is: East Asian characters take two columns, combining ones none."""
    from wcwidth import wcswidth

    return len(text) if text.isascii() else max(wcswidth(text), 0)


def is_right_to_left(text: str) -> bool:
    """Whether most of its letters are Arabic, Hebrew or the like."""
    kinds = [unicodedata.bidirectional(character) for character in text]
    return kinds.count("R") + kinds.count("AL") > kinds.count("L")


def begins_right_to_left(text: str) -> bool:
    """Whether the first character that has a direction has that one: players take a line's direction from it."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    return next((kind for kind in kinds if kind in ("L", "R", "AL")), "L") != "L"


def _words(segment: Segment) -> Sequence[Word]:
    words = segment.words
    if words and "".join("".join(word.text for word in words).split()) == "".join(segment.text.split()):
        return words
    return (Word(segment.start, segment.end, segment.text, segment.confidence),)


def _tokens(text: str) -> Iterator[str]:
    """A text's parts between which a line may be broken, with the space before each."""
    from wcwidth import iter_graphemes

    for word in re.findall(r"\s*\S+", text):
        if not _UNSPACED.search(word):
            yield word
            continue
        part = ""
        for character in iter_graphemes(word):
            if part.strip() and _may_break(part, character):
                yield part
                part = ""
            part += character
        yield part


def _may_break(before: str, after: str) -> bool:
    """Whether a line may end between two texts without a space between them."""
    if not (_UNSPACED.match(before[-1]) or _UNSPACED.match(after[0])):
        return False
    if after[0] in _NO_START or before[-1] in _NO_END:
        return False
    return not unicodedata.category(after[0]).startswith("M")


def _timed(tokens: Iterator[str], start: float, end: float) -> Iterator[tuple[str, float, float]]:
    """Each with the part of the time that its width is of all."""
    parts = list(tokens)
    widths = [columns(part) or 1 for part in parts]
    done, total = 0, sum(widths)
    for part, width in zip(parts, widths, strict=True):
        begin = start + (end - start) * done / total
        done += width
        yield part, begin, start + (end - start) * done / total


def _narrow(atom: Atom, width: int) -> Iterator[Atom]:
    """The word, or what it is cut into because no line can hold it."""
    from wcwidth import iter_graphemes

    if columns(atom.text) <= width:
        yield atom
        return
    parts = [""]
    for character in iter_graphemes(atom.text):
        if parts[-1] and columns(parts[-1] + character) > width:
            parts.append("")
        parts[-1] += character
    for i, (text, start, end) in enumerate(_timed(iter(parts), atom.start, atom.end)):
        yield Atom(text, start, end, atom.is_spaced and i == 0)


def _ascending(found: Iterator[Atom]) -> Iterator[Atom]:
    before = float("-inf")
    for atom in found:
        start = max(atom.start, before)
        before = max(atom.end, start)
        yield replace(atom, start=start, end=before)
