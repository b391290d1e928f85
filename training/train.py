"""Trains in two stages: the encoder alone on dense labels, then everything on questions.

The schedule counts steps, never time. Batches are a pure function of (seed, stage, number), made by one
low-priority process beside the trainer; a checkpoint holds all it takes to go on.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F

from training import batches, tokenizer
from training.config import Config
from training.model import StarterModel, normalise
from training.optim import HAS_BF16, make_optimizers


@dataclass(frozen=True)
class Stage:
    """Steps, and the learning rate's way: a linear warm-up to `peak`, flat until `decay_from`, cosine to `end`."""

    name: str
    steps: int
    peak: float
    end: float
    warmup: int = 60
    decay_from: float = 0.0  # share of the steps
    vision_scale: float = 1.0  # the encoder's rate against the decoder's
    aux_weight: float = 1.0
    mix: Mapping[str, float] = field(default_factory=dict)  # weights of the question types

    def rate(self, step: int) -> float:
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        done = (step - self.decay_from * self.steps) / ((1 - self.decay_from) * self.steps)
        return self.end + (self.peak - self.end) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0.0, done))))


# weights of the question types where they differ from the usual ones
LAST_MIX = {
    "place": 0.9, "relation": 6.0, "is_relation": 1.6, "background": 0.7, "is_background": 0.8, "is_shape": 2.0,
    "is_one": 0.7, "all_same": 1.0, "beside": 4.5, "count_shape": 1.3, "count_color": 1.6, "color": 2.6,
    "shape": 2.4, "colors": 2.2, "count": 1.0, "describe": 4.5, "is_count": 0.9, "exist": 1.1, "exist_shape": 0.6,
    "exist_color": 0.6, "read": 0.2, "differ_alone": 0.12, "off_topic": 2.2, "small_talk": 0.5, "same": 2.5,
    "differ": 6.0, "pair_describe": 0.6, "pair_which": 2.5, "pair_count": 0.5, "extreme": 1.1,
}  # fmt: skip
MORE_MIX = LAST_MIX | {
    "place": 1.3, "relation": 6.0, "is_background": 1.3, "is_shape": 3.0, "all_same": 2.0, "beside": 7.0, "color": 3.0,
    "shape": 2.8, "colors": 3.5, "is_one": 1.1, "is_count": 1.2, "describe": 5.0, "same": 3.5, "pair_which": 3.5,
    "pair_one": 1.0, "pair_color": 1.0,
}  # fmt: skip
EVEN_MIX = MORE_MIX | {"differ": 9.0}
restart = partial(Stage, end=1e-5, vision_scale=0.5, aux_weight=0.25)  # a warm one, of everything
STAGES = (
    Stage("vision", steps=5000, peak=3e-3, end=6e-4, warmup=100, decay_from=0.3),
    Stage("joint", steps=4800, peak=1.6e-3, end=2e-5, warmup=150, decay_from=0.72, vision_scale=0.3, aux_weight=0.25),
    restart("polish", 700, 8e-4, warmup=40, vision_scale=0.3),
    restart("finish", 520, 6e-4, warmup=20, vision_scale=0.3),
    restart("last", 5000, 1.2e-3, warmup=100, mix=LAST_MIX),
    restart("more", 4200, 9e-4, warmup=100, vision_scale=0.7, mix=MORE_MIX),
    restart("even", 1000, 4e-4, warmup=40, mix=EVEN_MIX),
    restart("colors", 800, 4e-4, warmup=40, mix=EVEN_MIX | {"colors": 10.0, "exist_color": 1.5}),
)
# With --only, and not shipped (README.md)
TRIED = (
    # JSON in two batches of three; the encoder is left as it is, so that the projector's file stays the same
    restart("fields", 600, 1e-3, warmup=30, vision_scale=0.0, mix=EVEN_MIX),
    # … and in one of three: what the stage before had let slip
    restart(
        "keep",
        260,
        6e-4,
        warmup=15,
        vision_scale=0.0,
        mix=EVEN_MIX | {"exist_color": 4.0, "colors": 6.0, "pair_which": 5.0},
    ),
)
DECISIVE = (
    " Yes", " No", " left", " right", " above", " below", " Nothing", " Only", " Both", " yes", " no",
    " different",
)  # fmt: skip
SAVE_EVERY = 200  # steps
LOG_EVERY = 50  # steps


def feed(queue: Any, stage: str, seed: int, first: int, mix_file: str | None, mix: Mapping[str, float]) -> None:
    """Make batch after batch, for ever. Runs in its own process."""
    torch.set_num_threads(1)
    os.nice(5)
    number = first
    while True:
        weights = mix
        if mix_file and Path(mix_file).exists():  # retuning a running job by hand
            weights = json.loads(Path(mix_file).read_text())
        queue.put(batches.make(stage, seed, number, weights))
        number += 1


def batch_stream(stage: Stage, seed: int, first: int, mix_file: str | None) -> Iterator[tuple[np.ndarray, ...]]:
    context = mp.get_context("spawn")
    queue = context.Queue(8)
    worker = context.Process(target=feed, args=(queue, stage.name, seed, first, mix_file, stage.mix), daemon=True)
    worker.start()
    while True:
        yield queue.get()


