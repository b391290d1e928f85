"""One file -> its pieces with their pixels, words and facts: pictures, pages, moments, speech. Knows no tables."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mmcli import media
from mmcli.errors import InputError
from mmcli.library.records import NewContent, NewPiece
from mmcli.media import opening
from mmcli.media.sniffing import sniff
from mmcli.media.sources import AUDIO_SUFFIXES, IMAGE_SUFFIXES, VIDEO_SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAGE_SIDE = 1024  # pixels of a page's long side, at which its painted text is told
LONGEST_MOMENT, SHORTEST_MOMENT, MOST_MOMENTS = 15.0, 5.0, 400  # seconds, seconds, of a film
_BLOCK = 1 << 20
EVERY_SUFFIX = IMAGE_SUFFIXES | VIDEO_SUFFIXES | AUDIO_SUFFIXES | {".pdf"}

Spoken: TypeAlias = Sequence[tuple[float, float, str]]  # (begin, end, words) in seconds


@dataclass(frozen=True)
class PieceMaker:
    """What is looked for in files. The functions come from commands: a library knows no models of words and speech."""

    side: int  # pixels that the embedding model sees
    pages: bool = True
    frames: bool = True
    max_megapixels: float = 100.0
    read_words: Callable[[NDArray[np.uint8]], str] | None = None  # a picture's words
    transcribe: Callable[[Path], Spoken] | None = None
    captions: Callable[[str], str | None] = lambda sha256: None  # of the bytes, hex

    @property
    def suffixes(self) -> frozenset[str]:
        """The files that are looked at."""
        found = IMAGE_SUFFIXES
        if self.pages:
            found |= {".pdf"}
        if self.frames:
            found |= VIDEO_SUFFIXES
        return found | AUDIO_SUFFIXES if self.transcribe is not None else found

    def is_wanted(self, path: bytes) -> bool:
        """Whether a file is looked at, by its extension; one that was named itself (an empty path) is."""
        return not path or os.path.splitext(os.fsdecode(path))[1].lower() in self.suffixes

    @property
    def wanted(self) -> str:
        """What is looked for beside pixels, as a content remembers it."""
        return " ".join(
            name for name, is_on in (("ocr", self.read_words), ("speech", self.transcribe)) if is_on is not None
        )

    def open(self, path: bytes, known: Callable[[bytes], int | None]) -> NewContent | int:
        """A file's content, or the number under which its bytes are `known`. InputError where it cannot be read."""
        source = media.Source(os.fsdecode(path), Path(os.fsdecode(path)))
        head = opening.head(source)
        if not head:
            raise InputError(f"{source.shown} is empty: it has 0 bytes")
        kind = sniff(head)
        if kind in ("video", "audio"):
            sha256 = _digest(path)
            found = known(sha256)
            return found if found is not None else self._moving(source, sha256, kind)
        data = opening.read(source)
        sha256 = hashlib.sha256(data).digest()
        found = known(sha256)
        if found is not None:
            return found
        made = self._document(source, data, sha256) if kind == "pdf" else self._picture(source, data, sha256)
        caption = self.captions(sha256.hex())
        if caption:
            first = made.pieces[0]
            first = replace(first, words=first.words | {"caption": caption})
            made = replace(made, pieces=(first, *made.pieces[1:]))
        return made

    def _picture(self, source: media.Source, data: bytes, sha256: bytes) -> NewContent:
        from mmcli.media import exif, images

        least = 0 if self.read_words is not None else self.side  # small print needs all pixels
        picture = images.decode(
            data,
            source.name,
            shown=source.shown,
            suffix=source.suffix,
            max_megapixels=self.max_megapixels,
            least=least,
        )
        words = {} if self.read_words is None else {"ocr": self.read_words(picture.pixels)}
        facts = exif.facts(data)
        pixels = smaller(picture.pixels, self.side)
        receipt = picture.receipt
        width, height = receipt.source_size or receipt.sent_size or (0, 0)
        return NewContent(
            sha256,
            "image",
            (NewPiece("picture", pixels, words={name: text for name, text in words.items() if text}),),
            width,
            height,
            taken=facts.taken,
            lat=facts.lat,
            lon=facts.lon,
            camera=facts.camera,
            place=facts.place,
            dhash=difference_hash(pixels),
            done=self.wanted,
        )

    def _document(self, source: media.Source, data: bytes, sha256: bytes) -> NewContent:
        """A piece for each page: its picture, and the text that is to be seen on it."""
        from mmcli.media import pdf

        pieces = []
        with pdf.opened(data, shown=source.shown) as file:
            for number in range(1, file.n_pages + 1):
                page = file.page(number, PAGE_SIDE)
                words = {"page": page.text} if page.text else {}
                if not words and self.read_words is not None and not page.is_blank:
                    words = {"ocr": self.read_words(page.pixels)}
                if words or not page.is_blank:
                    pieces.append(NewPiece("page", smaller(page.pixels, self.side), page=number, words=words))
        if not pieces:
            raise InputError(f"{source.shown} is blank: there is nothing on its pages")
        return NewContent(sha256, "pdf", tuple(pieces), done=self.wanted)

    def _moving(self, source: media.Source, sha256: bytes, kind: str) -> NewContent:
        """A piece for each scene of a film, and for what is said in it or in a sound."""
        assert source.path is not None
        pieces: list[NewPiece] = []
        seconds: float | None = None
        size: tuple[int, int] | tuple[None, None] = (None, None)
        if kind == "video":
            wanted = media.FilmWanted(sample="scene", frames=MOST_MOMENTS, sound="off", recipe=self._recipe())
            film = media.open(source, wanted=media.Wanted(film=wanted), kinds=frozenset({"video"}))
            pieces += _moments(film, self.side)
            seconds, size = film.receipt.seconds, film.receipt.source_size or (None, None)
        for begin, end, words in self.transcribe(source.path) if self.transcribe is not None else ():
            if words.strip():
                pieces.append(NewPiece("speech", None, _ms(begin), _ms(end), words={"spoken": words.strip()}))
        if not pieces:
            raise InputError(f"{source.shown} holds nothing to find: no pictures and no words")
        return NewContent(sha256, kind, tuple(pieces), width=size[0], height=size[1], seconds=seconds, done=self.wanted)

    def _recipe(self) -> media.wanted.FilmRecipe:
        return media.wanted.FilmRecipe(frames=MOST_MOMENTS, side=2 * self.side)


