"""Where transcripts go: stdout, a file, or a folder with a file for each sound. Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import unquote, urlsplit

from mmcli import files
from mmcli.errors import InputError, UsageError

if TYPE_CHECKING:
    from mmcli.media import Source
    from mmcli.speech.cues import Layout
    from mmcli.speech.formats import Format
    from mmcli.speech.transcript import Segment, Transcript


GROWTH = 1.2  # how many times as many segments there are when a file that is one object is written again


@dataclass(frozen=True)
class Destination:
    """One sound to transcribe, and the file its transcript goes to; None: stdout."""

    source: Source
    target: Path | None = None


def format_of(name: str | None, output: str | None) -> str | None:
    """The format a user means: by its name, or by the extension of the file it goes to; None where nothing says."""
    from mmcli.speech.formats import FORMATS

    if name:
        return name
    suffix = Path(output).suffix[1:].lower() if output else ""
    return suffix if suffix in FORMATS else None


def check_suffix(output: Path, *, is_chosen: bool) -> None:
    """UsageError for a file whose name promises something else than a transcript: `talk.mp4` is a slip of the finger.

    `is_chosen`: the format was named apart, so that the file may be called anything but a picture, a sound or a video.
    """
    from mmcli import media
    from mmcli.speech.formats import FORMATS

    suffix, is_medium = output.suffix.lower(), media.has_media_suffix(output)
    if suffix[1:] in FORMATS or not suffix or (is_chosen and not is_medium):
        return
    known = ", ".join(f".{name}" for name in FORMATS)
    raise UsageError(
        f"`{output}`: a transcript cannot be a `{suffix}` file", hint=f"use one of {known}; -o FOLDER/ names a folder"
    )


def destinations(
    found: Sequence[tuple[str, Source]], named: str | None, name: str, *, overwrite: bool, is_chosen: bool = False
) -> list[Destination]:
    """A destination for each (argument, source); UsageError where what was `named` as output cannot take them.

    `name` is the format's; `is_chosen`: by itself, and not by the file's extension.
    """
    from mmcli import media
    from mmcli.speech.formats import FORMATS

    sources = [source for _, source in found]
    if named is None:
        if len(sources) > 1 and FORMATS[name]().separate:
            raise UsageError(
                f"{name} holds one sound, but {len(sources)} were given", hint="-o FOLDER writes a file for each"
            )
        return [Destination(source) for source in sources]
    output = Path(os.path.expanduser(named))
    is_folder = output.is_dir() or named.endswith(("/", os.sep))
    if len(sources) == 1 and not is_folder and not (len(found) == 1 and os.path.isdir(found[0][0])):
        _spare(sources, [output])
        if output.exists() and not overwrite:
            raise UsageError(f"`{output}` already exists", hint="--overwrite replaces it")
        check_suffix(output, is_chosen=is_chosen)
        make(output.parent)
        return [Destination(sources[0], output)]
    if output.exists() and not is_folder:
        raise UsageError(
            f"`{output}` is a file, but there are {len(sources)} sounds", hint="-o FOLDER writes a file for each"
        )
    if not is_folder and (media.has_media_suffix(output) or output.suffix[1:].lower() in FORMATS):
        raise UsageError(
            f"`{output}` is one file, but there may be many sounds", hint="-o FOLDER/ writes a file for each"
        )
    targets = [output / target for target in _targets(found, name)]
    _spare(sources, targets)
    for folder in dict.fromkeys(target.parent for target in targets):
        make(folder)
    return [Destination(source, target) for source, target in zip(sources, targets, strict=True)]


def _targets(found: Sequence[tuple[str, Source]], suffix: str) -> list[Path]:
    """A name for each: its own with another extension, in its sub-folder; with its own too where two would be alike.

    That of a part ends with its fragment: `talk#t=80,100.srt` is not the transcript of all of `talk.mp3`.
    """
    places = [_place(argument, source) for argument, source in found]
    parts = [f"#{source.locator}" if source.locator else "" for _, source in found]
    short = [f"{place.with_suffix('')}{part}" for place, part in zip(places, parts, strict=True)]
    alike = Counter(short)
    targets = [
        place.with_name(f"{place.stem if alike[name] == 1 else place.name}{part}.{suffix}")
        for place, part, name in zip(places, parts, short, strict=True)
    ]
    for target, count in Counter(targets).items():
        if count > 1:
            names = " and ".join(f"`{found[i][1].name}`" for i, other in enumerate(targets) if other == target)
            raise UsageError(f"{names} would both be written to `{target}`", hint="transcribe them in two runs")
    return targets


def _spare(sources: Sequence[Source], targets: Sequence[Path]) -> None:
    """UsageError where a transcript, or the part of one that grows, would take the place of a sound."""
    sounds = {identity for source in sources if source.path and (identity := _identity(source.path))}
    for target in targets:
        for path in (target, growing(target)):
            if _identity(path) in sounds:
                raise UsageError(f"`{path}` is the sound itself", hint="choose another -o")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from all others, under whatever name; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def growing(path: Path) -> Path:
    """Where a transcript grows before it is whole."""
    return path.with_name(f"{path.stem}.part{path.suffix}")


def _place(argument: str, source: Source) -> Path:
    """Where a sound stands in the folder that was named, or its bare name."""
    if source.path is None:
        name = "stdin"
        if source.url is not None:
            with contextlib.suppress(ValueError):  # no address at all: fetching it says so
                name = unquote(Path(urlsplit(source.url).path).name) or "sound"
        return Path(Path(name).name)
    if os.path.isdir(os.path.expanduser(argument)):
        return Path(os.path.relpath(source.path, os.path.expanduser(argument)))
    return Path(source.path.name)


def make(folder: Path) -> None:
    """The folder, with all above it; InputError where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create the folder `{folder}`: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"cannot write to the folder `{folder}`")


