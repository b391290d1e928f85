"""A library: one folder with its database, its vectors and a lock. Knows no files of people, and no models.

One process writes at a time, and many read meanwhile. What is in the folder is 0600; docs/find.md explains it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmcli import search_words
from mmcli.database import transaction
from mmcli.errors import InputError, ModelError, UsageError
from mmcli.library import schema
from mmcli.library.records import FIELDS, FileRow, NewContent, NewPiece, OpenedFile, Root, Stat
from mmcli.library.remembered import Remembering, StoredSpace, enough, option
from mmcli.library.vectors import VectorFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmcli.embed.protocol import Space

SAME = 0.995  # cosine of two canaries, from which on vectors of two machines can be compared
MOST_DEAD = 0.25  # part of the rows that may be dead before the file is written anew
KEPT_GONE = 30 * 86_400  # seconds that a file which is gone is remembered
_LOOK = 0.2  # seconds between two looks at a lock
_FILE = "SELECT path, id, size, mtime_ns, inode, content, state, message FROM files"


class Library(Remembering):
    """Open for reading; what changes it is called inside `writing`."""

    def __init__(self, folder: Path, *, make: bool = False) -> None:
        """InputError where there is none, unless it is to be made."""
        self.folder = folder
        if not make and not (folder / schema.DATABASE).exists():
            raise InputError(
                f"there is no library `{folder.name}` yet", hint=f"mmcli index FOLDER{option(folder)} makes it"
            )
        self.db = schema.connect(folder)

    def close(self) -> None:
        self.db.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # 1 · one writer

    @contextlib.contextmanager
    def writing(self, *, wait: bool = True, on_wait: Callable[[str], None] = lambda who: None) -> Iterator[None]:
        """Be the only writer while inside. `on_wait` is told once who writes; not to `wait` is a UsageError then."""
        import filelock

        lock = filelock.FileLock(self.folder / "lock", mode=0o600)
        who = self.folder / "writer"
        is_told = False
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except filelock.Timeout:
                name = _pid(who)
                if not wait:
                    raise UsageError(
                        f"another mmcli ({name}) indexes the library `{self.folder.name}`",
                        hint="without --no-wait, this one waits for it",
                    ) from None
                if not is_told:
                    is_told = True
                    on_wait(name)
                time.sleep(_LOOK)
        try:
            with schema.told(self.folder / schema.DATABASE):
                who.write_text(f"{os.getpid()}\n")
                self._tidy()
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is written inside, or nothing; errors as ours."""
        with schema.told(self.folder / schema.DATABASE), transaction(self.db):
            yield self.db

    def _tidy(self) -> None:
        """Cut what a killed run has left: rows that no commit names, and files of no space."""
        kept = set()
        for space in self.spaces():
            kept.add(space.file)
            with contextlib.suppress(InputError):  # `check` tells it
                self.vectors(space).cut(self.n_rows(space))
        for path in self.folder.glob("vectors-*.f32"):
            if path.name not in kept:
                path.unlink(missing_ok=True)

    # 2 · spaces

    def spaces(self) -> list[StoredSpace]:
        """All of them, the one that serves first."""
        rows = self.db.execute(
            "SELECT id, identity, name, dim, canary, file, state, enough FROM spaces ORDER BY state != 'serving', id"
        )
        return [StoredSpace(row) for row in rows]

    def serving(self) -> StoredSpace | None:
        """The space that is searched; None where nothing was embedded yet."""
        found = self.spaces()
        return found[0] if found else None

    def space(self, space: Space, name: str | None = None) -> StoredSpace:
        """The stored space of a model, made if need be. ModelError where its vectors are other ones than before.

        `name`: by which it is opened again, where that is not its own.
        """
        for stored in self.spaces():
            if stored.identity == space.identity and self.n_rows(stored):
                self.compare(stored, space)
                return stored
            if stored.identity == space.identity:  # all was forgotten
                with self.transaction() as db:
                    canary = np.ascontiguousarray(space.canary(), "<f4").tobytes()
                    db.execute("UPDATE spaces SET canary = ? WHERE id = ?", (canary, stored.id))
                return stored
        file = f"vectors-{space.identity.hex()[:12]}-{time.time_ns():x}.f32"
        with schema.told(self.folder / schema.DATABASE):
            VectorFile.create(self.folder / file, space.identity, space.dim)
        canary = np.ascontiguousarray(space.canary(), "<f4").tobytes()
        with self.transaction() as db:
            state = "filling" if self.spaces() else "serving"
            db.execute(
                "INSERT INTO spaces (identity, name, dim, canary, file, state, enough) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (space.identity, name or space.name, space.dim, canary, file, state, enough(space)),
            )
        return next(stored for stored in self.spaces() if stored.identity == space.identity)

    def compare(self, stored: StoredSpace, space: Space) -> float:
        """The cosine of the canaries; ModelError where this machine computes other vectors than the library has."""
        cosine = float(np.frombuffer(stored.canary, "<f4") @ space.canary())
        if cosine < SAME:
            raise ModelError(
                f"the vectors of `{space.name}` on this machine cannot be compared with those of the library "
                f"`{self.folder.name}` (cosine {cosine:.3f})",
                hint="use another library (--index NAME), or forget this one's folders (--forget) and index again",
            )
        return cosine

    def vectors(self, space: StoredSpace) -> VectorFile:
        return VectorFile(self.folder / space.file, space.identity, space.dim)

    def n_rows(self, space: StoredSpace) -> int:
        """Rows up to the last one that is named."""
        row = self.db.execute("SELECT max(row) + 1 FROM vectors WHERE space = ?", (space.id,)).fetchone()
        return int(row[0] or 0)

    def serve(self, space: StoredSpace) -> None:
        """From now on this space is searched, and what others hold is dropped."""
        if space.state == "serving" and len(self.spaces()) == 1:
            return
        with self.transaction() as db:
            db.execute("DELETE FROM spaces WHERE id != ?", (space.id,))
            db.execute("UPDATE spaces SET state = 'serving' WHERE id = ?", (space.id,))
        self._tidy()

    def compact(self, *, always: bool = False) -> bool:
        """Write the vectors anew without the dead ones, where there are many; False: there are not."""
        is_done = False
        for space in self.spaces():
            file = self.vectors(space)
            rows = self.db.execute(
                "SELECT piece, row FROM vectors WHERE space = ? ORDER BY row", (space.id,)
            ).fetchall()
            n_dead = file.n_rows - len(rows)
            if not n_dead or (n_dead <= MOST_DEAD * file.n_rows and not always):
                continue
            name = f"vectors-{space.identity.hex()[:12]}-{time.time_ns():x}.f32"
            order = np.array([row for _, row in rows], np.int64)
            with schema.told(self.folder / schema.DATABASE):
                file.compacted(self.folder / name, space.identity, order)
            with self.transaction() as db:
                db.execute("DELETE FROM vectors WHERE space = ?", (space.id,))
                db.executemany(
                    "INSERT INTO vectors (space, piece, row) VALUES (?, ?, ?)",
                    ((space.id, piece, place) for place, (piece, _) in enumerate(rows)),
                )
                db.execute("UPDATE spaces SET file = ? WHERE id = ?", (name, space.id))
            is_done = True
        self._tidy()
        return is_done

    # 3 · roots and files

    def roots(self) -> list[Root]:
        rows = self.db.execute(
            "SELECT id, path, device, recursive, state, scanned,"
            " (SELECT count(*) FROM files WHERE root = roots.id AND files.state != 'gone') FROM roots ORDER BY path"
        )
        return [Root(row[0], row[1], row[2], bool(row[3]), row[4], row[5], row[6]) for row in rows]

    def add_root(self, path: bytes, device: int, *, recursive: bool) -> None:
        """A new root; one below a known root that is indexed with its sub-folders is none."""
        with self.transaction() as db:
            db.execute(
                "INSERT INTO roots (path, device, recursive, state, scanned) VALUES (?, ?, ?, 'online', 0)"
                " ON CONFLICT (path) DO UPDATE SET recursive = excluded.recursive",
                (path, device, recursive),
            )

    def scanned(self, root: Root, device: int) -> None:
        """A root was gone through."""
        with self.transaction() as db:
            row = (device, time.time(), root.id)
            db.execute("UPDATE roots SET device = ?, scanned = ?, state = 'online' WHERE id = ?", row)

    def offline(self, root: Root) -> None:
        with self.transaction() as db:
            db.execute("UPDATE roots SET state = 'offline' WHERE id = ?", (root.id,))

    def files_of(self, root: Root) -> dict[bytes, FileRow]:
        """What is known below a root, by its path below it."""
        found = self.db.execute(f"{_FILE} WHERE root = ?", (root.id,))
        return {row[0]: FileRow(row[1], Stat(*row[2:5]), *row[5:]) for row in found}

    def gone_like(self, stat: Stat) -> int | None:
        """The content of a file that is gone, and was the same file on the disk; None where there is none."""
        row = self.db.execute(
            "SELECT content FROM files WHERE state = 'gone' AND inode = ? AND size = ? AND mtime_ns = ?"
            " AND content IS NOT NULL LIMIT 1",
            (stat.inode, stat.size, stat.mtime_ns),
        ).fetchone()
        return None if row is None else int(row[0])

    def content_of(self, sha256: bytes, space: StoredSpace | None, wanted: str = "") -> int | None:
        """The content with these bytes, if all that is wanted of it is there."""
        row = self.db.execute("SELECT id, done FROM contents WHERE sha256 = ?", (sha256,)).fetchone()
        if row is None or not set(wanted.split()) <= set(row[1].split()):
            return None
        lacking = 0
        if space is not None:
            lacking = self.db.execute(
                "SELECT count(*) FROM pieces WHERE content = ? AND kind != 'speech'"
                " AND id NOT IN (SELECT piece FROM vectors WHERE space = ?)",
                (row[0], space.id),
            ).fetchone()[0]
        return None if lacking else int(row[0])

    def has_content(self, sha256: bytes) -> bool:
        """Whether these bytes were opened before."""
        return self.db.execute("SELECT 1 FROM contents WHERE sha256 = ?", (sha256,)).fetchone() is not None

    def lacking(self, space: StoredSpace | None, wanted: str = "") -> set[int]:
        """Contents without the vectors of a space, or in which something that is wanted was not looked for."""
        found = set()
        if space is not None:
            rows = self.db.execute(
                "SELECT DISTINCT content FROM pieces LEFT JOIN vectors ON piece = pieces.id AND space = ?"
                " WHERE kind != 'speech' AND piece IS NULL",
                (space.id,),
            )
            found = {row[0] for row in rows}
        if wanted:
            names = set(wanted.split())
            rows = self.db.execute("SELECT id, done FROM contents")
            found |= {number for number, done in rows if not names <= set(done.split())}
        return found

    def forget_moved(self, content: int) -> bool:
        """Drop one file of a content that is gone: it was found elsewhere. False: none is gone."""
        with self.transaction() as db:
            return bool(
                db.execute(
                    "DELETE FROM files WHERE id IN (SELECT id FROM files WHERE content = ? AND state = 'gone' LIMIT 1)",
                    (content,),
                ).rowcount
            )

    # 4 · batches

    def commit(
        self, batch: Sequence[OpenedFile], space: StoredSpace | None, embedded: NDArray[np.float32] | None = None
    ) -> None:
        """Store what became of some files, in one transaction.

        `embedded` has the vectors (n, dim) of all pieces with pixels of the batch's new contents, in their order. They
        are on the disk before the database names them.
        """
        first = 0
        if embedded is not None and len(embedded):
            assert space is not None, "vectors belong to a space"
            first = self.n_rows(space)
            with schema.told(self.folder / schema.DATABASE):
                self.vectors(space).append(embedded, first)
        with self.transaction() as db:
            rows = iter(range(first, first + (0 if embedded is None else len(embedded))))
            touched: set[int] = set()
            for opened in batch:
                content = opened.content
                if isinstance(content, NewContent):
                    content = self._store(content, space, rows)
                elif isinstance(content, bytes):
                    content = db.execute("SELECT id FROM contents WHERE sha256 = ?", (content,)).fetchone()[0]
                stat = opened.stat
                before = db.execute(
                    "SELECT content FROM files WHERE root = ? AND path = ?", (opened.root, opened.path)
                ).fetchone()
                if before is not None and before[0] is not None:
                    touched.add(before[0])
                db.execute(
                    "INSERT INTO files (root, path, size, mtime_ns, inode, content, state, message)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (root, path) DO UPDATE SET size = excluded.size,"
                    " mtime_ns = excluded.mtime_ns, inode = excluded.inode, content = excluded.content,"
                    " state = excluded.state, message = excluded.message, gone_since = NULL",
                    (
                        *(opened.root, opened.path, stat.size, stat.mtime_ns, stat.inode, content),
                        *("failed" if content is None else "here", opened.message),
                    ),
                )
                if content is not None:
                    touched.add(content)
            assert next(rows, None) is None, "a vector without a piece"
            self.rename(touched)

    def _store(self, new: NewContent, space: StoredSpace | None, rows: Iterator[int]) -> int:
        """A content with its pieces; what the library had of the same bytes goes."""
        db = self.db
        known = db.execute("SELECT id FROM contents WHERE sha256 = ?", (new.sha256,)).fetchone()
        facts = (
            *(new.kind, new.width, new.height, new.seconds, new.taken, new.lat, new.lon, new.camera, new.place),
            *(new.dhash, new.done),
        )
        names = "kind, width, height, seconds, taken, lat, lon, camera, place, dhash, done"
        if known is None:
            content = db.execute(
                f"INSERT INTO contents (sha256, {names}) VALUES (?{', ?' * len(facts)})", (new.sha256, *facts)
            ).lastrowid
            assert content is not None
        else:
            content = int(known[0])
            db.execute(f"UPDATE contents SET ({names}) = (?{', ?' * (len(facts) - 1)}) WHERE id = ?", (*facts, content))
        kept: set[int] = set()
        for place, piece in enumerate(new.pieces):
            number = self._put_piece(content, piece)
            kept.add(number)
            if piece.pixels is not None and space is not None:
                db.execute(
                    "INSERT INTO vectors (space, piece, row) VALUES (?, ?, ?)"
                    " ON CONFLICT (space, piece) DO UPDATE SET row = excluded.row",
                    (space.id, number, next(rows)),
                )
            words = piece.words | ({"place": new.place} if new.place and not place else {})
            self._put_words(number, words)
        for (old,) in db.execute("SELECT id FROM pieces WHERE content = ?", (content,)).fetchall():
            if old not in kept:
                db.execute("DELETE FROM texts WHERE rowid = ?", (old,))
                db.execute("DELETE FROM pieces WHERE id = ?", (old,))
        return content

    def _put_piece(self, content: int, piece: NewPiece) -> int:
        key = (content, piece.kind, piece.start_ms, piece.page)
        found = self.db.execute(
            "SELECT id FROM pieces WHERE content = ? AND kind = ? AND start_ms = ? AND page = ?", key
        ).fetchone()
        if found is not None:
            self.db.execute("UPDATE pieces SET end_ms = ? WHERE id = ?", (piece.end_ms, found[0]))
            return int(found[0])
        made = self.db.execute(
            "INSERT INTO pieces (content, kind, start_ms, page, end_ms) VALUES (?, ?, ?, ?, ?)", (*key, piece.end_ms)
        )
        assert made.lastrowid is not None
        return made.lastrowid

    def _put_words(self, piece: int, words: dict[str, str]) -> None:
        """What is to be found of a piece; its name is added by `rename`."""
        values = [_storable(words.get(name, "")) for name in FIELDS]
        self.db.execute("DELETE FROM texts WHERE rowid = ?", (piece,))
        if any(values):
            self.db.execute(
                f"INSERT INTO texts (rowid, {', '.join(FIELDS)}) VALUES (?{', ?' * len(FIELDS)})", (piece, *values)
            )

    def rename(self, contents: set[int]) -> None:
        """Write the names of files, with those of their folders, to the first piece of their content."""
        for content in contents:
            piece = self.db.execute("SELECT min(id) FROM pieces WHERE content = ?", (content,)).fetchone()[0]
            if piece is None:
                continue
            found = self.db.execute(
                "SELECT roots.path, files.path FROM files JOIN roots ON roots.id = root WHERE content = ?"
                " AND files.state = 'here'",
                (content,),
            ).fetchall()
            names = [
                os.path.join(os.path.basename(root), path) if path else os.path.basename(root) for root, path in found
            ]
            text = _storable("\n".join(os.fsdecode(name).replace("_", " ") for name in names))
            if not self.db.execute("UPDATE texts SET names = ? WHERE rowid = ?", (text, piece)).rowcount:
                self.db.execute("INSERT INTO texts (rowid, names) VALUES (?, ?)", (piece, text))

    def caption(self, captions: Mapping[str, str]) -> None:
        """Take over captions, by the SHA-256 (hex) of their bytes, that contents do not have yet."""
        rows = self.db.execute(
            "SELECT hex(sha256), min(pieces.id), caption FROM contents JOIN pieces ON content = contents.id"
            " LEFT JOIN texts ON texts.rowid = pieces.id GROUP BY contents.id"
        ).fetchall()
        new = [
            (_storable(captions[sha256.lower()]), piece)
            for sha256, piece, before in rows
            if sha256.lower() in captions and _storable(captions[sha256.lower()]) != before
        ]
        if new:
            with self.transaction() as db:
                db.executemany("UPDATE texts SET caption = ? WHERE rowid = ?", new)

    def lose(self, numbers: Sequence[int]) -> None:
        """These files are not there any more: hidden at once, forgotten later."""
        with self.transaction() as db:
            now = time.time()
            touched = set()
            for number in numbers:
                row = db.execute("SELECT content FROM files WHERE id = ?", (number,)).fetchone()
                db.execute("UPDATE files SET state = 'gone', gone_since = ? WHERE id = ?", (now, number))
                if row is not None and row[0] is not None:
                    touched.add(row[0])
            self.rename(touched)

    def purge(self, *, older: float = KEPT_GONE) -> int:
        """Forget files that are gone for so many seconds, and contents of no file; how many contents."""
        with self.transaction() as db:
            db.execute("DELETE FROM files WHERE state = 'gone' AND gone_since < ?", (time.time() - older,))
            return self._drop_orphans()

    def forget(self, path: bytes) -> int:
        """Forget the root at `path`, or what is known below it in another root; how many files. Then compact."""
        with self.transaction() as db:
            count = 0
            for root in self.roots():
                below = b"" if root.path == path else os.path.relpath(path, root.path)
                if root.path != path and not path.startswith(root.path.rstrip(b"/") + b"/"):
                    if not root.path.startswith(path.rstrip(b"/") + b"/"):
                        continue
                    below = b""
                found = db.execute("SELECT id, path FROM files WHERE root = ?", (root.id,)).fetchall()
                gone = [row for row, name in found if not below or name == below or name.startswith(below + b"/")]
                db.executemany("DELETE FROM files WHERE id = ?", [(row,) for row in gone])
                count += len(gone)
                if not below:
                    db.execute("DELETE FROM roots WHERE id = ?", (root.id,))
            self._drop_orphans()
        self.compact(always=True)
        with schema.told(self.folder / schema.DATABASE):
            self.db.execute("INSERT INTO texts (texts) VALUES ('optimize')")
            self.db.execute("VACUUM")
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return count

    def _drop_orphans(self) -> int:
        """Contents that no file has."""
        orphans = "SELECT id FROM contents WHERE id NOT IN (SELECT content FROM files WHERE content IS NOT NULL)"
        self.db.execute(f"DELETE FROM texts WHERE rowid IN (SELECT id FROM pieces WHERE content IN ({orphans}))")
        return self.db.execute(f"DELETE FROM contents WHERE id IN ({orphans})").rowcount

    # 5 · how large it is

    def n_contents(self) -> int:
        return int(self.db.execute("SELECT count(*) FROM contents").fetchone()[0])

    def n_bytes(self) -> int:
        """What the library takes on the disk."""
        return sum(entry.stat().st_size for entry in os.scandir(self.folder) if entry.is_file())


def _pid(path: Path) -> str:
    try:
        return f"process {int(path.read_text())}"
    except (OSError, ValueError):
        return "another process"


def _storable(text: str) -> str:
    """As FTS5 takes it: characters of scripts without spaces apart, no lone surrogates."""
    return search_words.indexed(text).encode("utf-8", "replace").decode("utf-8")
