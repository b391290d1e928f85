"""Measures the exported towers as mmcli runs them: pictures of fresh seeds, retrieval, classes, binding. No torch."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np

from mmcli.embed import space
from mmcli.embed.recipe import Preparation, Recipe, Wording
from training import batches, pictures, second
from training.embed import claims, wording
from training.embed.claims import Claim, Facts, Part
from training.pictures import COLORS, PAD_COLOR, SHAPES, Picture

MIX = (("scene", 0.86), ("text", 0.05), ("foreign", 0.07), ("empty", 0.02))
SIMPLE = (
    "itap of a {}.", "a bad photo of the {}.", "a origami {}.", "a photo of the large {}.", "a {} in a video game.",
    "art of the {}.", "a photo of the small {}.",
)  # fmt: skip


def opened(folder: Path) -> space.TowerSpace:
    facts = json.loads((folder / "config.json").read_text())
    seen = Preparation(112, "letterbox", ground=PAD_COLOR)
    recipe = Recipe(seen, Wording(32, canonicalise=True, fixed=False), facts["scale"], facts["bias"])
    files = space.TowerFiles(folder / "vision.onnx", folder / "text.onnx", folder / "tokenizer.json")
    return space.open_space("starter", files, recipe, dim=facts["dim"], threads=1)


def vectors(model: space.TowerSpace, drawn: list[Picture]) -> np.ndarray:
    images = [np.asarray(picture.image.convert("RGB")) for picture in drawn]
    return np.concatenate([model.pictures(images[i : i + 32]) for i in range(0, len(images), 32)])


def drawn(seed: int, n: int) -> list[Picture]:
    rng = random.Random(f"judge embed {seed}")
    return [batches.random_picture(rng, batches.drawn_kind(rng, MIX)) for _ in range(n)]


def average_precision(scores: np.ndarray, true: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = true[order].astype(bool)
    ranks = np.flatnonzero(hits) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).mean()) if len(ranks) else float("nan")


def retrieval(model: space.TowerSpace, seen: np.ndarray, facts: Facts, *, german: bool) -> float:
    """Mean average precision of 71 queries: each colour with each shape, each colour, each shape."""
    asked = [Claim((Part(c, s),)) for c in range(len(COLORS)) for s in range(len(SHAPES))]
    asked += [Claim((Part(c),)) for c in range(len(COLORS))] + [Claim((Part(None, s),)) for s in range(len(SHAPES))]
    plain = [_plain(claim.parts[0], german) for claim in asked]
    scores = seen @ model.texts(plain).T
    found = [average_precision(scores[:, i], claims.holds(claim, facts)) for i, claim in enumerate(asked)]
    return float(np.nanmean(found))


def _plain(part: Part, german: bool) -> str:
    if german:
        return wording.german_part(random.Random(0), part)
    words = [COLORS[part.color]] if part.color is not None else []
    return " ".join([*words, SHAPES[part.shape]] if part.shape is not None else words)


def captions(model: space.TowerSpace, seed: int, n: int = 200) -> float:
    """How often the picture a caption was written of comes first among n, or another of which it is true."""
    rng = random.Random(f"captions {seed}")
    scenes = [pictures.scene(rng)[0] for _ in range(n)]
    facts = claims.of_pictures(scenes)
    texts, truths = [], []
    for i in range(n):
        things = [(int(c), int(s)) for c, s in zip(*facts.counts[i].nonzero(), strict=True)]
        claim = Claim(tuple(Part(c, s, m if (m := int(facts.counts[i, c, s])) > 1 else None) for c, s in things))
        texts.append(wording.say(rng, claim, german=False))
        truths.append(claims.holds(claim, facts))
    best = (vectors(model, scenes) @ model.texts(texts).T).argmax(0)
    return float(np.mean([truth[at] for truth, at in zip(truths, best, strict=True)]))


def classes(model: space.TowerSpace, seed: int, which: str, n: int = 300, *, other_hand: bool = False) -> float:
    """How often one shape alone on a picture is given its colour or its shape, by the seven templates."""
    rng = random.Random(f"classes {which} {seed}")
    scenes = [second.scene(rng, 1) if other_hand else pictures.scene(rng, 1)[0] for _ in range(n)]
    names = COLORS if which == "color" else SHAPES
    labels = [name if which == "shape" else f"{name} shape" for name in names]
    means = np.stack([model.texts([form.format(label) for form in SIMPLE]).mean(0) for label in labels])
    guess = (vectors(model, scenes) @ means.T).argmax(1)
    return float(np.mean([getattr(s.things[0], which) == names[g] for s, g in zip(scenes, guess, strict=True)]))


def binding(model: space.TowerSpace, seed: int, n: int = 300) -> float:
    """Two things of different colours and shapes: how often `a red circle and a blue square` beats the swapped one."""
    rng, right, count = random.Random(f"binding {seed}"), 0, 0
    while count < n:
        scene = pictures.scene(rng, 2)[0]
        if len(scene.things) != 2:
            continue
        a, b = scene.things
        if a.shape == b.shape or a.color == b.color:
            continue
        forms = ((a.color, a.shape, b.color, b.shape), (b.color, a.shape, a.color, b.shape))
        score = vectors(model, [scene]) @ model.texts(["a {} {} and a {} {}".format(*form) for form in forms]).T
        right, count = right + int(score[0, 0] > score[0, 1]), count + 1
    return right / count


def strangers(model: space.TowerSpace, seen: np.ndarray, seed: int, n: int = 60) -> float:
    """The median z of the best picture for things that no picture shows, in words that were not trained on."""
    rng = random.Random(f"strangers {seed}")
    scores = seen @ model.texts([wording.nonsense(rng) for _ in range(n)]).T
    middle = np.median(scores, 0)
    spread = 1.4826 * np.median(np.abs(scores - middle), 0)
    return float(np.median((scores.max(0) - middle) / spread))


def calibration(model: space.TowerSpace, seen: np.ndarray, facts: Facts, seed: int, n: int = 400) -> float:
    """Expected calibration error of the sigmoid over pairs, ten bins of equal numbers of pairs near a decision."""
    rng = random.Random(f"calibration {seed}")
    said = [wording.claim_about(rng, facts, rng.randrange(len(facts))) for _ in range(n)]
    scores = seen @ model.texts([wording.say(rng, claim) for claim in said]).T
    odds = 1 / (1 + np.exp(-(scores * model.scale + (model.bias or 0))))
    truth = np.stack([claims.holds(claim, facts) for claim in said], 1)
    known = ~np.isnan(truth) & (odds > 0.02) & (odds < 0.98)
    p, t = odds[known], truth[known]
    return float(sum(abs(p[b].mean() - t[b].mean()) * len(b) for b in np.array_split(np.argsort(p), 10)) / len(p))


def judge(folder: Path, seed: int = 20261201, n: int = 2000) -> dict[str, float]:
    """All figures of the model card."""
    model, shown = opened(folder), drawn(seed, n)
    seen, facts = vectors(model, shown), claims.of_pictures(shown)
    figures = {
        "mAP of 71 queries": retrieval(model, seen, facts, german=False),
        "mAP in German": retrieval(model, seen, facts, german=True),
        "caption to picture, R@1 of 200": captions(model, seed),
        "colour of one shape": classes(model, seed, "color"),
        "shape of one shape": classes(model, seed, "shape"),
        "colour, another renderer": classes(model, seed, "color", other_hand=True),
        "shape, another renderer": classes(model, seed, "shape", other_hand=True),
        "binding of two": binding(model, seed),
        "z of the best for strange words, median": strangers(model, seen, seed),
        "calibration error between .02 and .98": calibration(model, seen, facts, seed),
    }
    for name, value in figures.items():
        print(f"{name}: {value:.3f}", flush=True)
    return figures
