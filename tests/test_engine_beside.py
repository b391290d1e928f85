"""The projector that loads beside the weights: only when it is needed, and never to the harm of what comes after."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mmcli import engine
from mmcli.engine import First
from mmcli.engine.local import loaded_model, mtmd, projector_loader
from mmcli.engine.local.loaded_model import Options
from mmcli.errors import ModelError, ResourceError
from tests import random_llava
from tests.conftest import TIMEOUT
from tests.engines import answer, picture, user


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("models"), "tiny")


@dataclass
class Loads:
    """How often a projector was loaded with a header, beside the weights, and how often with the weights."""

    beside: int = 0
    after: int = 0
    headers: list[mtmd.Weights] = field(default_factory=list)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loads]:
    counted = Loads()
    real, header = loaded_model.mtmd.Projector, projector_loader.mtmd.Weights.header

    def projector(path: Path, weights: mtmd.Weights, **how: object) -> mtmd.Projector:
        if weights in counted.headers:
            counted.beside += 1
        else:
            counted.after += 1
        return real(path, weights, **how)  # type: ignore[arg-type]

    def told(path: Path) -> mtmd.Weights:
        counted.headers.append(header(path))
        return counted.headers[-1]

    monkeypatch.setattr(loaded_model.mtmd, "Projector", projector)
    monkeypatch.setattr(projector_loader.mtmd.Weights, "header", told)
    yield counted


def known(*messages: engine.Message) -> First:
    first = First()
    first.set_result((messages, False))
    return first


def test_it_says_the_same_as_one_loaded_afterwards(tiny: tuple[Path, Path], loads: Loads) -> None:
    question = user(picture("red", "blue"), "what is this?")
    with engine.load(*tiny) as running:
        plain = answer(running, question).text
    with engine.load(*tiny, first=known(question)) as running:
        assert answer(running, question).text == plain
        assert answer(running, question).text == plain
        assert running.n_encodes == 1
    assert (loads.beside, loads.after) == (1, 1)


def test_words_alone_need_none(tiny: tuple[Path, Path], loads: Loads) -> None:
    with engine.load(*tiny, first=known(user("what is this?"))) as running:
        assert answer(running, user("what is this?")).text
        assert (loads.beside, loads.after) == (0, 0)
        assert answer(running, user(picture("red"), "and this?")).text
    assert (loads.beside, loads.after) == (0, 1)


def test_media_that_are_on_disk_computed_need_none(tiny: tuple[Path, Path], tmp_path: Path, loads: Loads) -> None:
    settings = Options(cache=tmp_path / "kv", worth_saving=0.0)
    first, second = (user(picture("red", "blue"), question) for question in ("what is this?", "how many?"))
    with engine.load(*tiny, settings, first=known(first)) as running:
        answer(running, first)
    with engine.load(*tiny, settings, first=known(second)) as running:
        assert answer(running, second).usage.n_encodes == 0
    assert (loads.beside, loads.after) == (1, 0)


def test_who_never_tells_keeps_nobody_waiting(tiny: tuple[Path, Path], loads: Loads) -> None:
    with engine.load(*tiny, first=First()) as running:
        assert answer(running, user(picture("red"), "what is this?")).text
    with engine.load(*tiny, first=First()):
        pass
    assert (loads.beside, loads.after) == (0, 1)


def test_many_are_not_asked_before_what_is_encoded_ahead_is_done(
    tiny: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, at_work, overlaps = mtmd.Projector.encode, threading.Lock(), []

    def encode(self: mtmd.Projector, *args: object, **how: object) -> object:
        overlaps.append(not at_work.acquire(blocking=False))
        try:
            if threading.current_thread().name == "projector":
                threading.Event().wait(0.2)  # time for another thread to come in between
            return real(self, *args, **how)  # type: ignore[arg-type]
        finally:
            if at_work.locked():
                at_work.release()

    monkeypatch.setattr(mtmd.Projector, "encode", encode)
    with engine.load(*tiny, first=known(user(picture("red"), picture("green"), "what is this?"))) as running:
        asked = [[user(picture(colour), "what is this?")] for colour in ("blue", "black")]
        ended = [piece.answer for _, piece in running.generate_many(asked) if piece.answer]
    assert len(ended) == 2 and len(overlaps) >= 3 and not any(overlaps)


def test_a_projector_that_does_not_load_is_told_when_it_is_needed(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    question = user(picture("red"), "what is this?")
    broken = tmp_path / "mmproj.gguf"
    broken.write_bytes(tiny[1].read_bytes()[:4000])
    with (
        engine.load(tiny[0], broken, first=known(question)) as running,
        pytest.raises(ModelError, match="cannot load the projector"),
    ):
        answer(running, question)


def test_weights_that_do_not_load_are_told_as_ever(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    broken = tmp_path / "weights.gguf"
    broken.write_bytes(tiny[0].read_bytes()[:4000])
    with pytest.raises(ModelError, match="cannot load the weights"):
        engine.load(broken, tiny[1], first=known(user(picture("red"), "what is this?")))


def test_a_picture_that_is_sure_to_come_is_not_waited_for(tiny: tuple[Path, Path], loads: Loads) -> None:
    first = First(has_media=True)
    with engine.load(*tiny, first=first) as running:
        assert answer(running, user(picture("red"), "what is this?")).usage.n_encodes == 1
    assert (loads.beside, loads.after) == (1, 0)  # though nobody ever told what is asked first


def test_where_something_is_on_disk_a_picture_that_is_sure_to_come_is_waited_for(
    tiny: tuple[Path, Path], tmp_path: Path, loads: Loads
) -> None:
    settings, question = Options(cache=tmp_path / "kv", worth_saving=0.0), user(picture("red"), "what is this?")
    with engine.load(*tiny, settings, first=First(has_media=True)) as running:
        answer(running, question)
    assert (loads.beside, loads.after) == (1, 0)
    first = First(has_media=True)
    first.set_result(((question,), False))
    with engine.load(*tiny, settings, first=first) as running:
        assert answer(running, question).usage.n_encodes == 0
    assert (loads.beside, loads.after) == (1, 0)


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that encoded, each time they did."""
    names: list[str] = []
    real = mtmd.Projector.encode

    def encode(self: mtmd.Projector, chunk: mtmd.Chunk) -> object:
        names.append(threading.current_thread().name)
        return real(self, chunk)

    monkeypatch.setattr(mtmd.Projector, "encode", encode)
    return names


