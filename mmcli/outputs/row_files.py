"""Writes rows of values: CSV, JSON lines, or a table of an SQLite file. Knows rows and files; prints nothing.

A file appears whole, when all rows are there; a table gets its rows one input at a time, in the place of those that the
same input had.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO, TypeAlias

from mmcli import files
from mmcli.errors import InputError, ResourceError, UsageError

SOURCE, ERROR, VALUE = "source", "error", "value"
RowForm: TypeAlias = Literal["csv", "tsv", "jsonl", "sqlite"]
FORMS: Mapping[str, RowForm] = {
    **{".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl"},
    **{".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite"},
}
SURE = {"p": "REAL", "low": "TEXT", "overruled": "INTEGER"}  # what is told of a field's confidence
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet computes (OWASP, CSV injection)
_TYPES = {"integer": "INTEGER", "boolean": "INTEGER", "number": "REAL"}  # of JSON schema → of SQLite; others are TEXT


@dataclass(frozen=True)
class TableRow:
    """What became of one input: its values, or why there are none."""

    source: str
    value: Any = None
    error: str | None = None
    record: Mapping[str, Any] | None = None  # receipt and usage, for JSON lines
    sure: Mapping[str, Mapping[str, Any]] | None = None  # how sure each field is, by the names of SURE


@dataclass(frozen=True)
class Columns:
    """How values become columns: the fields of an object, or `value` for anything else.

    With `rows`, the name of a field that is a list, each of its items is a row, beside which the other fields are
    repeated.
    """

    schema: Mapping[str, Any]
    rows: str | None = None
    confidence: bool = False  # columns for how sure each field is, behind all fields

    def __post_init__(self) -> None:
        """UsageError where there is no such list."""
        if self.rows is None:
            return
        of = _plain(self._fields.get(self.rows, {}))
        if of.get("type") != "array":
            lists = [name for name, each in self._fields.items() if _plain(each).get("type") == "array"]
            raise UsageError(
                f"--rows: the schema has no list `{self.rows}`",
                hint=f"its lists: {', '.join(lists)}"
                if lists
                else "a list is a field such as `items[]{name, qty int}`",
            )

    @property
    def _fields(self) -> Mapping[str, Any]:
        return dict(self.schema.get("properties", {}))

    @property
    def types(self) -> dict[str, str]:
        """The columns between source and error, and SQLite's type of each."""
        found = {name: _type(each) for name, each in self._fields.items() if name != self.rows}
        if self.rows is not None:
            items = _plain(_plain(self._fields[self.rows]).get("items", {}))
            for name, each in items.get("properties", {self.rows: items}).items():
                found[self._item(name)] = _type(each)
        elif not found:
            found = {VALUE: _type(self.schema)}
        columns = {self._apart(name): kind for name, kind in found.items()}
        if self.confidence:
            for name in self._fields or (VALUE,):
                columns |= {f"{name}.{what}": kind for what, kind in SURE.items()}
        return columns

    def cells(self, row: TableRow) -> Iterator[dict[str, Any]]:
        """One row's cells, or several rows': JSON values by column."""
        sure: dict[str, Any] = {}
        if self.confidence:
            sure = {f"{name}.{what}": one.get(what) for name, one in (row.sure or {}).items() for what in SURE}
        for cells in self._values(row.value):
            yield cells | sure

    def _values(self, value: Any) -> Iterator[dict[str, Any]]:
        if not isinstance(value, dict) or not self._fields:
            yield {VALUE: value}
            return
        parents = {self._apart(name): each for name, each in value.items() if name != self.rows}
        if self.rows is None:
            yield parents
            return
        items = value.get(self.rows)
        if not items:  # the input has its row all the same
            yield parents
        for item in items or ():
            own = item if isinstance(item, dict) else {self.rows: item}
            yield parents | {self._apart(self._item(name)): each for name, each in own.items()}

    def _item(self, name: str) -> str:
        """The column of an item's field: its own name, unless one of the other fields has it."""
        return f"{self.rows}.{name}" if name in self._fields and name != self.rows else name

    @staticmethod
    def _apart(name: str) -> str:
        """A field's column, where its name is that of a column of ours."""
        return f"{name}_" if name in (SOURCE, ERROR) else name


