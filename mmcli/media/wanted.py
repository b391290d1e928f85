"""What a user wants to have of documents and films; callers hand it to `media.open` as it is. Opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from mmcli.media.locator import PageChoice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FilmSampling: TypeAlias = Literal["uniform", "scene", "keyframes"]
FilmSound: TypeAlias = Literal["auto", "transcript", "subtitles", "heard", "off"]
PageText: TypeAlias = Literal["auto", "only", "never"]
PageDetail: TypeAlias = Literal["low", "auto", "high"]


@dataclass(frozen=True)
class PagesWanted:
    """How the pages of a document are opened."""

    choice: PageChoice | None = None  # which; a source's own locator counts instead
    text: PageText = "auto"  # beside the picture of a page, alone, or not at all
    detail: PageDetail = "auto"  # how large the pictures are
    passwords: tuple[str, ...] = ()  # tried one after the other
    ask_password: Callable[[str], str | None] | None = None  # of a file; None: nobody can be asked
    reader: Callable[[NDArray[np.uint8]], str] | None = None  # reads pages that have no text of their own
    reads_all: bool = False  # and those that have some
    at_once: int | None = None  # a document of more pages is not rendered before it is clear which ones are needed


@dataclass(frozen=True)
class FilmRecipe:
    """How films are shown to a model: what its makers did in training, or what suits any model."""

    frames: int = 16  # at most, where nobody asked for a number: more makes small models worse
    tokens: int | None = None  # that a slot (a frame, or a pair) takes, as far as it is known beforehand
    side: int = 768  # pixels: the longest side of a frame at most
    pixels: int | None = None  # of a frame at most, for models whose tokens follow the size
    pairs: bool = False  # the projector merges two frames that stand side by side
    stamp: str = "\n{clock} "  # before each slot; {seconds}, {clock} and {number} are filled in
    intro: str = ""  # before the first; {frames} and {duration} are filled in

    @property
    def frames_per_slot(self) -> int:
        return 2 if self.pairs else 1


@dataclass(frozen=True)
class FilmWanted:
    """Which moments of a film, and what of its sound."""

    frames: int | None = None  # None: as many as suit the model and fit
    fps: float | None = None  # frames a second of the film
    sample: FilmSampling = "uniform"
    exact: bool = False  # the centre of each part, not the keyframe nearest to it
    sound: FilmSound = "auto"
    recipe: FilmRecipe = field(default_factory=FilmRecipe)
    room: int | None = None  # tokens that all slots may take together; None: not known
    times: tuple[float, ...] | None = None  # these very frames, as a receipt has them; None: chosen as above
    size: tuple[int, int] | None = None  # (width, height) of the upright frames; None: as the recipe has it
    spoken: tuple[tuple[float, str], ...] | None = None  # what is said in it, where that is known; None: find it out


@dataclass(frozen=True)
class Wanted:
    """All of it."""

    pages: PagesWanted = field(default_factory=PagesWanted)
    film: FilmWanted = field(default_factory=FilmWanted)


NOTHING_SPECIAL = Wanted()
