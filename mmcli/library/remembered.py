"""What a library remembers of questions: vectors of texts that were searched for, and what a model said of pieces."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from typing import TYPE_CHECKING

import numpy as np

from mmcli.database import transaction

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from mmcli.embed.protocol import Space

MOST_QUERIES = 10_000


class StoredSpace:
    """A space that the library has vectors of."""

    def __init__(self, row: tuple[int, bytes, str, int, bytes, str, str, float | None]) -> None:
        self.id, self.identity, self.name, self.dim, self.canary, self.file, self.state, self.enough = row


class Remembering:
    """The part of a library that readers may write to; where another process writes, it is not waited for."""

    db: sqlite3.Connection

    def query(self, space: StoredSpace, text: str) -> NDArray[np.float32] | None:
        """The vector of a text that was searched for before."""
        row = self.db.execute("SELECT vector FROM queries WHERE space = ? AND text = ?", (space.id, text)).fetchone()
        return None if row is None else np.frombuffer(row[0], "<f4").astype(np.float32)

    def keep_query(self, space: StoredSpace, text: str, vector: NDArray[np.float32]) -> None:
        """Remember it."""
        data = np.ascontiguousarray(vector, "<f4").tobytes()
        with contextlib.suppress(sqlite3.Error):
            self.db.execute("PRAGMA busy_timeout = 100")
            with transaction(self.db) as db:
                db.execute("INSERT OR REPLACE INTO queries VALUES (?, ?, ?, ?)", (space.id, text, data, time.time()))
                db.execute(
                    "DELETE FROM queries WHERE used < (SELECT used FROM queries ORDER BY used DESC LIMIT 1 OFFSET ?)",
                    (MOST_QUERIES,),
                )

    def verdict(self, piece: int, question: str, model: str) -> float | None:
        """The probability of a yes that a model gave before."""
        row = self.db.execute(
            "SELECT p FROM verdicts WHERE piece = ? AND question = ? AND model = ?", (piece, question, model)
        ).fetchone()
        return None if row is None else float(row[0])

    def keep_verdict(self, piece: int, question: str, model: str, p: float) -> None:
        """Remember it."""
        with contextlib.suppress(sqlite3.Error):
            self.db.execute("PRAGMA busy_timeout = 100")
            with transaction(self.db) as db:
                db.execute("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?)", (piece, question, model, p))


def option(folder: Path) -> str:
    """What names this library on the command line, where it needs to be named."""
    return "" if folder.name == "default" else f" --index {folder.name}"


def enough(space: Space) -> float | None:
    """The cosine at which the sigmoid of a calibrated model is one half."""
    return -space.bias / space.scale if space.calibrated and space.bias is not None else None
