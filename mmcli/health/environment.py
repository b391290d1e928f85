"""Checks the surroundings: memory, disks, caches, config, and other programs called mmcli."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from mmcli import config
from mmcli.engine import hardware
from mmcli.errors import MmcliError
from mmcli.health.findings import Finding
from mmcli.models import cache
from mmcli.models.sizes import GB, words

LITTLE_MEMORY = 2 * GB  # less holds only the smallest models
LITTLE_DISK = 5 * GB  # a small model with its projector takes 1 to 4 GB
HEAD = 65_536  # bytes: a script says in its first lines whose it is


def memory() -> Finding:
    """Cores and free memory, as a container leaves them."""
    cores, free, total = hardware.cores(), hardware.free_memory(), hardware.total_memory()
    facts = {"cores": cores, "free": free, "total": total}
    message = f"{words(free, 1)} of {words(total, 1)} free; {cores} core{'s' if cores != 1 else ''} to compute with"
    if free < LITTLE_MEMORY:
        remedy = "close other programs, or use a small model: its files and about 1 GB more must fit"
        return Finding("memory", "warning", message, remedy, facts)
    return Finding("memory", "ok", message, facts=facts)


def disks() -> Iterator[Finding]:
    """mmcli's cache and the Hub's: what they take and what is left beside them."""
    yield _cache("cache", config.cache_dir(), "may be deleted at any time")
    yield _cache("models", cache.root(), "the Hugging Face cache, shared with other programs")


def _cache(check: str, folder: Path, about: str) -> Finding:
    there = _existing(folder)
    size = _size(folder)
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(
            check, "warning", f"cannot look at `{folder}`: {error.strerror}", "check the folder's permissions"
        )
    facts = {"folder": str(folder), "size": size, "free": free}
    message = f"`{folder}` holds {words(size, 1)} ({about}); {words(free, 1)} free there"
    if not there.is_dir():
        return Finding(check, "warning", f"`{there}` is a file, not a folder", "move it away", facts)
    if not os.access(there, os.W_OK):
        return Finding(
            check, "warning", f"cannot write into `{there}`", "check the folder's owner and permissions", facts
        )
    if free < LITTLE_DISK:
        return Finding(check, "warning", message, "free some space: a model takes 1 to 10 GB", facts)
    return Finding(check, "ok", message, facts=facts)


def config_file(bad: MmcliError | None) -> Finding:
    """Whether config.toml is there, and whether every command can read it."""
    path = config.config_file()
    facts = {"file": str(path), "exists": path.exists()}
    if bad is not None:
        return Finding("config", "problem", bad.message, bad.hint, facts, status=bad.status)
    found = "is valid" if path.exists() else "does not exist yet, which is fine"
    return Finding("config", "ok", f"`{path}` {found}", facts=facts)


def path(folders: list[str] | None = None) -> Finding:
    """Which `mmcli` the shell runs: ModemManager has a program of that name too."""
    folders = os.get_exec_path() if folders is None else folders
    found = list(dict.fromkeys(file for folder in folders for file in _programs(Path(folder or "."))))
    ours = [file for file in found if _is_ours(file)]
    facts = {"found": [str(file) for file in found], "ours": [str(file) for file in ours]}
    if found and found[0] not in ours:
        here = ours[0].parent if ours else Path(sys.executable).parent
        return Finding(
            "path",
            "warning",
            f"the shell runs `{found[0]}`, another program of the same name (ModemManager has one)",
            f'put this one first: export PATH="{here}:$PATH", or type: alias see="{here / "mmcli"}"',
            facts,
        )
    if not ours:
        message = f"no `mmcli` on the PATH; `{sys.executable} -m mmcli` always works"
        return Finding("path", "ok", message, facts=facts)
    others = f"; another program of that name comes later: `{found[-1]}`" if len(found) > len(ours) else ""
    return Finding("path", "ok", f"`mmcli` is `{ours[0]}`{others}", facts=facts)


def _programs(folder: Path) -> Iterator[Path]:
    for name in ("mmcli.exe", "mmcli.cmd") if os.name == "nt" else ("mmcli",):
        if (folder / name).is_file() and os.access(folder / name, os.X_OK):
            yield folder / name


def _is_ours(file: Path) -> bool:
    """Whether a program starts mmcli's own `__main__`: installers write that into the script."""
    try:
        with file.open("rb") as program:
            data = program.read() if file.suffix == ".exe" else program.read(HEAD)
    except OSError:
        return False
    return b"mmcli.__main__" in data or b"-m mmcli" in data


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((place for place in (folder, *folder.absolute().parents) if place.exists()), folder)


def _size(folder: Path) -> int:
    """Bytes of all files in a folder; links count nothing, and neither does what cannot be read."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                entry = os.lstat(os.path.join(place, name))
            except OSError:
                continue
            total += 0 if os.path.islink(os.path.join(place, name)) else entry.st_size
    return total
