"""Measures a model: teacher-forced while training, and through mmcli's own engine on the exported files."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from training import batches, pairs, pictures, questions
from training.questions import Turn

if TYPE_CHECKING:
    from training.model import StarterModel


@dataclass(frozen=True)
class Item:
    """One question with its picture or pictures, after earlier turns; right only if the whole answer is."""

    skill: str
    images: tuple[Image.Image, ...]
    turns: tuple[Turn, ...]

    @property
    def last(self) -> Turn:
        return self.turns[-1]


def make_items(seed: int, n: int, held: bool, skills: Iterable[str] | None = None) -> list[Item]:
    """`n` questions of each skill on freshly drawn pictures (never trained on: another seed)."""
    rng = random.Random(f"{seed} evaluation {held}")
    items: list[Item] = []

    def add(skill: str, images: tuple[Image.Image, ...], *turns: Turn) -> None:
        items.append(Item(skill, images, turns))

    def fill(skill: str) -> None:
        done = 0
        while done < n:
            if skill in pairs.SKILLS and skill not in ("read", "off_topic"):
                first, second, answer = pairs.draw_pair(rng)
                turn = pairs.one(rng, first, second, answer, skill, held)
                images: tuple[Image.Image, ...] = (first.image, second.image)
            elif skill == "two_turns":
                picture = pictures.scene(rng)[0]
                said = questions.dialogue(rng, picture, 2, {}, held)
                if len(said) == 2:
                    add(skill, (picture.image,), *said)
                    done += 1
                continue
            elif skill.startswith(("foreign_", "text_")):
                kind, what = skill.split("_")
                picture = batches.random_picture(rng, kind)
                turn = questions.one(rng, picture, pick(rng) if what == "other" else what, held)
                images = (picture.image,)
            elif skill == "no_picture":
                turn, images = questions.one(rng, None, pick(rng), held), ()
            elif skill in ("off_topic", "small_talk"):
                scene = pictures.scene(rng)[0] if rng.random() < 0.7 else None
                turn, images = questions.one(rng, scene, skill, held), ((scene.image,) if scene else ())
            elif skill == "empty":
                picture = pictures.empty(rng)
                turn, images = (
                    questions.one(rng, picture, rng.choice(("describe", "count", "exist")), held),
                    (picture.image,),
                )
            else:
                picture = pictures.scene(rng)[0]
                turn, images = questions.one(rng, picture, skill, held), (picture.image,)
            if turn:
                add(skill, images, turn)
                done += 1

    for skill in skills or SKILLS:
        fill(skill)
    return items


def pick(rng: random.Random) -> str:
    skills = [s for s in questions.SCENE_SKILLS if s not in ("differ_alone", "read", "describe")]
    return rng.choice(["describe", *skills])


SKILLS = (
    "describe", "count", "count_shape", "count_color", "color", "shape", "colors", "exist", "exist_shape",
    "exist_color", "is_color", "is_count", "is_shape", "is_one", "all_same", "relation", "is_relation", "place",
    "beside", "extreme", "background", "is_background", "differ", "same", "pair_describe", "pair_one",
    "pair_count", "pair_color", "pair_which", "two_turns", "read", "text_read", "text_describe", "text_other",
    "foreign_describe", "foreign_read", "foreign_other", "no_picture", "off_topic", "small_talk", "empty",
)  # fmt: skip


def teacher_forced(model: StarterModel, items: list[Item], batch: int = 16) -> list[bool]:
    """Whether greedy decoding would give exactly the answer: every answer token is the likeliest."""
    import torch

    from training.model import normalise
    from training.train import visible

    rng = random.Random(1)
    rng.random = lambda: 0.5  # type: ignore[method-assign]  # no system prompt, the usual newline
    right: list[bool] = []
    for start in range(0, len(items), batch):
        chunk = items[start : start + batch]
        rows = [batches.talk(rng, len(item.images), list(item.turns)) for item in chunk]
        ids, positions, segments, is_answer = (torch.from_numpy(a) for a in batches.collated(rows))
        longest = max(len(row.ids) for row in rows)
        ids, positions, segments, is_answer = (a[:, :longest] for a in (ids, positions, segments, is_answer))
        images = [pictures.preprocess(image) for item in chunk for image in item.images]
        with torch.no_grad():
            embeddings = model.image(normalise(torch.from_numpy(np.stack(images))))[0] if images else None
            scores = model.decode(model.inputs(ids, embeddings), positions, visible(segments))
        correct = (scores[:, :-1].argmax(-1) == ids[:, 1:]) | ~is_answer[:, 1:]
        last = [len(encoded) for encoded in (batches.encode_turn("\n", item.last)[1] for item in chunk)]
        for i, row in enumerate(rows):
            end = len(row.ids) - 1
            right.append(bool(correct[i, end - last[i] : end].all()))
    return right


def table(items: list[Item], right: list[bool]) -> dict[str, tuple[float, int]]:
    """Skill -> (share right, n)."""
    marks: dict[str, list[bool]] = defaultdict(list)
    for item, mark in zip(items, right, strict=True):
        marks[item.skill].append(mark)
    return {skill: (sum(m) / len(m), len(m)) for skill, m in marks.items()}
