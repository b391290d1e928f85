"""What the library and the commands use of an embedding model. Knows no files, no onnxruntime and no terminals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Space(Protocol):
    """One model's embeddings: pictures and texts that mean the same lie close to each other.

    Vectors are of unit length, so their dot product is the cosine. A tower (for pictures, for texts) is loaded when it
    is first used. Not to be used from two threads at once.
    """

    @property
    def name(self) -> str:
        """As the catalogue has it: `siglip2-b32`, `starter`."""
        ...

    @property
    def identity(self) -> bytes:
        """32 bytes: SHA-256 over the files, the preparation and the precision. Other vectors cannot be compared."""
        ...

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        ...

    @property
    def side(self) -> int:
        """Pixels of the square that the model sees: a larger picture may be decoded smaller, but never below this."""
        ...

    @property
    def scale(self) -> float:
        """By which a cosine is multiplied for a logit."""
        ...

    @property
    def bias(self) -> float | None:
        """What is added to a logit before the sigmoid; None for models that were trained with a softmax."""
        ...

    @property
    def calibrated(self) -> bool:
        """Whether sigmoid(scale · cosine + bias) is a true probability; of most models it is only a hint."""
        ...

    @property
    def runs_on(self) -> str:
        """Provider and threads, for a note: `CPU, 2 threads`."""
        ...

    def pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Vectors (n, dim) of upright RGB pictures (height, width, 3) of any sizes; one batch of the model."""
        ...

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (n, dim) of texts as they are: templates are the caller's. UsageError for an empty one."""
        ...

    def canary(self) -> NDArray[np.float32]:
        """The vector (dim,) of a fixed picture and a fixed text, by which two machines tell whether they agree."""
        ...

    def close(self) -> None:
        """Free the towers."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
