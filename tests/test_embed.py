"""Spaces of random towers: preparation, tokens, identity, what is refused; and the starter's own vectors."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmcli.embed import merges, onnx, prepare, probe, space, words, zero_shot
from mmcli.embed.recipe import Preparation, Recipe, Wording
from mmcli.errors import ModelError, UsageError
from mmcli.models import embedding
from mmcli.runtime import embedding as running
from tests import towers

# The first eight numbers of the built-in model's canary: another machine, another onnxruntime must be near them.
GOLDEN = (-0.13490674, -0.09228351, -0.09874209, -0.06177125, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return towers.write_folder(tmp_path_factory.mktemp("towers"))


@pytest.fixture
def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (20 + 7 * i, 90 - 9 * i, 3)).astype(np.uint8) for i in range(5)]


# vectors


def test_vectors_are_of_unit_length_and_do_not_depend_on_the_batch(folder: Path, pictures: list[np.ndarray]) -> None:
    with space.from_folder("toy", folder) as model:
        together, alone = model.pictures(pictures), [model.pictures([one])[0] for one in pictures]
        assert together.shape == (5, model.dim) and together.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(together, np.stack(alone), atol=1e-5)
        texts = model.texts(["red bicycle", "Red, bicycle!", "snow"])
        np.testing.assert_allclose(texts[0], texts[1], atol=1e-6)  # canonicalised
        assert texts[0] @ texts[2] < 0.999
        assert model.pictures([]).shape == model.texts([]).shape == (0, model.dim)
        assert (model.side, model.scale, model.bias) == (32, 100.0, None)


def test_a_sigmoid_is_told_by_the_model_itself(tmp_path: Path) -> None:
    model = space.from_folder("toy", towers.write_folder(tmp_path, sigmoid=True))
    assert model.bias == -10 and not model.calibrated


@pytest.mark.parametrize("text", ["", "  ", "!?"])
def test_a_text_without_words_is_refused(folder: Path, text: str) -> None:
    with pytest.raises(UsageError):
        space.from_folder("toy", folder).texts(["a dog", text])


def test_identity_follows_files_and_preparation_and_not_their_places(folder: Path, tmp_path: Path) -> None:
    first = space.from_folder("toy", folder).identity
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert space.from_folder("other", copy, cache=tmp_path / "cache").identity == first and len(first) == 32
    how = copy / "visual/preprocess_cfg.json"
    how.write_text(how.read_text().replace("squash", "shortest"))
    assert space.from_folder("toy", copy).identity != first
    assert space.from_folder("toy", towers.write_folder(tmp_path / "seed", seed=1)).identity != first


def test_the_canary_is_the_same_each_time(folder: Path) -> None:
    one, other = (space.from_folder("toy", folder).canary() for _ in range(2))
    assert one.shape == (16,) and one @ other > 0.99999


def test_a_damaged_or_missing_tower_is_a_model_error(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    (copy / "textual/model.onnx").write_bytes(b"\x08\x01nonsense")
    model = space.from_folder("toy", copy)
    with pytest.raises(ModelError, match="cannot be loaded"):
        model.texts(["a dog"])
    (copy / "textual/model.onnx").unlink()
    with pytest.raises(ModelError, match="lacks its file"):
        space.from_folder("toy", copy)
    (copy / "config.json").write_text(json.dumps({"embed_dim": 16}))
    with pytest.raises(ModelError, match="does not say"):
        space.from_folder("toy", copy)


def test_a_wrong_number_of_dimensions_is_told(folder: Path) -> None:
    files = space.TowerFiles(*(folder / name for name in embedding.NEEDED[:3]))
    model = space.open_space("toy", files, towers.recipe(), dim=17)
    with pytest.raises(ModelError, match="17 numbers"):
        model.texts(["a dog"])


def test_nothing_heavy_is_loaded_before_a_vector_is_wanted(folder: Path) -> None:
    model = space.from_folder("toy", folder)
    assert model._pictures is None and model._texts is None and model.identity
    model.texts(["a dog"])
    assert model._pictures is None and model._texts is not None
    model.close()
    assert model._texts is None


# pictures


def test_squash_takes_all_of_a_picture_and_shortest_its_middle() -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = 255
    squashed = prepare.square(wide, Preparation(32))
    assert squashed.shape == (32, 32, 3) and 8 < (squashed[16, :, 0] > 128).sum() < 13
    assert (prepare.square(wide, Preparation(32, "shortest"))[:, 4:28] == 255).all()
    boxed = prepare.square(wide, Preparation(32, "letterbox", ground=(9, 8, 7)))
    assert (boxed[0] == (9, 8, 7)).all() and boxed[16, 16, 0] > 250 and boxed[16, 2, 0] < 5


def test_shortest_equals_scaling_and_cutting() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (50, 80, 3)).astype(np.uint8)
    expected = Image.fromarray(pixels).resize((51, 32), Image.Resampling.BICUBIC).crop((10, 0, 42, 32))
    np.testing.assert_array_equal(prepare.square(pixels, Preparation(32, "shortest")), np.asarray(expected))


def test_a_batch_is_normalised_channel_by_channel() -> None:
    how = Preparation(2, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    out = prepare.batch([np.full((2, 2, 3), 255, np.uint8), np.zeros((2, 2, 3), np.uint8)], how)
    np.testing.assert_allclose(out[:, :, 0, 0], [[1, 3, 1], [-1, -1, 0]], atol=1e-6)


# tokens


def test_texts_are_filled_up_cut_and_keep_their_end(folder: Path) -> None:
    tokens = words.TextTokens(words.Reference(folder / "textual/tokenizer.json"), Wording(8, canonicalise=True))
    ids, mask = tokens.rows(["hi", "a much longer text than that"])
    assert ids.shape == (2, 8) and ids[1, -1] == 1 and list(mask.sum(1)) == [4, 8]
    assert words.canonical("  A dog's, BONE!\n") == "a dogs bone"
    loose = words.TextTokens(words.Reference(folder / "textual/tokenizer.json"), Wording(8, fixed=False))
    assert loose.rows(["hi"])[0].shape == (1, 4)


def test_compiled_tables_cut_texts_as_the_reference_does(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    towers.write_gemma_tokenizer(path, 3000)
    reference = words.Reference(path)
    tables = merges.compiled(path, "0" * 64, tmp_path / "cache")
    assert tables is not None
    cutter = merges.CompiledCutter(tables, lambda: reference)
    rng = random.Random(0)
    texts = [*(towers.random_text(rng) for _ in range(3000)), "", "a <eos> b", "▁▁", "\n"]
    assert [text for text in texts if cutter.ids(text) != reference.ids(text)] == []


def test_tables_are_compiled_once_and_a_damaged_file_of_them_again(tmp_path: Path) -> None:
    path, cache = tmp_path / "tokenizer.json", tmp_path / "cache"
    towers.write_gemma_tokenizer(path, 200)
    before = merges.compiled(path, "0" * 64, cache)
    text = path.read_bytes()
    path.write_bytes(b"")
    again = merges.compiled(path, "0" * 64, cache)  # the file itself is not looked at
    assert before is not None and again is not None and (before.pairs == again.pairs).all()
    path.write_bytes(text)
    (cache / "tokenizers" / ("0" * 64)).write_bytes(b"nonsense")
    assert merges.compiled(path, "0" * 64, cache) is not None


def test_another_form_of_tokenizer_is_left_to_the_reference(folder: Path, tmp_path: Path) -> None:
    assert merges.compiled(folder / "textual/tokenizer.json", "1" * 64, tmp_path) is None
    assert merges.compiled(tmp_path / "gone", "1" * 64, tmp_path) is None  # that it is another form is kept, too
    path = tmp_path / "tokenizer.json"
    towers.write_gemma_tokenizer(path, 50)
    data = json.loads(path.read_text("utf-8"))
    data["normalizer"] = {"type": "NFKC"}
    path.write_text(json.dumps(data), "utf-8")
    assert merges.compiled(path, "2" * 64, tmp_path) is None


# labels


def test_labels_are_opposed_to_each_other_and_to_nothing() -> None:
    labels = np.eye(3, dtype=np.float32)
    judge = zero_shot.ZeroShot(labels, None, 20.0, -10.0)
    shares, fits = judge.judge(np.array([0.9, 0.1, 0.1], np.float32))
    assert shares.argmax() == 0 and abs(shares.sum() - 1) < 1e-9 and fits > 0.99
    assert judge.judge(np.array([0.1, 0.1, 0.0], np.float32))[1] < 0.01
    several = zero_shot.ZeroShot(labels, None, 20.0, -10.0, multi=True)
    assert (several.judge(np.array([0.7, 0.7, 0.0], np.float32))[0] > 0.9).tolist() == [True, True, False]
    anchored = zero_shot.ZeroShot(labels[:1], labels[1:2], 20.0, 0.0)
    assert anchored.judge(np.array([0.2, 0.8, 0.0], np.float32))[0][0] < 0.01


@pytest.mark.parametrize("text", ["=a cat", "cat=", "cat=a cat|"])
def test_a_label_without_a_description_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="lacks"):
        zero_shot.label_of(text)
    assert zero_shot.label_of("cat = a cat | a kitten").texts == ("a cat", "a kitten")


@pytest.mark.parametrize("n", [3, 30])
def test_examples_teach_labels_and_leaving_one_out_tells_what_that_is_worth(n: int) -> None:
    rng = np.random.default_rng(0)
    centres = onnx.unit(rng.normal(size=(3, 24)).astype(np.float32))
    truth = [i % 3 for i in range(3 * n)]
    examples = onnx.unit(centres[truth] + 0.08 * rng.normal(size=(3 * n, 24)).astype(np.float32))
    judge = probe.fit(list(examples), truth, 3)
    assert (judge.how, judge.accuracy) == ("means" if n == 3 else "ridge", 1.0)
    shares, fits = judge.judge(centres[2])
    assert shares.argmax() == 2 and shares[2] > 0.8 and fits == 1.0
    chance = probe.fit(list(onnx.unit(rng.normal(size=(3 * n, 24)).astype(np.float32))), truth, 3)
    assert chance.accuracy < 0.7


def test_leaving_one_out_equals_fitting_without_it() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(24, 6))
    truth = np.array([i % 2 for i in range(24)])
    judge = probe._ridge(x, truth, 2)
    right = 0
    for i in range(24):
        rest = np.arange(24) != i
        kept = probe._ridge(x[rest], truth[rest], 2)
        right += int((x[i] @ kept.weights + kept.offsets).argmax() == truth[i])
    assert abs(right / 24 - judge.accuracy) <= 0.13


# the built-in one


def test_the_starter_is_near_its_golden_vector() -> None:
    with running.of_model(embedding.open_folder("starter", embedding.STARTER, embedding.load()["starter"])) as model:
        canary = model.canary()
        assert canary.shape == (128,)
        np.testing.assert_allclose(canary[: len(GOLDEN)], GOLDEN, atol=0.01)


def test_the_starter_finds_shapes_by_words_in_two_languages() -> None:
    from training import second

    rng = random.Random(7)
    scenes = [second.scene(rng, 1) for _ in range(40)]
    names = [f"{scene.things[0].color} {scene.things[0].shape}" for scene in scenes]
    with running.of_model(embedding.open_folder("starter", embedding.STARTER, embedding.load()["starter"])) as model:
        seen = model.pictures([np.asarray(scene.image.convert("RGB")) for scene in scenes])
        for text, name in (("a red circle", "red circle"), ("ein blaues Quadrat", "blue square")):
            scores = seen @ model.texts([text])[0]
            found = {i for i, known in enumerate(names) if known == name}
            best = set(np.argsort(-scores)[: len(found)].tolist())
            assert len(best & found) >= 0.8 * len(found)


def test_the_starter_files_are_small() -> None:
    assert sum(path.stat().st_size for path in embedding.STARTER.iterdir()) < 4_000_000
    assert isinstance(towers.recipe(), Recipe)
