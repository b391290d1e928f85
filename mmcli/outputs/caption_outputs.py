"""Writes a finished caption: sidecars, and a new name for its picture. Knows files; prints nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmcli import files
from mmcli.errors import InputError
from mmcli.jobs import caption_styles
from mmcli.jobs.result_cache import Results
from mmcli.jobs.runner import Outcome
from mmcli.media import Source
from mmcli.outputs import renames
from mmcli.outputs.embedding import Embedding
from mmcli.outputs.sidecars import Sidecars

# Why a part of a picture has no sidecar, no new name and no caption in its file.
WHOLE = {
    "sidecar": "--sidecar would put its caption beside the whole picture",
    "rename": "--rename would name the whole picture after it",
    "embed": "--embed would put its caption into the whole picture's file",
}


class After:
    """Call it with each outcome, in order; an outcome comes back that tells what was done, or what went wrong.

    ResourceError (a full disk) is raised: what comes after would fail in the same way.
    """

    def __init__(
        self,
        sidecars: Sidecars,
        results: Results,
        record: Callable[[Outcome], dict[str, Any]],
        *,
        rename: bool = False,
        apply: bool = False,
        journal: renames.RenameJournal | None = None,
        embedding: Embedding | None = None,
        dry_run: bool = False,
    ) -> None:
        """`apply`: names are given, not only proposed. The journal is for that and for `embedding`."""
        self._embedding = embedding
        self._sidecars, self._results, self._record = sidecars, results, record
        self._rename, self._apply, self._journal, self._dry_run = rename, apply, journal, dry_run
        self._namer = renames.Namer()

    @property
    def n_written(self) -> int:
        """Sidecars that were made or changed."""
        return self._sidecars.n_written

    @property
    def of_whole_pictures(self) -> str | None:
        """What is done with captions that would be untrue of a picture of which only a part was seen; None: nothing."""
        if self._sidecars.are_wanted:
            return WHOLE["sidecar"]
        return WHOLE["rename"] if self._rename else WHOLE["embed"] if self._embedding is not None else None

    def obstacle(self, source: Source) -> str | None:
        """Asked before a picture is read: why there is nothing to do; InputError where nothing can be done."""
        if source.locator is not None and (reason := self.of_whole_pictures) is not None:
            raise InputError(
                f"{source.shown} is a part of a picture: {reason}",
                hint=f"leave out {reason.split()[0]}, or `#{source.locator}`",
            )
        if self._rename and source.path is None:
            raise InputError(f"{source.shown} is not a file, so it cannot be renamed", hint="leave out --rename")
        if source.path is not None:
            files.check_name(source.path)
        if self._embedding is not None:
            self._embedding.obstacle(source.path)
        if source.path is not None and self._sidecars.is_one(source.path):
            return "it is a sidecar that mmcli wrote"  # `photos/*` names those too, the second time
        return self._sidecars.obstacle(source.path, source.within)

    def objection(self, source: Source, data: bytes) -> str | None:
        """The same once the picture's bytes are there."""
        if source.path is None:
            return None
        kept = self._sidecars.objection(source.path, data, source.within)
        if self._embedding is None:
            return kept
        inside = self._embedding.objection(source.path, data)
        return None if self._rename or (self._sidecars.are_wanted and kept is None) else inside

    def __call__(self, outcome: Outcome) -> Outcome:
        picture, within = outcome.source.path, outcome.source.within
        if picture is None or outcome.error is not None or outcome.kept is not None:
            return outcome
        try:
            if self._dry_run:
                outcome = replace(outcome, sidecars=self._sidecars.places(picture, within))
            elif outcome.answer is not None:
                written = self._sidecars.write(picture, outcome.caption, self._record(outcome), within)
                outcome = replace(outcome, sidecars=written)
            if self._embedding is not None:
                outcome = replace(outcome, embedded=self._embed(outcome, picture, within, self._embedding))
            return self._named(outcome, picture) if self._rename and outcome.answer is not None else outcome
        except InputError as error:
            return replace(outcome, error=error)

    def _embed(self, outcome: Outcome, picture: Path, within: Path | None, embedding: Embedding) -> bool:
        """Whether the caption is in the picture's file now, and was not before; in a dry run, whether it would be."""
        if self._dry_run or outcome.answer is None or self._journal is None:
            return self._dry_run
        return embedding.write(
            picture,
            outcome.caption,
            model=outcome.answer.model,
            cut=outcome.cut,
            note=self._journal.note,
            within=within,
        )

    def _named(self, outcome: Outcome, picture: Path) -> Outcome:
        wanted = self._namer.propose(picture, caption_styles.file_name(outcome.caption))
        if self._apply and self._journal is not None and wanted != picture:
            outcome = self._moved(outcome, picture, wanted, self._journal)
        return replace(outcome, renamed=os.path.join(os.path.dirname(outcome.source.name), wanted.name))

    def _moved(self, outcome: Outcome, picture: Path, wanted: Path, journal: renames.RenameJournal) -> Outcome:
        """The outcome with the new names of its sidecars, once the picture and all that is its own have theirs."""
        moves = renames.moves(picture, wanted, self._results.of_picture(picture))
        for move in moves:
            journal.apply(move)
            self._results.moved(move.old, move.new)
        new = {os.path.abspath(move.old): move.new for move in moves}
        return replace(outcome, sidecars=tuple(_renamed(name, new) for name in outcome.sidecars))


def _renamed(name: str, new: dict[str, Path]) -> str:
    """A path under its file's new name, as it was given otherwise."""
    moved = new.get(os.path.abspath(name))
    return os.path.join(os.path.dirname(name), moved.name) if moved else name
