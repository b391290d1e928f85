"""Rows of values as files: CSV, TSV, JSON lines, SQLite."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mmcli.errors import InputError, UsageError
from mmcli.extraction.shorthand import schema_of
from mmcli.outputs.row_files import Columns, CsvWriter, FileWriter, JsonLinesWriter, SqliteWriter, TableRow

LIST = Columns(schema_of("vendor, items[]{name, qty int, vendor}?"), rows="items")
PLAIN = Columns(schema_of("name, n int?, ok bool, tags[], at{x float}"))
VALUE = {"name": 'a "b", c', "n": None, "ok": True, "tags": ["x", "é"], "at": {"x": 0.5}}


def lines(columns: Columns, *rows: TableRow, **how: Any) -> list[list[str]]:
    out: list[str] = []
    writer = CsvWriter(out.append, columns, **how)
    for row in rows:
        writer.write(row)
    return list(csv.reader("".join(out).splitlines(keepends=True), delimiter="\t" if how.get("tabs") else ","))


def test_csv_is_read_back_as_it_was() -> None:
    header, row = lines(PLAIN, TableRow("a.png", VALUE))
    assert header == ["source", "name", "n", "ok", "tags", "at", "error"]
    assert row == ["a.png", 'a "b", c', "", "true", '["x", "é"]', '{"x": 0.5}', ""]


@pytest.mark.parametrize("tabs", [False, True])
def test_what_breaks_lines_stays_in_its_cell(tabs: bool) -> None:
    value = VALUE | {"name": 'a\tb\r\nc"\n'}
    assert lines(PLAIN, TableRow("b\n.png", value), tabs=tabs)[1][:2] == ["b\n.png", 'a\tb\r\nc"\n']


def test_an_error_is_a_row() -> None:
    assert lines(PLAIN, TableRow("a.png", error="damaged"))[1] == ["a.png", "", "", "", "", "", "damaged"]


def test_each_item_is_a_row_and_an_empty_list_is_one_too() -> None:
    items = [{"name": "milk", "qty": 2, "vendor": "x"}, {"name": "egg", "qty": 6, "vendor": "y"}]
    found = lines(LIST, TableRow("a", {"vendor": "v", "items": items}), TableRow("b", {"vendor": "w", "items": None}))
    assert found == [
        ["source", "vendor", "name", "qty", "items.vendor", "error"],
        ["a", "v", "milk", "2", "x", ""],
        ["a", "v", "egg", "6", "y", ""],
        ["b", "w", "", "", "", ""],
    ]


def test_a_list_of_words_has_a_column_of_its_name() -> None:
    columns = Columns(schema_of("tags[]"), rows="tags")
    assert lines(columns, TableRow("a", {"tags": ["x", "y"]})) == [
        ["source", "tags", "error"],
        ["a", "x", ""],
        ["a", "y", ""],
    ]


@pytest.mark.parametrize("rows", ["vendor", "nothing"])
def test_rows_must_be_a_list(rows: str) -> None:
    with pytest.raises(UsageError) as caught:
        Columns(schema_of("vendor, items[]"), rows=rows)
    assert "items" in (caught.value.hint or "")


def test_formulas_are_disarmed_on_request() -> None:
    columns = Columns(schema_of("a, n int"))
    value = {"a": "=HYPERLINK(1)", "n": -5}
    assert lines(columns, TableRow("+x", value))[1][:3] == ["+x", "=HYPERLINK(1)", "-5"]
    assert lines(columns, TableRow("+x", value), safe=True)[1][:3] == ["'+x", "'=HYPERLINK(1)", "-5"]


def test_columns_of_ours_are_kept_apart_and_what_is_no_object_has_one() -> None:
    assert lines(Columns(schema_of("source, error")), TableRow("a", {"source": "x", "error": "y"})) == [
        ["source", "source_", "error_", "error"],
        ["a", "x", "y", ""],
    ]
    assert lines(Columns({"type": "integer"}), TableRow("a", 5)) == [["source", "value", "error"], ["a", "5", ""]]


def test_json_lines() -> None:
    out: list[str] = []
    writer = JsonLinesWriter(out.append)
    writer.write(TableRow("a", {"x": 1}, record={"usage": {}}))
    writer.write(TableRow("b", error="no"))
    assert [json.loads(line) for line in out] == [
        {"source": "a", "data": {"x": 1}, "usage": {}},
        {"source": "b", "error": "no"},
    ]


# files


def to_csv(path: Path, columns: Columns = PLAIN) -> FileWriter:
    return FileWriter(path, lambda put: CsvWriter(put, columns))


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    writer = to_csv(path)
    writer.write(TableRow("a", VALUE))
    assert not path.exists()
    assert writer.close(whole=True) is None
    assert path.read_text("utf-8").count("\n") == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]


def test_a_run_that_was_stopped_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    to_csv(path).close(whole=True)
    before = path.read_bytes()
    writer = to_csv(path)
    writer.write(TableRow("a", VALUE))
    assert "left as it was" in (writer.close(whole=False) or "")
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    first = to_csv(tmp_path / "b.csv")
    first.write(TableRow("a", VALUE))
    assert first.close(whole=False) is None and (tmp_path / "b.csv").exists()


def test_a_file_with_other_columns_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,total\r\n")
    with pytest.raises(UsageError, match="other columns: name, total"):
        to_csv(path)
    assert path.read_text() == "name,total\n" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/a\.csv"):
        to_csv(tmp_path / "nowhere" / "a.csv")


def test_a_table_takes_the_place_of_an_input_s_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    writer = SqliteWriter(path, LIST)
    items = [{"name": "milk", "qty": 2, "vendor": "x"}, {"name": "egg", "qty": 6, "vendor": "y"}]
    writer.write(TableRow("a", {"vendor": "v", "items": items}))
    writer.write(TableRow("b", error="no"))
    writer.close(whole=False)
    again = SqliteWriter(path, LIST)
    again.write(TableRow("a", {"vendor": "v", "items": items[:1]}))
    again.close(whole=True)
    with sqlite3.connect(path) as database:
        found = database.execute("SELECT * FROM extracted ORDER BY source").fetchall()
    assert found == [("a", 0, "v", "milk", 2, "x", None), ("b", 0, None, None, None, None, "no")]


def test_a_table_with_other_columns_and_a_file_of_another_kind_are_refused(tmp_path: Path) -> None:
    SqliteWriter(tmp_path / "a.db", LIST).close(whole=True)
    with pytest.raises(UsageError, match="other columns"):
        SqliteWriter(tmp_path / "a.db", PLAIN)
    SqliteWriter(tmp_path / "a.db", PLAIN, 'my "table"').close(whole=True)
    (tmp_path / "b.db").write_text("no database")
    with pytest.raises(InputError, match="not an SQLite file"):
        SqliteWriter(tmp_path / "b.db", PLAIN)
    assert (tmp_path / "b.db").read_text() == "no database"
