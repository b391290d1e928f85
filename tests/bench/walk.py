"""How a reader walks through the engine: files entered from `generate` to the first piece of an answer.

    python -m tests.bench.walk [--list]

Asks the built-in model about its demo picture and follows the calls in the asking thread. Each function counts where it
is called first; calls within one file are one stay. A return is a stay in a file that was entered before. Callbacks
that llama.cpp makes (its log, the question whether to stop) are left out, and so is what bounds a chat template.
"""

from __future__ import annotations

import argparse
import sys
import threading
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

import mmcli
from mmcli import engine, media
from mmcli.chat import parts

PACKAGE = Path(mmcli.__file__).parent
LEFT_OUT = ("engine/local/sandbox.py", "engine/local/counting.py")
CALLBACKS = ("Log.feed", "_started.<locals>.<lambda>", "Context.abort_when.<locals>.<lambda>")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--list", action="store_true", help="print the files in order")
    given = options.parse_args()
    stays = [name for name, _ in groupby(file for file, _ in _walk())]
    n_files = len(set(stays))
    if given.list:
        print("\n".join(stays))
    print(f"{len(stays)} stays in {n_files} files, {len(stays) - n_files} returns to a file already left")


def _walk() -> list[tuple[str, str]]:
    """(file, function) of each function that is called, in the order of the first calls."""
    starter = PACKAGE / "models" / "starter"
    picture = media.load(media.find([str(starter / "demo.png")])[0])
    asker, found = threading.get_ident(), dict[tuple[str, str], None]()

    def look(frame: FrameType, event: str, argument: Any) -> None:
        if event != "call" or threading.get_ident() != asker:
            return
        path, function = Path(frame.f_code.co_filename), frame.f_code.co_qualname
        if path.is_relative_to(PACKAGE) and function not in CALLBACKS:
            name = path.relative_to(PACKAGE).as_posix()
            if name not in LEFT_OUT:
                found.setdefault((name, function))

    with engine.load(starter / "starter.gguf", starter / "starter-mmproj.gguf") as running:
        question = engine.Message("user", parts([picture], "What is in this picture?"))
        pieces = running.generate([question], engine.Sampling(temperature=0, max_tokens=8))
        sys.setprofile(look)
        next(pieces)
        sys.setprofile(None)
    return list(found)


if __name__ == "__main__":
    main()
