"""A second renderer, for tests only: distance formulas instead of polygons, CSS shades, big pictures.

Shares nothing with `pictures` but the names and the Thing it tells the truth with.
"""

from __future__ import annotations

import math
import random

import numpy as np
from PIL import Image

from training.pictures import IMAGE_SIZE, SHAPES, Picture, Thing, in_order

CSS = {
    "red": ("#ff0000", "#dc143c", "#e6261f", "#d62728"),
    "green": ("#008000", "#00ff00", "#228b22", "#2ca02c", "#32cd32"),
    "blue": ("#0000ff", "#1e90ff", "#4169e1", "#1f4fd8"),
    "yellow": ("#ffff00", "#ffd700", "#f7e017"),
    "orange": ("#ffa500", "#ff8c00", "#ff7f0e"),
    "purple": ("#800080", "#8a2be2", "#7b3fa0"),
    "pink": ("#ffc0cb", "#ff69b4", "#ff8fc7"),
    "black": ("#000000", "#141414"),
    "white": ("#ffffff", "#fafafa"),
    "brown": ("#8b4513", "#a52a2a", "#7a4a21"),
    "gray": ("#808080", "#777777", "#888888"),
}
GROUNDS = ("#ffffff", "#ffffff", "#f5f5dc", "#f0f8ff", "#000000", "#e8f4e8", "#fff8e7", "#2b2b3a", "#d9e6f2")


def rgb(code: str) -> tuple[int, int, int]:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def inside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points of the unit square -1..1 a shape covers; y points down."""
    if shape == "circle":
        return x**2 + y**2 <= 1
    if shape == "square":
        return np.maximum(abs(x), abs(y)) <= 0.88
    if shape == "cross":
        return (np.minimum(abs(x), abs(y)) <= 0.3) & (np.maximum(abs(x), abs(y)) <= 1)
    if shape == "triangle":
        return (y <= 0.7) & (abs(x) <= (y + 1) * 0.56)
    angle = np.arctan2(x, -y) % (2 * math.pi / 5)
    angle = np.minimum(angle, 2 * math.pi / 5 - angle)  # 0 at a tip, 36 degrees between two
    tip, notch = np.array([1.0, 0.0]), 0.42 * np.array([math.cos(math.pi / 5), math.sin(math.pi / 5)])
    radius = np.hypot(x, y)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    return (notch[0] - tip[0]) * v - notch[1] * (u - tip[0]) >= 0


def paint(things: list[tuple[str, str, float, float, float]], width: int, height: int, ground: str) -> Image.Image:
    """Draw (shape, colour code, x, y, radius) in pixels, four samples to a pixel."""
    pixels = np.empty((2 * height, 2 * width, 3), np.float32)
    pixels[:] = rgb(ground)
    for shape, code, x, y, radius in things:
        left, top = max(0, int(2 * (x - 1.2 * radius))), max(0, int(2 * (y - 1.2 * radius)))
        part = pixels[top : int(2 * (y + 1.2 * radius)) + 1, left : int(2 * (x + 1.2 * radius)) + 1]
        ys, xs = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]] / 2 + 0.25
        part[inside(shape, (xs - x) / radius, (ys - y) / radius)] = rgb(code)
    pixels = pixels.reshape(height, 2, width, 2, 3).mean((1, 3))
    return Image.fromarray(pixels.round().astype(np.uint8))


def scene(rng: random.Random, count: int | None = None) -> Picture:
    """Shapes strewn over a big picture, well apart."""
    width, height = rng.choice(((640, 480), (400, 400), (800, 600), (480, 320), (512, 512), (300, 500), (720, 405)))
    ground = rng.choice(GROUNDS)
    count = count or rng.choice((1, 2, 2, 3, 3, 4))
    scale = IMAGE_SIZE / max(width, height)
    placed: list[tuple[str, str, str, float, float, float]] = []
    for _ in range(500):
        if len(placed) == count:
            break
        radius = rng.uniform(0.07, 0.16 if count > 2 else 0.22) * max(width, height)
        radius = min(radius, min(width, height) * 0.3)
        x, y = rng.uniform(radius * 1.1, width - radius * 1.1), rng.uniform(radius * 1.1, height - radius * 1.1)
        color = rng.choice(tuple(CSS))
        code = rng.choice(CSS[color])
        plain = sum(abs(a - b) for a, b in zip(rgb(code), rgb(ground), strict=True)) > 130
        apart = all(
            math.hypot(x - p[3], y - p[4]) > 1.15 * (radius + p[5]) and abs(x - p[3]) * scale > 7 for p in placed
        )
        if plain and apart:
            placed.append((rng.choice(SHAPES), color, code, x, y, radius))
    image = paint([(s, code, x, y, r) for s, _, code, x, y, r in placed], width, height, ground)
    left, top = (IMAGE_SIZE - width * scale) / 2, (IMAGE_SIZE - height * scale) / 2
    things = [Thing(s, c, x * scale + left, y * scale + top, r * scale) for s, c, _, x, y, r in placed]
    name = {"#ffffff": "white", "#000000": "black"}.get(ground)
    return Picture(image, "scene", in_order(things), name, (left, top, width * scale, height * scale))


def pair(rng: random.Random) -> tuple[Picture, Picture]:
    """Two pictures of one size with one change or none."""
    width, height = rng.choice(((640, 480), (400, 400), (480, 320)))
    ground = rng.choice(("#ffffff", "#f5f5dc", "#f0f8ff"))
    colors = [c for c in CSS if c != "white"]
    n = rng.choice((2, 3))
    step = width / n
    before = [
        (rng.choice(SHAPES), rng.choice(colors), (i + 0.5) * step, height * rng.uniform(0.3, 0.7), 0.13 * width)
        for i in range(n)
    ]
    after = list(before)
    i = rng.randrange(n)
    shape, color, x, y, r = before[i]
    change = rng.choice(("color", "shape", "added", "removed", "same"))
    if change == "color":
        after[i] = (shape, rng.choice([c for c in colors if c != color]), x, y, r)
    elif change == "shape":
        after[i] = (rng.choice([s for s in SHAPES if s != shape]), color, x, y, r)
    elif change != "same":
        del after[i]
    if change == "added":
        before, after = after, before
    shades = {c: rng.choice(CSS[c]) for c in colors}
    scale = IMAGE_SIZE / max(width, height)
    made = []
    for things in (before, after):
        image = paint([(s, shades[c], x, y, r) for s, c, x, y, r in things], width, height, ground)
        told = in_order([Thing(s, c, x * scale, y * scale, r * scale) for s, c, x, y, r in things])
        made.append(Picture(image, "scene" if told else "empty", told))
    return made[0], made[1]
