"""The vectors of one space in one file that only grows: written once, mapped to be searched. Knows no SQLite.

A header of 64 bytes (little-endian): magic (8), version, numbers a row, type (1: float32), 4 bytes each, the identity
of the space (32), zeros. Then rows of unit length. A row counts only where the database names it, and it is on the disk
before the database does; so rows behind the last one named are left from a run that was killed, and are cut.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mmcli import files
from mmcli.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"MMCLIVEC"
VERSION = 1
HEADER = 64  # bytes
FLOAT32 = 1
BLOCK = 65_536  # rows that are multiplied at a time
_FORMAT = "<8sIII32s"


class VectorFile:
    """Rows (n, dim) float32 of unit length."""

    def __init__(self, path: Path, identity: bytes, dim: int) -> None:
        """InputError where the file is missing, foreign, or of another space. `create` makes one."""
        self.path, self.dim = path, dim
        self._row_bytes = 4 * dim
        try:
            with open(path, "rb") as file:
                head = file.read(HEADER)
        except OSError as error:
            raise _damaged(path, error.strerror or "it cannot be read") from error
        expected = struct.pack(_FORMAT, MAGIC, VERSION, dim, FLOAT32, identity)
        if len(head) < HEADER or not head.startswith(expected):
            raise _damaged(path, "its header is not the one of its space")

    @classmethod
    def create(cls, path: Path, identity: bytes, dim: int) -> VectorFile:
        """An empty file, 0600, in place of what is there."""
        head = struct.pack(_FORMAT, MAGIC, VERSION, dim, FLOAT32, identity)
        files.write(path, head.ljust(HEADER, b"\0"), mode=0o600)
        return cls(path, identity, dim)

    @property
    def n_rows(self) -> int:
        """Whole rows in the file, whether or not the database names them."""
        return max(0, os.path.getsize(self.path) - HEADER) // self._row_bytes

    def append(self, rows: NDArray[np.float32], at: int) -> None:
        """Write rows (n, dim) behind row `at`; they are on the disk when this returns. A full disk leaves no part."""
        data = np.ascontiguousarray(rows, "<f4")
        start = HEADER + at * self._row_bytes
        with files.naming(self.path), open(self.path, "r+b") as file:
            try:
                file.truncate(start)
                file.seek(start)
                file.write(data.tobytes())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self.path, start)
                raise

    def cut(self, n_rows: int) -> bool:
        """Take away what stands behind so many rows; False: nothing did."""
        size = HEADER + n_rows * self._row_bytes
        if os.path.getsize(self.path) <= size:
            return False
        os.truncate(self.path, size)
        return True

    def rows(self) -> NDArray[np.float32]:
        """All rows (n, dim), mapped: only what is used is read. Rows that come later are not in it."""
        n_rows = self.n_rows
        if not n_rows:
            return np.empty((0, self.dim), np.float32)
        return np.memmap(self.path, "<f4", "r", HEADER, (n_rows, self.dim))

    def compacted(self, path: Path, identity: bytes, rows: NDArray[np.int64]) -> VectorFile:
        """A new file at `path` of these rows alone, in this order."""
        new = VectorFile.create(path, identity, self.dim)
        old = self.rows()
        for at in range(0, len(rows), BLOCK):
            new.append(old[rows[at : at + BLOCK]], at)
        return new


def scores(
    matrix: NDArray[np.float32], query: NDArray[np.float32], rows: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """The cosine of each row (n,) with a query (dim,), or of the `rows` alone, in their order."""
    n = len(matrix) if rows is None else len(rows)
    found = np.empty(n, np.float32)
    for at in range(0, n, BLOCK):
        part = matrix[at : at + BLOCK] if rows is None else matrix[rows[at : at + BLOCK]]
        np.dot(part, query, out=found[at : at + len(part)])
    return found


def best(found: NDArray[np.float32], n: int) -> NDArray[np.int64]:
    """The places of the `n` highest scores, the highest first; equal ones in order of place."""
    n = min(n, len(found))
    if not n:
        return np.empty(0, np.int64)
    top = np.arange(len(found)) if n == len(found) else np.argpartition(found, len(found) - n)[len(found) - n :]
    return top[np.lexsort((top, -found[top]))].astype(np.int64)


def _damaged(path: Path, why: str) -> InputError:
    return InputError(
        f"the library's vectors `{path}` are damaged: {why}",
        hint="`mmcli index --check --repair` computes them again",
    )
