"""Removes models from the Hub's cache, and what interrupted downloads left there.

Only files in the Hub's cache are removed, and through huggingface_hub's own management of it: a blob that another
revision needs stays. Other tools' models are forgotten, and their files stay; a user's own files are not touched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmcli.errors import ModelError, ResourceError, UsageError
from mmcli.models import (
    REFERENCE,
    addresses,
    adopted,
    cache,
    catalogue,
    embedding,
    hub,
    named,
    pairing,
    pinned_hashes,
    speech,
)
from mmcli.models.adopted import Adopted
from mmcli.models.catalogue import Entry
from mmcli.models.embedding import EmbeddingEntry
from mmcli.models.speech import SpeechEntry


@dataclass(frozen=True)
class RemovedModel:
    """What of one model would be removed."""

    name: str
    repo: str
    revision: str  # as it was asked for: a commit, or main
    snapshot: Path  # the folder of that revision
    files: tuple[str, ...]  # of the snapshot, by their names there
    kept: tuple[str, ...] = ()  # what is left for other weights of the same revision


@dataclass(frozen=True)
class Removal:
    """What removing models means: files of the Hub's cache, and names of other tools' models to forget."""

    targets: tuple[RemovedModel, ...]
    forgotten: tuple[Adopted, ...]
    n_bytes: int  # really freed: what other revisions need stays
    _strategies: tuple[Any, ...] = ()  # huggingface_hub's DeleteCacheStrategy, one a repository


@dataclass(frozen=True)
class Partial:
    """What an interrupted download left."""

    repo: str  # as the cache names its folder's owner: ORG/NAME
    path: Path
    n_bytes: int


def plan(names: Sequence[str]) -> Removal:
    """What removing these models means; nothing is removed yet. The errors say which name cannot be, and why."""
    found = [_find(name) for name in dict.fromkeys(names)]
    targets = _sharing([target for target in found if isinstance(target, RemovedModel)])
    strategies = [_strategy(snapshot, files) for snapshot, files in _by_snapshot(targets)]
    n_bytes = sum(strategy.expected_freed_size for strategy in strategies)
    forgotten = tuple(target for target in found if isinstance(target, Adopted))
    return Removal(tuple(targets), forgotten, n_bytes, tuple(strategies))


def remove(removal: Removal) -> None:
    """Do it; ResourceError where the system does not let us."""
    for model in removal.forgotten:
        adopted.forget(model.name)
    for strategy in removal._strategies:
        try:
            strategy.execute()
        except OSError as error:
            raise ResourceError(f"cannot remove from `{cache.root()}`: {error.strerror or error}") from error
    for target in removal.targets:
        left = [name for name in target.files if os.path.lexists(target.snapshot / name)]
        if left:
            raise ResourceError(
                f"cannot remove `{target.snapshot / left[0]}`",
                hint="is it in use, or another user's? check its permissions",
            )
        _tidy(target.snapshot)
        # With the last file of a revision goes what an interrupted download had recorded, too.
        pinned_hashes.forget(target.repo, target.revision, target.files if target.snapshot.is_dir() else None)


def partials() -> tuple[list[Partial], list[Partial]]:
    """What interrupted downloads of models left, and what another process is fetching right now."""
    idle: list[Partial] = []
    busy: list[Partial] = []
    for path in sorted(cache.root().glob("models--*/blobs/*.incomplete")):
        try:
            n_bytes = path.stat().st_size
        except OSError:
            continue  # it has just become a blob
        repo = path.parents[1].name.removeprefix("models--").replace("--", "/")
        (busy if _is_locked(path) else idle).append(Partial(repo, path, n_bytes))
    return idle, busy


def remove_partial(partial: Partial) -> bool:
    """Remove it, unless another process has begun to fetch it meanwhile."""
    if _is_locked(partial.path):
        return False
    try:
        partial.path.unlink(missing_ok=True)
    except OSError as error:
        raise ResourceError(f"cannot remove `{partial.path}`: {error.strerror or error}") from error
    _tidy_repository(partial.path.parents[1])
    return True


# 1 · which files a name means


def _find(name: str) -> RemovedModel | Adopted:
    name = addresses.repository(embedding.repository(name))
    path = Path(os.path.expanduser(name))
    match = named(name)
    other = None if match else speech.match(name) or embedding.match(name)
    if not match and not other and (path.suffix.lower() == ".gguf" or path.exists()):
        raise UsageError(
            f"`{name}` is a file of your own, which mmcli does not remove",
            hint="remove it like any other file; `mmcli rm` takes the names that `mmcli models` lists",
        )
    if known := match or other:
        return _of_catalogue(*known)
    reference = REFERENCE.fullmatch(name)
    if reference is None:
        raise _not_known(name)
    place = cache.snapshot(reference[1], "main")
    if place is None:
        raise _not_here(name)
    return RemovedModel(name, reference[1], "main", place, _chosen(name, reference[1], reference[2], place))


def _of_catalogue(name: str, entry: Entry | SpeechEntry | EmbeddingEntry | Adopted) -> RemovedModel | Adopted:
    """What is here of a model that has a name: also where a download was interrupted between two files."""
    if isinstance(entry, Adopted):
        return entry
    if entry.repo is None:
        raise UsageError(f"`{name}` is part of mmcli itself, and cannot be removed")
    revision = entry.revision or "main"
    place = cache.snapshot(entry.repo, revision)
    files = [file.file for file in entry.files if place and os.path.lexists(place / file.file)]
    if place and files:
        return RemovedModel(name, entry.repo, revision, place, tuple(files))
    if name in adopted.load():
        return adopted.load()[name]
    raise _not_here(name)


def _chosen(name: str, repo: str, choice: str | None, place: Path) -> tuple[str, ...]:
    """The files of a repository that the name means, as `find` would choose them."""
    names = [path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()]
    if choice is None and embedding.is_one(names):
        return embedding.of_repository(repo, names)
    if choice is None and speech.is_one(names):
        return speech.of_repository(repo, names)
    whole = {part for name in names for part in pairing.parts(name)}  # with those parts that never came
    try:
        weights, projector = pairing.choose(repo, whole, choice)
    except ModelError:  # weights alone, as an interrupted `pull` leaves them
        weights, projector = pairing.choose(repo, whole, choice, projector=False)
    return tuple(file for file in (*pairing.parts(weights), projector) if file in names)


def _not_here(name: str) -> ModelError:
    return ModelError(
        f"`{name}` is not on this machine",
        hint="`mmcli models` lists what is; `mmcli rm --partial` removes what interrupted downloads left",
    )


def _not_known(name: str) -> ModelError:
    close = catalogue.closest(name, *speech.load(), *embedding.load(), *adopted.load())
    hint = f"did you mean `{close}`?" if close else "`mmcli models` lists them"
    return ModelError(f"there is no model named `{name}`", hint=hint)


# 2 · what must stay


def _sharing(targets: list[RemovedModel]) -> list[RemovedModel]:
    """The targets without the projectors that weights need which stay."""
    out = []
    for target in targets:
        going = {file for other in targets if other.snapshot == target.snapshot for file in other.files}
        present = [path.relative_to(target.snapshot).as_posix() for path in target.snapshot.rglob("*.gguf")]
        staying = [file for file in present if file not in going and not pairing.is_projector(file)]
        kept = tuple(file for file in target.files if pairing.is_projector(file) and staying)
        files = tuple(file for file in target.files if file not in kept)
        out.append(replace(target, files=files, kept=kept))
    return out


def _by_snapshot(targets: list[RemovedModel]) -> Iterator[tuple[Path, set[str]]]:
    for snapshot in dict.fromkeys(target.snapshot for target in targets):
        yield snapshot, {file for target in targets if target.snapshot == snapshot for file in target.files}


def _strategy(snapshot: Path, files: set[str]) -> Any:
    """huggingface_hub's plan for these files: what else refers to their blobs keeps them."""
    library = hub.library()
    info = library.scan_cache_dir(cache.root())
    wanted = {os.path.abspath(snapshot / file) for file in files}
    cached = [
        file
        for repo in info.repos
        for revision in repo.revisions
        for file in revision.files
        if os.path.abspath(file.file_path) in wanted
    ]
    if len(cached) != len(wanted):
        raise ResourceError(
            f"the Hub's cache of `{snapshot.parents[1].name}` is damaged",
            hint=f"if you do not need it, remove the folder `{snapshot.parents[1]}`",
        )
    return info.delete_files(*cached)


