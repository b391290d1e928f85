"""`python -m tests.fuzz [TARGET…|TARGET:SEED…]`: damaged and hostile inputs for an hour, or one case again."""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import runner, targets
from tests.fuzz.case import Fault
from tests.fuzz.runner import Report, Seed

WHOLE = 12  # one of so many cases is a whole run of mmcli, which takes about as long as the others together


def main(arguments: list[str]) -> int:
    options = _parse(arguments)
    named = [Seed(name, int(number), bool(how)) for name, number, *how in map(_parts, options.targets) if number]
    names = [name for name in options.targets if ":" not in name] or list(targets.MODULES)
    seeds = iter(named) if named else _until(time.monotonic() + 60 * options.minutes, names, options.seed)

    def show(seed: Seed, label: str, status: int, faults: list[Fault]) -> None:
        if named or options.verbose:
            print(f"{seed}  {label!a}  status {status}", flush=True)
        for fault in faults:
            key = f"{seed.target}: {fault.signature}"
            if named or key not in shown:
                print(f"FAULT {seed}  {label!a}\n      {fault.kind}: {fault.words!a}", flush=True)
            shown.add(key)

    shown: set[str] = set()
    out = options.out if not named else options.keep
    report = runner.run(seeds, jobs=options.jobs, out=out, on_case=show)
    _summary(report)
    return 1 if report.found else 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET[:SEED]", help=f"of {', '.join(targets.MODULES)}")
    parser.add_argument("--minutes", type=float, default=60.0, help="by the clock (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="where the inputs of faults are written")
    parser.add_argument("--keep", type=Path, help="with TARGET:SEED: write the input there, where it is at fault")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for each case")
    options = parser.parse_args(arguments)
    for name in options.targets:
        if _parts(name)[0] not in targets.MODULES:
            parser.error(f"unknown target `{name}`: there are {', '.join(targets.MODULES)}")
    return options


def _parts(name: str) -> list[str]:
    return [*name.split(":"), ""][: max(2, name.count(":") + 1)]


def _until(end: float, names: list[str], first: int) -> Iterator[Seed]:
    """Seeds of all targets in turn, until the clock says so."""
    for number in itertools.count(first):
        for name in names:
            if time.monotonic() >= end:
                return
            yield Seed(name, number, whole=number % WHOLE == 0)


def _summary(report: Report) -> None:
    for name, counted in sorted(report.statuses.items()):
        told = ", ".join(f"{status}: {n}" for status, n in sorted(counted.items()))
        print(f"{name:22} {sum(counted.values()):7} cases; status {told}")
    print(f"{report.n_cases} cases, {len(report.found)} different faults")
    for found in report.found.values():
        print(f"\n{found.fault.kind}, {found.times} times: {found.fault.words!a}\n  {found.label!a}\n  {found.again}")
        if found.place:
            print(f"  {found.place}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
