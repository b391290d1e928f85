"""PDFs on the command line: what the model gets of them, what is told, and what fails before a model is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from fpdf import FPDF

from tests import documents
from tests.conftest import Run
from tests.terminals import Terminal

WHAT = "What is in this picture?"
BROKEN = ("-m", "broken.gguf")  # no model: whatever loads it fails with status 4


def circle(file: FPDF) -> None:
    file.set_fill_color(255, 0, 0)
    file.ellipse(150, 250, 300, 300, style="F")


def square(file: FPDF) -> None:
    file.set_fill_color(0, 0, 255)
    file.rect(150, 250, 300, 300, style="F")


@pytest.fixture(autouse=True)
def papers(tmp_path: Path) -> Path:
    (tmp_path / "two.pdf").write_bytes(documents.pdf(circle, square))
    (tmp_path / "mixed.pdf").write_bytes(documents.pdf(circle, "", square))
    (tmp_path / "blank.pdf").write_bytes(documents.pdf("", ""))
    (tmp_path / "locked.pdf").write_bytes(documents.locked(documents.pdf(square), "sesame"))
    (tmp_path / "half.pdf").write_bytes(documents.pdf(circle, square)[:600])
    (tmp_path / "hidden.pdf").write_bytes(documents.pdf(documents.nine_cases))
    (tmp_path / "pw").write_text("sesame\n")
    (tmp_path / "wrong").write_text("open\n")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    return tmp_path


def long(tmp_path: Path, n: int = 200) -> str:
    words = "river house stone apple market window garden silver morning paper".split()
    texts = [f"Page {i} has {' '.join(words[(i + j) % 10] for j in range(20))}" for i in range(1, n + 1)]
    texts[136] += " and the zebra"
    (tmp_path / "long.pdf").write_bytes(documents.pdf(*texts))
    return "long.pdf"


@pytest.mark.parametrize("arguments", [("two.pdf#page=2",), ("two.pdf", "--pages", "2"), ("two.pdf", "--pages", "-1")])
def test_the_model_sees_the_page_that_is_named(ask: Run, arguments: tuple[str, ...]) -> None:
    done = ask(*arguments, WHAT, "-v")
    assert done.status == 0 and "blue square" in done.stdout
    assert "two.pdf#page=2: PDF page 2 of 2, 595×842 pt → 1089×1540, no text in the file, 64 tokens" in done.stderr
    assert "page=1" not in done.stderr


def test_every_page_has_a_receipt(ask: Run) -> None:
    first, second = ask("two.pdf", WHAT, "--json").json["receipts"]
    assert (first["source"], first["page"], first["pages"], first["text"]) == ("two.pdf#page=1", 1, 2, "absent")
    assert second["source"] == "two.pdf#page=2" and first["sha256"] == second["sha256"]
    assert first["media_id"] != second["media_id"]


def test_a_blank_page_is_told_and_not_shown(ask: Run) -> None:
    done = ask("mixed.pdf", WHAT)
    assert done.status == 0 and "note: mixed.pdf: page 2 is blank" in done.stderr
    done = ask("mixed.pdf", WHAT, "--json")
    assert [receipt["page"] for receipt in done.json["receipts"]] == [1, 3]
    assert done.json["notes"] == ["mixed.pdf: page 2 is blank"]


def test_hidden_text_does_not_reach_the_model(ask: Run) -> None:
    done = ask("hidden.pdf", "What?", "--text", "only", "--json", "--debug")
    (prompt,) = [line for line in done.stderr.splitlines() if line.startswith("prompt: ")]
    assert [case for case in (*documents.SEEN, *documents.HIDDEN) if case in prompt] == list(documents.SEEN)
    (receipt,) = done.json["receipts"]
    assert receipt["hidden_lines"] == 7 and receipt["text"] == "used"
    assert "7 lines of hidden text left out" in ask("hidden.pdf", "What?").stderr


@pytest.mark.parametrize(
    "arguments, status, words",
    [
        (("two.pdf", "--pages", "3"), 3, "`two.pdf` has 2 pages; there is no page 3"),
        (("two.pdf#page=1-3",), 3, "`two.pdf` has 2 pages; there is no page 3"),
        (("two.pdf", "--pages", "first"), 2, "`first` is not a page"),
        (("locked.pdf",), 3, "`locked.pdf` needs a password"),
        (("locked.pdf", "--password-file", "wrong"), 3, "`locked.pdf`: wrong password"),
        (("locked.pdf", "--password-file", "none"), 3, "the password file `none` cannot be read"),
        (("half.pdf",), 3, "`half.pdf` is damaged: its end is missing"),
        (("blank.pdf",), 3, "`blank.pdf` is blank"),
        (("two.pdf", "--text", "only"), 3, "`two.pdf` has no text"),
    ],
)
def test_what_is_cheap_fails_before_a_model_is_loaded(
    mmcli: Run, arguments: tuple[str, ...], status: int, words: str
) -> None:
    done = mmcli("ask", *arguments, "-m", "starter", WHAT)
    assert done.status == status and words in " ".join(done.stderr.split())
    assert not done.stdout


def test_a_locked_file_opens_with_its_password(ask: Run) -> None:
    assert "blue square" in ask("locked.pdf", "--password-file", "pw", WHAT).stdout


def test_pages_without_a_document_are_an_error(ask: Run, papers: Path) -> None:
    done = ask("pw", "--pages", "1", WHAT)
    assert done.status == 2 and "--pages is about the pages of PDF files" in done.stderr


def test_a_document_may_come_through_a_pipe(ask: Run, papers: Path) -> None:
    assert "blue square" in ask("--pages", "2", WHAT, stdin=(papers / "two.pdf").read_bytes()).stdout


def test_a_folder_gives_its_documents_too(ask: Run, papers: Path) -> None:
    (papers / "folder").mkdir()
    (papers / "folder" / "a.pdf").write_bytes(documents.pdf(square))
    (papers / "folder" / "b.doc").write_text("x")
    done = ask("folder", WHAT)
    assert "blue square" in done.stdout and "1 × .doc" in done.stderr


def test_a_long_document_is_never_cut_silently(ask: Run, tmp_path: Path) -> None:
    done = ask(long(tmp_path), "Which page names the zebra?", "--ctx-size", "2048", "--max-tokens", "4", "--json")
    assert 137 in [receipt["page"] for receipt in done.json["receipts"]]
    (note,) = done.json["notes"]
    assert "of 200 pages were read, chosen by the words of the question: 1, 136-138" in note
    done = ask("long.pdf", "Which page names the zebra?", "--pages", "1-200")
    assert done.status == 6 and "200 pages of long.pdf take at least" in done.stderr and not done.stdout


def test_a_scan_that_does_not_fit_is_an_error_with_both_ways_out(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(documents.pdf(*[circle, square] * 25))
    done = ask("scan.pdf", WHAT)
    told = " ".join(done.stderr.split())
    assert done.status == 6 and "the 50 pages of scan.pdf have no text to choose by" in told
    assert "--pages 1-" in told and "--every-page" in told


def test_going_on_shows_the_same_pages_again(ask: Run, mmcli: Run, home: Path, environment: dict[str, str]) -> None:
    environment["MMCLI_DATA_DIR"] = str(home / "data")
    ask("mixed.pdf", "--pages", "3", WHAT)
    done = mmcli("ask", "-c", WHAT, "--json", "--temperature", "0")
    assert [receipt["source"] for receipt in done.json["receipts"]] == ["mixed.pdf#page=3"]
    assert not done.json.get("notes")


def test_a_chat_takes_documents(mmcli: Run, tmp_path: Path) -> None:
    lines = f"What is in this picture?\n/media\n/attach {long(tmp_path)}\nThe zebra?\n/media\n"
    done = mmcli("chat", "two.pdf#page=2", "-m", "starter", "--max-tokens", "12", stdin=lines.encode())
    assert "blue square" in done.stdout
    assert "two.pdf#page=2, PDF 1 of 2 pages" in done.stderr
    assert "of 200 pages were read, chosen by the words of the question" in done.stderr


def test_each_page_has_its_caption(mmcli: Run, papers: Path) -> None:
    done = mmcli("caption", "mixed.pdf", "-m", "starter", "-v")
    lines = dict(line.split("\t") for line in done.stdout.splitlines())
    assert done.status == 0 and list(lines) == ["mixed.pdf#page=1", "mixed.pdf#page=3"]
    assert "red circle" in lines["mixed.pdf#page=1"] and "blue square" in lines["mixed.pdf#page=3"]
    assert "mixed.pdf#page=2 is left as it is: the page is blank" in " ".join(done.stderr.split())
    again = mmcli("caption", "--pages", "-1,1", "-m", "starter", stdin=b"mixed.pdf\nlocked.pdf\n")
    assert again.stdout.splitlines() == [f"{name}\t{lines[name]}" for name in ("mixed.pdf#page=3", "mixed.pdf#page=1")]
    assert again.status == 7 and "`locked.pdf` needs a password" in again.stderr
    piped = mmcli("caption", "-m", "starter", stdin=(papers / "two.pdf").read_bytes())
    assert [line.split("\t")[0] for line in piped.stdout.splitlines()] == ["-#page=1", "-#page=2"]


def test_a_folder_of_pictures_is_captioned_without_its_documents(mmcli: Run, papers: Path) -> None:
    done = mmcli("caption", ".", "-m", "starter")
    assert done.status == 3 and "6 × .pdf" in done.stderr


def test_on_a_terminal_the_password_is_asked_for_and_not_shown(papers: Path, environment: dict[str, str]) -> None:
    screen = Terminal(["ask", "locked.pdf", WHAT, "-m", "starter", "--temperature", "0"], environment, papers)
    screen.wait("password of `locked.pdf`:")
    screen.send("wrong\r")
    screen.wait(lambda: screen.text.count("password of") == 2)
    screen.send("sesame\r")
    screen.wait("blue square")
    assert "sesame" not in screen.text and "wrong" not in screen.text
    assert screen.end() == 0
