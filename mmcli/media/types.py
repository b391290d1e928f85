"""What a loaded medium is: arrays with a receipt. Knows no files, no decoders and no models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from mmcli.media.locator import Locator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Receipt:
    """What was really read of one medium, before any model sees it.

    The engine adds what the model got (n_tokens, from the cache or not) as a `Seen` beside it.
    """

    source: str  # as the person named it: a path, a URL, "-"
    kind: str  # "image" | "audio" | "text" | "video" | "document"
    sha256: str  # of the source's bytes, hex
    n_bytes: int
    format: str  # "PNG", "HEIF", "wav", "text/markdown" …
    source_size: tuple[int, int] | None = None  # (width, height) in the file, before rotation
    sent_size: tuple[int, int] | None = None  # (width, height) given to the model's preprocessor
    rotation: str = "none"  # what EXIF asked for: "none", "90", "180", "270" (clockwise), "flip …"
    frames: int | None = None  # frames in the file; the first one is sent
    seconds: float | None = None  # length of a sound
    heard_as: str | None = None  # of a sound: "sound", or "transcript" where the model got words instead
    heard_by: str | None = None  # the model that heard it
    locator: str | None = None  # which part of the source it is, such as "xywh=10,10,200,80"; None: all of it
    span: tuple[float, float] | None = None  # of a film: the stretch that its frames stand for, in seconds
    times: tuple[float, ...] = ()  # of a film's frames, in seconds on its own clock
    pairs: int | None = None  # that the frames were given in; None: each stands alone
    sampling: str | None = None  # how the frames were chosen: "uniform", "exact", "scene", "keyframes"
    hdr: bool | None = None  # whether a film was HDR, and is shown as SDR
    sound: str | None = None  # what became of a film's: "transcript", "subtitles", "heard", "none" (it has none), "off"
    spoken: tuple[tuple[float, str], ...] = ()  # what is said in a film, as the model gets it: (second, words)
    page: int | None = None  # of a document, from 1
    pages: int | None = None  # that the document has
    label: str | None = None  # the number printed on the page, where it differs
    text: str | None = (
        None  # of a page: "used", "read" off its picture, "absent", "ignored", or "hidden": none of it is seen
    )
    characters: int | None = None  # of a page's text that the model got
    hidden_lines: int | None = None  # of a page's text, left out because nobody sees them
    notes: tuple[str, ...] = ()  # sentences on everything that was changed: "first of 12 frames", "alpha on white"


def image_id(pixels: NDArray[np.uint8]) -> str:
    """The media ID of a picture, (height, width, 3) in C order."""
    digest = hashlib.sha256(b"image %d %d" % (pixels.shape[1], pixels.shape[0]))
    digest.update(pixels.data)
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Image:
    """One decoded picture, upright and in RGB."""

    pixels: NDArray[np.uint8]  # (height, width, 3), RGB, C order
    id: str  # media ID: SHA-256 of size and pixels, hex; the key of KV reuse
    receipt: Receipt


@dataclass(frozen=True, eq=False)
class Audio:
    """One decoded sound, mono."""

    samples: NDArray[np.float32]  # (n_samples,), mono, -1 … 1
    sample_rate: int  # Hz
    id: str  # media ID: SHA-256 of rate and samples, hex
    receipt: Receipt
    anchors: tuple[tuple[int, float], ...] = ((0, 0.0),)  # (sample, seconds): from there on, the file's own time

    def time(self, seconds: float) -> float:
        """The file's own time of what lies at `seconds` in the samples."""
        from mmcli.media.clock import time_of

        return max(0.0, time_of(self.anchors, seconds * self.sample_rate, self.sample_rate))


@dataclass(frozen=True)
class Text:
    """One text, whole; `rendered` is how it stands in a prompt: fenced under its name, or bare if it was piped in."""

    text: str
    name: str
    rendered: str
    receipt: Receipt = field(compare=False)


@dataclass(frozen=True, eq=False)
class Clip:
    """One moment of a film, upright and in RGB: a frame, or two neighbours that a projector may merge."""

    frames: NDArray[np.uint8]  # (n, height, width, 3) with n 1 or 2, RGB, C order
    times: tuple[float, ...]  # seconds on the film's own clock, one for each frame
    id: str  # media ID: SHA-256 of sizes and pixels, hex
    receipt: Receipt


@dataclass(frozen=True, eq=False)
class DocumentPart:
    """One part of a document: a page, a moment, or all of a picture; `words` stand before it in a prompt."""

    locator: Locator | None  # where in the document it lies; None: it is all of it
    medium: Image | Audio | Text | Clip | None  # None: the words are all there is of it
    words: str = ""


@dataclass(frozen=True, eq=False)
class Document:
    """One source, opened: what was read, and its parts in order. Pictures, sounds and texts have one part."""

    receipt: Receipt
    parts: tuple[DocumentPart, ...]

    @property
    def content(self) -> tuple[str | Image | Audio | Text | Clip, ...]:
        """What a model gets of it, in order."""
        return tuple(self._content())

    def _content(self) -> Iterator[str | Image | Audio | Text | Clip]:
        for part in self.parts:
            if part.words:
                yield part.words
            if part.medium is not None:
                yield part.medium

    @cached_property
    def id(self) -> str:
        """The media ID of all of it: SHA-256 of its parts' IDs and words, hex."""
        names = [
            part if isinstance(part, str) else part.rendered if isinstance(part, Text) else part.id
            for part in self.content
        ]
        return hashlib.sha256(json.dumps(["document", *names]).encode("utf-8", "surrogatepass")).hexdigest()


Projected: TypeAlias = Image | Audio | Clip  # what goes through the projector
Medium: TypeAlias = Image | Audio | Text | Document  # what one source gives, and what a talk counts
