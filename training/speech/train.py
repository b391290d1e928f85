"""Trains the speech model: one schedule, counted in steps, from random weights to the end.

Besides the words to write, three things are taught that only training needs: which phone and which word is being
said every 20 ms, and where the decoder shall look: one head of its first block at the word just written, one of its
second at the word to come. espeak-ng tells these times, so that nothing has to be found out by trial.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from training.optim import make_optimizers
from training.speech import phones, sentences
from training.speech.batches import IGNORED, Batch, Stream
from training.speech.config import Config
from training.speech.model import SpeechModel
from training.speech.tokens import tokens

STEPS = 8_250
SAVE_EVERY = 250  # steps
LOG_EVERY = 50  # steps


@dataclass(frozen=True)
class Schedule:
    """The learning rate: a linear warm-up to `peak`, flat until `decay_from`, then a straight line to nothing."""

    steps: int = STEPS
    peak: float = 3e-3
    warmup: int = 150
    decay_from: float = 0.3  # share of the steps
    positions: int = 4200  # of the encoder, in a batch
    dense_weight: float = 0.5
    gaze_weight: float = 0.3

    def rate(self, step: int) -> float:
        left = (self.steps - step) / ((1 - self.decay_from) * self.steps)
        return self.peak * min(1.0, (step + 1) / self.warmup, left)


def make_model(config: Config | None = None) -> SpeechModel:
    known = tokens()
    words = 1 + len(sentences.lexicon())
    return SpeechModel(config or Config(), known.count, known.capitals(), words, phones.COUNT)


def losses(model: SpeechModel, batch: Batch) -> dict[str, Tensor]:
    """What is wrong with the text, the words and phones of each position, and the decoder's gaze."""
    hidden, middle, bias = model.encoder(batch.mel, batch.empty)
    logits, weights = model.decoder(batch.ids, hidden, bias)
    heard = batch.words != IGNORED
    n = heard.shape[1]
    known = batch.labels != IGNORED
    return {
        "text": F.cross_entropy(logits[known].float(), batch.labels[known]),
        "words": F.cross_entropy(model.word_head(hidden[:, :n][heard]).float(), batch.words[heard]),
        "phones": F.cross_entropy(
            model.phone_head(model.phone_norm(middle[:, :n][heard])).float(), batch.phones[heard]
        ),
        "gaze": gaze(weights[0][:, 0], batch.read) + gaze(weights[1][:, 0], batch.written),
    }


def gaze(weights: Tensor, places: Tensor) -> Tensor:
    """How little of the attention (batch, tokens, positions) lies on the word at `places` (batch, tokens, 2)."""
    at = torch.arange(weights.shape[-1])
    inside = (at >= places[..., :1]) & (at <= places[..., 1:])
    seen = (weights.float() * inside).sum(-1)[places[..., 0] >= 0]
    return -(seen + 1e-3).log().sum() / max(1, len(seen))  # none, where all clips are noise


def load_model(path: Path) -> SpeechModel:
    """The averaged weights of a checkpoint, to export or to look at."""
    state = torch.load(path)
    model = make_model(Config(**state["config"]))
    model.load_state_dict(state["average"])
    return model.eval()


def train(corpus: Path, out: Path, seed: int, schedule: Schedule, config: Config | None = None) -> Path:
    """Train to the schedule's end, going on from `out`/speech.pt where there is one; return its path."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "speech.pt"
    model = make_model(config)
    optimizers = make_optimizers(model, vision_scale=1.0)
    average = {name: value.clone() for name, value in model.state_dict().items()}
    first_step, first_pool = 0, 0
    if path.exists():
        state = torch.load(path)
        model.load_state_dict(state["model"])
        average = state["average"]
        for optimizer, old in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(old)
        first_step, first_pool = state["step"], state["pool"] + 1
    loader: Any = DataLoader(
        Stream(corpus, seed, first_pool, schedule.positions), batch_size=None, num_workers=1, prefetch_factor=8,
        worker_init_fn=give_way, multiprocessing_context="fork",
    )  # fmt: skip
    stream = iter(loader)
    log = (out / "log.txt").open("a")
    sums: dict[str, float] = defaultdict(float)
    started, waited = time.process_time(), 0.0
    for step in range(first_step, schedule.steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate(step)
        before = time.monotonic()
        pool, batch = next(stream)
        waited += time.monotonic() - before
        with torch.autocast("cpu", torch.bfloat16):
            parts = losses(model, batch)
        dense = schedule.dense_weight * (parts["words"] + parts["phones"])
        loss = parts["text"] + dense + schedule.gaze_weight * parts["gaze"]
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        average_in(average, model, step)
        for name, value in parts.items():
            sums[name] += value.item() / LOG_EVERY
        sums["clips"] += batch.clips
        done = step + 1
        if done % LOG_EVERY == 0:
            told = " ".join(f"{name} {value:.4f}" for name, value in sums.items() if name != "clips")
            line = (
                f"{done} {told} clips {sums['clips']:.0f} rate {schedule.rate(step):.1e}"
                f" cpu {time.process_time() - started:.0f} s waited {waited:.0f} s"
            )
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()
            sums.clear()
        if done % SAVE_EVERY == 0 or done == schedule.steps:
            state = {
                "model": model.state_dict(), "average": average, "optimizers": [o.state_dict() for o in optimizers],
                "config": asdict(model.config), "step": done, "pool": pool,
            }  # fmt: skip
            torch.save(state, path.with_suffix(".tmp"))
            os.replace(path.with_suffix(".tmp"), path)
    return path


def give_way(_: int) -> None:
    """The process that makes batches is not to hold up the one that trains."""
    os.nice(max(0, 10 - os.nice(0)))


@torch.no_grad()
def average_in(average: dict[str, Tensor], model: SpeechModel, step: int) -> None:
    """Move the averaged weights towards the newest: what is exported before the rate has come down."""
    keep = min(0.998, (step + 1) / (step + 10))
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - keep)