def save(path: Path, model: StarterModel, optimizers: list[torch.optim.Optimizer], stage: str, step: int) -> None:
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "config": asdict(model.config),
        "stage": stage,
        "step": step,
    }
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


def load_model(path: Path) -> StarterModel:
    state = torch.load(path)
    model = StarterModel(Config(**state["config"]))
    model.load_state_dict(state["model"])
    return model.eval()


def run_stage(
    stage: Stage, model: StarterModel, out: Path, seed: int, resume: Path | None, mix_file: str | None
) -> None:
    """Train one stage to its end; checkpoints go to `out`/<stage>.pt."""
    if not stage.vision_scale:
        for part in (model.encoder, model.mm0, model.mm2, model.aux):
            part.requires_grad_(False)
    optimizers = make_optimizers(model, stage.vision_scale)
    first = 0
    if resume:
        state = torch.load(resume)
        for optimizer, old in zip(optimizers, state["optimizers"], strict=True):
            scales = [group["scale"] for group in optimizer.param_groups]
            optimizer.load_state_dict(old)
            for group, scale in zip(optimizer.param_groups, scales, strict=True):
                group["scale"] = scale  # this run's, should the checkpoint's be another
        first = state["step"]
    stream = batch_stream(stage, seed, first, mix_file)
    log = (out / "log.txt").open("a")
    losses: list[tuple[float, float]] = []
    started, waited = time.process_time(), 0.0
    for step in range(first, stage.steps):
        rate = stage.rate(step)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["scale"]
        before = time.monotonic()
        batch = [torch.from_numpy(part) for part in next(stream)]
        waited += time.monotonic() - before
        with torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
            answer_loss, aux_loss = forward(stage, model, batch)
            loss = answer_loss + stage.aux_weight * aux_loss
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        losses.append((answer_loss.item(), aux_loss.item()))
        done = step + 1
        if done % LOG_EVERY == 0:
            answer, aux = np.mean(losses, 0)
            cpu = time.process_time() - started
            line = (
                f"{stage.name} {done} answers {answer:.4f} labels {aux:.3f} rate {rate:.1e}"
                f" cpu {cpu:.0f} s waited {waited:.0f} s"
            )
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()
            losses = []
        if done % SAVE_EVERY == 0 or done == stage.steps:
            save(out / f"{stage.name}.pt", model, optimizers, stage.name, done)


def forward(stage: Stage, model: StarterModel, batch: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss on the answers' tokens, loss on the dense labels)."""
    if stage.name == "vision":
        pixels, labels = batch
        return torch.zeros(()), model.aux_loss(model.encoder(normalise(pixels)), labels)
    pixels, labels, ids, positions, segments, is_answer = batch
    is_frozen = not stage.vision_scale
    with torch.set_grad_enabled(not is_frozen):
        embeddings, features = model.image(normalise(pixels))
    wanted = F.pad(is_answer[:, 1:], (0, 1))  # position i predicts i + 1
    scores = model.decode(model.inputs(ids, embeddings), positions, visible(segments), wanted)
    targets = ids[:, 1:][is_answer[:, 1:]]
    labels_loss = torch.zeros(()) if is_frozen else model.aux_loss(features, labels)
    return F.cross_entropy(scores.float(), targets, weight=token_weights()), labels_loss


@cache
def token_weights() -> torch.Tensor:
    """Each token's weight in the loss: more for the few that hold a yes/no or a place, which all else follows from."""
    known = tokenizer.load()
    weights = torch.ones(len(known.tokens))
    for word in DECISIVE:
        weights[known.encode(word)] = 4.0
    return weights


def visible(segments: torch.Tensor) -> torch.Tensor:
    """Who sees whom: what came before, if it is the common prefix (segment 0) or one's own segment."""
    length = segments.shape[1]
    earlier = torch.ones(length, length, dtype=torch.bool).tril()
    return ((segments[:, None, :] == 0) | (segments[:, None, :] == segments[:, :, None]))[:, None] & earlier


def train(
    out: Path,
    seed: int,
    only: str | None = None,
    mix_file: str | None = None,
    at_most: int | None = None,
    begin: StarterModel | None = None,
) -> Path:
    """Run all stages, of `at_most` steps each, going on from the newest checkpoint in `out`; return the last's path.

    `begin`: the network to begin `only` with, where `out` has none.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    model = begin or StarterModel(Config())
    path = out / "vision.pt"
    for stage in (*STAGES, *TRIED) if only else STAGES:
        if at_most is not None:
            stage = replace(stage, steps=min(stage.steps, at_most))
        previous, path = path, out / f"{stage.name}.pt"
        if only and stage.name != only:
            continue
        resume = path if path.exists() else None
        if resume or previous.exists():
            model.load_state_dict(torch.load(resume or previous)["model"])
        if HAS_BF16:
            for block in [*model.encoder.blocks, *model.blocks]:
                block.compile(dynamic=False)
        run_stage(stage, model, out, seed, resume, mix_file)
    return path
