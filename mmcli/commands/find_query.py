"""The words and pictures of `mmcli find` as vectors: from the library where it has them, else from the model."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.commands import libraries
from mmcli.errors import InputError, ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.commands.find import QueryOptions
    from mmcli.embed.protocol import Space
    from mmcli.library.facts import PieceFacts
    from mmcli.library.query import Query
    from mmcli.library.remembered import StoredSpace
    from mmcli.library.store import Library
    from mmcli.terminal import Style

_WEIGHTED = re.compile(r"([0-9]+(?:\.[0-9]+)?):(?=\S)(.+)", re.DOTALL)


class QueryMaker:
    """Turns what was asked into a query. The model is loaded by the first thing that the library does not know."""

    def __init__(self, library: Library, style: Style, *, threads: int | None, keep: bool) -> None:
        self._library, self._style, self._threads, self._keep = library, style, threads, keep
        self._stored = library.serving()
        self._space: Space | None = None

    def close(self) -> None:
        if self._space is not None:
            self._space.close()

    def query(self, words: list[str], options: QueryOptions, facts: PieceFacts) -> Query:
        """The query; ModelError where the model is missing or another one."""
        from mmcli.library import query as queries

        weight, text = _weighted(" ".join(words).strip())
        plain, phrases = queries.parse_words(text)
        if options.words_only or self._stored is None:
            return queries.Query(plain, phrases, None, None, facts)
        terms = [(weight, self._text(plain))] if plain else []
        texts = [plain] if plain else []
        for picture in options.like or []:
            weight, name = _weighted(picture)
            terms.append((weight, self._picture(name)))
        for term in options.and_ or []:
            weight, name = _weighted(term)
            is_picture = _is_picture(name)
            terms.append((weight, self._picture(name) if is_picture else self._text(name)))
            texts += [] if is_picture else [name]
        against = [
            (weight, self._picture(name) if _is_picture(name) else self._text(name))
            for weight, name in map(_weighted, options.not_ or [])
        ]
        return queries.Query(
            " ".join(texts),
            phrases,
            queries.combined(terms) if terms else None,
            queries.combined(against) if against else None,
            facts,
        )

    def _text(self, text: str) -> NDArray[np.float32]:
        assert self._stored is not None
        from mmcli import sanitize

        text = sanitize.without_surrogates(text)
        known = self._library.query(self._stored, text)
        if known is not None:
            return known
        vector: NDArray[np.float32] = self._opened(self._stored).texts([text])[0]
        if self._keep:
            self._library.keep_query(self._stored, text, vector)
        return vector

    def _picture(self, name: str) -> NDArray[np.float32]:
        from mmcli import media
        from mmcli.library import query as queries
        from mmcli.media import images, opening

        assert self._stored is not None
        path = os.path.abspath(os.path.expanduser(name))
        if not os.path.exists(path):
            raise InputError(f"no file named `{name}`")
        known = queries.vector_of(self._library, self._stored, os.fsencode(path))
        if known is not None:
            return known
        source = media.Source(name, Path(path))
        space = self._opened(self._stored)
        data = opening.read(source)
        picture = images.decode(data, name, shown=source.shown, suffix=source.suffix, least=space.side)
        vector: NDArray[np.float32] = space.pictures([picture.pixels])[0]
        return vector

    def _opened(self, stored: StoredSpace) -> Space:
        """The model of the library's vectors."""
        from mmcli import terminal

        if self._space is None:
            screen = terminal.Screen(self._style)
            space = libraries.space(stored.name, yes=False, threads=self._threads, reporter=screen)
            if space.identity != stored.identity:
                raise ModelError(
                    f"the library's vectors were made by other files of `{stored.name}`",
                    hint="`mmcli index` computes them anew",
                )
            self._space = space
        return self._space


def _weighted(text: str) -> tuple[float, str]:
    """`2:snow` as (2.0, "snow")."""
    match = _WEIGHTED.fullmatch(text)
    weight, words = (float(match[1]), match[2]) if match else (1.0, text)
    if not weight:
        raise UsageError(f"`{text}` has no weight", hint="2:TEXT counts twice; leave out what does not count")
    return weight, words


def _is_picture(name: str) -> bool:
    from mmcli import media

    return media.has_media_suffix(Path(name)) and os.path.exists(os.path.expanduser(name))
