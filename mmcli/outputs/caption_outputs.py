"""Writes a finished caption: sidecars, and a new name for its picture. Knows files; prints nothing."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmcli import files, schema
from mmcli.errors import InputError
from mmcli.jobs import caption_styles
from mmcli.jobs.caption import Caption
from mmcli.jobs.result_cache import Results
from mmcli.jobs.task import Outcome
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


@dataclass(frozen=True)
class Written:
    """An outcome, and which files were made or changed for it; in a dry run, which would be."""

    outcome: Outcome[Caption]
    sidecars: tuple[str, ...] = ()
    embedded: bool = False  # the caption was put into the picture's own file
    renamed: str | None = None  # the name it got, or would get


class CaptionOutputs:
    """Call it with each outcome, in order; what comes back tells what was done, or what went wrong.

    ResourceError (a full disk) is raised: what comes after would fail in the same way.
    """

    def __init__(
        self,
        sidecars: Sidecars,
        results: Results,
        *,
        rename: bool = False,
        apply: bool = False,
        journal: renames.RenameJournal | None = None,
        embedding: Embedding | None = None,
        dry_run: bool = False,
    ) -> None:
        """`apply`: names are given, not only proposed. The journal is for that and for `embedding`."""
        self._embedding = embedding
        self._sidecars, self._results = sidecars, results
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

    def __call__(self, outcome: Outcome[Caption]) -> Written:
        written, picture, within = Written(outcome), outcome.source.path, outcome.source.within
        if picture is None or outcome.error is not None or outcome.kept is not None:
            return written
        caption = outcome.result
        try:
            if self._dry_run:
                written = replace(written, sidecars=self._sidecars.places(picture, within))
            elif caption is not None:
                places = self._sidecars.write(picture, caption.text, caption_record(written), within)
                written = replace(written, sidecars=places)
            if self._embedding is not None:
                written = replace(written, embedded=self._embed(caption, picture, within, self._embedding))
            return self._named(written, caption, picture) if self._rename and caption is not None else written
        except InputError as error:
            return replace(written, outcome=replace(outcome, error=error))

    def _embed(self, caption: Caption | None, picture: Path, within: Path | None, embedding: Embedding) -> bool:
        """Whether the caption is in the picture's file now, and was not before; in a dry run, whether it would be."""
        if self._dry_run or caption is None or self._journal is None:
            return self._dry_run
        return embedding.write(
            picture,
            caption.text,
            model=caption.answer.model,
            cut=caption.cut,
            note=self._journal.note,
            within=within,
        )

    def _named(self, written: Written, caption: Caption, picture: Path) -> Written:
        wanted = self._namer.propose(picture, caption_styles.file_name(caption.text))
        if self._apply and self._journal is not None and wanted != picture:
            written = self._moved(written, picture, wanted, self._journal)
        return replace(written, renamed=os.path.join(os.path.dirname(written.outcome.source.name), wanted.name))

    def _moved(self, written: Written, picture: Path, wanted: Path, journal: renames.RenameJournal) -> Written:
        """What was written with the new names of its sidecars, once the picture and all that is its own have theirs."""
        moves = renames.moves(picture, wanted, self._results.of_picture(picture))
        for move in moves:
            journal.apply(move)
            self._results.moved(move.old, move.new)
        new = {os.path.abspath(move.old): move.new for move in moves}
        return replace(written, sidecars=tuple(_renamed(name, new) for name in written.sidecars))


def _renamed(name: str, new: dict[str, Path]) -> str:
    """A path under its file's new name, as it was given otherwise."""
    moved = new.get(os.path.abspath(name))
    return os.path.join(os.path.dirname(name), moved.name) if moved else name


def caption_record(written: Written) -> dict[str, Any]:
    """All of one outcome, in the order people ask for it. `path` is text; where the name is not, `path_base64` is."""
    outcome, caption = written.outcome, written.outcome.result
    record: dict[str, Any] = path_json("path", outcome.source.name)
    if outcome.error is not None:
        error = outcome.error
        return record | {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
    if outcome.kept is not None:
        return record | {"kept": outcome.kept}
    if caption is None:
        return record | {"planned": "equal" if outcome.equal else "caption"} | _files(written)
    told = schema.answer_json(caption.answer)
    del told["answer"]
    record |= {"caption": caption.text, "cut": caption.cut, "cached": outcome.cached} | _files(written)
    return record | ({"facts": dict(caption.facts)} if caption.facts else {}) | told


def _files(written: Written) -> dict[str, Any]:
    renamed = path_json("renamed", written.renamed) if written.renamed else {}
    embedded = {"embedded": True} if written.embedded else {}
    return ({"sidecars": list(written.sidecars)} if written.sidecars else {}) | embedded | renamed


def path_json(key: str, name: str) -> dict[str, str]:
    """A file's name under `key`; bytes that are no UTF-8 show as U+FFFD there, and are whole under `key_base64`."""
    raw = os.fsencode(name)
    text = raw.decode("utf-8", "replace")
    return {key: text} if text.encode() == raw else {key: text, f"{key}_base64": base64.b64encode(raw).decode()}
