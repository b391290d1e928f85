"""Opens, creates and upgrades a library's database, and translates SQLite's errors. Knows tables; knows no vectors.

docs/find.md explains the folder. What the tables hold can be made again from the files they are about, but for `roots`.
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
KIND = DatabaseKind("library", APPLICATION_ID, MIGRATIONS)


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
            KIND.check(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
            write_ahead(connection, BUSY_SECONDS)
            KIND.migrate(connection, path)
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
