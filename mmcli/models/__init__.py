"""Which weights a name means, and what they can do. Knows files, the catalogue and the Hub; knows no engine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import ModelError
from mmcli.models import cache, catalogue, fit, gguf, hub, pairs
from mmcli.models.catalogue import NO_ADVICE, Entry, File
from mmcli.models.fit import Fit, Needs, Room, judge
from mmcli.models.hub import free_disk
from mmcli.models.model import Model, beside, open_files

if TYPE_CHECKING:
    from mmcli.models.hub import OnProgress, Remote

__all__ = [
    "Download",
    "Entry",
    "Fit",
    "Model",
    "Room",
    "Wanted",
    "default",
    "fetch",
    "find",
    "fits",
    "free_disk",
    "installed",
    "judge",
    "plan",
]

REFERENCE = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)(?::([\w.-]+))?")


@dataclass(frozen=True)
class Wanted:
    """A model on the Hub that is not, or not whole, on this machine."""

    name: str  # as it is called on the command line
    repo: str
    revision: str = "main"
    choice: str | None = None  # quantization or file, where the person chose one
    entry: Entry | None = None  # what the catalogue knows of it
    mmproj: Path | None = None  # the person's own projector

    def require(self, *, sight: bool, hearing: bool) -> None:
        """ModelError where it is known before any download that the model cannot take what is asked of it."""
        if self.entry is None or self.mmproj is not None:
            return
        for wanted, able, verb in ((sight, self.entry.sees, "see"), (hearing, self.entry.hears, "hear")):
            if wanted and not able:
                raise ModelError(f"`{self.name}` cannot {verb}", hint="`mmcli models` lists what each model can do")


@dataclass(frozen=True)
class Download:
    """What fetching a model means: its files as the Hub describes them, and what of them is missing."""

    wanted: Wanted
    files: tuple[Remote, ...]  # weights, in all their parts, then the projector
    n_missing: int  # bytes
    licence: str | None
    needs: Needs | None = None  # in memory, once it is here

    @property
    def n_bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def find(name: str, mmproj: Path | None = None) -> Model | Wanted:
    """The model called `name`: in the catalogue, `org/repo[:QUANT]` on the Hub, or a GGUF file. Makes no connection."""
    path = Path(os.path.expanduser(name))  # Path.expanduser fails for a user who does not exist
    if path.suffix.lower() == ".gguf" or (path.is_file() and name not in catalogue.load()):
        first = path.with_name(pairs.parts(path.name)[0])
        return open_files(first.name, path, mmproj or (beside(path) if path.exists() else None))
    if known := catalogue.match(name):
        return _known(*known, mmproj)
    if reference := REFERENCE.fullmatch(name):
        wanted = Wanted(name, reference[1], choice=reference[2], mmproj=mmproj)
        return _cached(wanted) or wanted
    close = catalogue.closest(name)
    hint = f"did you mean `{close}`?" if close else "`mmcli models` lists them; a path of a .gguf file is one too"
    raise ModelError(f"there is no model named `{name}`", hint=hint)


def fits(found: Model | Wanted, room: Room) -> Fit | None:
    """Whether a model fits, by its headers where its files are here, else by the catalogue; no connection is made.

    None where nothing is known.
    """
    if isinstance(found, Model):
        needs = found.needs()
    else:
        needs = fit.of_entry(found.entry) if found.entry else None
    return judge(needs, room) if needs else None


def default(room: Room) -> str:
    """What is taken where nobody chose: the largest default that is here and fits, else one to fetch."""
    ladder = [(name, entry) for name, entry in catalogue.load().items() if entry.default and entry.n_bytes]
    ladder.sort(key=lambda item: item[1].n_bytes or 0)
    fitting = [
        name for name, entry in ladder if (needs := fit.of_entry(entry)) and judge(needs, room).verdict == "fits"
    ]
    for names in (reversed(fitting), [name for name, _ in ladder]):
        for name in names:
            if installed(name):
                return name
    return fitting[-1] if fitting else ladder[0][0]


def installed(name: str) -> bool:
    """Whether all files of an entry are on this machine."""
    entry = catalogue.load()[name]
    return entry.builtin or _cached_files(entry) is not None


def plan(wanted: Wanted) -> Download:
    """Ask the Hub what fetching the model means."""
    entry = wanted.entry
    if entry is not None:
        pins = {file.file: file for file in _files(entry, weights_only=wanted.mmproj is not None)}
        names, revision, licence = tuple(pins), wanted.revision, entry.licence
    else:
        listing = hub.listing(wanted.repo, wanted.revision)
        chosen = pairs.choose(wanted.repo, listing.files, wanted.choice, projector=wanted.mmproj is None)
        pins, licence = {}, listing.licence or ""
        names = (*pairs.parts(chosen[0]), *((chosen[1],) if chosen[1] else ()))
        revision = wanted.revision
    files = tuple(hub.describe(wanted.repo, revision, name) for name in names)
    for file in files:
        pin = pins.get(file.file)
        if pin and (pin.bytes not in (None, file.bytes) or pin.sha256 not in (None, file.sha256 or pin.sha256)):
            raise ModelError(
                f"the Hub's `{file.file}` is not the file the catalogue knows: size or SHA-256 differ",
                hint=f"`{wanted.repo}:{pairs.quant(file.file) or file.file}` takes what the Hub has now",
            )
    missing = sum(hub.missing_bytes(file) for file in files)
    hub.check_disk(missing)
    return Download(wanted, files, missing, licence or None, _needs(wanted, files))


def fetch(download: Download, on_progress: OnProgress | None = None) -> Model:
    """Bring all files of a model here, verified; `on_progress("download FILE", done, total)` counts bytes."""
    hub.check_disk(download.n_missing)
    paths = [hub.fetch(file, on_progress) for file in download.files]
    n_parts = len(pairs.parts(download.files[0].file))
    return _open(download.wanted, paths[0], paths[n_parts] if len(paths) > n_parts else None)


def _needs(wanted: Wanted, files: tuple[Remote, ...]) -> Needs | None:
    """What a model on the Hub takes in memory: by its headers where parts of a file can be read, else guessed."""
    n_parts = len(pairs.parts(files[0].file))
    advised = wanted.entry.context if wanted.entry else None
    n_weights = sum(file.bytes for file in files[:n_parts])
    n_projector = sum(file.bytes for file in files[n_parts:])
    projector = gguf.read(wanted.mmproj) if wanted.mmproj else None
    if wanted.mmproj:
        n_projector = wanted.mmproj.stat().st_size
    if weights := hub.header(files[0]):
        projector = projector or (hub.header(files[n_parts]) if len(files) > n_parts else None)
        if needs := fit.of_headers(weights, n_weights, projector, n_projector, n_ctx_advised=advised):
            return needs
    known = wanted.entry.kv_bytes if wanted.entry else None
    return fit.of_sizes(n_weights, n_projector, kv_per_token=known, n_ctx_advised=advised)


def _known(name: str, entry: Entry, mmproj: Path | None) -> Model | Wanted:
    if entry.builtin:
        folder = Path(__file__).parent / "starter"
        projector = folder / entry.projector.file if entry.projector else None
        return open_files(name, folder / entry.weights.file, mmproj or projector, entry.advice, entry.context)
    assert entry.repo is not None, f"{name} has neither files nor a repository"
    wanted = Wanted(name, entry.repo, entry.revision or "main", entry=entry, mmproj=mmproj)
    return _cached(wanted) or wanted


def _cached(wanted: Wanted) -> Model | None:
    """The model, if all its files are in the Hub's cache."""
    if wanted.entry is not None:
        files = _cached_files(wanted.entry, weights_only=wanted.mmproj is not None)
        return _open(wanted, *files) if files else None
    place = cache.snapshot(wanted.repo, wanted.revision)
    if place is None:
        return None
    names = [path.relative_to(place).as_posix() for path in place.rglob("*.gguf") if path.exists()]
    try:
        chosen = pairs.choose(wanted.repo, names, wanted.choice, projector=wanted.mmproj is None)
    except ModelError:  # what is here is not enough, or not clear: the Hub will tell
        return None
    return _open(wanted, place / chosen[0], place / chosen[1] if chosen[1] else None)


def _cached_files(entry: Entry, *, weights_only: bool = False) -> tuple[Path, Path | None] | None:
    assert entry.repo is not None
    files = _files(entry, weights_only=weights_only)
    paths = [cache.find(entry.repo, entry.revision or "main", file.file, file.bytes) for file in files]
    if paths[0] is None or None in paths:
        return None
    return paths[0], paths[-1] if entry.projector and not weights_only else None


def _files(entry: Entry, *, weights_only: bool) -> tuple[File, ...]:
    return tuple(file for file in entry.files if not (weights_only and file is entry.projector))


def _open(wanted: Wanted, weights: Path, projector: Path | None) -> Model:
    entry = wanted.entry
    advice, advised = (entry.advice, entry.context) if entry else (NO_ADVICE, None)
    return open_files(wanted.name, weights, wanted.mmproj or projector, advice, advised)