def _plain(schema: Any) -> Mapping[str, Any]:
    """A schema, or the one beside null where the value may be null."""
    if not isinstance(schema, Mapping):
        return {}
    kinds = schema.get("type")
    if isinstance(kinds, list) and len(named := [kind for kind in kinds if kind != "null"]) == 1:
        return {**schema, "type": named[0]}
    others = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    return _plain(others[0]) if len(others) == 1 else schema


def _type(schema: Any) -> str:
    kind = _plain(schema).get("type")
    return _TYPES.get(kind, "TEXT") if isinstance(kind, str) else "TEXT"


class RowWriter(Protocol):
    """Where rows go, in order."""

    def write(self, row: TableRow) -> None: ...

    def close(self, *, whole: bool) -> str | None:
        """The last row was written; `whole`: of all there are. A sentence where something is left as it was."""
        ...


class CsvWriter:
    """CSV as RFC 4180 has it, or TSV; `put` takes text."""

    def __init__(self, put: Callable[[str], None], columns: Columns, *, tabs: bool = False, safe: bool = False) -> None:
        """`safe`: a text that a spreadsheet would compute gets an apostrophe before it."""
        self._put, self._columns, self._safe, self._tabs = put, columns, safe, tabs
        self.header = [SOURCE, *columns.types, ERROR]
        self._line(self.header)

    def write(self, row: TableRow) -> None:
        if row.error is not None:
            self._line([row.source, *([None] * len(self._columns.types)), row.error])
            return
        for cells in self._columns.cells(row):
            self._line([row.source, *(cells.get(name) for name in self._columns.types), None])

    def close(self, *, whole: bool) -> None:
        return None

    def _line(self, values: Sequence[Any]) -> None:
        out = io.StringIO()
        style = {"delimiter": "\t", "lineterminator": "\n"} if self._tabs else {"lineterminator": "\r\n"}
        csv.writer(out, **style).writerow([self._cell(value) for value in values])  # type: ignore[arg-type]
        self._put(out.getvalue())

    def _cell(self, value: Any) -> str:
        if value is None:
            return ""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        text = text.encode("utf-8", "replace").decode()
        return f"'{text}" if self._safe and isinstance(value, str) and text.startswith(_FORMULA) else text


class JsonLinesWriter:
    """One object a line: source, data or error, receipts and usage."""

    def __init__(self, put: Callable[[str], None]) -> None:
        self._put = put

    def write(self, row: TableRow) -> None:
        told = {"error": row.error} if row.error is not None else {"data": row.value, **(row.record or {})}
        document = json.dumps({SOURCE: row.source, **told}, ensure_ascii=False)
        self._put(document.encode("utf-8", "replace").decode() + "\n")

    def close(self, *, whole: bool) -> None:
        return None


