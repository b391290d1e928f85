"""Turns what the child processes reported about the native build into findings. Runs nothing itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcli.engine import hardware
from mmcli.health import build_hint, cpu
from mmcli.health.findings import Finding
from mmcli.models.sizes import GB

if TYPE_CHECKING:
    from mmcli.health.probe_process import Ended

INSTALL = "docs/install.md has the builds"


def is_loaded(probe: Ended) -> bool:
    """Whether the probe's child could load llama.cpp."""
    return probe.crash is None and "version" in probe.merged()


def build(probe: Ended) -> Finding:
    """Versions and features of llama.cpp, or why it cannot be loaded."""
    told = probe.merged()
    check = "llama.cpp"
    if "error" in told:
        hint = told.get("hint") or INSTALL
        if told.get("lacking"):
            hint = f"build it for any CPU: {build_hint.advice(build_hint.command())}"
        return Finding(check, "problem", told["error"], hint, told)
    if not is_loaded(probe):
        return Finding(
            check,
            "problem",
            f"loading llama.cpp crashed or failed: {probe.sentence()}"
            if probe.crash
            else "llama.cpp loads, but reports nothing about itself",
            f"build it for any CPU: {build_hint.advice(build_hint.command())}",
            told | {"crash": probe.crash},
        )
    features = " ".join(cpu.used(told["system"])) or "no CPU features reported"
    compiler = f", compiled by {told['compiler']}" if told.get("compiler") else ""
    commit = f" ({told['commit']})" if told.get("commit") else ""
    message = f"llama-cpp-python {told['package']}, llama.cpp {told['version']}{commit}{compiler}: {features}"
    return Finding(check, "ok", message, facts=told)


def computes(starter: Ended, told: dict[str, Any]) -> Finding:
    """Whether the build really computes: the starter model must read its card."""
    check = "computing"
    items = [fact["item"] for fact in starter.facts if "item" in fact]
    facts = {"crash": starter.crash, "items": items}
    if starter.crash is not None:
        why, command = "build it for any CPU", build_hint.command()
        if cpu.is_risky(cpu.used(told["system"]), told.get("compiler")):
            why, command = (
                "GCC before 14 compiles AMX wrongly unless an option makes it keep all stores",
                build_hint.BETTER,
            )
        return Finding(
            check,
            "problem",
            f"the built-in starter model crashed or failed: {starter.sentence()}",
            f"{why}: {build_hint.advice(command)}",
            facts,
        )
    if error := starter.merged().get("error"):
        return Finding(check, "problem", error, starter.merged().get("hint"), facts)
    wrong = [item for item in items if not item["passed"] and item["essential"]]
    if wrong or not items:
        told_wrong = f"`{wrong[0]['answer']}` instead of `{wrong[0]['expected']}`" if wrong else "nothing"
        return Finding(
            check,
            "problem",
            f"this build computes wrong results: shown a drawn card, the built-in starter model answers {told_wrong}",
            f"build it for any CPU: {build_hint.advice(build_hint.command())}",
            facts,
        )
    return Finding(
        check, "ok", "the built-in starter model reads a card drawn for it, and not an empty one", facts=facts
    )


def processor(told: dict[str, Any], *, computes: bool, here: cpu.Cpu | None = None) -> Finding:
    """The CPU's features against the build's."""
    check = "cpu"
    here, build = here or cpu.this(), cpu.used(told["system"])
    unused, missing = cpu.unused(here, build), hardware.lacks(here.flags, build)
    facts = {"cpu": here.name, "used": build, "unused": unused, "missing": missing}
    if missing:
        return Finding(
            check,
            "warning" if computes else "problem",
            f"the build uses {', '.join(missing)}, which this CPU ({here.name}) does not have: it can crash",
            f"build it for any CPU: {build_hint.advice(build_hint.command())}",
            facts,
        )
    if unused:
        return Finding(
            check,
            "warning",
            f"{here.name} has {', '.join(unused)}, which this build leaves unused: {cpu.WORTH[unused[0]]}",
            f"build it for this machine: {build_hint.advice(build_hint.BETTER)}",
            facts,
        )
    if cpu.is_risky(build, told.get("compiler")) and computes:
        message = f"{here.name}: AMX compiled by {told.get('compiler')}, which is often wrong, works correctly here"
        return Finding(check, "ok", message, facts=facts)
    if not here.flags:
        return Finding(check, "ok", f"{here.name}: its features cannot be read on this system", facts=facts)
    return Finding(check, "ok", f"{here.name}: the build uses everything that is known to help", facts=facts)


def gpus(told: dict[str, Any]) -> Iterator[Finding]:
    """The GPUs llama.cpp sees, or the build that would see one."""
    check = "gpu"
    seen = [device for device in told.get("devices", []) if "GPU" in device["type"]]
    for device in seen:
        memory = f", {device['free'] / GB:.1f} of {device['total'] / GB:.1f} GB free" if device["total"] else ""
        message = f"{device['description']} ({device['name']}{memory}): models run on it"
        yield Finding(check, "ok", message, facts=device)
    if seen:
        return
    backends = [name for name in told.get("backends", []) if name not in ("blas", "rpc")]
    kind = gpu_here()
    facts = {"backends": backends, "seen": kind}
    if backends:
        yield Finding(
            check,
            "warning",
            f"the build can use a GPU ({', '.join(backends)}), but finds none: models run on the CPU",
            "install or update the GPU's driver, and check that this user may use the device",
            facts,
        )
    elif kind:
        yield Finding(
            check,
            "warning",
            f"this machine has an {kind} GPU, but llama.cpp was built without one: models run on the CPU",
            f"build it for the GPU: {build_hint.advice(build_hint.BETTER)}",
            facts,
        )
    else:
        yield Finding(check, "ok", "none found: models run on the CPU", facts=facts)


def gpu_here() -> str | None:
    """The maker of a GPU that the system shows."""
    if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
        return "NVIDIA"
    if Path("/dev/kfd").exists():
        return "AMD"
    return "Apple" if cpu.this().name.startswith("Apple") else None
