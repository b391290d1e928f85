"""Files that are the same: in their bytes, in their pixels, or only alike. Knows hashes and vectors; opens nothing."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mmcli.library.facts import full
from mmcli.library.pieces import distance

if TYPE_CHECKING:
    from mmcli.library.store import Library

MOST_BITS = 4  # of 64 that may differ
SHAPE = 0.02  # by which the proportions may differ
CONFIRMED, ALIKE = 0.95, 0.90  # cosine of the vectors: for the same pixels, and for pictures that are only alike
BLOCK = 2048


def pairs(
    library: Library, *, similar: bool = False, on_left_out: Callable[[int], None] = lambda count: None
) -> list[tuple[bytes, bytes, str]]:
    """(file, another, `bytes` | `pixels` | `similar`): each other file once, beside the first one of its kind.

    Somebody may remove what is named here: so files that are gone or changed since they were indexed are left out (how
    many is told), and a file that has several names counts once.
    """
    paths, n_left_out = _paths(library)
    if n_left_out:
        on_left_out(n_left_out)
    found = [(names[0], name, "bytes") for names in paths.values() for name in names[1:]]
    taken: set[int] = set()
    for one, other, how in _pictures(library, similar):
        if one in paths and other in paths and one not in taken and other not in taken:
            taken.add(other)
            found.append((paths[one][0], paths[other][0], how))
    return sorted(found, key=lambda pair: ({"bytes": 0, "pixels": 1, "similar": 2}[pair[2]], pair))


def _paths(library: Library) -> tuple[dict[int, list[bytes]], int]:
    """The files of each content, as they are on the disk now, in order of their names; and how many are so no more."""
    rows = library.db.execute(
        "SELECT content, roots.path, files.path, size, mtime_ns FROM files JOIN roots ON roots.id = root"
        " WHERE files.state = 'here' AND content IS NOT NULL"
    )
    found: dict[int, dict[tuple[int, int], bytes]] = defaultdict(dict)
    n_left_out = 0
    for content, root, path, size, mtime_ns in rows:
        name = full(root, path)
        try:
            now = os.stat(name)
        except OSError:
            n_left_out += 1
            continue
        if (now.st_size, now.st_mtime_ns) != (size, mtime_ns):
            n_left_out += 1
            continue
        one = found[content]
        one[now.st_dev, now.st_ino] = min(name, one.get((now.st_dev, now.st_ino), name))
    return {content: sorted(names.values()) for content, names in sorted(found.items())}, n_left_out


def _pictures(library: Library, similar: bool) -> list[tuple[int, int, str]]:
    """Contents that look the same, the nearest first."""
    space = library.serving()
    if space is None:
        return []
    rows = library.db.execute(
        "SELECT contents.id, dhash, width, height, row FROM contents JOIN pieces ON content = contents.id"
        " JOIN vectors ON piece = pieces.id AND space = ? WHERE pieces.kind = 'picture' ORDER BY contents.id",
        (space.id,),
    ).fetchall()
    if len(rows) < 2:
        return []
    matrix = np.asarray(library.vectors(space).rows()[np.array([row[4] for row in rows])])
    found = []
    for at in range(0, len(rows), BLOCK):
        cosines = matrix[at : at + BLOCK] @ matrix.T
        ones, others = np.nonzero(cosines >= (ALIKE if similar else CONFIRMED))
        for one, other in zip((ones + at).tolist(), others.tolist(), strict=True):
            if one >= other:
                continue
            cosine = float(cosines[one - at, other])
            how = "pixels" if cosine >= CONFIRMED and _same_pixels(rows[one], rows[other]) else "similar"
            if how == "pixels" or similar:
                found.append((how != "pixels", -cosine, rows[one][0], rows[other][0], how))
    return [(one, other, how) for _, _, one, other, how in sorted(found)]


def _same_pixels(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    shapes = [row[2] / row[3] if row[2] and row[3] else 0.0 for row in (one, other)]
    return distance(one[1], other[1]) <= MOST_BITS and abs(shapes[0] - shapes[1]) <= SHAPE * max(shapes)
