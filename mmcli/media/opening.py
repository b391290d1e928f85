"""Reads a source once, sees what it is and hands it to its decoder. Knows kinds of media, not formats."""

from __future__ import annotations

import mmap
import os
import stat
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, cast

from mmcli.errors import InputError, ResourceError, releasing
from mmcli.media.locator import Locator
from mmcli.media.names import quoted
from mmcli.media.sniffing import A_KIND, HEAD, guess, is_lfs_pointer, is_web_page, sniff
from mmcli.media.sources import AUDIO_SUFFIXES, IMAGE_SUFFIXES, UNMARKED_FORMATS, Source
from mmcli.media.wanted import NOTHING_SPECIAL, Wanted

if TYPE_CHECKING:
    from mmcli.media.types import Audio, Document, Image, Text

KINDS = frozenset({"image", "audio", "text", "video", "pdf"})
MAX_BYTES = 1 << 30  # of a file or stdin
MAX_DOWNLOAD_BYTES = 64_000_000
MAX_TEXT_BYTES = 1_000_000
MAPPED = 64_000_000  # bytes, from which on a film's file is not read whole
_PARTS = {"image": "xywh", "audio": "t", "video": "t", "pdf": "page"}  # what may be named of each kind
_DIMENSIONS = {"page": "pages to choose from", "t": "time to choose from", "xywh": "box to cut out"}
_BLOCK = 1 << 20  # bytes read at a time of a file that grows


@releasing
def decode(
    source: Source,
    data: bytes,
    *,
    kinds: frozenset[str] = KINDS,
    max_text_bytes: int = MAX_TEXT_BYTES,
    max_megapixels: float = 100.0,
    sample_rate: int = 16_000,
    max_seconds: float = 3600.0,
    damaged_ok: bool = False,
    on_data: Callable[[bytes], None] | None = None,
    stop: threading.Event | None = None,
    wanted: Wanted = NOTHING_SPECIAL,
) -> Image | Audio | Text | Document:
    """Decode a source's bytes; anything that is not whole, or not one of `kinds`, is an InputError.

    The content decides what it is, not the extension. The rest as `media.open` has it.
    """
    if not data:
        raise InputError(f"{source.shown} is empty: it has 0 bytes")
    if data[:2] in (b"PK", b"\xd0\xcf") and (made := _office(data, source, kinds, max_text_bytes, on_data)) is not None:
        return made
    kind = _kind(data, source, kinds)
    check_part(source, kind)
    if on_data is not None:
        on_data(data)
    meant = source.locator or Locator()
    if kind == "image":
        from mmcli.media import images

        return images.decode(
            data,
            source.name,
            shown=source.shown,
            suffix=source.suffix,
            max_megapixels=max_megapixels,
            box=meant.box,
        )
    if kind == "pdf":
        from mmcli.media import pages

        return pages.open_document(source, data, wanted.pages)
    if kind == "text":
        from mmcli.media import text

        return text.decode(data, source.name, shown=source.shown, suffix=source.suffix, max_bytes=max_text_bytes)
    from mmcli.media import audio

    return audio.decode(
        data,
        source.name,
        shown=source.shown,
        suffix=source.suffix,
        sample_rate=sample_rate,
        max_seconds=max_seconds,
        sound_of_video="image" not in kinds,
        damaged_ok=damaged_ok,
        stretch=meant.time,
        stop=stop,
    )


def is_office(data: bytes) -> bool:
    """Whether these are the bytes of a spreadsheet or another office file."""
    from mmcli.media import office

    return data[:2] in (b"PK", b"\xd0\xcf") and office.kind(data) is not None


def _office(
    data: bytes, source: Source, kinds: frozenset[str], max_bytes: int, on_data: Callable[[bytes], None] | None
) -> Text | None:
    """An office file's text; None where it is none."""
    from mmcli.media import office

    if office.kind(data) is None:
        return None
    if "text" not in kinds:
        raise InputError(f"{source.shown} is an office document, not {_wanted(kinds)}")
    if source.locator is not None:
        raise InputError(f"{source.shown} is an office document, which has no parts to choose", hint="leave `#` out")
    if on_data is not None:
        on_data(data)
    return office.decode(data, source.name, shown=source.shown, max_bytes=max_bytes)


def check_part(source: Source, kind: str) -> None:
    """InputError where a part is named that this kind of medium does not have."""
    if source.locator is None:
        return
    for name in source.locator.names:
        if name != _PARTS.get(kind):
            had = _PARTS.get(kind)
            hint = f"a part of {A_KIND[kind]} is named by `#{had}=`" if had else "leave the fragment out"
            raise InputError(f"{source.shown} is {A_KIND[kind]}, which has no {_DIMENSIONS[name]}", hint=hint)


