"""A film -> some of its frames, upright, in RGB, with their true times. Knows PyAV; knows no models.

The film is opened where it lies and read by parts: an hour of it takes no more memory than a minute.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av

from mmcli.errors import InputError, ResourceError
from mmcli.media import boxes, film_frames, film_plan, promises
from mmcli.media.audio import OWN_ZERO
from mmcli.media.clock import in_words
from mmcli.media.film_plan import Slot
from mmcli.media.film_reader import FilmReader, Shot
from mmcli.media.locator import Stretch
from mmcli.media.scenes import scenes
from mmcli.media.soundtrack import Abandoned
from mmcli.media.wanted import FilmWanted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 1 << 20  # bytes that are hashed at a time
MOST_BROKEN = 0.1  # of the moments that could not be decoded, before the film counts as damaged
LATE = 1.0  # seconds by which a frame may lie before its moment where the film has no other
_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"styp", b"free", b"skip", b"uuid", b"meta"))
_COVER = av.stream.Disposition.attached_pic  # a picture of an album, which is no film
_HINT = "does another program play it?"


@dataclass(frozen=True)
class Moment:
    """One slot's frames: one, or a pair of neighbours, with their true times in seconds."""

    times: tuple[float, ...]
    frames: tuple[NDArray[np.uint8], ...]  # each (height, width, 3), RGB, upright, of one size


@dataclass(frozen=True)
class Film:
    """What was taken of a film, and what it is."""

    moments: tuple[Moment, ...]
    sha256: str  # of the file's bytes
    n_bytes: int
    format: str  # "mp4 h264"
    seconds: float  # of the whole film
    span: tuple[float, float]  # the stretch that the moments stand for
    stored: tuple[int, int]  # (width, height) in the file
    sent: tuple[int, int]  # of the frames, upright
    rotation: str  # "none", "90", "180", "270": clockwise
    is_hdr: bool
    has_sound: bool
    notes: tuple[str, ...]


def decode(
    source: Path | bytes,
    *,
    shown: str,
    suffix: str = "",
    wanted: FilmWanted | None = None,
    stretch: Stretch | None = None,
    damaged_ok: bool = False,
    stop: threading.Event | None = None,
) -> Film:
    """The frames that are wanted of a film; `shown` is the name as error messages put it.

    InputError where there are no moving pictures, where it is damaged or cut short, or where the stretch lies outside.
    Setting `stop` ends it with an InputError.
    """
    wanted = wanted or FilmWanted()
    with ThreadPoolExecutor(1) as beside:
        digest = beside.submit(_digest, source, stop)
        try:
            if not damaged_ok:
                _refuse_cut(source, shown)
            with _opened(source, shown) as container:
                return _taken(container, source, digest, shown, suffix, wanted, stretch, damaged_ok, stop)
        except Abandoned as error:
            raise InputError(f"{shown} was not decoded to its end: that was interrupted") from error
        except MemoryError as error:
            raise ResourceError(f"not enough memory to decode {shown}", hint="close other programs") from error


def has_pictures(source: Path | bytes, *, if_damaged: bool) -> bool:
    """Whether a container holds moving pictures; `if_damaged` where it cannot be opened."""
    try:
        with _opened(source, "") as container:
            return any(not stream.disposition & _COVER for stream in container.streams.video)
    except InputError:
        return if_damaged


@contextmanager
def _opened(source: Path | bytes, shown: str) -> Iterator[av.container.InputContainer]:
    try:
        container = av.open(readable(source), mode="r")
    except FileNotFoundError as error:
        raise InputError(f"no file named {shown}") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{shown} is damaged: it cannot be opened as a video", hint=_HINT) from error
    with container:
        yield container


def readable(source: Path | bytes) -> str | io.BytesIO | mmap.mmap:
    """What FFmpeg reads. A large film in memory is a map of its file, and not copied."""
    if isinstance(source, mmap.mmap):
        source.seek(0)
        return source
    return os.fspath(source) if isinstance(source, Path) else io.BytesIO(source)


def _refuse_cut(source: Path | bytes, shown: str) -> None:
    """InputError where the file is shorter than its own headers say."""
    if not isinstance(source, Path):
        end, size = _end(source), len(source)
    else:
        with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            end, size = _end(mapped), len(mapped)
    if end is not None and end > size:
        raise _cut_short(shown)


