"""Offers a better build of llama.cpp, once, before a long run. Builds nothing."""

from __future__ import annotations

import contextlib

from mmcli.engine.local import bindings, builds
from mmcli.health import build_hint, cpu, native


def of_a_better_build() -> str | None:
    """One sentence with a figure, where one was measured; None where there is nothing to say, or it was said before."""
    if (sentence := _sentence()) is None:
        return None
    told = builds.place() / "told"
    if told.exists():
        return None
    with contextlib.suppress(OSError):  # a data folder that cannot be written: it is said again then
        told.parent.mkdir(parents=True, exist_ok=True)
        told.touch()
    return sentence


def _sentence() -> str | None:
    if bindings.can_offload():
        return None
    if maker := native.gpu_here():
        return (
            f"this machine has an {maker} GPU, which llama.cpp's build does not use: `{build_hint.BETTER}` changes that"
        )
    if unused := cpu.unused(cpu.this(), cpu.used(bindings.version())):
        return (
            f"this CPU has {', '.join(unused)}, which llama.cpp's build here leaves unused ({cpu.WORTH[unused[0]]}): "
            f"`{build_hint.BETTER}` makes one that uses it"
        )
    return None
