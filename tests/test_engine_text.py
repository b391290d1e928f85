"""Bytes to pieces: characters, stop strings, reasoning, loops."""

import pytest

from mmcli.engine.text import LoopGuard, Reader


def read(data: bytes, step: int, **options: object) -> dict[str, str]:
    """Feed `data` in steps of some bytes; return what came out, by kind."""
    reader = Reader(**options)  # type: ignore[arg-type]
    out = {"answer": "", "reasoning": ""}
    for start in range(0, len(data), step):
        for kind, text in reader.feed(data[start : start + step]):
            out[kind] += text
    for kind, text in reader.feed(b"", final=True):
        out[kind] += text
    return out


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_characters_of_several_bytes_come_out_whole(step: int) -> None:
    text = "naïve 日本語 🦙 end"
    reader = Reader()
    data = text.encode()
    pieces = [t for i in range(0, len(data), step) for _, t in reader.feed(data[i : i + step])]
    pieces += [t for _, t in reader.feed(b"", final=True)]
    assert "".join(pieces) == text
    assert not any("�" in piece for piece in pieces)


def test_bytes_that_are_no_character_become_a_replacement_mark_and_never_an_error() -> None:
    assert read(b"a\xff\xfeb\xe2\x82", 1)["answer"] == "a��b�"


@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_stop_string_ends_the_answer_and_is_not_shown(step: int) -> None:
    assert read(b"It is red.\nUSER: and then", step, stop=("USER:",))["answer"] == "It is red.\n"


def test_what_only_began_like_a_stop_string_is_shown_in_the_end() -> None:
    assert read(b"the USE", 1, stop=("USER:",))["answer"] == "the USE"
    assert read(b"the USES of it", 1, stop=("USER:",))["answer"] == "the USES of it"


@pytest.mark.parametrize("step", [1, 5, 100])
@pytest.mark.parametrize(
    ("opening", "closing"), [("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷")]
)
def test_reasoning_is_kept_apart_from_the_answer(step: int, opening: str, closing: str) -> None:
    out = read(f"\n{opening}is it red?{closing}\n\nIt is red.".encode(), step)
    assert out == {"answer": "It is red.", "reasoning": "is it red?"}


def test_reasoning_that_the_prompt_opened_needs_only_its_end() -> None:
    out = read(b"is it?</think>Yes.", 2, open_reasoning="</think>")
    assert out == {"answer": "Yes.", "reasoning": "is it?"}


def test_reasoning_marks_later_in_the_answer_are_text() -> None:
    assert read(b"Use <think> tags.", 1)["answer"] == "Use <think> tags."


def test_stop_strings_do_not_cut_reasoning() -> None:
    out = read(b"<think>USER: asked</think>Red", 1, stop=("USER:",))
    assert out == {"answer": "Red", "reasoning": "USER: asked"}


def looped_after(tokens: list[int]) -> int | None:
    guard = LoopGuard()
    return next((i for i, token in enumerate(tokens) if guard.looping(token)), None)


@pytest.mark.parametrize("period", [1, 2, 7, 30, 100])
def test_a_pattern_that_repeats_without_end_is_seen(period: int) -> None:
    tokens = list(range(50)) + list(range(1000, 1000 + period)) * 600
    found = looped_after(tokens[:600])
    assert found is not None and found < 50 + max(128, 4 * period) + 16


def test_long_but_changing_lists_are_no_loop() -> None:
    rows = [token for row in range(200) for token in (1, 2, 3, 100 + row, 4)]
    assert looped_after(rows) is None


def test_a_table_rule_and_a_row_of_zeros_are_no_loop() -> None:
    assert looped_after([5] * 100 + list(range(200, 300)) + [7, 8] * 45) is None
