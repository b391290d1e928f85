"""An animated GIF, APNG or WebP -> its frames with their true times. Knows Pillow; knows no files and no models.

FFmpeg cannot read animated WebP, and takes other pains with the rest: Pillow reads all three, with each frame's time.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow

from mmcli.errors import InputError
from mmcli.media import film_frames, film_plan, pillow
from mmcli.media.animated import FORMATS
from mmcli.media.locator import Locator, Stretch
from mmcli.media.types import Image, Receipt
from mmcli.media.video import Film, Moment, distinct, span_of
from mmcli.media.wanted import FilmRecipe, FilmWanted

if TYPE_CHECKING:
    from numpy.typing import NDArray

USUAL = 0.1  # seconds: how long browsers show a frame whose own time is 0 or 10 milliseconds
SHORTEST = 0.011  # seconds
MOST_FRAMES = 100_000
STILL = 0.001  # seconds: so short a stretch holds one frame


def decode(
    data: bytes,
    *,
    shown: str,
    wanted: FilmWanted | None = None,
    stretch: Stretch | None = None,
    megapixels: float = 100,
) -> Film:
    """The frames that are wanted of an animation; InputError where it is damaged or the stretch lies outside."""
    wanted = wanted or FilmWanted()
    with pillow.warnings_kept():
        try:
            with Pillow.open(io.BytesIO(data), formats=FORMATS) as picture:
                return _taken(picture, data, shown, wanted, stretch, megapixels)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # Pillow's plugins let any exception fly on damaged data
            raise InputError(f"{shown} is damaged: its frames cannot be decoded", hint="copy it again") from error


def still(data: bytes, name: str, at: Stretch, *, shown: str, megapixels: float = 100) -> Image:
    """The frame that is shown at a moment, as a picture: `a.gif#t=0` is the first one."""
    side = FilmRecipe(side=1 << 16)
    moment = Stretch(at.begin, at.begin + STILL)
    film = decode(data, shown=shown, wanted=FilmWanted(recipe=side), stretch=moment, megapixels=megapixels)
    (pixels,) = film.moments[0].frames
    height, width = pixels.shape[:2]
    media_id = hashlib.sha256(b"image %d %d" % (width, height))
    media_id.update(pixels.data)
    receipt = Receipt(
        source=name,
        kind="image",
        sha256=film.sha256,
        n_bytes=film.n_bytes,
        format=film.format.partition(" ")[0],
        source_size=film.stored,
        sent_size=(width, height),
        locator=str(Locator(time=at)),
        notes=(f"the frame at {film.moments[0].times[0]:g} s of an animation of {film.seconds:g} s",),
    )
    return Image(pixels, media_id.hexdigest(), receipt)


def _taken(
    picture: Pillow.Image, data: bytes, shown: str, wanted: FilmWanted, stretch: Stretch | None, megapixels: float
) -> Film:
    if picture.width * picture.height > megapixels * 1e6:
        raise InputError(
            f"{shown} has {picture.width * picture.height / 1e6:.0f} megapixels, the limit is {megapixels:g}",
            hint="shrink it first; if you trust it, raise MMCLI_MAX_MEGAPIXELS",
        )
    begins = _begins(picture)
    seconds = begins[-1]
    begin, end = span_of(stretch, seconds, shown)
    # Every frame may be a keyframe here; one is taken once.
    n = min(film_plan.n_slots(wanted, end - begin), len(begins) - 1)
    inside = [i for i in range(len(begins) - 1) if begins[i + 1] > begin and begins[i] < end]
    if wanted.times is not None:
        places = [max(i for i in range(len(begins) - 1) if begins[i] <= time + 1e-6) for time in wanted.times]
    elif wanted.frames is None and wanted.fps is None:
        places = _evenly(inside, n)
    else:
        targets = [slot.target for slot in film_plan.uniform(begin, end, n)]
        places = sorted({max(i for i in inside if begins[i] <= target or i == inside[0]) for target in targets})
    each = wanted.recipe.frames_per_slot
    size = _size(picture, wanted)
    groups = [places[i : i + each] for i in range(0, len(places), each)]
    groups = [group + group[-1:] * (each - len(group)) for group in groups]
    frames = _frames(picture, sorted({place for group in groups for place in group}), size)
    moments = [
        Moment(tuple(begins[place] for place in group), tuple(frames[place] for place in group)) for group in groups
    ]
    notes: list[str] = []
    return Film(
        moments=tuple(distinct(moments, notes) if wanted.times is None else moments),
        sha256=hashlib.sha256(data).hexdigest(),
        n_bytes=len(data),
        format=f"{picture.format} animation of {len(begins) - 1} frames",
        seconds=seconds,
        span=(begin, end),
        stored=picture.size,
        sent=size,
        rotation="none",
        is_hdr=False,
        has_sound=False,
        notes=tuple(notes),
    )


def _begins(picture: Pillow.Image) -> list[float]:
    """Where each frame begins, in seconds; then where the last one ends."""
    begins, at = [0.0], 0.0
    for i in range(min(int(getattr(picture, "n_frames", 1)), MOST_FRAMES)):
        picture.seek(i)
        if picture.format == "WEBP":  # its time is known only once it is decoded
            picture.load()
        shown = float(picture.info.get("duration", 0) or 0) / 1000
        at = round(at + (shown if shown >= SHORTEST else USUAL), 4)
        begins.append(at)
    return begins


def _evenly(places: list[int], n: int) -> list[int]:
    return [places[int((i + 0.5) * len(places) / n)] for i in range(n)] if len(places) > n else places


def _size(picture: Pillow.Image, wanted: FilmWanted) -> tuple[int, int]:
    if wanted.size is not None:
        return wanted.size
    return film_frames.size_of(float(picture.width), float(picture.height), wanted.recipe)


def _frames(picture: Pillow.Image, places: list[int], size: tuple[int, int]) -> dict[int, NDArray[np.uint8]]:
    """The frames at these places, ascending: (height, width, 3) uint8 RGB, what is transparent on white."""
    found: dict[int, NDArray[np.uint8]] = {}
    for place in places:
        picture.seek(place)
        frame = picture.convert("RGBA")
        ground = Pillow.new("RGBA", frame.size, (255, 255, 255, 255))
        ground.alpha_composite(frame)
        flat = ground.convert("RGB")
        if flat.size != size:
            flat = flat.resize(size, Pillow.Resampling.BOX if size[0] * 2 < flat.width else Pillow.Resampling.BICUBIC)
        found[place] = np.array(flat)
    return found
