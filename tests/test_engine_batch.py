"""Many requests at once, on the real llama.cpp: the same words as one by one, in few places, whatever goes wrong."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from mmcli import engine
from mmcli.engine import Answer, Message, Sampling
from mmcli.engine.local import mtmd
from mmcli.engine.local.batching import max_parallel
from mmcli.engine.local.engine import LocalEngine
from mmcli.engine.local.loaded_model import Options
from mmcli.errors import InputError, MmcliError, ModelError, ResourceError
from mmcli.media.types import Audio, Receipt
from tests import random_llava
from tests.engines import STARTER, VARIED, answer, picture, user

GREEDY = Sampling(temperature=0, max_tokens=40, loop_guard=False)
COLOURS = ("red", "green", "blue", "yellow", "black", "orange", "purple")

Conversation = Sequence[Message]


def conversations(count: int) -> list[Conversation]:
    """Pictures of one to four circles (so of different sizes), with questions of different lengths."""
    questions = ("What do you see?", "Describe it.", "How many circles are there in this picture?")
    return [
        [user(picture(*[COLOURS[(i + k * k) % 7] for k in range(i % 4 + 1)]), questions[i % 3])] for i in range(count)
    ]


def many(
    running: LocalEngine, requests: Iterator[Conversation] | Sequence[Conversation], parallel: int | None, how: Sampling
) -> dict[int, Answer | MmcliError]:
    """How each request ended; the pieces of each must add up to its answer."""
    ended: dict[int, Answer | MmcliError] = {}
    words: dict[int, str] = {}
    for index, piece in running.generate_many(requests, how, parallel=parallel):
        assert index not in ended, "a piece after the last"
        if piece.kind == "answer":
            words[index] = words.get(index, "") + piece.text
        if piece.error is not None:
            ended[index] = piece.error
        if piece.answer is not None:
            assert piece.answer.text == words[index]
            ended[index] = piece.answer
    return ended


def texts(ended: dict[int, Answer | MmcliError]) -> list[str]:
    """The answers in the order of the requests."""
    out = []
    for index in sorted(ended):
        end = ended[index]
        assert isinstance(end, Answer), end
        out.append(end.text)
    return out


@pytest.fixture
def log() -> list[str]:
    """llama.cpp's own log, where a test looks at what was made."""
    return []


def contexts(log: list[str]) -> list[str]:
    return [line for line in log if "constructing llama_context" in line]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("models"), "tiny")


@pytest.fixture
def running(tiny: tuple[Path, Path], log: list[str]) -> Iterator[LocalEngine]:
    with engine.load(*tiny, Options(media_newline=True, on_debug=log.append)) as loaded:
        yield loaded


