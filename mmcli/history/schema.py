"""Opens, creates and upgrades the history's file, and translates its errors. Knows SQLite; knows no conversations.

docs/history.md explains the tables.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from mmcli import files, schema
from mmcli.errors import InputError, MmcliError, ResourceError

APPLICATION_ID = 0x6D6D6869  # "mmhi": says whose file this is
BUSY_SECONDS = 5.0  # how long to wait for another process that is writing; its transactions take milliseconds


class Busy(ResourceError):
    """Another process is writing, and went on for longer than we waited."""


# One script for each version of the schema. Released ones are never changed: a change is one more at the end.
MIGRATIONS = (
    """
    CREATE TABLE talks (
        id      TEXT PRIMARY KEY,
        kind    TEXT NOT NULL,
        model   TEXT NOT NULL,
        mmproj  TEXT,
        system  TEXT,
        started REAL NOT NULL,
        changed REAL NOT NULL
    );
    CREATE TABLE turns (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        talk          TEXT NOT NULL REFERENCES talks (id) ON DELETE CASCADE,
        asked         REAL NOT NULL,
        model         TEXT NOT NULL,
        system        TEXT,
        question      TEXT NOT NULL,
        sampling      TEXT,
        answer        TEXT NOT NULL DEFAULT '',
        reasoning     TEXT NOT NULL DEFAULT '',
        finish_reason TEXT NOT NULL DEFAULT 'interrupted',
        error         TEXT,
        finished      REAL,
        facts         TEXT,
        taken_back    REAL
    );
    CREATE INDEX turns_of_a_talk ON turns (talk, id);
    CREATE TABLE media (
        turn     INTEGER NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
        place    INTEGER NOT NULL,
        sha256   TEXT NOT NULL,
        path     TEXT,
        url      TEXT,
        media_id TEXT,
        text     TEXT,
        receipt  TEXT NOT NULL,
        PRIMARY KEY (turn, place)
    ) WITHOUT ROWID;
    CREATE INDEX media_by_hash ON media (sha256);
    CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2');
    """,
    """
    ALTER TABLE turns ADD COLUMN heard_by TEXT;
    """,
    """
    ALTER TABLE talks ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE media ADD COLUMN dropped REAL;
    """,
)


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the history at `path`, made if need be; None: an empty one that is kept nowhere.

    InputError where the file is damaged, foreign or from a newer mmcli: it is left as it is. ResourceError where the
    disk refuses.
    """
    if path is not None:
        _prepare(path)
    with told(path):
        connection = sqlite3.connect(
            path or ":memory:", timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    try:
        with told(path):
            connection.text_factory = schema.text
            _check(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten too
            if path is not None:
                _write_ahead(connection)
            _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def told(path: Path | None) -> Iterator[None]:
    """Turn SQLite's troubles inside into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(error, path) from error
    except OSError as error:
        raise ResourceError(f"the history `{path}` cannot be written: {error.strerror or error}") from error


def _ours(error: sqlite3.Error, path: Path | None) -> MmcliError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Busy(f"the history `{path}` is in use by another program")
    if name.startswith("SQLITE_FULL"):
        return ResourceError(f"the history `{path}` cannot be written: the disk is full")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(path, str(error))
    if "no such module: fts5" in str(error):
        return ResourceError("this Python's SQLite has no full-text search (FTS5), which the history needs")
    return ResourceError(f"the history `{path}` cannot be used: {error}")


def damaged(path: Path | None, reason: str) -> InputError:
    """The error for a file whose pages are not in order."""
    return InputError(
        f"the history `{path}` is damaged: {' '.join(reason.split())}",
        hint="nothing was changed; move it away to start a new one, or try `sqlite3 FILE .recover`",
    )


def _prepare(path: Path) -> None:
    """A file and a folder that nobody else can read; SQLite gives its companions the mode of the file."""
    with told(path):
        files.private_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if hasattr(os, "fchmod") and os.fstat(descriptor).st_mode & 0o077:
                with contextlib.suppress(OSError):
                    os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def _check(connection: sqlite3.Connection, path: Path | None) -> None:
    """InputError unless the file is empty, or a history that this version understands."""
    n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    version = _pragma(connection, "user_version")
    owner = _pragma(connection, "application_id")  # last: another process may have just made all three
    if owner != APPLICATION_ID and (owner or version or n_tables):
        raise InputError(f"`{path}` is a database, but not mmcli's history", hint="nothing was changed; move it away")
    if version > len(MIGRATIONS):
        raise InputError(
            f"the history `{path}` was written by a newer mmcli (schema {version}, this one knows {len(MIGRATIONS)})",
            hint="nothing was changed; use the newer mmcli",
        )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """WAL: readers and a writer don't wait for each other. Two processes that switch to it at once need patience."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:  # SQLite does not wait by itself here
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may take the last seconds, never the file


def _migrate(connection: sqlite3.Connection, path: Path | None) -> None:
    if _pragma(connection, "user_version") == len(MIGRATIONS):
        return
    with transaction(connection):
        _check(connection, path)  # another process may have been quicker
        for version in range(_pragma(connection, "user_version"), len(MIGRATIONS)):
            for statement in MIGRATIONS[version].split(";"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of what is written inside, or nothing of it; one process at a time."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
