"""Examples before the question: shown as turns, checked before a model loads, and paid for once by a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mmcli.engine import Message
from mmcli.errors import InputError, UsageError
from mmcli.jobs import examples
from tests.conftest import Run, draw

RED = "a red circle"


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """A folder of two examples with their answers, and another with pictures to ask about."""
    (tmp_path / "shown").mkdir()
    (tmp_path / "in").mkdir()
    draw(tmp_path / "shown" / "b.png", "red circle")
    (tmp_path / "shown" / "b.txt").write_text(RED)
    draw(tmp_path / "shown" / "a.png", "blue square")
    sidecar = {"caption": "a blue square", "receipts": []}
    (tmp_path / "shown" / "a.png.json").write_text(json.dumps(sidecar))
    for number, what in enumerate(("green triangle", "yellow circle", "black square")):
        draw(tmp_path / "in" / f"{number}.png", what)
    return tmp_path


def roles(messages: Sequence[Message]) -> list[tuple[str, Any]]:
    return [(message.role, message.parts[-1]) for message in messages]


def test_examples_are_turns_in_the_order_of_their_names(shown: Path) -> None:
    named = examples.find([f"{shown}/in/0.png=green"], shown / "shown")
    loaded = examples.load(named, max_megapixels=100)
    assert roles(examples.turns(loaded, "What?")) == [
        *(("user", "What?"), ("assistant", "green")),
        *(("user", "What?"), ("assistant", "a blue square")),
        *(("user", "What?"), ("assistant", RED)),
    ]


def test_an_answer_is_what_stands_behind_the_last_equals_sign_or_in_a_file(shown: Path) -> None:
    draw(shown / "a=b.png", "red triangle")
    (shown / "long.json").write_text('{"n": 1}')
    first, second = examples.find([f"{shown}/a=b.png=red", f"{shown}/in/0.png=@{shown}/long.json"], None)
    assert (first.source.name, first.answer) == (f"{shown}/a=b.png", "red")
    assert second.answer == '{"n": 1}'


def test_a_sub_folder_is_a_label(shown: Path) -> None:
    (shown / "shown" / "star").mkdir()
    draw(shown / "shown" / "star" / "c.png", "green triangle")
    assert [one.answer for one in examples.find((), shown / "shown", labels=True)][-1] == "star"
    assert len(examples.find((), shown / "shown")) == 2


def test_what_is_no_example_is_refused(shown: Path) -> None:
    with pytest.raises(UsageError, match="is not FILE=ANSWER"):
        examples.find(["a.png"], None)
    with pytest.raises(InputError, match="no folder"):
        examples.find((), shown / "nowhere")
    (shown / "shown" / "b.txt").unlink()
    with pytest.raises(InputError, match="has no answer"):
        examples.find((), shown / "shown")
    with pytest.raises(UsageError, match="at most"):
        examples.find([f"{shown}/in/0.png=x"] * 65, None)
    twice = examples.find([f"{shown}/in/0.png=x", f"{shown}/in/0.png=y"], None)
    with pytest.raises(InputError, match="another answer"):
        examples.load(twice, max_megapixels=100)


def test_a_folder_pays_for_its_examples_once(mmcli: Run, shown: Path) -> None:
    how = ("caption", "in", "--jsonl", "-m", "starter", "--no-cache", "--parallel", "1")
    plain = [json.loads(line) for line in mmcli(*how).stdout.splitlines()]
    done = mmcli(*how, "--examples", "shown")
    assert done.status == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(one["receipts"]) for one in told] == [1, 1, 1]
    assert [one["receipts"][0]["source"] for one in told] == ["in/0.png", "in/1.png", "in/2.png"]
    assert [one["usage"]["n_encodes"] for one in told] == [3, 1, 1]
    # what comes before the picture is in memory from the second on
    assert told[1]["usage"]["reused_tokens"] > 128 + plain[1]["usage"]["reused_tokens"]


def test_examples_change_the_key_of_what_is_cached(mmcli: Run, shown: Path) -> None:
    how = ("caption", "in/0.png", "--jsonl", "-m", "starter")
    assert not mmcli(*how).json["cached"] and not mmcli(*how, "--examples", "shown").json["cached"]
    assert mmcli(*how, "--examples", "shown").json["cached"] and mmcli(*how).json["cached"]
    (shown / "shown" / "b.txt").write_text("something else")
    assert not mmcli(*how, "--examples", "shown").json["cached"]


def test_the_same_picture_is_not_asked_about(mmcli: Run, shown: Path) -> None:
    done = mmcli("caption", "in", "-m", "starter", "--example", f"in/1.png={RED}")
    assert done.status == 7 and "one of the examples" in done.stderr and len(done.stdout.splitlines()) == 2
    done = mmcli("ask", "in/1.png", "What is this?", "-m", "starter", "--example", f"in/1.png={RED}")
    assert (done.status, done.stdout) == (3, "") and "one of the examples" in done.stderr


def test_a_question_has_receipts_of_its_examples(mmcli: Run, shown: Path) -> None:
    ask = ("ask", "in/0.png", "What is in this picture?", "-m", "starter", "--json", "--examples", "shown")
    told = mmcli(*ask).json
    assert [receipt["source"] for receipt in told["receipts"]] == ["shown/a.png", "shown/b.png", "in/0.png"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("extract", "in", "--schema", "n int!", "--example", 'in/0.png={"m": 1}'), "does not keep to the schema"),
        (("extract", "in", "--schema", "n int!", "--example", "in/0.png=one"), "its answer is not JSON"),
        (("classify", "in", "--labels", "a,b", "--example", "in/0.png=c"), "none of the labels"),
        (("classify", "in", "--labels", "a,b", "--multi", "--example", "in/0.png=a"), "cannot be combined"),
    ],
)
def test_answers_are_checked_before_a_model_is_looked_for(
    mmcli: Run, shown: Path, command: tuple[str, ...], said: str
) -> None:
    done = mmcli(*command, "-m", "nosuchmodel")
    assert done.status == 2 and said in done.stderr, done.stderr


def test_labels_and_values_take_examples(mmcli: Run, shown: Path) -> None:
    done = mmcli("classify", "in", "-m", "starter", "--labels", "red,blue", "--example", "shown/b.png=RED")
    assert done.status == 0 and len(done.stdout.splitlines()) == 3
    schema = ("--schema", "n int 1..9!")
    done = mmcli("extract", "in", "-m", "starter", *schema, "--example", 'shown/b.png={"n":1}', "--jsonl")
    assert done.status == 0 and len(done.stdout.splitlines()) == 3, done.stderr
