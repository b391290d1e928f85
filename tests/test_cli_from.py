"""`mmcli ask --from` and `chat --from`: answers from a library, with sources that were really shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import scripted
from tests.conftest import Completed, Run, draw
from tests.documents import pdf

COLOURS = ("red", "blue", "green", "yellow", "purple")
FORMS = ("circle", "square", "triangle")


@pytest.fixture
def scenes(mmcli: Run, tmp_path: Path) -> Path:
    """A library of thirty pictures of one shape each, and two pages."""
    folder = tmp_path / "T"
    folder.mkdir()
    for place, (colour, form) in enumerate((c, f) for c in COLOURS for f in FORMS for _ in range(2)):
        draw(folder / f"{colour}-{form}-{place:02d}.png", f"{colour} {form}", size=(230 + 16 * (place % 2), 240))
    (folder / "bill.pdf").write_bytes(pdf("Nothing of interest.", "The fridge was 420 euros, bought at Media Markt."))
    assert mmcli("index", folder, "-m", "starter").status == 0
    return folder


@pytest.fixture
def ask(mmcli: Run) -> Run:
    def run(*arguments: str | Path, **how: bytes) -> Completed:
        return mmcli("ask", "--from", "default", "-m", "starter", "--temperature", "0", *arguments, **how)

    return run


def test_the_pictures_that_tell_are_shown_and_named(ask: Run, scenes: Path) -> None:
    done = ask("What color is the circle in the red picture?", "--query", "red circle", "-n", "1", "--json")
    assert done.status == 0, done.stderr
    (source,) = done.json["sources"]
    assert source["number"] == 1 and "red-circle" in source["path"] and source["strength"] > 4
    (receipt,) = done.json["receipts"]  # it was really encoded
    assert receipt["source"] == source["source"] and receipt["origin"] in ("encoded", "ahead")
    assert "red" in done.json["answer"]


def test_a_page_is_found_by_its_words(ask: Run, scenes: Path) -> None:
    done = ask("When did I buy the fridge?", "-n", "1", "--json")
    (source,) = done.json["sources"]
    assert source["source"].endswith("bill.pdf#page=2") and "420 euros" in source["text"]
    assert done.json["receipts"][0]["page"] == 2


def test_sources_are_told_on_stderr(ask: Run, scenes: Path) -> None:
    done = ask("Is there a red circle?", "-n", "2")
    assert done.status == 0
    assert "note: no source is cited; 2 were shown" in done.stderr  # the starter has not learnt to
    assert f"[1] {scenes}" in done.stderr and "(2 of 2 sources)" in done.stderr


def test_only_sources_that_were_shown_can_be_cited(mmcli: Run, scenes: Path, tmp_path: Path) -> None:
    weights = scripted.write(tmp_path / "model", ["Bought", " in May", " [2]", ", as", " it says"], projector=True)
    told = ("ask", "When did I buy the fridge?", "--from", "default", "-m", weights, "--anyway", "--temperature", "0")
    done = mmcli(*told, "-n", "3", "--json")
    assert done.json["answer"] == "Bought in May [2], as it says"
    assert [source["cited"] for source in done.json["sources"]] == [False, True, False]
    done = mmcli(*told, "-n", "3")
    assert "[2] " in done.stderr and "[1] " not in done.stderr and "no source" not in done.stderr
    done = mmcli(*told, "-n", "1", "--max-tokens", "60")
    assert done.stdout.startswith("Bought in May") and "[2]" not in done.stdout


def test_where_nothing_tells_no_model_is_loaded(mmcli: Run, scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")  # no model: whatever loads it fails with status 4
    done = mmcli("ask", "--from", "default", "What is the capital of France?", "-m", tmp_path / "broken.gguf")
    assert (done.status, done.stdout) == (3, "") and "nothing in `default` seems to tell that" in done.stderr
    assert "--anyway" in done.stderr


def test_anyway_asks_about_the_best_there_is(ask: Run, scenes: Path) -> None:
    done = ask("What is this?", "--query", "capital of France", "--anyway", "-n", "1", "--json")
    assert done.status == 0 and len(done.json["sources"]) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("ask", "--from", "default", "pic.png", "What?"), 2, "--from takes no files"),
        (("ask", "--from", "default", "What?", "-c"), 2, "--from and --continue cannot be combined"),
        (("ask", "--query", "x", "What?"), 2, "--query belongs to --from"),
        (("ask", "--from", "none", "What is red?"), 3, "mmcli index"),
        (("ask", "--from", "default", "What?", "--schema", "a"), 2, "cannot be combined"),
        (("chat", "--from", "none"), 3, "mmcli index"),
    ],
)
def test_what_cannot_be_is_told_before_anything(
    mmcli: Run, scenes: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    draw(tmp_path / "pic.png", "red circle")
    done = mmcli(*arguments, "-m", "starter", stdin=b"")
    assert (done.status, done.stdout) == (status, "") and told in done.stderr


def test_a_file_that_cannot_be_read_any_more_is_left_out(ask: Run, scenes: Path) -> None:
    first = ask("Is there a red circle?", "-n", "1", "--json").json["sources"][0]["path"]
    Path(first).write_bytes(b"no picture any more")
    done = ask("Is there a red circle?", "-n", "2", "--json")
    assert done.status == 0 and "left out" in done.stderr
    assert first not in [source["path"] for source in done.json["sources"]]
    assert [source["number"] for source in done.json["sources"]] == [1]


def test_a_chat_looks_for_each_question_and_keeps_the_numbers(mmcli: Run, scenes: Path) -> None:
    lines = "Is there a red circle?\nIs there a blue square?\nIs there a red circle?\n"
    done = mmcli("chat", "--from", "default", "-n", "1", "-m", "starter", "--temp", "0", stdin=lines.encode())
    assert done.status == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr.count("(1 of 1 sources)") == 1 and done.stderr.count("(2 of 2 sources)") == 2
    assert "(3 of 3 sources)" not in done.stderr  # the third question has the source of the first
