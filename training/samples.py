"""Draws the sample pictures of the documentation, and a sheet of training pictures to look at."""

from __future__ import annotations

import random
from pathlib import Path

from PIL import Image, ImageDraw

from training import batches, others, pictures, second
from training.pictures import IMAGE_SIZE


def write_sheet(path: Path, seed: int, columns: int = 12, rows: int = 8) -> None:
    """What the model sees: random training pictures, after preprocessing."""
    rng = random.Random(f"{seed} sheet")
    sheet = Image.new("RGB", (columns * IMAGE_SIZE, rows * IMAGE_SIZE))
    for i in range(columns * rows):
        picture = batches.random_picture(rng, batches.drawn_kind(rng, batches.JOINT_MIX))
        square = Image.fromarray(pictures.preprocess(picture.image))
        sheet.paste(square, (i % columns * IMAGE_SIZE, i // columns * IMAGE_SIZE))
    sheet.save(path)


def scene(*things: tuple[str, str, int, int, int], ground: str = "#ffffff") -> Image.Image:
    """Shapes at pixels of a 480 x 320 picture."""
    drawn = [(shape, second.CSS[color][0], float(x), float(y), float(r)) for color, shape, x, y, r in things]
    return second.paint(drawn, 480, 320, ground)


def write_docs(folder: Path) -> None:
    """The documentation's pictures: shapes, shapes-2 (one change), positions, words."""
    folder.mkdir(parents=True, exist_ok=True)
    row = [("red", "circle", 90, 160, 55), ("blue", "square", 240, 160, 55), ("yellow", "star", 390, 160, 60)]
    scene(*row).save(folder / "shapes.png")
    scene(row[0], ("green", "square", 240, 160, 55), row[2]).save(folder / "shapes-2.png")
    scene(
        ("orange", "triangle", 150, 85, 55),
        ("purple", "cross", 165, 240, 50),
        ("black", "circle", 370, 150, 50),
        ground="#f0f8ff",
    ).save(folder / "positions.png")
    words = Image.new("RGB", (480, 320), "#ffffff")
    ImageDraw.Draw(words).text((240, 160), "Hello 42", fill="#1a1a2e", font=others.bold(96), anchor="mm")
    words.save(folder / "words.png")
