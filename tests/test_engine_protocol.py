"""The contract of an engine: what implements it, what holds for two at once, and how likely an answer is."""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mmcli import engine
from mmcli.chat import Conversation
from mmcli.engine import Engine, Sampling
from mmcli.engine.local import bindings
from mmcli.engine.local.engine import LocalEngine
from mmcli.engine.local.loaded_model import Options
from mmcli.errors import ContextFull, InputError
from tests import random_llava
from tests.engines import GREEDY, STARTER, answer, picture, user
from tests.scripted_engine import ScriptedEngine

METHODS = [name for name, value in vars(Engine).items() if inspect.isfunction(value) and not name.startswith("_")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("tiny"), "tiny")


@pytest.fixture(scope="module")
def starter() -> Iterator[LocalEngine]:
    with engine.load(STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf") as loaded:
        yield loaded


@pytest.mark.parametrize("kind", [LocalEngine, ScriptedEngine])
def test_an_engine_has_what_the_contract_names(kind: type) -> None:
    assert {"generate", "generate_many", "score", "prepare", "warm", "stop", "close"} <= set(METHODS)
    for name in METHODS:
        promised, kept = (inspect.signature(getattr(each, name)) for each in (Engine, kind))
        assert [(p.name, p.kind, p.default) for p in promised.parameters.values()] == [
            (p.name, p.kind, p.default) for p in kept.parameters.values()
        ], name
    assert all(isinstance(inspect.getattr_static(kind, name), property) for name in ("n_ctx_limit",))


# what callers do with one


def test_a_talk_is_held_with_any_engine() -> None:
    talk, scripted = Conversation("Be brief."), ScriptedEngine("a red circle", "three of them")
    talk.stage(picture("red"))
    first = list(talk.ask(scripted, "What is it?", GREEDY))
    list(talk.ask(scripted, "How many?", GREEDY))
    assert first[-1].answer is not None and first[-1].answer.text == "a red circle"
    assert [turn.said for turn in talk.turns] == ["a red circle", "three of them"]
    assert [message.role for message in scripted.asked[1]] == ["system", "user", "assistant", "user"]


def test_an_answer_that_is_stopped_stays_in_the_talk() -> None:
    talk, scripted = Conversation(), ScriptedEngine("one two three")
    scripted.on_piece = lambda text: scripted.stop() if text == " two" else None
    *_, last = talk.ask(scripted, "Count!", GREEDY)
    assert last.answer is not None and last.answer.finish_reason == "interrupted"
    assert [turn.said for turn in talk.turns] == ["one"]


def test_a_question_without_an_answer_is_no_turn_and_its_media_stay() -> None:
    talk, scripted = Conversation(), ScriptedEngine(InputError("not today"), "a circle")
    talk.stage(picture("red"))
    with pytest.raises(InputError):
        list(talk.ask(scripted, "What?", GREEDY))
    assert (talk.turns, len(talk.staged)) == ([], 1)
    list(talk.ask(scripted, "What?", GREEDY))
    assert len(talk.turns) == 1 and not talk.staged


def test_turns_are_left_out_where_an_engine_is_full() -> None:
    notices: list[str] = []
    talk, scripted = Conversation(on_notice=notices.append), ScriptedEngine("ten", n_ctx=12)
    for _ in range(3):
        list(talk.ask(scripted, "one two three four five", GREEDY))
    assert talk.n_left_out and notices
    with pytest.raises(ContextFull):
        list(talk.ask(scripted, "many " * 20, GREEDY))


# two engines in one process


def test_each_of_two_engines_keeps_its_log_and_its_words(tiny: tuple[Path, Path]) -> None:
    first, second = list[str](), list[str]()
    question = user(picture("red"), "what is this?")
    with engine.load(STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf") as alone:
        expected = answer(alone, question).text
    one = engine.load(
        STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf", Options(on_debug=first.append), name="one"
    )
    try:
        with engine.load(*tiny, Options(on_debug=second.append), name="two") as two:
            n_lines = len(first)
            assert second, "the log of the second is told"
            said = list[str]()
            asking = threading.Thread(target=lambda: said.append(answer(one, question).text))
            asking.start()
            assert answer(two, question).text
            asking.join()
        assert said == [expected]
        n_second = len(second)
        assert answer(one, question).text == expected
        assert len(first) >= n_lines > 0
        assert len(second) == n_second, "a closed engine hears nothing more"
    finally:
        one.close()


def test_a_failure_is_explained_by_the_thread_that_had_it() -> None:
    log = bindings.Log()

    def write(line: bytes) -> None:
        thread = threading.Thread(target=log.feed, args=(line,))
        thread.start()
        thread.join()

    log.feed(b"error: mine\n")
    write(b"error: another's\n")
    assert log.last_error() == "error: mine"
    write(b"half of a ")
    log.feed(b"whole line\n")
    assert log.lines[-1] == "whole line"
    with log.captured() as lines:
        write(b"not this\n")
        log.feed(b"this\nand half")
        log.feed(b" more\n")
    assert lines == ["this", "and half more"]


# how likely an answer is


def test_the_likeliest_choice_is_what_is_answered(starter: LocalEngine) -> None:
    question = user(picture("red"), "What color is the circle?")
    said = answer(starter, question, sampling=GREEDY).text
    others = [said.replace("red", other) for other in ("blue", "green", "yellow")]
    assert "red" in said
    scores = starter.score([question], [*others, said])
    best = max(range(4), key=scores.log_probs.__getitem__)
    assert best == 3 and scores.log_probs[3] > math.log(0.5)
    assert scores.mass <= 1.0 and len(scores.seen) == 1
    # the prompt is in the cache again, and nothing behind it
    again = answer(starter, question, sampling=GREEDY)
    assert again.text == said and again.usage.reused_tokens >= scores.usage.prompt_tokens - 1


def test_all_tokens_are_as_likely_as_the_logits_say(tiny: tuple[Path, Path]) -> None:
    """The next token's probabilities sum to 1, and those of two tokens are products."""
    with engine.load(*tiny, Options(threads=1)) as running:
        question = user("what is this?")
        vocabulary = [chr(code) for code in range(ord("a"), ord("z") + 1)]
        pairs = [f"{a}{b}" for a, b in pairwise(vocabulary)]
        scores = running.score([question], [*vocabulary, *pairs])
        assert scores.mass > 0
        weights = running._weights
        for choice, log_prob, n_tokens in zip([*vocabulary, *pairs], scores.log_probs, scores.n_tokens, strict=True):
            assert n_tokens == min(len(weights.tokenize(form)) for form in (choice, f" {choice}"))
            alone = running.score([question], [choice]).log_probs[0]
            assert alone == pytest.approx(log_prob, abs=2e-3), choice
        running.generate([question], Sampling(temperature=0, max_tokens=1))
        logits = running._cache.context.log_probs()
        assert float(np.exp(logits).sum()) == pytest.approx(1.0)


def test_many_choices_in_few_passes_are_as_likely_as_each_alone(tiny: tuple[Path, Path]) -> None:
    """Some begin alike, some are in other scripts, and there are more than can be read at once."""
    choices = ["red circle", "red", "red square", "rot", "赤い丸", "赤い星", "кот", *(f"label {n}" for n in range(90))]
    question = user(picture("red"), "what is this?")
    with engine.load(*tiny, Options(threads=1)) as running:
        together = running.score([question], choices)
        assert running.n_encodes == 1
        # What choices begin with is computed once: far fewer passes than tokens.
        n_tokens = sum(together.n_tokens)
        assert together.usage.completion_tokens < n_tokens
        for choice, log_prob in zip(choices, together.log_probs, strict=True):
            assert running.score([question], [choice]).log_probs[0] == pytest.approx(log_prob, abs=0.01), choice
        # The context that can branch answers as any other.
        branched = answer(running, question, sampling=GREEDY)
    with engine.load(*tiny, Options(threads=1)) as running:
        assert answer(running, question, sampling=GREEDY).text == branched.text


def test_a_model_that_cannot_go_back_scores_the_same_in_any_order(tmp_path: Path) -> None:
    with engine.load(*random_llava.write_recurrent(tmp_path), Options(threads=1)) as running:
        assert not running._weights.can_forget
        question = user("what is this?")
        choices = ["a red circle", "a red square", "b", "a blue circle"]
        together = running.score([question], choices).log_probs
        backwards = running.score([question], choices[::-1]).log_probs[::-1]
        assert together == pytest.approx(backwards, abs=2e-3)
        for choice, log_prob in zip(choices, together, strict=True):
            assert running.score([question], [choice]).log_probs[0] == pytest.approx(log_prob, abs=2e-3)


def test_scores_that_do_not_fit_say_so(tiny: tuple[Path, Path]) -> None:
    with engine.load(*tiny, Options(n_ctx=256)) as running, pytest.raises(ContextFull):
        running.score([user("what is this?")], ["word " * 300])


def test_stopping_ends_the_scoring(tiny: tuple[Path, Path]) -> None:
    with engine.load(*tiny) as running:
        running.stop()
        with pytest.raises(KeyboardInterrupt):
            running.score([user("what is this?")], ["yes", "no"])
        assert len(running.score([user("what is this?")], ["yes", "no"]).log_probs) == 2


# counting


def test_counting_encodes_nothing_and_counts_what_an_answer_counts(tiny: tuple[Path, Path]) -> None:
    question = user(picture("red"), picture("blue"), "what is this?")
    with engine.load(*tiny) as running:
        counted = running.count([question])
        assert running.n_encodes == 0
        assert answer(running, question).usage.prompt_tokens == counted
        assert running.count([question]) == counted


def test_what_is_too_long_is_counted_too(tiny: tuple[Path, Path]) -> None:
    with engine.load(*tiny, Options(n_ctx=256)) as running:
        assert running.count([user("word " * 300)]) > 256
