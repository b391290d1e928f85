"""Moments of a film in the engine: pairs merged where the projector merges, reused from memory and from disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmcli import engine
from mmcli.engine.local.loaded_model import Options
from mmcli.media.types import Clip, Receipt
from tests import random_llava
from tests.conftest import PROJECTOR, WEIGHTS

SAMPLING = engine.Sampling(temperature=0, max_tokens=4, loop_guard=False)


@pytest.fixture(scope="module")
def mrope(tmp_path_factory) -> tuple[Path, Path]:
    return random_llava.write_mrope(tmp_path_factory.mktemp("mrope"))


def clip(seed: int, n: int = 2, side: int = 112) -> Clip:
    frames = np.random.default_rng(seed).integers(0, 255, (n, side, side, 3)).astype(np.uint8)
    receipt = Receipt("film.mp4", "video", "0" * 64, 1, "mp4 h264", frames=n, times=tuple(map(float, range(n))))
    return Clip(frames, receipt.times, f"{seed:064}", receipt)


def ask(files, clips, question="What happens?", cache: Path | None = None) -> engine.Answer:
    parts: list[engine.Part] = []
    for number, each in enumerate(clips):
        parts += [f"<{number}.0 seconds>", each]
    options = Options(cache=cache, worth_saving=0.0)
    with engine.load(*files, options, name="random") as model:
        for piece in model.generate([engine.Message("user", (*parts, question))], SAMPLING):
            answer = piece.answer
    assert answer is not None
    return answer


def test_whether_a_projector_merges_is_found_without_pixels(mrope):
    for files, merges in ((mrope, True), ((WEIGHTS, PROJECTOR), False)):
        with engine.load(*files, Options()) as model:
            model.warm()
            assert model._projector.merges_frames() is merges
            assert model.n_encodes == 0


def test_a_pair_takes_the_tokens_of_one_frame_where_the_projector_merges(mrope):
    pairs = ask(mrope, [clip(i) for i in range(4)])
    singles = ask(mrope, [clip(i, 1) for i in range(4)])
    assert [seen.n_tokens for seen in pairs.seen] == [seen.n_tokens for seen in singles.seen] == [16] * 4
    assert pairs.usage.n_encodes == 4 and pairs.usage.prompt_tokens == singles.usage.prompt_tokens


def test_both_frames_of_a_pair_reach_the_model(mrope):
    first, second = clip(1), clip(1)
    second.frames[1] = 255 - second.frames[1]
    likely = []
    with engine.load(*mrope, Options()) as model:
        for media_id, each in (("1" * 64, first), ("2" * 64, second)):
            shown = Clip(each.frames, each.times, media_id, each.receipt)
            likely.append(model.score([engine.Message("user", (shown, "What?"))], ["a", "b"]).log_probs)
    assert likely[0] != likely[1]


def test_elsewhere_a_pair_is_two_frames():
    answer = ask((WEIGHTS, PROJECTOR), [clip(1), clip(2, 1)])
    assert answer.seen[0].n_tokens == 2 * answer.seen[1].n_tokens and answer.usage.n_encodes == 3


def test_the_same_film_is_reused_from_disk_and_one_changed_pixel_is_encoded_again(mrope, tmp_path):
    clips = [clip(i) for i in range(4)]
    assert ask(mrope, clips, cache=tmp_path).usage.n_encodes == 4
    again = ask(mrope, clips, "And then?", cache=tmp_path)
    assert again.usage.n_encodes == 0 and {seen.origin for seen in again.seen} == {"disk"}
    changed = clip(3)
    changed.frames[0, 0, 0, 0] ^= 1
    other = Clip(changed.frames, changed.times, "f" * 64, changed.receipt)
    assert ask(mrope, [*clips[:3], other], cache=tmp_path).usage.n_encodes > 0
