"""What the next answer begins with is computed before it is asked for: the same words, and no medium encoded twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mmcli import engine
from mmcli.engine import Answer, Message
from mmcli.engine.local.engine import LocalEngine
from mmcli.engine.local.loaded_model import Options
from mmcli.errors import ContextFull
from tests import random_llava
from tests.engines import GREEDY, STARTER, VARIED, answer, picture, said, user


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("models"), "tiny")


@pytest.fixture
def running(tiny: tuple[Path, Path]) -> Iterator[LocalEngine]:
    with engine.load(*tiny, Options(media_newline=True)) as loaded:
        yield loaded


@pytest.fixture
def fresh(tiny: tuple[Path, Path]) -> Callable[..., Answer]:
    """An answer by an engine that has not been asked anything before."""

    def ask(*messages: Message) -> Answer:
        with engine.load(*tiny, Options(media_newline=True)) as loaded:
            return answer(loaded, *messages, sampling=VARIED)

    return ask


def prepare(loaded: LocalEngine, *messages: Message, paused: Callable[[], bool] = never) -> None:
    loaded.prepare(messages, VARIED, paused=paused, dropped=never)


def unchanged(told: Answer, alone: Answer) -> bool:
    return (told.text, told.usage.prompt_tokens, told.n_past) == (alone.text, alone.usage.prompt_tokens, alone.n_past)


def test_what_was_prepared_is_not_computed_again_and_the_words_are_the_same(
    running: LocalEngine, fresh: Callable[..., Answer]
) -> None:
    red, blue = picture("red"), picture("blue")
    prepare(running, user(red, "?"))
    prepare(running, user(red, blue, "?"))  # one more was staged
    assert running.n_encodes == 2
    told = answer(running, user(red, blue, "What are they?"), sampling=VARIED)
    assert running.n_encodes == 2 and told.usage.n_encodes == 0
    assert told.usage.reused_tokens >= sum(seen.n_tokens for seen in told.seen)
    assert [seen.origin for seen in told.seen] == ["ahead", "ahead"]
    assert unchanged(told, fresh(user(red, blue, "What are they?")))
    talk = [user(red, blue, "What are they?"), said(told), user("And now?")]
    assert [seen.origin for seen in answer(running, *talk, sampling=VARIED).seen] == ["memory", "memory"]


def test_in_the_middle_of_a_talk_too(tiny: tuple[Path, Path]) -> None:
    red, blue = picture("red"), picture("blue")
    told = []
    for is_prepared in (True, False):
        with engine.load(*tiny, Options(media_newline=True)) as loaded:
            talk = [user(red, "What?")]
            talk.append(said(answer(loaded, *talk, sampling=VARIED)))
            if is_prepared:
                prepare(loaded, *talk, user(blue, "?"))
                assert loaded.n_encodes == 2
            told.append(answer(loaded, *talk, user(blue, "And this?"), sampling=VARIED))
            assert loaded.n_encodes == 2
    assert [[seen.origin for seen in each.seen] for each in told] == [["memory", "ahead"], ["memory", "encoded"]]
    assert unchanged(*told)


def test_a_question_does_not_look_at_a_prepared_picture_again(
    running: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = picture("red")
    prepare(running, user(red, "?"))
    assert running._projector is not None
    monkeypatch.setattr(running._projector, "tokenize", None)  # whoever calls it fails
    for words in ("What?", "And on the left?"):
        assert answer(running, user(red, words), sampling=VARIED).seen[0].n_tokens > 0


def test_a_dropped_picture_is_not_in_the_talk(running: LocalEngine, fresh: Callable[..., Answer]) -> None:
    red, blue = picture("red"), picture("blue")
    prepare(running, user(red, blue, "?"))
    prepare(running, user(blue, "?"))
    told = answer(running, user(blue, "What is it?"), sampling=VARIED)
    assert running.n_encodes == 2
    assert [seen.media_id for seen in told.seen] == [blue.id]
    assert unchanged(told, fresh(user(blue, "What is it?")))
    told = answer(running, user("What is it?"), sampling=VARIED)
    assert unchanged(told, fresh(user("What is it?")))


def test_a_pause_waits_for_one_medium_and_no_more(running: LocalEngine, fresh: Callable[..., Answer]) -> None:
    red, blue = picture("red"), picture("blue")
    prepare(running, user(red, blue, "?"), paused=lambda: running.n_encodes > 0)
    assert running.n_encodes == 1
    told = answer(running, user(red, blue, "What are they?"), sampling=VARIED)
    assert running.n_encodes == 2 and told.usage.n_encodes == 1
    assert [seen.origin for seen in told.seen] == ["ahead", "encoded"]
    assert unchanged(told, fresh(user(red, blue, "What are they?")))


def test_a_pause_before_the_first_step_costs_nothing_of_the_talk(running: LocalEngine) -> None:
    first = answer(running, user("Hello!"), sampling=VARIED)
    answers = iter([False, True, True])
    talk = [user("Hello!"), said(first)]
    prepare(running, *talk, user(picture("red"), "?"), paused=lambda: next(answers))
    told = answer(running, *talk, user(picture("red"), "What?"), sampling=VARIED)
    assert told.usage.reused_tokens == first.n_past


def test_what_is_dropped_ends_after_its_encode(running: LocalEngine, fresh: Callable[..., Answer]) -> None:
    red, blue = picture("red"), picture("blue")
    running.prepare([user(red, "?")], VARIED, paused=never, dropped=lambda: running.n_encodes > 0)
    assert running.n_encodes == 1
    assert red.id not in str(running._cache.cells), "its prefill was given up"
    told = answer(running, user(blue, "What is it?"), sampling=VARIED)
    assert unchanged(told, fresh(user(blue, "What is it?")))
    assert unchanged(answer(running, user(red, "What is it?"), sampling=VARIED), fresh(user(red, "What is it?")))
    assert running.n_encodes == 2, "its embeddings were kept"


def test_what_is_there_is_left_as_it_is(running: LocalEngine) -> None:
    red = picture("red")
    told = answer(running, user(red, "What?"), sampling=VARIED)
    prepare(running, user(red, "What?"), said(told), user("?"))
    again = answer(running, user(red, "What?"), said(told), user("And?"), sampling=VARIED)
    assert again.usage.reused_tokens == told.n_past


def test_what_is_on_disk_is_fetched_ahead(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    options = Options(media_newline=True, cache=tmp_path, worth_saving=0)
    red = picture("red")
    with engine.load(*tiny, options) as loaded:
        prepare(loaded, user(red, "?"))
    with engine.load(*tiny, options) as loaded:
        prepare(loaded, user(red, "?"))
        told = answer(loaded, user(red, "What?"), sampling=VARIED)
        assert loaded.n_encodes == 0
        assert [seen.origin for seen in told.seen] == ["disk"]


def test_what_has_no_room_is_told_as_in_an_answer(tiny: tuple[Path, Path]) -> None:
    with engine.load(*tiny, Options(media_newline=True, n_ctx=256)) as loaded, pytest.raises(ContextFull):
        prepare(loaded, *(user(*[picture("red")] * 40, "?"),))


def test_the_starter_says_the_same() -> None:
    files = STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf"
    question = user(picture("red", "blue"), "What is in this picture?")
    with engine.load(*files, Options(media_newline=True)) as loaded:
        prepare(loaded, user(*question.media, "?"))
        told = answer(loaded, question, sampling=GREEDY)
    with engine.load(*files, Options(media_newline=True)) as loaded:
        alone = answer(loaded, question, sampling=GREEDY)
    assert told.text == alone.text
    assert told.seen[0].origin == "ahead" and alone.seen[0].origin == "encoded"
