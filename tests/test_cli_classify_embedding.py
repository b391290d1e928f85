"""`mmcli classify --by embedding` on the built-in model: names, descriptions, sentences, examples, errors."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Completed, Run
from training import second

SHAPES = "circle,square,triangle,star,cross"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures of each shape, drawn by the renderer that trains nothing, in a folder of its name."""
    folder, rng = tmp_path_factory.mktemp("shapes"), random.Random(11)
    counts = dict.fromkeys(SHAPES.split(","), 0)
    while min(counts.values()) < 5:
        scene = second.scene(rng, 1)
        name = scene.things[0].shape
        if counts[name] < 5:
            counts[name] += 1
            place = folder / name / f"{counts[name]}.png"
            place.parent.mkdir(exist_ok=True)
            scene.image.save(place)
    return folder


@pytest.fixture
def classify(mmcli: Run) -> Run:
    def run(*arguments: str | Path, **how: Any) -> Completed:
        return mmcli("classify", "--by", "embedding", "-m", "starter", *arguments, **how)

    return run


def test_labels_by_name_are_right_and_reported(classify: Run, shapes: Path) -> None:
    done = classify(shapes, "-r", "--labels", SHAPES, "--truth", "folder", "--report", "--json")
    assert done.status == 0, done.stderr
    assert done.json["n"] == 25 and done.json["accuracy"] >= 0.95


def test_a_line_a_picture_and_the_same_as_json(classify: Run, shapes: Path) -> None:
    done = classify(shapes / "star", "--labels", SHAPES)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == 5 and all(len(row) == 3 and 0 <= float(row[2]) <= 1 for row in rows)
    (first, *_) = classify(shapes / "star", "--labels", SHAPES, "--json").json
    assert set(first["labels"]) == set(SHAPES.split(",")) and abs(sum(first["labels"].values()) - 1) < 1e-3
    assert first["receipts"][0]["sha256"] and 0 <= first["mass"] <= 1


def test_descriptions_stand_for_a_label_and_one_label_is_yes_or_no(classify: Run, shapes: Path) -> None:
    done = classify(shapes / "star", "--labels", "sterne=ein Stern|a star,rund=a circle", "--jsonl")
    assert [line.split('"label": "')[1].split('"')[0] for line in done.stdout.splitlines()].count("sterne") >= 4
    for folder, least in (("star", 4), ("circle", 0)):
        told = classify(shapes / folder, "--labels", "star", "--abstain", "0.5").stdout.splitlines()
        yes = sum(line.split("\t")[1] == "star" for line in told)
        assert yes >= least if least else yes <= 1


def test_noise_is_no_label_where_abstaining_is_allowed(classify: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (90, 120, 3)).astype(np.uint8)).save(tmp_path / f"{i}.png")
    told = classify(tmp_path, "--labels", SHAPES, "--abstain", "0.6").stdout.splitlines()
    assert [line.split("\t")[1] for line in told].count("?") >= 3


def test_sentences_of_a_file_are_told_apart(mmcli: Run, shapes: Path, tmp_path: Path) -> None:
    file = tmp_path / "sentences.txt"
    file.write_text("a star\n\na circle, that is round\na dog in the snow\na star\n")
    done = mmcli("classify", shapes / "star", "--texts", file, "-m", "starter", "--json")
    assert done.status == 0, done.stderr
    assert all(set(row["labels"]) == {"a star", "a circle, that is round", "a dog in the snow"} for row in done.json)
    assert sum(row["label"] == "a star" for row in done.json) >= 4


def test_examples_teach_labels_and_what_they_are_worth_is_told_first(classify: Run, shapes: Path) -> None:
    done = classify(shapes, "-r", "--examples", shapes, "--truth", "folder", "--report")
    assert done.status == 0, done.stderr
    assert "25 examples of 5 labels, ridge regression:" in done.stderr and "left out once" in done.stderr
    assert float(done.stdout.split("accuracy")[1].split()[0]) >= 0.95
    some = classify(shapes / "star", "--examples", shapes, "--labels", "star,circle")
    assert {line.split("\t")[1] for line in some.stdout.splitlines()} == {"star"}


def test_a_picture_that_cannot_be_read_is_an_error_and_the_others_go_on(classify: Run, shapes: Path) -> None:
    broken = shapes.parent / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    done = classify(shapes / "star" / "1.png", broken, "--labels", SHAPES)
    assert (done.status, len(done.stdout.splitlines())) == (7, 1) and "broken.png" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--labels", "a,b", "--ask", "What?"), "--ask"),
        (("--labels", "a,A"), "same"),
        (("--labels", "=x,b"), "lacks"),
        ((), "no labels"),
        (("--texts", "t.txt", "--labels", "a,b"), "--texts"),
        (("--examples", "/nowhere"), "/nowhere"),
        (("--labels", "a,b", "--example", "a.png=a"), "--example"),
        (("--texts", "gone.txt"), "gone.txt"),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_is_loaded(
    classify: Run, arguments: tuple[str, ...], word: str
) -> None:
    done = classify("x.png", *arguments)
    assert done.status in (2, 3) and word in done.stderr, done.stderr
