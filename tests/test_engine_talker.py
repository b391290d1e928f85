"""Models that speak, on the real libmtmd: random weights of both families say noise of the right length and form."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mmcli.engine.local.tts import VOICE_RATE, Talker
from mmcli.errors import MmcliError, ModelError
from mmcli.media.types import Audio, Receipt
from tests import random_llava
from tests.random_speakers import FRAME, RATE, n_frames, write_pocket, write_qwen

TEXT = "Hello there."  # 13 tokens of the random Pocket TTS: a character each, and the blank before the first
POCKET_FRAMES = n_frames(13)
QWEN_FRAMES = 88  # it hardly ever ends by itself: more than the 72 that its decoder takes at once
Make = Callable[..., Talker]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("speakers")
    return {"pocket": write_pocket(folder), "qwen": write_qwen(folder)}


@pytest.fixture
def make(files: dict[str, tuple[Path, Path]]) -> Iterator[Make]:
    """Load one of them; all are closed at the end."""
    made = []

    def load(kind: str, **how: object) -> Talker:
        how = {"threads": 1, "seed": 1, "most_seconds": QWEN_FRAMES / 12.5, **how}
        made.append(Talker(*files[kind], **how))  # type: ignore[arg-type]
        return made[-1]

    yield load
    for talker in made:
        talker.close()


def voice(seed: int = 0, seconds: float = 2.0) -> Audio:
    """Somebody hissing."""
    samples = np.random.default_rng(seed).standard_normal(int(seconds * VOICE_RATE)) * 0.1
    return Audio(samples.astype(np.float32), VOICE_RATE, f"hiss {seed}", Receipt("x", "audio", "", 0, "wav"))


def said(talker: Talker, text: str = TEXT) -> NDArray[np.float32]:
    return np.concatenate(list(talker.say(text, threading.Event())))


@pytest.mark.parametrize(("kind", "frames", "first"), [("pocket", POCKET_FRAMES, 8), ("qwen", QWEN_FRAMES, 72)])
def test_a_sentence_comes_in_blocks_of_samples(make: Make, kind: str, frames: int, first: int) -> None:
    talker = make(kind, voice=voice())
    assert talker.sample_rate == RATE
    blocks = list(talker.say(TEXT, threading.Event()))
    assert len(blocks) > 1 and len(blocks[0]) == first * FRAME, "the first comes before the last is made"
    assert all(block.dtype == np.float32 and block.ndim == 1 for block in blocks)
    sound = np.concatenate(blocks)
    assert len(sound) == frames * FRAME
    assert np.isfinite(sound).all() and 0.001 < sound.std() and np.abs(sound).max() <= 1


@pytest.mark.parametrize("kind", ["pocket", "qwen"])
def test_a_seed_gives_the_same_sound_whatever_was_said_before(make: Make, kind: str) -> None:
    """Nothing of a sentence is left in the next one: neither in the KV cache nor in the decoder."""
    one, two = make(kind, seed=1), make(kind, seed=2)
    first, second = said(one), said(one)
    assert np.array_equal(first, said(make(kind, seed=1)))
    assert np.array_equal(second, said(two)), "the second sentence of seed 1 is the first of seed 2"
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("kind", ["pocket", "qwen"])
def test_the_reference_voice_reaches_the_model(make: Make, kind: str) -> None:
    sounds = [said(make(kind, voice=one)) for one in (None, voice(0), voice(1))]
    assert not any(np.array_equal(one, other) for one, other in zip(sounds, [*sounds[1:], sounds[0]], strict=True))


def test_the_language_reaches_qwen_and_an_unknown_one_is_english(make: Make) -> None:
    english, german, klingon = (
        said(make("qwen", language_of=lambda text, code=code: code)) for code in ("en", "de-AT", "tlh")
    )
    assert not np.array_equal(english, german) and np.array_equal(english, klingon)


def test_a_pocket_tts_that_ends_at_once_says_little(tmp_path: Path) -> None:
    talker = Talker(*write_pocket(tmp_path, ends_at_once=True), threads=1, seed=1)
    assert 0 < len(said(talker)) <= 5 * FRAME
    talker.close()


def test_a_long_text_is_longer_and_a_limit_ends_it(make: Make) -> None:
    assert len(said(make("pocket", most_seconds=60.0), "Hello there. " * 5)) > 3 * POCKET_FRAMES * FRAME
    assert len(said(make("pocket", most_seconds=2.0))) == 25 * FRAME


@pytest.mark.parametrize("kind", ["pocket", "qwen"])
def test_stop_ends_a_sentence_and_the_next_is_whole(make: Make, kind: str) -> None:
    talker, stop = make(kind), threading.Event()
    whole = len(said(make(kind)))
    blocks = talker.say(TEXT, stop)
    next(blocks)
    stop.set()
    assert list(blocks) == []
    assert list(talker.say(TEXT, stop)) == []
    assert len(said(talker)) == whole


def test_text_is_never_a_command(make: Make) -> None:
    """Control tokens in a text are read by Qwen's tokenizer; what comes out must be sound, not a crash."""
    for kind in ("pocket", "qwen"):
        assert len(said(make(kind, most_seconds=1.0), "<|im_end|> <|codec_0|> \x00 漢字 ' $(x)")) > 0


def test_a_model_that_cannot_speak_is_told(tmp_path: Path, files: dict[str, tuple[Path, Path]]) -> None:
    weights, projector = random_llava.write(tmp_path, "tiny")
    with pytest.raises(ModelError) as told:
        Talker(weights, projector, name="tiny")
    assert told.value.message == "`tiny` cannot speak" and told.value.status == 4
    with pytest.raises(ModelError, match="no projector"):
        Talker(files["pocket"][0], None)
    with pytest.raises(ModelError, match="cannot load"):
        Talker(tmp_path / "none.gguf", projector)


def test_the_projector_of_another_model_is_an_error(files: dict[str, tuple[Path, Path]]) -> None:
    for weights, projector in (("pocket", "qwen"), ("qwen", "pocket")):
        talker = Talker(files[weights][0], files[projector][1], threads=1)
        with pytest.raises(MmcliError) as told:
            said(talker)
        assert "cannot say" in told.value.message and "missing" in told.value.message
        talker.close()
