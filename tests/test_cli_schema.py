"""`--schema` and `mmcli schema` as a script uses them, on the built-in model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Run

WHAT = "What is in this picture?"
SHAPE = "shape circle|square|star, colour str ..20, n int 1..9"


def test_an_answer_of_a_shape_is_json_and_nothing_else(ask: Run, two: Path) -> None:
    done = ask(two, WHAT, "--schema", SHAPE)
    assert done.status == 0
    value = json.loads(done.stdout)
    assert list(value) == ["shape", "colour", "n"]
    assert value["shape"] in ("circle", "square", "star") and 1 <= value["n"] <= 9
    assert done.stderr == ""


def test_json_has_the_value_and_what_was_forced(ask: Run, two: Path) -> None:
    told = ask(two, WHAT, "--schema", SHAPE, "--json").json
    assert told["data"] == json.loads(told["answer"])
    assert 0 < told["usage"]["forced_tokens"] < told["usage"]["completion_tokens"]
    assert told["receipts"][0]["n_tokens"] == 64


def test_an_answer_that_is_cut_off_prints_nothing(ask: Run, two: Path) -> None:
    done = ask(two, WHAT, "--schema", SHAPE, "--max-tokens", "5")
    assert (done.status, done.stdout) == (8, "")
    assert "not whole" in done.stderr and "--max-tokens" in done.stderr


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ('{"type": "object", "not": {}}', "`not`"),
        ("total flaot", "`float`"),
        ('{"type": "string", "maxLenght": 3}', "`maxLength`"),
        ("", "empty"),
    ],
)
def test_a_schema_that_is_no_good_fails_before_a_model_is_looked_for(
    ask: Run, two: Path, schema: str, named: str
) -> None:
    done = ask(two, WHAT, "--schema", schema, "-m", "no-such-model")
    assert (done.status, done.stdout) == (2, "")
    assert named in done.stderr


def test_a_missing_schema_file_is_an_input(ask: Run, two: Path) -> None:
    assert ask(two, WHAT, "--schema", "nowhere.json").status == 3


def test_a_schema_does_not_go_with_a_code_block(ask: Run, two: Path) -> None:
    assert ask(two, WHAT, "--schema", SHAPE, "-x").status == 2


def test_the_short_form_is_printed_as_json(mmcli: Run) -> None:
    printed = mmcli("schema", "vendor, total float?, items[]{name, qty int 1..99}").json
    assert printed["required"] == ["vendor", "total", "items"]
    assert printed["properties"]["total"] == {"type": ["number", "null"]}
    bounded = mmcli("schema", "vendor", "--bounds").json
    assert bounded["properties"]["vendor"]["maxLength"] == 200


def test_what_was_printed_is_taken_again(mmcli: Run, ask: Run, two: Path, tmp_path: Path) -> None:
    path = tmp_path / "shape.json"
    path.write_text(mmcli("schema", SHAPE).stdout)
    assert ask(two, WHAT, "--schema", path).stdout == ask(two, WHAT, "--schema", SHAPE).stdout