class Stdout:
    """All transcripts one after the other."""

    def __init__(self, name: str, *, several: bool = False, layout: Layout | None = None) -> None:
        from mmcli.speech.formats import DEFAULT_LAYOUT, FORMATS

        self._name, self._several = name, several
        self._format: Format = FORMATS[name](layout or DEFAULT_LAYOUT)
        self._n = 0

    def begin(self, transcript: Transcript) -> None:
        from mmcli import terminal

        if self._several and self._name == "txt":
            terminal.said(f"{self._between()}==> {terminal.one_line(transcript.source)} <==\n")
        else:
            self._say(self._format.begin(transcript))
        self._n += 1

    def _between(self) -> str:
        return "\n" if self._n else ""

    def segment(self, transcript: Transcript, segment: Segment) -> None:
        from mmcli import terminal

        if self._name == "txt":
            terminal.said_segment(segment)
        else:
            self._say(self._format.segment(transcript, segment))

    def end(self, transcript: Transcript) -> None:
        if self._name == "json":
            self._json(transcript)
        else:
            self._say(self._format.end(transcript))

    kept = None  # no file

    def summary(self) -> str:
        return self._format.summary()

    def close(self) -> None:
        """The next one may come."""

    def finish(self) -> None:
        """The end of all of them."""
        if self._name == "json" and self._several:
            self._say("]\n" if self._n else "[]\n")

    def _json(self, transcript: Transcript) -> None:
        from mmcli import terminal
        from mmcli.speech.formats import transcript_json

        if not self._several:
            terminal.data(transcript_json(transcript))
            return
        opening = "[" if self._n == 1 else ",\n"
        self._say(opening + self._format.end(transcript).rstrip("\n"))

    def _say(self, text: str) -> None:
        from mmcli import terminal

        (terminal.said_json if self._name.startswith("json") else terminal.said)(text)


class TranscriptFile:
    """One transcript in a file: as NAME.part.EXTENSION while it grows, under its own name when it is whole.

    What an interruption leaves, whichever way it comes, is a file that can be read: nothing heard is lost, and the next
    run does not take it for done. Before the first words there is none.
    """

    def __init__(self, path: Path, name: str, layout: Layout | None = None) -> None:
        from mmcli.speech.formats import DEFAULT_LAYOUT, FORMATS

        self._path = path
        self._format: Format = FORMATS[name](layout or DEFAULT_LAYOUT)
        self._growing = growing(path)
        self._file: TextIO | None = None
        self._opening = ""  # what stands before the first words
        self._has_begun = False
        self._n_written = 0  # segments, where the whole file is written again and again
        self.kept: Path | None = None  # what an interruption left

    def begin(self, transcript: Transcript) -> None:
        self._opening = self._format.begin(transcript)
        if self._growing.exists():
            self._open()  # another process may be writing it

    def segment(self, transcript: Transcript, segment: Segment) -> None:
        text = self._format.segment(transcript, segment)
        if text:
            self._write(text)
        elif self._format.whole and len(transcript.segments) > GROWTH * self._n_written:  # all of it, but not each time
            self._n_written = len(transcript.segments)
            self._rewrite(self._format.end(replace(transcript, ending="interrupted")))

    def end(self, transcript: Transcript) -> None:
        """Whole, or the part that there is; nothing where nothing was heard before it broke off."""
        if transcript.ending != "stop" and not transcript.segments:
            return
        text = self._format.end(transcript)
        file = self._rewrite(text) if self._n_written else self._write(text)
        with files.naming(self._path):
            os.fsync(file.fileno())
            if transcript.ending == "stop":
                file.close()  # Windows renames no open file
                self._file = None
                os.replace(self._growing, self._path)
        if transcript.ending != "stop":
            self.kept = self._growing

    def summary(self) -> str:
        return self._format.summary()

    def close(self) -> None:
        """An empty part is of no use to anybody."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
            if self._growing.exists() and not self._growing.stat().st_size:
                self._growing.unlink()

    def _write(self, text: str) -> TextIO:
        """The first text takes the place of what an earlier run left."""
        file = self._open()
        with files.naming(self._path):
            if not self._has_begun:
                file.truncate(0)
                file.write(self._opening)
                self._has_begun = True
            file.write(text)
            file.flush()
        return file

    def _rewrite(self, text: str) -> TextIO:
        """All of the file anew; it only grows, so that there is no moment at which less stands in it."""
        file, data = self._open(), text.encode(errors="backslashreplace")
        with files.naming(self._path):
            file.seek(0)
            file.buffer.write(data)
            file.buffer.flush()
            file.truncate(len(data))
        return file

    def _open(self) -> TextIO:
        if self._file is None:
            with files.naming(self._growing):
                descriptor = os.open(self._growing, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            file = open(descriptor, "r+", encoding="utf-8", newline="\n", errors="backslashreplace")
            _lock(file, self._path)
            self._file = file
        return self._file


def _lock(file: TextIO, path: Path) -> None:
    """InputError where another process writes the same transcript: they would garble each other's."""
    if files.lock(file.fileno()) is False:
        file.close()
        raise InputError(f"another mmcli is writing `{path}`", hint="wait for it, or choose another -o")
