"""`mmcli read` as a person types it: PDFs, scans, photographs of text; pages that fail; formats, tables, the cache."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fpdf import FPDF
from PIL import Image

from tests import documents, scripted
from tests.conftest import TIMEOUT, Run
from tests.sheets import LINES, sheet

WORDS = "The net result of the year was 4.2 million euros, as the board had hoped it would be in March."


def scan(*lines: str) -> bytes:
    """A JPEG of a page with these lines."""
    import io

    out = io.BytesIO()
    Image.fromarray(sheet(*lines)).save(out, "PNG")
    return out.getvalue()


def with_scan(file: FPDF) -> None:
    import io

    file.image(io.BytesIO(scan(*LINES)), 40, 60, 500)


def blank(file: FPDF) -> None:
    """Nothing."""


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A PDF of a page of text, a scanned one, and a blank one."""
    path = tmp_path / "mixed.pdf"
    path.write_bytes(documents.pdf(WORDS, with_scan, blank))
    return path


def marks(text: str) -> list[str]:
    return re.findall(r"<!-- (.*?) -->", text)


def test_each_page_is_read_as_it_needs_and_its_number_stands_before_it(mmcli: Run, mixed: Path) -> None:
    done = mmcli("read", mixed)
    assert done.status == 0 and done.stderr == ""
    assert marks(done.stdout) == ["page 1", "page 2", "page 3 is blank"]
    first, second, third = re.split(r"<!-- page \d.*? -->", done.stdout)[1:]
    assert " ".join(first.split()) == WORDS
    assert [line for line in LINES if line not in " ".join(second.split())] == []
    assert third.strip() == ""


def test_a_model_reads_only_what_has_no_text_and_is_not_blank_and_only_once(mmcli: Run, mixed: Path) -> None:
    """Section 7.5, check 4."""
    for run, is_cached in enumerate((False, True)):
        done = mmcli("read", mixed, "-m", "starter", "-f", "json")
        pages = json.loads(done.stdout)
        assert [page["how"] for page in pages] == ["painted", "read", "blank"] and done.status == 0, run
        assert [page["page"] for page in pages] == [1, 2, 3]
        assert pages[1]["cached"] is is_cached and pages[1]["usage"]["n_encodes"] == 1
        assert "usage" not in pages[0] and "usage" not in pages[2]


