"""The moments of a film -> a document: clips with their stamps, and what is said at its time. Opens no file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mmcli.media import film_plan
from mmcli.media.clock import in_words
from mmcli.media.locator import Locator, Stretch
from mmcli.media.types import Audio, Clip, Document, DocumentPart, Receipt
from mmcli.media.wanted import FilmWanted

if TYPE_CHECKING:
    from mmcli.media.video import Film, Moment

PIECE = 30.0  # seconds of sound that a model that hears gets at a time


@dataclass(frozen=True, eq=False)
class FilmDocument(Document):
    """A film, opened: a clip for each moment."""

    sound: Callable[[], Audio] | None = None  # opens its sound, where nothing of that is among the parts yet


def document(
    film: Film,
    name: str,
    wanted: FilmWanted,
    *,
    stretch: Stretch | None = None,
    spoken: Sequence[tuple[float, str]] = (),
    sound: Callable[[], Audio] | None = None,
) -> FilmDocument:
    """A film as a document, and the sound that is still to be put into words or handed to a model that hears."""
    n_frames = sum(len(moment.frames) for moment in film.moments)
    receipt = Receipt(
        source=name,
        kind="video",
        sha256=film.sha256,
        n_bytes=film.n_bytes,
        format=film.format,
        source_size=film.stored,
        sent_size=film.sent,
        rotation=film.rotation,
        frames=n_frames,
        seconds=film.seconds,
        locator=None if stretch is None else str(Locator(time=stretch)),
        span=film.span,
        times=tuple(time for moment in film.moments for time in moment.times),
        pairs=len(film.moments) if wanted.recipe.pairs else None,
        sampling="exact" if wanted.sample == "uniform" and (wanted.exact or wanted.fps) else wanted.sample,
        hdr=film.is_hdr,
        sound="off" if wanted.sound == "off" and film.has_sound else "none",
        notes=film.notes,
    )
    intro = film_plan.intro(wanted.recipe, n_frames, film.span[1] - film.span[0])
    parts = []
    for number, moment in enumerate(film.moments, 1):
        words = film_plan.stamp(wanted.recipe, moment.times, number)
        locator = Locator(time=Stretch(moment.times[0]))
        parts.append(DocumentPart(locator, _clip(moment, receipt, locator), intro + words if number == 1 else words))
    is_settled = wanted.sound == "off" or wanted.spoken is not None
    made = FilmDocument(receipt, tuple(parts), None if is_settled else sound)
    if not spoken:
        return made
    return with_words(made, spoken, "subtitles" if wanted.spoken is None else wanted.sound)


def _clip(moment: Moment, film: Receipt, locator: Locator) -> Clip:
    frames = np.stack(moment.frames)  # (n, height, width, 3) uint8 RGB
    media_id = hashlib.sha256(b"clip %d %d %d" % (frames.shape[0], frames.shape[2], frames.shape[1]))
    media_id.update(frames.data)
    receipt = replace(film, frames=len(moment.frames), locator=str(locator), times=moment.times)
    return Clip(frames, moment.times, media_id.hexdigest(), receipt)


def with_words(film: FilmDocument, spoken: Sequence[tuple[float, str]], sound: str) -> FilmDocument:
    """The film with what is said in it, each sentence before the first moment at or after its time.

    `spoken`: (second, words), in order; `sound` is what the receipts say of where they came from.
    """
    lines = [(second, f'[{_clock(second)}] ▸ "{" ".join(words.split())}"') for second, words in spoken]
    parts: list[DocumentPart] = []
    for part in film.parts:
        time = part.locator.time.begin if part.locator is not None and part.locator.time is not None else 0.0
        before = [line for second, line in lines if second <= time]
        lines = lines[len(before) :]
        words = part.words if not before else "\n".join(("", *before, part.words.lstrip("\n")))
        parts.append(replace(part, words=words.lstrip("\n") if not parts else words))
    if lines:
        parts.append(DocumentPart(None, None, "\n" + "\n".join(line for _, line in lines)))
    return _told(replace(film, parts=tuple(parts), sound=None), sound, tuple(spoken))


def with_sound(film: FilmDocument, sound: Audio) -> FilmDocument:
    """The film with its sound for a model that hears: pieces of half a minute before the moments they lead up to."""
    pieces = _pieces(sound)
    parts: list[DocumentPart] = []
    for part in film.parts:
        time = part.locator.time.begin if part.locator is not None and part.locator.time is not None else 0.0
        while pieces and sound.time(pieces[0][0]) <= time:
            parts.append(pieces.pop(0)[1])
        parts.append(part)
    parts += [piece for _, piece in pieces]
    return _told(replace(film, parts=tuple(parts), sound=None), "heard", ())


def without_sound(film: FilmDocument, why: str, sound: str = "none") -> FilmDocument:
    """The film alone; `why` nothing of its sound is there, as a note."""
    return _told(replace(film, sound=None), sound, (), (why,))


def _told(
    film: FilmDocument, sound: str, spoken: tuple[tuple[float, str], ...], more: tuple[str, ...] = ()
) -> FilmDocument:
    """The same with receipts that say what became of its sound; `more` notes."""
    notes = (*film.receipt.notes, *more)
    parts = tuple(
        replace(part, medium=replace(part.medium, receipt=replace(part.medium.receipt, sound=sound, notes=notes)))
        if isinstance(part.medium, Clip)
        else part
        for part in film.parts
    )
    return replace(film, receipt=replace(film.receipt, sound=sound, spoken=spoken, notes=notes), parts=parts)


def _pieces(sound: Audio) -> list[tuple[float, DocumentPart]]:
    """(seconds in the samples, part) of each piece; an end of less than a second belongs to the piece before."""
    step = round(PIECE * sound.sample_rate)
    starts = list(range(0, len(sound.samples), step))
    if len(starts) > 1 and len(sound.samples) - starts[-1] < sound.sample_rate:
        starts.pop()
    found = []
    for start, end in zip(starts, [*starts[1:], len(sound.samples)], strict=True):
        samples = np.ascontiguousarray(sound.samples[start:end])
        media_id = hashlib.sha256(b"audio %d %d" % (sound.sample_rate, len(samples)))
        media_id.update(samples.data)
        begin, behind = start / sound.sample_rate, end / sound.sample_rate
        locator = Locator(time=Stretch(sound.time(begin), sound.time(behind)))
        receipt = replace(sound.receipt, seconds=behind - begin, locator=str(locator))
        piece = Audio(samples, sound.sample_rate, media_id.hexdigest(), receipt)
        found.append((begin, DocumentPart(locator, piece)))
    return found


def _clock(seconds: float) -> str:
    """`00:12`, `1:02:03`"""
    words = in_words(seconds)
    return words if words.count(":") == 2 else words.zfill(5)
