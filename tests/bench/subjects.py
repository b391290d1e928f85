"""Who is compared, on what: mmcli's and llama.cpp's command lines over the same model, picture and question."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.measure import COMPILED, Run, run

QUESTION, OTHER_QUESTION = "Describe the picture.", "Which colours are in it, and where?"
PICTURE_SIZE = (640, 480)


def _mmcli() -> list[str]:
    script = Path(sys.executable).with_name("mmcli")
    return [sys.executable, str(script)] if script.exists() else [sys.executable, "-m", "mmcli"]


MMCLI = _mmcli()  # the installed script, as a person runs it


@dataclass(frozen=True)
class Subjects:
    """Both programs with everything they have in common."""

    peers: Path
    weights: Path
    projector: Path
    picture: Path
    threads: int
    tokens: int
    env: Mapping[str, str] = field(default_factory=dict)  # for mmcli alone

    def ask(self, question: str, cache: Path | None) -> tuple[Run, dict[str, Any]]:
        """One `mmcli ask` in a new process, and the JSON it printed."""
        kept = ["--cache"] if cache else ["--no-cache"]
        command = [
            *MMCLI, "ask", str(self.picture), question, "-m", str(self.weights), "--mmproj", str(self.projector),
            "--temperature", "0", "--max-tokens", str(self.tokens), "--threads", str(self.threads),
            "--no-loop-guard", "--json", "-q", *kept,
        ]  # fmt: skip
        places = {"MMCLI_CACHE_DIR": str(cache or os.devnull), "MMCLI_CONFIG": os.devnull}
        done = run(command, {**COMPILED, **self.env, **places})
        return done, json.loads(done.out)

    def mtmd_cli(self, question: str, *, warmup: bool = True) -> Run:
        """The same question to llama-mtmd-cli: a newline after the picture, as LLaVA was trained."""
        command = [
            str(self.peers / "llama-mtmd-cli"), "-m", str(self.weights), "--mmproj", str(self.projector),
            "--image", str(self.picture), "-p", f"<__media__>\n{question}", "--jinja",
            "--temp", "0", "-n", str(self.tokens), "-t", str(self.threads),
        ]  # fmt: skip
        return run(command if warmup else [*command, "--no-warmup"])

    def bench(self, depth: int, repetitions: int = 1) -> float:
        """llama-bench's tokens per second with `depth` tokens already in the KV cache."""
        command = [
            str(self.peers / "llama-bench"), "-m", str(self.weights), "-t", str(self.threads), "-p", "0",
            "-n", str(self.tokens), "-d", str(depth), "-r", str(repetitions), "-o", "json",
        ]  # fmt: skip
        return float(json.loads(run(command).out)[0]["avg_ts"])


def rate(answer: dict[str, Any]) -> float:
    """Tokens per second of mmcli's decode: n tokens take n - 1 forward passes, the first comes from the prefill."""
    return float((answer["usage"]["completion_tokens"] - 1) / answer["usage"]["seconds"]["decode"])


def parser(about: str | None, runs: int) -> argparse.ArgumentParser:
    """The options every comparison takes."""
    out = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    peers = os.environ.get("MMCLI_PEERS")
    out.add_argument("--peers", type=Path, default=peers, required=not peers, help="folder of llama.cpp's programs")
    out.add_argument("--models", type=Path, help="folder for the random models; written there when missing")
    out.add_argument("--model", default="1b", help="a preset of tests/random_llava.py, or WEIGHTS.gguf,MMPROJ.gguf")
    out.add_argument("--picture", type=Path, help="default: a drawn one of 640×480")
    out.add_argument("--threads", type=int, default=2)
    out.add_argument("--tokens", type=int, default=32)
    out.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a variable for mmcli alone, to try it out"
    )
    out.add_argument("--runs", type=int, default=runs, help="rounds; every program runs once in each")
    return out


@contextmanager
def prepare(given: argparse.Namespace) -> Iterator[tuple[Subjects, Path]]:
    """The subjects, and an empty folder for their traces."""
    with tempfile.TemporaryDirectory(prefix="mmcli-bench-") as folder:
        scratch = Path(folder)
        weights, projector = _model(given.model, given.models or scratch)
        picture = given.picture or _draw(scratch / "picture.png")
        for path in (weights, projector):  # into the page cache, for all alike
            path.read_bytes()
        env = dict(setting.split("=", 1) for setting in given.set)
        yield Subjects(given.peers, weights, projector, picture, given.threads, given.tokens, env), scratch


def _model(name: str, folder: Path) -> tuple[Path, Path]:
    if "," in name:
        weights, projector = map(Path, name.split(",", 1))
        return weights, projector
    weights, projector = folder / f"{name}.gguf", folder / f"{name}-mmproj.gguf"
    if not (weights.exists() and projector.exists()):
        print(f"writing the random model `{name}` into {folder} …", file=sys.stderr, flush=True)
        # In a process of its own: this one stays small, so that it cannot show in its children's peak memory.
        run([sys.executable, "-m", "tests.random_llava", name, str(folder)])
    return weights, projector


def _draw(path: Path) -> Path:
    from PIL import Image

    across = Image.linear_gradient("L").resize(PICTURE_SIZE)
    down = Image.linear_gradient("L").rotate(90).resize(PICTURE_SIZE)
    Image.merge("RGB", (across, down, Image.radial_gradient("L").resize(PICTURE_SIZE))).save(path)
    return path
