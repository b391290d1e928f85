"""Names to files, and what a GGUF says about itself without being loaded."""

import os
import shutil
from pathlib import Path

import pytest

from mmcli import models
from mmcli.errors import ModelError
from mmcli.models import gguf
from tests import random_llava
from tests.conftest import STARTER, Run


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return random_llava.write(tmp_path_factory.mktemp("models"), "tiny")


def test_a_header_tells_architecture_and_abilities(tiny: tuple[Path, Path]) -> None:
    weights, projector = (gguf.read(path) for path in tiny)
    assert (weights.architecture, weights.is_projector) == ("llama", False)
    assert weights.metadata["llama.embedding_length"] == 64
    assert weights.metadata["tokenizer.ggml.tokens"] is None  # long arrays are skipped
    assert (projector.is_projector, projector.sees, projector.hears) == (True, True, False)
    assert projector.metadata["clip.vision.image_mean"] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize("size", [0, 3, 4, 20, 100, 2000])
def test_a_header_that_is_cut_short_is_damaged_or_no_gguf(tiny: tuple[Path, Path], tmp_path: Path, size: int) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny[0].read_bytes()[:size])
    with pytest.raises(ModelError, match="not a GGUF|damaged"):
        gguf.read(cut)


def test_absurd_lengths_in_a_header_are_damage_and_take_no_memory(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    data = bytearray(tiny[0].read_bytes())
    data[24:32] = (1 << 60).to_bytes(8, "little")  # the length of the first key
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        gguf.read(broken)


def test_the_starter_is_found_by_name() -> None:
    model = models.find("starter")
    assert model.weights.exists() and model.projector is not None and model.projector.exists()
    assert (model.sees, model.hears, model.media_newline) == (True, False, True)


def test_a_path_with_its_projector_is_a_model(tiny: tuple[Path, Path]) -> None:
    model = models.find(str(tiny[0]), tiny[1])
    assert (model.name, model.sees, model.hears, model.media_newline) == ("tiny.gguf", True, False, True)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(ModelError) as caught:
        models.find("startr")
    assert caught.value.hint == "did you mean `starter`?"


def test_weights_and_projector_are_not_confused(tiny: tuple[Path, Path]) -> None:
    with pytest.raises(ModelError, match="is a projector"):
        models.find(str(tiny[1]))
    with pytest.raises(ModelError, match="is not a projector"):
        models.find(str(tiny[0]), tiny[0])


def test_the_projector_beside_the_weights_is_taken_if_it_can_only_be_meant_for_them(
    tiny: tuple[Path, Path],
) -> None:
    assert models.find(str(tiny[0])).projector == tiny[1]


@pytest.mark.parametrize(
    "others",
    [
        ("tiny-mmproj-F16.gguf", "tiny-mmproj-Q8_0.gguf"),  # which one?
        ("mmproj-model-f16.gguf", "mistral-7b.gguf"),  # whose?
        ("other-mmproj.gguf",),  # another model's
    ],
)
def test_a_projector_that_may_be_another_model_s_is_named_but_not_taken(
    tiny: tuple[Path, Path], tmp_path: Path, others: tuple[str, ...]
) -> None:
    weights = shutil.copy(tiny[0], tmp_path)
    for name in others:
        shutil.copy(tiny["mmproj" in name], tmp_path / name)
    model = models.find(str(weights))
    assert model.projector is None
    with pytest.raises(ModelError, match="no projector") as caught:
        model.require(sight=True, hearing=False)
    assert "mmproj" in (caught.value.hint or "")


def test_a_projector_of_another_width_is_not_taken(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    weights = shutil.copy(tiny[0], tmp_path)
    shutil.copy(STARTER / "starter-mmproj.gguf", tmp_path / "tiny-mmproj.gguf")
    assert models.find(str(weights)).projector is None


def test_a_model_that_only_sees_is_not_given_sound() -> None:
    with pytest.raises(ModelError, match="cannot hear"):
        models.find("starter").require(sight=False, hearing=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("option", ["-m", "--mmproj", "show"])
def test_a_pipe_or_a_device_is_no_model_and_nobody_waits_for_it(mmcli: Run, tmp_path: Path, option: str) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    (tmp_path / "endless.gguf").symlink_to("/dev/zero")
    (tmp_path / "folder.gguf").mkdir()
    for name in ("pipe.gguf", "endless.gguf", "folder.gguf"):
        if option == "show":
            done = mmcli("show", name)
        else:
            done = mmcli("ask", "Hi", *(() if option == "-m" else ("-m", "starter")), option, name)
        assert (done.status, done.stdout) == (4, "")
        assert f"error: `{name}` is a" in done.stderr and "not a file" in done.stderr
