"""Finds pieces: facts first, then vectors and words, made into one order. Knows tables and vectors; knows no models."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from mmcli import search_words
from mmcli.library import fusion
from mmcli.library.facts import PieceFacts, full, kilometres
from mmcli.library.records import FIELDS
from mmcli.library.vectors import best, scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmcli.library.remembered import StoredSpace
    from mmcli.library.store import Library

CANDIDATES = 1000  # of each order
AGAINST = 0.5  # weight of what is not wanted
BURST_SECONDS, BURST_COSINE = 10.0, 0.97  # pictures of one moment: shown once
_WEIGHTS = "1, 1, 1, 1, 1, 0.5"  # bm25's, by field: names say little
_EXCERPT = 80  # characters


@dataclass(frozen=True)
class Query:
    """What is looked for."""

    words: str = ""  # that are searched for in texts
    phrases: tuple[str, ...] = ()  # that must stand in a text as they are
    vector: NDArray[np.float32] | None = None  # (dim,) of unit length; None: words alone
    against: NDArray[np.float32] | None = None  # what is not wanted
    facts: PieceFacts = field(default_factory=PieceFacts)


@dataclass(frozen=True)
class FoundPiece:
    """One piece that was found."""

    piece: int
    content: int
    kind: str
    path: bytes
    also: tuple[bytes, ...] = ()  # other files with the same bytes, and pictures of the same burst
    start_ms: int = -1
    end_ms: int = -1
    page: int = -1
    taken: str | None = None
    place: str | None = None
    camera: str | None = None
    sha256: bytes = b""
    seconds: float | None = None
    cosine: float | None = None
    z: float | None = None  # None: words alone found it
    vector_rank: int | None = None
    words_rank: int | None = None
    excerpt: str = ""  # of the text around the words
    verified: float | None = None  # probability that a model that sees gives it

    @property
    def fragment(self) -> str:
        """Which part of the file it is: `page=7`, `t=12,16`; empty: all of it."""
        if self.page > 0:
            return f"page={self.page}"
        if self.start_ms >= 0:
            return f"t={_seconds(self.start_ms)},{_seconds(max(self.end_ms, self.start_ms + 1))}"
        return ""

    @property
    def source(self) -> str:
        """What `mmcli ask` takes."""
        name = os.fsdecode(self.path)
        return f"{name}#{self.fragment}" if self.fragment else name


@dataclass(frozen=True)
class Findings:
    """The answer to a query."""

    found: tuple[FoundPiece, ...]
    stands_out: bool | None = None  # whether the best score lies apart from the others; None: cannot be told
    n_searched: int = 0


def parse_words(text: str) -> tuple[str, tuple[str, ...]]:
    """Search words without quotation marks, and the phrases that stood in them."""
    phrases = tuple(phrase.strip() for phrase in re.findall(r'"([^"]+)"', text) if phrase.strip())
    return " ".join(text.replace('"', " ").split()), phrases


def search(library: Library, query: Query, n: int, *, fold: bool = True, least: float | None = None) -> Findings:
    """The best `n` pieces. `fold`: pictures of one moment are one result. `least`: z, below which nothing is shown."""
    space = library.serving() if query.vector is not None else None
    library.db.create_function("kilometres", 4, kilometres, deterministic=True)
    library.db.create_function("path_of", 2, full, deterministic=True)
    allowed = _allowed(library, query, space)
    by_vector, stands_out, n_searched = _by_vector(library, query, space, allowed, max(CANDIDATES, 2 * n))
    by_words = _by_words(library, query, allowed, max(CANDIDATES, 2 * n))
    ranks = {piece: rank for rank, (piece, _) in enumerate(by_words, 1)}
    order = fusion.fused(
        [([piece for piece, _, _ in by_vector], 1.0), ([piece for piece, _ in by_words], dict(by_words))]
    )
    known = {piece: (rank, cosine, z) for rank, (piece, cosine, z) in enumerate(by_vector, 1)}
    if not order and query.vector is None and not query.words:  # facts alone
        order = [(piece, 0.0) for piece in _by_date(library, allowed, n)]
    kept: list[FoundPiece] = []
    wanted = search_words.query(query.words)
    step = max(2 * n, 32)
    for at in range(0, len(order), step):
        numbers = [piece for piece, _ in order[at : at + step]]
        for found in _described(library, numbers, query):
            rank, cosine, z = known.get(found.piece, (None, None, None))
            if least is not None and z is not None and z < least and found.piece not in ranks:
                continue
            found = replace(found, cosine=cosine, z=z, vector_rank=rank, words_rank=ranks.get(found.piece))
            if found.words_rank is not None and wanted:
                found = replace(found, excerpt=_excerpt(library, found.piece, query.words))
            kept.append(found)
        if len(kept) >= n * (2 if fold else 1):
            break
    folded = _folded(library, space, kept) if fold and space is not None else kept
    return Findings(tuple(folded[:n]), stands_out, n_searched)


# 1 · facts


def _allowed(library: Library, query: Query, space: StoredSpace | None) -> dict[int, int | None] | None:
    """Pieces that meet the facts and have the phrases, with their rows; None: all of them do."""
    if query.facts.is_any and not query.phrases:
        return None
    condition, values = query.facts.sql()
    for phrase in query.phrases:
        condition += " AND pieces.id IN (SELECT rowid FROM texts WHERE texts MATCH ?)"
        values.append(search_words.phrase(phrase))
    rows = library.db.execute(
        "SELECT DISTINCT pieces.id, vectors.row FROM pieces JOIN contents ON contents.id = pieces.content"
        " JOIN files ON files.content = contents.id JOIN roots ON roots.id = files.root"
        f" LEFT JOIN vectors ON vectors.piece = pieces.id AND vectors.space = ? WHERE {condition}",
        (-1 if space is None else space.id, *values),
    )
    return dict(rows.fetchall())


def _by_date(library: Library, allowed: dict[int, int | None] | None, n: int) -> list[int]:
    """Pieces in the order in which they were taken; those without a date come last."""
    if allowed is None:
        return []
    rows = library.db.execute(
        "SELECT pieces.id FROM pieces JOIN contents ON contents.id = content"
        " WHERE pieces.id IN (SELECT value FROM json_each(?))"
        " ORDER BY taken IS NULL, taken, content, page, start_ms LIMIT ?",
        (json.dumps(list(allowed)), 2 * n),
    )
    return [row[0] for row in rows]


# 2 · vectors


def _by_vector(
    library: Library, query: Query, space: StoredSpace | None, allowed: dict[int, int | None] | None, most: int
) -> tuple[list[tuple[int, float, float]], bool | None, int]:
    """(piece, cosine, z) of the nearest ones, the nearest first; whether they stand out; among how many."""
    if query.vector is None or space is None:
        return [], None, 0
    matrix = library.vectors(space).rows()
    rows = None if allowed is None else np.array(sorted(row for row in allowed.values() if row is not None), np.int64)
    found = _scores(matrix, query, rows)
    usual = fusion.spread(found[np.isfinite(found)] if rows is None else _sample(matrix, query))
    top = best(found, most)
    top = top[np.isfinite(found[top])]
    pieces = _pieces(library, space, top if rows is None else rows[top])
    result = []
    for place in top.tolist():
        piece = pieces.get(int(place if rows is None else rows[place]))
        if piece is not None:
            score = float(found[place])
            result.append((piece, score, fusion.strength(score, usual)))
    return result, _stands_out(space, result, len(matrix)), len(found)


def _stands_out(space: StoredSpace, found: Sequence[tuple[int, float, float]], n_rows: int) -> bool | None:
    """Whether the best is what was looked for: by the model's own probability, else by how far it lies apart."""
    if not found:
        return None
    _, score, z = found[0]
    if space.enough is not None:
        return score >= space.enough
    return None if n_rows < fusion.FEW else z >= fusion.STANDS_OUT


