"""What a model takes: mmcli's arithmetic beside llama.cpp's own, and what is made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmcli import engine
from mmcli.engine import hardware
from mmcli.engine.local import bindings, devices, mtmd
from mmcli.engine.local.loaded_model import Options
from mmcli.errors import ResourceError
from mmcli.models import Room, catalogue, gguf, memory
from mmcli.models.memory import Needs
from mmcli.runtime import memory_report
from tests import random_llava, shapes
from tests.conftest import PROJECTOR, WEIGHTS

ROUNDING = 3 * shapes.MIB // 100  # llama.cpp's log gives 0.01 MiB, in up to two lines
ROUGH = {"lfm2", "qwen35", "qwen3moe", "qwen3vlmoe"}  # reckoned up to 15 % too large
GB = 1_000_000_000


def needs(weights: Path, projector: Path | None = None) -> Needs:
    header = gguf.read(projector) if projector else None
    found = memory.of_headers(gguf.read(weights), 0, header, 0)
    assert found is not None
    return found


def graph(needs: Needs, n_ctx: int) -> int:
    """The buffers of a forward pass; of a context shorter than a batch only a part of it."""
    n_tokens = min(n_ctx, memory.N_UBATCH)
    return (needs.graph + needs.graph_per_token * n_ctx) * n_tokens // memory.N_UBATCH


# the arithmetic


@pytest.mark.parametrize("name", shapes.SHAPES)
def test_llama_cpp_would_allocate_what_is_reckoned(name: str, tmp_path: Path) -> None:
    shape = shapes.SHAPES[name]
    path = shapes.write(tmp_path / "shape.gguf", shape)
    reckoned = needs(path)
    for n_ctx in (256, 2048, 8192, 32_768):
        told = shapes.allocated(path, n_ctx)
        assert told.kv > 0 and told.compute > 0
        assert abs(reckoned.kv(n_ctx) - told.kv) <= ROUNDING
        more = 1.15 if shape.architecture in ROUGH else 1.0
        assert told.compute - ROUNDING <= graph(reckoned, n_ctx) <= more * told.compute + ROUNDING


@pytest.mark.parametrize(
    ("width", "heads", "n_experts", "n_used", "ff"),
    [(2048, 32, 128, 8, 256), (2048, 16, 64, 2, 768), (3072, 32, 128, 6, 1024), (4096, 64, 128, 8, 1536)]
    + [(2048, 32, 512, 10, 512), (2048, 32, 8, 1, 4096)],
)
def test_experts_are_reckoned_by_those_that_a_token_uses(
    width: int, heads: int, n_experts: int, n_used: int, ff: int, tmp_path: Path
) -> None:
    extra = {"expert_count": n_experts, "expert_used_count": n_used, "expert_feed_forward_length": ff}
    shape = replace(shapes.SHAPES["qwen3-30b-a3b"], layers=2, width=width, heads=heads, extra=extra)
    path = shapes.write(tmp_path / "shape.gguf", shape)
    told = shapes.allocated(path, 2048).compute
    assert told - ROUNDING <= graph(needs(path), 2048) <= 1.2 * told


@pytest.mark.parametrize("n_ctx", [512, 2048])
def test_llama_cpp_really_allocates_what_is_reckoned(n_ctx: int, tmp_path: Path) -> None:
    models = {
        "starter": (WEIGHTS, 1.0),
        "160m": (random_llava.write(tmp_path, "160m")[0], 1.0),
        "mrope": (random_llava.write_mrope(tmp_path)[0], 1.2),  # so small that an encoder's input counts
        "recurrent": (random_llava.write_recurrent(tmp_path)[0], 1.2),
    }
    for path, more in models.values():
        reckoned, told = needs(path), shapes.allocated(path, n_ctx, really=True)
        assert abs(reckoned.kv(n_ctx) - told.kv) <= ROUNDING
        assert told.compute - ROUNDING <= graph(reckoned, n_ctx) <= more * told.compute + ROUNDING


@pytest.mark.parametrize(
    ("width", "ff", "heads", "side", "patch"),
    [(1024, 4096, 16, 336, 14), (512, 1024, 8, 448, 14), (768, 3072, 12, 224, 16)],
)
def test_an_encoder_takes_at_most_what_is_reckoned(
    width: int, ff: int, heads: int, side: int, patch: int, tmp_path: Path
) -> None:
    shape = random_llava.Shape(
        vision_layers=2, vision_width=width, vision_ff=ff, vision_heads=heads, side=side, patch=patch
    )
    fixed = random_llava.write(tmp_path, "tiny", shape)
    pixels, taken = shapes.encoder(*fixed)
    assert pixels == side
    assert taken <= memory.encode_bytes(gguf.read(fixed[1])) <= 1.3 * taken
    # pictures of any size: reckoned for the largest, warmed up with a smaller one
    free = random_llava.write_mrope(tmp_path, replace(shape, patch=14))
    pixels, taken = shapes.encoder(*free)
    largest = memory.MOST_TOKENS["qwen2vl_merger"] * 2 * 2
    share = (pixels // 14) ** 2 / largest
    assert 0 < share < 1
    assert taken <= share * memory.encode_bytes(gguf.read(free[1])) <= 1.3 * taken


def test_a_picture_that_must_not_be_cut_makes_the_batch_larger(tmp_path: Path) -> None:
    path = shapes.write(tmp_path / "shape.gguf", shapes.SHAPES["gemma-4-e4b"])
    projector = gguf.Header(Path("x"), 0, {"general.architecture": "clip", "clip.projector_type": "gemma4v"})
    reckoned = memory.of_headers(gguf.read(path), 0, projector, 0)
    assert reckoned is not None
    told = shapes.allocated(path, 4096, n_batch=memory.MOST_TOKENS["gemma4v"]).compute
    assert abs(reckoned.graph + 4096 * reckoned.graph_per_token - told) <= told // 1000


def test_an_encoder_of_sound_is_reckoned_too(tmp_path: Path) -> None:
    shape = random_llava.Shape(vision_width=512, vision_ff=2048, vision_heads=8)
    files = random_llava.write_hearing(tmp_path, shape)
    _, taken = shapes.encoder(*files)
    assert taken <= memory.encode_bytes(gguf.read(files[1])) <= 1.4 * taken


def test_the_catalogue_s_figures_are_those_of_the_headers(tmp_path: Path) -> None:
    """What models.toml knows of a model's KV cache is what its shape gives."""
    compared = 0
    for name, shape in shapes.SHAPES.items():
        entry = catalogue.load().get(name)
        if entry is not None and entry.kv_bytes is not None:
            reckoned = needs(shapes.write(tmp_path / "shape.gguf", shape, tensors=False))
            assert entry.kv_bytes == reckoned.kv_per_token, name
            compared += 1
    assert compared >= 6


