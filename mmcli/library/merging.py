"""Takes over what another library has computed, by content: so several machines can share the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmcli.errors import InputError, ModelError
from mmcli.library.records import FIELDS
from mmcli.library.store import SAME
from mmcli.library.vectors import VectorFile

if TYPE_CHECKING:
    from mmcli.library.remembered import StoredSpace
    from mmcli.library.store import Library

_CONTENT = "sha256, kind, width, height, seconds, taken, lat, lon, camera, place, dhash, done"
_PIECE = "kind, start_ms, end_ms, page"
_BATCH = 1024


def merge(into: Library, other: Library) -> dict[str, int]:
    """Contents, files and vectors that `into` lacks; doing it twice changes nothing. Inside `into.writing()`.

    ModelError where both have vectors that cannot be compared: of other models, or of machines that do not agree.
    """
    theirs = other.serving()
    ours = _space(into, theirs)
    counts = {"contents": 0, "files": 0, "vectors": 0}
    roots = _merge_roots(into, other)
    known = dict(into.db.execute("SELECT sha256, id FROM contents").fetchall())
    rows = other.db.execute(f"SELECT id, {_CONTENT} FROM contents ORDER BY id").fetchall()
    for at in range(0, len(rows), _BATCH):
        new = [row for row in rows[at : at + _BATCH] if row[1] not in known]
        counts["contents"] += len(new)
        counts["vectors"] += _take_over(into, other, new, ours, theirs)
    known = dict(into.db.execute("SELECT sha256, id FROM contents").fetchall())
    with into.transaction() as db:
        touched = set()
        for root, path, size, mtime, inode, sha256, state in other.db.execute(
            "SELECT root, path, size, mtime_ns, inode, sha256, state FROM files JOIN contents ON contents.id = content"
        ):
            done = db.execute(
                "INSERT INTO files (root, path, size, mtime_ns, inode, content, state) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                (roots[root], path, size, mtime, inode, known[sha256], state),
            )
            counts["files"] += done.rowcount
            touched.add(known[sha256])
        into.rename(touched)
    return counts


def _space(into: Library, theirs: StoredSpace | None) -> StoredSpace | None:
    """Our space for their vectors, made if we have none."""
    if theirs is None:
        return into.serving()
    ours = into.serving()
    if ours is None:
        name = f"vectors-{theirs.identity.hex()[:12]}-merged.f32"
        VectorFile.create(into.folder / name, theirs.identity, theirs.dim)
        with into.transaction() as db:
            db.execute(
                "INSERT INTO spaces (identity, name, dim, canary, file, state, enough)"
                " VALUES (?, ?, ?, ?, ?, 'serving', ?)",
                (theirs.identity, theirs.name, theirs.dim, theirs.canary, name, theirs.enough),
            )
        ours = into.serving()
    assert ours is not None
    if ours.identity != theirs.identity:
        raise ModelError(
            f"the two libraries have vectors of different models: `{ours.name}` and `{theirs.name}`",
            hint="index one of them anew with the other's model: `mmcli index -m`",
        )
    cosine = float(np.frombuffer(ours.canary, "<f4") @ np.frombuffer(theirs.canary, "<f4"))
    if cosine < SAME:
        raise ModelError(f"the two libraries' machines compute different vectors (cosine {cosine:.3f})")
    return ours


def _merge_roots(into: Library, other: Library) -> dict[int, int]:
    """Their roots' numbers → ours."""
    for root in other.roots():
        if not any(ours.path == root.path for ours in into.roots()):
            into.add_root(root.path, root.device, recursive=root.recursive)
            ours = next(each for each in into.roots() if each.path == root.path)
            into.scanned(ours, root.device)
    numbers = {root.path: root.id for root in into.roots()}
    return {root.id: numbers[root.path] for root in other.roots()}


def _take_over(
    into: Library,
    other: Library,
    contents: list[tuple[int | bytes | None, ...]],
    ours: StoredSpace | None,
    theirs: StoredSpace | None,
) -> int:
    """Contents with their pieces, words and vectors, in one transaction; how many vectors."""
    rows: list[int] = []
    first = 0 if ours is None else into.n_rows(ours)
    source = None if theirs is None else other.vectors(theirs).rows()
    pieces = [
        (content, other.db.execute(f"SELECT id, {_PIECE} FROM pieces WHERE content = ?", (content[0],)).fetchall())
        for content in contents
    ]
    if theirs is not None:
        of = "SELECT row FROM vectors WHERE space = ? AND piece = ?"
        found = {
            piece[0]: other.db.execute(of, (theirs.id, piece[0])).fetchone() for _, some in pieces for piece in some
        }
        rows = [row[0] for row in found.values() if row is not None]
        if rows and source is not None and ours is not None:
            if max(rows) >= len(source):
                raise InputError("the other library's vectors are damaged", hint="check it with `mmcli index --check`")
            into.vectors(ours).append(source[np.array(rows, np.int64)], first)
    places = iter(range(first, first + len(rows)))
    fields = ", ".join(FIELDS)
    with into.transaction() as db:
        for content, some in pieces:
            number = db.execute(
                f"INSERT INTO contents ({_CONTENT}) VALUES ({', '.join('?' * 12)})", content[1:]
            ).lastrowid
            for piece in some:
                made = db.execute(
                    f"INSERT INTO pieces (content, {_PIECE}) VALUES (?, ?, ?, ?, ?)", (number, *piece[1:])
                ).lastrowid
                text = other.db.execute(f"SELECT {fields} FROM texts WHERE rowid = ?", (piece[0],)).fetchone()
                if text is not None:
                    db.execute(f"INSERT INTO texts (rowid, {fields}) VALUES (?{', ?' * len(FIELDS)})", (made, *text))
                if theirs is not None and ours is not None and found[piece[0]] is not None:
                    db.execute(
                        "INSERT INTO vectors (space, piece, row) VALUES (?, ?, ?)", (ours.id, made, next(places))
                    )
    return len(rows)
