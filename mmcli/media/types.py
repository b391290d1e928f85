"""What a loaded medium is: arrays with a receipt. Knows no files, no decoders and no models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Receipt:
    """What was really read of one medium, before any model sees it.

    The engine adds what the model got (n_tokens, from the cache or not) as a `Seen` beside it.
    """

    source: str  # as the person named it: a path, a URL, "-"
    kind: str  # "image" | "audio" | "text"
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
    notes: tuple[str, ...] = ()  # sentences on everything that was changed: "first of 12 frames", "alpha on white"


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


Medium: TypeAlias = Image | Audio | Text
