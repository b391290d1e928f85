"""Writes a file whole or not at all, and reads one without following links out of its folder or waiting on pipes.

A file is written under a random name beside its place, synced to the disk and renamed, so that a reader sees the old
file or the new one. What is not a regular file (a folder, a pipe, a socket, a device) is refused, and so is a link that
leads out of the folder. A full disk is a ResourceError (status 6), everything else that the system refuses an
InputError (status 3); both name the path.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from mmcli.errors import InputError, MmcliError, ResourceError

PART = ".mmcli-part"  # ends the name of a file that is being written
LOCK_SECONDS = 1.0  # how long to wait for another process's rename in the same folder
TRIES = 10  # times to start again where another program changes a file while its new content is made
MOST_LINKS = 40  # from one name to the next
_PART_NAME = re.compile(rf"\..*\.[0-9a-f]{{16}}{re.escape(PART)}", re.DOTALL)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_HAS_FOLDER_HANDLES = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")  # not on Windows

Stamp: TypeAlias = tuple[int, ...] | None  # changes when a file does; None: there is no file


def write(path: Path, data: bytes, *, mode: int | None = None, follow: bool = False) -> None:
    """Put `data` at `path`, in place of a regular file there, whose mode and owner are kept.

    `mode` is a new file's; None: what the umask leaves of 0666. `follow` a link wherever it leads: for files that users
    put elsewhere themselves, such as config.toml. Nothing half-written stays.
    """
    with naming(path):
        real = Path(os.path.realpath(path)) if follow else path
        with _opened(real.parent, None) as folder:
            _put(folder, folder.followed(real.name, path), path, data, mode)


def cache(path: Path, data: bytes) -> None:
    """The same for a cache, 0600; OSError where the system refuses.

    The disk is not waited for: what a power failure leaves of it, its reader must find out.
    """
    with _opened(path.parent, None) as folder:
        _put(folder, folder.followed(path.name, path), path, data, 0o600, is_durable=False)


def update(path: Path, change: Callable[[bytes | None], bytes], *, max_bytes: int, within: Path | None = None) -> bool:
    """Put `change(content)` in place of a file's content (None: there is no file); False where they are equal.

    Where another program writes the file meanwhile, `change` is called again with what stands there now. Links must
    not lead out of `within`; None: the file's own folder.
    """
    with naming(path), _opened(path.parent, within) as folder:
        for _ in range(TRIES):
            name = folder.followed(path.name, path)
            before, stamp = _get(folder, name, path, max_bytes)
            data = change(before)
            if data == before:
                return False
            if _put(folder, name, path, data, None, expected=[stamp]):
                return True
    raise InputError(f"cannot write `{path}`: another program keeps changing it")


def read(path: Path, *, max_bytes: int, within: Path | None = None) -> bytes | None:
    """A regular file's content; None where there is none. InputError where it is something else, or is larger."""
    with naming(path, "read"):
        try:
            with _opened(path.parent, within) as folder:
                return _get(folder, folder.followed(path.name, path), path, max_bytes)[0]
        except (FileNotFoundError, NotADirectoryError):
            return None


def make_folder(folder: Path, *, within: Path | None = None) -> None:
    """Make a folder and those above it, unless links lead out of `within`; errors as `write` has them."""
    with naming(folder):
        if within is not None:
            _real(folder, within)
        folder.mkdir(parents=True, exist_ok=True)


def private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, so that no other user can look into them; OSError if not."""
    try:
        os.mkdir(folder, 0o700)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        private_folder(folder.parent)
        os.makedirs(folder, 0o700, exist_ok=True)  # what is refused again stays refused
    except OSError:
        if not os.path.isdir(folder):
            raise


def is_full(error: OSError) -> bool:
    """Whether a disk is full, or a limit on it; tempfile finds no folder then, and says so in words only."""
    return error.errno in _FULL or "No usable temporary directory" in str(error)


def refused(path: Path, error: OSError, what: str = "write") -> MmcliError:
    """Why a file cannot be written, as the kind of error it is."""
    if is_full(error):
        return ResourceError(f"cannot {what} `{path}`: {error.strerror}", hint="free some space on that disk")
    return InputError(f"cannot {what} `{path}`: {error.strerror or error}")


def writable(folder: Path) -> bool:
    """Whether files can be made there, or in the nearest folder above that exists; asked before hours of work."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def check_name(path: Path) -> None:
    """InputError for a name that no file can have: one with a NUL character, or with halves of characters."""
    try:
        wrong = "a NUL character" if b"\0" in os.fsencode(path) else None
    except UnicodeEncodeError:
        wrong = "half a character"
    if wrong is not None:
        raise InputError(f"`{path}` is not a valid file name: it contains {wrong}")


