"""What was computed before, and which sidecars mmcli wrote: one SQLite file, size-capped. Knows no pictures, no engine.

A result is found by the picture's media ID (its pixels) and everything that could change its caption; a file's
SHA-256 leads to its media ID without decoding it. So a file that was moved, renamed or tagged costs nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmcli.engine import Answer, Seen, Usage
from mmcli.media import Receipt

VERSION = 1  # of the tables; another one begins anew
_MAX_BYTES = 1 << 30
_TABLES = """
CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, answer TEXT, setup TEXT, seconds REAL);
CREATE TABLE IF NOT EXISTS pictures (sha256 TEXT PRIMARY KEY, media_id TEXT, receipt TEXT);
CREATE TABLE IF NOT EXISTS sidecars (path TEXT PRIMARY KEY, picture TEXT, digest TEXT);
CREATE INDEX IF NOT EXISTS by_setup ON results (setup);
CREATE INDEX IF NOT EXISTS by_picture ON sidecars (picture);
"""


def key(setup: str, text: str, media_id: str) -> str:
    """The name of a result: what computes it, what is asked, about which pixels."""
    return hashlib.sha256(json.dumps([setup, text, media_id]).encode()).hexdigest()


class Results:
    """Safe to use from several threads and processes. A disk that refuses is told once; then nothing is kept."""

    def __init__(
        self, path: Path | None, *, max_bytes: int = _MAX_BYTES, on_warning: Callable[[str], None] = lambda text: None
    ) -> None:
        """`path` None: results are known to this run only (in a temporary file of SQLite's own)."""
        self._lock = threading.Lock()
        self._on_warning = on_warning
        self._max_bytes = max_bytes
        self._path = path
        self._writes = 0
        try:
            self._db = _opened(path)
        except (sqlite3.Error, OSError) as error:
            self._warn(error)
            self._db = _opened(None)

    def close(self) -> None:
        with self._lock, suppress(sqlite3.Error):
            self._db.close()

    # results

    def seen_before(self, sha256: str) -> tuple[str, Receipt] | None:
        """The media ID and the receipt of a file with these bytes, if one was decoded before."""
        row = self._one("SELECT media_id, receipt FROM pictures WHERE sha256 = ?", sha256)
        return (row[0], _receipt(json.loads(row[1]))) if row else None

    def load(self, name: str, receipt: Receipt) -> Answer | None:
        """The answer that was computed under that key, with the receipt of the file it is asked for now."""
        row = self._one("SELECT answer FROM results WHERE key = ?", name)
        return _answer(json.loads(row[0]), receipt) if row else None

    def save(self, name: str, setup: str, answer: Answer, seconds: float) -> None:
        """Keep an answer about one picture; `seconds` is what it cost by the clock."""
        (seen,) = answer.seen
        receipt = json.dumps(dataclasses.asdict(seen.receipt))
        stored = dataclasses.asdict(dataclasses.replace(answer, seen=()))
        stored["seen"] = {"media_id": seen.media_id, "n_tokens": seen.n_tokens, "n_pos": seen.n_pos}
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", (name, json.dumps(stored), setup, seconds)
            )
            self._db.execute(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?)", (seen.receipt.sha256, seen.media_id, receipt)
            )
            self._make_room()

    def know(self, receipt: Receipt, media_id: str) -> None:
        """Remember which pixels a file's bytes hold."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?)",
                (receipt.sha256, media_id, json.dumps(dataclasses.asdict(receipt))),
            )

    def seconds(self, setup: str) -> float | None:
        """What a picture cost under this setup so far, on average; None where none was computed."""
        row = self._one("SELECT avg(seconds) FROM (SELECT seconds FROM results WHERE setup = ? LIMIT 200)", setup)
        return float(row[0]) if row and row[0] is not None else None

    # sidecars

    def is_ours(self, path: Path, data: bytes) -> bool:
        """Whether mmcli wrote exactly this content there: then nobody's own words are lost by replacing it."""
        row = self._one("SELECT digest FROM sidecars WHERE path = ?", _text(path))
        return bool(row) and row[0] == hashlib.sha256(data).hexdigest()

    def owner(self, path: Path) -> str | None:
        """The picture that a sidecar was last written for."""
        row = self._one("SELECT picture FROM sidecars WHERE path = ?", _text(path))
        return str(row[0]) if row else None

    def wrote(self, path: Path, picture: Path, data: bytes) -> None:
        """Told before a sidecar takes its place, so that a killed run still knows it as its own."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO sidecars VALUES (?, ?, ?)",
                (_text(path), picture_name(picture), hashlib.sha256(data).hexdigest()),
            )

    def of_picture(self, picture: Path) -> list[Path]:
        """The sidecars that were last written for a picture, wherever they lie."""
        try:
            with self._lock:
                rows = self._db.execute("SELECT path FROM sidecars WHERE picture = ?", (picture_name(picture),))
                return [Path(ast.literal_eval(path)) for (path,) in rows.fetchall()]
        except sqlite3.Error as error:
            self._give_up(error)
            return []

    def moved(self, old: Path, new: Path) -> None:
        """A picture or a sidecar has a new name."""
        with self._writing():
            self._db.execute("UPDATE OR REPLACE sidecars SET path = ? WHERE path = ?", (_text(new), _text(old)))
            self._db.execute(
                "UPDATE sidecars SET picture = ? WHERE picture = ?", (picture_name(new), picture_name(old))
            )

    # SQLite

    def _one(self, query: str, value: str) -> Any:
        try:
            with self._lock:
                return self._db.execute(query, (value,)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None

    def _writing(self) -> _Writing:
        return _Writing(self)

    def _make_room(self) -> None:
        """Forget the oldest results when the file has grown too large: a tenth at a time."""
        self._writes += 1
        if self._path is None or self._writes % 500:
            return
        n_pages, page = (self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        n_free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        if (n_pages - n_free) * page <= self._max_bytes:
            return
        for table in ("results", "pictures"):  # a row that is written gets the highest rowid: the lowest are oldest
            oldest = f"SELECT rowid FROM {table} ORDER BY rowid LIMIT (SELECT count(*) / 10 + 1 FROM {table})"
            self._db.execute(f"DELETE FROM {table} WHERE rowid IN ({oldest})")

    def _give_up(self, error: Exception) -> None:
        with self._lock:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = _opened(None)
        self._warn(error)

    def _warn(self, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) else error
        self._on_warning(f"captions are not kept for the next run: {reason} (`{self._path}`)")


class _Writing:
    """One transaction; a disk that refuses ends the keeping of results, never the run."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def __enter__(self) -> None:
        self._results._lock.acquire()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        failure = error if isinstance(error, sqlite3.Error) else None
        try:
            if error is None:
                self._results._db.commit()
        except sqlite3.Error as refused:
            failure = refused
        finally:
            self._results._lock.release()
        if failure is not None:
            self._results._give_up(failure)
        return failure is not None


