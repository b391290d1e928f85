"""Opens a source as a document: a receipt of what was read, and its parts, each with where it lies."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec

from mmcli.errors import releasing
from mmcli.media import locator, opening
from mmcli.media.locator import Locator
from mmcli.media.opening import KINDS, MAX_BYTES, MAX_DOWNLOAD_BYTES, MAX_TEXT_BYTES
from mmcli.media.sources import Source
from mmcli.media.types import Medium, Receipt

P = ParamSpec("P")


@dataclass(frozen=True, eq=False)
class DocumentPart:
    """One medium of a document: all of a picture or sound, a box or stretch of it; later a page or a frame."""

    locator: Locator | None  # where in the document it lies; None: it is all of it
    medium: Medium


@dataclass(frozen=True, eq=False)
class Document:
    """One source, opened: what was read, and its parts in order. Pictures, sounds and texts have one part."""

    receipt: Receipt
    parts: tuple[DocumentPart, ...]


@releasing
def open(
    source: Source,
    *,
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
    `sample_rate` is the sounds' in Hz. When only "audio" is wanted, a video gives its sound. With `damaged_ok`, what is
    there of a damaged sound is taken. `on_data` is told the source's bytes, the ones that the receipt's SHA-256 is of,
    before they are decoded. Setting `stop` ends a download, and the decoding of a sound, with an InputError.
    """
    data = opening.read(source, max_bytes=max_bytes, max_download_bytes=max_download_bytes, stop=stop)
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
    )
    found = medium.receipt.locator
    return Document(medium.receipt, (DocumentPart(None if found is None else locator.parse(found), medium),))


def _of_one_part(opened: Callable[P, Document]) -> Callable[P, Medium]:
    """The same call for callers that take one medium a source."""

    def load(*args: P.args, **kwargs: P.kwargs) -> Medium:
        """The medium of a document of one part; the arguments are those of `open`."""
        (part,) = opened(*args, **kwargs).parts
        return part.medium

    return load


load = _of_one_part(open)
