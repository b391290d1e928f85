"""Stores conversations in one SQLite file, turn by turn, and finds them. Knows no models, no media decoders.

Every method either does all it says or raises an MmcliError and has done nothing. `Recorder` is for those who answer
and must not fail over it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmcli import config, files, search_words
from mmcli.database import transaction
from mmcli.engine.messages import Answer, Sampling
from mmcli.errors import InputError
from mmcli.history import rows, schema
from mmcli.history.records import Hit, Summary, Talk, pack_answer, pack_receipt, unpack_receipt
from mmcli.media.types import Medium, Text
from mmcli.schema import Unreadable

FIRST, REST = "23456789", "23456789abcdefghjkmnpqrstvwxyz"  # no character that is taken for another
ID_LENGTH = 6

START = """
    INSERT OR IGNORE INTO talks (id, kind, model, mmproj, system, started, changed) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
SHOW = """
    INSERT INTO media (turn, place, sha256, path, url, media_id, text, receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
LIST = """
    SELECT id, kind, model, started, changed,
        (SELECT count(*) FROM turns WHERE talk = talks.id AND taken_back IS NULL),
        (SELECT count(*) FROM turns JOIN media ON turn = turns.id WHERE talk = talks.id AND taken_back IS NULL),
        coalesce((SELECT question FROM turns WHERE talk = talks.id ORDER BY taken_back IS NOT NULL, id LIMIT 1), '')
    FROM talks ORDER BY changed DESC, rowid DESC LIMIT ?
