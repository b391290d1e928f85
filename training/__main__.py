"""`python -m training data|train|export|evaluate|all`: make the starter model again, from a seed.

`python -m training speech …` does the same for the starter speech model, `… embed …` for its embeddings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.embed import commands as embed
from training.speech import commands as speech


def data(out: Path, seed: int) -> None:
    """Learn the tokenizer and draw a sheet of sample pictures to look at."""
    from training import samples, tokenizer

    tokenizer.build(seed)
    samples.write_sheet(out / "samples.png", seed)


def train(out: Path, seed: int, at_most: int | None, only: str | None, begin: list[Path] | None) -> None:
    from training import restore
    from training import train as trainer

    trainer.train(out, seed, only, at_most=at_most, begin=restore.restore(*begin) if begin else None)


def export(out: Path, file_type: str) -> tuple[Path, Path]:
    from training import export as exporter
    from training import train as trainer

    newest = [
        out / f"{stage.name}.pt" for stage in (*trainer.STAGES, *trainer.TRIED) if (out / f"{stage.name}.pt").exists()
    ][-1]
    return exporter.export(trainer.load_model(newest), out, file_type)


def evaluate(weights: Path, projector: Path, seed: int, n: int, report: Path | None) -> None:
    from training import judge

    judge.judge(weights, projector, seed, n, report)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("data", "train", "export", "all"):
        command = commands.add_parser(name)
        command.add_argument("--out", type=Path, default=Path("training-out"), help="where checkpoints and files go")
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--at-most", type=int, metavar="STEPS", help="of each stage: to try the way, not to train")
        command.add_argument("--only", metavar="STAGE", help="one stage of the training")
        command.add_argument(
            "--begin", type=Path, nargs=2, metavar=("GGUF", "MMPROJ"), help="go on from these files with --only STAGE"
        )
        command.add_argument("--file-type", choices=("f16", "q8_0", "f32"), default="q8_0")
    command = commands.add_parser("evaluate")
    command.add_argument("weights", type=Path)
    command.add_argument("projector", type=Path)
    command.add_argument("--seed", type=int, default=20261122)
    command.add_argument("-n", type=int, default=100, help="questions per skill")
    command.add_argument("--report", type=Path, help="write the figures as JSON")
    speech.add_to(commands)
    embed.add_to(commands)
    arguments = parser.parse_args()

    if arguments.command in ("speech", "embed"):
        (speech if arguments.command == "speech" else embed).run(arguments)
        return
    if arguments.command == "evaluate":
        evaluate(arguments.weights, arguments.projector, arguments.seed, arguments.n, arguments.report)
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.command in ("data", "all"):
        data(arguments.out, arguments.seed)
    if arguments.command in ("train", "all"):
        train(arguments.out, arguments.seed, arguments.at_most, arguments.only, arguments.begin)
    if arguments.command in ("export", "all"):
        export(arguments.out, arguments.file_type)
    if arguments.command == "all":
        n = 100 if arguments.at_most is None else 1
        evaluate(arguments.out / "starter.gguf", arguments.out / "starter-mmproj.gguf", 20261122, n, None)


if __name__ == "__main__":
    main()
