"""`python -m training embed train|export|evaluate|all`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

DEFAULT_STEPS = 3300


def add_to(commands: Any) -> None:
    parser = commands.add_parser("embed", help="the starter's embeddings: pictures and phrases in one space")
    inner = parser.add_subparsers(dest="step", required=True)
    for name in ("train", "export", "all"):
        command = inner.add_parser(name)
        command.add_argument("--out", type=Path, default=Path("training-out/embed"))
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--steps", type=int, default=DEFAULT_STEPS)
        command.add_argument("--scenes", type=int, default=24_000, help="pictures to train with, in hundreds")
        command.add_argument("--store", choices=("int8", "f16", "f32"), default="int8")
    command = inner.add_parser("evaluate")
    command.add_argument("folder", type=Path, help="vision.onnx, text.onnx, tokenizer.json, config.json")
    command.add_argument("--seed", type=int, default=20261201)
    command.add_argument("-n", type=int, default=2000, help="pictures to search in")
    command.add_argument("--report", type=Path, help="write the figures as JSON")


def run(arguments: argparse.Namespace) -> None:
    if arguments.step == "evaluate":
        evaluate(arguments.folder, arguments.seed, arguments.n, arguments.report)
        return
    from training.embed import train

    path = arguments.out / "towers.pt"
    if arguments.step in ("train", "all"):
        path = train.train(arguments.out, arguments.seed, arguments.steps, arguments.scenes)
    if arguments.step in ("export", "all"):
        from training.embed import export

        export.export(train.load(path), arguments.out / "files", arguments.store)
    if arguments.step == "all":
        evaluate(arguments.out / "files", 20261201, 2000, None)


def evaluate(folder: Path, seed: int, n: int, report: Path | None) -> None:
    from training.embed import judge

    figures = judge.judge(folder, seed, n)
    if report:
        report.write_text(json.dumps(figures, indent=1) + "\n")
