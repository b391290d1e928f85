"""Prepares search words, and texts to search in, for FTS5. Knows no tables."""

from __future__ import annotations

import re

# Written without spaces between words: each character counts as a word, and a run of them is searched as a phrase.
_UNSPACED = re.compile(
    r"([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)


def indexed(*texts: str) -> str:
    """What the index is given of a turn."""
    return _spaced("\n".join(texts))


def query(words: str) -> str | None:
    """An FTS5 query for turns that have all of `words`, or words that begin with them; None: there are none."""
    wanted = [_spaced(re.sub(r"[^\w]+", " ", word)).strip() for word in words.split()]
    return " AND ".join(f'"{word}"*' for word in wanted if word) or None


def any_of(words: str) -> str | None:
    """An FTS5 query for texts that have one of `words`; short ones say nothing. None: there are fewer than two."""
    wanted = [_spaced(re.sub(r"[^\w]+", " ", word)).strip() for word in words.split()]
    told = [word for word in wanted if len(word) > 2]
    return " OR ".join(f'"{word}"' for word in told) if len(wanted) > 1 and told else None


def phrase(words: str) -> str:
    """An FTS5 query for texts in which these words stand in this order."""
    return '"' + _spaced(re.sub(r"[^\w]+", " ", words)).strip() + '"'


def excerpt(text: str, words: str, width: int = 100, before: int | None = None) -> str:
    """A line of the text around the first of the words, at most about `width` characters.

    At most about `before` of them stand before that word (None: a third).
    """
    flat = " ".join(text.split())
    places = [flat.casefold().find(word.casefold()) for word in words.split()]
    place = min((place for place in places if place >= 0), default=0)
    start = max(0, place - (width // 3 if before is None else before))
    if start:
        start = flat.find(" ", start, place) + 1 or start
    cut = flat[start : start + width]
    return ("…" if start else "") + cut + ("…" if start + width < len(flat) else "")


def unspaced(text: str) -> str:
    """A text as it was before `indexed`."""
    return re.sub(f" ({_UNSPACED.pattern[1:-1]}) ", r"\1", text)


def _spaced(text: str) -> str:
    return _UNSPACED.sub(r" \1 ", text)