# 3 · what is left behind


def _tidy(snapshot: Path) -> None:
    """Remove a revision that holds nothing any more, with the names that point to it."""
    if not snapshot.is_dir() or any(path.is_file() or path.is_symlink() for path in snapshot.rglob("*")):
        return
    shutil.rmtree(snapshot, ignore_errors=True)
    repository = snapshot.parents[1]
    for ref in (path for path in (repository / "refs").rglob("*") if path.is_file()):
        if ref.read_text("utf-8", "replace").strip() == snapshot.name:
            ref.unlink(missing_ok=True)
    _tidy_repository(repository)


def _tidy_repository(repository: Path) -> None:
    """Remove a repository's folder that holds neither a revision nor a blob, finished or not."""
    if not any(any((repository / part).glob("*")) for part in ("snapshots", "blobs")):
        shutil.rmtree(repository, ignore_errors=True)


def _is_locked(part: Path) -> bool:
    """Whether a process holds the Hub's lock for this blob, as every program does that fetches it."""
    import filelock

    lock = cache.root() / ".locks" / part.parents[1].name / f"{part.name.split('.')[0]}.lock"
    if not lock.exists():
        return False
    try:
        with filelock.FileLock(lock, timeout=0):
            return False
    except filelock.Timeout:
        return True
    except (OSError, NotImplementedError):  # a system without locks: then it is better left alone
        return True
