"""How long `mmcli --version` and `mmcli --help` take, against a Typer program with one command that does nothing.

    python -m tests.bench.startup [--runs 15] [--imports]

The bars: 1.3× for --version, 1.5× for --help. --imports prints what was imported for --version and how long it took.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

from tests.bench.measure import Ratios, machine, run
from tests.bench.subjects import MMCLI

BARE = """
import typer

app = typer.Typer()


@app.command()
def hello(name: str = "world") -> None:
    print("hello", name)


@app.command()
def version() -> None:
    print("1.0")


app()
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=15)
    options.add_argument("--imports", action="store_true", help="the slowest imports of `mmcli --version`")
    given = options.parse_args()
    if given.imports:
        show_imports()
        return
    print(machine())
    ratios = Ratios()
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(BARE)
        plain = [sys.executable, str(bare), "version"]
        plain_help = [sys.executable, str(bare), "--help"]
        for command in (plain, plain_help, [*MMCLI, "--version"], [*MMCLI, "--help"]):  # warm the page cache
            run(command)
        for number in range(given.runs):
            base, base_help = run(plain).seconds, run(plain_help).seconds
            version, long = run([*MMCLI, "--version"]).seconds, run([*MMCLI, "--help"]).seconds
            print(
                f"round {number + 1}: bare {base:.3f} s, its --help {base_help:.3f} s, "
                f"mmcli --version {version:.3f} s, --help {long:.3f} s",
                flush=True,
            )
            ratios.add("mmcli --version / bare Typer program", version / base, most=1.3)
            ratios.add("mmcli --help / bare Typer --help", long / base_help, most=1.5)
    ratios.show()


def show_imports() -> None:
    """The imports that cost most by themselves, and all modules of other packages by package."""
    trace = run([sys.executable, "-X", "importtime", *MMCLI[1:], "--version"]).err
    found = re.findall(r"import time:\s+(\d+) \|\s+(\d+) \|( *)(\S+)", trace)
    print("own ms  with its imports ms  module")
    for own, total, _, name in sorted(found, key=lambda row: -int(row[0]))[:25]:
        print(f"{int(own) / 1000:6.1f}  {int(total) / 1000:20.1f}  {name}")
    packages: dict[str, int] = {}
    for own, _, _, name in found:
        top = name.partition(".")[0]
        packages[top] = packages.get(top, 0) + int(own)
    print("\n    ms  package")
    for top, own in sorted(packages.items(), key=lambda row: -row[1])[:12]:
        print(f"{own / 1000:6.1f}  {top}")


if __name__ == "__main__":
    main()