def _kind(data: bytes, source: Source, kinds: frozenset[str]) -> str:
    """What the bytes are ("image", "audio", "text", or "video" that may be sound), or an InputError that says it."""
    head = data[:HEAD]
    kind = sniff(head)
    if kind is None and source.suffix in UNMARKED_FORMATS:
        kind = "image"
    if kind is None or (kind == "text" and b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff"))):
        raise _unknown(head, source)
    promised = "image" if source.suffix in IMAGE_SUFFIXES else "audio" if source.suffix in AUDIO_SUFFIXES else None
    if kind == "text":
        _refuse_text_in_disguise(head, source, promised, kinds)
    if kind == "video" and "audio" in kinds:
        return kind  # the decoder will see whether there are moving pictures in it
    if kind not in kinds:
        hint = "extract frames: `ffmpeg -i IN.mp4 -vf fps=1 frame-%03d.png`" if kind == "video" else None
        raise InputError(f"{source.shown} is {A_KIND[kind]}, not {_wanted(kinds)}", hint=hint)
    return kind


def _refuse_text_in_disguise(head: bytes, source: Source, promised: str | None, kinds: frozenset[str]) -> None:
    """A text under a picture's name, a web page instead of a download, a text where none is wanted: say which."""
    if is_lfs_pointer(head):
        raise InputError(f"{source.shown} is only a Git LFS pointer, not the file", hint="get the file: `git lfs pull`")
    others = kinds - {"text"} or {promised or "text"}  # of a text that is no text: what its name promises
    wanted = A_KIND[promised] if promised in kinds else _wanted(frozenset(others))
    if is_web_page(head) and (promised or source.url or "text" not in kinds):
        hint = "give the address of the picture itself" if source.url else "the download got a page instead of the file"
        raise InputError(f"{source.shown} is a web page, not {wanted}", hint=hint)
    if promised or "text" not in kinds:
        raise InputError(f"{source.shown} is a text file, not {wanted}")


def _unknown(head: bytes, source: Source) -> InputError:
    seems = guess(head)
    if seems:
        return InputError(f"{source.shown} is {seems}: mmcli takes pictures, sounds and texts")
    if source.suffix in IMAGE_SUFFIXES | AUDIO_SUFFIXES:
        return InputError(
            f"{source.shown} has an unknown format, whatever its name says", hint="can another program open it?"
        )
    return InputError(f"{source.shown} has an unknown format: mmcli reads pictures, sounds and texts")


def _wanted(kinds: frozenset[str]) -> str:
    return " or ".join(A_KIND[kind] for kind in ("image", "audio", "text", "pdf") if kind in kinds)


def read(
    source: Source,
    *,
    max_bytes: int = MAX_BYTES,
    max_download_bytes: int = MAX_DOWNLOAD_BYTES,
    stop: threading.Event | None = None,
) -> bytes:
    """A source's bytes, whole and undecoded; InputError where they cannot be had. Setting `stop` ends a download."""
    if source.data is not None:
        return source.data
    if source.url is not None:
        from mmcli.media import web

        return web.fetch(source.url, max_bytes=max_download_bytes, stop=stop)
    assert source.path is not None, "a source has data, a url or a path"
    return _read_file(source, max_bytes)


def head(source: Source) -> bytes:
    """The first bytes of a source that lies in a file; InputError where they cannot be had."""
    return _read_file(source, HEAD, is_part=True)


def _contents(file: BinaryIO, size: int, max_bytes: int) -> bytes:
    """A file's bytes, at most one more than `max_bytes`; asking for so many at once would take the memory for them."""
    blocks = [file.read(size + 1)]
    n_bytes = len(blocks[0])
    while blocks[-1] and size < n_bytes <= max_bytes:  # it grows meanwhile, or does not know its size
        blocks.append(file.read(min(_BLOCK, max_bytes + 1 - n_bytes)))
        n_bytes += len(blocks[-1])
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def _read_file(source: Source, max_bytes: int, *, is_part: bool = False) -> bytes:
    """Read a regular file once; a pipe or device that took its place since `find` must not hang us.

    A large film is mapped, not read: what is used of bytes, a map has too. `is_part`: its first `max_bytes` alone.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(os.fspath(source.path or ""), flags)
        with open(descriptor, "rb") as file:
            mode, size = os.fstat(descriptor).st_mode, os.fstat(descriptor).st_size
            if not stat.S_ISREG(mode):
                raise InputError(f"{source.shown} is a pipe or a device, not a file", hint="pipe it in and name it `-`")
            if is_part:
                return file.read(max_bytes)
            if size > MAPPED and sniff(file.peek(HEAD)[:HEAD]) == "video":
                return cast(bytes, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            data = _contents(file, size, max_bytes) if size <= max_bytes else b""
    except MemoryError as error:
        raise ResourceError(f"not enough memory to read {source.shown}", hint="close other programs") from error
    except IsADirectoryError as error:
        raise InputError(f"{source.shown} is a folder, not a file") from error
    except FileNotFoundError as error:
        if source.path is not None and source.path.is_symlink():
            target = quoted(os.readlink(source.path))
            raise InputError(f"{source.shown} is a link to {target}, which does not exist") from error
        raise InputError(f"no file named {source.shown}") from error
    except PermissionError as error:
        raise InputError(f"{source.shown} cannot be read: permission denied") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{source.shown} cannot be read: {reason}") from error
    if size > max_bytes or len(data) > max_bytes:
        raise InputError(f"{source.shown} has {size / 1e6:.0f} MB, the limit is {max_bytes / 1e6:.0f} MB")
    return data
