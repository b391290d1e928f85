"""`ask --boxes`: places as sources that `ask` takes again, by a model that says a scripted answer under the grammar."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmcli.errors import OutputError
from mmcli.extraction.pointing import PointedBox, Pointing
from mmcli.media import marking
from tests import scripted
from tests.conftest import Completed, Run, draw
from tests.hub import Hub

REPO = "someone/pointer"
SAID = '[{"bbox_2d": [250, 500, 750, 1000], "label": "red\\tcircle"}, {"bbox_2d": [9, 9, 9, 20], "label": "x"}]'


@pytest.fixture
def ask(mmcli: Run, home: Path, tmp_path: Path) -> Iterator[Run]:
    """`mmcli ask -m pointer`, whose entry says that it points in thousandths."""
    weights = scripted.write(tmp_path / "files", [SAID], name="pointer", projector=True)
    with Hub() as hub:
        hub.add(REPO, weights, weights.with_name("pointer-mmproj.gguf"))
        own = home / "config" / "mmcli" / "models.toml"
        own.parent.mkdir(parents=True)
        own.write_text(
            f'[pointer]\nabout = "points"\nrepo = "{REPO}"\nlicence = "MIT"\nsees = true\nboxes = "thousandths"\n'
            'weights = { file = "pointer.gguf" }\nprojector = { file = "pointer-mmproj.gguf" }\n'
        )
        where = hub.environment(tmp_path / "hf")
        assert mmcli("pull", "pointer", "--yes", env=where).status == 0

        def run(*arguments: str | Path) -> Completed:
            return mmcli("ask", *arguments, "-m", "pointer", "--temperature", "0", env=where)

        yield run


def test_boxes_are_sources_in_pixels_of_the_picture(ask: Run, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "red circle", "blue square", size=(400, 200))
    done = ask("a.png", "red circles", "--boxes")
    assert (done.status, done.stdout) == (0, "a.png#xywh=100,100,200,100\tred circle\n")
    found = ask("a.png", "red circles", "--boxes", "--json").json["data"]
    assert found == [
        {
            "label": "red\tcircle",
            "x": 100,
            "y": 100,
            "width": 200,
            "height": 100,
            "source": "a.png#xywh=100,100,200,100",
        }
    ]


def test_a_part_of_a_picture_has_boxes_in_the_whole(ask: Run, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "red circle", "blue square", size=(400, 200))
    for part in ("200,0,200,100", "percent:50,0,50,50"):
        assert ask(f"a.png#xywh={part}", "What?", "--boxes").stdout == "a.png#xywh=250,50,100,50\tred circle\n"


def test_a_sideways_photo_has_upright_boxes(ask: Run, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 400), "white").save(tmp_path / "side.jpg", exif=exif)
    assert ask("side.jpg", "What?", "--boxes").stdout.startswith("side.jpg#xywh=100,100,200,100\t")


def test_the_picture_is_marked(ask: Run, tmp_path: Path) -> None:
    draw(tmp_path / "a.png", "red circle", "blue square", size=(400, 200))
    assert ask("a.png", "red circles", "--boxes", "-o", "marked.png").status == 0
    marked = np.asarray(Image.open(tmp_path / "marked.png"))
    assert marked.shape == (200, 400, 3)
    assert marked[199, 150].tolist() == [0xE6, 0x19, 0x4B] and marked[50, 390].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("a.png", "What?", "--boxes", "-m", "starter"), 4, "it is not known how starter gives the places"),
        (("a.png", "b.png", "What?", "--boxes", "-m", "qwen3-vl-2b"), 2, "--boxes needs one picture"),
        (("a.png", "What?", "--boxes", "-o", "b.jpg", "-m", "qwen3-vl-2b"), 2, "is no .png file"),
        (("a.png", "What?", "-o", "b.png", "-m", "starter"), 2, "-o belongs to --boxes"),
        (("a.png", "What?", "--boxes", "--schema", "a", "-m", "starter"), 2, "cannot be combined"),
    ],
)
def test_what_cannot_be_is_told_first(
    mmcli: Run, tmp_path: Path, arguments: tuple[str, ...], status: int, told: str
) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / name, "red circle")
    done = mmcli("ask", *arguments, "--offline")
    assert (done.status, done.stdout) == (status, "") and told in done.stderr


def test_corners_may_be_swapped() -> None:
    told = '[{"bbox_2d": [750, 900, 250, 100], "label": "a"}]'
    assert Pointing().read(told, (1000, 500), (10, 20)) == [PointedBox("a", 260, 70, 500, 400)]
    for wrong in ('[{"bbox_2d": [1, 2, 3], "label": "a"}]', '[{"bbox_2d": [1, 2, 3, 1001], "label": "a"}]', "[{"):
        with pytest.raises(OutputError):
            Pointing().read(wrong, (10, 10))


def test_marks_stay_in_the_picture() -> None:
    pixels = np.full((40, 60, 3), 255, np.uint8)
    drawn = marking.marked(pixels, [("a very long label, 長い", 0, 0, 60, 40), ("b", 50, 30, 10, 10)])
    assert drawn.shape == pixels.shape and (pixels == 255).all() and (drawn != 255).any()
