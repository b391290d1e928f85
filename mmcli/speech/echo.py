"""Decides whether what was heard is what was being said aloud. Knows words only.

A microphone hears the loudspeaker. What it brings is a part of what was said, cut anywhere, and with the recogniser's
errors in it: `read circle` for "red circle". So letters are compared, over that stretch of whole words which fits best.
"""

from __future__ import annotations

import difflib
import re
import unicodedata

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
# Scripts that put no blanks between words: there each character counts as one.
_UNSPACED = re.compile(r"([\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")
_SENTENCE = re.compile(r"(?:[^.?!。？！]|[.?!](?=\S))+[.?!。？！]*")
_NUMBERS = dict(enumerate("zero one two three four five six seven eight nine ten eleven twelve".split()))
_SLACK = 2  # words more or less that a recogniser may make of a stretch


def resembles(heard: str, said: str) -> float:
    """How much `heard` is like the part of `said` that is most like it, 0 … 1.

    Unrelated sentences of one language reach about 0.5, and 0.7 where they share words; an echo with a few wrong words
    stays above 0.8.
    """
    return _closest(words(heard), words(said))[0]


def remainder(heard: str, said: str, likeness: float) -> str:
    """The sentences of `heard` that are not an echo of `said`.

    An echo keeps the order and comes once: each sentence is looked for behind the one that was found before it, and is
    one where it resembles a part by `likeness` or more. Single words are everybody's, and stay.
    """
    left, kept = words(said), []
    for sentence in filter(None, map(str.strip, _SENTENCE.findall(heard))):
        spoken = words(sentence)
        ratio, end = _closest(spoken, left)
        if len(spoken) > 1 and ratio >= likeness:
            left = left[end:]
        else:
            kept.append(sentence)
    return " ".join(kept)


def _closest(wanted: list[str], among: list[str]) -> tuple[float, int]:
    """The likeness of the stretch of `among` that is most like `wanted`, and the number of words up to its end."""
    if not wanted or not among:
        return 0.0, 0
    text, best, end = " ".join(wanted), 0.0, 0
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(text)
    for n_words in range(max(1, len(wanted) - _SLACK), min(len(among), len(wanted) + _SLACK) + 1):
        for start in range(len(among) - n_words + 1):
            matcher.set_seq1(" ".join(among[start : start + n_words]))
            if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best and matcher.ratio() > best:
                best, end = matcher.ratio(), start + n_words
    if len(among) < len(wanted) - _SLACK:  # more was heard than was said
        matcher.set_seq1(" ".join(among))
        best, end = matcher.ratio(), len(among)
    return best, end


def words(text: str) -> list[str]:
    """Words to compare: lower case, without accents and punctuation, small numbers in letters."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    found = _WORD.findall(_UNSPACED.sub(r" \1 ", bare))
    return [_NUMBERS.get(int(word), word) if word.isdecimal() and len(word) < 3 else word for word in found]
