"""Finds which weights a name means, and what they can do. Knows files, the catalogue and the Hub; no engine.

Three kinds of models: those that answer (`find`, `fetch`), those that write down speech (`find_speech`,
`fetch_speech`), and those that put pictures and words into one space (`find_embedding`, `fetch_embedding`). `plan`
serves all; `find_any` is for commands that take any.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import ModelError, UsageError
from mmcli.models import (
    addresses,
    adopted,
    cache,
    catalogue,
    discovery,
    embedding,
    gguf,
    memory,
    pairing,
    pinned_hashes,
    speech,
)
from mmcli.models.adopted import Adopted
from mmcli.models.catalogue import NO_ADVICE, Entry, File
from mmcli.models.embedding import EmbeddingEntry, EmbeddingModel
from mmcli.models.fetching import Download, fetch, fetch_embedding, fetch_speech, plan
from mmcli.models.hub import free_disk
from mmcli.models.memory import Fit, Needs, Room, judge
from mmcli.models.model import Model, beside, open_files
from mmcli.models.pinned_hashes import PinnedFile
from mmcli.models.references import WantedEmbedding, WantedModel, WantedSpeech, files_of
from mmcli.models.speech import SpeechEntry, SpeechModel

if TYPE_CHECKING:
    from mmcli.models.hub import OnProgress

__all__ = [
    "Adopted",
    "Download",
    "EmbeddingEntry",
    "EmbeddingModel",
    "Entry",
    "Fit",
    "Model",
    "PinnedFile",
    "Room",
    "SpeechEntry",
    "SpeechModel",
    "WantedEmbedding",
    "WantedModel",
    "WantedSpeech",
    "adopt",
    "default",
    "fetch",
    "fetch_embedding",
    "fetch_speech",
    "file_sizes",
    "find",
    "find_any",
    "find_embedding",
    "find_speaker",
    "find_speech",
    "fits",
    "free_disk",
    "installed",
    "is_wordless",
    "judge",
    "plan",
    "records",
]

REFERENCE = re.compile(r"([A-Za-z0-9][\w.-]*/[\w.-]+)(?::([\w.-]+))?")
REPOSITORY = catalogue.REPO


def find(name: str, mmproj: Path | None = None) -> Model | WantedModel:
    """The model called `name`: in the catalogue, `org/repo[:QUANT]` on the Hub, or a GGUF file. Makes no connection."""
    name = addresses.repository(name)
    path = Path(os.path.expanduser(name))  # Path.expanduser fails for a user who does not exist
    if path.suffix.lower() == ".gguf" or (path.is_file() and name not in catalogue.load()):
        first = path.with_name(pairing.parts(path.name)[0])
        model = open_files(first.name, path, mmproj or (beside(path) if path.exists() else None))
        return replace(model, is_by_path=True)
    if known := named(name):
        return _known(known[0], known[1], mmproj) if isinstance(known[1], Entry) else _adopted(known[1], mmproj)
    if reference := REFERENCE.fullmatch(name):
        wanted = WantedModel(name, reference[1], choice=reference[2], mmproj=mmproj)
        return _cached(wanted) or wanted
    if known_speech := speech.match(name):
        raise ModelError(
            f"`{known_speech[0]}` transcribes speech; it can neither see nor answer",
            hint="`mmcli models` lists the models that answer",
        )
    if known_space := embedding.match(name):
        raise ModelError(
            f"`{known_space[0]}` finds pictures by words; it cannot answer",
            hint="`mmcli models` lists the models that answer",
        )
    close = catalogue.closest(name, *speech.load(), *embedding.load(), *adopted.load())
    hint = f"did you mean `{close}`?" if close else "`mmcli models` lists them; the path of a .gguf file works too"
    raise ModelError(f"there is no model named `{name}`", hint=hint)


def is_wordless(name: str | None) -> bool:
    """Whether a model of the catalogue was trained to be shown a picture and asked nothing."""
    known = named(name) if name else None
    return known is not None and isinstance(known[1], Entry) and known[1].prompts.get("text") == ""


def find_speech(name: str | None = None) -> SpeechModel | WantedSpeech:
    """The speech model called `name`, or where nobody chose the default. Makes no connection.

    `name` is one of the catalogue's (`whisper-small`, or `small`), `ORG/REPO` on the Hub, or a folder with model.bin
    (or that file).
    Without it: the catalogue's default if it is here, else the largest of all languages that is here, else the default
    as one to fetch. A SpeechModel's `folder` is what faster_whisper.WhisperModel takes; it needs no network for it.
    """
    entries = speech.load()
    name = name and addresses.repository(name)
    if name is None:
        rank = {
            known: (entry.default, entry.languages == "many", entry.n_bytes or 0) for known, entry in entries.items()
        }
        names = sorted(entries, key=lambda known: rank[known], reverse=True)
        found = [_known_speech(known, entries[known]) for known in names]
        return next((model for model in found if isinstance(model, SpeechModel)), found[0])
    if name.lower() == "starter":
        return speech.starter()
    if name not in entries and (folder := speech.folder_of(name)):
        return speech.open_folder(folder.name or str(folder), folder)
    if known := speech.match(name):
        return _known_speech(*known)
    if REPOSITORY.fullmatch(name):
        wanted = WantedSpeech(name, name)
        return _cached_speech(wanted) or wanted
    if catalogue.match(name):
        raise ModelError(
            f"`{name}` answers questions; it does not transcribe speech", hint="`mmcli models` lists speech models too"
        )
    close = catalogue.closest(name, *entries)
    hint = f"did you mean `{close}`?" if close in entries else "`mmcli models` lists them"
    raise ModelError(f"there is no speech model named `{name}`", hint=hint)


def find_embedding(name: str | None = None) -> EmbeddingModel | WantedEmbedding:
    """The embedding model called `name`; without a name one that is here, or the built-in one. Makes no connection.

    `name` is one of the catalogue's (`siglip2-b32`, `starter`), `[hf:]ORG/REPO` of a repository that describes itself
    as those of immich-app do, or a folder made like one. Without it: the catalogue's default if it is here, else
    another that is here, else the starter.
    """
    entries = embedding.load()
    if name is None:
        names = sorted((known for known in entries if not entries[known].builtin), key=lambda n: not entries[n].default)
        here = [
            found for known in names if isinstance(found := _known_embedding(known, entries[known]), EmbeddingModel)
        ]
        return here[0] if here else _known_embedding("starter", entries["starter"])
    name = addresses.repository(embedding.repository(name))
    if name not in entries and (folder := embedding.folder_of(name)):
        return embedding.open_folder(folder.name or str(folder), folder)
    if known := embedding.match(name):
        return _known_embedding(*known)
    if REPOSITORY.fullmatch(name):
        wanted = WantedEmbedding(name, name)
        return _cached_embedding(wanted) or wanted
    if named(name) or speech.match(name):
        raise ModelError(
            f"`{name}` is no embedding model: it cannot compare pictures with words",
            hint=f"`mmcli models embedding` lists those that can: {', '.join(entries)}",
        )
    close = catalogue.closest(name, *entries)
    hint = f"did you mean `{close}`?" if close in entries else f"there are {', '.join(entries)}"
    raise ModelError(f"there is no embedding model named `{name}`", hint=hint)


def find_speaker(name: str | None = None, *, has_voice: bool = False) -> Model | WantedModel | None:
    """The model called `name`, which must speak; without a name the first of the catalogue's that is here, or None.

    `has_voice`: there is a reference voice, so one that needs it can be taken too. Makes no connection.
    """
    if name is not None:
        found = find(name)
        if isinstance(found, Model) and not found.speaks or isinstance(found, WantedModel) and not found.may_speak:
            raise ModelError(f"`{name}` cannot speak", hint="`mmcli models` shows which models can")
        return found
    for known, entry in catalogue.load().items():
        if entry.speaks and (has_voice or not entry.needs_voice) and installed(known):
            return find(known)
    return None


def find_any(name: str) -> Model | WantedModel | SpeechModel | WantedSpeech | EmbeddingModel | WantedEmbedding:
    """The model called `name`, of any kind. Makes no connection."""
    name = addresses.repository(embedding.repository(name))
    if not named(name) and (embedding.folder_of(name) or embedding.is_family(name)):
        return find_embedding(name)
    if not named(name) and speech.folder_of(name):
        return find_speech(name)
    if not Path(name).suffix.lower() == ".gguf" and not named(name) and speech.match(name):
        return find_speech(name)
    if not Path(name).suffix.lower() == ".gguf" and not named(name) and embedding.match(name):
        return find_embedding(name)
    found = find(name)
    if isinstance(found, WantedModel) and found.entry is None and found.choice is None:
        as_space = _cached_embedding(WantedEmbedding(name, found.repo))
        return _cached_speech(WantedSpeech(name, found.repo)) or as_space or found
    return found


def fits(found: Model | WantedModel, room: Room) -> Fit | None:
    """Whether a model fits, by its headers where its files are here, else by the catalogue; no connection is made.

    None where nothing is known.
    """
    if isinstance(found, Model):
        needs = found.needs()
    else:
        needs = _needs_of_entry(found.entry) if found.entry else None
    return judge(needs, room) if needs else None


def file_sizes(entry: Entry | SpeechEntry | EmbeddingEntry) -> list[int | None]:
    """Bytes of each of an entry's files: the catalogue's figure, else what was recorded when the file came."""
    if entry.repo is None:
        return [file.bytes for file in entry.files]
    known, revision = pinned_hashes.load(), entry.revision or "main"
    records = [known.get((entry.repo, revision, file.file)) for file in entry.files]
    return [file.bytes or (record.bytes if record else None) for file, record in zip(entry.files, records, strict=True)]


def _needs_of_entry(entry: Entry) -> Needs | None:
    """What a model that is not whole here takes: by the headers of what is here of it, else guessed from its sizes."""
    found = file_sizes(entry)
    guess = memory.of_entry(entry, found)
    if guess is None or entry.repo is None:
        return guess
    here = [_here(entry.repo, entry.revision or "main", file) for file in (entry.weights, entry.projector) if file]
    if here[0] is None:
        return guess
    headers = [gguf.read(path) if path else None for path in here]
    assert headers[0] is not None
    projector = headers[1] if entry.projector else None
    told = memory.of_headers(headers[0], guess.weights, projector, guess.projector, n_ctx_advised=entry.context)
    return told or guess


def records(
    found: Model | WantedModel | SpeechModel | WantedSpeech | EmbeddingModel | WantedEmbedding, name: str
) -> list[tuple[PinnedFile, bool | None]]:
    """What was recorded of a model's files when they came from the Hub, and whether those that are here are the same.

    None of a file that is not here. `name` is what the user called the model.
    """
    entry: Entry | SpeechEntry | EmbeddingEntry | None
    if isinstance(found, SpeechModel | WantedSpeech | EmbeddingModel | WantedEmbedding):
        entry = found.entry
    else:
        entry = catalogue.load().get(found.name)
    if entry is not None:
        if entry.repo is None:
            return []
        repo, revision = entry.repo, entry.revision or "main"
        names = {file.file for file in entry.files}
    elif reference := REFERENCE.fullmatch(addresses.repository(embedding.repository(name))):
        repo, revision = reference[1], "main"
        place = cache.snapshot(repo, revision)
        names = set()
        if isinstance(found, Model) and place is not None:
            files = [*found.parts, *([found.projector] if found.projector else [])]
            names = {path.relative_to(place).as_posix() for path in files if path.is_relative_to(place)}
    else:
        return []
    known = [record for record in pinned_hashes.load().values() if (record.repo, record.revision) == (repo, revision)]
    return [(record, _is_same(record)) for record in known if not names or record.file in names]


def _is_same(record: PinnedFile) -> bool | None:
    """Whether the file in the Hub's cache is the one that was recorded, as far as its size and its blob's name say."""
    path = cache.find(record.repo, record.revision, record.file)
    if path is None:
        return None
    blob = Path(os.path.realpath(path)).name
    is_named = len(blob) == len(record.etag) and path.is_symlink()
    return path.stat().st_size == record.bytes and (not is_named or blob == record.etag)


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


def adopt(on_progress: OnProgress | None = None) -> discovery.Found:
    """Look for pairs that other tools have on this machine, and remember them by name in place of what was remembered.

    What was remembered stays where its files are still there, though its place was not looked into this time.
    """
    try:
        known = adopted.load()
    except UsageError:  # damaged: this is what writes it anew
        known = {}
    found = discovery.search(known, installed, on_progress)
    names = {model.name for model in found.models}
    found.models += [model for model in known.values() if model.name not in names and not model.gone]
    found.gone = [model for model in known.values() if model.name not in names and model.gone]
    adopted.save(found.models)
    return found


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
        if not all(_here(wanted.repo, wanted.revision, file) for file in files):
            return None
        return SpeechModel(wanted.name, place, wanted.entry)
    names = [path.name for path in place.iterdir() if path.exists()]
    return SpeechModel(wanted.name, place) if speech.is_one(names) else None


def _known_embedding(name: str, entry: EmbeddingEntry) -> EmbeddingModel | WantedEmbedding:
    if entry.builtin:
        return embedding.open_folder(name, embedding.STARTER, entry)
    assert entry.repo is not None, f"{name} has neither files nor a repository"
    wanted = WantedEmbedding(name, entry.repo, entry.revision or "main", entry)
    return _cached_embedding(wanted) or wanted


def _cached_embedding(wanted: WantedEmbedding) -> EmbeddingModel | None:
    """The embedding model, if all its files are in the Hub's cache."""
    place = cache.snapshot(wanted.repo, wanted.revision)
    if place is None:
        return None
    if wanted.entry is not None:
        is_whole = all(_here(wanted.repo, wanted.revision, file) for file in wanted.entry.files)
    else:
        is_whole = all((place / name).is_file() for name in embedding.NEEDED)
    return EmbeddingModel(wanted.name, place, wanted.entry) if is_whole else None


