"""Answers held to a schema beside free ones, and labels beside the prompt that they follow; in one process, in turns.

    python -m tests.bench.shape --models DIR [--model 160m] [--runs 5]

--models is where the random models are kept between calls. The bars: a decode rate with a schema of 0.97 of the free
one and 0.80 of the passes a token; ten labels in 1.5 of the time of the prompt alone, with the probabilities that
each has alone; the vocabulary of 152,000 tokens, made while a picture is encoded, delays the first token by 0.8 s.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from mmcli import engine
from mmcli.engine import Answer, Message, Sampling
from mmcli.engine.grammar import GrammarVocabulary
from mmcli.engine.local import mtmd
from mmcli.engine.local.engine import LocalEngine
from mmcli.engine.local.loaded_model import Options
from mmcli.extraction import answer_schema
from tests import random_llava
from tests.bench.measure import machine
from tests.engines import picture

TEXT = "text str 150..160"  # nearly all of it is chosen by the model: what checking costs
RECORD = (
    "vendor str 5..12, date date, total float 0..999, currency EUR|USD|GBP, items[3..3]{name str 3..8, qty int 1..99}"
)
LABELS = ("red circle", "blue square", "green star", "dog", "cat", "house", "tree", "boat", "car", "table")
LARGE = 151_936  # tokens of Qwen's vocabulary


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--models", type=Path, required=True)
    options.add_argument("--model", default="160m", choices=random_llava.PRESETS)
    options.add_argument("--runs", type=int, default=5)
    given = options.parse_args()
    print(machine())
    paths = given.models / f"{given.model}.gguf", given.models / f"{given.model}-mmproj.gguf"
    if not paths[0].exists():
        random_llava.write(given.models, given.model)
    with engine.load(*paths, Options(cache=None)) as running:
        _rates(running, given.runs)
        _labels(running, given.runs)
    _vocabulary(given.models, given.runs)


def _answer(running: LocalEngine, sampling: Sampling) -> Answer:
    question = [Message("user", (picture("red", "blue"), "What is in it?"))]
    answers = [piece.answer for piece in running.generate(question, sampling) if piece.answer is not None]
    return answers[0]


def _rates(running: LocalEngine, runs: int) -> None:
    ratios: dict[str, list[float]] = {"rate": [], "passes": []}
    for number in range(runs):
        free = _answer(running, Sampling(temperature=1, seed=number, max_tokens=120, loop_guard=False))
        text = answer_schema.find(TEXT).text
        held = _answer(running, Sampling(temperature=1, seed=number, max_tokens=400, schema=text, loop_guard=False))
        record = answer_schema.find(RECORD).text
        filled = _answer(running, Sampling(temperature=1, seed=number, max_tokens=900, schema=record))
        chosen = held.usage.completion_tokens - held.usage.forced_tokens
        rate = chosen / held.usage.seconds["decode"]
        ratios["rate"].append(rate / (free.usage.completion_tokens / free.usage.seconds["decode"]))
        ratios["passes"].append(1 - filled.usage.forced_tokens / filled.usage.completion_tokens)
    _show("steps a second with a schema / without", ratios["rate"], "≥ 0.97")
    _show("tokens that the model was asked for / all, of a record", ratios["passes"], "≤ 0.80")


def _labels(running: LocalEngine, runs: int) -> None:
    question = [Message("user", (picture("green", "red"), "What is in it?"))]
    other = [Message("user", (picture("blue"), "What?"))]
    ratios, differences = [], []
    for _ in range(runs):
        running.score(other, LABELS[:1])  # nothing of the question is in memory
        started = time.perf_counter()
        running.score(question, LABELS[3:4])
        alone = time.perf_counter() - started
        running.score(other, LABELS[:1])
        started = time.perf_counter()
        together = running.score(question, LABELS).log_probs
        ratios.append((time.perf_counter() - started) / alone)
        each = [running.score(question, [label]).log_probs[0] for label in LABELS]
        differences.append(max(abs(one - another) for one, another in zip(together, each, strict=True)))
    _show("ten labels / one", ratios, "≤ 1.5")
    _show("largest difference to each label alone", differences, "≤ 0.01")


def _vocabulary(folder: Path, runs: int) -> None:
    name = "tiny-152k"
    if not (folder / f"{name}.gguf").exists():
        random_llava.write(folder, name, random_llava.Shape(vocab=LARGE))
    header = mtmd.Weights.header(folder / f"{name}.gguf")
    try:
        seconds = []
        for _ in range(runs):
            started = time.perf_counter()
            GrammarVocabulary(header).matcher(answer_schema.find(RECORD).text)
            seconds.append(time.perf_counter() - started)
    finally:
        header.close()
    _show("seconds for a vocabulary of 152,000 tokens, if nothing hides them", seconds, "≤ 0.8 after the encode")


def _show(what: str, values: list[float], bar: str) -> None:
    print(f"{what}: {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f}), bar {bar}")


if __name__ == "__main__":
    main()
