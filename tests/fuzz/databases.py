"""What mmcli keeps: talks, captions, KV prefixes, lists of models, and the sidecars beside pictures; damaged."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.conftest import draw
from tests.fuzz.case import Case, Limits, Ran, command
from tests.fuzz.damage import several

FIRST, SECOND = "What is in this picture?", "How many shapes are there?"
CELLS: tuple[object, ...] = (
    *(None, "", "{", "[]", "{}", "null", "[" * 5000, "0", "\x1b]0;owned\x07", "\u202e", "x" * 1_000_000),
    *(0, -1, 1 << 62, 1e300, -1e300, float("inf"), b"", b"\xff\x80", b"{}", '{"seen": 5}', '{"notes": null}'),
)
ADOPTED = {
    "name": "m",
    "place": "LM Studio",
    "weights": "/w.gguf",
    "projector": "/p.gguf",
    "sees": True,
    "hears": False,
}
FETCHED = {
    **{"repo": "a/b", "revision": "main", "file": "w.gguf", "bytes": 5, "sha256": "0" * 64},
    **{"etag": "0" * 64, "commit": "0" * 40, "fetched": "2026-11-22"},
}
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>'
    '<rdf:li xml:lang="x-default">By a person</rdf:li></rdf:Alt></dc:description><dc:subject><rdf:Bag>'
    "<rdf:li>sea</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)


@functools.cache
def _whole(keep: Path) -> Path:
    """A folder with two pictures, two talks about them and their captions, made by mmcli itself."""
    place, made = keep / "databases", keep / "made"
    if made.exists():
        return place
    place.mkdir(exist_ok=True)
    draw(place / "one.png", "red circle")
    draw(place / "two.png", "blue square", "green triangle")
    for arguments in (
        ("ask", "-m", "starter", "one.png", FIRST),
        ("ask", "-m", "starter", "two.png", SECOND),
        ("caption", "-m", "starter", "one.png", "two.png"),
    ):
        command = [sys.executable, "-m", "mmcli", *arguments]
        subprocess.run(command, cwd=place, env={**os.environ, **_places(place)}, stdin=subprocess.DEVNULL, check=True)
    for name in ("data/history.db", "cache/captions.db"):
        with contextlib.closing(sqlite3.connect(place / name)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA journal_mode = DELETE")  # one file, which can be damaged as one
    made.touch()
    return place


def _places(folder: Path) -> dict[str, str]:
    return {"MMCLI_DATA_DIR": str(folder / "data"), "MMCLI_CACHE_DIR": str(folder / "cache")}


def make(chance: random.Random, folder: Path, keep: Path) -> Case:
    shutil.copytree(_whole(keep), folder, dirs_exist_ok=True)
    return chance.choice((_talk, _talk, _history_file, _caption, _captions_file, _list, _prefix, _sidecar))(
        chance, folder
    )


def _cell(chance: random.Random, path: Path, table: str, where: str) -> str:
    """Put something else into one cell."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})") if row[1] not in ("id", "turn")]
        column = chance.choice(columns)
        (before,) = database.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()
        value = chance.choice(CELLS)
        if isinstance(before, str) and before.startswith("{") and chance.random() < 0.6:
            value = _other_json(chance, before)
        with contextlib.suppress(sqlite3.IntegrityError):  # NOT NULL, and so on: it stays as it was
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
            database.commit()
    return f"{table}.{column} is {value!r:.60}"


def _other_json(chance: random.Random, before: str) -> str:
    """A document of the right shape, with one thing in it gone, new or of another kind."""
    document = json.loads(before)
    at = document
    while True:
        key = chance.choice(list(at))
        if isinstance(at[key], dict) and at[key] and chance.random() < 0.6:
            at = at[key]
            continue
        break
    way = chance.choice(("gone", "new", "other"))
    if way == "gone":
        del at[key]
    elif way == "new":
        at["of_a_later_version"] = {"x": 1}
    else:
        at[key] = chance.choice((None, "x", -1, 1e999, [], {}, [[1]], True, "\x1b[2J", 10**400))
    return json.dumps(document)


def _talk(chance: random.Random, folder: Path) -> Case:
    """One row of the first talk, which may be told as damaged (7): the second is still listed, found and exported."""
    path = folder / "data" / "history.db"
    table, where = chance.choice(
        (("turns", "id = 1"), ("turns", "id = 1"), ("media", "turn = 1"), ("talks", "rowid = 1"))
    )
    what = _cell(chance, path, table, where)
    arguments = chance.choice(
        (("history",), ("history", "search", "shapes"), ("history", "export"), ("history", "--json"))
    )

    def check(ran: Ran) -> str | None:
        if "export" in arguments and SECOND not in ran.said:
            return f"history export: the other talk is missing after {what}"
        return None

    return _of(arguments, folder, f"{' '.join(arguments)}: {what}", frozenset({0, 7}), check)


def _history_file(chance: random.Random, folder: Path) -> Case:
    arguments = chance.choice((("history",), ("history", "export"), ("history", "show"), ("history", "search", "what")))
    what = _file(chance, folder / "data" / "history.db")
    return _of(arguments, folder, f"{' '.join(arguments)}: {what}", frozenset({0, 3, 6}))


def _caption(chance: random.Random, folder: Path) -> Case:
    table = chance.choice(("results", "pictures"))
    what = _cell(chance, folder / "cache" / "captions.db", table, "rowid = 1")
    return _captions(folder, what)


def _captions_file(chance: random.Random, folder: Path) -> Case:
    return _captions(folder, _file(chance, folder / "cache" / "captions.db"))


