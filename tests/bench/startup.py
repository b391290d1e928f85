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

from tests.bench.measure import COMPILED, Ratios, machine, run
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
        bare, plain = Path(folder, "bare.py"), Path(folder, "plain.py")
        bare.write_text(BARE)
        # Typer loads Rich for its own tracebacks before the first command runs; mmcli tells it not to.
        plain.write_text(BARE.replace("typer.Typer()", "typer.Typer(pretty_exceptions_enable=False)"))
        commands = {
            "bare": [sys.executable, str(bare), "version"],
            "bare without Rich tracebacks": [sys.executable, str(plain), "version"],
            "mmcli --version": [*MMCLI, "--version"],
            "bare --help": [sys.executable, str(bare), "--help"],
            "mmcli --help": [*MMCLI, "--help"],
        }
        for command in commands.values():  # compile what is not compiled yet, and warm the page cache
            run(command, COMPILED)
        for number in range(given.runs):
            took = {name: run(command, COMPILED).seconds for name, command in commands.items()}
            print(f"round {number + 1}: " + ", ".join(f"{name} {s:.3f} s" for name, s in took.items()), flush=True)
            version, long = took["mmcli --version"], took["mmcli --help"]
            ratios.add("mmcli --version / bare Typer program", version / took["bare"], most=1.3)
            ratios.add("the same, without Rich tracebacks", version / took["bare without Rich tracebacks"])
            ratios.add("mmcli --help / bare Typer --help", long / took["bare --help"], most=1.5)
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
