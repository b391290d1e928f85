"""Texts → tokens of a model, by its own tokenizer.json. Knows no graphs."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mmcli.embed.recipe import Wording
from mmcli.errors import ModelError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TextCutter(Protocol):
    """Cuts one text into tokens, with the end mark that the model wants."""

    def ids(self, text: str) -> list[int]: ...


class TextTokens:
    """A model's tokenizer, with the way in which its texts are written before."""

    def __init__(self, cutter: TextCutter, how: Wording) -> None:
        self._cutter, self._how = cutter, how

    def rows(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Token ids (n, length), filled up with the pad token; and 1 where there is a token, 0 where there is none."""
        cut = [self._cut(text) for text in texts]
        length = self._how.context if self._how.fixed else max(len(ids) for ids in cut)
        out = np.full((len(cut), length), self._how.pad, np.int64)
        mask = np.zeros_like(out)
        for row, seen, ids in zip(out, mask, cut, strict=True):
            row[: len(ids)], seen[: len(ids)] = ids, 1
        return out, mask

    def _cut(self, text: str) -> list[int]:
        written = canonical(text) if self._how.canonicalise else " ".join(text.split())
        if not written:
            raise UsageError(
                "an empty text has no meaning to look for" if not text.strip() else f"`{text}` has no words"
            )
        ids = self._cutter.ids(written)
        if len(ids) > self._how.context:  # the end mark stays: some models read their vector there
            ids = [*ids[: self._how.context - 1], ids[-1]]
        return ids


def canonical(text: str) -> str:
    """Small letters, no ASCII punctuation, single blanks: big_vision's `canonicalize_text`."""
    return " ".join(text.lower().translate(_NO_PUNCTUATION).split())


class Reference:
    """Hugging Face's own tokenizers: every form, at the price of reading the file whole."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # it raises plain Exception
            raise ModelError(f"`{path}` is no tokenizer: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text).ids
        return found
