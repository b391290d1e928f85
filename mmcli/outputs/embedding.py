"""Writes captions into the picture's own file, as XMP and IPTC, verified before the file is replaced.

A new file is made beside the old one, decoded and compared: the same pixels, the same facts, the caption as it was
given. Only then does it take the old one's place, and the journal knows by then how to undo it, byte for byte.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmcli import files, media
from mmcli.errors import InputError
from mmcli.jobs.result_cache import Results
from mmcli.outputs import deltas, embedded, exiftool, xmp

MAX_BYTES = 1 << 30  # of a picture
MOST_LOST = 256_000  # bytes of the old file that may be gone from the new one: its old metadata
IPTC_CAPTION, IPTC_KEYWORD = 2000, 64  # bytes that IPTC has room for; XMP takes any length


@dataclass(frozen=True)
class Change:
    """A picture whose bytes were changed, and how to make the old ones again; `path` is absolute."""

    path: Path
    delta: deltas.Delta

    def json(self) -> dict[str, Any]:
        return {"embedded": os.fspath(self.path), **self.delta.json()}

    def undo(self, *, dry_run: bool) -> str | None:
        """Put the old bytes back, or say why they cannot be; nothing is done where they are there already."""
        try:
            now = files.read(self.path, max_bytes=MAX_BYTES)
            if now is None:
                return "it is gone"
            if deltas.digest(now) == self.delta.before:
                return None
            old = self.delta.apply(now)
            if not dry_run:
                _replace(self.path, now, old, None)
        except ValueError:
            return "it has changed since"
        except InputError as error:
            return error.message
        return None


def of_json(entry: Mapping[str, Any]) -> Change:
    """What `Change.json` gave; KeyError, TypeError or ValueError for anything else."""
    return Change(Path(entry["embedded"]), deltas.of_json(entry))


class Embedding:
    """Asks before the work what would stand in its way; writes after it."""

    def __init__(self, results: Results, *, tags: bool, overwrite: bool, max_megapixels: float) -> None:
        self._results, self._tags, self._overwrite = results, tags, overwrite
        self._max_megapixels = max_megapixels
        self.n_written = 0

    def obstacle(self, picture: Path | None) -> None:
        """InputError where a picture cannot take anything, as far as its name tells."""
        if picture is None:
            raise InputError("only a picture in a file can take its caption", hint="leave out --embed")
        if not files.writable(picture.parent) or not os.access(picture, os.W_OK):
            raise InputError(
                f"cannot write `{picture}`: permission denied", hint="--sidecar xmp -o DIR writes elsewhere"
            )

    def objection(self, picture: Path, data: bytes) -> str | None:
        """Why a picture stays as it is, by its own bytes; InputError for a format that takes no metadata."""
        if exiftool.kind(data) is None:
            raise InputError(
                f"`{picture}` is of a format that takes no caption", hint="--sidecar xmp writes it beside the picture"
            )
        if self._overwrite:
            return None
        packet, _ = _descriptions(data)
        if self._tags:
            if packet and xmp.has_lost_tags(packet, shown=f"`{picture}`"):
                return f"a tag that mmcli wrote was removed from `{picture}` (--overwrite writes tags again)"
            return None
        if embedded.has_words(data):
            return f"`{picture}` itself holds a description that mmcli did not write (--overwrite replaces it)"
        return None

    def write(self, picture: Path, caption: str, *, model: str, cut: bool, note: Any, within: Path | None) -> bool:
        """Put a caption into its picture; False where it is there already, or must stay out; else InputError.

        `note` is given the change before it happens.
        """
        old = files.read(picture, max_bytes=MAX_BYTES, within=within)
        if old is None:
            raise InputError(f"`{picture}` is gone")
        if self.objection(picture, old) is not None:
            return False
        try:
            packet, _ = _descriptions(old)
            new_packet = self._packet(packet, caption, model=model, cut=cut)
            if new_packet == packet:
                return False
            new = exiftool.written(old, new_packet, self._iptc(old, packet, caption))
            seen = self._verified(old, new, caption)
        except InputError as error:
            raise InputError(f"`{picture}` stays as it is: {error.message}", hint=error.hint) from error
        change = Change(Path(os.path.abspath(picture)), deltas.delta(old, new))
        n_lost = sum(len(step) for step in change.delta.steps if isinstance(step, bytes))
        if n_lost > MOST_LOST or change.delta.apply(new) != old:
            raise InputError(f"`{picture}` stays as it is: {n_lost} bytes of it would be lost")
        note(change.json())
        _replace(picture, old, new, within)
        self.n_written += 1
        self._results.know(seen.receipt, seen.id)
        return True

    def _packet(self, before: bytes | None, caption: str, *, model: str, cut: bool) -> bytes:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        if self._tags:
            return xmp.with_tags(before, caption.split(", "), model=model, date=now, cut=cut)
        return xmp.with_description(before, caption, model=model, date=now, cut=cut)

    def _iptc(self, picture: bytes, packet: bytes | None, caption: str) -> list[str]:
        """exiftool's options for the same words in IPTC, as far as the format and the lengths allow."""
        if exiftool.kind(picture) not in exiftool.HAVE_IPTC:
            return []
        options = ["-IPTC:CodedCharacterSet=UTF8", "-Photoshop:IPTCDigest=new"]
        if not self._tags:
            return [*options, f"-IPTC:Caption-Abstract={caption}"] if len(caption.encode()) <= IPTC_CAPTION else []
        new = [word for word in caption.split(", ") if len(word.encode()) <= IPTC_KEYWORD]
        earlier = xmp.machine_tags(packet) if packet else []
        options += [f"-IPTC:Keywords-={word}" for word in dict.fromkeys([*earlier, *new])]
        return [*options, *(f"-IPTC:Keywords+={word}" for word in new)]

    def _verified(self, old: bytes, new: bytes, caption: str) -> media.Image:
        """The picture in the new bytes, if it is the same and carries the caption; InputError where it is not."""
        from mmcli.media import exif

        before, after = self._decoded(old), self._decoded(new)
        if before.id != after.id or exif.read(old) != exif.read(new):
            raise InputError("with the caption in it, it would no longer be the same picture")
        packet, texts = _descriptions(new)
        if self._tags:
            is_there = packet is not None and set(caption.split(", ")) <= set(xmp.tags(packet))
        else:
            is_there = packet is not None and xmp.description(packet) == (xmp.plain(caption), True)
        if not is_there:
            raise InputError("exiftool did not write the caption unchanged")
        return after

    def _decoded(self, data: bytes) -> media.Image:
        source = media.Source("-", data=data)
        picture = media.load(source, kinds=frozenset({"image"}), max_megapixels=self._max_megapixels)
        assert isinstance(picture, media.Image)
        return picture


def _descriptions(data: bytes) -> tuple[bytes | None, list[str]]:
    from mmcli.media import exif

    return exif.descriptions(data)


def _replace(picture: Path, old: bytes, new: bytes, within: Path | None) -> None:
    """Put new bytes in a file's place and read them again; InputError where the file is no longer the old one."""

    def change(before: bytes | None) -> bytes:
        if before != old:
            raise InputError(f"`{picture}` has changed meanwhile, so it stays as it is")
        return new

    files.update(picture, change, max_bytes=MAX_BYTES, within=within)
    if files.read(picture, max_bytes=MAX_BYTES, within=within) != new:
        files.write(picture, old)
        raise InputError(f"`{picture}` could not be read back as it was written, and is as it was")
