"""Downloads a model: plans and shows the download first, then verifies and records its files.

Knows the Hub, the catalogue's pins and the records; asks nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mmcli.errors import ModelError, ResourceError
from mmcli.models import embedding, gguf, hub, memory, pairing, pinned_hashes, speech
from mmcli.models.catalogue import File
from mmcli.models.embedding import EmbeddingModel
from mmcli.models.memory import Needs
from mmcli.models.model import Model
from mmcli.models.references import WantedEmbedding, WantedModel, WantedSpeech, files_of
from mmcli.models.speech import SpeechModel

if TYPE_CHECKING:
    from mmcli.models.hub import OnProgress, Remote

OnNotice: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Download:
    """What fetching a model means: its files as the Hub describes them, and what of them is missing."""

    wanted: WantedModel | WantedSpeech | WantedEmbedding
    files: tuple[Remote, ...]  # weights, in all their parts, then the projector; or all files of another kind
    n_missing: int  # bytes
    licence: str | None
    needs: Needs | None = None  # in memory, once it is here
    unpinned: frozenset[str] = frozenset()  # files of which the catalogue knows no hash: what comes is recorded
    changed: frozenset[str] = frozenset()  # files that are no longer what was recorded, and are accepted so
    notes: tuple[str, ...] = ()  # what the user should know before a yes

    @property
    def n_bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def plan(wanted: WantedModel | WantedSpeech | WantedEmbedding, *, accept_changed: bool = False) -> Download:
    """Ask the Hub what fetching the model means; a repository may turn out to hold a speech or an embedding model.

    NetworkError where a file is not what was recorded when it first came, unless that is to be accepted.
    """
    pins: dict[str, File]
    if isinstance(wanted, WantedSpeech | WantedEmbedding) and wanted.entry is not None:
        pins = {file.file: file for file in wanted.entry.files}
        names, revision, licence = tuple(pins), wanted.revision, wanted.entry.licence
    elif isinstance(wanted, WantedModel) and wanted.entry is not None:
        entry = wanted.entry
        pins = {file.file: file for file in files_of(entry, weights_only=wanted.mmproj is not None)}
        names, revision, licence = tuple(pins), wanted.revision, entry.licence
    else:
        listing = hub.listing(wanted.repo, wanted.revision)
        pins, licence, revision = {}, listing.licence or "", wanted.revision
        if isinstance(wanted, WantedEmbedding) or embedding.is_one(listing.files):
            wanted = WantedEmbedding(wanted.name, wanted.repo, wanted.revision)
            names = embedding.of_repository(wanted.repo, listing.files)
        elif isinstance(wanted, WantedModel) and not speech.is_one(listing.files):
            chosen = pairing.choose(wanted.repo, listing.files, wanted.choice, projector=wanted.mmproj is None)
            names = (*pairing.parts(chosen[0]), *((chosen[1],) if chosen[1] else ()))
        else:
            wanted = WantedSpeech(wanted.name, wanted.repo, wanted.revision)
            names = speech.of_repository(wanted.repo, listing.files)
    files = tuple(hub.describe(wanted.repo, revision, name) for name in names)
    for file in files:
        pin = pins.get(file.file)
        if pin and (pin.bytes not in (None, file.bytes) or pin.sha256 not in (None, file.sha256 or pin.sha256)):
            raise ModelError(
                f"the Hub's `{file.file}` is not the file the catalogue knows: size or SHA-256 differ",
                hint=f"`{wanted.repo}:{pairing.quant(file.file) or file.file}` takes what the Hub has now",
            )
    unpinned = frozenset(file.file for file in files if not (file.file in pins and pins[file.file].sha256))
    notes, changed = _compare(wanted.name, [file for file in files if file.file in unpinned], accept_changed)
    missing = sum(hub.missing_bytes(file) for file in files)
    hub.check_disk(missing)
    needs = _needs(wanted, files) if isinstance(wanted, WantedModel) else None
    return Download(wanted, files, missing, licence or None, needs, unpinned, changed, notes)


def _compare(name: str, files: list[Remote], accept: bool) -> tuple[tuple[str, ...], frozenset[str]]:
    """What there is to report of these files against their records, and which of them changed and are accepted."""
    try:
        notes = [note] if (note := pinned_hashes.set_aside()) else []
    except ResourceError as error:
        notes = [error.message]
    changed = []
    for file in files:
        if how := pinned_hashes.check(file):
            if not accept:
                raise pinned_hashes.changed(file, how, name)
            notes.append(f"`{file.file}` changed on the Hub, which is accepted: {how}")
            changed.append(file.file)
    return tuple(notes), frozenset(changed)


def fetch(download: Download, on_progress: OnProgress | None = None, on_notice: OnNotice | None = None) -> Model:
    """Bring all files of a model here, verified; `on_progress("download FILE", done, total)` counts bytes."""
    assert isinstance(download.wanted, WantedModel), "other kinds are fetched by functions of their own"
    paths = _bring(download, on_progress, on_notice)
    n_parts = len(pairing.parts(download.files[0].file))
    return download.wanted.opened(paths[0], paths[n_parts] if len(paths) > n_parts else None)


def _bring(download: Download, on_progress: OnProgress | None, on_notice: OnNotice | None) -> list[Path]:
    """All files of a download, in their order; each is recorded as soon as it is here."""
    hub.check_disk(download.n_missing)
    paths = []
    for file in download.files:
        paths.append(hub.fetch(file, on_progress))
        if file.file not in download.unpinned:
            continue
        try:
            if file.file not in download.changed and (how := pinned_hashes.check_bytes(file, paths[-1])):
                hub.discard(file)
                raise pinned_hashes.changed(file, how, download.wanted.name)
            pinned_hashes.keep(file, paths[-1], replace=file.file in download.changed)
        except ResourceError as error:  # the model is here, and good
            if on_notice is not None:
                on_notice(f"{error.message}: what came is not recorded")
    return paths


def _needs(wanted: WantedModel, files: tuple[Remote, ...]) -> Needs | None:
    """What a model on the Hub takes in memory: by its headers where parts of a file can be read, else guessed."""
    n_parts = len(pairing.parts(files[0].file))
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
        if needs := memory.of_headers(weights, n_weights, projector, n_projector, n_ctx_advised=advised):
            return needs
    known = wanted.entry.kv_bytes if wanted.entry else None
    return memory.of_sizes(n_weights, n_projector, kv_per_token=known, n_ctx_advised=advised)


def fetch_speech(
    download: Download, on_progress: OnProgress | None = None, on_notice: OnNotice | None = None
) -> SpeechModel:
    """The same for a speech model."""
    assert isinstance(download.wanted, WantedSpeech), "other kinds are fetched by functions of their own"
    paths = _bring(download, on_progress, on_notice)
    return speech.open_folder(download.wanted.name, paths[0].parent, download.wanted.entry)


def fetch_embedding(
    download: Download, on_progress: OnProgress | None = None, on_notice: OnNotice | None = None
) -> EmbeddingModel:
    """The same for an embedding model."""
    assert isinstance(download.wanted, WantedEmbedding), "other kinds are fetched by functions of their own"
    paths = _bring(download, on_progress, on_notice)
    folder = paths[0].parents[download.files[0].file.count("/")]
    return embedding.open_folder(download.wanted.name, folder, download.wanted.entry)
