"""How a model wants its pictures and words: data, as the catalogue or a model's own files have it. Knows no files."""

from __future__ import annotations

from dataclasses import asdict, dataclass

RESIZES = ("squash", "shortest", "letterbox")
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
SIMPLE_HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Preparation:
    """From upright RGB to what the picture tower sees: a square of `side` pixels.

    `squash` pulls to a square; `shortest` scales the shorter side and cuts the middle out; `letterbox` fits all of the
    picture in, and fills what is left with `ground`. Then (x / 255 - mean) / std, channel by channel.
    """

    side: int
    resize: str = "squash"
    interpolation: str = "bicubic"
    mean: tuple[float, ...] = SIMPLE_HALF
    std: tuple[float, ...] = SIMPLE_HALF
    ground: tuple[int, ...] = (0, 0, 0)


@dataclass(frozen=True)
class Wording:
    """From a text to what the text tower sees: `context` tokens, filled up with `pad`.

    `canonicalise`: small letters, no punctuation, single blanks, as SigLIP's authors trained it. `fixed`: always filled
    up to `context`; otherwise only to the longest of a batch.
    """

    context: int
    pad: int = 0
    canonicalise: bool = False
    fixed: bool = True


@dataclass(frozen=True)
class Recipe:
    """All that must be known beside the files; `scale` and `bias` as models with a sigmoid or a softmax need them."""

    preparation: Preparation
    wording: Wording
    scale: float = 100.0
    bias: float | None = None
    calibrated: bool = False  # whether sigmoid(scale · cosine + bias) is a true probability

    @property
    def as_text(self) -> str:
        """One line that differs where vectors would: part of a space's identity."""
        return repr(
            sorted(
                (key, repr(value)) for key, value in asdict(self).items() if key not in ("scale", "bias", "calibrated")
            )
        )