@contextmanager
def naming(path: Path, what: str = "write") -> Iterator[None]:
    """Turn what the system refuses inside into our errors, which name the path."""
    check_name(path)
    try:
        yield
    except OSError as error:
        raise refused(path, error, what) from error


# a folder, held open


class _Folder:
    """A folder held open: what is put in its place later, such as a link, leads nowhere else."""

    def __init__(self, path: str, handle: int | None) -> None:
        self._path, self.handle = path, handle

    def name(self, name: str) -> str:
        return name if self.handle is not None else os.path.join(self._path, name)

    def status(self, name: str) -> os.stat_result | None:
        """Of the entry itself, not of what a link leads to; None where there is none."""
        try:
            return os.stat(self.name(name), dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
            flags |= getattr(os, flag, 0)
        return os.open(self.name(name), flags, mode, dir_fd=self.handle)

    def replace(self, old: str, new: str) -> None:
        os.replace(self.name(old), self.name(new), src_dir_fd=self.handle, dst_dir_fd=self.handle)

    def unlink(self, name: str) -> None:
        os.unlink(self.name(name), dir_fd=self.handle)

    def followed(self, name: str, path: Path) -> str:
        """The name in this folder that links lead to in the end; InputError where one leads out of the folder."""
        for _ in range(MOST_LINKS):
            status = self.status(name)
            if status is None or not stat.S_ISLNK(status.st_mode):
                return name
            target = os.readlink(self.name(name), dir_fd=self.handle)
            folder, name = os.path.split(target)
            if name in ("", os.curdir, os.pardir) or not self._is_here(folder):
                raise InputError(f"`{path}` is a link out of its folder, to `{target}`", hint="move the link away")
        raise InputError(f"`{path}` is a link that leads back to itself", hint="move the link away")

    def _is_here(self, folder: str) -> bool:
        if not folder:
            return True
        with suppress(OSError):
            there = os.stat(self.name(folder), dir_fd=self.handle)
            here = os.stat(self._path if self.handle is None else self.handle)
            return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)
        return False


@contextmanager
def _opened(path: Path, within: Path | None) -> Iterator[_Folder]:
    steps = [os.fspath(path)] if within is None else _real(path, within)
    if not _HAS_FOLDER_HANDLES:
        os.stat(path)
        yield _Folder(os.path.join(*steps), None)
        return
    handle = _open_folder(steps[0])
    try:
        for step in steps[1:]:
            below = _open_folder(step, os.O_NOFOLLOW, handle)  # no link may have come in between
            os.close(handle)
            handle = below
        yield _Folder(os.path.join(*steps), handle)
    finally:
        os.close(handle)


def _open_folder(name: str, flags: int = 0, above: int | None = None) -> int:
    flags |= os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(name, os.O_RDONLY | flags, dir_fd=above)
    except PermissionError:  # files may be written to a folder that may not be listed
        return os.open(name, getattr(os, "O_PATH", os.O_RDONLY) | flags, dir_fd=above)


def _real(folder: Path, within: Path) -> list[str]:
    """The real path of `within`, and the steps from there down to `folder`; InputError where links lead out."""
    top, bottom = os.path.realpath(within), os.path.realpath(folder)
    if bottom == top:
        return [top]
    if os.path.commonpath((top, bottom)) != top:
        raise InputError(f"`{folder}` leads out of `{within}`, to `{bottom}`", hint="move the link away")
    return [top, *os.path.relpath(bottom, top).split(os.sep)]


# reading and writing in it