def _opened(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    try:
        return _with_tables(path)
    except sqlite3.DatabaseError as error:
        if path is None or isinstance(error, sqlite3.OperationalError):
            raise
        for suffix in ("", "-wal", "-shm"):  # damaged, or something else altogether: it can be computed again
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return _with_tables(path)


def _with_tables(path: Path | None) -> sqlite3.Connection:
    db = sqlite3.connect("" if path is None else path, timeout=30, check_same_thread=False)
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        # Whole after a crash of this program; after a power failure the last captions may have to be made again.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if version != VERSION:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                db.execute(f'DROP TABLE "{name}"')
        db.executescript(_TABLES + f"PRAGMA user_version = {VERSION};")
    except BaseException:
        db.close()
        raise
    return db


def picture_name(picture: Path) -> str:
    """A picture as `owner` gives it."""
    return ascii(os.path.realpath(picture))


def _text(path: Path) -> str:
    """A path as a key; ASCII, since SQLite's texts have no place for bytes that are no UTF-8."""
    return ascii(os.path.realpath(path.parent) + os.sep + path.name)


def _receipt(values: dict[str, Any]) -> Receipt:
    sizes = {name: tuple(values[name]) for name in ("source_size", "sent_size") if values.get(name)}
    return Receipt(**{**values, **sizes, "notes": tuple(values["notes"])})


def _answer(values: dict[str, Any], receipt: Receipt) -> Answer:
    seen = Seen(receipt, origin="disk", **values.pop("seen"))
    usage = Usage(**values.pop("usage"))
    return Answer(**{**values, "seen": (seen,), "usage": usage})