def _scores(matrix: NDArray[np.float32], query: Query, rows: NDArray[np.int64] | None) -> NDArray[np.float32]:
    assert query.vector is not None
    found = scores(matrix, query.vector, rows)
    if query.against is not None:
        other = scores(matrix, query.against, rows)
        found = np.where(other > found, np.float32(-np.inf), found - np.float32(AGAINST) * other)
    return found


def _sample(matrix: NDArray[np.float32], query: Query) -> NDArray[np.float32]:
    """Scores of some of all rows: what is usual for this query, whatever the facts leave of them."""
    some = _scores(np.asarray(matrix[:: max(1, len(matrix) // 4096)]), query, None)
    return some[np.isfinite(some)]


def _pieces(library: Library, space: StoredSpace, rows: NDArray[np.int64]) -> dict[int, int]:
    """Row → piece, for rows that are alive and whose content is in a file that is here."""
    found = library.db.execute(
        "SELECT row, piece FROM vectors JOIN pieces ON pieces.id = piece WHERE space = ?"
        " AND row IN (SELECT value FROM json_each(?))"
        " AND EXISTS (SELECT 1 FROM files WHERE files.content = pieces.content AND files.state = 'here')",
        (space.id, json.dumps(rows.tolist())),
    )
    return dict(found.fetchall())


# 3 · words


def _by_words(
    library: Library, query: Query, allowed: dict[int, int | None] | None, most: int
) -> list[tuple[int, float]]:
    """(piece, weight) of those whose text has all words, then of those that have some; the best first."""
    found: dict[int, float] = {}
    every, some = search_words.query(query.words), search_words.any_of(query.words)
    for words, weight in ((every, 1.0), (some, 0.5)):
        if words is None or len(found) >= most or (weight < 1 and query.vector is None):
            continue
        rows = library.db.execute(
            f"SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY bm25(texts, {_WEIGHTS}), rowid LIMIT ?",
            (words, -1 if allowed is not None else most),
        )
        for (piece,) in rows:
            if (allowed is None or piece in allowed) and piece not in found:
                found[piece] = weight
    return list(found.items())[:most]


def _excerpt(library: Library, piece: int, words: str) -> str:
    """The line around the words, of the first field that has one of them; names are shown anyway."""
    row = library.db.execute(f"SELECT {', '.join(FIELDS[:-1])} FROM texts WHERE rowid = ?", (piece,)).fetchone()
    for text in row or ():
        if text and any(word.casefold() in text.casefold() for word in words.split()):
            return search_words.excerpt(text, words, _EXCERPT)
    return ""


# 4 · what they are


def _described(library: Library, numbers: Sequence[int], query: Query) -> Iterable[FoundPiece]:
    """The pieces in this order, with their facts and files; those of which no file is here are left out."""
    condition, values = query.facts.sql()
    rows = library.db.execute(
        "SELECT pieces.id, contents.id, pieces.kind, start_ms, end_ms, page, taken, place, camera, sha256, seconds,"
        " roots.path, files.path FROM pieces JOIN contents ON contents.id = pieces.content"
        " JOIN files ON files.content = contents.id JOIN roots ON roots.id = files.root"
        f" WHERE pieces.id IN (SELECT value FROM json_each(?)) AND {condition} ORDER BY files.id",
        (json.dumps(list(numbers)), *values),
    )
    found: dict[int, FoundPiece] = {}
    is_there: dict[bytes, bool] = {}
    for row in rows:
        path = full(row[11], row[12])
        if not os.path.lexists(path) and is_there.setdefault(row[11], _has_entries(row[11])):
            continue  # gone since the last look; where its whole folder is offline, it is kept
        before = found.get(row[0])
        if before is not None:
            found[row[0]] = (
                before if path in (before.path, *before.also) else replace(before, also=(*before.also, path))
            )
            continue
        found[row[0]] = FoundPiece(
            *(row[0], row[1], row[2], path, (), row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10])
        )
    return [found[number] for number in numbers if number in found]


def _has_entries(root: bytes) -> bool:
    """Whether there is anything at this place: an empty folder may be a disk that is not mounted."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is not None
    except NotADirectoryError:
        return True
    except OSError:
        return False


def _folded(library: Library, space: StoredSpace, found: Sequence[FoundPiece]) -> list[FoundPiece]:
    """Pictures of one burst as one result, the best of them; the others are named beside it."""
    matrix = library.vectors(space).rows()
    rows = _rows(library, space, [each.piece for each in found])
    kept: list[FoundPiece] = []
    for each in found:
        place = next((i for i, other in enumerate(kept) if _is_burst(each, other, matrix, rows)), None)
        if place is None:
            kept.append(each)
        else:
            kept[place] = replace(kept[place], also=(*kept[place].also, each.path, *each.also))
    return kept


def _is_burst(one: FoundPiece, other: FoundPiece, matrix: NDArray[np.float32], rows: dict[int, int]) -> bool:
    if one.kind != "picture" or other.kind != "picture" or one.taken is None or other.taken is None:
        return False
    if one.piece not in rows or other.piece not in rows or one.taken[:10] != other.taken[:10]:
        return False
    apart = abs((datetime.fromisoformat(one.taken) - datetime.fromisoformat(other.taken)).total_seconds())
    return apart <= BURST_SECONDS and float(matrix[rows[one.piece]] @ matrix[rows[other.piece]]) >= BURST_COSINE


def _rows(library: Library, space: StoredSpace, pieces: Sequence[int]) -> dict[int, int]:
    found = library.db.execute(
        "SELECT piece, row FROM vectors WHERE space = ? AND piece IN (SELECT value FROM json_each(?))",
        (space.id, json.dumps(list(pieces))),
    )
    return dict(found.fetchall())


def vector_of(library: Library, space: StoredSpace, path: bytes) -> NDArray[np.float32] | None:
    """The vector of an indexed file's first piece; None where the file is not indexed."""
    for root in library.roots():
        below = b"" if root.path == path else os.path.relpath(path, root.path)
        row = library.db.execute(
            "SELECT row FROM files JOIN pieces ON pieces.content = files.content"
            " JOIN vectors ON vectors.piece = pieces.id AND space = ?"
            " WHERE root = ? AND path = ? AND state = 'here' ORDER BY pieces.id LIMIT 1",
            (space.id, root.id, below),
        ).fetchone()
        if row is not None:
            return np.array(library.vectors(space).rows()[row[0]])
    return None


def combined(terms: Sequence[tuple[float, NDArray[np.float32]]]) -> NDArray[np.float32]:
    """Σ weight · vector, of unit length."""
    total = np.sum([np.float32(weight) * vector for weight, vector in terms], axis=0)
    length = float(np.linalg.norm(total))
    return np.asarray(total / length if length > 1e-6 else total, np.float32)


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f}".rstrip("0").rstrip(".")
