"""What was computed before, and which sidecars mmcli wrote: one SQLite file, size-capped. Knows no pictures, no engine.

A result is found by the picture's media ID (its pixels) and everything that could change its caption; a file's
SHA-256 leads to its media ID without decoding it. So a file that was moved, renamed or tagged costs nothing.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmcli import files, schema
from mmcli.engine import Answer, Seen
from mmcli.media import Locator, Receipt

VERSION = 1  # of the tables; another one begins anew
_MAX_BYTES = 1 << 30
PATIENCE = 30.0  # seconds to wait for another process that writes; its transactions take milliseconds
_TABLES = """
CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, answer TEXT, setup TEXT, seconds REAL);
CREATE TABLE IF NOT EXISTS pictures (sha256 TEXT PRIMARY KEY, media_id TEXT, receipt TEXT);
CREATE TABLE IF NOT EXISTS sidecars (path TEXT PRIMARY KEY, picture TEXT, digest TEXT);
CREATE TABLE IF NOT EXISTS limits (base TEXT, max_tokens INTEGER, key TEXT, PRIMARY KEY (base, max_tokens));
CREATE INDEX IF NOT EXISTS by_setup ON results (setup);
CREATE INDEX IF NOT EXISTS by_picture ON sidecars (picture);
"""

_SAME_BASE = "SELECT answer, max_tokens FROM limits JOIN results USING (key) WHERE base = ? ORDER BY max_tokens DESC"


def key(setup: str, text: str, media_id: str) -> str:
    """A name of a result: what computes it, what is asked, about which pixels."""
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

    def seen_before(self, sha256: str, part: Locator | None = None) -> tuple[str, Receipt] | None:
        """The media ID and the receipt of a file with these bytes, or of that part of it, if it was decoded before."""
        row = self._one("SELECT media_id, receipt FROM pictures WHERE sha256 = ?", _decoded(sha256, part))
        with suppress(schema.Unreadable):  # it is decoded again
            if row and isinstance(row[0], str):
                return row[0], schema.made(Receipt, schema.parse(row[1]))
        return None

    def load(self, name: str, receipt: Receipt, *, base: str = "", max_tokens: int = 0) -> Answer | None:
        """The answer that was computed under that key, with the receipt of the file it is asked for now.

        `base` is the same key without the limit, `max_tokens`: an answer that another limit did not cut is the same
        under this one. One that was cut may have been made again since, with a higher limit, and is that one then.
        """
        row = self._one("SELECT answer FROM results WHERE key = ?", name)
        found = _read(row[0], receipt) if row else None
        if found is not None and not is_cut(found):
            return found
        for other, limit in self._of_base(base, receipt):
            if limit == max_tokens:
                return other
            is_same = limit < max_tokens or other.usage.completion_tokens < max_tokens
            if found is None and is_same and not is_cut(other):
                found = other
        return found

    def _of_base(self, base: str, receipt: Receipt) -> Iterator[tuple[Answer, int]]:
        """The answers under each limit, the highest one first."""
        for document, limit in self._all(_SAME_BASE, base):
            answer = _read(document, receipt)
            if answer is not None and isinstance(limit, int):
                yield answer, limit

    def save(
        self,
        name: str,
        setup: str,
        answer: Answer,
        seconds: float,
        *,
        base: str = "",
        max_tokens: int = 0,
        for_cut: bool = False,
    ) -> None:
        """Keep an answer about one picture; `seconds` is what it cost by the clock. The rest as `load` has it.

        `for_cut`: from now on it stands for what lower limits have cut off, too.
        """
        (seen,) = answer.seen
        receipt = json.dumps(dataclasses.asdict(seen.receipt))
        stored = dataclasses.asdict(dataclasses.replace(answer, seen=()))
        stored["seen"] = {"media_id": seen.media_id, "n_tokens": seen.n_tokens, "n_pos": seen.n_pos}
        limits = [max_tokens] if base else []
        if for_cut:
            limits += [low for cut, low in self._of_base(base, seen.receipt) if is_cut(cut) and low < max_tokens]
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", (name, json.dumps(stored), setup, seconds)
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO limits VALUES (?, ?, ?)", [(base, limit, name) for limit in limits]
            )
            self._db.execute(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?)",
                (_decoded(seen.receipt.sha256, seen.receipt.locator), seen.media_id, receipt),
            )
            self._make_room()

    def know(self, receipt: Receipt, media_id: str) -> None:
        """Remember which pixels a file's bytes hold."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?)",
                (_decoded(receipt.sha256, receipt.locator), media_id, json.dumps(dataclasses.asdict(receipt))),
            )

    def seconds(self, setup: str) -> float | None:
        """What a picture cost under this setup so far, on average; None where none was computed."""
        row = self._one("SELECT avg(seconds) FROM (SELECT seconds FROM results WHERE setup = ? LIMIT 200)", setup)
        return row[0] if row and isinstance(row[0], float) and 0 < row[0] < math.inf else None

    def texts(self) -> dict[str, str]:
        """What was last said of each picture in words, by the SHA-256 of its file's bytes."""
        pictures = self._all("SELECT sha256, media_id FROM pictures WHERE sha256 != ?", "")
        said: dict[str, str] = {}
        for (document,) in self._all("SELECT answer FROM results WHERE key != ? ORDER BY rowid", ""):
            with suppress(schema.Unreadable, KeyError, TypeError, AttributeError):
                answer = schema.parse(document)
                text, media_id = answer["text"].strip(), answer["seen"]["media_id"]
                if text and text[0] not in "{[":  # extracted values are no sentence
                    said[media_id] = text
        return {str(sha256): said[media_id] for sha256, media_id in pictures if media_id in said}

    # sidecars

    def is_ours(self, path: Path, data: bytes) -> bool:
        """Whether mmcli wrote exactly this content there: then nobody's own words are lost by replacing it."""
        row = self._one("SELECT digest FROM sidecars WHERE path = ?", _text(path))
        return bool(row) and hashlib.sha256(data).hexdigest() in str(row[0]).split()

    def owner(self, path: Path) -> str | None:
        """The picture that a sidecar was last written for."""
        row = self._one("SELECT picture FROM sidecars WHERE path = ?", _text(path))
        return str(row[0]) if row else None

    def wrote(self, path: Path, picture: Path, data: bytes, before: bytes | None = None) -> None:
        """Told before a sidecar takes its place, so that a killed run still knows it as its own.

        `before`: what stands there until then; where it is ours, it stays so, in case the run is killed in between.
        """
        digests = [hashlib.sha256(data).hexdigest()]
        if before is not None and self.is_ours(path, before):
            digests.append(hashlib.sha256(before).hexdigest())
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO sidecars VALUES (?, ?, ?)",
                (_text(path), picture_name(picture), " ".join(digests)),
            )

    def of_picture(self, picture: Path) -> list[Path]:
        """The sidecars that were last written for a picture, wherever they lie."""
        rows = self._all("SELECT path FROM sidecars WHERE picture = ?", picture_name(picture))
        return [Path(name) for (path,) in rows if (name := _name(path)) is not None]

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

    def _all(self, query: str, value: str) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(query, (value,)).fetchall()
        except sqlite3.Error as error:
            self._give_up(error)
            return []

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
        self._db.execute("DELETE FROM limits WHERE key NOT IN (SELECT key FROM results)")

    def _give_up(self, error: Exception) -> None:
        with self._lock:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = _opened(None)
        self._warn(error)

    def _warn(self, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) else error
        self._on_warning(f"captions are not cached for the next run: {reason} (`{self._path}`)")