def test_a_guess_without_headers_is_rather_too_much(tmp_path: Path) -> None:
    """Were only the sizes of Qwen3-VL 4B known, and were all: both must hold what its header asks for."""
    entry = catalogue.load()["qwen3-vl-4b"]
    known = needs(shapes.write(tmp_path / "shape.gguf", shapes.SHAPES["qwen3-vl-4b"], tensors=False))
    encoder = 16_384 * (2 * 4096 + 1024 + 3 * 16 * 16) * memory.F32  # as its projector's header has it
    exact = known.total(8192) + encoder + (entry.n_bytes or 0)
    guess = memory.of_entry(entry)
    assert guess is not None and not guess.known
    assert exact <= guess.total(8192) <= 1.1 * exact
    assert guess.total(8192) <= memory.of_sizes(2_497_281_664, 453_974_304).total(8192) <= 1.5 * exact


@pytest.mark.parametrize(
    "change",
    [
        {"block_count": 1 << 60},
        {"block_count": -1},
        {"block_count": "many"},
        {"embedding_length": 0},
        {"attention.head_count_kv": [1 << 60, "x", -3]},
        {"attention.head_count": 0, "attention.head_count_kv": 0, "ssm.inner_size": 1 << 50},
        {"attention.head_count": None, "feed_forward_length": [None]},
        {"full_attention_interval": -4, "attention.sliding_window_pattern": ["a", {}]},
        {"attention.shared_kv_layers": 1 << 30, "context_length": True},
    ],
)
def test_a_header_that_lies_does_no_harm(change: dict[str, Any]) -> None:
    metadata = {"general.architecture": "x", "x.block_count": 4, "x.embedding_length": 64}
    metadata |= {f"x.{key}": value for key, value in change.items()}
    found = memory.of_headers(
        gguf.Header(Path("x"), 0, metadata), 1, gguf.Header(Path("y"), 0, {"clip.vision.patch_size": 0}), 1
    )
    assert found is None or (found.total(4096) >= 0 and found.largest(GB) >= 0)


