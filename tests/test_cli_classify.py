"""`mmcli classify` on the built-in model: right labels with their probabilities, and no label where none was meant."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from mmcli.engine import Answer, Scores, Usage
from mmcli.errors import OutputError, UsageError
from mmcli.jobs.classify import ClassifyTask, check_labels
from mmcli.jobs.classify_report import ClassifyReport, Judged
from mmcli.jobs.inputs import Named
from mmcli.jobs.task import Asked
from mmcli.media import Receipt, Source
from mmcli.outputs import renames
from tests.conftest import Completed, Run, draw

COLOURS = ("red", "blue", "green", "yellow")
COLOUR = ("--ask", "What color is the circle?", "--labels", ",".join(COLOURS), "--form", "The circle is {}.")


@pytest.fixture
def classify(mmcli: Run) -> Run:
    def run(*arguments: str | Path, **how: Any) -> Completed:
        return mmcli("classify", "-m", "starter", *arguments, **how)

    return run


@pytest.fixture
def circles(tmp_path: Path) -> Path:
    """A folder for each colour, with two circles of it beside something else."""
    for colour in COLOURS:
        (tmp_path / "in" / colour).mkdir(parents=True)
        draw(tmp_path / "in" / colour / "a.png", f"{colour} circle")
        draw(tmp_path / "in" / colour / "b.png", f"{colour} circle", "purple square")
    return tmp_path / "in"


# on a real model


def test_the_right_label_comes_first(classify: Run, circles: Path) -> None:
    done = classify("in", "-r", *COLOUR)
    assert (done.status, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == 8
    for path, label, p in rows:
        assert path.split("/")[1] == label and float(p) > 0.9


def test_json_tells_all_labels_and_whether_one_was_meant(classify: Run, circles: Path) -> None:
    (told,) = classify("in/red/a.png", *COLOUR, "--json").json
    assert (told["label"], list(told["labels"])[0]) == ("red", "red")
    assert sum(told["labels"].values()) == pytest.approx(1, abs=1e-4)
    assert told["mass"] > 0.5
    assert told["receipts"][0]["n_tokens"] == 64 and told["usage"]["n_encodes"] == 1
    again = json.loads(classify("in/red/a.png", *COLOUR, "--jsonl").stdout)
    assert again["cached"] and again["labels"] == told["labels"]


def test_a_form_that_the_model_never_says_is_told_and_can_be_left_unanswered(classify: Run, circles: Path) -> None:
    odd = ("--ask", "What color is the circle?", "--labels", "red,blue", "--form", "xylophone {} quartz")
    done = classify("in/red/a.png", *odd)
    assert "would have answered something else" in done.stderr
    done = classify("in/red/a.png", *odd, "--abstain", "0.1")
    assert (done.stdout.split("\t")[1], done.stderr) == ("?", "")


def test_several_labels_may_fit(classify: Run, circles: Path) -> None:
    (told,) = classify("in/red/b.png", "--multi", "--labels", "circle,square", "--json").json
    assert set(told["labels"]) == {"circle", "square"}
    assert all(0 <= p <= 1 for p in told["labels"].values())


def test_a_report_compares_with_the_folders(classify: Run, circles: Path) -> None:
    (circles / "red" / "b.png").rename(circles / "blue" / "c.png")
    told = classify("in", "-r", *COLOUR, "--truth", "folder", "--report", "--json").json
    assert (told["n"], told["answered"]) == (8, 8)
    assert told["accuracy"] == pytest.approx(7 / 8)
    assert told["labels"]["blue"] == {"precision": 1.0, "recall": pytest.approx(2 / 3), "n": 3}
    assert [(one["truth"], one["label"]) for one in told["worst"]] == [("blue", "red")]
    shown = classify("in", "-r", *COLOUR, "--truth", "folder", "--report").stdout
    assert "accuracy" in shown and "0.875" in shown and "in/blue/c.png" in shown


def test_a_damaged_picture_is_one_error(classify: Run, circles: Path) -> None:
    (circles / "red" / "a.png").write_bytes((circles / "red" / "a.png").read_bytes()[:50])
    done = classify("in", "-r", *COLOUR)
    assert (done.status, len(done.stdout.splitlines())) == (7, 7)
    assert "in/red/a.png" in done.stderr


def test_labels_from_a_file_and_in_other_scripts(classify: Run, circles: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("红色\n\n蓝色\n", "utf-8")
    done = classify("in/red/a.png", "--labels-file", "labels.txt")
    assert done.status == 0
    assert done.stdout.split("\t")[1] in ("红色", "蓝色")


@pytest.mark.parametrize(
    ("arguments", "status", "named"),
    [
        ((), 2, "no labels"),
        (("--labels", "a,b", "--labels-file", "x"), 2, "combined"),
        (("--labels", "cat"), 2, "too few"),
        (("--labels", "cat,,dog"), 2, "empty"),
        (("--labels", "Cat,cat "), 2, "the same"),
        (("--labels", "a,b", "--form", "no place"), 2, "--form"),
        (("--labels", "a,b", "--report"), 2, "--truth"),
        (("--labels-file", "nowhere.txt"), 3, "nowhere.txt"),
    ],
)
def test_what_cannot_be_done_is_told_first(
    classify: Run, circles: Path, arguments: tuple[str, ...], status: int, named: str
) -> None:
    done = classify("in", "-r", *arguments)
    assert (done.status, done.stdout) == (status, "")
    assert named in done.stderr


# the arithmetic


def result(task: ClassifyTask, seen: list[list[float]], unseen: list[list[float]]) -> Any:
    named = Named(0, Source("a.png"))
    asked = Asked(named, "", {}, Receipt("a.png", "image", "", 0, "PNG"), "id", "key", "base")
    text = json.dumps({"with": seen, "without": unseen})
    return task.result(asked, Answer(text, "", "stop", (), Usage(), "", None, None, "", 1, 1, 0))


def test_what_is_likely_without_the_picture_counts_less() -> None:
    task = ClassifyTask(("cat", "dog"), "What?")
    seen, unseen = [math.log(0.6), math.log(0.3)], [math.log(0.6), math.log(0.1)]
    found = result(task, [seen], [unseen])
    assert [label for label, _ in found.ranked] == ["dog", "cat"]
    assert dict(found.ranked)["dog"] == pytest.approx(0.75)
    assert found.mass == pytest.approx(0.9)
    assert (found.label(None), found.label(0.8), found.label(0.7)) == ("dog", "?", "dog")
    low = result(task, [[-20.0, -21.0]], [[-5.0, -5.0]])
    assert (low.label(None), low.label(0.1)) == ("cat", "?")


def test_what_was_stored_by_something_else_is_an_error() -> None:
    with pytest.raises(OutputError):
        result(ClassifyTask(("cat", "dog"), "What?"), [], [])


def test_the_same_label_twice_is_refused() -> None:
    for labels in (("a", "A"), ("new  york", "New York"), ("a",), ("a", " ")):
        with pytest.raises(UsageError):
            check_labels(labels, least=2)


def test_a_scores_mass_is_of_all_choices() -> None:
    assert Scores((math.log(0.5), math.log(0.25)), (1, 1), (), Usage()).mass == pytest.approx(0.75)


def test_the_report_s_figures() -> None:
    judged = [
        Judged("1", "cat", "cat", 0.95),
        Judged("2", "cat", "dog", 0.95),
        Judged("3", "dog", "dog", 0.55),
        Judged("4", "dog", "?", 0.3),
    ]
    report = ClassifyReport(judged)
    assert report.accuracy == pytest.approx(2 / 3)
    assert report.labels == ["cat", "dog", "?"]
    assert report.confusion() == [["cat", 1, 1, 0], ["dog", 0, 1, 1]]
    assert report.each() == [("cat", 1.0, 0.5, 2), ("dog", 0.5, 0.5, 2)]
    assert report.calibration_error() == pytest.approx((2 * 0.45 + 0.45) / 3)
    assert [one.source for one in report.worst()] == ["2"]
    assert math.isnan(ClassifyReport([judged[3]]).accuracy)


# sorting into folders


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file with its bytes, and every folder, below one."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    draw(folder / "1.png", "red circle")
    (folder / "1.txt").write_text("mine")
    draw(folder / "2.png", "blue circle")
    draw(folder / "more" / "1.png", "red circle", "purple square")
    return folder


@pytest.mark.parametrize("how", ["--move", "--copy"])
def test_pictures_are_sorted_by_their_labels_and_back(
    classify: Run, mmcli: Run, mixed: Path, tmp_path: Path, how: str
) -> None:
    before = tree(tmp_path / "in")
    planned = classify("in", "-r", *COLOUR, how, "out", env={"MMCLI_YES": "1"})
    assert planned.status == 0 and "with --yes does it" in planned.stderr
    assert tree(tmp_path / "in") == before and not (tmp_path / "out").exists()
    done = classify("in", "-r", *COLOUR, how, "out", "--yes")
    assert (done.status, done.stdout) == (0, planned.stdout)
    rows = {row[0]: row[3] for row in (line.split("\t") for line in done.stdout.splitlines())}
    there = tree(tmp_path / "out")
    assert [name for name in there if there[name] is not None] == [
        *("blue/2.png", "red/1-2.png", "red/1.png", "red/1.txt")
    ]
    assert rows["in/1.png"] == str(tmp_path / "out" / "red" / "1.png")
    assert there["red/1-2.png"] == before["more/1.png"] and there["red/1.txt"] == b"mine"
    assert (tree(tmp_path / "in") == before) == (how == "--copy")
    shown = mmcli("undo", "--dry-run")
    assert shown.status == 0 and tree(tmp_path / "out") == there
    undone = mmcli("undo")
    assert undone.status == 0, undone.stderr
    assert tree(tmp_path / "in") == before and not (tmp_path / "out").exists()


def test_what_was_changed_since_is_not_removed(classify: Run, mmcli: Run, mixed: Path, tmp_path: Path) -> None:
    assert classify("in/1.png", "in/2.png", *COLOUR, "--copy", "out", "-y").status == 0
    (tmp_path / "out" / "red" / "1.png").write_bytes(b"mine now")
    undone = mmcli("undo")
    assert undone.status == 7 and "changed since" in undone.stderr
    assert [*tree(tmp_path / "out")] == ["red", "red/1.png"]


def test_what_cannot_be_sorted_stays(classify: Run, mixed: Path, tmp_path: Path) -> None:
    before = tree(tmp_path / "in")
    done = classify("in/1.png#xywh=0,0,50,50", *COLOUR, "--move", "out", "--yes")
    assert done.status == 0 and "no files of their own" in done.stderr
    done = classify("in/1.png", *COLOUR, "--abstain", "1", "--move", "out", "--yes")
    assert done.stdout.split("\t")[1] == "?" and tree(tmp_path / "in") == before
    # what is in its folder already stays there
    (tmp_path / "out" / "red").mkdir(parents=True)
    draw(tmp_path / "out" / "red" / "1.png", "red circle")
    assert classify("out/red/1.png", *COLOUR, "--move", "out", "--yes").stdout.count("\t") == 2
    assert (tmp_path / "out" / "red" / "1.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--labels", "a/b,c", "--move", "out"), "cannot be the name of a folder"),
        (("--labels", "a,b", "--move", "out", "--copy", "out"), "cannot be combined"),
        (("--labels", "a,b", "--move", "out", "--multi"), "cannot be combined"),
        (("--labels", "a,b", "--move", "in/1.png"), "is not a folder"),
    ],
)
def test_what_cannot_be_sorted_into_is_said_at_once(
    mmcli: Run, mixed: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = mmcli("classify", "in/1.png", *arguments, "-m", "nosuchmodel")
    assert done.status == 2 and said in done.stderr


def test_a_copy_that_a_kill_left_unfinished_is_undone(tmp_path: Path) -> None:
    whole, begun = tmp_path / "a.png", tmp_path / "out" / "a.png"
    whole.write_bytes(b"0123456789")
    journal = renames.RenameJournal(tmp_path / "journals")
    journal.make_folder(begun.parent)
    journal.copy(whole, begun)
    journal.close()
    begun.write_bytes(b"01234")
    found = renames.last(tmp_path / "journals")
    assert found is not None
    assert [reason for _, reason in renames.undo(found)] == [None, None]
    assert not begun.parent.exists() and renames.last(tmp_path / "journals") is None


def test_a_move_to_another_file_system_that_a_kill_stopped_is_undone(tmp_path: Path) -> None:
    old, new = tmp_path / "a.png", tmp_path / "b.png"
    old.write_bytes(b"0123456789")
    journal = renames.RenameJournal(tmp_path / "journals")
    journal.note({"old": str(old), "new": str(new)})
    journal.close()
    new.write_bytes(b"01234")
    found = renames.last(tmp_path / "journals")
    assert found is not None
    assert [reason for _, reason in renames.undo(found)] == [None]
    assert old.read_bytes() == b"0123456789" and not new.exists()
