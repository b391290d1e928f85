"""Opens, creates and upgrades the history's file, and translates its errors. Knows SQLite; knows no conversations.

docs/history.md explains the tables.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from mmcli import files, schema
from mmcli.database import DatabaseKind, write_ahead
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
KIND = DatabaseKind("history", APPLICATION_ID, MIGRATIONS)


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
            KIND.check(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten too
            if path is not None:
                write_ahead(connection, BUSY_SECONDS)
            KIND.migrate(connection, path)
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
