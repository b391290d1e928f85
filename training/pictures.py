"""Draws the training pictures: scenes of coloured shapes, and what they come as. Knows nothing of questions.

Coordinates of objects are in the model's square of IMAGE_SIZE pixels, after llama.cpp's letterboxing.
"""

from __future__ import annotations

import colorsys
import io
import math
import random
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.config import AUX_HEADS, Config

CONFIG = Config()
IMAGE_SIZE, PATCH, GRID = CONFIG.image_size, CONFIG.patch_size, CONFIG.grid
PAD_COLOR = (122, 116, 104)  # what llama.cpp letterboxes with

SHAPES = ("circle", "square", "triangle", "star", "cross")
COLORS = ("red", "green", "blue", "yellow", "orange", "purple", "pink", "black", "white", "brown", "gray")
KINDS = ("scene", "empty", "text", "foreign")
MAX_OBJECTS = 6
THIRDS = (0.36, 0.64)  # where a picture's left, middle and right part; top and bottom too
MIN_RANK_GAP = 6.0  # pixels between centres, so that "left to right" is plain

Color = tuple[int, int, int]

# Hue (degrees), saturation, value ranges of each name; wide enough for CSS names and other renderers' shades.
SHADES: dict[str, tuple[tuple[float, float, float, float, float, float], ...]] = {
    "red": ((-7, 7, 0.86, 1, 0.7, 1), (-6, 8, 0.72, 1, 0.82, 1), (0, 0, 1, 1, 1, 1), (345, 352, 0.85, 0.95, 0.8, 0.9)),
    "green": ((95, 150, 0.5, 1, 0.45, 0.9), (105, 135, 0.7, 1, 0.4, 1), (120, 120, 1, 1, 0.5, 1)),
    "blue": ((205, 245, 0.6, 1, 0.6, 1), (218, 242, 0.75, 1, 0.5, 1), (240, 240, 1, 1, 0.5, 1)),
    "yellow": ((48, 61, 0.65, 1, 0.88, 1), (60, 60, 1, 1, 1, 1)),
    "orange": ((20, 39, 0.85, 1, 0.92, 1), (24, 36, 0.75, 1, 0.92, 1)),
    "purple": ((268, 290, 0.45, 1, 0.45, 0.85), (285, 302, 0.6, 1, 0.4, 0.72), (300, 300, 1, 1, 0.5, 0.5)),
    "pink": ((325, 352, 0.25, 0.6, 0.95, 1), (300, 325, 0.25, 0.5, 0.95, 1)),
    "black": ((0, 360, 0, 0.3, 0, 0.12), (0, 0, 0, 0, 0, 0)),
    "white": ((0, 360, 0, 0.04, 0.96, 1), (0, 0, 0, 0, 1, 1)),
    "brown": ((15, 30, 0.5, 0.87, 0.32, 0.58), (-3, 12, 0.6, 0.78, 0.45, 0.67), (20, 30, 0.6, 0.8, 0.5, 0.65)),
    "gray": ((0, 360, 0, 0.06, 0.38, 0.7), (0, 0, 0, 0, 0.5, 0.5)),
}


@dataclass(frozen=True)
class Thing:
    """One shape: `x`, `y` its centre and `radius`, in pixels of the model's square."""

    shape: str
    color: str
    x: float
    y: float
    radius: float
    paint: Color = (0, 0, 0)
    turn: float = 0.0  # degrees
    variant: float = 0.5  # 0..1: slimmer or fatter


@dataclass(frozen=True)
class Picture:
    """A drawn picture and the truth about it; `things` go from left to right (a column: top to bottom)."""

    image: Image.Image
    kind: str
    things: tuple[Thing, ...] = ()
    background: str | None = None  # its colour's name, when it has a plain one
    frame: tuple[float, float, float, float] = (0, 0, IMAGE_SIZE, IMAGE_SIZE)  # left, top, width, height


@dataclass(frozen=True)
class Canvas:
    """The size a picture is drawn at and its ground; `scale` turns model pixels into its own."""

    width: int
    height: int
    ground: Color
    ground_name: str | None
    ground_end: Color | None = None  # a vertical gradient's other end

    @property
    def scale(self) -> float:
        return max(self.width, self.height) / IMAGE_SIZE

    @property
    def span(self) -> tuple[float, float]:
        """Width and height in model pixels."""
        return self.width / self.scale, self.height / self.scale

    @property
    def offset(self) -> tuple[float, float]:
        width, height = self.span
        return (IMAGE_SIZE - width) / 2, (IMAGE_SIZE - height) / 2

    @property
    def frame(self) -> tuple[float, float, float, float]:
        return (*self.offset, *self.span)


