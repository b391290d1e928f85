"""What two processes that use all the CPU time they get leave of mmcli's speed, and of llama-mtmd-cli's.

    python -m tests.bench.busy --peers DIR --models DIR [--model 1b] [--runs 3] [--hogs 2]

The bar: at least 0.5× of its own rate on the idle machine. With two threads and two hogs on two cores, a fair share
of the machine is exactly 0.5×. The hogs belong to this session: Linux shares the CPU out by session first.
"""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from typing import Any

from tests.bench.measure import Ratios, Run, busy, machine
from tests.bench.subjects import OTHER_QUESTION, QUESTION, parser, prepare, rate


def main() -> None:
    options = parser(__doc__, runs=3)
    options.add_argument("--hogs", type=int, default=2)
    options.add_argument("--quick", action="store_true", help="only second questions: no encode, no prefill, no peer")
    given = options.parse_args()
    print(machine())
    ratios = Ratios()
    with prepare(given) as (subjects, scratch):
        cache = scratch / "cache"
        for number in range(given.runs):
            idle: dict[str, tuple[Run, dict[str, Any]]] = {}
            loaded: dict[str, tuple[Run, dict[str, Any]]] = {}
            for found, load in ((idle, nullcontext()), (loaded, busy(given.hogs))):
                with load:
                    if not (given.quick and cache.exists()):
                        shutil.rmtree(cache, ignore_errors=True)
                        found["cold ask"] = subjects.ask(QUESTION, cache)
                    found["second question"] = subjects.ask(OTHER_QUESTION, cache)
                    if not given.quick:
                        found["llama-mtmd-cli"] = subjects.mtmd_cli(QUESTION), {}
            print(f"round {number + 1}: " + ", ".join(_tell(name, idle, loaded) for name in loaded), flush=True)
            for name in [name for name in loaded if name in idle]:
                quiet, crowded = idle[name], loaded[name]
                ratios.add(f"{name}: speed of the whole, busy / idle", quiet[0].seconds / crowded[0].seconds)
                if crowded[1]:
                    ratios.add(f"{name}: decode rate, busy / idle", rate(crowded[1]) / rate(quiet[1]), least=0.5)
    ratios.show()


def _tell(name: str, *both: dict[str, tuple[Run, dict[str, Any]]]) -> str:
    told = []
    for found in both:
        if name not in found:
            continue
        done, answer = found[name]
        told.append(f"{done.seconds:.2f} s" + (f" ({rate(answer):.1f} tokens/s)" if answer else ""))
    return f"{name} {' → '.join(told)}"


if __name__ == "__main__":
    main()
