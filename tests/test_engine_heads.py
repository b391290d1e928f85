"""Text at a prompt's beginning, kept on disk: a system prompt, a long text, a talk. What is said stays the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mmcli import engine
from mmcli.engine import Answer, Message
from mmcli.engine.local import kv_cells
from mmcli.engine.local.kv_cache import N_UBATCH
from mmcli.engine.local.loaded_model import Options
from tests import random_llava
from tests.engines import VARIED, answer, picture, said, user

LONG = " ".join(f"word {number} is as good as any" for number in range(60))  # some 1,500 tokens: its letters
SYSTEM = Message("system", (LONG,))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("tiny"), "tiny")


def ask(files: tuple[Path, Path], folder: Path | None, *messages: Message, worth: float = 0.0, **how: int) -> Answer:
    """The answer of an engine that was not there before."""
    with engine.load(*files, Options(cache=folder, worth_saving=worth, threads=1, **how)) as loaded:  # type: ignore[arg-type]
        return answer(loaded, *messages, sampling=VARIED)


def whole_batches(told: Answer) -> int:
    """The tokens of its prompt up to the last one but one that a whole batch ends with."""
    return (told.usage.prompt_tokens - 1) // N_UBATCH * N_UBATCH


def heads(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"head-*{kv_cells.SUFFIX}"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([user(f"{LONG}. What is it?")], [user(f"{LONG}. How many are there?")]),
        ([SYSTEM, user("What is it?")], [SYSTEM, user("And another question, which is longer?")]),
        ([SYSTEM, user(picture("red"), "What is it?")], [SYSTEM, user(picture("blue"), "What is it?")]),
        ([SYSTEM, user("What is it?")], [SYSTEM, user(picture("red"), "What is it?")]),
    ],
    ids=["a text", "a system prompt", "one before pictures", "one before words, then a picture"],
)
def test_what_two_prompts_begin_with_is_computed_once(
    tiny: tuple[Path, Path], tmp_path: Path, first: Sequence[Message], second: Sequence[Message]
) -> None:
    plain = [ask(tiny, None, *messages) for messages in (first, second)]
    one, other = (ask(tiny, tmp_path, *messages) for messages in (first, second))
    assert [one.text, other.text] == [each.text for each in plain]
    assert one.usage.reused_tokens == 0
    assert other.usage.reused_tokens > 0.8 * len(LONG.split()), "most of the text was on disk"
    assert other.usage.prompt_tokens == plain[1].usage.prompt_tokens
    assert len(heads(tmp_path)) >= 1


def test_a_talk_goes_on_where_it_was(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    question, more = user(f"{LONG}. What is it?"), user("And what else?")
    first = ask(tiny, tmp_path, question)
    plain = ask(tiny, None, question, said(first), more)
    second = ask(tiny, tmp_path, question, said(first), more)
    assert second.text == plain.text
    assert second.usage.reused_tokens == whole_batches(first)


def test_a_model_that_cannot_forget_goes_on_from_the_last_whole_batch(tmp_path: Path) -> None:
    files = random_llava.write_recurrent(tmp_path)
    question, another = user(f"{LONG}. What is it?"), user(f"{LONG}. How many?")
    plain = [ask(files, None, each) for each in (question, another)]
    folder = tmp_path / "kv"
    first = ask(files, folder, question)
    second = ask(files, folder, another)
    assert [first.text, second.text] == [each.text for each in plain]
    assert second.usage.reused_tokens == whole_batches(first)
    on = [another, said(second), user("And what else?")]
    third = ask(files, folder, *on)
    assert third.text == ask(files, None, *on).text
    assert third.usage.reused_tokens == whole_batches(second)


def test_what_was_quick_or_short_is_not_kept(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    ask(tiny, tmp_path, user("What is it?"))
    ask(tiny, tmp_path, user(f"{LONG}. What is it?"), worth=600.0)
    assert heads(tmp_path) == []


def test_a_damaged_head_is_removed_and_computed_again(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    question = user(f"{LONG}. What is it?")
    plain = ask(tiny, tmp_path, question)
    (path,) = heads(tmp_path)
    data = bytearray(path.read_bytes())
    data[-100] ^= 255
    path.write_bytes(data)
    again = ask(tiny, tmp_path, question)
    assert (again.text, again.usage.reused_tokens) == (plain.text, 0)
    assert ask(tiny, tmp_path, question).usage.reused_tokens == whole_batches(plain)


def test_a_head_that_is_longer_than_the_context_is_left_alone(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    ask(tiny, tmp_path, user(f"{LONG} {LONG}. What is it?"))
    short = user(" ".join(LONG.split()[:150]))
    plain = ask(tiny, None, short)
    found = ask(tiny, tmp_path, short)
    assert found.text == plain.text
    assert len(heads(tmp_path)) >= 1


def test_another_text_with_the_same_first_words_costs_no_answer(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    begin = " ".join(LONG.split()[:120])
    one, other = user(f"{begin} and then {LONG}"), user(f"{begin} but no more of it, and what is it?")
    plain = ask(tiny, None, other)
    ask(tiny, tmp_path, one)
    assert ask(tiny, tmp_path, other).text == plain.text


def test_a_text_with_control_characters_is_found_by_its_tokens_only(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    store = kv_cells.PrefixStore(tmp_path, 1 << 30)
    (tmp_path / f"x{kv_cells.SUFFIX}").write_bytes(b"MMCLIKV\x02" + b"\xff" * 40)
    assert store.cells("x") is None and store.cells("missing") is None