def preprocess(image: Image.Image) -> np.ndarray:
    """What llama.cpp's fixed-size preprocessor makes of it: (IMAGE_SIZE, IMAGE_SIZE, 3) uint8."""
    width, height = image.size
    if (width, height) == (IMAGE_SIZE, IMAGE_SIZE):
        return np.asarray(image)
    f = np.float32  # its ceil depends on float32 arithmetic
    scale = min(f(IMAGE_SIZE) / f(width), f(IMAGE_SIZE) / f(height))
    new_width = min(math.ceil(f(width) * scale), IMAGE_SIZE)
    new_height = min(math.ceil(f(height) * scale), IMAGE_SIZE)
    image = image.resize((new_width, new_height), Image.Resampling.BICUBIC)
    if (new_width, new_height) != (IMAGE_SIZE, IMAGE_SIZE):
        square = Image.new("RGB", (IMAGE_SIZE, IMAGE_SIZE), PAD_COLOR)
        square.paste(image, ((IMAGE_SIZE - new_width) // 2, (IMAGE_SIZE - new_height) // 2))
        image = square
    return np.asarray(image)


def shade(rng: random.Random, name: str) -> Color:
    """A random shade that people call `name`."""
    h0, h1, s0, s1, v0, v1 = rng.choice(SHADES[name])
    hue, saturation, value = rng.uniform(h0, h1) % 360 / 360, rng.uniform(s0, s1), rng.uniform(v0, v1)
    r, g, b = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return r, g, b


def distance(a: Color, b: Color) -> int:
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))


def random_canvas(rng: random.Random) -> Canvas:
    width, height = source_size(rng)
    ground, name = random_ground(rng)
    end = None
    if rng.random() < 0.08:
        d0, d1, d2 = (rng.randint(-25, 25) for _ in range(3))
        end = tuple(max(0, min(255, v + d)) for v, d in zip(ground, (d0, d1, d2), strict=True))  # type: ignore[assignment]
    return Canvas(width, height, ground, name, end)


def source_size(rng: random.Random) -> tuple[int, int]:
    base = rng.choices(
        (96, 112, 128, 160, 224, 256, 320, 400, 512, 640, 1024), (6, 20, 12, 12, 14, 10, 10, 6, 4, 4, 1)
    )[0]
    kind = rng.random()
    if kind < 0.4:
        return base, base
    ratio = rng.choice((4 / 3, 4 / 3, 3 / 2, 16 / 9, 2.0, 5 / 4, rng.uniform(1, 2)))
    short = max(48, round(base / ratio))
    return (base, short) if kind < 0.85 else (short, base)


def random_ground(rng: random.Random) -> tuple[Color, str | None]:
    kind = rng.random()
    if kind < 0.38:
        return ((255, 255, 255) if rng.random() < 0.7 else shade(rng, "white")), "white"
    if kind < 0.5:
        return shade(rng, "black"), "black"
    if kind < 0.58:
        return shade(rng, "gray"), "gray"
    if kind < 0.66:
        name = rng.choice(COLORS)
        return shade(rng, name), name
    hue = rng.random()
    if kind < 0.9:  # pale
        saturation, value = rng.uniform(0.02, 0.22), rng.uniform(0.8, 1)
    else:  # dark
        saturation, value = rng.uniform(0.1, 0.7), rng.uniform(0.12, 0.4)
    r, g, b = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return (r, g, b), None


def random_things(rng: random.Random, canvas: Canvas, count: int) -> tuple[Thing, ...]:
    """`count` shapes (or as many as fit) that don't touch, in the order they are told: left to right."""
    things: list[Thing] = []
    for x, y, radius in random_places(rng, canvas, count):
        shape = rng.choice(SHAPES) if not things or rng.random() < 0.72 else rng.choice(things).shape
        color = rng.choice(COLORS) if not things or rng.random() < 0.78 else rng.choice(things).color
        things.append(painted(rng, Thing(shape, color, x, y, radius), canvas))
    return in_order(things)


def painted(rng: random.Random, thing: Thing, canvas: Canvas) -> Thing:
    """Give a thing a shade that stands out from the ground (another colour if its own can't), a turn, a form."""
    color, paint = thing.color, shade(rng, thing.color)
    grounds = [canvas.ground] + ([canvas.ground_end] if canvas.ground_end else [])
    for _ in range(60):
        if min(distance(paint, ground) for ground in grounds) > 85 and color != canvas.ground_name:
            break
        color = rng.choice(COLORS) if rng.random() < 0.5 else color
        paint = shade(rng, color)
    turn = rng.choice((0.0, 0.0, rng.uniform(-14, 14)))
    if thing.shape == "triangle" and rng.random() < 0.2:
        turn = rng.uniform(0, 360)
    return replace(thing, color=color, paint=paint, turn=turn, variant=rng.random())


