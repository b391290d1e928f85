"""Writing a file so that nobody ever sees half of it. Knows bytes and names only."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from mmcli.errors import InputError, MmcliError, ResourceError


def replace(path: Path, data: bytes) -> None:
    """Write `data` to `path` at once: under another name first, which a killed run leaves and the next one takes again.

    ResourceError where the disk is full, InputError where the folder refuses.
    """
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    scratch = path.with_name(f".{_short(path.name)}.mmcli-part")
    try:
        with open(scratch, "wb", opener=_opener) as file:
            if path.exists():
                os.chmod(scratch, path.stat().st_mode & 0o777)
            file.write(data)
        os.replace(scratch, path)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise refused(path, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; errors as `replace` has them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused(folder, error) from error


def refused(path: Path, error: OSError) -> MmcliError:
    """Why a file cannot be written, as the kind of error it is."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ResourceError(f"cannot write `{path}`: {error.strerror}", hint="free some space on that disk")
    return InputError(f"cannot write `{path}`: {error.strerror}")


def writable(folder: Path) -> bool:
    """Whether files can be made there, or in the nearest folder above that exists; asked before hours of work."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _opener(name: str, flags: int) -> int:
    return os.open(name, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _short(name: str) -> str:
    """A name that leaves room for what is added to it: most file systems take 255 bytes."""
    return name if len(os.fsencode(name)) < 230 else hashlib.sha256(os.fsencode(name)).hexdigest()