def test_by_sight_reads_the_picture_and_tells_where_numbers_differ(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(documents.pdf("Total 1,234.50 and 77"))
    done = mmcli("read", "a.pdf", "--by-sight")
    assert done.status == 0 and "Total 1,234.50 and 77" in done.stdout and done.stderr == ""
    weights = scripted.write(tmp_path, ("Total ", "1,284.50", " and ", "7", "7."), projector=True)
    done = mmcli("read", "a.pdf", "--by-sight", "-m", weights, "--mmproj", tmp_path / "scripted-mmproj.gguf")
    assert "Total 1,284.50 and 77." in done.stdout
    assert "note: page 1: 1 number differs from the text layer\n" in done.stderr


def test_a_photograph_is_read_and_its_text_stands_alone(mmcli: Run, tmp_path: Path) -> None:
    Image.fromarray(sheet(*LINES)).save(tmp_path / "photo.jpg")
    done = mmcli("read", "photo.jpg")
    assert done.stdout.split() == " ".join(LINES).split() and done.status == 0
    piped = mmcli("read", stdin=(tmp_path / "photo.jpg").read_bytes())
    assert piped.stdout == done.stdout


def test_of_several_files_each_has_its_mark(mmcli: Run, tmp_path: Path, mixed: Path) -> None:
    Image.fromarray(sheet("On a picture")).save(tmp_path / "photo.png")
    (tmp_path / "notes.md").write_text("# Notes\n\nA text.\n")
    done = mmcli("read", "photo.png", f"{mixed}#page=1", "notes.md")
    assert marks(done.stdout) == ["photo.png", str(mixed), "page 1", "notes.md"]
    assert done.stdout.index("On a picture") < done.stdout.index("net result") < done.stdout.index("# Notes")


def test_pages_are_chosen(mmcli: Run, mixed: Path) -> None:
    assert marks(mmcli("read", mixed, "--pages", "-1,1").stdout) == ["page 3 is blank", "page 1"]
    done = mmcli("read", f"{mixed}#page=4")
    assert (done.status, done.stdout) == (3, "") and "has 3 pages; there is no page 4" in done.stderr


def test_one_bad_file_is_one_mark_and_status_7(mmcli: Run, tmp_path: Path, mixed: Path) -> None:
    (tmp_path / "half.pdf").write_bytes(mixed.read_bytes()[:900])
    (tmp_path / "cut.png").write_bytes(scan("x")[:200])
    done = mmcli("read", "half.pdf", "cut.png", f"{mixed}#page=1")
    assert done.status == 7 and WORDS in " ".join(done.stdout.split())
    assert [mark for mark in marks(done.stdout) if "could not be read" in mark] == [
        "half.pdf could not be read: is damaged: its end is missing",
        "cut.png could not be read: is cut short: its end is missing",
    ]
    assert "2 of 3 pages could not be read" in done.stderr
    alone = mmcli("read", "half.pdf")
    assert (alone.status, alone.stdout) == (3, "") and "is damaged" in alone.stderr


def test_a_locked_file_needs_its_password(mmcli: Run, tmp_path: Path) -> None:
    import pikepdf

    (tmp_path / "open.pdf").write_bytes(documents.pdf(WORDS, with_scan))
    with pikepdf.open(tmp_path / "open.pdf") as file:
        file.save(tmp_path / "locked.pdf", encryption=pikepdf.Encryption(user="secret", owner="other"))
    assert "needs a password" in mmcli("read", "locked.pdf").stderr
    (tmp_path / "pw").write_text("secret\n")
    done = mmcli("read", "locked.pdf", "--password-file", "pw")
    assert done.status == 0 and marks(done.stdout) == ["page 1", "page 2"] and LINES[0] in done.stdout


def test_a_page_on_which_a_model_repeats_itself_is_marked(mmcli: Run, tmp_path: Path, mixed: Path) -> None:
    weights = scripted.write(tmp_path, ("So ", "it ", "goes "), ends=False, projector=True)
    done = mmcli("read", mixed, "-m", weights, "--mmproj", tmp_path / "scripted-mmproj.gguf")
    assert done.status == 7 and "1 of 3 pages could not be read" in done.stderr
    assert marks(done.stdout) == ["page 1", "page 2 could not be read: it repeated itself", "page 3 is blank"]


def test_a_model_may_be_asked_nothing_in_words(mmcli: Run, tmp_path: Path) -> None:
    Image.fromarray(sheet("x")).save(tmp_path / "a.png")
    weights = scripted.write(tmp_path, ("Hello ", "world"), projector=True)
    done = mmcli("read", "a.png", "-m", weights, "--mmproj", tmp_path / "scripted-mmproj.gguf", "--ask", "")
    assert (done.status, done.stdout) == (0, "Hello world\n")


# forms


def table(file: FPDF) -> None:
    for y, row in enumerate((("Item", "Count", "Price"), ("Apples", "12", "3.50"), ("Pears, ripe", "7", "4.00"))):
        for x, cell in enumerate(row):
            file.text(60 + 160 * x, 100 + 24 * y, cell)


def test_tables_are_written_as_csv(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "prices.pdf").write_bytes(documents.pdf(WORDS, table))
    done = mmcli("read", "prices.pdf", "--tables", "out/tables")
    assert done.status == 0 and "note: 1 table written to `out/tables`" in done.stderr
    (path,) = (tmp_path / "out" / "tables").iterdir()
    assert path.name == "page-02-table-1.csv"
    with path.open(newline="") as file:
        assert list(csv.reader(file))[2] == ["Pears, ripe", "7", "4.00"]
    assert "| Apples | 12 | 3.50 |" in done.stdout


@pytest.mark.parametrize("name", ["txt", "html", "json", "jsonl"])
def test_other_formats(mmcli: Run, tmp_path: Path, mixed: Path, name: str) -> None:
    done = mmcli("read", f"{mixed}#page=1,3", "-o", f"pages.{name}")
    assert (done.status, done.stdout) == (0, "")
    text = (tmp_path / f"pages.{name}").read_text()
    if name == "txt":
        assert " ".join(text.split("\f")[0].split()) == WORDS and text.split("\f")[1] == ""
    elif name == "html":
        assert text.startswith("<!doctype html>") and "<!-- page 3 is blank -->" in text and text.endswith("</html>\n")
    else:
        pages = json.loads(text) if name == "json" else list(map(json.loads, text.splitlines()))
        assert [page["how"] for page in pages] == ["painted", "blank"]
        assert " ".join(line["text"] for line in pages[0]["lines"]) == WORDS


def test_html_holds_no_script_of_a_page_s(mmcli: Run, tmp_path: Path) -> None:
    evil = "Hello <script>alert(1)</script>\n<table><tr><td onclick=x><script>y</script></td></tr></table> bye"
    (tmp_path / "evil.md").write_text(evil)
    done = mmcli("read", "evil.md", "-f", "html")
    assert "<script" not in done.stdout and "onclick" not in done.stdout and "&lt;script&gt;" in done.stdout


def test_words_and_how_sure_they_are_are_in_the_json(mmcli: Run, tmp_path: Path) -> None:
    Image.fromarray(sheet(*LINES)).save(tmp_path / "photo.png")
    (page,) = json.loads(mmcli("read", "photo.png", "--json").stdout)
    assert page["model"]["name"] == "ppocr" and page["size"] == [800, 360]
    for line, wanted in zip(page["lines"], LINES, strict=True):
        assert line["text"] == wanted and [word for word, _ in line["words"]] == wanted.split()
        assert all(0.5 < sure <= 1 for _, sure in line["words"])


# what is refused, and what is kept


def test_nothing_is_overwritten_unasked(mmcli: Run, tmp_path: Path, mixed: Path) -> None:
    (tmp_path / "a.md").write_text("mine")
    done = mmcli("read", mixed, "-o", "a.md")
    assert done.status == 2 and "`a.md` already exists" in done.stderr and (tmp_path / "a.md").read_text() == "mine"
    assert mmcli("read", f"{mixed}#page=1", "-o", "a.md", "--overwrite").status == 0
    assert WORDS in " ".join((tmp_path / "a.md").read_text().split())
    assert mmcli("read", mixed, "-o", mixed.name, "-f", "md", "--overwrite").status == 2
    assert mixed.read_bytes().startswith(b"%PDF")


def test_a_text_under_a_picture_s_name_is_told_whole(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello\n")
    done = mmcli("read", "a.png")
    assert (done.status, done.stdout) == (3, "")
    assert "error: `a.png` is a text file, not a picture\n" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "there is nothing to read"),
        (["none.pdf"], 3, "no file named `none.pdf`"),
        (["a.png", "-o", "out.docx"], 2, "cannot be written as a `.docx` file"),
        (["a.png", "-o", "."], 2, "-o takes a file"),
        (["a.png", "--tables", "a.png"], 2, "--tables takes a folder"),
        (["a.png", "--json", "-f", "html"], 2, "--json and -f html"),
        (["a.png", "--ask", "x"], 2, "are for a model"),
        (["a.png", "-m", "nothing-like-it"], 4, "no model named `nothing-like-it`"),
        (["a.png", "--pages", "x"], 2, "--pages"),
    ],
)
def test_a_wrong_command_is_told_in_a_sentence(
    mmcli: Run, tmp_path: Path, arguments: list[str], status: int, words: str
) -> None:
    (tmp_path / "a.png").write_bytes(scan("x"))
    done = mmcli("read", *arguments)
    assert done.status == status and words in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_ctrl_c_keeps_what_was_read(tmp_path: Path, environment: dict[str, str]) -> None:
    for at in range(4):
        Image.fromarray(sheet(*(f"Page {at} has a line that is number {line}" for line in range(5)))).save(
            tmp_path / f"p{at:02}.png"
        )
    command = [sys.executable, "-m", "mmcli", "read", *(f"p{at:02}.png" for at in range(4))]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    while b"Page 0 has" not in process.stdout.readline():
        pass
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130 and b"the same command continues from there" in told
    done = subprocess.run([*command, "-f", "json"], cwd=tmp_path, env=environment, capture_output=True, check=True)
    cached = [page["cached"] for page in json.loads(done.stdout)]
    assert cached[0] and not cached[-1]


