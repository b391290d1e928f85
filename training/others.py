"""Draws pictures the model must decline: printed text, photo-like scenes, screenshots, patterns, noise.

Knows nothing of questions. The fonts are Debian's (fonts-dejavu, fonts-liberation2, fonts-freefont-ttf, …):
what is missing is left out, so another machine's pictures may differ.
"""

from __future__ import annotations

import functools
import math
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from training import pictures
from training.pictures import Picture

FONT_FOLDER = Path("/usr/share/fonts")
WORDS = (
    "cat dog sun hello open exit stop sale yes no go tea cafe bus taxi park shop home world test menu free new hot "
    "cold up down left right bank fire road fish cake book star moon tree rain snow push pull start end code data "
    "model image text cloud green red blue circle square price total date name address city street order number "
    "page chapter report summer winter music coffee hotel museum station ticket welcome danger private school"
).split()
Array = np.ndarray


@functools.cache
def font_files() -> tuple[str, ...]:
    """Fonts with Latin letters, in a fixed order."""
    symbols = ("symbol", "emoji", "dingbat", "icons", "math", "display")
    files = sorted(str(path) for path in FONT_FOLDER.rglob("*.[to]tf"))
    return tuple(file for file in files if not any(word in file.lower() for word in symbols))


@functools.lru_cache(maxsize=256)
def font(file: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.truetype(file, size)


def random_font(rng: random.Random, size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    files = font_files()
    return font(rng.choice(files), max(5, round(size))) if files else ImageFont.load_default(max(5, size))


def bold(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A plain bold face, for pictures that should look the same everywhere."""
    files = [file for file in font_files() if file.endswith("DejaVuSans-Bold.ttf")]
    return font(files[0], size) if files else ImageFont.load_default(size)


def random_text(rng: random.Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return "".join(rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") for _ in range(rng.randint(1, 8)))
    if kind < 0.5:
        return str(rng.randrange(10 ** rng.randint(1, 8)))
    words = [rng.choice(WORDS) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    text = " ".join(words)
    return rng.choice((text, text.upper(), text.title(), text.capitalize() + rng.choice("!?.:")))


def text(rng: random.Random) -> Picture:
    """A word, a number or some lines, printed on a plain ground."""
    canvas = pictures.random_canvas(rng)
    image = Image.new("RGB", (canvas.width, canvas.height), canvas.ground)
    pen = ImageDraw.Draw(image)
    ink = next(
        (
            ink
            for ink in (pictures.shade(rng, rng.choice(("black", "black", *pictures.COLORS))) for _ in range(40))
            if pictures.distance(ink, canvas.ground) > 180
        ),
        (0, 0, 0) if sum(canvas.ground) > 380 else (255, 255, 255),
    )
    lines = rng.choices((1, 2, 3, 6, 10), (14, 3, 2, 1, 1))[0]
    content = "\n".join(
        random_text(rng) if lines < 4 else " ".join(rng.choice(WORDS) for _ in range(6)) for _ in range(lines)
    )
    size = canvas.height * rng.uniform(0.18, 0.7) / lines
    while True:
        face = random_font(rng, size)
        box = pen.multiline_textbbox((0, 0), content, font=face)
        if (box[2] - box[0] < 0.95 * canvas.width and box[3] - box[1] < 0.95 * canvas.height) or size < 7:
            break
        size *= 0.85
    x = rng.uniform(0.02, 1) * max(0, canvas.width * 0.98 - (box[2] - box[0])) - box[0]
    y = rng.uniform(0.02, 1) * max(0, canvas.height * 0.98 - (box[3] - box[1])) - box[1]
    pen.multiline_text((x, y), content, fill=ink, font=face)
    if rng.random() < 0.1:
        image = image.rotate(rng.uniform(-12, 12), fillcolor=canvas.ground, resample=Image.Resampling.BICUBIC)
    return Picture(pictures.weathered(rng, image), "text")


def plasma(g: np.random.Generator, width: int, height: int, channels: int, roughness: float) -> Array:
    """Cloud-like multi-scale noise in 0..1, (height, width, channels)."""
    total = np.zeros((height, width, channels), np.float32)
    cells, weight = 2, 1.0
    while cells <= max(width, height):
        for channel in range(channels):
            coarse = g.random((max(2, cells * height // width), cells), np.float32)
            smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            total[..., channel] += weight * np.asarray(smooth)
        cells, weight = cells * 2, weight * roughness
    low, high = total.min(), total.max()
    return (total - low) / (high - low + 1e-6)


def colors_of(g: np.random.Generator, n: int) -> Array:
    """`n` related colours, as a photo has: (n, 3) in 0..255."""
    base = g.uniform(20, 235, 3)
    return np.clip(base + g.normal(0, g.uniform(20, 90), (n, 3)), 0, 255)


def clouds(g: np.random.Generator, w: int, h: int) -> Array:
    if g.random() < 0.4:
        return plasma(g, w, h, 3, g.uniform(0.4, 0.85)) * 255
    t = plasma(g, w, h, 1, g.uniform(0.4, 0.85))[..., 0]
    palette = colors_of(g, 4)
    return np.stack([np.interp(t, np.linspace(0, 1, 4), palette[:, c]) for c in range(3)], -1)


def landscape(g: np.random.Generator, w: int, h: int) -> Array:
    top, low = colors_of(g, 2)
    t = np.linspace(0, 1, h)[:, None, None]
    image = np.broadcast_to(top * (1 - t) + low * t, (h, w, 3)).copy()
    if g.random() < 0.5:
        image += (plasma(g, w, h, 1, 0.6) - 0.5) * g.uniform(20, 90)
    ys = np.arange(h)[:, None]
    for layer in range(int(g.integers(1, 5))):
        ridge = plasma(g, w, 2, 1, 0.5)[0, :, 0] * h * g.uniform(0.1, 0.6) + h * (0.3 + 0.15 * layer)
        texture = (plasma(g, w, h, 1, 0.8) - 0.5) * g.uniform(10, 100)
        image = np.where((ys > ridge[None])[..., None], g.uniform(10, 220, 3) + texture, image)
    return image


def polygons(g: np.random.Generator, w: int, h: int) -> Array:
    """Many overlapping soft patches: rooms, crowds, still lifes seen without glasses."""
    image = Image.fromarray(clouds(g, w, h).clip(0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    palette = colors_of(g, 6)
    for _ in range(int(g.integers(12, 45))):
        x, y, r = g.uniform(0, w), g.uniform(0, h), g.uniform(0.04, 0.35) * min(w, h)
        n = int(g.integers(3, 9))
        angles = np.sort(g.uniform(0, 2 * math.pi, n))
        radii = r * g.uniform(0.4, 1.3, n)
        fill = tuple(int(v) for v in np.clip(palette[g.integers(6)] + g.normal(0, 30, 3), 0, 255))
        if g.random() < 0.35:
            pen.ellipse((x - r, y - r * radii[0] / r, x + r, y + r * radii[0] / r), fill=fill)
        else:
            pen.polygon(
                [(x + d * math.cos(a), y + d * math.sin(a)) for a, d in zip(angles, radii, strict=True)], fill=fill
            )
    image = image.filter(ImageFilter.GaussianBlur(g.uniform(0, 4)))
    return np.asarray(image, np.float32) + g.normal(0, g.uniform(0, 14), (h, w, 1))


def portrait(g: np.random.Generator, w: int, h: int) -> Array:
    """A soft, shaded subject before a soft ground: a face, an animal, a thing on a table."""
    image = Image.fromarray(clouds(g, w, h).clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(5))
    pen = ImageDraw.Draw(image)
    x, y, r = w * g.uniform(0.3, 0.7), h * g.uniform(0.3, 0.6), min(w, h) * g.uniform(0.2, 0.4)
    palette = colors_of(g, 4)
    pen.ellipse((x - r * 1.6, y + r * 0.8, x + r * 1.6, y + r * 4), fill=tuple(int(v) for v in palette[0]))
    pen.ellipse((x - r * 0.8, y - r, x + r * 0.8, y + r), fill=tuple(int(v) for v in palette[1]))
    for _ in range(int(g.integers(3, 12))):
        dx, dy, s = g.normal(0, r * 0.5), g.normal(0, r * 0.5), r * g.uniform(0.05, 0.3)
        fill = tuple(int(v) for v in np.clip(palette[g.integers(4)] + g.normal(0, 40, 3), 0, 255))
        pen.ellipse((x + dx - s, y + dy - s * g.uniform(0.5, 1.5), x + dx + s, y + dy + s), fill=fill)
    image = image.filter(ImageFilter.GaussianBlur(g.uniform(0.5, 4)))
    light = (plasma(g, w, h, 1, 0.6) - 0.5) * g.uniform(30, 140)
    return np.asarray(image, np.float32) + light + g.normal(0, g.uniform(0, 12), (h, w, 1))


def gradient(g: np.random.Generator, w: int, h: int) -> Array:
    a, b = g.uniform(0, 255, 3), g.uniform(0, 255, 3)
    while np.abs(a - b).sum() < 160:
        b = g.uniform(0, 255, 3)
    x, y = np.meshgrid(np.linspace(-1, 1, w), np.linspace(-1, 1, h))
    angle = g.choice([0, math.pi / 2, g.uniform(0, 2 * math.pi)])
    t = (x * math.cos(angle) + y * math.sin(angle)) / 2.8 + 0.5
    if g.random() < 0.25:
        t = np.hypot(x - g.uniform(-0.5, 0.5), y - g.uniform(-0.5, 0.5)) / 1.5
    t = t.clip(0, 1)[..., None]
    return a * (1 - t) + b * t


def stripes(g: np.random.Generator, w: int, h: int) -> Array:
    a, b = g.uniform(0, 255, 3), g.uniform(0, 255, 3)
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    period = g.uniform(0.03, 0.2) * max(w, h)
    angle = g.choice([0, math.pi / 2, math.pi / 4, g.uniform(0, math.pi)])
    wave = (x * math.cos(angle) + y * math.sin(angle)) / period
    if g.random() < 0.35:  # a chequerboard
        t = (np.floor(x / period) + np.floor(y / period)) % 2
    else:
        t = np.floor(wave) % 2 if g.random() < 0.7 else np.sin(wave * math.pi) * 0.5 + 0.5
    return a * (1 - t[..., None]) + b * t[..., None]


def noise(g: np.random.Generator, w: int, h: int) -> Array:
    cell = int(g.choice([1, 1, 2, 4, 8, 16]))
    channels = 3 if g.random() < 0.7 else 1
    small = g.uniform(0, 255, (-(-h // cell), -(-w // cell), channels))
    if g.random() < 0.3:
        small = np.clip(g.normal(g.uniform(60, 200), g.uniform(15, 70), small.shape), 0, 255)
    image = np.repeat(np.repeat(small, cell, 0), cell, 1)[:h, :w]
    return np.broadcast_to(image, (h, w, 3))


def screenshot(g: np.random.Generator, w: int, h: int) -> Array:
    """Windows, bars, panels, buttons and lines of tiny text."""
    dark = g.random() < 0.35
    ground = g.uniform(10, 60, 3) if dark else g.uniform(215, 256, 3)
    image = Image.new("RGB", (w, h), tuple(int(v) for v in ground))
    pen = ImageDraw.Draw(image)

    def paint(spread: float = 40) -> tuple[int, int, int]:
        r, gr, b = np.clip(ground + g.normal(0, spread, 3) + (25 if dark else -25), 0, 255).astype(int).tolist()
        return r, gr, b

    accent = tuple(int(v) for v in g.uniform(0, 255, 3))
    bar = int(h * g.uniform(0.05, 0.14))
    pen.rectangle((0, 0, w, bar), fill=accent if g.random() < 0.4 else paint())
    for i in range(3):
        pen.ellipse((4 + i * bar * 0.6, bar * 0.3, 4 + i * bar * 0.6 + bar * 0.4, bar * 0.7), fill=paint(90))
    if g.random() < 0.6:
        pen.rectangle((0, bar, w * g.uniform(0.15, 0.3), h), fill=paint(25))
    for _ in range(int(g.integers(0, 5))):
        x, y = g.uniform(0, w * 0.8), g.uniform(bar, h * 0.9)
        pen.rectangle(
            (x, y, x + g.uniform(0.08, 0.5) * w, y + g.uniform(0.05, 0.4) * h), fill=paint(50), outline=paint(60)
        )
    ink = (225, 225, 225) if dark else (40, 40, 40)
    step = max(4.0, h * g.uniform(0.03, 0.07))
    rng = random.Random(int(g.integers(1 << 30)))
    face = random_font(rng, step * 0.75)
    x0 = w * g.uniform(0.03, 0.35)
    y = bar + step
    while y < h - step:
        if g.random() < 0.8:
            line = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 9)))
            pen.text((x0 + step * int(g.integers(0, 4)), y), line, fill=ink if g.random() < 0.8 else accent, font=face)
        y += step
    for _ in range(int(g.integers(0, 4))):
        x, y = g.uniform(0, w * 0.8), g.uniform(bar, h * 0.9)
        pen.rounded_rectangle((x, y, x + w * 0.15, y + h * 0.06), radius=3, fill=accent)
    return np.asarray(image, np.float32)


def chart(g: np.random.Generator, w: int, h: int) -> Array:
    """Bars or lines over axes."""
    image = Image.new(
        "RGB", (w, h), (255, 255, 255) if g.random() < 0.7 else tuple(int(v) for v in g.uniform(200, 255, 3))
    )
    pen = ImageDraw.Draw(image)
    x0, y0, x1, y1 = w * 0.1, h * 0.08, w * 0.95, h * 0.88
    for i in range(int(g.integers(2, 7))):
        y = y0 + (y1 - y0) * i / 6
        pen.line((x0, y, x1, y), fill=(205, 205, 205))
    pen.line((x0, y0, x0, y1, x1, y1), fill=(30, 30, 30), width=max(1, w // 150))
    n = int(g.integers(4, 14))
    colors = colors_of(g, 3)
    if g.random() < 0.5:
        for i in range(n):
            left = x0 + (x1 - x0) * (i + 0.15) / n
            top = y1 - (y1 - y0) * g.uniform(0.05, 1)
            fill = tuple(int(v) for v in colors[i % int(g.integers(1, 4))])
            pen.rectangle((left, top, left + (x1 - x0) * 0.7 / n, y1), fill=fill)
    else:
        for c in range(int(g.integers(1, 4))):
            ys = y1 - (y1 - y0) * np.clip(np.cumsum(g.normal(0, 0.12, n)) + 0.5, 0, 1)
            points = [(x0 + (x1 - x0) * i / (n - 1), float(v)) for i, v in enumerate(ys)]
            pen.line(points, fill=tuple(int(v) for v in colors[c]), width=max(1, w // 100))
    return np.asarray(image, np.float32)


FOREIGN = (
    (clouds, 3),
    (landscape, 4),
    (polygons, 4),
    (portrait, 4),
    (gradient, 2),
    (stripes, 2),
    (noise, 2),
    (screenshot, 5),
    (chart, 1),
)


def foreign(rng: random.Random) -> Picture:
    """A picture of none of our shapes."""
    size = rng.choice((112, 128, 160, 200))
    ratio = rng.choice((1, 1, 4 / 3, 3 / 2, 3 / 4))
    w, h = (size, round(size / ratio)) if ratio >= 1 else (round(size * ratio), size)
    g = np.random.default_rng(rng.getrandbits(32))
    maker = rng.choices([m for m, _ in FOREIGN], [k for _, k in FOREIGN])[0]
    pixels = maker(g, w, h)
    if rng.random() < 0.12:
        pixels = np.repeat(np.asarray(pixels).mean(-1, keepdims=True), 3, -1)
    image = Image.fromarray(np.ascontiguousarray(np.asarray(pixels).clip(0, 255).astype(np.uint8)))
    return Picture(pictures.weathered(rng, image), "foreign")