# the verdict

MODEL = Needs(2 * GB, 0, kv_per_token=100_000, state=0, graph=0, graph_per_token=0, encode=0, n_ctx_train=8192)
AT_4096 = MODEL.total(4096)


@pytest.mark.parametrize(
    ("room", "verdict", "place"),
    [
        (Room(AT_4096 + memory.SPARE), "fits", "memory"),
        (Room(AT_4096 + memory.SPARE - 1), "tight", "memory"),
        (Room(MODEL.total(2048)), "tight", "memory"),
        (Room(MODEL.total(2048) - 1), "no", "memory"),
        (Room(0, 100 * GB), "fits", "GPU"),
        (Room(100 * GB, MODEL.total(2048)), "tight", "GPU"),
        (Room(100 * GB, GB), "fits", "memory"),  # llama.cpp falls back to the CPU
        (Room(GB, GB), "no", "memory"),
    ],
)
def test_the_verdict_depends_on_what_is_free(room: Room, verdict: str, place: str) -> None:
    found = memory.judge(MODEL, room)
    assert (found.verdict, found.place) == (verdict, place)


def test_the_largest_context_is_what_the_memory_holds_within_what_the_model_was_trained_on() -> None:
    free = MODEL.total(7168)
    assert (MODEL.largest(free), MODEL.largest(free - 1)) == (7168, 7168 - 256)
    assert MODEL.largest(100 * GB) == 8192
    # mapped weights may give way to the context; what is copied to a GPU may not
    assert MODEL.largest(GB) == GB // 4 // 100_000 // 256 * 256
    assert MODEL.largest(GB, mapped=False) == 0
    assert memory.judge(MODEL, Room(GB)).largest == 0


