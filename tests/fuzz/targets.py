"""What can be fuzzed, by name; a target's libraries are loaded when its first case is made."""

from __future__ import annotations

import importlib
import random
from pathlib import Path

from tests.fuzz.case import Case

# name -> the module here whose `make` makes its cases
MODULES = {
    "pictures": "pictures",
    "sounds": "sounds",
    "gguf": "ggufs",
    "templates": "templates",
    "config": "configs",
    "databases": "databases",
}


def make(name: str, seed: str, folder: Path, keep: Path) -> Case:
    """The case of that number: its input in `folder`, and what all cases of the target share in `keep`."""
    from tests.fuzz import planted

    chance = random.Random(f"{name} {seed}")
    if name in planted.TARGETS:
        return planted.TARGETS[name](chance, folder, keep)
    module = importlib.import_module(f"tests.fuzz.{MODULES[name]}")
    made = module.make(chance, folder, keep)
    assert isinstance(made, Case)
    return made
