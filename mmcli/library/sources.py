"""What a library tells about a question, as numbered sources with their facts: for `ask --from`. Knows no engine."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mmcli.library import query as queries
from mmcli.library.facts import PieceFacts
from mmcli.library.fusion import STANDS_OUT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.library.query import FoundPiece
    from mmcli.library.store import Library

MOST = 12


@dataclass(frozen=True)
class NumberedSource:
    """One source of an answer."""

    number: int  # from 1
    found: FoundPiece

    @property
    def name(self) -> str:
        """What `media.named` takes."""
        return self.found.source

    @property
    def words(self) -> str:
        """What stands before it in a prompt: `[1] IMG_2041.jpg, 2023-04-11 15:02, Linz; text: "…"`"""
        found = self.found
        parts = [os.path.basename(os.fsdecode(found.path)) + (f"#{found.fragment}" if found.fragment else "")]
        if found.taken is not None:
            parts.append(found.taken[:16].replace("T", " "))
        if found.place:
            parts.append(found.place)
        text = f'; text: "{found.excerpt}"' if found.excerpt else ""
        return f"[{self.number}] {', '.join(parts)}{text}"


@dataclass(frozen=True)
class Retrieved:
    """What was found for a question; `tells` is whether anything of it seems to answer."""

    sources: tuple[NumberedSource, ...]
    tells: bool


def retrieve(
    library: Library,
    words: str,
    vector: NDArray[np.float32] | None,
    n: int = MOST,
    *,
    facts: PieceFacts | None = None,
) -> Retrieved:
    """At most `n` sources for these words and their vector, the best first, each content and burst once.

    It tells nothing where the best score does not stand out and no text has all of the words.
    """
    plain, phrases = queries.parse_words(words)
    query = queries.Query(plain, phrases, vector, None, facts or PieceFacts())
    findings = queries.search(library, query, 2 * n)
    once: list[FoundPiece] = []
    for found in findings.found:
        is_known = any(other.content == found.content and other.kind == "picture" for other in once)
        if not is_known:
            once.append(replace(found, also=()))
    has_words = any(found.words_rank is not None and found.excerpt for found in once)
    stands_out = any(found.z is not None and found.z >= STANDS_OUT for found in once)
    return Retrieved(
        tuple(NumberedSource(number, found) for number, found in enumerate(once[:n], 1)), has_words or stands_out
    )
