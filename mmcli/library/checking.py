"""Looks through a library for damage, and has what is damaged computed again. Opens no files of people."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import numpy as np

from mmcli.errors import InputError
from mmcli.library.vectors import BLOCK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmcli.library.remembered import StoredSpace
    from mmcli.library.store import Library

LENGTH = 1e-2  # by which a vector's length may differ from 1


def check(library: Library) -> list[str]:
    """What is wrong, in words; empty: nothing. A library that is being written may be told wrong things."""
    faults = [f"the database: {row[0]}" for row in library.db.execute("PRAGMA quick_check(10)") if row[0] != "ok"]
    if faults:
        return faults
    try:
        library.db.execute("INSERT INTO texts (texts) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        faults.append(f"the words' index: {error}")
    for space in library.spaces():
        faults += _of_space(library, space)
    lost = library.db.execute(
        "SELECT count(*) FROM files WHERE content IS NOT NULL AND content NOT IN (SELECT id FROM contents)"
    ).fetchone()[0]
    if lost:
        faults.append(f"{lost} files whose content is missing")
    return faults


def _of_space(library: Library, space: StoredSpace) -> list[str]:
    try:
        matrix = library.vectors(space).rows()
    except InputError as error:
        return [error.message]
    faults = []
    rows = np.array(
        [row for (row,) in library.db.execute("SELECT row FROM vectors WHERE space = ? ORDER BY row", (space.id,))],
        np.int64,
    )
    behind = int((rows >= len(matrix)).sum())
    if behind:
        faults.append(f"{behind} vectors of `{space.name}` are named, but not in the file")
    broken = _broken(matrix, rows[rows < len(matrix)])
    if len(broken):
        faults.append(f"{len(broken)} vectors of `{space.name}` are not of unit length")
    if space.state == "serving" and (lacking := library.lacking(space)):
        faults.append(f"{len(lacking)} contents lack vectors of `{space.name}`")
    return faults


def _broken(matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows that are no vectors."""
    found = []
    for at in range(0, len(rows), BLOCK):
        some = rows[at : at + BLOCK]
        lengths = np.linalg.norm(matrix[some], axis=1)
        found.append(some[~(np.abs(lengths - 1) < LENGTH)])
    return np.concatenate(found) if found else np.empty(0, np.int64)


def repair(library: Library) -> int:
    """Drop what is damaged, so that the next run opens those files again; how many files. Inside `writing`."""
    with library.transaction() as db:
        for space in library.spaces():
            try:
                matrix = library.vectors(space).rows()
            except InputError:
                db.execute("DELETE FROM spaces WHERE id = ?", (space.id,))
                continue
            named = np.array(
                [row for (row,) in db.execute("SELECT row FROM vectors WHERE space = ?", (space.id,))], np.int64
            )
            gone = [*named[named >= len(matrix)].tolist(), *_broken(matrix, named[named < len(matrix)]).tolist()]
            db.executemany("DELETE FROM vectors WHERE space = ? AND row = ?", [(space.id, row) for row in gone])
        db.execute("INSERT INTO texts (texts) VALUES ('rebuild')")
        serving = library.serving()
        lacking = library.lacking(serving)
        if serving is None:
            lacking = {row[0] for row in db.execute("SELECT id FROM contents")}
        n = 0
        for content in lacking:
            n += db.execute("UPDATE files SET mtime_ns = -1 WHERE content = ? AND state = 'here'", (content,)).rowcount
        n += db.execute(
            "UPDATE files SET content = NULL, mtime_ns = -1 WHERE content IS NOT NULL"
            " AND content NOT IN (SELECT id FROM contents)"
        ).rowcount
    return n
