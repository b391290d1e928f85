"""`mmcli extract` on the built-in model: rows in order, errors as rows, and a run that goes on where it was killed."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import captioning
from tests.conftest import TIMEOUT, Completed, Run

SHAPE = "shape circle|square|star!, colour str ..12, n int 1..9!"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    captioning.many(tmp_path / "in", 6)
    (tmp_path / "in" / "002.png").write_bytes((tmp_path / "in" / "002.png").read_bytes()[:60])
    return tmp_path / "in"


@pytest.fixture
def extract(mmcli: Run) -> Run:
    def run(*arguments: str | Path, **how: bytes) -> Completed:
        return mmcli("extract", "-m", "starter", *arguments, **how)

    return run


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_each_picture_is_a_row_in_order_and_a_damaged_one_has_its_error(extract: Run, folder: Path) -> None:
    done = extract("in", "--schema", SHAPE)
    assert done.status == 7
    found = rows(done.stdout)
    assert [row["source"] for row in found] == [f"in/{i:03}.png" for i in range(6)]
    assert [bool(row["error"]) for row in found] == [False, False, True, False, False, False]
    assert "002.png" in done.stderr and "1 of 6" in done.stderr
    for row in found:
        if not row["error"]:
            assert row["shape"] in ("circle", "square", "star") and 1 <= int(row["n"]) <= 9
    again = extract("in", "--schema", SHAPE, "--jsonl")
    records = [json.loads(line) for line in again.stdout.splitlines()]
    assert [record.get("cached") for record in records] == [True, True, None, True, True, True]
    assert records[0]["data"]["shape"] == found[0]["shape"] and records[0]["receipts"][0]["n_tokens"] == 64


def test_names_from_a_pipe_and_a_part_of_a_picture(extract: Run, folder: Path) -> None:
    done = extract("--schema", SHAPE, stdin=b"in/000.png\nin/001.png#xywh=0,0,60,60\n")
    assert done.status == 0
    assert [row["source"] for row in rows(done.stdout)] == ["in/000.png", "in/001.png#xywh=0,0,60,60"]


def test_files_of_rows(extract: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "002.png").unlink()
    assert extract("in", "--schema", SHAPE, "-o", "a.csv").status == 0
    assert extract("in", "--schema", SHAPE, "-o", "a.db").status == 0
    found = rows((tmp_path / "a.csv").read_text("utf-8"))
    with sqlite3.connect(tmp_path / "a.db") as database:
        stored = database.execute("SELECT source, shape, n FROM extracted ORDER BY source").fetchall()
    assert stored == [(row["source"], row["shape"], int(row["n"])) for row in found]
    other = extract("in", "--schema", "name", "-o", "a.csv")
    assert (other.status, "other columns" in other.stderr) == (2, True)
    assert rows((tmp_path / "a.csv").read_text("utf-8")) == found


def test_all_may_be_null_but_what_must_not(extract: Run, folder: Path) -> None:
    done = extract("in/000.png", "--schema", SHAPE, "--jsonl", "--no-cache")
    assert list(json.loads(done.stdout)["data"]) == ["shape", "colour", "n"]


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        ((), 2, "--schema"),
        (("--schema", "a flaot"), 2, "`float`"),
        (("--schema", "a", "-o", "a.txt"), 2, ".csv"),
        (("--schema", "a", "-o", "."), 2, "form"),
        (("--schema", "a", "-o", "a.csv", "--jsonl"), 2, "--jsonl"),
        (("--schema", "a", "--rows", "a"), 2, "--rows"),
        (("--schema", "a", "-o", "nowhere/a.csv"), 3, "nowhere"),
        (("--schema", "a", "--ask", " "), 2, "--ask"),
    ],
)
def test_what_cannot_be_done_is_told_first(
    extract: Run, folder: Path, arguments: tuple[str, ...], status: int, named: str
) -> None:
    done = extract("in", *arguments)
    assert (done.status, done.stdout) == (status, "")
    assert named in done.stderr


def test_answers_that_are_cut_off_are_errors_and_can_be_retried(extract: Run, folder: Path) -> None:
    done = extract("in/000.png", "--schema", SHAPE, "--max-tokens", "4")
    assert (done.status, len(rows(done.stdout))) == (7, 1)
    assert "not whole" in rows(done.stdout)[0]["error"]
    assert extract("in/000.png", "--schema", SHAPE).status == 0


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(tmp_path: Path, environment: dict[str, str]) -> None:
    captioning.many(tmp_path / "in", 40)
    command = [sys.executable, "-m", "mmcli", "extract", "-m", "starter", "in", "--schema", SHAPE, "--jsonl"]
    computed: list[str] = []
    for i in range(4):
        with (tmp_path / f"out-{i}").open("wb") as out:
            process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=out, stderr=out)
        deadline = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            told = (tmp_path / f"out-{i}").read_bytes().count(b'"cached": false')
            if told > 4:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.02)
        process.wait(TIMEOUT)
        for line in (tmp_path / f"out-{i}").read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and not (record := json.loads(line))["cached"]:
                computed.append(record["source"])
    assert len(computed) == len(set(computed)) and computed  # what was told once is never computed again
    last = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=True)
    sources = [json.loads(line)["source"] for line in last.stdout.splitlines()]
    assert sources == [f"in/{i:03}.png" for i in range(40)]
