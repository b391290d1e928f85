"""Opens a source as a document: a receipt of what was read, and its parts, each with where it lies."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ParamSpec

from mmcli.errors import releasing
from mmcli.media import films, locator, opening
from mmcli.media.opening import KINDS, MAX_BYTES, MAX_DOWNLOAD_BYTES, MAX_TEXT_BYTES
from mmcli.media.sources import Source
from mmcli.media.types import Audio, Document, DocumentPart, Image, Medium, Text
from mmcli.media.wanted import NOTHING_SPECIAL, Wanted

P = ParamSpec("P")


@releasing
def open(
    source: Source,
    *,
    wanted: Wanted = NOTHING_SPECIAL,
    kinds: frozenset[str] = KINDS,
    max_bytes: int = MAX_BYTES,
    max_download_bytes: int = MAX_DOWNLOAD_BYTES,
    max_text_bytes: int = MAX_TEXT_BYTES,
    max_megapixels: float = 100.0,
    sample_rate: int = 16_000,
    max_seconds: float = 3600.0,
    damaged_ok: bool = False,
    on_data: Callable[[bytes], None] | None = None,
    stop: threading.Event | None = None,
) -> Document:
    """Read and decode one source; anything that is not whole, or not one of `kinds`, is an InputError.

    The content decides what it is, not the extension. Only the part that the source's locator names is decoded.
    `wanted` says which pages and moments are taken where the source has several. `sample_rate` is the sounds' in Hz.
    When only "audio" is among the kinds, a video gives its sound. With `damaged_ok`, what is there of a damaged sound
    is taken. `on_data` is told the source's bytes, the ones that the receipt's SHA-256 is of,
    before they are decoded. Setting `stop` ends a download, and the decoding of a sound, with an InputError.
    """
    sound = functools.partial(
        _sound_of, sample_rate=sample_rate, max_seconds=max_seconds, damaged_ok=damaged_ok, stop=stop
    )
    moves = functools.partial(films.opened, wanted=wanted.film, damaged_ok=damaged_ok, stop=stop)
    if "video" in kinds and (found := moves(source, None, sound=functools.partial(sound, source))):
        return found
    data = opening.read(source, max_bytes=max_bytes, max_download_bytes=max_download_bytes, stop=stop)
    if "video" in kinds and data:
        here = replace(source, data=data)
        if found := moves(source, data, sound=functools.partial(sound, here), max_megapixels=max_megapixels):
            if on_data is not None:
                on_data(data)
            return found
    medium = opening.decode(
        source,
        data,
        kinds=kinds,
        max_text_bytes=max_text_bytes,
        max_megapixels=max_megapixels,
        sample_rate=sample_rate,
        max_seconds=max_seconds,
        damaged_ok=damaged_ok,
        on_data=on_data,
        stop=stop,
        wanted=wanted,
    )
    if isinstance(medium, Document):
        return medium
    part = medium.receipt.locator
    return Document(medium.receipt, (DocumentPart(None if part is None else locator.parse(part), medium),))


def _sound_of(source: Source, **how: Any) -> Audio:
    """The sound of a film."""
    sound = opening.decode(source, opening.read(source), kinds=frozenset({"audio"}), **how)
    assert isinstance(sound, Audio)
    return sound


def _as_medium(opened: Callable[P, Document]) -> Callable[P, Medium]:
    """The same call for callers that take one medium a source."""

    def load(*args: P.args, **kwargs: P.kwargs) -> Medium:
        """The document; its medium where that is all of it. The arguments are those of `open`."""
        document = opened(*args, **kwargs)
        if len(document.parts) == 1:
            (part,) = document.parts
            medium = part.medium
            if isinstance(medium, Image | Audio | Text) and medium.receipt is document.receipt:
                return medium
        return document

    return load


load = _as_medium(open)