def random_places(rng: random.Random, canvas: Canvas, count: int) -> list[tuple[float, float, float]]:
    """Centres and radii, in model pixels: strewn about, or in a row, a column or a grid, as people draw."""
    width, height = canvas.span
    left, top = canvas.offset
    layout = rng.random()
    if count >= 2 and layout < 0.34:
        columns, rows = count, 1
        if layout > 0.18:
            columns, rows = 1, count
        if layout > 0.26 and count >= 3:
            columns, rows = math.ceil(count / 2), 2
        cell = min(width / columns, height / rows)
        radius = cell * rng.uniform(0.26, 0.42)
        if radius >= 6:
            pitch_x = rng.uniform(max(cell * 0.9, 2.3 * radius), max(width / columns, 2.3 * radius + 0.01))
            pitch_y = rng.uniform(max(cell * 0.9, 2.3 * radius), max(height / rows, 2.3 * radius + 0.01))
            pitch_x, pitch_y = min(pitch_x, width / columns), min(pitch_y, height / rows)
            cx = left + width / 2 + rng.uniform(-0.5, 0.5) * (width - pitch_x * columns)
            cy = top + height / 2 + rng.uniform(-0.5, 0.5) * (height - pitch_y * rows)
            cells = [
                (cx + (c - (columns - 1) / 2) * pitch_x, cy + (r - (rows - 1) / 2) * pitch_y)
                for c in range(columns)
                for r in range(rows)
            ]
            return [(x, y, radius) for x, y in sorted(rng.sample(cells, count))]
    places: list[tuple[float, float, float]] = []
    low = 5.0 if rng.random() < 0.15 else 8.0
    high = {1: 34.0, 2: 24.0, 3: 20.0, 4: 17.0}.get(count, 14.0)
    same = rng.uniform(low + 2, high) if rng.random() < 0.3 else None
    for _ in range(400):
        if len(places) == count:
            break
        radius = min(same or rng.uniform(low, high), min(width, height) / 2 - 3)
        x = left + rng.uniform(radius * 1.1 + 1, max(width - radius * 1.1 - 1, radius * 1.1 + 1.01))
        y = top + rng.uniform(radius * 1.1 + 1, max(height - radius * 1.1 - 1, radius * 1.1 + 1.01))
        clear = all(
            math.hypot(x - px, y - py) > (radius + pr) * 1.1 + 2 and abs(x - px) >= MIN_RANK_GAP
            for px, py, pr in places
        )
        if clear:
            places.append((x, y, radius))
    return places


def in_order(things: list[Thing] | tuple[Thing, ...]) -> tuple[Thing, ...]:
    """From left to right; what stands in one column goes from top to bottom."""
    return tuple(sorted(things, key=lambda t: (round(t.x / 2.5), t.y)))