def test_a_closed_pipe_ends_quietly(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "a.md").write_text("many words " * 60_000)
    done = subprocess.run(
        f"{sys.executable} -m mmcli read a.md | head -c 10; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        cwd=tmp_path,
        env=environment,
        capture_output=True,
    )
    assert done.returncode in (0, 141) and done.stderr == b""


def test_a_turned_scan_is_read_and_told(mmcli: Run, tmp_path: Path) -> None:
    Image.fromarray(np.ascontiguousarray(np.rot90(sheet(*LINES)))).save(tmp_path / "side.png")
    done = mmcli("read", "side.png")
    assert done.stdout.split() == " ".join(LINES).split()
    assert "turned by 90° to be read" in done.stderr


def test_a_model_of_the_catalogue_may_want_no_question(mmcli: Run, tmp_path: Path) -> None:
    """LightOnOCR's form: an empty system message, the picture, no words."""
    Image.fromarray(sheet("x")).save(tmp_path / "a.png")
    done = mmcli("ask", "a.png", "-m", "lightonocr-2")
    assert done.status == 4 and "`lightonocr-2` is not on this machine yet" in done.stderr  # and no question is missed
    done = mmcli("ask", "a.png", "-m", "glm-ocr")
    assert done.status == 2 and "no question was given" in done.stderr
