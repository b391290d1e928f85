"""Plans sidecar files: where they go, what is in them, and which existing ones may be replaced."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from mmcli import files, media
from mmcli.errors import InputError
from mmcli.jobs.result_cache import Results, picture_name
from mmcli.media.sniffing import A_KIND
from mmcli.outputs import embedded, xmp

Kind: TypeAlias = str  # "txt" | "json" | "xmp"
Naming: TypeAlias = str  # "stem" | "full"
# What the programs that read them expect: trainers `a.txt`, photo managers `a.jpg.xmp` (Lightroom wants `a.xmp`).
NAMING: dict[Kind, Naming] = {"txt": "stem", "json": "full", "xmp": "full"}
GENERATOR = "mmcli"
MAX_BYTES = 16_000_000  # of a sidecar that is there already


@dataclass(frozen=True)
class SidecarPlan:
    """Which sidecars a run writes, and where."""

    kinds: Sequence[Kind] = ()
    folder: Path | None = None  # None: beside each picture
    naming: Naming | None = None  # None: as NAMING says
    overwrite: bool = False  # other people's words too
    tags: bool = False  # captions are tags: keywords in XMP
    inputs: tuple[Path, ...] = ()  # what the run itself reads besides pictures: a list of names

    def place(self, picture: Path, kind: Kind) -> Path:
        """Where the sidecar of a picture goes; in a folder, the tree as seen from here is mirrored."""
        naming = self.naming or NAMING[kind]
        name = f"{picture.stem if naming == 'stem' else picture.name}.{kind}"
        return self._mirrored(picture.parent) / name

    def _mirrored(self, parent: Path) -> Path:
        if self.folder is None:
            return parent
        absolute = Path(os.path.abspath(parent))
        here = Path.cwd()
        below = absolute.relative_to(here if absolute.is_relative_to(here) else absolute.anchor)
        return self.folder / below


class Sidecars:
    """Asks before the work what would stand in its way; writes after it.

    `within` is the folder that was named, where walking it found the picture: no link, also none that somebody puts
    there meanwhile, leads a sidecar out of it (or, with `-o DIR`, out of DIR).
    """

    def __init__(self, plan: SidecarPlan, results: Results) -> None:
        self._plan, self._results = plan, results
        self.n_written = 0  # files that were made or changed
        self._described: set[Path] = set()  # pictures on their way that hold a person's description themselves

    @property
    def are_wanted(self) -> bool:
        return bool(self._plan.kinds)

    def obstacle(self, picture: Path | None, within: Path | None = None) -> str | None:
        """Whose words would be replaced, if there is nothing to do for this picture; InputError where none can be."""
        if not self._plan.kinds:
            return None
        if picture is None:
            raise InputError("a sidecar needs a picture in a file", hint="leave out --sidecar")
        for kind in self._plan.kinds:
            place = self._plan.place(picture, kind)
            if not files.writable(place.parent):
                raise InputError(f"cannot write `{place}`: its folder is not writable", hint="-o DIR writes elsewhere")
            self._check_owner(place, picture)
        kept = [foreign for kind in self._plan.kinds if (foreign := self._foreign(picture, kind, within)) is not None]
        if kept and len(kept) == len(self._plan.kinds):
            return f"{' and '.join(f'`{place}`' for place in kept)} was not written by mmcli (--overwrite replaces it)"
        return None

    def objection(self, picture: Path, data: bytes, within: Path | None = None) -> str | None:
        """The same as `obstacle`, of what the picture's own bytes say: words of a person in it are not contradicted."""
        if "xmp" not in self._plan.kinds or self._plan.tags or self._plan.overwrite:
            return None
        place = self._plan.place(picture, "xmp")
        beside = files.read(place, max_bytes=MAX_BYTES, within=self._plan.folder or within)
        if not embedded.has_words(data, beside):
            return None
        self._described.add(picture)
        if any(self._foreign(picture, kind, within) is None for kind in self._plan.kinds):
            return None
        self._described.discard(picture)
        return (
            f"`{picture}` already holds a description that mmcli did not write (--overwrite writes another beside it)"
        )

    def is_one(self, path: Path) -> bool:
        """Whether this is no picture, but a sidecar of an earlier run."""
        return path.suffix[1:] in NAMING and self._results.owner(path) is not None

    def places(self, picture: Path, within: Path | None = None) -> tuple[str, ...]:
        """Where a picture's sidecars would be written."""
        free = [kind for kind in self._plan.kinds if self._foreign(picture, kind, within) is None]
        self._described.discard(picture)
        return tuple(str(self._plan.place(picture, kind)) for kind in free)

    def write(self, picture: Path, caption: str, record: dict[str, Any], within: Path | None = None) -> tuple[str, ...]:
        """Write what the plan asks for, and return where; somebody else's words stay as they are.

        A sidecar that says the same already is not touched. MmcliError as `files.update` raises it.
        """
        written = []
        for kind in self._plan.kinds:
            place = self._plan.place(picture, kind)
            self._check_owner(place, picture)  # again: another picture's may have been written since
            if self._foreign(picture, kind, within) is not None:
                continue
            if self._plan.folder is not None:
                files.make_folder(place.parent, within=self._plan.folder)

            def change(before: bytes | None, kind: Kind = kind, place: Path = place) -> bytes:
                if before is not None and self._is_foreign(place, kind, before):
                    return before  # somebody was quicker
                try:
                    data = self._data(kind, caption, record, before)
                except InputError as error:
                    raise InputError(f"`{place}` {error.message}", hint=error.hint) from error
                if data != before:
                    self._results.wrote(place, picture, data, before)
                return data

            self.n_written += files.update(place, change, max_bytes=MAX_BYTES, within=self._plan.folder or within)
            written.append(str(place))
        self._described.discard(picture)
        return tuple(written)

    def _data(self, kind: Kind, caption: str, record: dict[str, Any], before: bytes | None) -> bytes:
        if kind == "txt":
            return (caption + "\n").encode()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        if kind == "json":
            told = _told(before)
            if told is not None and _says(told) == _says(record):
                assert before is not None
                return before  # a new date alone is no reason to write
            document = {"generator": GENERATOR, "date": now, **record}
            return (json.dumps(document, indent=2, ensure_ascii=not _is_unicode(record)) + "\n").encode()
        model, cut = record["model"]["name"], record["cut"]
        if self._plan.tags:
            return xmp.with_tags(before, caption.split(", "), model=model, date=now, cut=cut)
        return xmp.with_description(before, caption, model=model, date=now, cut=cut)

    def _foreign(self, picture: Path, kind: Kind, within: Path | None) -> Path | None:
        """The sidecar's place if words stand there that mmcli did not write, and may not replace, or in the picture."""
        place = self._plan.place(picture, kind)
        if kind == "xmp" and picture in self._described:
            return place
        data = files.read(place, max_bytes=MAX_BYTES, within=self._plan.folder or within)
        return place if data is not None and self._is_foreign(place, kind, data) else None

    def _is_foreign(self, place: Path, kind: Kind, data: bytes) -> bool:
        """Whether the content of a sidecar must stay; InputError where not even --overwrite may replace it."""
        if self._results.is_ours(place, data):
            return False
        if self._plan.overwrite:
            self._spare_inputs(place, data)
            return False
        if kind == "xmp":
            is_theirs = xmp.has_lost_tags if self._plan.tags else xmp.is_human
            return is_theirs(data, shown=f"`{place}`")
        if kind == "json" and (told := _told(data)) is not None and told.get("generator") == GENERATOR:
            return False
        return bool(data.strip())

    def _spare_inputs(self, place: Path, data: bytes) -> None:
        """InputError where a sidecar would take the place of what the run reads: a picture, or the list of names."""
        kind = media.sniff(data)
        if kind is not None and kind != "text":
            raise InputError(f"`{place}` is {A_KIND[kind]}, not a sidecar", hint="-o DIR writes elsewhere")
        for path in self._plan.inputs:
            with suppress(OSError):
                if path.samefile(place):
                    raise InputError(f"`{place}` is the list of names itself", hint="-o DIR writes elsewhere")

    def _check_owner(self, place: Path, picture: Path) -> None:
        """InputError where the sidecar is that of another picture which is still there: `a.txt` of a.jpg and a.png."""
        owner = self._results.owner(place)
        if owner in (None, picture_name(picture)):
            return
        if any(picture_name(other) == owner for other in picture.parent.glob(f"{glob.escape(picture.stem)}.*")):
            raise InputError(
                f"`{place}` is the sidecar of another picture with the same name",
                hint="--sidecar-name full keeps them apart",
            )


def _says(record: dict[str, Any]) -> tuple[Any, ...]:
    """What makes one record worth writing over another."""
    return record.get("caption"), record.get("model"), record.get("finish_reason") == "length"


def _told(data: bytes | None) -> dict[str, Any] | None:
    try:
        value = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_unicode(record: dict[str, Any]) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def check(plan: SidecarPlan) -> None:
    """InputError for an output folder that cannot be one, before anything is computed."""
    folder = plan.folder
    if folder is None:
        return
    files.check_name(folder)
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise InputError(f"`{folder}` is a file, not a folder", hint="-o takes a folder")
    if not files.writable(folder):
        raise InputError(f"cannot write into `{folder}`", hint="-o takes a folder that you can write to")