def outline(thing: Thing, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Corner points of a polygon shape around (x, y)."""
    fat = thing.variant
    if thing.shape == "triangle":
        widen = 0.85 + 0.35 * fat
        corners = [(0, -1.1), (0.95 * widen, 0.65), (-0.95 * widen, 0.65)]
        if fat < 0.12:
            corners = [(-0.85, -1.0), (0.95, 0.7), (-0.85, 0.7)]
    elif thing.shape == "star":
        inner = 0.4 + 0.12 * fat
        corners = [
            (
                (1.1 if i % 2 == 0 else inner) * math.sin(math.pi * i / 5),
                -(1.1 if i % 2 == 0 else inner) * math.cos(math.pi * i / 5),
            )
            for i in range(10)
        ]
    elif thing.shape == "square":
        corners = [(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]
    else:
        t = 0.24 + 0.16 * fat
        corners = [
            (-t, -1),
            (t, -1),
            (t, -t),
            (1, -t),
            (1, t),
            (t, t),
            (t, 1),
            (-t, 1),
            (-t, t),
            (-1, t),
            (-1, -t),
            (-t, -t),
        ]
    c, s = math.cos(math.radians(thing.turn)), math.sin(math.radians(thing.turn))
    return [(x + radius * (px * c - py * s), y + radius * (px * s + py * c)) for px, py in corners]


def draw(rng: random.Random, canvas: Canvas, things: tuple[Thing, ...]) -> Image.Image:
    """Paint a scene, sometimes anti-aliased, outlined, softened, noisy or through JPEG."""
    smooth = 3 if canvas.width <= 160 else 2 if canvas.width <= 400 else 1
    if rng.random() < 0.4:
        smooth = 1
    image = Image.new("RGB", (canvas.width * smooth, canvas.height * smooth), canvas.ground)
    if canvas.ground_end:
        t = np.linspace(0, 1, image.height)[:, None, None]
        rows = np.array(canvas.ground) * (1 - t) + np.array(canvas.ground_end) * t  # (height, 1, 3)
        image = Image.fromarray(np.broadcast_to(rows, (image.height, image.width, 3)).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    edge: Color | None = None
    if rng.random() < 0.14:
        edge = (0, 0, 0) if rng.random() < 0.7 else (60, 60, 60)
    left, top = canvas.offset
    for thing in things:
        k = canvas.scale * smooth
        x, y, radius = (thing.x - left) * k, (thing.y - top) * k, thing.radius * k
        line = max(1, round(radius * 0.08)) if edge else 1
        if thing.shape == "circle":
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=thing.paint, outline=edge, width=line)
        else:
            pen.polygon(outline(thing, x, y, radius), fill=thing.paint, outline=edge, width=line)
    if smooth > 1:
        image = image.resize((canvas.width, canvas.height), Image.Resampling.BOX)
    return weathered(rng, image)


def weathered(rng: random.Random, image: Image.Image) -> Image.Image:
    """What happens to pictures on their way: blur, sensor noise, JPEG."""
    if rng.random() < 0.06:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.9) * max(image.size) / IMAGE_SIZE))
    if rng.random() < 0.08 and max(image.size) <= 320:
        noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(2, 10), (image.height, image.width, 1))
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    if rng.random() < 0.25 and max(image.size) <= 640:
        data = io.BytesIO()
        image.save(data, "JPEG", quality=rng.randint(40, 95))
        image = Image.open(data).convert("RGB")
    return image


def scene(rng: random.Random, count: int | None = None) -> tuple[Picture, Canvas]:
    """A picture of `count` (1 to MAX_OBJECTS) coloured shapes, and the canvas to draw a changed copy on."""
    canvas = random_canvas(rng)
    if count is None:
        count = rng.choices((1, 2, 3, 4, 5, 6), (12, 40, 26, 13, 6, 3))[0]
    things = random_things(rng, canvas, count)
    return Picture(draw(rng, canvas, things), "scene", things, canvas.ground_name, canvas.frame), canvas


def empty(rng: random.Random) -> Picture:
    """One plain colour and nothing on it."""
    canvas = random_canvas(rng)
    return Picture(draw(rng, canvas, ()), "empty", (), canvas.ground_name)


def thirds(picture: Picture, thing: Thing) -> tuple[int, int]:
    """(row, column) of a thing's place in its picture, each 0, 1 or 2."""
    left, top, width, height = picture.frame
    across, down = (thing.x - left) / width, (thing.y - top) / height
    return sum(down > limit for limit in THIRDS), sum(across > limit for limit in THIRDS)


def aux_labels(picture: Picture) -> np.ndarray:
    """Dense labels, (heads, image tokens) int64 in AUX_HEADS order; 0 where no object touches the patch."""
    labels = dict.fromkeys(AUX_HEADS, np.zeros(GRID * GRID, np.int64))
    labels["kind"] = np.full(GRID * GRID, KINDS.index(picture.kind))
    things = picture.things
    if picture.background:
        labels["background"] = np.full(GRID * GRID, COLORS.index(picture.background) + 1)
    if things:
        centres = (np.arange(GRID) + 0.5) * PATCH
        xs, ys = np.tile(centres, GRID), np.repeat(centres, GRID)
        gap = np.stack([np.hypot(xs - t.x, ys - t.y) - t.radius for t in things], 1)  # (tokens, things)
        nearest, touched = gap.argmin(1), gap.min(1) < 0.3 * PATCH
        places = [thirds(picture, t) for t in things]
        values = {
            "shape": [SHAPES.index(t.shape) + 1 for t in things],
            "color": [COLORS.index(t.color) + 1 for t in things],
            "rank": [i + 1 for i in range(len(things))],
            "column": [min(GRID - 1, max(0, int(t.x // PATCH))) + 1 for t in things],
            "row": [min(GRID - 1, max(0, int(t.y // PATCH))) + 1 for t in things],
            "same_shape": [sum(o.shape == t.shape for o in things) for t in things],
            "same_color": [sum(o.color == t.color for o in things) for t in things],
            "place": [3 * row + column + 1 for row, column in places],
            "height": [sum(o.y < t.y for o in things) + 1 for t in things],
        }
        labels |= {head: np.where(touched, np.array(each)[nearest], 0) for head, each in values.items()}
        labels["count"] = np.full(GRID * GRID, len(things))
    return np.stack([labels[head] for head in AUX_HEADS])
