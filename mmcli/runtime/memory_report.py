"""Reports whether a model fits this machine, in the same words for every command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmcli.models import Fit, Room


def room() -> Room:
    """What is free on this machine, containers' limits included."""
    from mmcli.engine import hardware
    from mmcli.engine.local import devices
    from mmcli.models import Room

    return Room(hardware.free_memory(), devices.free_gpu())


def needs(fit: Fit) -> str:
    """`5.10 GB: weights 2.50, projector 0.45, KV cache 1.21 for 8192 tokens, to compute with 0.94`"""
    from mmcli.models.sizes import in_gb

    parts, n_ctx = fit.needs, fit.needs.n_ctx
    about = "" if parts.known else "about "
    named = [f"weights {in_gb(parts.weights)}"]
    named += [f"projector {in_gb(parts.projector)}"] if parts.projector else []
    named += [f"KV cache {in_gb(parts.kv(n_ctx))} for {n_ctx} tokens", f"to compute with {in_gb(parts.compute(n_ctx))}"]
    return f"{about}{in_gb(fit.n_bytes)} GB: {', '.join(named)}"


def verdict(fit: Fit) -> str:
    """`fits: 20.57 GB of memory are free, enough for 98304 tokens of context`"""
    from mmcli.models.sizes import in_gb

    place = "of memory" if fit.place == "memory" else "on the GPU"
    free = f"{in_gb(fit.free)} GB {place} are free"
    if fit.verdict == "no":
        return f"no: {free}"
    part = f"; {fit.gpu_layers} of {fit.needs.n_layers} layers go to the GPU" if fit.gpu_layers else ""
    return f"{fit.verdict}: {free}, enough for {fit.largest} tokens of context{part}"


def facts(fit: Fit) -> dict[str, Any]:
    """The same for programs, in bytes and tokens."""
    parts, n_ctx = fit.needs, fit.needs.n_ctx
    return {
        "needs": {
            "bytes": fit.n_bytes,
            "weights": parts.weights,
            "projector": parts.projector,
            "kv_cache": parts.kv(n_ctx),
            "compute": parts.compute(n_ctx),
            "context": n_ctx,
            "from_headers": parts.known,
        },
        "fits": {
            "verdict": fit.verdict,
            "place": fit.place.lower(),
            "free_bytes": fit.free,
            "largest_context": fit.largest,
            "gpu_layers": fit.gpu_layers,
        },
    }
