"""A question whose answer is boxes: which models can, and what becomes of the boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcli.errors import ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.extraction.pointing import PointedBox
    from mmcli.media import Image, Medium
    from mmcli.media.locator import Rectangle
    from mmcli.models import Model, WantedModel
    from mmcli.terminal import Style


@dataclass
class BoxesAsked:
    """The form of such an answer; `picture` is what the boxes lie in, known when the media are."""

    style: Style
    output: Path | None = None
    picture: Image | None = None
    found: list[PointedBox] = field(default_factory=list)

    def __post_init__(self) -> None:
        from mmcli.extraction.pointing import Pointing

        self._pointing = Pointing()

    @property
    def text(self) -> str:
        """The schema, for engine.Sampling."""
        return self._pointing.shape.text

    def check(self, model: Model | WantedModel) -> None:
        """ModelError where it is not known how this model points; UsageError for a file that is no PNG."""
        from mmcli.models import Model

        if self.output is not None and self.output.suffix.lower() != ".png":
            raise UsageError(f"--output: `{self.output}` is no .png file", hint="-o marked.png")
        advice = model.advice if isinstance(model, Model) else model.entry.advice if model.entry is not None else None
        if advice is None or advice.boxes is None:
            raise ModelError(
                f"it is not known how {model.name} gives the places of things",
                hint="models that point: `-m qwen3-vl-2b`; `boxes` in models.toml says so of others",
            )

    def of(self, media: Sequence[Medium]) -> None:
        """Look for the picture; UsageError where there is not exactly one."""
        from mmcli.media import Image

        pictures = [medium for medium in media if isinstance(medium, Image)]
        if len(pictures) != 1 or len(media) != 1:
            raise UsageError("--boxes needs one picture, and nothing else", hint="mmcli ask photo.jpg WHAT --boxes")
        (self.picture,) = pictures

    def words(self, question: str) -> str:
        """The question as a model gets it."""
        return self._pointing.words(question)

    def read(self, answer: str) -> Any:
        """A line for each box, which `mmcli ask` takes again; for --json, the boxes."""
        from mmcli import terminal

        assert self.picture is not None
        height, width = self.picture.pixels.shape[:2]
        self.found = self._pointing.read(answer, (width, height), self._corner())
        if self.style.json:
            return [
                {"label": box.label, "x": box.x, "y": box.y, "width": box.width, "height": box.height}
                | {"source": self._source(box)}
                for box in self.found
            ]
        return "".join(f"{terminal.escaped(self._source(box))}\t{_flat(box.label)}\n" for box in self.found)

    def marked(self) -> NDArray[np.uint8]:
        """The picture with the boxes on it."""
        from mmcli.media import marking

        assert self.picture is not None
        x, y = self._corner()
        boxes = [(box.label, box.x - x, box.y - y, box.width, box.height) for box in self.found]
        return marking.marked(self.picture.pixels, boxes)

    def finish(self, *, show: bool) -> None:
        """Write and draw the picture, where that is wanted."""
        from mmcli import files, terminal
        from mmcli.media import marking

        if not self.found:
            terminal.notice("there is no box", self.style)
        if self.output is not None:
            files.write(self.output, marking.as_png(self.marked()), follow=True)
        if show:
            terminal.picture(self.marked(), self.style)

    def _corner(self) -> tuple[int, int]:
        """Where the picture lies in the file's: 0, 0 but for a part of one."""
        box = self._part()
        return (0, 0) if box is None else (round(box.x), round(box.y))

    def _part(self) -> Rectangle | None:
        """The part of the file's picture that this one is; None: all of it."""
        from mmcli.media import locator

        assert self.picture is not None
        told = self.picture.receipt.locator
        return locator.parse(told).box if told else None

    def _source(self, box: PointedBox) -> str:
        assert self.picture is not None
        name = self.picture.receipt.source.partition("#xywh=")[0]
        return f"{name}#xywh={box.x},{box.y},{box.width},{box.height}"


def _flat(text: str) -> str:
    return " ".join(text.split())
