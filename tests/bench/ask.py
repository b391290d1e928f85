"""A question about a picture: mmcli beside llama-mtmd-cli and llama-bench, in turns.

    python -m tests.bench.ask --peers DIR --models DIR [--model 1b] [--runs 3]

Needs llama.cpp's programs (tests/peers/README.md); --models is where the random models are kept between calls.
The bars: a cold ask 1.0×, a second question in a new process 0.25×, decode rate 0.98×, peak memory 1.1×.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from tests.bench.measure import Ratios, Run, machine
from tests.bench.subjects import OTHER_QUESTION, QUESTION, Subjects, parser, prepare, rate


def main() -> None:
    options = parser(__doc__, runs=3)
    options.add_argument("--skip", nargs="*", default=(), choices=("no-warmup", "bench"), help="leave these out")
    given: argparse.Namespace = options.parse_args()
    print(machine())
    ratios = Ratios()
    said: list[str] = []
    with prepare(given) as (subjects, scratch):
        for number in range(given.runs):
            told = _round(subjects, scratch / "cache", ratios, set(given.skip), said)
            print(f"round {number + 1}: " + ", ".join(told), flush=True)
    ratios.show()
    # llama-mtmd-cli now and then loses the end of its answer (its log is not flushed at exit): the longest counts.
    mine, theirs = said[0], max(said[1::2], key=len)
    print("same answer:", "yes" if mine == theirs else f"NO\n  mmcli: {mine}\n  llama-mtmd-cli: {theirs}")


def _round(subjects: Subjects, cache: Path, ratios: Ratios, skip: set[str], said: list[str]) -> list[str]:
    peer = subjects.mtmd_cli(QUESTION)
    shutil.rmtree(cache, ignore_errors=True)
    cold, answer = subjects.ask(QUESTION, cache)
    second, again = subjects.ask(OTHER_QUESTION, cache)
    assert answer["usage"]["completion_tokens"] == again["usage"]["completion_tokens"] == subjects.tokens
    assert [answer["usage"]["n_encodes"], again["usage"]["n_encodes"]] == [1, 0], "the picture was encoded again"
    said += [answer["answer"].strip(), peer.out.strip()]
    ratios.add("cold ask / llama-mtmd-cli, wall", cold.seconds / peer.seconds, most=1.0)
    ratios.add("second question / llama-mtmd-cli, wall", second.seconds / peer.seconds, most=0.25)
    ratios.add("cold ask / llama-mtmd-cli, peak memory", cold.peak / peer.peak, most=1.1)
    told = [_tell("llama-mtmd-cli", peer)]
    if "no-warmup" not in skip:
        bare = subjects.mtmd_cli(QUESTION, warmup=False)
        ratios.add("cold ask / llama-mtmd-cli --no-warmup, wall", cold.seconds / bare.seconds)
        ratios.add("second question / the same, wall", second.seconds / bare.seconds)
        told.append(_tell("--no-warmup", bare))
    told += [_tell("mmcli cold", cold), _tell("second question", second)]
    told.append(f"decode {rate(answer):.2f} and {rate(again):.2f} tokens/s")
    if "bench" not in skip:
        bench = subjects.bench(answer["usage"]["prompt_tokens"])
        ratios.add("decode rate / llama-bench", rate(answer) / bench, least=0.98)
        ratios.add("decode rate of the second / llama-bench", rate(again) / bench, least=0.98)
        told.append(f"llama-bench {bench:.2f}")
    phases = ", ".join(f"{name} {seconds:.2f}" for name, seconds in answer["usage"]["seconds"].items())
    outside = cold.seconds - sum(answer["usage"]["seconds"].values())
    told.append(f"cold by phase: {phases}, outside {outside:.2f}")
    return told


def _tell(name: str, done: Run) -> str:
    return f"{name} {done.seconds:.2f} s ({done.peak / 1e9:.2f} GB)"


if __name__ == "__main__":
    main()
