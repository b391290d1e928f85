"""A small picture of something that was found, from its file. Keeps none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli import media
from mmcli.errors import InputError
from mmcli.library.pieces import smaller

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.library.query import FoundPiece


def of(found: FoundPiece, side: int) -> NDArray[np.uint8]:
    """(height, width, 3) RGB, upright, no side below `side` if the file has so many. InputError if it cannot."""
    from mmcli.media import images, opening, pdf

    source = media.Source(os.fsdecode(found.path), Path(os.fsdecode(found.path)))
    if found.kind == "page":
        with pdf.opened(opening.read(source), shown=source.shown) as file:
            return file.picture(found.page, 2 * side)
    if found.kind == "moment":
        middle = (found.start_ms + max(found.end_ms, found.start_ms)) / 2000
        wanted = media.FilmWanted(frames=1, sound="off", times=(middle,))
        film = media.open(source, wanted=media.Wanted(film=wanted), kinds=frozenset({"video"}))
        clip = next(part.medium for part in film.parts if isinstance(part.medium, media.Clip))
        return smaller(clip.frames[0], side)
    if found.kind != "picture":
        raise InputError(f"{source.shown} is heard, not seen")
    picture = images.decode(opening.read(source), source.name, shown=source.shown, suffix=source.suffix, least=side)
    return smaller(picture.pixels, side // 2)
