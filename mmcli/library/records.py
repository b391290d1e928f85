"""What a library holds, as data: roots, files, contents and their pieces. Knows no tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PieceKind: TypeAlias = Literal["picture", "page", "moment", "speech"]
KINDS: tuple[PieceKind, ...] = ("picture", "page", "moment", "speech")
SEEN = ("picture", "page", "moment")  # the kinds that have a vector
FIELDS = ("caption", "ocr", "spoken", "page", "place", "names")  # where words are looked for


@dataclass(frozen=True)
class Root:
    """A folder or a file that is indexed."""

    id: int
    path: bytes  # absolute
    device: int  # st_dev, by which a disk that is not mounted is told
    recursive: bool
    state: str  # "online" | "offline"
    scanned: float  # Unix time; 0: never
    n_files: int = 0


@dataclass(frozen=True)
class Stat:
    """By which a file is known not to have changed, without opening it."""

    size: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True)
class FileRow:
    """A file under a root, as the library knows it."""

    id: int
    stat: Stat
    content: int | None
    state: str  # "here" | "gone" | "failed"
    message: str | None = None


@dataclass(frozen=True)
class NewPiece:
    """A part of a content that can be found by itself."""

    kind: PieceKind
    pixels: NDArray[np.uint8] | None = None  # (height, width, 3) RGB upright; None: it has words alone
    start_ms: int = -1
    end_ms: int = -1
    page: int = -1  # from 1
    words: dict[str, str] = field(default_factory=dict)  # by field


@dataclass(frozen=True)
class NewContent:
    """What some bytes hold, before it is stored."""

    sha256: bytes
    kind: str  # "image" | "pdf" | "video" | "audio"
    pieces: tuple[NewPiece, ...]
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    taken: str | None = None  # local time where the camera was: 2024-07-14T12:30:05
    lat: float | None = None  # degrees north
    lon: float | None = None  # degrees east
    camera: str | None = None
    place: str | None = None  # as a person wrote it down
    dhash: int | None = None  # 64 bits, as a signed number: alike for pictures that look the same
    done: str = ""  # what else was looked for in it, such as "ocr"


@dataclass(frozen=True)
class OpenedFile:
    """What became of one file that was new or had changed."""

    root: int
    path: bytes  # below the root; empty: it is the root
    stat: Stat
    content: NewContent | int | bytes | None  # new; one that the library has, or its SHA-256; None: it failed
    message: str | None = None


@dataclass(frozen=True)
class IndexCounts:
    """What an `index` did, for its one line."""

    files: int = 0
    new: int = 0
    moved: int = 0
    gone: int = 0
    failed: int = 0
    embedded: int = 0  # pictures, pages and moments
    offline: int = 0  # files that were kept
