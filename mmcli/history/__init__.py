"""Stores conversations in SQLite, and finds them again. Knows no engine and no terminal.

`Recorder` writes a talk down while it happens and never fails; `Store` finds, shows and deletes what is there.
Importing this room is cheap: sqlite3 is loaded by the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmcli.history.records import Hit, KeptTurn, Shown, Summary, Talk

if TYPE_CHECKING:
    from mmcli.history.recorder import Recorder
    from mmcli.history.store import Store

__all__ = ["Hit", "Recorder", "Shown", "Store", "Summary", "Talk", "KeptTurn"]


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("Recorder", "Store"):
        return getattr(importlib.import_module(f"mmcli.history.{name.lower()}"), name)
    raise AttributeError(name)
