"""Opens, creates and upgrades a library's database, and translates SQLite's errors. Knows tables; knows no vectors.

docs/find.md explains the folder. What the tables hold can be made again from the files they are about, but for `roots`.
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

APPLICATION_ID = 0x6D6D6C69  # "mmli": says whose file this is
BUSY_SECONDS = 30.0  # how long to wait for a reader that holds a lock; a batch's transaction takes milliseconds
DATABASE = "library.db"

# One script for each version of the schema. Released ones are never changed: a change is one more at the end.
MIGRATIONS = (
    """
    CREATE TABLE spaces (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        identity BLOB NOT NULL UNIQUE,
        name     TEXT NOT NULL,
        dim      INTEGER NOT NULL,
        canary   BLOB NOT NULL,
        file     TEXT NOT NULL,
        state    TEXT NOT NULL,
        enough   REAL  -- the cosine of a text that is as likely true as not, NULL where the model cannot tell
    );
    CREATE TABLE roots (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        path      BLOB NOT NULL UNIQUE,
        device    INTEGER NOT NULL,
        recursive INTEGER NOT NULL,
        state     TEXT NOT NULL,
        scanned   REAL NOT NULL
    );
    CREATE TABLE files (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        root       INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE,
        path       BLOB NOT NULL,
        size       INTEGER NOT NULL,
        mtime_ns   INTEGER NOT NULL,
        inode      INTEGER NOT NULL,
        content    INTEGER,
        state      TEXT NOT NULL,
        message    TEXT,
        gone_since REAL,
        UNIQUE (root, path)
    );
    CREATE INDEX files_of_a_content ON files (content, state);
    CREATE TABLE contents (
        id      INTEGER PRIMARY KEY AUTOINCREMENT,
        sha256  BLOB NOT NULL UNIQUE,
        kind    TEXT NOT NULL,
        width   INTEGER,
        height  INTEGER,
        seconds REAL,
        taken   TEXT,
        lat     REAL,
        lon     REAL,
        camera  TEXT,
        place   TEXT,
        dhash   INTEGER,
        done    TEXT NOT NULL DEFAULT ''
    );
    CREATE TABLE pieces (
        id       INTEGER PRIMARY KEY AUTOINCREMENT,
        content  INTEGER NOT NULL REFERENCES contents (id) ON DELETE CASCADE,
        kind     TEXT NOT NULL,
        start_ms INTEGER NOT NULL DEFAULT -1,
        end_ms   INTEGER NOT NULL DEFAULT -1,
        page     INTEGER NOT NULL DEFAULT -1,
        UNIQUE (content, kind, start_ms, page)
    );
    CREATE TABLE vectors (
        space INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
        piece INTEGER NOT NULL REFERENCES pieces (id) ON DELETE CASCADE,
        row   INTEGER NOT NULL,
        PRIMARY KEY (space, piece)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX vectors_by_row ON vectors (space, row);
    CREATE INDEX vectors_by_piece ON vectors (piece);
    CREATE VIRTUAL TABLE texts USING fts5 (
        caption, ocr, spoken, page, place, names, tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE TABLE queries (
        space  INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
        text   TEXT NOT NULL,
        vector BLOB NOT NULL,
        used   REAL NOT NULL,
        PRIMARY KEY (space, text)
    ) WITHOUT ROWID;
    CREATE TABLE verdicts (
        piece    INTEGER NOT NULL REFERENCES pieces (id) ON DELETE CASCADE,
        question TEXT NOT NULL,
        model    TEXT NOT NULL,
        p        REAL NOT NULL,
        PRIMARY KEY (piece, question, model)
    ) WITHOUT ROWID;
    """,
)


def connect(folder: Path) -> sqlite3.Connection:
    """Open the database in a library's folder, made if need be.

    InputError where it is damaged, foreign or from a newer mmcli: it is left as it is. ResourceError where the disk
    refuses.
    """
    path = folder / DATABASE
    with told(path):
        files.private_folder(folder)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        with told(path):
            connection.text_factory = schema.text
            _check(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
            _write_ahead(connection)
            _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn SQLite's and the disk's troubles inside into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise _ours(error, path) from error
    except OSError as error:
        raise ResourceError(f"the library `{path}` cannot be written: {error.strerror or error}") from error


def _ours(error: sqlite3.Error, path: Path) -> MmcliError:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return ResourceError(f"the library `{path}` is in use by another program")
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR_WRITE")):
        return ResourceError(
            f"the library `{path}` cannot be written: the disk is full",
            hint="free some space; the same command goes on where it was",
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return InputError(
            f"the library `{path}` is damaged: {' '.join(str(error).split())}",
            hint=f"nothing was changed; move `{path.parent}` away and index again",
        )
    if "no such module: fts5" in str(error):
        return ResourceError("this Python's SQLite has no full-text search (FTS5), which the library needs")
    return ResourceError(f"the library `{path}` cannot be used: {error}")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """InputError unless the file is empty, or a library that this version understands."""
    n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    version = _pragma(connection, "user_version")
    owner = _pragma(connection, "application_id")
    if owner != APPLICATION_ID and (owner or version or n_tables):
        raise InputError(f"`{path}` is a database, but not mmcli's library", hint="nothing was changed; move it away")
    if version > len(MIGRATIONS):
        raise InputError(
            f"the library `{path}` was written by a newer mmcli (schema {version}, this one knows {len(MIGRATIONS)})",
            hint="nothing was changed; use the newer mmcli",
        )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """WAL: readers and the writer don't wait for each other; to switch to it SQLite does not wait by itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may take the last batches, never the file


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
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
    """All of what is written inside, or nothing of it."""
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
