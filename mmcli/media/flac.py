"""Are the samples of a FLAC those that were encoded? Knows its header and the MD5 in it; decodes nothing itself."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

_HEADER = 34  # bytes


class Fingerprint:
    """Fed with each frame as it was decoded."""

    def __init__(self, header: bytes) -> None:
        """`header`: the contents of STREAMINFO."""
        is_known = len(header) >= _HEADER and any(header[14:18])  # who did not know the length filled in nothing else
        self._expected = header[18:_HEADER] if is_known else bytes(16)
        self._n_bits = (header[12] & 1) << 4 | header[13] >> 4 if is_known else 0  # one less than they are
        self._digest = hashlib.md5(usedforsecurity=False)

    def feed(self, frame: av.AudioFrame) -> None:
        if not any(self._expected):
            return
        samples: NDArray[Any] = frame.to_ndarray()
        n_bits = self._n_bits + 1
        if frame.format.is_planar:
            samples = np.ascontiguousarray(samples.T)  # (n, n_channels), as the fingerprint counts them
        numbers = samples.reshape(-1).astype("<i4") >> frame.format.bits - n_bits
        n_bytes = (n_bits + 7) // 8
        self._digest.update(numbers.view(np.uint8).reshape(-1, 4)[:, :n_bytes].tobytes())

    @property
    def differs(self) -> bool:
        """Whether other samples were encoded; never where the header has no fingerprint."""
        return any(self._expected) and self._digest.digest() != self._expected
