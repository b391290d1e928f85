"""What the history and the library share of SQLite: whose file it is, its version, write-ahead log, transactions."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmcli.errors import InputError


@dataclass(frozen=True)
class DatabaseKind:
    """One kind of database of ours."""

    name: str  # as messages say it: "history"
    application_id: int  # in the file's header
    migrations: Sequence[str]  # one script for each version of the schema

    def check(self, connection: sqlite3.Connection, path: Path | None) -> None:
        """InputError unless the file is empty, or of this kind and a version that is understood."""
        n_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        version = _pragma(connection, "user_version")
        owner = _pragma(connection, "application_id")  # last: another process may have just made all three
        if owner != self.application_id and (owner or version or n_tables):
            raise InputError(
                f"`{path}` is a database, but not mmcli's {self.name}", hint="nothing was changed; move it away"
            )
        known = len(self.migrations)
        if version > known:
            raise InputError(
                f"the {self.name} `{path}` was written by a newer mmcli (schema {version}, this one knows {known})",
                hint="nothing was changed; use the newer mmcli",
            )

    def migrate(self, connection: sqlite3.Connection, path: Path | None) -> None:
        """Bring an older file, or an empty one, to the newest version, whole or not at all."""
        known = len(self.migrations)
        if _pragma(connection, "user_version") == known:
            return
        with transaction(connection):
            self.check(connection, path)  # another process may have been quicker
            for version in range(_pragma(connection, "user_version"), known):
                for statement in self.migrations[version].split(";"):
                    if statement.strip():
                        connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {known}")
            connection.execute(f"PRAGMA application_id = {self.application_id}")


def write_ahead(connection: sqlite3.Connection, seconds: float) -> None:
    """WAL: readers and a writer don't wait for each other. Two processes that switch to it at once need patience."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:  # SQLite does not wait by itself here
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may take what came last, never the file


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
