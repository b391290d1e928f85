"""Muon for the hidden matrices, AdamW for the rest. Knows parameter names and nothing of the data."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor, nn

HAS_BF16 = torch.cpu._is_avx512_bf16_supported()  # elsewhere bf16 is slower than float32
Groups = dict[tuple[int, int], list[nn.Parameter]]


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz: nearly the closest orthogonal matrix to each of (n, rows, columns)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.bfloat16() if HAS_BF16 else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.transpose(-2, -1)
    for _ in range(steps):
        gram = x @ x.transpose(-2, -1)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.transpose(-2, -1) if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Momentum, then an orthogonalised step (https://kellerjordan.github.io/posts/muon), same shapes in one go.

    The step is scaled to AdamW's usual size (0.2 rms), so that both take the same learning rate.
    """

    def __init__(self, parameters: list[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                updates = []
                for parameter in parameters:
                    state = self.state[parameter]
                    if "momentum" not in state:
                        state["momentum"] = torch.zeros_like(parameter)
                    state["momentum"].mul_(momentum).add_(parameter.grad)
                    updates.append(parameter.grad + momentum * state["momentum"])  # Nesterov
                scale = 0.2 * max(shape) ** 0.5
                for parameter, update in zip(parameters, orthogonal(torch.stack(updates)), strict=True):
                    parameter.mul_(1 - lr * group["weight_decay"]).add_(update, alpha=-lr * scale)


def make_optimizers(model: nn.Module, vision_scale: float = 0.6) -> list[torch.optim.Optimizer]:
    """Optimizers whose groups carry a `scale` to multiply the schedule's learning rate with."""
    hidden: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    other: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        is_hidden = "blocks." in name and parameter.dim() == 2
        (hidden if is_hidden else other)[name.startswith("encoder")].append(parameter)
    muon = Muon(hidden[True] + hidden[False], lr=1e-3, momentum=0.95, weight_decay=0.05)
    adam = torch.optim.AdamW(other[True] + other[False], lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)
    for optimizer, parts in ((muon, hidden), (adam, other)):
        settings = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
        optimizer.param_groups = [
            {**settings, "params": parts[is_vision], "scale": vision_scale if is_vision else 1.0}
            for is_vision in (True, False)
        ]
    return [muon, adam]
