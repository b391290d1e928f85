"""`python -m training speech data|train|export|evaluate|all`: make the starter speech model again, from a seed."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("speech", help=__doc__, description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    kinds = ("int8", "int8_float16", "float16", "float32")
    for name in ("data", "train", "export", "all"):
        step = steps.add_parser(name)
        step.add_argument("--out", type=Path, default=Path("training-out"), help="where sound and checkpoints go")
        step.add_argument("--seed", type=int, default=0)
        step.add_argument("--steps", type=int, help="of training; the schedule's own if not given")
        step.add_argument("--compute-type", choices=kinds, default="int8_float16")
    step = steps.add_parser("evaluate")
    step.add_argument("model", type=Path, help="a folder with model.bin")
    step.add_argument("--seed", type=int, default=20261122)
    step.add_argument("-n", type=int, default=400, help="sentences of each kind")
    step.add_argument("--report", type=Path, help="write the figures as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Carry out one step, or all of them one after the other."""
    if arguments.step == "evaluate":
        evaluate(arguments.model, arguments.seed, arguments.n, arguments.report)
        return
    out: Path = arguments.out
    if arguments.step in ("data", "all"):
        from training.speech import corpus

        corpus.build(out / "corpus", arguments.seed)
    if arguments.step in ("train", "all"):
        from training.speech import train

        schedule = train.Schedule(**({"steps": arguments.steps} if arguments.steps else {}))
        train.train(out / "corpus", out, arguments.seed, schedule)
    if arguments.step in ("export", "all"):
        from training.speech import export, train

        export.export(train.load_model(out / "speech.pt"), out / "speech", arguments.compute_type)
    if arguments.step == "all":
        evaluate(out / "speech", 20261122, 400, None)


def evaluate(model: Path, seed: int, n: int, report: Path | None) -> None:
    from training.speech import judge

    judge.judge(model, seed, n, report)
