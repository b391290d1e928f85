"""Sorts pictures into a folder for each label: says where each would go, and moves or copies them at the end.

Names that are taken get a number, and nothing is overwritten. All is written into a journal first, so that it can be
undone (renames.py). Knows files and names; prints nothing.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmcli.errors import InputError, UsageError
from mmcli.media import Source
from mmcli.outputs import renames

_NO_NAME = frozenset('/\\:*?"<>|')


def check(folder: Path, labels: Sequence[str]) -> None:
    """UsageError where there cannot be a folder for each label."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise UsageError(f"`{folder}` is not a folder", hint="name one to sort pictures into")
    for label in labels:
        has_odd = any(letter in _NO_NAME or unicodedata.category(letter).startswith("C") for letter in label)
        if has_odd or label.startswith(".") or label.endswith((".", " ")) or len(label.encode()) > 200:
            raise UsageError(f"the label `{label}` cannot be the name of a folder", hint="choose another word for it")


class Sorting:
    """What goes where. `plan` each picture as it comes, then `carry_out`."""

    def __init__(self, folder: Path, *, copy: bool) -> None:
        self._folder, self.copies = Path(os.path.abspath(os.path.expanduser(folder))), copy
        self._taken: dict[Path, set[str]] = {}  # of each folder: names without extension, folded
        self._moves: list[renames.Move] = []
        self._planned: set[Path] = set()
        self.n_no_files = 0  # inputs that are no whole file of their own

    @property
    def n_planned(self) -> int:
        return len(self._moves)

    def plan(self, source: Source, label: str) -> Path | None:
        """Where the picture will be; None where it stays: it is there already, or is no file of its own."""
        if source.path is None or source.locator is not None:
            self.n_no_files += 1
            return None
        picture = Path(os.path.abspath(source.path))
        folder = self._folder / label
        if picture in self._planned or os.path.realpath(picture.parent) == os.path.realpath(folder):
            return None
        self._planned.add(picture)
        if folder not in self._taken:
            there = os.listdir(folder) if folder.is_dir() else []
            self._taken[folder] = {renames.folded(Path(name).stem) for name in there}
        taken = self._taken[folder]
        for number in range(1, renames.MOST_EQUAL):
            stem = f"{picture.stem}-{number}" if number > 1 else picture.stem
            if renames.folded(stem) not in taken:
                taken.add(renames.folded(stem))
                new = folder / f"{stem}{picture.suffix}"
                self._moves.append(renames.Move(picture, new))
                return new
        raise InputError(f"`{picture}`: there are too many pictures named `{picture.stem}`")

    def carry_out(self, journal: renames.RenameJournal) -> Iterator[tuple[renames.Move, InputError | None]]:
        """Every file that went to its new place, with its sidecars; or why it did not. ResourceError ends it."""
        for wanted in self._moves:
            try:
                moves = renames.moves(wanted.old, wanted.new)
                if there := [move.new for move in moves if os.path.lexists(move.new)]:
                    raise InputError(f"`{there[0]}` already exists: `{wanted.old}` stays where it is")
                journal.make_folder(wanted.new.parent)
                for move in moves:
                    if self.copies:
                        journal.copy(move.old, move.new)
                    else:
                        journal.apply(move)
                    yield move, None
            except InputError as error:
                yield wanted, error
