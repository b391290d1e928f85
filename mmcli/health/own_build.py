"""Builds llama.cpp for this machine on request, tests it, and keeps it if it is correct and faster: as findings.

What is tried runs in child processes, as it may crash. The installed build is never touched: the engine loads the kept
one instead (engine/local/builds.py), until `undo`.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import secrets
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmcli import models, offline
from mmcli.engine.local import bindings, builds
from mmcli.errors import ModelError, ResourceError
from mmcli.health import canary_process, compiling, probe_process, targets, trial, workload
from mmcli.health.findings import Finding

OnProgress = Callable[[str, int, int], None]

ROUNDS = 3  # of old and new in turns
FASTER = 1.03  # times: less cannot be distinguished from chance
SECONDS = 300  # for one trial on a busy machine


def remake(on_progress: OnProgress | None = None) -> Iterator[Finding]:
    """Build, try and keep; each finding comes when it is known. MmcliError where it cannot be built."""
    package = bindings.package()
    target = targets.choose(targets.here())
    yield Finding("target", "ok", f"llama.cpp is built for {target.what}", facts=asdict(target))
    if target.missing:
        yield Finding(
            "target",
            "warning",
            "something better may be possible here",
            f"install {target.missing}, and run this again",
        )
    folder = _new_folder()
    try:
        libraries = compiling.compile_into(
            folder,
            builds.version(package),
            {**target.defines, "MMCLI_BUILT_FOR": _machine()},
            offline=offline.is_on(),
            on_step=None
            if on_progress is None
            else lambda done, total: on_progress("compiling llama.cpp", done, total),
        )
        if on_progress is not None:
            on_progress("trying it", 0, 0)
        yield from _judge(libraries, package, target, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _judge(libraries: Path, package: Path, target: targets.Target, folder: Path) -> Iterator[Finding]:
    """Keep what computes rightly and faster."""
    new, old = words(libraries), words(package / "lib")
    if (wrong := _wrong(new, old)) is not None:
        yield Finding("trial", "problem", f"the new build {wrong}: it is not kept", _report(), _facts(new, old))
        return
    same = "the same words as the installed build" if _said(old) else "the right words; the installed build says none"
    yield Finding("trial", "ok", f"the new build says {same}", facts=_facts(new, old))
    ratio, seconds = compare(libraries, package / "lib", folder) if _said(old) else (None, {})
    if ratio is not None and ratio < FASTER:
        message = f"the new build takes {1 / ratio:.2f} times as long as the installed one: it is not kept"
        yield Finding("speed", "ok", message, facts=seconds | {"ratio": ratio, "kept": False})
        return
    kept = builds.Build(
        folder=f"build-{secrets.token_hex(4)}",
        package=builds.version(package),
        bindings=builds.bindings(package),
        cpu=builds.cpu_here(),
        kind=target.kind,
        arguments=tuple(f"-D{name}={value}" for name, value in sorted(target.defines.items())),
        ratio=round(ratio, 3) if ratio is not None else 0.0,
        made=datetime.date.today().isoformat(),
    )
    try:
        builds.keep(libraries, kept)
    except OSError as error:
        raise ResourceError(f"cannot write into `{builds.place()}`: {error.strerror or error}") from error
    faster = f"the new build is {ratio:.2f} times as fast" if ratio is not None else "the new build works"
    message = f"{faster}: it is used from now on (`mmcli doctor --undo` reverts that)"
    yield Finding("speed", "ok", message, facts=seconds | {"ratio": ratio, "kept": True})


def undo() -> Finding:
    """Remove the build that is kept."""
    try:
        was_there = builds.forget()
    except OSError as error:
        raise ResourceError(f"cannot remove `{builds.place()}`: {error.strerror or error}") from error
    message = (
        "the installed llama.cpp is used again" if was_there else "the installed llama.cpp is used: there is no other"
    )
    return Finding("llama.cpp", "ok", message, facts={"removed": was_there})


def examine() -> Iterator[Finding]:
    """What is kept, and whether it is used; nothing where nothing is kept."""
    check = "own build"
    try:
        kept = builds.kept()
    except ValueError as error:
        message = f"`{builds.record()}` cannot be read ({error}): the installed llama.cpp is used"
        yield Finding(check, "warning", message, "mmcli doctor --undo, then perhaps --rebuild")
        return
    if kept is None:
        return
    facts = asdict(kept)
    try:
        reason = builds.why_not(kept, bindings.package())
    except ModelError as error:
        reason = error.message
    if reason is not None:
        message = f"the llama.cpp built on {kept.made} for {kept.kind} is not used: {reason}"
        yield Finding(check, "warning", message, "mmcli doctor --rebuild builds it again, --undo removes it", facts)
        return
    faster = f", {kept.ratio:.2f} times as fast as the installed one" if kept.ratio else ""
    yield Finding(check, "ok", f"llama.cpp built on {kept.made} for {kept.kind} is used{faster}", facts=facts)


def words(libraries: Path) -> probe_process.Ended:
    """What the starter says with the build in this folder."""
    starter = models.find("starter")
    assert isinstance(starter, models.Model) and starter.projector is not None
    return _try(libraries, trial.TrialRequest(str(starter.weights), str(starter.projector)))


def compare(new: Path, old: Path, folder: Path) -> tuple[float | None, dict[str, Any]]:
    """How many times as fast `new` is, in the middle of some rounds; None where `old` does not get there."""
    model = folder / "workload.gguf"
    workload.write(model)
    ratios, seconds = [], []
    for _ in range(ROUNDS):
        took = [_try(place, trial.TrialRequest(workload=str(model))).merged().get("seconds") for place in (old, new)]
        if took[1] is None:
            raise ModelError("the new build works, but stops while it is measured: it is not kept", hint=_report())
        if took[0] is None:
            return None, {}
        seconds.append({"installed": took[0], "new": took[1]})
        ratios.append(sum(took[0].values()) / sum(took[1].values()))
    return statistics.median(ratios), {"rounds": seconds}


def _try(libraries: Path, request: trial.TrialRequest) -> probe_process.Ended:
    environment = dict.fromkeys(bindings.FOLDERS, str(libraries))
    command = probe_process.program("mmcli.health.trial", json.dumps(asdict(request)))
    return probe_process.run(command, seconds=SECONDS, environment=environment)


def _wrong(new: probe_process.Ended, old: probe_process.Ended) -> str | None:
    """What is wrong with what the new build says, in words; None where nothing is."""
    if new.crash is not None:
        return f"crashes or fails: {new.sentence()}"
    if error := new.merged().get("error"):
        return f"does not work: {error}"
    items = [fact["item"] for fact in new.facts if "item" in fact]
    if not items or not all(item["passed"] for item in items if item["essential"]):
        return "computes wrong results: the starter does not see what it is shown"
    if _said(old) and _said(new) != _said(old):
        return "does not say the same words as the installed one"
    return None


def _said(ended: probe_process.Ended) -> list[str]:
    """What the starter said of its cards, word for word. The empty picture's answer hangs by a hair: left out."""
    items = [fact["item"] for fact in ended.facts if "item" in fact]
    return [] if ended.crash else [item["answer"] for item in items if item["item"] != canary_process.BLIND]


def _facts(new: probe_process.Ended, old: probe_process.Ended) -> dict[str, Any]:
    return {"new": _said(new), "installed": _said(old), "crash": new.crash}


def _report() -> str:
    return "the installed one is used as before; please report this with the output of `mmcli doctor --json`"


def _new_folder() -> Path:
    """A folder to build in, on the disk where the build will be kept."""
    try:
        builds.place().mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="building-", dir=builds.place()))
    except OSError as error:
        hint = "set MMCLI_DATA_DIR to another folder"
        raise ResourceError(f"cannot write into `{builds.place()}`: {error.strerror or error}", hint=hint) from error


def _machine() -> str:
    """What a native build depends on beside its definitions: an installer's cache may be shared by machines."""
    told = f"{builds.cpu_here()} {targets.here().compiler}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]
