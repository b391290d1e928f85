"""Turns pictures and questions into arrays of one fixed shape.

A row is the exact token sequence of the chat template. To save work, several independent questions share
one row: all see the prefix with the picture (segment 0), none sees another's segment, and each one's
positions start right after the prefix.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from training import fields, others, pairs, pictures, questions, tokenizer
from training.config import IMAGE_ID, Config
from training.pictures import Picture
from training.questions import Turn

IMAGE_TOKENS = Config().image_tokens
LENGTH = 256  # tokens of a row
FIELDS_LENGTH, FIELDS_ROWS = 512, 8  # the same of rows that ask for JSON: the schema takes most of it
SINGLE, DOUBLE, NONE = 16, 6, 2  # rows with one picture, two, none
PICTURES = SINGLE + 2 * DOUBLE  # in every batch
UNSEEN = 99  # the segment of padding
VISION_MIX = (("scene", 0.8), ("text", 0.07), ("foreign", 0.11), ("empty", 0.02))
JOINT_MIX = (("scene", 0.76), ("text", 0.08), ("foreign", 0.13), ("empty", 0.03))
SYSTEM = (
    "You are a helpful assistant.", "You are a helpful assistant that looks at pictures.", "Answer briefly.",
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions.", "Be concise.", "You answer questions about images.",
)  # fmt: skip


def random_picture(rng: random.Random, kind: str) -> Picture:
    if kind == "scene":
        return pictures.scene(rng)[0]
    return {"text": others.text, "foreign": others.foreign, "empty": pictures.empty}[kind](rng)


def drawn_kind(rng: random.Random, mix: tuple[tuple[str, float], ...]) -> str:
    return rng.choices([kind for kind, _ in mix], [share for _, share in mix])[0]


@dataclass
class Row:
    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    is_answer: list[bool] = field(default_factory=list)
    length: int = LENGTH

    def add(self, ids: list[int], segment: int = 0, answer: bool = False, start: int | None = None) -> None:
        if start is None:
            start = self.positions[-1] + 1 if self.positions else 0
        self.ids += ids
        self.positions += range(start, start + len(ids))
        self.segments += [segment] * len(ids)
        self.is_answer += [answer] * len(ids)

    def fits(self, *parts: list[int]) -> bool:
        return len(self.ids) + sum(len(part) for part in parts) <= self.length


def encode_turn(before: str, turn: Turn) -> tuple[list[int], list[int]]:
    """(question up to `ASSISTANT:`, answer with its end token). JSON begins at once, as under a grammar."""
    known = tokenizer.load()
    question = known.encode(f"{before}{turn.question}\nASSISTANT:")
    answer = turn.answer if turn.skill == "fields" else f" {turn.answer}"
    return question, [*known.encode(answer), tokenizer.EOS]


def opening(rng: random.Random, n_pictures: int, length: int = LENGTH) -> tuple[Row, str]:
    """The prefix up to the last picture, and what joins the question to it."""
    known, row = tokenizer.load(), Row(length=length)
    row.add([tokenizer.BOS])
    system = rng.choice(SYSTEM) + "\n\n" if rng.random() < 0.04 else ""
    if not n_pictures:
        row.add(known.encode(f"{system}USER:"))
        return row, " "
    row.add(known.encode(f"{system}USER: "))
    for i in range(n_pictures):
        if i:
            row.add(known.encode("\n"))
        row.add([IMAGE_ID] * IMAGE_TOKENS)
    return row, "\n" if rng.random() < 0.94 else ""


def independent(rng: random.Random, n_pictures: int, turns: list[Turn], length: int = LENGTH) -> Row:
    row, join = opening(rng, n_pictures, length)
    start = row.positions[-1] + 1
    for segment, turn in enumerate(turns, 1):
        question, answer = encode_turn(join, turn)
        if not row.fits(question, answer):
            continue
        row.add(question, segment, start=start)
        row.add(answer, segment, answer=True)
    return row


def talk(rng: random.Random, n_pictures: int, turns: list[Turn]) -> Row:
    row, before = opening(rng, n_pictures)
    return goes_on(row, before, turns)


def goes_on(row: Row, before: str, turns: list[Turn]) -> Row:
    """Add turn after turn while there is room."""
    for turn in turns:
        question, answer = encode_turn(before, turn)
        if not row.fits(question, answer):
            break
        row.add(question)
        row.add(answer, answer=True)
        before = "\nUSER: "
    return row


def later_picture(rng: random.Random, first: Picture, second: Picture, change: str, weights: dict[str, float]) -> Row:
    """A talk in which the second picture comes with a later question."""
    row, join = opening(rng, 1)
    opener = questions.turns(rng, first, 1, weights) or [Turn("describe", "What is this?", questions.describe(first))]
    question, answer = encode_turn(join, opener[0])
    row.add(question)
    row.add(answer, answer=True)
    row.add(tokenizer.load().encode("\nUSER: "))
    row.add([IMAGE_ID] * IMAGE_TOKENS)
    if len(row.ids) > LENGTH:  # a long opening answer left no room
        return independent(rng, 2, pairs.turns(rng, first, second, change, 7, weights))
    if rng.random() < 0.5:
        turns = pairs.turns(rng, first, second, change, 3, weights)
    else:
        turns = questions.turns(rng, second, 3, weights | {"differ_alone": 0.0})
    return goes_on(row, "\n", turns)


def make(stage: str, seed: int, number: int, weights: dict[str, float]) -> tuple[np.ndarray, ...]:
    """Batch `number` of a stage, always the same one."""
    rng = random.Random(f"{seed} {stage} {number}")
    if stage == "vision":
        return prepared([random_picture(rng, drawn_kind(rng, VISION_MIX)) for _ in range(PICTURES)])
    if (stage == "fields" and number % 3) or (stage == "keep" and number % 3 == 0):
        return for_fields(rng)
    drawn: list[Picture] = []
    rows: list[Row] = []
    for _ in range(SINGLE):
        picture = random_picture(rng, drawn_kind(rng, JOINT_MIX))
        drawn.append(picture)
        if rng.random() < 0.25:
            rows.append(talk(rng, 1, questions.dialogue(rng, picture, rng.choice((2, 4, 8, 9)), weights)))
        else:
            rows.append(independent(rng, 1, questions.turns(rng, picture, 9, weights)))
    for _ in range(DOUBLE):
        first, second, change = pairs.draw_pair(rng)
        if rng.random() < 0.04:
            second = random_picture(rng, "foreign")
            if rng.random() < 0.5:
                first, second = second, first
        drawn += [first, second]
        if rng.random() < 0.15 and first.kind == second.kind == "scene":
            rows.append(later_picture(rng, first, second, change, weights))
        else:
            layout = talk if rng.random() < 0.15 else independent
            rows.append(layout(rng, 2, pairs.turns(rng, first, second, change, 7, weights)))
    for _ in range(NONE):
        layout = talk if rng.random() < 0.15 else independent
        rows.append(layout(rng, 0, questions.turns(rng, None, 12, weights)))
    return (*prepared(drawn), *collated(rows))


def for_fields(rng: random.Random) -> tuple[np.ndarray, ...]:
    """A batch of rows that ask for JSON, two or three schemas to a picture."""
    drawn: list[Picture] = []
    rows: list[Row] = []
    for _ in range(FIELDS_ROWS):
        kind = "alike" if rng.random() < 0.45 else drawn_kind(rng, JOINT_MIX)
        picture = fields.alike(rng) if kind == "alike" else random_picture(rng, kind)
        drawn.append(picture)
        rows.append(independent(rng, 1, [fields.turn(rng, picture) for _ in range(5)], FIELDS_LENGTH))
    return (*prepared(drawn), *collated(rows, FIELDS_LENGTH))


def prepared(drawn: list[Picture]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, size, size, 3) uint8 and dense labels (n, heads, image tokens) int64."""
    pixels = np.stack([pictures.preprocess(picture.image) for picture in drawn])
    return pixels, np.stack([pictures.aux_labels(picture) for picture in drawn])


def collated(rows: list[Row], length: int = LENGTH) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """IDs, positions, segments and answer marks, each (rows, length), padded."""
    shape = (len(rows), length)
    ids, positions = np.full(shape, tokenizer.PAD, np.int64), np.zeros(shape, np.int64)
    segments, is_answer = np.full(shape, UNSEEN, np.int64), np.zeros(shape, bool)
    for i, row in enumerate(rows):
        n = len(row.ids)
        assert n <= length, n
        ids[i, :n], positions[i, :n], segments[i, :n], is_answer[i, :n] = (
            row.ids,
            row.positions,
            row.segments,
            row.is_answer,
        )
    return ids, positions, segments, is_answer
