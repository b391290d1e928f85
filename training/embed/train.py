"""Trains the head and the text tower on cached features: one stage, by steps. Goes on from its checkpoint."""

from __future__ import annotations

import random
import time
from pathlib import Path

import torch

from training.embed import corpus
from training.embed.model import Sizes, Towers
from training.optim import HAS_BF16, Muon

PICTURES, PHRASES, PAIRS = 96, 96, 32  # of a batch
SCENES = 24_000
PEAK, WARM = 3e-3, 100
FLAT = 0.4  # of the steps at the highest rate; then straight down


def rate(step: int, steps: int) -> float:
    left = (steps - step) / (steps * (1 - FLAT))
    return PEAK * min(1.0, (step + 1) / WARM, max(left, 0.0))


def optimizers(model: Towers) -> list[torch.optim.Optimizer]:
    """Muon for matrices inside, AdamW for tables, vectors and what leads out."""
    inside = [
        p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name and "position" not in name
    ]
    ids = {id(p) for p in inside}
    rest = [p for p in model.parameters() if id(p) not in ids]
    return [Muon(inside, lr=PEAK, momentum=0.95, weight_decay=0.01), torch.optim.AdamW(rest, lr=PEAK, weight_decay=0.0)]


def train(out: Path, seed: int, steps: int, scenes: int = SCENES) -> Path:
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    table, facts = corpus.build(out, "train", seed, scenes)
    print(f"{len(facts)} pictures", flush=True)
    model, sizes = Towers(), Sizes()
    path = out / "towers.pt"
    done, states = 0, None
    if path.exists():
        saved = torch.load(path)
        model.load_state_dict(saved["model"])
        done, states = saved["step"], saved["optimizers"]
    making = optimizers(model)
    for optimizer, state in zip(making, states or [], strict=False):
        optimizer.load_state_dict(state)
    rng, began, mean = random.Random(f"{seed} {done}"), time.process_time(), 0.0
    for step in range(done, steps):
        batch = corpus.batch(rng, table, facts, sizes, PICTURES, PHRASES, PAIRS)
        for optimizer in making:
            for group in optimizer.param_groups:
                group["lr"] = rate(step, steps)
            optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
            loss = model.loss(batch.features, batch.ids, batch.truth, batch.swapped)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in making:
            optimizer.step()
        mean = loss.item() if step == done else 0.98 * mean + 0.02 * loss.item()
        if (step + 1) % 100 == 0:
            spent = time.process_time() - began
            print(f"{step + 1}: loss {mean:.4f}, scale {model.scale.exp().item():.1f}, {spent:.0f} CPU s", flush=True)
        if (step + 1) % 200 == 0 or step + 1 == steps:
            states = [optimizer.state_dict() for optimizer in making]
            torch.save({"model": model.state_dict(), "step": step + 1, "optimizers": states}, path)
    return path


def load(path: Path) -> Towers:
    model = Towers()
    model.load_state_dict(torch.load(path)["model"])
    return model.eval()
