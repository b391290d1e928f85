"""Judges exported weights through mmcli's own engine at temperature 0: needs neither torch nor the training run."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import numpy as np
from PIL import Image

from training import evaluate, pairs, questions, second, strangers
from training.evaluate import Item


class Judge:
    """mmcli's engine, asked one conversation after another."""

    def __init__(self, weights: Path, projector: Path) -> None:
        from mmcli import engine, models
        from mmcli.engine.local.engine import Options

        model = models.find(str(weights), projector)
        assert isinstance(model, models.Model)
        self.engine = engine.load(weights, projector, Options(media_newline=model.media_newline))

    def answer(self, images: tuple[Image.Image, ...], said: list[str]) -> str:
        """The answer to the last of `said`: questions and answers in turn, the first with the pictures."""
        from mmcli.engine import Message, Sampling

        messages = [
            Message(
                "user" if i % 2 == 0 else "assistant", (*(medium(im) for im in images), text) if i == 0 else (text,)
            )
            for i, text in enumerate(said)
        ]
        pieces = self.engine.generate(messages, Sampling(temperature=0, max_tokens=128))
        return "".join(piece.text for piece in pieces).strip()


def medium(image: Image.Image) -> object:
    """A Pillow image as mmcli's own."""
    from mmcli.media import Image as Medium
    from mmcli.media import Receipt

    pixels = np.ascontiguousarray(image.convert("RGB"))  # (height, width, 3) uint8
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    receipt = Receipt("drawn", "image", digest, pixels.nbytes, "PNG", image.size, image.size)
    return Medium(pixels, digest, receipt)


def judged(judge: Judge, items: list[Item]) -> list[tuple[Item, str, bool]]:
    out = []
    for item in items:
        said = [text for turn in item.turns for text in (turn.question, turn.answer)][:-1]
        answer = judge.answer(item.images, said)
        wanted = (item.last.answer, questions.TEXT_SEEN) if item.skill == "photo" else (item.last.answer,)
        out.append((item, answer, answer in wanted))
    return out


def second_items(seed: int, n: int) -> list[Item]:
    """Held-out phrasings on pictures of the second renderer."""
    rng = random.Random(f"{seed} second")
    items: list[Item] = []
    for skill in questions.SCENE_SKILLS:
        done = 0
        while done < n and skill != "differ_alone":
            picture = second.scene(rng)
            turn = questions.one(rng, picture, skill, True)
            if turn:
                items.append(Item(skill, (picture.image,), (turn,)))
                done += 1
    for skill in ("differ", "same", "pair_describe", "pair_count", "pair_color", "pair_which"):
        done = 0
        while done < n:
            first, other = second.pair(rng)
            turn = pairs.one(rng, first, other, pairs.difference(first, other), skill, True)
            if turn:
                items.append(Item(skill, (first.image, other.image), (turn,)))
                done += 1
    return items


def photo_items(folder: Path) -> list[Item]:
    """Real photographs, where the machine has some: described, they must be declined."""
    items = []
    for path in sorted(folder.glob("*.*")):
        image = Image.open(path).convert("RGB")
        for question in ("What is in this picture?", "How many shapes are there?", "Is there a red circle?"):
            items.append(Item("photo", (image,), (questions.Turn("photo", question, questions.FOREIGN),)))
    return items


def judge(weights: Path, projector: Path, seed: int, n: int, report: Path | None, photos: Path | None = None) -> None:
    """Print three tables (and what went wrong): held-out, second renderer, strangers' questions."""
    running = Judge(weights, projector)
    figures: dict[str, dict[str, tuple[float, int]]] = {}
    sets = {
        "held-out pictures and phrasings": evaluate.make_items(seed, n, True, [s for s in evaluate.SKILLS]),
        "second renderer, held-out phrasings": second_items(seed, n),
    }
    if photos:
        sets["photographs"] = photo_items(photos)
    for name, items in sets.items():
        results = judged(running, items)
        figures[name] = evaluate.table(items, [right for _, _, right in results])
        show(name, figures[name])
        wrong = [(item, answer) for item, answer, right in results if not right]
        for item, answer in wrong[:: max(1, len(wrong) // 40)]:
            print(f"    {item.skill}: {item.last.question} -> {answer}   (right: {item.last.answer})")
    drawn = strangers.fixed_pictures()
    table: dict[str, tuple[float, int]] = {}
    for group, asked in strangers.GROUPS.items():
        marks = []
        for one in asked:
            answer = running.answer(tuple(drawn[name] for name in one.pictures), [one.question])
            marks.append(strangers.is_right(one, answer))
            if not marks[-1]:
                print(f"    {group}: [{one.pictures}] {one.question} -> {answer}   (wanted: {' '.join(one.words)})")
        table[group] = (sum(marks) / len(marks), len(marks))
    figures["strangers' questions"] = table
    show("strangers' questions", table)
    if report:
        report.write_text(json.dumps(figures, indent=1))


def show(name: str, figures: dict[str, tuple[float, int]]) -> None:
    right, total = sum(share * n for share, n in figures.values()), sum(n for _, n in figures.values())
    print(f"{name}: {right:.0f} of {total}, {right / total:.1%}")
    for skill, (share, n) in figures.items():
        print(f"  {skill:18} {share:6.1%}  of {n}")
