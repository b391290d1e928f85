"""Ranks texts by the words of a question, with SQLite's FTS5 in memory. Knows no pages, files or models."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

NEAR_THE_BEST = 3  # texts whose neighbours come next: what a page says often goes on on the next one
_WEAK = 0.2  # of the best one's score: what is worse shares a common word at most
# Scripts without spaces between words: there, two neighbouring characters count as a word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_MAX_WORDS = 64  # of a question


def ranked(texts: Sequence[str], question: str) -> list[int]:
    """Places of the texts that have words of the question, the best first, then the neighbours of the best."""
    scores = _scores(texts, question)
    best = [place for place, score in scores if score >= _WEAK * scores[0][1]]
    leading = best[:NEAR_THE_BEST]
    neighbours = [place + step for place in leading for step in (1, -1) if 0 <= place + step < len(texts)]
    return list(dict.fromkeys([*leading, *neighbours, *best]))


def _scores(texts: Sequence[str], question: str) -> list[tuple[int, float]]:
    """(place, score) of the texts with any word of the question, the best first; larger is better."""
    wanted = list(dict.fromkeys(_words(question)))[:_MAX_WORDS]
    if not wanted:
        return []
    database = sqlite3.connect(":memory:")
    try:
        # Porter's stems: `zebras` finds `zebra`. What it does to other languages, it does to both sides.
        database.execute(
            "CREATE VIRTUAL TABLE pages USING fts5(words, tokenize = 'porter unicode61 remove_diacritics 2')"
        )
        rows = ((place + 1, " ".join(_words(text))) for place, text in enumerate(texts))
        database.executemany("INSERT INTO pages (rowid, words) VALUES (?, ?)", rows)
        query = " OR ".join(f'"{word}"' for word in wanted)
        found = database.execute(
            "SELECT rowid - 1, -bm25(pages) FROM pages WHERE pages MATCH ? ORDER BY 2 DESC, 1", (query,)
        ).fetchall()
    finally:
        database.close()
    # bm25 of a word that half of the texts have is about 0, or less: it says nothing about any of them
    return [(place, score) for place, score in found if score > 1e-9] or [(place, 1.0) for place, _ in found]


def _words(text: str) -> list[str]:
    """The words of a text; in scripts without spaces, its pairs of characters."""
    found: list[str] = []
    for word in re.findall(r"\w+", text.replace("_", " ")):
        begin = 0
        for run in _UNSPACED.finditer(word):
            found += [word[begin : run.start()]] if run.start() > begin else []
            chars = run[0]
            found += [chars[i : i + 2] for i in range(max(len(chars) - 1, 1))]
            begin = run.end()
        found += [word[begin:]] if begin < len(word) else []
    return found
