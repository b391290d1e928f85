"""Reads and writes the list of other tools' models, as `mmcli models --adopt` found them.

They are kept in adopted.json in mmcli's data folder; nothing is copied or linked. Knows names and paths; looks for
nothing itself (discovery.py does), and opens no model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmcli import config, files
from mmcli.errors import UsageError

VERSION = 1
AGAIN = "`mmcli models --adopt` looks again and replaces it"


@dataclass(frozen=True)
class Adopted:
    """One pair of files that belongs to another tool; `name` is a catalogue's where the files are known to be its."""

    name: str
    place: str  # whose they are, such as "LM Studio"
    weights: Path
    projector: Path
    sees: bool
    hears: bool

    @property
    def gone(self) -> Path | None:
        """The file that is no longer there."""
        return next((path for path in (self.weights, self.projector) if not path.is_file()), None)

    @property
    def n_bytes(self) -> int:
        return self.weights.stat().st_size + self.projector.stat().st_size


def file() -> Path:
    """Where they are remembered."""
    return config.data_dir() / "adopted.json"


def load() -> dict[str, Adopted]:
    """All of them by name; UsageError where the file is damaged."""
    try:
        document = json.loads(file().read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read `{file()}`: {error}", hint=AGAIN) from error
    rows = document.get("models") if isinstance(document, dict) else None
    if not isinstance(rows, list) or document.get("version") != VERSION:
        raise UsageError(f"`{file()}` is not a list of adopted models", hint=AGAIN)
    return {row.name: row for row in map(_row, rows)}


def save(models: Iterable[Adopted]) -> None:
    """Remember these and no others; the file is replaced when the new one is whole."""
    rows = [asdict(model) | {"weights": str(model.weights), "projector": str(model.projector)} for model in models]
    document = json.dumps({"version": VERSION, "models": rows}, indent=1)
    try:
        files.private_folder(file().parent)
    except OSError as error:
        raise files.refused(file(), error) from error
    files.write(file(), (document + "\n").encode(), mode=0o600)


def forget(name: str) -> None:
    """Let go of one; its files stay."""
    save(model for model in load().values() if model.name != name)


def _row(row: Any) -> Adopted:
    kinds = {"name": str, "place": str, "weights": str, "projector": str, "sees": bool, "hears": bool}
    if not isinstance(row, dict) or not all(isinstance(row.get(key), kind) for key, kind in kinds.items()):
        raise UsageError(f"`{file()}` holds an incomplete model", hint=AGAIN)
    weights, projector = Path(row["weights"]), Path(row["projector"])
    return Adopted(row["name"], row["place"], weights, projector, row["sees"], row["hears"])