def _known(name: str, entry: Entry, mmproj: Path | None) -> Model | WantedModel:
    if entry.builtin:
        folder = Path(__file__).parent / "starter"
        projector = folder / entry.projector.file if entry.projector else None
        return open_files(name, folder / entry.weights.file, mmproj or projector, entry.advice, entry.context)
    assert entry.repo is not None, f"{name} has neither files nor a repository"
    wanted = WantedModel(name, entry.repo, entry.revision or "main", entry=entry, mmproj=mmproj)
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


def _cached(wanted: WantedModel) -> Model | None:
    """The model, if all its files are in the Hub's cache."""
    if wanted.entry is not None:
        files = _cached_files(wanted.entry, weights_only=wanted.mmproj is not None)
        return wanted.opened(*files) if files else None
    place = cache.snapshot(wanted.repo, wanted.revision)
    if place is None:
        return None
    names = [path.relative_to(place).as_posix() for path in place.rglob("*.gguf") if path.exists()]
    try:
        chosen = pairing.choose(wanted.repo, names, wanted.choice, projector=wanted.mmproj is None)
    except ModelError:  # what is here is not enough, or not clear: the Hub will say
        return None
    if not all(_here(wanted.repo, wanted.revision, File(file)) for file in chosen if file):
        return None
    return wanted.opened(place / chosen[0], place / chosen[1] if chosen[1] else None)


def _cached_files(entry: Entry, *, weights_only: bool = False) -> tuple[Path, Path | None] | None:
    assert entry.repo is not None
    files = files_of(entry, weights_only=weights_only)
    paths = [_here(entry.repo, entry.revision or "main", file) for file in files]
    if paths[0] is None or None in paths:
        return None
    return paths[0], paths[-1] if entry.projector and not weights_only else None


def _here(repo: str, revision: str, file: File) -> Path | None:
    """The file in the Hub's cache, if it is there and of the size it must have, by the catalogue or by its record."""
    n_bytes = file.bytes
    if n_bytes is None and (place := cache.snapshot(repo, revision)):
        n_bytes = pinned_hashes.size(repo, revision, file.file, commit=place.name)
    return cache.find(repo, revision, file.file, n_bytes)