def _end(data: bytes | mmap.mmap) -> int | None:
    """Where the file should end; None where its headers do not say it."""
    view = cast(bytes, data)  # what is used of it, a map has too
    if view[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        return max((box.end for box in boxes.boxes(view) if box.kind in _BOXES), default=None)
    return promises.data_end(view)


def _cut_short(shown: str) -> InputError:
    return InputError(f"{shown} is cut short: its end is missing", hint="copy or download it again")


def _taken(
    container: av.container.InputContainer,
    source: Path | bytes,
    digest: Future[tuple[str, int]],
    shown: str,
    suffix: str,
    wanted: FilmWanted,
    stretch: Stretch | None,
    damaged_ok: bool,
    stop: threading.Event | None,
) -> Film:
    # 1  the stream, its clock and its first frame
    stream = _pictures(container, shown)
    zero = 0.0 if container.format.name.split(",")[0] in OWN_ZERO else (container.start_time or 0) / av.time_base
    try:
        reader = FilmReader(container, stream, zero, stop)
    except EOFError as error:
        raise InputError(f"{shown} holds no picture that could be decoded", hint=_HINT) from error
    shape = film_frames.shape(reader.first.frame, _aspect(stream), wanted)
    seconds = _seconds(container, stream, reader)
    notes: list[str] = []
    span = span_of(stretch, seconds, shown)
    # 2  which moments, and then their frames
    slots = _slots(reader, wanted, span, seconds, notes)
    moments, n_substitutes = _moments(reader, slots, wanted, shape)
    # 3  what is missing, what repeats itself
    _check(n_substitutes, moments, reader, seconds, shown, notes, ok=damaged_ok)
    kept = distinct(moments, notes) if wanted.times is None else moments
    notes += _notes(reader, shape, stream)
    sha256, n_bytes = digest.result()
    return Film(
        moments=tuple(kept),
        sha256=sha256,
        n_bytes=n_bytes,
        format=f"{_container_name(container.format.name, suffix)} {stream.codec_context.name}",
        seconds=seconds,
        span=span,
        stored=shape.stored,
        sent=shape.sent,
        rotation=str(shape.turned) if shape.turned else "none",
        is_hdr=shape.is_hdr,
        has_sound=bool(container.streams.audio),
        notes=tuple(notes),
    )


def _pictures(container: av.container.InputContainer, shown: str) -> av.VideoStream:
    streams = [stream for stream in container.streams.video if not stream.disposition & _COVER]
    if not streams:
        what = "only sound" if container.streams.audio else "neither pictures nor sound"
        raise InputError(f"{shown} has no moving pictures in it, {what}")
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise InputError(f"{shown} holds pictures in a form that cannot be decoded", hint=_HINT)
    best = container.streams.best("video")
    return next((stream for stream in known if best is not None and stream.index == best.index), known[0])


def _aspect(stream: av.VideoStream) -> float:
    """A pixel's width by its height."""
    ratio = stream.sample_aspect_ratio
    return float(ratio) if ratio and 0.1 < ratio < 10 else 1.0


def _seconds(container: av.container.InputContainer, stream: av.VideoStream, reader: FilmReader) -> float:
    """How long the film is; where no header says it, as long as its packets are."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration:
        return container.duration / av.time_base
    for _ in reader.each_keyframe(0.0, float("inf")):
        pass
    return max(reader.last, reader.first.time)


def span_of(stretch: Stretch | None, seconds: float, shown: str) -> tuple[float, float]:
    """Begin and end, in seconds, of what is wanted of a film; InputError where it lies behind the film's end."""
    if stretch is None:
        return 0.0, seconds
    if stretch.begin >= seconds:
        raise InputError(
            f"{shown}: there is no such part, the film ends at {seconds:.1f} s ({in_words(seconds)})",
            hint="a part is named by its begin and end, in seconds or as h:mm:ss",
        )
    return stretch.begin, min(stretch.end if stretch.end is not None else seconds, seconds)


def _slots(
    reader: FilmReader, wanted: FilmWanted, span: tuple[float, float], seconds: float, notes: list[str]
) -> list[tuple[Slot, bool]]:
    """The slots, each with whether its very target is meant, not a keyframe near it."""
    begin, end = span
    if wanted.times is not None:
        each = wanted.recipe.frames_per_slot
        groups = [wanted.times[i : i + each] for i in range(0, len(wanted.times), each)]
        return [(Slot(group[0], group[0], group[-1]), True) for group in groups]
    n = film_plan.n_slots(wanted, end - begin)
    if wanted.sample == "uniform" or end - begin <= film_plan.BRIEF:
        exact = wanted.exact or wanted.fps is not None or end - begin <= film_plan.BRIEF
        return [(slot, exact) for slot in film_plan.uniform(begin, end, n)]
    if wanted.sample == "scene":
        found = scenes(reader.each_keyframe(begin, end), begin, end)
        what = "scene"
    else:
        found = [shot.time for shot in reader.each_keyframe(begin, end)]
        what = "keyframe"
    if len(found) < 2:
        notes.append(f"only {len(found)} {what}{'' if len(found) == 1 else 's'} found: sampled uniformly")
        return [(slot, wanted.exact) for slot in film_plan.uniform(begin, end, n)]
    times = film_plan.thinned(found, n)
    if len(times) < len(found):
        notes.append(f"{len(times)} of {len(found)} {what}s")
    return [(slot, True) for slot in film_plan.around(times, begin, end)]


def _moments(
    reader: FilmReader, slots: Sequence[tuple[Slot, bool]], wanted: FilmWanted, shape: film_frames.FrameShape
) -> tuple[list[Moment], int]:
    """The frames of each slot, and how many slots got the frame before the one that was damaged.

    A frame is scaled at once, so that no more than two large ones are in memory.
    """
    interlaced = reader.first.frame.interlaced_frame
    pictures = film_frames.Pictures(shape)
    moments: list[Moment] = []
    n_substitutes = 0
    for slot, exact in slots:
        shots: tuple[Shot, ...]
        if wanted.recipe.pairs:
            shots = _pair(reader, slot, exact=exact, is_known=wanted.times is not None)
        elif exact or interlaced:
            shots = (reader.at(slot.target),)
        else:
            shots = (reader.near(slot),)
        n_substitutes += any(shot.is_substitute for shot in shots)
        frames = tuple(pictures.of(_progressive(shot, interlaced)) for shot in shots)
        moments.append(Moment(tuple(shot.time for shot in shots), frames))
    return moments, n_substitutes


def _pair(reader: FilmReader, slot: Slot, *, exact: bool, is_known: bool) -> tuple[Shot, Shot]:
    """Two frames of a slot, a moment apart; the first is a keyframe where the slot has one."""
    if is_known:
        return reader.at(slot.begin), reader.at(slot.end)
    gap = film_plan.gap(slot)
    keyframe = None if exact else film_plan.snapped([slot], reader.keyframes)[0]
    first = slot.target - gap / 2 if keyframe is None else min(keyframe, max(slot.begin, slot.end - gap))
    shot = reader.at(first)
    return shot, reader.at(max(first, shot.time) + gap)


def _progressive(shot: Shot, interlaced: bool) -> av.VideoFrame:
    if not interlaced:
        return shot.frame
    following = [shot.following] if shot.following is not None else []
    return film_frames.deinterlaced([shot.frame, *following])


def _check(
    n_substitutes: int,
    moments: Sequence[Moment],
    reader: FilmReader,
    seconds: float,
    shown: str,
    notes: list[str],
    *,
    ok: bool,
) -> None:
    """InputError where too many moments have no frame of their own, unless that is `ok`; a note where few have none."""
    n = len(moments)
    if n_substitutes > MOST_BROKEN * n and not ok:
        raise InputError(
            f"{shown} is damaged: {n_substitutes} of {n} frames cannot be decoded",
            hint="copy it again; --damaged-ok takes the frames before them instead",
        )
    if n_substitutes:
        notes.append(f"{n_substitutes} of {n} frames could not be decoded: the ones before them were taken")
    elif reader.n_broken:
        notes.append("damaged in places that no frame was taken from")
    if reader.is_ended and reader.last < seconds - LATE:
        notes.append(f"its pictures end at {in_words(reader.last)} of {in_words(seconds)}")


def distinct(moments: Sequence[Moment], notes: list[str]) -> list[Moment]:
    """The moments without those that look like the one before them."""
    kept: list[Moment] = []
    n = 0
    for moment in moments:
        if kept and kept[-1].times == moment.times:  # the film has no more frames there
            continue
        if kept and all(map(film_frames.look_alike, kept[-1].frames, moment.frames)):
            n += 1
            continue
        kept.append(moment)
    if n:
        slots = "frame" if len(moments[0].frames) == 1 else "pair"
        notes.append(f"{n} of {len(kept) + n} {slots}s look like the one before and were left out")
    return kept


def _notes(reader: FilmReader, shape: film_frames.FrameShape, stream: av.VideoStream) -> list[str]:
    notes = []
    if shape.is_hdr:
        notes.append("HDR shown as SDR")
    if reader.first.frame.interlaced_frame:
        notes.append("interlaced: its lines were joined")
    if _aspect(stream) != 1.0:
        notes.append(f"its pixels are not square: {shape.stored[0]}×{shape.stored[1]} shown as it is played")
    return notes


def _container_name(names: str, suffix: str) -> str:
    options = names.split(",")
    return suffix[1:] if suffix[1:] in options else {"matroska": "mkv", "mpegts": "ts"}.get(options[0], options[0])


def _digest(source: Path | bytes, stop: threading.Event | None) -> tuple[str, int]:
    """SHA-256 and size of the file's bytes, read by parts."""
    if not isinstance(source, Path):
        return hashlib.sha256(source).hexdigest(), len(source)
    digest, n_bytes = hashlib.sha256(), 0
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            n_bytes += len(block)
            if stop is not None and stop.is_set():
                raise Abandoned
    return digest.hexdigest(), n_bytes
