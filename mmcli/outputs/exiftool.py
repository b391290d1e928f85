"""Writes metadata into a picture's bytes with exiftool, in a folder of its own. Knows its options; no captions."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmcli.errors import InputError, UsageError

NAME = "exiftool"
SECONDS = 120  # for one picture; it takes well under one
# How the formats that can take a caption begin, and how exiftool is to call them.
_STARTS = ((b"\xff\xd8\xff", "jpg"), (b"\x89PNG\r\n\x1a\n", "png"), (b"II*\0", "tif"), (b"MM\0*", "tif"))
_BRANDS = {b"heic": "heic", b"heix": "heic", b"mif1": "heic", b"avif": "avif"}
HAVE_IPTC = frozenset(("jpg", "tif"))


def require() -> None:
    """UsageError where exiftool is not installed."""
    if shutil.which(NAME) is None:
        raise UsageError(
            "--embed needs exiftool, which is not installed",
            hint="apt install libimage-exiftool-perl, or brew install exiftool; --sidecar xmp needs nothing",
        )


def kind(data: bytes) -> str | None:
    """The format of a picture that can take metadata: "jpg", "png", "tif", "webp", "heic" or "avif"; else None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    return next((name for start, name in _STARTS if data.startswith(start)), None)


def written(data: bytes, packet: bytes, changes: Sequence[str]) -> bytes:
    """The picture with `packet` as its XMP and with `changes` (exiftool's own options); InputError where it refuses."""
    suffix = kind(data)
    with tempfile.TemporaryDirectory(prefix="mmcli-") as name:
        folder = Path(name)
        copy, xmp = folder / f"picture.{suffix}", folder / "packet.xmp"
        copy.write_bytes(data)  # written in place: with `-o`, exiftool refuses WebP
        xmp.write_bytes(packet)
        options = ["-config", "", "-q", "-charset", "UTF8", "-charset", "iptc=UTF8", f"-XMP<={xmp}", *changes]
        try:
            done = subprocess.run(
                [NAME, *options, "-overwrite_original", str(copy)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                cwd=folder,
            )
            if done.returncode == 0:
                return copy.read_bytes()
        except subprocess.TimeoutExpired as error:
            raise InputError(f"exiftool took more than {SECONDS} seconds") from error
        except OSError as error:
            raise InputError(f"exiftool cannot be run: {error.strerror}") from error
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = said[0].split(" - ")[0].removeprefix("Error: ") if said else f"status {done.returncode}"
        raise InputError(f"exiftool does not write into it: {why}", hint="--sidecar xmp writes the caption beside it")
