"""Measures a build of llama.cpp: its words and its speed, as JSON lines from a child process.

`python -m mmcli.health.trial REQUEST`, where REQUEST is the JSON of a `Request`. The environment says which build it is
(engine/local/bindings.py: FOLDERS).
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from mmcli import engine
from mmcli.engine import hardware
from mmcli.engine.local import bindings, mtmd
from mmcli.engine.local.context import Context
from mmcli.engine.local.loaded_model import Options
from mmcli.engine.local.probe import tell
from mmcli.errors import MmcliError
from mmcli.health import canary, canary_process, workload

PROMPT, ANSWER = 256, 24  # tokens
CARDS = (0, 1)  # seeds: the starter reads both


@dataclass(frozen=True)
class TrialRequest:
    """What to do: let the starter talk, or measure the workload; None leaves one out."""

    weights: str | None = None
    projector: str | None = None
    workload: str | None = None


def main() -> None:
    request = TrialRequest(**json.loads(sys.argv[1]))
    try:
        if request.weights is not None and request.projector is not None:
            _talk(Path(request.weights), Path(request.projector))
        if request.workload is not None:
            tell({"seconds": measure(Path(request.workload)), "offload": bindings.can_offload()})
    except MmcliError as error:
        tell({"error": error.message, "hint": error.hint, "status": error.status})


def _talk(weights: Path, projector: Path) -> None:
    """What the starter says of cards, word for word."""
    with engine.load(weights, projector, Options(media_newline=True)) as ready:
        for seed in CARDS:
            for item in canary_process.look(ready, canary.draw("shapes", seed)):
                tell({"item": asdict(item)})


def measure(path: Path) -> dict[str, float]:
    """Seconds for a prompt and for an answer; the model is loaded and warm."""
    layers = mtmd.ALL_LAYERS if bindings.can_offload() else 0
    with closing(mtmd.Weights(path, gpu_layers=layers, on_progress=lambda done, total: True)) as weights:
        threads = hardware.cores()
        with closing(
            Context(weights, n_ctx=workload.CONTEXT, n_ubatch=PROMPT, threads=threads, offload=layers > 0)
        ) as context:
            tokens = [(7 * i + 3) % workload.VOCABULARY for i in range(PROMPT)]
            for _ in range(2):  # the first one warms up
                context.clear()
                started = time.perf_counter()
                context.decode(tokens, 0)
                context.synchronize()
                prefilled = time.perf_counter()
                for i in range(ANSWER):
                    context.decode([tokens[i]], PROMPT + i)
                    context.synchronize()
                ended = time.perf_counter()
            return {"prompt": prefilled - started, "answer": ended - prefilled}


if __name__ == "__main__":
    main()