@pytest.fixture
def starter() -> Iterator[LocalEngine]:
    with engine.load(STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf", Options(media_newline=True)) as loaded:
        yield loaded


# ── the same words ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_starter_says_of_many_pictures_what_it_says_of_each(starter: LocalEngine) -> None:
    asked = conversations(11)
    alone = [answer(starter, *messages, sampling=GREEDY) for messages in asked]
    for parallel in (1, 2, 3, 8, None):
        ended = many(starter, asked, parallel, GREEDY)
        assert texts(ended) == [said.text for said in alone], parallel
        for said, end in zip(alone, (ended[i] for i in range(len(asked))), strict=True):
            assert isinstance(end, Answer)
            assert (end.finish_reason, end.n_past) == (said.finish_reason, said.n_past)
            assert end.usage.completion_tokens == said.usage.completion_tokens
            assert end.usage.n_encodes == 1
            assert [seen.media_id for seen in end.seen] == [seen.media_id for seen in said.seen]
            assert end.seen[0].origin == "encoded"


Writer = Callable[[Path], tuple[Path, Path]]
WRITERS: dict[str, Writer] = {
    "llava": lambda folder: random_llava.write(folder, "tiny"),
    # 256 picture tokens: past them llama.cpp cuts a lone token's attention into one piece for each thread.
    "long": lambda folder: random_llava.write(folder, "tiny", random_llava.Shape(side=224)),
    "mrope": random_llava.write_mrope,
    "recurrent": random_llava.write_recurrent,
    "tiled": random_llava.write_tiled,  # several pictures in one pass of the encoder
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("how", [VARIED, GREEDY], ids=["penalty", "greedy"])
def test_the_words_do_not_depend_on_the_company(kind: str, threads: int, how: Sampling, tmp_path: Path) -> None:
    asked = conversations(7)
    with engine.load(*WRITERS[kind](tmp_path), Options(media_newline=True, threads=threads)) as loaded:
        alone = texts(many(loaded, asked, 1, how))
        if kind != "recurrent":  # its random state soon forgets the picture; what it says still needs its own state
            assert len(set(alone)) > 1, "all pictures get one answer: this would prove nothing"
        for parallel in (2, 3, 8):
            assert texts(many(loaded, asked, parallel, how)) == alone, parallel


@pytest.mark.parametrize(("kind", "several"), [("tiled", True), ("llava", False)])
def test_pictures_that_wait_are_encoded_together_where_the_model_can(
    kind: str, several: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[int] = []
    together = mtmd.Projector.encode_together

    def counted(self: mtmd.Projector, chunks: Sequence[mtmd.Chunk]) -> list[object]:
        made = together(self, chunks)
        passes.append(len(made))
        return made

    monkeypatch.setattr(mtmd.Projector, "encode_together", counted)
    asked = conversations(9)
    with engine.load(*WRITERS[kind](tmp_path), Options(media_newline=True)) as loaded:
        alone = [answer(loaded, *messages) for messages in asked]
        n_encodes = loaded.n_encodes
        ended = many(loaded, asked, 4, VARIED)
        assert texts(ended) == [said.text for said in alone]
        assert loaded.n_encodes == 2 * n_encodes
        told = [end.usage.n_encodes for _, end in sorted(ended.items()) if isinstance(end, Answer)]
        assert told == [said.usage.n_encodes for said in alone]
    assert sum(passes) == n_encodes
    assert any(size > 1 for size in passes) is several


@pytest.mark.parametrize(("patience", "is_first"), [(0.0, True), (60.0, False)])
def test_where_filling_the_places_takes_long_the_first_answer_comes_before_it(
    running: LocalEngine, monkeypatch: pytest.MonkeyPatch, patience: float, is_first: bool
) -> None:
    monkeypatch.setattr("mmcli.engine.local.batching.PATIENCE", patience)
    asked = [[user(picture(colour), "What?")] for colour in COLOURS]
    alone = [answer(running, *messages).text for messages in asked]
    began, encoded = running.n_encodes, []
    ended: dict[int, str] = {}
    for index, piece in running.generate_many(asked, VARIED, parallel=4):
        if piece.answer is not None:
            encoded.append(running.n_encodes - began)
            ended[index] = piece.answer.text
    assert (encoded[0] == 1) is is_first
    assert [ended[i] for i in range(len(asked))] == alone


def test_what_waits_with_the_same_picture_is_not_encoded_again(tmp_path: Path) -> None:
    asked = [[user(picture("red"), question)] for question in ("What?", "How many?", "Where?", "Which?")]
    with engine.load(*random_llava.write_tiled(tmp_path), Options(media_newline=True)) as loaded:
        answer(loaded, *asked[0])
        once = loaded.n_encodes
        many(loaded, asked, 4, VARIED)
        assert loaded.n_encodes == 2 * once


@pytest.mark.parametrize("kind", ["llava", "mrope"])
def test_in_short_contexts_one_by_one_and_many_are_the_same(kind: str, tmp_path: Path) -> None:
    asked = conversations(5)
    with engine.load(*WRITERS[kind](tmp_path), Options(media_newline=True)) as loaded:
        alone = [answer(loaded, *messages).text for messages in asked]
        assert texts(many(loaded, asked, 3, VARIED)) == alone


def test_a_seed_means_the_same_in_company(starter: LocalEngine) -> None:
    how = Sampling(temperature=1.5, top_k=0, top_p=1, min_p=0, seed=5, max_tokens=16)
    asked = conversations(6)
    ended = many(starter, asked, 4, how)
    assert texts(ended) == [answer(starter, *messages, sampling=how).text for messages in asked]
    assert {end.seed for end in ended.values() if isinstance(end, Answer)} == {5}


def test_without_a_seed_each_answer_draws_its_own(running: LocalEngine) -> None:
    asked = [conversations(1)[0]] * 3
    ended = many(running, asked, 3, Sampling(temperature=1, max_tokens=4))
    assert len({end.seed for end in ended.values() if isinstance(end, Answer)}) == 3


def test_text_and_several_pictures_go_beside_one_picture(running: LocalEngine) -> None:
    asked = [
        [user("Hello there")],
        [user(picture("red"), picture("blue", "green"), "Which?")],
        [user(picture("red"), "What?")],
        [user("word " * 700)],  # more than one forward pass takes
        [Message("system", ("Be brief.",)), user("Look:", picture("black"), "then:", picture("red"), "so?")],
    ]
    one = texts(many(running, asked, 1, VARIED))
    assert len(set(one)) == 5
    assert texts(many(running, asked, 4, VARIED)) == one


def test_stop_strings_and_the_loop_guard_work_for_each(running: LocalEngine) -> None:
    asked = conversations(3)
    plain = texts(many(running, asked, 3, VARIED))
    mark = plain[1][3:7]
    stopped = many(running, asked, 3, Sampling(**{**vars(VARIED), "stop": (mark,)}))
    end = stopped[1]
    assert isinstance(end, Answer) and (end.text, end.finish_reason) == (plain[1].split(mark)[0], "stop")
    loops = many(running, asked, 2, Sampling(temperature=0, max_tokens=400))
    assert "loop" in {end.finish_reason for end in loops.values() if isinstance(end, Answer)}


# ── few places, little memory ─────────────────────────────────────────────────────────────────────────────────────


def test_no_more_is_taken_than_fits_and_one_ahead(running: LocalEngine) -> None:
    taken, ended, most = 0, 0, 0

    def requests() -> Iterator[Conversation]:
        nonlocal taken, most
        for messages in conversations(12):
            taken += 1
            most = max(most, taken - ended)
            yield messages

    for _, piece in running.generate_many(requests(), VARIED, parallel=3):
        ended += piece.answer is not None
    assert (taken, ended) == (12, 12)
    assert most <= 3 + 1


def test_a_source_that_blocks_holds_up_nobody(running: LocalEngine) -> None:
    first_is_done = threading.Event()

    def requests() -> Iterator[Conversation]:
        first, second = conversations(2)
        yield first
        assert first_is_done.wait(60), "the first was not answered while the second was awaited"
        yield second

    order = []
    for index, piece in running.generate_many(requests(), VARIED, parallel=4):
        if piece.answer is not None:
            order.append(index)
            first_is_done.set()
    assert order == [0, 1]


def test_no_more_places_are_made_than_requests_are_expected(running: LocalEngine, log: list[str]) -> None:
    pieces = [piece for _, piece in running.generate_many(conversations(2), GREEDY, expected=2)]
    assert sum(piece.answer is not None for piece in pieces) == 2
    assert [line.split()[-1] for line in log if "n_seq_max" in line] == ["2"]


def test_places_are_used_again_and_again(running: LocalEngine, log: list[str]) -> None:
    ended = many(running, conversations(20), 2, VARIED)
    assert len(texts(ended)) == 20
    assert len(contexts(log)) == 1
    assert any("n_seq_max" in line and line.split()[-1] == "2" for line in log)
    assert running._projector is not None
    # the chunks and answers of those who are done are not kept
    gc.collect()
    from mmcli.engine.local.batching import BatchRequest

    assert not [thing for thing in gc.get_objects() if isinstance(thing, BatchRequest)]


def test_what_the_prompts_begin_with_is_computed_once(running: LocalEngine) -> None:
    system = Message("system", ("You describe pictures for people who cannot see them. " * 4,))
    asked = [[system, *messages] for messages in conversations(6)]
    ended = many(running, asked, 3, VARIED)
    reused = [end.usage.reused_tokens for _, end in sorted(ended.items()) if isinstance(end, Answer)]
    assert reused[0] == 0 and min(reused[1:]) > 100
    # each by itself, with nothing to reuse
    assert texts(ended) == [texts(many(running, [messages], 1, VARIED))[0] for messages in asked]


def test_the_same_picture_again_is_not_encoded_again(running: LocalEngine) -> None:
    messages = conversations(1)[0]
    ended = many(running, [messages] * 3, 1, VARIED)
    assert [end.usage.n_encodes for _, end in sorted(ended.items()) if isinstance(end, Answer)] == [1, 0, 0]
    assert len(set(texts(ended))) == 1
    last = ended[2]
    assert isinstance(last, Answer) and last.seen[0].origin == "memory"


def test_a_larger_request_gets_larger_places_when_the_others_are_done(running: LocalEngine, log: list[str]) -> None:
    asked: list[Conversation] = [*conversations(3), [user(picture("red"), "word " * 600)], *conversations(3)]
    ended = many(running, asked, 3, VARIED)
    assert len(contexts(log)) == 2
    assert texts(ended) == [texts(many(running, [messages], 1, VARIED))[0] for messages in asked]
    sizes = [end.n_ctx for _, end in sorted(ended.items()) if isinstance(end, Answer)]
    assert sizes[0] == 256 < sizes[3] == sizes[6]


def test_a_full_place_ends_its_answer_only(tiny: tuple[Path, Path]) -> None:
    with engine.load(*tiny, Options(n_ctx=256)) as loaded:
        ended = many(loaded, conversations(3), 2, Sampling(temperature=0, max_tokens=1000, loop_guard=False))
    assert {(end.finish_reason, end.n_past) for end in ended.values() if isinstance(end, Answer)} == {("length", 256)}


@pytest.mark.parametrize(
    ("n_ctx", "affordable", "cores", "gpu", "expected"),
    [
        (512, 10**6, 2, False, 16),
        (512, 10**6, 12, False, 24),
        (512, 10**6, 64, False, 32),
        (512, 10**6, 2, True, 32),
        (4096, 20_000, 8, False, 2),
        (4096, 4096, 8, False, 1),
    ],
)
def test_memory_and_cores_say_how_many(n_ctx: int, affordable: int, cores: int, gpu: bool, expected: int) -> None:
    assert max_parallel(n_ctx, affordable, cores, gpu=gpu) == expected


def test_fewer_places_than_wished_are_told(tiny: tuple[Path, Path]) -> None:
    notices: list[str] = []
    with engine.load(*tiny, Options(on_notice=notices.append)) as loaded:
        loaded._room.affordable = 600
        assert len(texts(many(loaded, conversations(3), 4, VARIED))) == 3
    assert notices == ["memory has room for 2 answers at once, not for 4"]


# ── what goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_answered_ends_nobody_else(running: LocalEngine) -> None:
    good = conversations(3)
    sound = Audio(np.zeros(16_000, np.float32), 16_000, "id", Receipt("a.wav", "audio", "", 1, "wav"))
    asked = [good[0], [user("word " * 5000)], good[1], [user(sound, "What?")], good[2]]
    ended = many(running, asked, 2, VARIED)
    too_long, deaf = ended.pop(1), ended.pop(3)
    assert isinstance(too_long, ResourceError) and "the context holds only" in too_long.message
    assert isinstance(deaf, ModelError) and "cannot hear" in deaf.message
    assert texts(ended) == [answer(running, *messages).text for messages in good]


def test_nothing_that_can_be_answered_is_no_hang(running: LocalEngine) -> None:
    assert many(running, [], 2, VARIED) == {}
    ended = many(running, [[user("word " * 5000)]] * 4, 2, VARIED)
    assert len(ended) == 4 and all(isinstance(end, ResourceError) for end in ended.values())


def test_a_source_that_fails_lets_the_begun_ones_finish(running: LocalEngine) -> None:
    def requests() -> Iterator[Conversation]:
        yield from conversations(2)
        raise InputError("the list broke off")

    ended = []
    with pytest.raises(InputError, match="broke off"):
        for index, piece in running.generate_many(requests(), VARIED, parallel=4):
            ended += [index] if piece.answer is not None else []
    assert ended == [0, 1]
    assert len(texts(many(running, conversations(2), 2, VARIED))) == 2


def test_stop_ends_all_and_keeps_what_was_said(running: LocalEngine) -> None:
    said: dict[int, Answer] = {}
    for _, piece in running.generate_many(iter(conversations(30)), Sampling(temperature=0), parallel=3):
        if piece.answer is not None:
            said[_] = piece.answer
        elif piece.text:
            running.stop()
    assert 1 <= len(said) <= 3
    assert {end.finish_reason for end in said.values()} == {"interrupted"}
    assert any(end.text for end in said.values())
    assert answer(running, *conversations(1)[0]).finish_reason == "length", "the next answer is stopped, too"


def test_stop_ends_waiting_for_a_source(running: LocalEngine) -> None:
    never = threading.Event()

    def requests() -> Iterator[Conversation]:
        yield conversations(1)[0]
        threading.Timer(0.1, running.stop).start()
        never.wait(60)

    ended = many(running, requests(), 2, VARIED)
    assert list(ended) == [0]
    never.set()


def test_what_is_left_in_the_middle_leaves_a_usable_engine(running: LocalEngine) -> None:
    pieces = running.generate_many(iter(conversations(9)), VARIED, parallel=2)
    next(pieces)
    pieces.close()
    assert len(texts(many(running, conversations(3), 2, VARIED))) == 3
