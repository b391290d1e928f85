"""Read what is piped into mmcli, without ever waiting for ever on a pipe nobody writes to. Knows no media."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
from collections.abc import Callable, Iterator
from typing import IO, Any

from mmcli.errors import InputError

GRACE_WITH_MEDIA = 1.0  # seconds to wait for a first byte when media are named on the command line
GRACE_ALONE = 10.0  # seconds, when stdin is all there could be
MAX_BYTES = 1 << 30
_BLOCK = 1 << 20  # bytes per read


def read_stdin(
    stream: IO[Any] | None,
    *,
    wanted: bool,
    has_media: bool,
    on_wait: Callable[[str], None] | None = None,
    max_bytes: int = MAX_BYTES,
) -> bytes | None:
    """Read all of stdin, or return None when there is nothing on it.

    `wanted`: the person wrote `-`, so wait as long as it takes, on a terminal too. Otherwise a terminal is left alone,
    and a pipe has a short grace to show its first byte: after it mmcli goes on without (`has_media`; `on_wait` is
    told) or raises InputError.
    """
    fd = _descriptor(stream)
    if fd is None:
        return _read_object(stream, max_bytes)
    try:
        mode = os.fstat(fd).st_mode
    except OSError:  # EBADF: the shell closed it, `0<&-`
        return None
    if os.isatty(fd):
        return _read(fd, max_bytes) if wanted else None
    may_be_idle = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    if may_be_idle and not wanted:
        grace = GRACE_WITH_MEDIA if has_media else GRACE_ALONE
        if not _readable(fd, grace):
            if not has_media:
                raise InputError(
                    f"nothing arrived on stdin in {grace:.0f} seconds",
                    hint="use `-` to wait for it, or `< /dev/null` for none",
                )
            if on_wait is not None:
                on_wait("nothing arrived on stdin, continuing without it")
            return None
        data = _read(fd, max_bytes)
        if not data and on_wait is not None:  # the command before it may have failed; or a program left a pipe there
            on_wait("nothing came through the pipe, continuing without it")
        return data or None
    return _read(fd, max_bytes)


class Piped:
    """What is piped in, when it may be one picture or a long list of names: its first bytes, and then the rest."""

    ENOUGH = 512  # bytes that tell every kind
    SETTLED = 0.3  # seconds without another byte, after which a few bytes must be enough

    def __init__(self, fd: int, on_wait: Callable[[str], None] | None = None) -> None:
        self._fd = fd
        if on_wait is not None and not _readable(fd, GRACE_ALONE):
            on_wait("waiting for names, or a picture, on stdin")
        self.head = self._more()
        while self.head and len(self.head) < self.ENOUGH and _readable(fd, self.SETTLED):
            block = self._more()
            if not block:
                break
            self.head += block

    def blocks(self) -> Iterator[bytes]:
        """Everything, the head included, as it arrives."""
        block = self.head
        while block:
            yield block
            block = self._more()

    def all(self, max_bytes: int = MAX_BYTES) -> bytes:
        """Everything at once; InputError where it is more than `max_bytes`."""
        collected = io.BytesIO()
        for block in self.blocks():
            collected.write(block)
            if collected.tell() > max_bytes:
                break
        return _checked(collected.getvalue(), max_bytes) or b""

    def _more(self) -> bytes:
        while True:
            try:
                return os.read(self._fd, _BLOCK)
            except BlockingIOError:  # a parent left O_NONBLOCK on the pipe we share
                _readable(self._fd, 60.0)
            except OSError as error:
                if error.errno in (errno.EIO, errno.EBADF):
                    return b""
                raise InputError(f"stdin cannot be read: {error.strerror}") from error


def _descriptor(stream: IO[Any] | None) -> int | None:
    try:
        return None if stream is None else stream.fileno()
    except (OSError, ValueError, AttributeError):  # io.UnsupportedOperation is both of the first two
        return None


def _read_object(stream: IO[Any] | None, max_bytes: int) -> bytes | None:
    """Read a stream that has no file descriptor, such as a test's BytesIO."""
    if stream is None or stream.closed:
        return None
    raw = getattr(stream, "buffer", stream)
    data = raw.read(max_bytes + 1)
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    return _checked(data, max_bytes)


def _readable(fd: int, seconds: float) -> bool:
    """Wait for a first byte or for the end; both count as readable."""
    try:
        return bool(select.select([fd], [], [], seconds)[0])
    except (OSError, ValueError):
        return True  # select knows only sockets on Windows, and no fd above 1023: the read will wait


def _read(fd: int, max_bytes: int) -> bytes | None:
    """Read to the end with os.read: no Python buffer, so no byte is held back or lost."""
    collected = io.BytesIO()
    while True:
        try:
            block = os.read(fd, _BLOCK)
        except BlockingIOError:  # a parent left O_NONBLOCK on the pipe we share
            _readable(fd, 60.0)
            continue
        except OSError as error:
            if error.errno in (errno.EIO, errno.EBADF):  # a terminal hung up; opened for writing only
                break
            raise InputError(f"stdin cannot be read: {error.strerror}") from error
        if not block:
            break
        collected.write(block)
        if collected.tell() > max_bytes:
            break
    return _checked(collected.getvalue(), max_bytes)


def _checked(data: bytes, max_bytes: int) -> bytes | None:
    if len(data) > max_bytes:
        raise InputError(
            f"stdin holds more than {max_bytes / 1e6:.0f} MB", hint="is it the right file, or an endless stream?"
        )
    return data or None