"""


def folder() -> Path:
    """Where history.db and the kept media lie."""
    return config.data_dir()


class Store:
    """The history, open. May be used from several threads, and by several processes at once."""

    def __init__(self, place: Path | None = None, *, create: bool = True) -> None:
        """Open the history in the folder `place` (None: the user's); without `create`, none that is not there."""
        self._folder = place or folder()
        self.path = self._folder / "history.db"
        self._is_kept = create or self.path.exists()
        self._database = schema.connect(self.path if self._is_kept else None)
        self._lock = threading.RLock()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._database.close()

    def examine(self) -> int:
        """How many talks there are; InputError where SQLite finds the file damaged."""
        with self._reading() as database:
            found = [str(row[0]) for row in database.execute("PRAGMA quick_check(1)")]
            if found != ["ok"]:
                raise schema.damaged(self.path, found[0])
            return int(database.execute("SELECT count(*) FROM talks").fetchone()[0])

    # 1 · writing a talk

    def start(self, kind: str, model: str, system: str | None = None, *, mmproj: str | None = None) -> str:
        """A new talk; its id. `model` is what `-m` takes to find it again: a name, or an absolute path."""
        now = time.time()
        while True:
            talk = secrets.choice(FIRST) + "".join(secrets.choice(REST) for _ in range(ID_LENGTH - 1))
            row = (talk, kind, _storable(model), _storable(mmproj), _storable(system), now, now)
            with self._writing() as database:
                made = database.execute(START, row)
                if made.rowcount:
                    return talk

    def change(self, talk: str, *, model: str, mmproj: str | None, system: str | None) -> None:
        """What the talk's next question is asked with."""
        row = (_storable(model), _storable(mmproj), _storable(system), talk)
        with self._writing() as database:
            database.execute("UPDATE talks SET model = ?, mmproj = ?, system = ? WHERE id = ?", row)

    def ask(
        self,
        talk: str,
        question: str,
        media: Sequence[Medium] = (),
        *,
        sampling: Sampling | None = None,
        kept: Mapping[str, bytes] | None = None,
        heard_by: str | None = None,
    ) -> int:
        """Add a question, before it is answered; the turn's number. Until `finish`, the turn counts as interrupted.

        `kept`: bytes of media by their SHA-256, to be stored beside the history unless they are there already.
        `heard_by`: the speech model that wrote the question down; None where it was typed.
        """
        now = time.time()
        with self._writing() as database:
            found = database.execute("SELECT model, system FROM talks WHERE id = ?", (talk,)).fetchone()
            if found is None:  # deleted by another process meanwhile
                raise InputError(f"there is no conversation `{talk}` any more")
            how = None if sampling is None else json.dumps(asdict(sampling))
            row = (talk, now, *found, _storable(question), how, _storable(heard_by))
            number = database.execute(
                "INSERT INTO turns (talk, asked, model, system, question, sampling, heard_by)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
            assert number is not None
            for place, medium in enumerate(media):
                database.execute(SHOW, (number, place, *_shown(medium)))
            database.execute("UPDATE talks SET changed = ? WHERE id = ?", (now, talk))
            self._index(number)
            for sha256, data in (kept or {}).items():
                self._keep(sha256, data)  # while the lock is held: `delete` cannot take it away in between
        return number

    def say(self, turn: int, answer: str, reasoning: str = "", *, patience: float | None = None) -> bool:
        """Write down what was said so far; False where another process was writing for longer than `patience` (s)."""
        with self._reading() as database:
            database.execute(f"PRAGMA busy_timeout = {_ms(schema.BUSY_SECONDS if patience is None else patience)}")
            try:
                with self._writing():
                    row = (_storable(answer), _storable(reasoning), turn)
                    database.execute("UPDATE turns SET answer = ?, reasoning = ? WHERE id = ?", row)
                    self._index(turn)
            except schema.Busy:
                return False
            finally:
                database.execute(f"PRAGMA busy_timeout = {_ms(schema.BUSY_SECONDS)}")
        return True

    def finish(self, turn: int, answer: Answer) -> None:
        """The answer as it ended, with its receipts and usage."""
        now = time.time()
        row = (
            _storable(answer.text),
            _storable(answer.reasoning),
            answer.finish_reason,
            now,
            pack_answer(answer),
            turn,
        )
        with self._writing() as database:
            database.execute(
                "UPDATE turns SET answer = ?, reasoning = ?, finish_reason = ?, finished = ?, facts = ? WHERE id = ?",
                row,
            )
            database.execute(
                "UPDATE talks SET changed = ? WHERE id = (SELECT talk FROM turns WHERE id = ?)", (now, turn)
            )
            self._index(turn)

    def fail(self, turn: int, error: str) -> None:
        """There is no (whole) answer, and this is why."""
        with self._writing() as database:
            database.execute("UPDATE turns SET error = ? WHERE id = ?", (_storable(error), turn))
            self._index(turn)

    def take_back(self, talk: str, n_turns: int = 1) -> int:
        """Mark the last turns as taken back, as /undo and /retry do; how many there were. Nothing is destroyed."""
        with self._writing() as database:
            return database.execute(
                "UPDATE turns SET taken_back = ? WHERE id IN"
                " (SELECT id FROM turns WHERE talk = ? AND taken_back IS NULL ORDER BY id DESC LIMIT ?)",
                (time.time(), talk, n_turns),
            ).rowcount

    def drop(self, turn: int, place: int) -> bool:
        """Mark the medium at that place of a turn, counted from 0, as taken out of the talk; False: it is not in it."""
        with self._writing() as database:
            row = (time.time(), turn, place)
            marked = database.execute(
                "UPDATE media SET dropped = ? WHERE turn = ? AND place = ? AND dropped IS NULL"
                " AND turn IN (SELECT id FROM turns WHERE taken_back IS NULL)",
                row,
            )
            return marked.rowcount > 0

    def leave_out(self, talk: str, n_turns: int) -> None:
        """So many of the oldest answered turns go to the model no more."""
        with self._writing() as database:
            database.execute("UPDATE talks SET left_out = ? WHERE id = ?", (n_turns, talk))

    # 2 · finding it again

    def find(self, name: str | None = None) -> str:
        """The id that begins with `name`, or the last talk's; InputError where there is none, or more than one."""
        with self._reading() as database:
            if name is None:
                row = database.execute("SELECT talk FROM turns ORDER BY id DESC LIMIT 1").fetchone()
                if row is None:
                    raise InputError(
                        "there is no conversation in the history yet",
                        hint='a question begins a conversation: mmcli ask photo.jpg "What is this?"',
                    )
                return str(row[0])
            wanted = name.lower()
            found = database.execute(
                "SELECT id FROM talks WHERE substr(id, 1, ?) = ? ORDER BY changed DESC LIMIT 5", (len(wanted), wanted)
            ).fetchall()
        if len(found) == 1 and wanted:
            return str(found[0][0])
        if not found or not wanted:
            raise InputError(f"there is no conversation `{name}` in the history", hint=self._near(wanted))
        raise InputError(f"`{name}` is the beginning of several IDs: {', '.join(f'`{row[0]}`' for row in found)}")

    def _near(self, wanted: str) -> str:
        """What to try instead of an id that there is not."""
        import difflib

        with self._reading() as database:
            ids = [str(row[0]) for row in database.execute("SELECT id FROM talks ORDER BY changed DESC").fetchall()]
        if not ids:
            return "nothing is kept yet: leave out the ID"
        if close := difflib.get_close_matches(wanted, ids, n=1, cutoff=0.75):
            return f"did you mean `{close[0]}`? `mmcli history` lists them"
        return f"the last one is `{ids[0]}`; `mmcli history` lists them"

    def load(self, name: str | None = None, *, damaged: bool = False) -> Talk:
        """The talk whose id begins with `name`, or the last one, with all its turns.

        InputError where some of it cannot be read; with `damaged`, the talk's `damage` says so instead.
        """
        talk = self.find(name)
        with self._reading() as database:
            row = database.execute(f"SELECT {rows.TALK} FROM talks WHERE id = ?", (talk,)).fetchone()
            turns = database.execute(f"SELECT {rows.TURN} FROM turns WHERE talk = ? ORDER BY id", (talk,)).fetchall()
            media = f"SELECT {rows.MEDIUM} FROM media WHERE turn = ? ORDER BY place"
            found = rows.talk(talk, row, [(turn, database.execute(media, turn[:1]).fetchall()) for turn in turns])
        if found.damage and not damaged:
            raise InputError(
                f"conversation `{talk}` is damaged: {'; '.join(found.damage)}",
                hint=f"`mmcli history show {talk}` shows the rest",
            )
        return found

    def talks(self, limit: int | None = None) -> list[Summary]:
        """All talks, the last one first."""
        with self._reading() as database:
            found = database.execute(LIST, (-1 if limit is None else limit,)).fetchall()
        return [rows.summary(row) for row in found]

    def search(self, text: str, limit: int | None = None) -> list[Hit]:
        """Turns whose question, answer or media names have all of these words (or longer ones), the last first."""
        query = search_words.query(text)
        if query is None:
            return []
        with self._reading() as database:
            found = database.execute(
                "SELECT talk, asked, question, answer, taken_back IS NOT NULL FROM turns"
                " WHERE id IN (SELECT rowid FROM words WHERE words MATCH ?) ORDER BY id DESC LIMIT ?",
                (query, -1 if limit is None else limit),
            ).fetchall()
        return [rows.hit(row) for row in found]

    def older_than(self, seconds: float) -> list[str]:
        """The talks in which nothing was said for so long."""
        with self._reading() as database:
            found = database.execute(
                "SELECT id FROM talks WHERE changed < ? ORDER BY changed", (time.time() - seconds,)
            ).fetchall()
        return [str(row[0]) for row in found]

    def kept(self, sha256: str) -> Path | None:
        """Where the kept copy of a medium lies, if there is one."""
        path = self._copy(sha256)
        return path if path is not None and path.is_file() else None

    def _copy(self, sha256: Any) -> Path | None:
        """Where a copy would lie; None for what is not a hash, in a damaged row."""
        is_hash = isinstance(sha256, str) and re.fullmatch("[0-9a-f]{64}", sha256)
        return self._folder / "media" / sha256 if is_hash else None

    # 3 · forgetting it

    def delete(self, talks: Iterable[str]) -> int:
        """Forget these talks (whole ids), and the kept media that no other talk shows; how many there were."""
        count = 0
        with self._writing() as database:
            for talk in talks:
                hashes = database.execute(
                    "SELECT DISTINCT sha256 FROM media JOIN turns ON turn = turns.id WHERE talk = ?", (talk,)
                ).fetchall()
                database.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM turns WHERE talk = ?)", (talk,))
                count += database.execute("DELETE FROM talks WHERE id = ?", (talk,)).rowcount
                for (sha256,) in hashes:
                    if database.execute("SELECT 1 FROM media WHERE sha256 = ?", (sha256,)).fetchone():
                        continue
                    if (copy := self._copy(sha256)) is not None:
                        copy.unlink(missing_ok=True)
            database.execute("INSERT INTO words (words) VALUES ('optimize')")  # or the index keeps the deleted words
        with self._reading() as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so does the log; where others read, it may wait
        return count

    # how it is done

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, schema.told(self.path):
            yield self._database

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as database, transaction(database):
            yield database

    def _index(self, turn: int) -> None:
        """Put the turn's words, as they are now, into the index."""
        row = self._database.execute("SELECT question, answer FROM turns WHERE id = ?", (turn,)).fetchone()
        if row is None:  # deleted by another process meanwhile
            return
        names = []
        for (receipt,) in self._database.execute("SELECT receipt FROM media WHERE turn = ? ORDER BY place", (turn,)):
            with contextlib.suppress(Unreadable):
                names.append(unpack_receipt(receipt).source)
        text = _storable(search_words.indexed(row[0], *names, row[1]))
        self._database.execute("DELETE FROM words WHERE rowid = ?", (turn,))
        self._database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (turn, text))

    def _keep(self, sha256: str, data: bytes) -> None:
        """Store a medium once, under its hash; never half of it."""
        place = self._folder / "media"
        files.private_folder(place)
        path = place / sha256
        if path.exists() and path.stat().st_size == len(data):
            return
        assert hashlib.sha256(data).hexdigest() == sha256, "bytes under another's hash"
        files.write(path, data, mode=0o600)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _shown(medium: Medium) -> tuple[object, ...]:
    """A medium's row, after turn and place."""
    receipt = medium.receipt
    media_id = None if isinstance(medium, Text) else medium.id
    text = _storable(medium.text) if isinstance(medium, Text) and receipt.source == "-" else None
    path, url = _origin(receipt.source if receipt.locator is None else receipt.source.rpartition("#")[0])
    return (receipt.sha256, path, url, media_id, text, pack_receipt(receipt))


def _origin(source: str) -> tuple[str | bytes | None, str | None]:
    """Where to find a source again: its path (bytes, if it is not text), or its address."""
    if source == "-":
        return None, None
    scheme = source.split("://")[0].lower()
    if scheme in ("http", "https") and "://" in source:
        return None, _storable(source)
    if scheme == "file" and "://" in source:
        return _storable(source), None
    path = os.path.abspath(os.path.expanduser(source))
    try:
        path.encode()
    except UnicodeEncodeError:  # a name that is not valid UTF-8
        return os.fsencode(path), None
    return path, None


def _storable(text: str | None) -> Any:
    """A text without lone surrogates, which UTF-8 cannot carry."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")
