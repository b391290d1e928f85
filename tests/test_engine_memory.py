"""What loading weights takes: once in memory, not twice; and what does not fit stays in the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mmcli import engine
from mmcli.engine import hardware
from mmcli.engine.local.loaded_model import Options
from mmcli.health import workload
from tests.conftest import PROJECTOR, WEIGHTS, Run

LOAD = """
import json, sys
from contextlib import closing
from pathlib import Path
from mmcli.engine import hardware
from mmcli.engine.local import bindings, mtmd
from mmcli.engine.local.context import Context, Sampler

path, repack, release = Path(sys.argv[1]), sys.argv[2] == "True", sys.argv[3] == "True"
bindings.native()
before = hardware.peak_memory()
files = (path,) if release else ()
with closing(mtmd.Weights(
    path, gpu_layers=0, on_progress=lambda done, total: True, repack=repack, release=files
)) as weights:
    peak = hardware.peak_memory() - before
    with closing(Context(weights, n_ctx=256, n_ubatch=64, threads=1, offload=False)) as context:
        sampler = Sampler(weights, temperature=0, top_k=0, top_p=1, min_p=0, repeat_penalty=1.0, seed=0)
        context.decode(list(range(64)), 0)
        said = []
        for i in range(16):
            said.append(sampler.sample(context))
            context.decode([said[-1]], 64 + i)
    print(json.dumps({"peak": peak, "repacked": weights.repacked, "said": said}))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workload") / "a model.gguf"
    workload.write(path)
    link = path.with_name("link.gguf")  # as in the Hub's cache
    link.symlink_to(path)
    return link


def test_the_memory_of_this_process_is_not_its_parent_s() -> None:
    held = bytearray(b"x") * (256 << 20)
    code = "from mmcli.engine import hardware; print(hardware.peak_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1 << 20 < int(done.stdout) < len(held)


def loaded(model: Path, *, repack: bool, release: bool) -> dict[str, Any]:
    command = [sys.executable, "-c", LOAD, str(model), str(repack), str(release)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(sys.platform != "linux", reason="what is mapped is released on Linux alone")
def test_weights_that_are_repacked_are_in_memory_once(model: Path) -> None:
    usual, released = (loaded(model, repack=True, release=release) for release in (False, True))
    if not usual["repacked"]:
        pytest.skip("this CPU computes in the order of the file")
    size = model.stat().st_size
    assert usual["repacked"] == released["repacked"] > 0.8 * size
    assert usual["peak"] > 1.6 * size
    assert released["peak"] < 1.3 * size
    assert released["said"] == usual["said"]


def test_weights_that_are_not_repacked_stay_in_the_file(model: Path) -> None:
    told = loaded(model, repack=False, release=False)
    assert told["repacked"] == 0 and len(told["said"]) == 16


@pytest.mark.parametrize(("free", "noted"), [(1 << 20, True), (64 << 30, False)])
def test_what_does_not_fit_is_told_and_runs_all_the_same(
    monkeypatch: pytest.MonkeyPatch, free: int, noted: bool
) -> None:
    monkeypatch.setattr(hardware, "free_memory", lambda: free)
    notices: list[str] = []
    with engine.load(WEIGHTS, PROJECTOR, Options(media_newline=True, on_notice=notices.append)) as ready:
        *_, last = ready.generate([engine.Message("user", ("Hello!",))], engine.Sampling(temperature=0, max_tokens=8))
        assert last.answer is not None and last.answer.text
        assert (ready.repacked == 0) or not noted
    assert [("do not fit into the free memory" in notice) for notice in notices] == [True] * noted


def test_the_doctor_tells_what_a_model_took(mmcli: Run) -> None:
    found = mmcli("doctor", "-m", "starter", "--json").json["findings"]
    (memory,) = [finding for finding in found if finding["check"] == "model memory"]
    assert memory["level"] == "ok" and "at most" in memory["message"]
    assert memory["facts"]["peak"] > 10_000_000 and memory["facts"]["repacked"] >= 0
