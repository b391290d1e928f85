"""Pictures of the starter's kind as features of its encoder, computed once and kept on disk; and batches of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from training import batches, pictures, tokenizer
from training.embed import claims, wording
from training.embed.claims import Facts
from training.embed.model import Sizes, frozen_encoder
from training.model import normalise
from training.optim import HAS_BF16

MIX = (("scene", 0.86), ("text", 0.05), ("foreign", 0.07), ("empty", 0.02))
CHUNK = 100


def draw(seed: str, n: int) -> tuple[np.ndarray, Facts]:
    """n pictures, (n, 112, 112, 3) uint8, and what is on them."""
    rng = random.Random(seed)
    drawn = [batches.random_picture(rng, batches.drawn_kind(rng, MIX)) for _ in range(n)]
    return np.stack([pictures.preprocess(p.image) for p in drawn]), claims.of_pictures(drawn)


def features(pixels: np.ndarray) -> torch.Tensor:
    """(n, patches, width) float16."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=HAS_BF16):
        return ENCODER(normalise(torch.from_numpy(pixels))).half()


ENCODER = frozen_encoder()


def build(folder: Path, name: str, seed: int, n: int) -> tuple[np.ndarray, Facts]:
    """The features of n pictures (n, patches, width) as a mapped file, made where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    file, facts_file = folder / f"{name}.npy", folder / f"{name}-facts.npz"
    if not facts_file.exists():
        out = np.lib.format.open_memmap(file, "w+", np.float16, (n, 64, 192))
        parts = []
        for start in range(0, n, CHUNK):
            if start % 2000 == 0:
                print(f"{name}: {start} pictures", flush=True)
            pixels, facts = draw(f"embed {seed} {name} {start}", CHUNK)
            out[start : start + CHUNK] = features(pixels).numpy()
            parts.append(facts)
        out.flush()
        np.savez(facts_file, **vars(claims.joined(parts)))
    return np.load(file, mmap_mode="r"), Facts(**np.load(facts_file))


def canonical(text: str) -> str:
    """As mmcli writes a query before it is cut into tokens."""
    from string import punctuation

    return " ".join(text.lower().translate(str.maketrans("", "", punctuation)).split())


def tokens(texts: list[str], sizes: Sizes) -> np.ndarray:
    """(n, longest) ids, 0 where there are no more; each word begins with a space."""
    known = tokenizer.load()
    rows = [known.encode(" " + canonical(text))[: sizes.length] or [1] for text in texts]
    out = np.zeros((len(rows), max(len(row) for row in rows)), np.int64)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out


@dataclass
class Batch:
    """Features of n pictures, ids of m phrases from the shortest on, and the truth (n, m).

    `swapped`: pictures (by their place) with ids of a phrase that is true and of the same with its colours swapped.
    """

    features: torch.Tensor
    ids: torch.Tensor
    truth: torch.Tensor
    swapped: tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def batch(rng: random.Random, table: np.ndarray, facts: Facts, sizes: Sizes, n: int, m: int, pairs: int) -> Batch:
    at = np.sort(np.array(rng.sample(range(len(facts)), n)))
    chosen = facts[at]
    said = [wording.claim_about(rng, chosen, rng.randrange(n)) for _ in range(m)]
    truth = np.stack([claims.holds(claim, chosen) for claim in said], 1)
    ids = tokens([wording.say(rng, claim) for claim in said], sizes)
    order = np.argsort((ids != 0).sum(1), kind="stable")
    features, texts = torch.from_numpy(table[at]).float(), torch.from_numpy(ids[order])
    return Batch(features, texts, torch.from_numpy(truth[:, order]), swaps(rng, chosen, sizes, pairs))


def swaps(rng: random.Random, facts: Facts, sizes: Sizes, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Only binding tells these apart, and in a batch of all kinds of pairs they are one in thousands."""
    places, right, wrong = [], [], []
    for place in rng.sample(range(len(facts)), len(facts)):
        pair = wording.swapped(rng, facts, place)
        if pair is not None and len(places) < n:
            places.append(place)
            right.append(pair[0])
            wrong.append(pair[1])
    ids = torch.from_numpy(tokens(right + wrong, sizes))
    return torch.tensor(places), ids[: len(right)], ids[len(right) :]
