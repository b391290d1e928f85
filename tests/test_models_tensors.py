"""A projector's tensors: one that is renamed or missing is told before llama.cpp runs without it, or crashes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gguf as written
import pytest

from mmcli.errors import ModelError
from mmcli.models import gguf, tensors
from mmcli.models.gguf import Header
from tests import random_llava
from tests.conftest import PROJECTOR, Random, Run, draw

Write = Callable[[Path], tuple[Path, Path]]
WRITERS: dict[str, Write] = {
    "mlp": random_llava.write,
    "qwen2vl_merger": random_llava.write_mrope,
    "internvl": random_llava.write_tiled,
    "ultravox": random_llava.write_hearing,
}


@pytest.fixture(scope="module", params=WRITERS)
def header(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Header:
    return gguf.read(WRITERS[request.param](tmp_path_factory.mktemp("projector"))[1])


def with_name(header: Header, place: int, name: str | None) -> Header:
    """The header with another name for one tensor, or (None) without it."""
    names = list(header.tensor_names)
    names[place : place + 1] = [] if name is None else [name]
    return replace(header, tensor_names=tuple(names))


def test_whole_projectors_are_whole(header: Header) -> None:
    tensors.check(header)
    tensors.check(gguf.read(PROJECTOR))


@pytest.mark.parametrize("renamed", ["{}x", "x.{}", "{}.old", "renamed"])
def test_no_tensor_can_be_renamed_without_a_word(header: Header, renamed: str) -> None:
    for place, name in enumerate(header.tensor_names):
        with pytest.raises(ModelError) as caught:
            tensors.check(with_name(header, place, renamed.format(name)))
        assert name in caught.value.message or renamed.format(name) in caught.value.message
        assert caught.value.hint


def test_a_tensor_that_its_graph_needs_cannot_be_missing(header: Header) -> None:
    for place, name in enumerate(header.tensor_names):
        if name.endswith(".bias") or name == "v.class_embd":
            continue  # may be missing for all that names can tell
        with pytest.raises(ModelError, match=f"lacks the tensor `{name}`"):
            tensors.check(with_name(header, place, None))


def test_a_bias_that_the_other_layers_have_cannot_be_missing(header: Header) -> None:
    last = max(place for place, name in enumerate(header.tensor_names) if name.endswith("ffn_up.bias"))
    with pytest.raises(ModelError, match=header.tensor_names[last]):
        tensors.check(with_name(header, last, None))


@pytest.mark.parametrize(
    "name", ["model.image_newline", "v.head.probe", "t.blk.0.ln1.weight", "visual_projection.weight"]
)
def test_what_converters_write_for_nobody_is_let_pass(header: Header, name: str) -> None:
    tensors.check(replace(header, tensor_names=(*header.tensor_names, name)))


def test_of_a_type_that_is_not_known_nothing_is_said(header: Header) -> None:
    sense = "vision" if header.sees else "audio"
    new = {**header.metadata, f"clip.{sense}.projector_type": "newer", "clip.projector_type": "newer"}
    tensors.check(replace(header, metadata=new, tensor_names=("v.new.weight",)))


def test_a_later_llama_cpp_may_know_more_names(header: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensors, "READ_IN", "0.0.1")
    tensors.check(replace(header, tensor_names=(*header.tensor_names, "v.something_new.weight")))


def test_every_type_in_the_table_can_be_checked() -> None:
    for kind in tensors._types():
        for sense in ("vision", "audio"):
            metadata = {f"clip.has_{sense}_encoder": True, "clip.projector_type": kind}
            with pytest.raises(ModelError):
                tensors.check(Header(Path("x.gguf"), 1, {**metadata}, ("strange",)))


def test_a_renamed_tensor_ends_a_question_before_it_is_asked(tiny: Random, mmcli: Run, tmp_path: Path) -> None:
    reader = written.GGUFReader(tiny.projector)
    data = tiny.projector.read_bytes()
    assert any(tensor.name == "v.class_embd" for tensor in reader.tensors)
    (tmp_path / "renamed-mmproj.gguf").write_bytes(data.replace(b"v.class_embd", b"v.klass_embd", 1))
    done = mmcli(
        "ask", draw(tmp_path / "red.png", "red square"), "Hi", "-m", tiny.weights, "--mmproj", "renamed-mmproj.gguf"
    )
    assert (done.status, done.stdout) == (4, "")
    assert "v.klass_embd" in done.stderr and "hint: " in done.stderr
