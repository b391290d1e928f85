"""Keeps the progress of a transcription on disk, so that an interrupted run can continue. Knows no models.

A file for each sound and way of listening, a JSON object a line: segments as they are found, and marks, each with all
that is needed to go on from there. What stands behind the last mark is heard again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from mmcli import files
from mmcli.speech.spans import Part
from mmcli.speech.transcriber import Heard, Mark
from mmcli.speech.transcript import Segment, Word

VERSION = 1
MOST_DAYS = 30  # that a sound may wait for somebody to go on with it


def name_of(*facts: Any) -> str:
    """The name of a journal: a digest of all that decides about the words."""
    return hashlib.sha256(json.dumps([VERSION, *facts]).encode()).hexdigest()[:40]


class Journal:
    """One sound's. A disk that refuses ends the keeping, never the run; so does another process that keeps the same."""

    def __init__(self, folder: Path, name: str, *, on_warning: Callable[[str], None] = lambda text: None) -> None:
        self._path = folder / f"{name}.jsonl"
        self._file: BinaryIO | None = None
        self._is_ours = False
        self._on_warning = on_warning
        self._mark, self._n_parts = Mark(), 0
        self.segments: list[Segment] = []  # heard by a run before
        self.heard = Heard()  # … and what it knew
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _forget(folder)
            self._open()
        except OSError as error:
            self._give_up(error)

    def segment(self, segment: Segment, heard: Heard) -> None:
        """Another one was found; before it, what `heard` says is done."""
        if heard.mark != self._mark:
            self._tell(heard)
        self._write({"segment": asdict(segment)})

    def close(self, heard: Heard, *, done: bool) -> None:
        """Leave it to another run, if anything is in it; `done`: the sound was heard to its end."""
        if done or heard.mark != self._mark:
            self._tell(heard)
        if self._file is None:
            return
        is_empty = self._file.tell() == 0
        with contextlib.suppress(OSError):
            self._file.close()
        self._file = None
        if is_empty:
            self.forget()

    def forget(self) -> None:
        """Nobody has to go on with it."""
        if self._is_ours:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _tell(self, heard: Heard) -> None:
        new, self._mark, self._n_parts = heard.speech[self._n_parts :], heard.mark, len(heard.speech)
        self._write({"mark": asdict(heard) | {"speech": new}})

    def _open(self) -> None:
        """Take up what is there up to its last mark, and go on behind it."""
        file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        if files.lock(file.fileno()) is False:
            file.close()
            return
        at = good = 0
        found: list[Segment] = []
        spoken: list[Part] = []
        for line in file:
            at += len(line)
            try:
                entry = json.loads(line)
                if "segment" in entry:
                    found.append(_segment(entry["segment"]))
                else:
                    spoken += [(int(first), int(behind)) for first, behind in entry["mark"]["speech"]]
                    self.heard, self.segments, good = _heard(entry["mark"], spoken), list(found), at
            except (ValueError, TypeError, KeyError, AttributeError):
                break
        self._mark, self._n_parts = self.heard.mark, len(self.heard.speech)
        self.heard.end = self.segments[-1].end if self.segments else 0.0
        file.seek(good)
        file.truncate()
        self._file, self._is_ours = file, True

    def _write(self, entry: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(entry).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
        self._file = None
        self._on_warning(f"what is heard is not kept for another run: {error.strerror} (`{self._path}`)")


def _heard(values: dict[str, Any], spoken: Sequence[Part]) -> Heard:
    return Heard(**{**values, "speech": list(spoken), "mark": Mark(**values["mark"])})


def _segment(values: dict[str, Any]) -> Segment:
    words = values["words"]
    return Segment(**{**values, "words": tuple(Word(**word) for word in words) if words is not None else None})


def _forget(folder: Path) -> None:
    """Remove what nobody went on with for a long time."""
    oldest = time.time() - MOST_DAYS * 24 * 3600
    for path in folder.glob("*.jsonl"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
