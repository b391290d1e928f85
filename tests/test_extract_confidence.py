"""How sure a model was of each value: from its own probabilities, and what becomes of rows that it was not."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from mmcli import engine
from mmcli.engine import Sampling
from mmcli.engine.local.loaded_model import Options
from mmcli.extraction import answer_schema, confidence
from tests import captioning, random_llava
from tests.answers import ANSWER
from tests.conftest import Run
from tests.engines import answer, picture, user

HALF = math.log(0.5)
SHAPE = ("--schema", "shape circle|square|star!, n int 1..9!", "-m", "starter")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    captioning.many(tmp_path / "in", 3)
    return tmp_path / "in"


def test_each_value_has_the_probability_of_its_own_tokens() -> None:
    tokens = [
        *(("{", 0.0, False), ('"a": ', 0.0, False), ("1", HALF, False), ("2", 2 * HALF, True)),
        *((', "bé": "', 0.0, False), ("x", HALF, False), ('y"}', 0.0, True)),
    ]
    text = "".join(token for token, *_ in tokens)
    told = replace(ANSWER, text=text, chances=tuple((len(token.encode()), p, ruled) for token, p, ruled in tokens))
    a, b = confidence.of(told).values()
    assert (a.p, a.low, a.low_p, a.overruled) == (pytest.approx(0.125), "2", pytest.approx(0.25), 1)
    assert (b.p, b.low, b.overruled) == (pytest.approx(0.5), "x", 1)
    assert list(confidence.of(told)) == ["a", "bé"]
    assert confidence.of(replace(told, text=text[:-1])) == {}  # cut off
    whole = replace(ANSWER, text="[1]", chances=((3, HALF, False),))
    assert confidence.of(whole)["value"].p == pytest.approx(0.5)


def test_probabilities_are_those_of_the_model_and_not_of_the_schema(tmp_path: Path) -> None:
    """Random weights want none of what a schema allows: it leaves them one choice of two, and they are sure of none."""
    schema = answer_schema.find('{"enum": ["aa", "bb"]}').text
    with engine.load(*random_llava.write(tmp_path, "tiny"), Options(threads=1, cache=None)) as running:
        question = user(picture("red"), "What?")
        sampling = Sampling(temperature=0, schema=schema, confidence=True)
        told = answer(running, question, sampling=sampling)
        assert sum(n_bytes for n_bytes, _, _ in told.chances) == len(told.text)
        assert all(log_prob <= 0 for _, log_prob, _ in told.chances)
        found = confidence.of(told)["value"]
        assert found.p < 0.1 and found.overruled >= 1
        (together,) = [
            piece.answer for _, piece in running.generate_many([[question]], sampling) if piece.answer is not None
        ]
        assert confidence.of(together)["value"].p == pytest.approx(found.p, rel=1e-3)
        assert answer(running, question, sampling=replace(sampling, confidence=False)).chances == ()


def test_columns_tell_how_sure_the_model_was(mmcli: Run, folder: Path) -> None:
    done = mmcli("extract", "in", *SHAPE, "--confidence")
    assert done.status == 0, done.stderr
    table = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert list(table[0]) == [
        *("source", "shape", "n", "shape.p", "shape.low", "shape.overruled", "n.p", "n.low", "n.overruled", "error")
    ]
    for row in table:
        assert 0 <= float(row["shape.p"]) <= 1 and 0 <= float(row["n.p"]) <= 1 and int(row["n.overruled"]) >= 0
    lines = [json.loads(line) for line in mmcli("extract", "in", *SHAPE, "--confidence", "--jsonl").stdout.splitlines()]
    assert [line["cached"] for line in lines] == [True] * 3
    assert [f"{line['fields']['n']['p']}" for line in lines] == [row["n.p"] for row in table]
    # without it, the table is as it always was
    assert mmcli("extract", "in", *SHAPE).stdout.splitlines()[0] == "source,shape,n,error"


def test_rows_that_the_model_is_unsure_of_are_set_aside(mmcli: Run, folder: Path, tmp_path: Path) -> None:
    done = mmcli("extract", "in", *SHAPE, "--min-confidence", "1", "--review", "review.csv", "-o", "sure.csv")
    assert done.status == 7 and "the model is unsure" in done.stderr, done.stderr
    assert len((tmp_path / "sure.csv").read_text().splitlines()) == 1
    review = list(csv.DictReader(io.StringIO((tmp_path / "review.csv").read_text("utf-8"))))
    assert len(review) == 3 and all(row["n"] and row["n.p"] and not row["error"] for row in review)
    alone = mmcli("extract", "in", *SHAPE, "--min-confidence", "1")
    assert alone.status == 7 and "--review" in alone.stderr
    assert all("unsure" in line for line in alone.stdout.splitlines()[1:])
    assert mmcli("extract", "in", *SHAPE, "--min-confidence", "0", "--review", "none.csv").status == 0


def test_an_answer_as_json_tells_it_too(mmcli: Run, folder: Path) -> None:
    told = mmcli("ask", "in/000.png", "What is this?", *SHAPE, "--json").json
    assert set(told["fields"]) == {"shape", "n"} and 0 <= told["fields"]["n"]["p"] <= 1


@pytest.mark.parametrize("wrong", [("--review", "a.csv"), ("--min-confidence", "0.5", "--review", "a.xyz")])
def test_a_review_needs_its_measure_and_a_form(mmcli: Run, folder: Path, wrong: tuple[str, ...]) -> None:
    assert mmcli("extract", "in", "--schema", "n int!", *wrong, "-m", "nosuchmodel").status == 2
