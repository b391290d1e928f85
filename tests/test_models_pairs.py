"""Which files of a repository belong together: by names as people really give them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmcli.errors import ModelError
from mmcli.models import cache, catalogue, pairing

QWEN = (
    "README.md",
    "Qwen3VL-4B-Instruct-F16.gguf",
    "Qwen3VL-4B-Instruct-Q4_K_M.gguf",
    "Qwen3VL-4B-Instruct-Q8_0.gguf",
    "mmproj-Qwen3VL-4B-Instruct-F16.gguf",
    "mmproj-Qwen3VL-4B-Instruct-Q8_0.gguf",
)
UNSLOTH = ("Qwen3.5-4B-Q4_K_M.gguf", "Qwen3.5-4B-UD-Q4_K_XL.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf")
TWO = ("a-7b-Q4_K_M.gguf", "a-7b-mmproj-f16.gguf", "a-13b-Q4_K_M.gguf", "a-13b-mmproj-f16.gguf")
SPLIT = ("Q8_0/a-7b-Q8_0-00001-of-00002.gguf", "Q8_0/a-7b-Q8_0-00002-of-00002.gguf", "mmproj-F16.gguf")


@pytest.mark.parametrize(
    ("files", "wanted", "weights", "projector"),
    [
        (QWEN, None, "Qwen3VL-4B-Instruct-Q4_K_M.gguf", "mmproj-Qwen3VL-4B-Instruct-Q8_0.gguf"),
        (QWEN, "q8_0", "Qwen3VL-4B-Instruct-Q8_0.gguf", "mmproj-Qwen3VL-4B-Instruct-Q8_0.gguf"),
        (QWEN, "F16", "Qwen3VL-4B-Instruct-F16.gguf", "mmproj-Qwen3VL-4B-Instruct-Q8_0.gguf"),
        (UNSLOTH, None, "Qwen3.5-4B-Q4_K_M.gguf", "mmproj-F16.gguf"),
        (UNSLOTH, "Q4_K_XL", "Qwen3.5-4B-UD-Q4_K_XL.gguf", "mmproj-F16.gguf"),
        (TWO, "a-13b-Q4_K_M", "a-13b-Q4_K_M.gguf", "a-13b-mmproj-f16.gguf"),
        (TWO, "a-7b-Q4_K_M.gguf", "a-7b-Q4_K_M.gguf", "a-7b-mmproj-f16.gguf"),
        (("ggml-model-q4_k.gguf", "mmproj-model-f16.gguf"), None, "ggml-model-q4_k.gguf", "mmproj-model-f16.gguf"),
        (("only.gguf", "mmproj-x.gguf"), None, "only.gguf", "mmproj-x.gguf"),
        (SPLIT, None, SPLIT[0], "mmproj-F16.gguf"),
        (SPLIT, "a-7b-Q8_0-00001-of-00002", SPLIT[0], "mmproj-F16.gguf"),
        (SPLIT, "A-7B-Q8_0", SPLIT[0], "mmproj-F16.gguf"),
        ((*SPLIT, "a-7b-Q8_0.gguf"), "Q8_0", "a-7b-Q8_0.gguf", "mmproj-F16.gguf"),
    ],
)
def test_weights_and_their_projector_are_found(
    files: tuple[str, ...], wanted: str | None, weights: str, projector: str
) -> None:
    assert pairing.choose("o/r", files, wanted) == (weights, projector)


@pytest.mark.parametrize("name", ["a.gguf", "a-00003-of-00002.gguf", "a-00000-of-00002.gguf", "a-1-of-2.gguf"])
def test_weights_that_are_whole_are_their_only_part(name: str) -> None:
    assert pairing.parts(name) == (name,)


def test_all_parts_are_known_by_any_of_them() -> None:
    names = tuple(f"x/a-0000{i}-of-00003.gguf" for i in (1, 2, 3))
    assert all(pairing.parts(name) == names for name in names)


def test_every_pair_of_the_catalogue_is_found_by_its_names() -> None:
    for name, entry in catalogue.load().items():
        assert entry.projector is not None
        files = [entry.weights.file, entry.projector.file]
        assert pairing.choose("o/r", files, None) == tuple(files), name
        assert pairing.related(entry.weights.file, files) == [entry.projector.file], name


@pytest.mark.parametrize(
    ("files", "wanted", "words"),
    [
        ((), None, "no GGUF files"),
        (("a-00001-of-00002.gguf", "mmproj-F16.gguf"), None, "not `a-00002-of-00002.gguf`"),
        (("a-00002-of-00002.gguf", "mmproj-F16.gguf"), None, "no complete weights"),
        (("a-Q4_K_M.gguf",), None, "no projector"),
        (TWO, None, "more than one choice"),
        (QWEN, "Q2_K", "no weights called `Q2_K`"),
        (("a-Q4_0.gguf", "b-Q4_1.gguf", "mmproj-c.gguf", "mmproj-d.gguf"), "Q4_0", "2 projectors"),
    ],
)
def test_what_is_not_clear_is_told_with_the_choices(files: tuple[str, ...], wanted: str | None, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        pairing.choose("o/r", files, wanted)
    assert caught.value.hint


def test_a_projector_of_one_s_own_needs_no_other() -> None:
    assert pairing.choose("o/r", ["a-Q4_K_M.gguf"], None, projector=False) == ("a-Q4_K_M.gguf", None)


@pytest.mark.parametrize(
    "variables", [{}, {"HF_HOME": "~/h"}, {"XDG_CACHE_HOME": "/x"}, {"HF_HUB_CACHE": "$HOME/c", "HF_HOME": "/y"}]
)
def test_the_cache_is_where_huggingface_hub_has_it(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": str(tmp_path), **variables}.items():
        monkeypatch.setenv(name, value)
    code = "import huggingface_hub.constants as c; print(c.HF_HUB_CACHE)"
    theirs = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert str(cache.root()) == theirs.stdout.strip()