class FileWriter:
    """A file that takes its place when it is whole: what stood there before is not lost to a run that was stopped."""

    def __init__(self, path: Path, make: Callable[[Callable[[str], None]], RowWriter]) -> None:
        """`make` makes what writes rows as text. UsageError where the file has another header."""
        self._path = path
        with files.naming(path):
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            self._scratch = Path(name)
            self._file: TextIO = os.fdopen(handle, "w", encoding="utf-8", newline="")
        try:
            self._rows = make(self._put)
            self._check_header()
        except BaseException:
            self._drop()
            raise

    def write(self, row: TableRow) -> None:
        self._rows.write(row)

    def close(self, *, whole: bool) -> str | None:
        if not whole and self._path.exists():
            self._drop()
            return f"`{self._path}` is left as it was: not all rows are there yet"
        with files.naming(self._path):
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                os.chmod(self._scratch, _mode(self._path))
                os.replace(self._scratch, self._path)
            except BaseException:
                self._drop()
                raise
        return None

    def _put(self, text: str) -> None:
        with files.naming(self._path):
            self._file.write(text)

    def _drop(self) -> None:
        with suppress(OSError):
            self._file.close()
        self._scratch.unlink(missing_ok=True)

    def _check_header(self) -> None:
        """UsageError where the file that is there has other columns: it is somebody's, and other rows."""
        if not isinstance(self._rows, CsvWriter) or not self._path.exists():
            return
        with files.naming(self._path, "read"), open(self._path, encoding="utf-8-sig", errors="replace") as file:
            first = file.readline(1 << 16)
        delimiter = "\t" if self._path.suffix.lower() == ".tsv" else ","
        found = next(csv.reader([first], delimiter=delimiter), [])
        if found and found != self._rows.header:
            raise UsageError(
                f"`{self._path}` has other columns: {', '.join(found)[:200]}", hint="choose another file with -o"
            )


def _mode(path: Path) -> int:
    """The mode that a file at `path` has, or that a new one gets."""
    with suppress(OSError):
        return path.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


class SqliteWriter:
    """A table of an SQLite file: a row for each input, or several, in place of those that the input had before."""

    def __init__(self, path: Path, columns: Columns, table: str = "extracted") -> None:
        """UsageError where the table has other columns, InputError where the file is none of SQLite's."""
        self._path, self._columns, self._table = path, columns, _quoted(table)
        self._names = [SOURCE, "row", *columns.types, ERROR]
        with files.naming(path):
            _refuse_other(path)
        try:
            self._db = sqlite3.connect(path, timeout=30.0, isolation_level=None)
            kinds = [f"{_quoted(name)} {kind}" for name, kind in columns.types.items()]
            fields = ", ".join(["source TEXT", '"row" INTEGER', *kinds, "error TEXT"])
            self._db.execute(f'CREATE TABLE IF NOT EXISTS {self._table} ({fields}, PRIMARY KEY (source, "row"))')
            there = [str(name) for _, name, *_ in self._db.execute(f"PRAGMA table_info({self._table})")]
        except sqlite3.Error as error:
            raise self._refused(error) from error
        if there != self._names:
            self._db.close()
            raise UsageError(
                f"the table `{table}` of `{path}` has other columns: {', '.join(there)[:200]}",
                hint="choose another table with --table, or another file with -o",
            )

    def write(self, row: TableRow) -> None:
        found = [{}] if row.error is not None else list(self._columns.cells(row))
        source = row.source.encode("utf-8", "replace").decode()
        values = [
            (source, number, *(_stored(cells.get(name)) for name in self._columns.types), row.error)
            for number, cells in enumerate(found)
        ]
        marks = ", ".join("?" * len(self._names))
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(f"DELETE FROM {self._table} WHERE source = ?", (source,))
            self._db.executemany(f"INSERT INTO {self._table} VALUES ({marks})", values)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refused(error) from error

    def close(self, *, whole: bool) -> None:
        self._db.close()

    def _refused(self, error: sqlite3.Error) -> InputError | ResourceError:
        with suppress(AttributeError, sqlite3.Error):
            self._db.close()
        if "full" in str(error):
            return ResourceError(f"cannot write `{self._path}`: {error}", hint="free some space on that disk")
        return InputError(f"cannot write `{self._path}`: {error}")


def _refuse_other(path: Path) -> None:
    """InputError for a file that is there and is no database."""
    if path.exists() and path.stat().st_size:
        with open(path, "rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise InputError(f"`{path}` is not an SQLite file", hint="choose another file with -o")


def _quoted(name: str) -> str:
    """A name as SQLite takes it."""
    return '"' + name.replace('"', '""') + '"'


def _stored(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool | int | float | None) and not (isinstance(value, int) and abs(value) >= 1 << 63):
        return value
    return json.dumps(value, ensure_ascii=False)
