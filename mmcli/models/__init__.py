"""Which weights a name means, and what they can do. Knows files, the catalogue and the Hub; knows no engine.

Two kinds of models: those that answer (`find`, `fetch`), and those that write down speech (`find_speech`,
`fetch_speech`). `plan` serves both; `find_any` is for commands that take either.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import ModelError, UsageError
from mmcli.models import adopted, cache, catalogue, elsewhere, fit, gguf, hub, pairs, speech
from mmcli.models.adopted import Adopted
from mmcli.models.catalogue import NO_ADVICE, Entry, File
from mmcli.models.fit import Fit, Needs, Room, judge
from mmcli.models.hub import free_disk
from mmcli.models.model import Model, beside, open_files, speaks_only
from mmcli.models.speech import SpeechEntry, SpeechModel

if TYPE_CHECKING:
    from mmcli.models.hub import OnProgress, Remote

__all__ = [
    "Adopted",
    "Download",
    "Entry",
    "Fit",
    "Model",
    "Room",
    "SpeechEntry",
    "SpeechModel",
    "Wanted",
    "WantedSpeech",
    "adopt",
    "default",
    "fetch",
    "fetch_speech",
    "find",
    "find_any",
    "find_speaker",
    "find_speech",
    "fits",
    "free_disk",
    "installed",
    "judge",
    "plan",
]

REFERENCE = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)(?::([\w.-]+))?")
REPOSITORY = catalogue.REPO


@dataclass(frozen=True)
class Wanted:
    """A model on the Hub that is not, or not whole, on this machine."""

    name: str  # as it is called on the command line
    repo: str
    revision: str = "main"
    choice: str | None = None  # quantization or file, where the person chose one
    entry: Entry | None = None  # what the catalogue knows of it
    mmproj: Path | None = None  # the person's own projector

    @property
    def hears(self) -> bool:
        """Whether it may hear: of a model that the catalogue does not know, its files will tell."""
        return self.entry is None or self.mmproj is not None or self.entry.hears

    @property
    def may_speak(self) -> bool:
        """Whether it may speak: of a model that the catalogue does not know, its files will tell."""
        return self.entry is None or self.entry.speaks

    def require(self, *, sight: bool, hearing: bool) -> None:
        """ModelError where it is known before any download that the model cannot take what is asked of it."""
        if self.entry is None or self.mmproj is not None:
            return
        if self.entry.speaks:
            raise speaks_only(self.name)
        for wanted, able, verb in ((sight, self.entry.sees, "see"), (hearing, self.entry.hears, "hear")):
            if wanted and not able:
                raise ModelError(f"`{self.name}` cannot {verb}", hint="`mmcli models` lists what each model can do")


@dataclass(frozen=True)
class WantedSpeech:
    """A speech model on the Hub that is not, or not whole, on this machine."""

    name: str  # as it is called on the command line
    repo: str
    revision: str = "main"
    entry: SpeechEntry | None = None  # what the catalogue knows of it


@dataclass(frozen=True)
class Download:
    """What fetching a model means: its files as the Hub describes them, and what of them is missing."""

    wanted: Wanted | WantedSpeech
    files: tuple[Remote, ...]  # weights, in all their parts, then the projector; or all files of a speech model
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
        model = open_files(first.name, path, mmproj or (beside(path) if path.exists() else None))
        return replace(model, is_by_path=True)
    if known := named(name):
        return _known(known[0], known[1], mmproj) if isinstance(known[1], Entry) else _adopted(known[1], mmproj)
    if reference := REFERENCE.fullmatch(name):
        wanted = Wanted(name, reference[1], choice=reference[2], mmproj=mmproj)
        return _cached(wanted) or wanted
    if known_speech := speech.match(name):
        raise ModelError(
            f"`{known_speech[0]}` writes down speech; it can neither see nor answer",
            hint="`mmcli models` lists the models that answer",
        )
    close = catalogue.closest(name, *speech.load(), *adopted.load())
    hint = f"did you mean `{close}`?" if close else "`mmcli models` lists them; a path of a .gguf file is one too"
    raise ModelError(f"there is no model named `{name}`", hint=hint)


def find_speech(name: str | None = None) -> SpeechModel | WantedSpeech:
    """The speech model called `name`, or where nobody chose the default. Makes no connection.

    `name` is one of the catalogue's (`whisper-small`, or `small`), `ORG/REPO` on the Hub, or a folder with model.bin.
    Without it: the catalogue's default if it is here, else the largest of all languages that is here, else the default
    as one to fetch. A SpeechModel's `folder` is what faster_whisper.WhisperModel takes; it needs no network for it.
    """
    entries = speech.load()
    if name is None:
        rank = {
            known: (entry.default, entry.languages == "many", entry.n_bytes or 0) for known, entry in entries.items()
        }
        names = sorted(entries, key=lambda known: rank[known], reverse=True)
        found = [_known_speech(known, entries[known]) for known in names]
        return next((model for model in found if isinstance(model, SpeechModel)), found[0])
    if name.lower() == "starter":
        return speech.starter()
    path = Path(os.path.expanduser(name))
    if path.is_dir() and name not in entries and (os.sep in name or (path / speech.WEIGHTS).is_file()):
        return speech.open_folder(path.name, path)
    if known := speech.match(name):
        return _known_speech(*known)
    if REPOSITORY.fullmatch(name):
        wanted = WantedSpeech(name, name)
        return _cached_speech(wanted) or wanted
    if catalogue.match(name):
        raise ModelError(
            f"`{name}` answers questions; it does not write down speech", hint="`mmcli models` lists speech models too"
        )
    close = catalogue.closest(name, *entries)
    hint = f"did you mean `{close}`?" if close in entries else "`mmcli models` lists them"
    raise ModelError(f"there is no speech model named `{name}`", hint=hint)


def find_speaker(name: str | None = None, *, has_voice: bool = False) -> Model | Wanted | None:
    """The model called `name`, which must speak; without a name the first of the catalogue's that is here, or None.

    `has_voice`: there is a reference voice, so one that needs it can be taken too. Makes no connection.
    """
    if name is not None:
        found = find(name)
        if isinstance(found, Model) and not found.speaks or isinstance(found, Wanted) and not found.may_speak:
            raise ModelError(f"`{name}` cannot speak", hint="`mmcli models` tells which models can")
        return found
    for known, entry in catalogue.load().items():
        if entry.speaks and (has_voice or not entry.needs_voice) and installed(known):
            return find(known)
    return None


def find_any(name: str) -> Model | Wanted | SpeechModel | WantedSpeech:
    """The model called `name`, of either kind. Makes no connection."""
    if not Path(name).suffix.lower() == ".gguf" and not named(name) and speech.match(name):
        return find_speech(name)
    found = find(name)
    if isinstance(found, Wanted) and found.entry is None and found.choice is None:
        return _cached_speech(WantedSpeech(name, found.repo)) or found
    return found


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
    ladder = [name for name, entry in catalogue.load().items() if entry.default and entry.n_bytes]
    ladder.sort(key=lambda name: catalogue.load()[name].n_bytes or 0)
    here = [name for name in ladder if installed(name)]
    for name in reversed(here):
        if _has_room(name, room):
            return name
    fitting = [name for name in ladder if _has_room(name, room)]
    return here[0] if here else fitting[-1] if fitting else ladder[0]


def _has_room(name: str, room: Room) -> bool:
    """Whether a model of the catalogue fits with ease; one whose files are damaged does not."""
    try:
        fitted = fits(find(name), room)
    except ModelError:
        return False
    return fitted is not None and fitted.verdict == "fits"


def installed(name: str) -> bool:
    """Whether all files of an entry are on this machine."""
    entry = catalogue.load()[name]
    return entry.builtin or _cached_files(entry) is not None or _stand_in(name) is not None


def adopt(on_progress: OnProgress | None = None) -> elsewhere.Found:
    """Look for pairs that other tools have on this machine, and remember them by name in place of what was remembered.

    What was remembered stays where its files are still there, though its place was not looked into this time.
    """
    try:
        known = adopted.load()
    except UsageError:  # damaged: this is what writes it anew
        known = {}
    found = elsewhere.search(known, installed, on_progress)
    names = {model.name for model in found.models}
    found.models += [model for model in known.values() if model.name not in names and not model.gone]
    found.gone = [model for model in known.values() if model.name not in names and model.gone]
    adopted.save(found.models)
    return found


def plan(wanted: Wanted | WantedSpeech) -> Download:
    """Ask the Hub what fetching the model means; a repository may turn out to hold a speech model."""
    pins: dict[str, File]
    if isinstance(wanted, WantedSpeech) and wanted.entry is not None:
        pins = {file.file: file for file in wanted.entry.files}
        names, revision, licence = tuple(pins), wanted.revision, wanted.entry.licence
    elif isinstance(wanted, Wanted) and wanted.entry is not None:
        entry = wanted.entry
        pins = {file.file: file for file in _files(entry, weights_only=wanted.mmproj is not None)}
        names, revision, licence = tuple(pins), wanted.revision, entry.licence
    else:
        listing = hub.listing(wanted.repo, wanted.revision)
        pins, licence, revision = {}, listing.licence or "", wanted.revision
        if isinstance(wanted, Wanted) and not speech.is_one(listing.files):
            chosen = pairs.choose(wanted.repo, listing.files, wanted.choice, projector=wanted.mmproj is None)
            names = (*pairs.parts(chosen[0]), *((chosen[1],) if chosen[1] else ()))
        else:
            wanted = WantedSpeech(wanted.name, wanted.repo, wanted.revision)
            names = speech.of_repository(wanted.repo, listing.files)
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
    needs = _needs(wanted, files) if isinstance(wanted, Wanted) else None
    return Download(wanted, files, missing, licence or None, needs)


def fetch(download: Download, on_progress: OnProgress | None = None) -> Model:
    """Bring all files of a model here, verified; `on_progress("download FILE", done, total)` counts bytes."""
    assert isinstance(download.wanted, Wanted), "a speech model is fetched by fetch_speech"
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
        if weights.is_projector:
            raise ModelError(
                f"`{files[0].file}` of `{wanted.repo}` is a projector, not a language model's weights",
                hint="`ORG/REPO:FILE.gguf` names another file of it",
            )
        projector = projector or (hub.header(files[n_parts]) if len(files) > n_parts else None)
        if needs := fit.of_headers(weights, n_weights, projector, n_projector, n_ctx_advised=advised):
            return needs
    known = wanted.entry.kv_bytes if wanted.entry else None
    return fit.of_sizes(n_weights, n_projector, kv_per_token=known, n_ctx_advised=advised)


def fetch_speech(download: Download, on_progress: OnProgress | None = None) -> SpeechModel:
    """The same for a speech model."""
    assert isinstance(download.wanted, WantedSpeech), "a model that answers is fetched by fetch"
    hub.check_disk(download.n_missing)
    paths = [hub.fetch(file, on_progress) for file in download.files]
    return speech.open_folder(download.wanted.name, paths[0].parent, download.wanted.entry)


def _known_speech(name: str, entry: SpeechEntry) -> SpeechModel | WantedSpeech:
    wanted = WantedSpeech(name, entry.repo, entry.revision or "main", entry)
    return _cached_speech(wanted) or wanted


def _cached_speech(wanted: WantedSpeech) -> SpeechModel | None:
    """The speech model, if all its files are in the Hub's cache."""
    place = cache.snapshot(wanted.repo, wanted.revision)
    if place is None:
        return None
    if wanted.entry is not None:
        files = wanted.entry.files
        if not all(cache.find(wanted.repo, wanted.revision, file.file, file.bytes) for file in files):
            return None
        return SpeechModel(wanted.name, place, wanted.entry)
    names = [path.name for path in place.iterdir() if path.exists()]
    return SpeechModel(wanted.name, place) if speech.is_one(names) else None