@pytest.mark.parametrize("share", [1.5, 0.5])
def test_the_engine_has_room_for_exactly_the_context_that_is_said(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    reckoned = replace(needs(WEIGHTS, PROJECTOR), n_ctx_train=None)
    free = round(share * reckoned.fixed)
    largest = reckoned.largest(free)
    assert largest > 2048
    monkeypatch.setattr(hardware, "free_memory", lambda: free)
    for n_ctx, fits in ((largest, True), (largest + 256, False)):
        options = Options(n_ctx=n_ctx, fixed_bytes=reckoned.fixed, token_bytes=reckoned.per_token)
        with engine.load(WEIGHTS, PROJECTOR, options) as ready:
            talk = ready.generate([engine.Message("user", ("Hello!",))], engine.Sampling(max_tokens=2))
            if fits:
                answer = list(talk)[-1].answer
                assert answer is not None and answer.n_ctx == n_ctx
            else:
                with pytest.raises(ResourceError, match=f"room for {largest}"):
                    list(talk)


# GPUs


def test_only_gpus_count_among_the_devices() -> None:
    found = [
        {"type": "CPU", "free": 1, "total": 1},
        {"type": "GPU", "free": 20, "total": 30},
        {"type": "integrated GPU", "free": 300, "total": 400},
        {"type": "accelerator", "free": 5000, "total": 5000},
    ]
    assert devices.free_in(found) == 320


def test_a_build_with_a_gpu_s_library_is_asked_in_a_child_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """This build has none: the child that looks for devices finds the CPU, and that is no GPU."""
    asked = []
    real = devices.subprocess.run
    monkeypatch.setattr(devices.subprocess, "run", lambda command, **how: asked.append(command) or real(command, **how))
    assert devices.free_gpu() == 0 and (asked == []) == (not set(devices.backends()) - set(devices.NO_DEVICE))
    monkeypatch.setattr(devices, "backends", lambda: ["cuda"])
    assert devices.free_gpu() == devices.free_in(devices.told()["devices"])
    assert "mmcli.engine.local.probe" in asked[-1]


def big() -> Needs:
    """A model of 8 GB in 32 layers, with 1 GB of cells at its context of 4096 tokens."""
    return Needs(
        weights=8 * GB,
        projector=GB // 2,
        kv_per_token=GB // 4096,
        state=0,
        graph=GB // 4,
        graph_per_token=1024,
        encode=GB // 4,
        n_ctx_train=8192,
        n_layers=32,
    )


def test_a_gpu_takes_all_layers_or_as_many_as_it_holds_with_their_cells() -> None:
    model = big()
    assert model.on_gpu(model.total(2048)) is None  # all of it
    assert model.on_gpu(0) == (0, 4096)
    found = [model.on_gpu(free) for free in range(0, model.total(2048), GB // 8)]
    counts = [part[0] for part in found if part]
    assert counts == sorted(counts) and counts[0] == 0 and 25 < counts[-1] <= 32
    for free in range(GB, model.total(2048), GB // 3):
        part = model.on_gpu(free)
        assert part is not None and part[1] == model.n_ctx
        taken = model.projector + model.compute(4096) + part[0] * (model.weights + model.kv(4096)) // 32
        assert part[0] == 0 or taken + memory.SPARE <= free < taken + memory.SPARE + 2 * (model.weights + GB) // 32
    assert replace(model, n_layers=None).on_gpu(GB) is None  # nobody knows: llama.cpp tries, and falls back


@pytest.mark.parametrize(
    ("gpu", "place", "some"),
    [(0, "memory", False), (GB, "memory", False), (6 * GB, "memory", True), (40 * GB, "GPU", False)],
)
def test_what_goes_to_the_gpu_is_judged_from_a_device_s_free_memory(gpu: int, place: str, some: bool) -> None:
    record = [{"name": "CUDA0", "type": "GPU", "free": gpu, "total": gpu}, {"type": "CPU", "free": 99 * GB}]
    found = memory.judge(big(), Room(40 * GB, devices.free_in(record)))
    assert (found.verdict, found.place, found.gpu_layers > 0) == ("fits", place, some)
    assert found.largest == (4096 if some else 8192)
    told = memory_report.verdict(found)
    assert (f"; {found.gpu_layers} of 32 layers go to the GPU" in told) == some
    assert memory_report.facts(found)["fits"]["gpu_layers"] == found.gpu_layers


@pytest.mark.parametrize(
    ("free", "layers", "context"), [(0, mtmd.ALL_LAYERS, None), (GB // 5, 3, 512), (GB, mtmd.ALL_LAYERS, None)]
)
def test_the_engine_asks_for_as_many_layers_as_the_gpu_holds(
    free: int, layers: int, context: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seam is what llama.cpp tells of its devices and what it is asked to load; there is no GPU here."""
    asked: list[int] = []
    real = mtmd.Weights

    def weights(path: Path, *, gpu_layers: int, **others: Any) -> mtmd.Weights:
        asked.append(gpu_layers)
        loaded = real(path, gpu_layers=0, **others)
        loaded.device = "CUDA0"
        return loaded

    record = {"devices": [{"name": "CUDA0", "type": "GPU", "free": free, "total": free}]}
    monkeypatch.setattr(mtmd, "Weights", weights)
    monkeypatch.setattr(bindings, "can_offload", lambda: True)
    monkeypatch.setattr(devices, "told", lambda: record)

    def part(free: int) -> tuple[int, int] | None:
        return (3, 512) if free < GB else None

    reckoned = needs(WEIGHTS)
    how = {"fixed_bytes": reckoned.fixed, "token_bytes": reckoned.per_token, "part_for_gpu": part}
    with engine.load(WEIGHTS, None, Options(**how)) as ready:
        assert asked == [layers]
        assert context is None or ready.n_ctx_limit == context
    asked.clear()
    with engine.load(WEIGHTS, None, Options(gpu_layers=2, **how)):
        assert asked == [2]  # the person's word goes first