def _moments(film: media.Document, side: int) -> list[NewPiece]:
    """Each frame, from half way to the one before to half way to the one after; neighbours that look alike are one."""
    clips = [part.medium for part in film.parts if isinstance(part.medium, media.Clip)]
    end = film.receipt.seconds or (clips[-1].times[-1] if clips else 0.0)
    times = [clip.times[0] for clip in clips]
    bounds = [0.0, *((one + other) / 2 for one, other in zip(times, times[1:], strict=False)), end]
    found: list[NewPiece] = []
    hashes: list[int] = []
    for clip, begin, until in zip(clips, bounds, bounds[1:], strict=False):
        pixels = smaller(clip.frames[0], side)
        looks = difference_hash(pixels)
        if found and distance(looks, hashes[-1]) <= 2:
            found[-1] = replace(found[-1], end_ms=_ms(until))
            continue
        found.append(NewPiece("moment", pixels, _ms(begin), _ms(until)))
        hashes.append(looks)
    return found


def smaller(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Every second, third … pixel block's mean, so that no side falls below twice `side`."""
    factor = min(pixels.shape[:2]) // (2 * side)
    if factor < 2:
        return pixels
    height, width = (n // factor * factor for n in pixels.shape[:2])
    blocks = pixels[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
    means = blocks.mean(axis=(1, 3), dtype=np.float32)
    return np.asarray(means.round(), np.uint8)


def difference_hash(pixels: NDArray[np.uint8]) -> int:
    """64 bits: of 8 × 9 cells, whether each is lighter than its right neighbour. Signed, as SQLite takes it."""
    grey = pixels.mean(axis=2, dtype=np.float32)
    rows = np.linspace(0, grey.shape[0], 9).astype(int)[:-1]
    columns = np.linspace(0, grey.shape[1], 10).astype(int)[:-1]
    counts = np.diff(np.append(rows, grey.shape[0]))[:, None] * np.diff(np.append(columns, grey.shape[1]))[None, :]
    cells = np.add.reduceat(np.add.reduceat(grey, rows, 0), columns, 1) / np.maximum(counts, 1)
    bits = (cells[:, :-1] > cells[:, 1:] + 0.5).ravel()
    return int(np.packbits(bits).view(">i8")[0])


def distance(one: int, other: int) -> int:
    """In how many of the 64 bits two hashes differ."""
    return ((one ^ other) & (2**64 - 1)).bit_count()


def _digest(path: bytes) -> bytes:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise InputError(f"`{os.fsdecode(path)}` cannot be read: {error.strerror}") from error
    return digest.digest()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
