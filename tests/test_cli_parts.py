"""`photo.jpg#xywh=10,10,200,80` on the command line: what each command does with a part of a file."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from mmcli.chat import completing
from tests.conftest import PICTURES, Completed, Run

WHAT = "What is in this picture?"
# The red circle, the blue square and the yellow star of docs/pictures/shapes.png, which is 480×320.
CIRCLE, SQUARE, STAR = "xywh=0,0,160,320", "xywh=percent:33.33,0,33.33,100", "xywh=320,0,999,320"


@pytest.fixture(autouse=True)
def shapes(tmp_path: Path) -> Path:
    return Path(shutil.copy(PICTURES / "shapes.png", tmp_path))


@pytest.fixture
def data(home: Path, environment: dict[str, str]) -> Path:
    """The folder of the history."""
    environment["MMCLI_DATA_DIR"] = str(home / "data")
    return home / "data"


def captions(done: Completed) -> dict[str, str]:
    return dict(line.split("\t") for line in done.stdout.splitlines())


@pytest.mark.parametrize("box, seen", [(CIRCLE, "circle"), (SQUARE, "square"), (STAR, "star")])
def test_the_model_sees_the_box_alone(ask: Run, box: str, seen: str) -> None:
    done = ask(f"shapes.png#{box}", WHAT)
    assert done.status == 0 and done.words & {"circle", "square", "star"} == {seen}
    assert "of 480×320" in done.stderr


def test_the_receipt_says_which_part_it_is(ask: Run) -> None:
    (cut,) = ask("-a", f"shapes.png#{STAR}", WHAT, "--json").json["receipts"]
    assert cut["source"] == f"shapes.png#{STAR}" and cut["locator"] == "xywh=320,0,160,320"
    assert cut["source_size"] == {"width": 480, "height": 320} and cut["sent_size"] == {"width": 160, "height": 320}
    (whole,) = ask("shapes.png", WHAT, "--json").json["receipts"]
    assert whole["locator"] is None and whole["sha256"] == cut["sha256"] and whole["media_id"] != cut["media_id"]


@pytest.mark.parametrize(
    "name, status, words",
    [
        ("shapes.png#xywh=1,2,3", 2, "four numbers"),
        ("shapes.png#xywh=480,0,5,5", 3, "480×320"),
        ("shapes.png#page=2", 3, "no pages"),
        ("shapes.png#t=2", 3, "no time"),
        ("shape.png#xywh=0,0,5,5", 3, "no file named"),
    ],
)
@pytest.mark.parametrize("command", ["ask", "caption", "chat"])
def test_mistakes_end_before_a_model_loads(mmcli: Run, command: str, name: str, status: int, words: str) -> None:
    question = [WHAT] if command == "ask" else []
    done = mmcli(command, name, *question, "-m", "starter", "--debug")
    assert (done.status, done.stdout) == (status, "") and words in done.stderr
    assert "load_tensors" not in done.stderr


def test_a_question_is_missed_behind_a_part(ask: Run) -> None:
    done = ask(f"shapes.png#{CIRCLE}")
    assert done.status == 2 and "no question" in done.stderr
    assert ask(WHAT, f"shapes.png#{CIRCLE}").status == 0


# caption


def test_each_part_has_its_own_caption(caption: Run) -> None:
    names = [f"shapes.png#{box}" for box in (CIRCLE, SQUARE, STAR)] + ["shapes.png"]
    first = caption(*names)
    told = captions(first)
    assert list(told) == names
    for name, shape in zip(names, ("circle", "square", "star"), strict=False):
        assert shape in told[name] and told[name].count("a ") == 1
    assert all(shape in told["shapes.png"] for shape in ("circle", "square", "star"))
    again = caption(*reversed(names), "--jsonl")
    records = [json.loads(line) for line in again.stdout.splitlines()]
    assert {record["path"]: record["caption"] for record in records} == told
    assert all(record["cached"] for record in records)
    assert {record["receipts"][0]["locator"] for record in records if "#" not in record["path"]} == {None}


def test_names_of_a_list_may_be_parts(caption: Run, tmp_path: Path, shapes: Path) -> None:
    shutil.copy(shapes, tmp_path / f"shapes.png#{CIRCLE}")  # a file that is really called so
    names = [f"shapes.png#{CIRCLE}", f"shapes.png#{SQUARE}", "shapes.png#xywh=1", "shapes.png#xywh=999,0,1,1"]
    done = caption("--jsonl", stdin="\n".join(names).encode())
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.status == 7 and [record["path"] for record in records] == names
    assert "star" in records[0]["caption"] and "star" not in records[1]["caption"]
    assert [record["error"]["code"] for record in records[2:]] == ["usage", "input"]


@pytest.mark.parametrize("option", [["--sidecar", "txt"], ["--rename"], ["--rename", "--yes"], ["--embed"]])
def test_nothing_is_written_to_a_picture_of_which_a_part_was_seen(
    caption: Run, tmp_path: Path, shapes: Path, option: list[str]
) -> None:
    if option == ["--embed"] and shutil.which("exiftool") is None:
        pytest.skip("exiftool is not here")
    before = shapes.read_bytes()
    done = caption(f"shapes.png#{CIRCLE}", *option)
    assert done.status == 2 and f"{option[0]} would" in done.stderr and "hint" in done.stderr
    listed = caption(*option, stdin=f"shapes.png#{CIRCLE}".encode())
    assert listed.status == 7 and f"{option[0]} would" in listed.stderr and listed.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} - {"home"} == {"shapes.png"}
    assert shapes.read_bytes() == before


def test_captions_that_were_cached_before_there_were_parts_are_still_known(
    caption: Run, environment: dict[str, str]
) -> None:
    assert caption("shapes.png", "--json").json[0]["cached"] is False
    (cache,) = Path(environment["XDG_CACHE_HOME"]).rglob("captions.db")
    with sqlite3.connect(cache) as database:
        ((receipt,),) = database.execute("SELECT receipt FROM pictures").fetchall()
        before = json.loads(receipt)
        assert before.pop("locator") is None  # the only field that is new
        database.execute("UPDATE pictures SET receipt = ?", (json.dumps(before),))
    database.close()
    whole, cut = caption("shapes.png", f"shapes.png#{STAR}", "--json").json
    assert whole["cached"] is True and cut["cached"] is False
    assert whole["caption"] != cut["caption"]


# what was shown before


def test_a_conversation_goes_on_about_the_same_part(
    ask: Run, mmcli: Run, data: Path, tmp_path: Path, shapes: Path
) -> None:
    ask(f"shapes.png#{SQUARE}", WHAT)
    (turn,) = mmcli("history", "show", "--json").json["turns"]
    (shown,) = turn["media"]
    assert shown["locator"] == "xywh=160,0,160,320" and shown["path"] == str(shapes)
    assert shown["media_id"] == turn["receipts"][0]["media_id"]
    going_on = ask("-c", "How many shapes are there?", "--json").json
    assert [seen["media_id"] for seen in going_on["receipts"]] == [shown["media_id"]]
    shapes.write_bytes((PICTURES / "words.png").read_bytes())
    assert ask("-c", WHAT).status == 3


def test_a_kept_copy_is_cut_again(ask: Run, data: Path, shapes: Path) -> None:
    first = ask(f"shapes.png#{CIRCLE}", f"shapes.png#{STAR}", WHAT, "--keep-media", "--json").json
    shapes.unlink()
    going_on = ask("-c", WHAT, "--json")
    assert going_on.status == 0
    ids = [seen["media_id"] for seen in first["receipts"]]
    assert [seen["media_id"] for seen in going_on.json["receipts"]][:2] == ids and len(set(ids)) == 2


def test_both_parts_of_one_picture_are_listed(ask: Run, mmcli: Run, data: Path) -> None:
    ask(f"shapes.png#{CIRCLE}", f"shapes.png#{STAR}", WHAT)
    told = mmcli("history", "show").stdout
    assert "box 0,0,160,320" in told and "box 320,0,160,320" in told


# chat


def test_a_chat_takes_parts_wherever_it_takes_files(mmcli: Run, data: Path, tmp_path: Path) -> None:
    lines = [
        f"/attach shapes.png#{CIRCLE}",
        WHAT,
        "/drop 1",
        f"What do you see in @shapes.png#{SQUARE}, please?",
        "/save talk.json",
        "/clear",
        f"./shapes.png#{STAR}",
        WHAT,
        "/load talk.json",
        "What color is the square?",
    ]
    done = mmcli("chat", "-m", "starter", "--temperature", "0", stdin="\n".join(lines).encode())
    assert done.status == 0, done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == 4
    for answer, word in zip(answers, ("circle", "square", "star", "blue"), strict=True):
        assert word in answer
    saved = json.loads((tmp_path / "talk.json").read_text())
    places = [medium["place"] for turn in saved["turns"] for medium in turn["media"]]
    assert places and all(place.startswith(str(tmp_path / "shapes.png#")) for place in places)


def test_a_fragment_is_completed_behind_a_file_s_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = completing.Words({"attach": ("stage files", "paths")}, lambda: (), lambda: 0)

    def offered(line: str) -> list[str]:
        return [candidate.text for candidate in completing.candidates(line, words)]

    assert offered("/attach shapes.png#") == offered("Look at @shapes.png#xy") == ["shapes.png#xywh="]
    shutil.copy(SOUND, tmp_path)
    assert offered("@question.ogg#") == ["question.ogg#t="]
    assert offered("@gone.png#") == offered("@shapes.png#t") == []


# sounds: "What is in this picture?", and 1.68 seconds after its beginning "How many shapes are there?"

SOUND = PICTURES.parent / "sounds" / "question.ogg"


@pytest.fixture
def question(tmp_path: Path) -> Path:
    return Path(shutil.copy(SOUND, tmp_path))


def test_only_the_stretch_is_transcribed_and_its_times_are_the_file_s(mmcli: Run, question: Path) -> None:
    later = mmcli("transcribe", "question.ogg#t=1.5", "-m", "starter", "--json").json
    assert later["text"] == "How many shapes are there?"
    assert later["source"] == "question.ogg#t=1.5" and later["start"] == 1.5 and later["seconds"] > 3
    assert all(segment["start"] >= 1.5 for segment in later["segments"])
    before = mmcli("transcribe", "question.ogg#t=0,1.4", "-m", "starter")
    assert before.stdout.strip() == "What is in this picture?" and "heard from 0.0 s to 1.4 s" in before.stderr


def test_a_part_s_transcript_does_not_take_the_place_of_the_whole_one_s(
    mmcli: Run, question: Path, tmp_path: Path
) -> None:
    names = ["question.ogg", "question.ogg#t=1.5", "question.ogg#t=,1.4"]
    assert mmcli("transcribe", *names, "-o", "out/", "-f", "txt", "-m", "starter").status == 0
    texts = {path.name: path.read_text().strip() for path in (tmp_path / "out").iterdir()}
    assert texts["question#t=1.5.txt"] == "How many shapes are there?"
    assert texts["question#t=0,1.4.txt"] == "What is in this picture?"
    assert set(texts["question.txt"].split()) > {"What", "How"} and len(texts) == 3


def test_a_model_that_cannot_hear_gets_what_is_said_in_the_stretch(ask: Run, data: Path, question: Path) -> None:
    done = ask("shapes.png", "question.ogg#t=1.5", "?", "--speech-model", "starter", "--debug")
    assert "How many shapes are there?" in done.prompt and "What is in" not in done.prompt
    receipts = ask("-c", "How many?", "--speech-model", "starter", "--json").json["receipts"]
    assert [receipt["locator"] for receipt in receipts] == [None, "t=1.5"]


@pytest.mark.parametrize(
    "name, status, words",
    [
        ("question.ogg#t=60", 3, "the sound ends at 3.7 s"),
        ("question.ogg#t=3,2", 2, "ends at 2 s"),
        ("question.ogg#xywh=0,0,5,5", 3, "no box"),
        ("question.ogg#page=1", 3, "no pages"),
        ("gone.ogg#t=1", 3, "no file named `gone.ogg#t=1`"),
    ],
)
def test_a_stretch_that_there_is_not(mmcli: Run, question: Path, name: str, status: int, words: str) -> None:
    for arguments in (["transcribe", name, "-m", "starter"], ["ask", name, WHAT, "-m", "starter"]):
        done = mmcli(*arguments)
        assert (done.status, done.stdout) == (status, "") and words in done.stderr