def _captions(folder: Path, what: str) -> Case:
    """A caption that cannot be read is computed again; the whole run needs the model, the call only what is kept."""

    def call() -> Ran:
        from mmcli import media
        from mmcli.jobs.result_cache import Results

        results = Results(folder / "cache" / "captions.db")
        try:
            with contextlib.closing(sqlite3.connect(folder / "cache" / "captions.db")) as database:
                names = [row[0] for row in database.execute("SELECT key FROM results")]
                hashes = [row[0] for row in database.execute("SELECT sha256 FROM pictures")]
        except sqlite3.Error:
            names, hashes = ["x"], ["y"]
        try:
            picture = media.load(media.find([str(folder / "one.png")])[0])
            for sha256 in filter(None, hashes):
                results.seen_before(sha256)
            for name in filter(None, names):
                results.load(name, picture.receipt)
            results.is_ours(folder / "one.txt", b"x")
            results.of_picture(folder / "one.png")
            results.seconds("setup")
        finally:
            results.close()
        return Ran()

    arguments = ("caption", "-m", "starter", "one.png", "two.png")
    return Case(f"captions.db: {what}", call, arguments, frozenset({0}), _places(folder))


def _list(chance: random.Random, folder: Path) -> Case:
    name, key, row = chance.choice((("adopted.json", "models", ADOPTED), ("fetched.json", "files", FETCHED)))
    whole = json.dumps({"version": 1, key: [row, {**row, "name": "n", "file": "v.gguf"}]})
    if chance.random() < 0.5:
        done = several(chance, whole.encode())
        data, what = done.data, str(done)
    else:
        document = json.loads(_other_json(chance, whole))
        if isinstance(document.get(key), list) and document[key]:
            document[key][0] = chance.choice((5, None, [], json.loads(_other_json(chance, json.dumps(row)))))
        data = json.dumps(document).encode()
        what = data.decode()[:200]
    (folder / "data" / name).write_bytes(data)
    return _of(chance.choice((("models",), ("models", "--json"))), folder, f"{name}: {what}", frozenset({0, 2}))


def _prefix(chance: random.Random, folder: Path) -> Case:
    """A KV prefix on disk: what is not exactly what was saved must not be taken."""
    from mmcli.engine.local import kv_cells

    cells = (1, 500, kv_cells.MediaCells("a" * 64, 0, 64, 64), 13)
    record, store, key = (
        kv_cells.PrefixRecord(cells, (7, 8), bytearray(b"state" * 500)),
        kv_cells.PrefixStore(folder / "kv", 1 << 30),
        "b" * 64,
    )
    store.save(key, record)
    path = folder / "kv" / (key + kv_cells.SUFFIX)
    done = several(chance, path.read_bytes(), within=chance.choice((None, 400)))
    path.write_bytes(done.data)

    def call() -> Ran:
        found = store.load(key)
        is_same = found is None or found == record
        return Ran(silent=None if is_same else f"prefix: another one than was saved is taken: {found!r:.200}")

    return Case(f"KV prefix: {done}", call, ("--version",), frozenset({0}))


def _sidecar(chance: random.Random, folder: Path) -> Case:
    if chance.random() < 0.7:
        done = several(chance, XMP.encode())
        data, what = done.data, str(done)
    else:
        deep = chance.choice((300, 3000, 30_000))
        opened, closed = chance.choice((("<a>", "</a>"), ("<rdf:li>", "</rdf:li>"), ("<!-- x -->", "")))
        data = XMP.replace("By a person", opened * deep + closed * deep).encode()
        what = f"{deep} times {opened}"
    (folder / "one.xmp").write_bytes(data)

    def call() -> Ran:
        from mmcli.outputs import xmp

        xmp.is_human(data, shown="`one.xmp`")
        xmp.has_lost_tags(data, shown="`one.xmp`")
        xmp.with_description(data, "A red circle.", model="starter", date="2026-11-30T00:00:00+00:00")
        xmp.with_tags(data, ["red"], model="starter", date="2026-11-30T00:00:00+00:00")
        return Ran()

    arguments = ("caption", "-m", "starter", "--sidecar", "xmp", "one.png", "two.png")
    return Case(f"one.xmp: {what}", call, arguments, frozenset({0, 3, 7}), _places(folder))


def _file(chance: random.Random, path: Path) -> str:
    """Harm a database as a file."""
    way = chance.choice(("bytes", "bytes", "empty", "text", "foreign", "newer", "no table", "no column", "wal"))
    if way == "bytes":
        done = several(chance, path.read_bytes(), within=chance.choice((None, 100)))
        path.write_bytes(done.data)
        return str(done)
    if way in ("empty", "text"):
        path.write_bytes(b"" if way == "empty" else b"not a database\n" * 500)
        return way
    if way == "wal":
        path.with_name(path.name + "-wal").write_bytes(chance.randbytes(5000))
        return "a foreign write-ahead log"
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        own = [name for name in tables if name in ("talks", "turns", "media", "results", "pictures", "sidecars")]
        if way == "foreign":
            database.execute(f"PRAGMA application_id = {chance.randrange(1, 1 << 31)}")
        elif way == "newer":
            database.execute("PRAGMA user_version = 999")
        elif way == "no table":
            database.execute(f"DROP TABLE {chance.choice(own)}")
        else:
            table = chance.choice(own)
            column = chance.choice([row[1] for row in database.execute(f"PRAGMA table_info({table})")])
            with contextlib.suppress(sqlite3.OperationalError):  # a key cannot be dropped
                database.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        database.commit()
    return way


def _of(
    arguments: tuple[str, ...],
    folder: Path,
    label: str,
    statuses: frozenset[int],
    check: Callable[[Ran], str | None] = lambda ran: None,
) -> Case:
    def call() -> Ran:
        return command(*arguments)

    limits = Limits(cpu_seconds=10, memory=200 << 20)
    return Case(label, call, arguments, statuses, _places(folder), limits, check=check)