def _get(folder: _Folder, name: str, path: Path, max_bytes: int) -> tuple[bytes | None, Stamp]:
    status = folder.status(name)
    if status is None:
        return None, None
    _refuse_special(path, status)
    with open(folder.open(name, os.O_RDONLY), "rb") as file:
        status = os.fstat(file.fileno())
        _refuse_special(path, status)  # another may have taken its place
        data = file.read(max_bytes + 1) if status.st_size <= max_bytes else b""
    if status.st_size > max_bytes or len(data) > max_bytes:
        raise InputError(f"`{path}` has more than {max_bytes / 1e6:.0f} MB", hint="is it the right file?")
    return data, _stamp(status)


def _put(
    folder: _Folder,
    name: str,
    path: Path,
    data: bytes,
    mode: int | None,
    *,
    expected: list[Stamp] | None = None,
    is_durable: bool = True,
) -> bool:
    """Write under another name and rename; False where the file is not what `expected` holds, and stays as it is."""
    _sweep(folder)
    for _ in range(TRIES):
        status = folder.status(name)
        if status is not None:
            _refuse_special(path, status)
        part = f".{_short(name)}.{secrets.token_hex(8)}{PART}"
        handle = folder.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
        try:
            with open(handle, "wb") as file:
                lock(handle)
                if status is not None:
                    _keep_rights(handle, status)
                file.write(data)
                file.flush()
                if is_durable:
                    _sync(handle)
                if os.name == "nt":  # which renames no open file
                    file.close()
                with _renaming(folder):
                    if expected is not None and _stamp(folder.status(name)) not in expected:
                        return False
                    folder.replace(part, name)
                    return True
        except FileNotFoundError:
            continue  # another process took the part for one that was left, in the moment before it was locked
        finally:
            with suppress(OSError):
                folder.unlink(part)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _refuse_special(path: Path, status: os.stat_result) -> None:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a link"}
    if not stat.S_ISREG(status.st_mode):
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        raise InputError(f"`{path}` is {kind}, not a file", hint="move it away")


def _keep_rights(handle: int, status: os.stat_result) -> None:
    if hasattr(os, "fchown"):
        with suppress(OSError):  # only root may give a file away
            os.fchown(handle, status.st_uid, status.st_gid)
    if hasattr(os, "fchmod"):
        os.fchmod(handle, stat.S_IMODE(status.st_mode) & 0o777)


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # a file system that knows no fsync
            raise


def _stamp(status: os.stat_result | None) -> Stamp:
    if status is None:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _short(name: str) -> str:
    """A name that leaves room for what is added to it: most file systems take 255 bytes."""
    return name if len(os.fsencode(name)) < 220 else hashlib.sha256(os.fsencode(name)).hexdigest()


# other processes


_swept: set[tuple[int, int]] = set()  # folders that this process has looked through


def _sweep(folder: _Folder) -> None:
    """Remove what killed processes have left in a folder: parts that nobody holds locked. Once a folder."""
    if folder.handle is None:
        return
    status = os.fstat(folder.handle)
    if (status.st_dev, status.st_ino) in _swept:
        return
    _swept.add((status.st_dev, status.st_ino))
    with suppress(OSError), os.scandir(folder.handle) as entries:
        parts = [entry.name for entry in entries if _PART_NAME.fullmatch(entry.name)]
        for part in parts:
            with suppress(OSError):
                _remove_if_left(folder, part)


def _remove_if_left(folder: _Folder, part: str) -> None:
    handle = folder.open(part, os.O_RDONLY)
    try:
        status = os.fstat(handle)
        is_ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and status.st_uid == os.geteuid()
        if is_ours and lock(handle):
            folder.unlink(part)
    finally:
        os.close(handle)


def lock(handle: int) -> bool | None:
    """Lock a file or folder against other processes; False where one of them has it, None where there are no locks."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


@contextmanager
def _renaming(folder: _Folder) -> Iterator[None]:
    """One process of mmcli at a time, but wait only so long: whoever may read the folder may lock it, too."""
    if folder.handle is None:
        yield
        return
    deadline = time.monotonic() + LOCK_SECONDS
    while (is_locked := lock(folder.handle)) is False and time.monotonic() < deadline:
        time.sleep(0.002)
    try:
        yield
    finally:
        if is_locked:
            import fcntl

            fcntl.flock(folder.handle, fcntl.LOCK_UN)