def _known(name: str, entry: Entry, mmproj: Path | None) -> Model | Wanted:
    if entry.builtin:
        folder = Path(__file__).parent / "starter"
        projector = folder / entry.projector.file if entry.projector else None
        return open_files(name, folder / entry.weights.file, mmproj or projector, entry.advice, entry.context)
    assert entry.repo is not None, f"{name} has neither files nor a repository"
    wanted = Wanted(name, entry.repo, entry.revision or "main", entry=entry, mmproj=mmproj)
    return _cached(wanted) or _stand_in(name, mmproj) or wanted


def named(name: str) -> tuple[str, Entry | Adopted] | None:
    """What is called `name` in the catalogue or among what was adopted, or the only thing whose name begins so."""
    entries: dict[str, Entry | Adopted] = dict(catalogue.load())
    if name.lower() not in entries:
        entries = {**adopted.load(), **entries}
    return catalogue.match_in(entries, name)


def _stand_in(name: str, mmproj: Path | None = None) -> Model | None:
    """The catalogue's model from the files that another tool has of it."""
    found = adopted.load().get(name)
    return None if found is None or found.gone else _adopted(found, mmproj)


def _adopted(found: Adopted, mmproj: Path | None) -> Model:
    if found.gone:
        raise ModelError(
            f"`{found.name}` is gone: `{found.gone}` of {found.place} is no longer there",
            hint=f"`mmcli models --adopt` looks again; `mmcli rm {found.name}` forgets it",
        )
    entry = catalogue.load().get(found.name)
    advice, advised = (entry.advice, entry.context) if entry else (NO_ADVICE, None)
    return open_files(found.name, found.weights, mmproj or found.projector, advice, advised)


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
