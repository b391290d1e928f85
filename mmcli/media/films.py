"""A source that moves, a film or an animation -> its document. Knows sources and kinds; decodes nothing itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.media import opening
from mmcli.media.locator import Locator, Stretch
from mmcli.media.sniffing import HEAD, sniff
from mmcli.media.sources import AUDIO_SUFFIXES, Source
from mmcli.media.types import Audio, Document, DocumentPart
from mmcli.media.wanted import FilmWanted

if TYPE_CHECKING:
    from mmcli.media.video import Film


def opened(
    source: Source,
    data: bytes | None,
    *,
    wanted: FilmWanted,
    sound: Callable[[], Audio],
    damaged_ok: bool = False,
    max_megapixels: float = 100.0,
    stop: threading.Event | None = None,
) -> Document | None:
    """A film or an animation as a document; None where it is neither. InputError as `video.decode` raises it.

    Without `data`, only a film that lies in a file: it is read where it lies. `sound` opens the film's sound.
    """
    if data is None:
        if source.path is None or source.data is not None or sniff(opening.head(source)) != "video":
            return None
        return _film(source, source.path, wanted, damaged_ok, sound, stop)
    kind = sniff(data[:HEAD])
    if kind == "video":
        return _film(source, data, wanted, damaged_ok, sound, stop)
    if kind != "image":
        return None
    from mmcli.media.animated import is_animated

    meant = source.locator or Locator()
    if meant.box is not None or meant.pages or not is_animated(data):
        return None
    from mmcli.media import animation

    if meant.time is not None and meant.time.end is None:
        return _still(source, data, meant.time, max_megapixels)
    film = animation.decode(data, shown=source.shown, wanted=wanted, stretch=meant.time, megapixels=max_megapixels)
    return _document(film, source, wanted, None)


def _film(
    source: Source,
    content: Path | bytes,
    wanted: FilmWanted,
    damaged_ok: bool,
    sound: Callable[[], Audio],
    stop: threading.Event | None,
) -> Document | None:
    from mmcli.media import film_subtitles, video

    if not video.has_pictures(content, if_damaged=source.suffix not in AUDIO_SUFFIXES):
        return None
    opening.check_part(source, "video")
    stretch = (source.locator or Locator()).time
    film = video.decode(
        content,
        shown=source.shown,
        suffix=source.suffix,
        wanted=wanted,
        stretch=stretch,
        damaged_ok=damaged_ok,
        stop=stop,
    )
    spoken = wanted.spoken
    if spoken is None and wanted.sound in ("auto", "subtitles"):
        spoken = film_subtitles.read(content, film.span, stop)
    return _document(film, source, wanted, sound if film.has_sound else None, spoken or ())


def _document(
    film: Film,
    source: Source,
    wanted: FilmWanted,
    sound: Callable[[], Audio] | None,
    spoken: tuple[tuple[float, str], ...] = (),
) -> Document:
    from mmcli.media import film as films

    stretch = (source.locator or Locator()).time
    return films.document(film, source.name, wanted, stretch=stretch, spoken=spoken, sound=sound)


def _still(source: Source, data: bytes, at: Stretch, max_megapixels: float) -> Document:
    """The frame that an animation shows at a moment, as a picture."""
    from mmcli.media import animation

    image = animation.still(data, source.name, at, shown=source.shown, megapixels=max_megapixels)
    return Document(image.receipt, (DocumentPart(Locator(time=at), image),))
