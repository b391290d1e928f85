"""Bytes to pieces: characters, stop strings, reasoning, loops."""

import re

import pytest

from mmcli.engine.local.detokenizer import Detokenizer, LoopGuard
from mmcli.engine.local.thinking import FAMILIES, Family, opened_by


def read(data: bytes, step: int, **options: object) -> dict[str, str]:
    """Feed `data` in steps of some bytes; return what came out, by kind."""
    reader = Detokenizer(**options)  # type: ignore[arg-type]
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
    reader = Detokenizer()
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


# marks of control tokens

MARK = re.compile(r"(<\|[^<>]*>|<channel\|>)")


def said(text: str, prompt: str = "", *, plain: bool = False) -> tuple[str, str]:
    """The answer and the reasoning of what a model wrote; its marks are control tokens, or (`plain`) letters."""
    reader = Detokenizer(opened=opened_by(prompt))
    out = {"answer": "", "reasoning": ""}
    for piece in [*(text if plain else MARK.split(text)), None]:
        control = not plain and piece is not None and MARK.fullmatch(piece) is not None
        for kind, words in reader.feed((piece or "").encode(), control=control, final=piece is None):
            out[kind] += words
    return out["answer"], out["reasoning"]


THOUGHT = "<|channel|>analysis<|message|>We greet.<|end|><|start|>assistant"


@pytest.mark.parametrize(
    ("text", "prompt", "answer", "reasoning"),
    [
        (THOUGHT + "<|channel|>final<|message|>Hello!<|return|>", "<|start|>assistant", "Hello!", "We greet."),
        (THOUGHT + "<|channel|>final <|constrain|>json<|message|>{}", "", "{}", "We greet."),
        (THOUGHT + " Hello!", "", "Hello!", "We greet."),
        (THOUGHT + THOUGHT + " Hello!", "", "Hello!", "We greet.We greet."),
        ("<|channel|>commentary" + THOUGHT + " Hi", "", "Hi", "We greet."),
        ("<|channel|>commentary to=functions.x <|constrain|>json<|message|>{}<|call|>", "", "", "{}"),
        ("<|channel|>final<|message|>Hello!", "<|start|>assistant", "Hello!", ""),
        ("<|channel|>analysis", "", "", ""),
        (" to=self<|message|>hm<|eom|><|start|>assistant to=user<|message|>Hi<|eot|>", "", "Hi", "hm"),
        ("<|channel>thought\nhm<channel|>Hi<|channel>thought\n<channel|>", "", "Hi", "\nhm\n"),
        ("Hi<channel|>", "<|channel>thought\n<channel|>", "Hi", ""),
        ("<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>Hi<|END_RESPONSE|>", "", "Hi", "hm"),
        ("hm<|START_TEXT|>Hi<|END_TEXT|>", "<|START_THINKING|>", "Hi", "hm"),
        (
            "hm<|close|>think<|sep|><|open|>response<|sep|>Hi<|close|>response<|sep|>",
            "<|open|>think<|sep|>",
            "Hi",
            "hm",
        ),
        ("Hi<|close|>response<|sep|><|close|>message<|sep|>", "<|open|>response<|sep|>", "Hi", ""),
        ("<|think|>hm<|end|><|begin|>assistant<|content|>Hi", "<|begin|>assistant", "Hi", "hm"),
        ("hm\n[BEGIN FINAL RESPONSE]\nHi", "Here are my reasoning steps:\n", "Hi", "hm\n"),
    ],
)
def test_each_family_has_its_own_marks(text: str, prompt: str, answer: str, reasoning: str) -> None:
    assert said(text, prompt) == (answer, reasoning)


@pytest.mark.parametrize("text", ["It is <|channel|>analysis<|message|>.", "<b> is bold", "to=x", "<answer>1</answer>"])
def test_what_looks_like_marks_in_the_words_of_an_answer_is_shown(text: str) -> None:
    assert said(text, plain=True) == (text, "")


def test_control_tokens_without_a_meaning_are_not_shown() -> None:
    assert said("a<|end|>b<|message|>") == ("ab", "")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.opening[0])
def test_the_marks_of_every_family_may_be_plain_letters(family: Family) -> None:
    text = f"{family.opening[0].replace('*', '')}hm{family.closing[0]}\nHi"
    assert said(text, plain=True) == ("Hi", "hm")


def test_half_a_character_where_an_answer_was_cut_is_dropped_and_not_replaced() -> None:
    reader = Detokenizer()
    out = [*reader.feed("né".encode() + b"\xe2\x82")]
    reader.cut()
    assert "".join(text for _, text in [*out, *reader.feed(b"", final=True)]) == "né"


def test_a_stop_string_is_told() -> None:
    reader = Detokenizer(("USER:",))
    reader.feed(b"It is red. USER: and")
    assert reader.stopped and reader.stopped_by == "USER:"


def wandering(words: str) -> list[int]:
    return [hash(word) for word in words.split()]


@pytest.mark.parametrize(
    "words",
    [
        "I am only " + "am only a " * 20 + "I am only a black, " + "am only a " * 60,
        "I am only a am only a am only a red triangle, a " + "am only a I am only a " * 40,
        "I am only a starter model. " * 9 + "I am only a am only a " * 20,
    ],
)
def test_an_answer_that_wanders_between_a_few_phrases_is_a_loop(words: str) -> None:
    tokens = wandering(words)
    found = looped_after(tokens)
    assert found is not None and found < 160


def test_prose_and_lists_of_records_are_no_loop() -> None:
    records = " ".join(f'{{ "id": {i} , "name": "none" , "active": true , "score": 0 }} ,' for i in range(80))
    verse = " ".join(f"the {a} {b} sat on the {c}" for a in "abcde" for b in "fghij" for c in "klm")
    assert looped_after(wandering(records)) is None
    assert looped_after(wandering(verse)) is None


def test_a_matrix_of_zeros_and_ones_is_no_loop() -> None:
    rows = [[column for i in range(16) for column in (int(i == row), 7)][:-1] + [8] for row in range(16)]
    guard = LoopGuard()
    assert not any(guard.looping(number, is_word=False) for row in rows for number in row)
