"""Captions a folder of pictures with the engine's generate_many: the program that tests/bench/caption.py times.

    python -m tests.bench.captioner WEIGHTS PROJECTOR FOLDER --tokens 48 [--threads 2] [--parallel N]

Prints JSON: seconds to load, seconds for the pictures, and what was said about each. A worker thread decodes pictures
ahead, as the command does.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from mmcli import engine, media
from mmcli.engine import Message, Part, Sampling
from mmcli.engine.local.loaded_model import Options

AHEAD = 4  # pictures decoded but not asked for yet


def main() -> None:
    options = argparse.ArgumentParser()
    for name in ("weights", "projector", "folder"):
        options.add_argument(name, type=Path)
    options.add_argument("--tokens", type=int, required=True)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--parallel", type=int)
    options.add_argument("--prompt", default="Describe the picture.")
    given = options.parse_args()
    started = time.perf_counter()
    how = Options(
        threads=given.threads,
        lasting=True,
        media_newline=True,
        on_notice=print,
    )
    with engine.load(given.weights, given.projector, how) as running:
        loaded = time.perf_counter()
        sampling = Sampling(temperature=0, max_tokens=given.tokens, loop_guard=False)
        said: dict[int, str] = {}
        phases: dict[str, float] = {}
        pictures = sorted(given.folder.iterdir())
        for index, piece in running.generate_many(requests(pictures, given.prompt), sampling, parallel=given.parallel):
            assert piece.error is None, piece.error
            if piece.answer is not None:
                assert piece.answer.usage.completion_tokens == given.tokens, piece.answer.text
                said[index] = piece.answer.text
                for phase, seconds in piece.answer.usage.seconds.items():
                    phases[phase] = phases.get(phase, 0) + seconds
        done = time.perf_counter()
    answers = [said[index] for index in range(len(pictures))]
    print(json.dumps({"load": loaded - started, "seconds": done - loaded, "phases": phases, "answers": answers}))


def requests(paths: list[Path], prompt: str) -> Iterator[list[Message]]:
    """One conversation for each picture; the next few are decoded in another thread meanwhile."""
    with ThreadPoolExecutor(1) as worker:
        waiting = iter(paths)
        ahead: list[Future[Part]] = [worker.submit(_load, path) for path in islice(waiting, AHEAD)]
        while ahead:
            picture = ahead.pop(0).result()
            ahead += [worker.submit(_load, path) for path in islice(waiting, 1)]
            yield [Message("user", (picture, prompt))]


def _load(path: Path) -> Part:
    (source,) = media.find([str(path)])
    return media.load(source)


if __name__ == "__main__":
    main()