def _decoded(sha256: str, part: Locator | str | None) -> str:
    """What decoded pixels are known by: the file's bytes, and the part of the picture if it is not all of it."""
    return sha256 if part is None else f"{sha256}#{part}"


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
        files.private_folder(path.parent)
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
    db = sqlite3.connect("" if path is None else path, timeout=PATIENCE, check_same_thread=False)
    try:
        db.text_factory = schema.text
        # Whole after a crash of this program; after a power failure the last captions may have to be made again.
        _write_ahead(db)
        db.execute("PRAGMA synchronous = NORMAL")
        if _version(db) != VERSION or not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'limits'").fetchone():
            db.execute("BEGIN IMMEDIATE")  # another process may be making the same tables
            if _version(db) != VERSION:
                for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    db.execute(f'DROP TABLE "{name}"')
            for statement in filter(str.strip, _TABLES.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.commit()
    except BaseException:
        db.close()
        raise
    return db


def _write_ahead(db: sqlite3.Connection) -> None:
    """Readers and a writer don't wait for each other; to switch to it SQLite does not wait by itself."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def picture_name(picture: Path) -> str:
    """A picture as `owner` gives it."""
    return ascii(os.path.realpath(picture))


def _text(path: Path) -> str:
    """A path as a key; ASCII, since SQLite's texts have no place for bytes that are no UTF-8."""
    return ascii(os.path.realpath(path.parent) + os.sep + path.name)


def _name(stored: Any) -> str | None:
    """The path that `_text` has put into ASCII; None where the row is damaged."""
    try:
        name = ast.literal_eval(stored)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def is_cut(answer: Answer) -> bool:
    """Whether a caption ends where --max-tokens (or a full context) ended it."""
    return answer.finish_reason == "length"


def _read(document: Any, receipt: Receipt) -> Answer | None:
    """A stored answer; None where it cannot be read, so that it is computed again."""
    with suppress(schema.Unreadable):
        facts = schema.parse(document)
        seen = facts.get("seen") if isinstance(facts, dict) else None
        return schema.made(Answer, facts, seen=(schema.made(Seen, seen, receipt=receipt, origin="disk"),))
    return None