def test_what_is_asked_first_is_encoded_beside_the_weights(tiny: tuple[Path, Path], encoders: list[str]) -> None:
    pictures = picture("red", "blue"), picture("green")
    question, other = user(*pictures, "what is this?"), user(picture("black"), "and this?")
    with engine.load(*tiny) as running:
        plain = [answer(running, asked) for asked in (question, other)]
    assert encoders == ["MainThread"] * 3
    encoders.clear()
    with engine.load(*tiny, first=known(question)) as running:
        said = [answer(running, asked) for asked in (question, other)]
    assert encoders == ["projector", "projector", "MainThread"]
    assert [end.text for end in said] == [end.text for end in plain]
    assert [end.usage.n_encodes for end in said] == [2, 1]
    assert [[seen.origin for seen in end.seen] for end in said] == [["encoded", "encoded"], ["encoded"]]


def test_it_encodes_nothing_more_once_it_is_stopped(tiny: tuple[Path, Path], encoders: list[str]) -> None:
    options, question = Options(), user(picture("red"), picture("blue"), "what is this?")
    real = mtmd.Projector.encode_apart

    def encode_then_stop(self: mtmd.Projector, chunk: mtmd.Chunk) -> object:
        options.stop.set()
        return real(self, chunk)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mtmd.Projector, "encode_apart", encode_then_stop)
        with pytest.raises(KeyboardInterrupt), engine.load(*tiny, options, first=slow_weights(patch, question)):
            pass
    assert encoders == ["projector"]


def slow_weights(patch: pytest.MonkeyPatch, question: engine.Message) -> First:
    """What is asked first; and the weights do not load before it is being encoded."""
    real = loaded_model.Loaded._load_weights

    def load(self: loaded_model.Loaded, *args: object) -> object:
        assert self._options.stop.wait(TIMEOUT)
        return real(self, *args)  # type: ignore[arg-type]

    patch.setattr(loaded_model.Loaded, "_load_weights", load)
    return known(question)


def test_what_could_not_be_encoded_beside_is_tried_again(
    tiny: tuple[Path, Path], encoders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    question, real = user(picture("red"), "what is this?"), mtmd.Projector.encode

    def fail_beside(self: mtmd.Projector, chunk: mtmd.Chunk) -> object:
        if threading.current_thread().name == "projector":
            raise ResourceError("no memory")
        return real(self, chunk)

    with engine.load(*tiny) as running:
        plain = answer(running, question).text
    monkeypatch.setattr(mtmd.Projector, "encode", fail_beside)
    with engine.load(*tiny, first=known(question)) as running:
        assert answer(running, question).text == plain
    assert encoders == ["MainThread", "MainThread"]


def test_whoever_never_asks_what_was_told_frees_it(tiny: tuple[Path, Path], encoders: list[str]) -> None:
    with engine.load(*tiny, first=known(user(picture("red"), "what is this?"))) as running:
        assert answer(running, user("hello")).usage.n_encodes == 0
    with engine.load(*tiny, first=known(user(picture("red"), "what is this?"))):
        pass
    assert encoders == ["projector", "projector"]
