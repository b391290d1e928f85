"""Finds a model, asks before a download, and fetches it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import ModelError

if TYPE_CHECKING:
    from mmcli.models import Download, EmbeddingEntry, EmbeddingModel, Model, SpeechModel, WantedModel
    from mmcli.runtime.reporter import OnProgress, Reporter


def find(name: str | None, mmproj: Path | None, *, yes: bool, reporter: Reporter) -> Model | WantedModel:
    """The model of that name, or this machine's default where nobody chose; no connection is made."""
    from mmcli import models
    from mmcli.runtime import memory_report

    if name:
        named = models.find(name, mmproj)
        named.require(sight=False, hearing=False)  # one that only speaks
        tell_projector(named, mmproj, reporter)
        return named
    chosen = models.default(memory_report.room())
    found = models.find(chosen, mmproj) if mmproj is None else None
    if found is None or (isinstance(found, models.WantedModel) and not (yes or reporter.can_ask())):
        raise ModelError(
            "no model was chosen",
            hint=f"`mmcli pull {chosen}` downloads one ({size(chosen)}); -m starter is built in; "
            "-m WEIGHTS.gguf takes a file (or set MMCLI_MODEL)",
        )
    if isinstance(found, models.WantedModel):  # before the Hub is asked anything: it may be out of reach
        reporter.notice(
            "no model was chosen. To try mmcli without a download, add -m starter: "
            "it is built in, and knows simple coloured shapes only"
        )
        about = f": {found.entry.about}" if found.entry else ""
        licence = f", licence {found.entry.licence}" if found.entry else ""
        reporter.notice(
            f"for your own files, `mmcli pull {chosen}` gets the model that suits this machine best{about}. "
            f"It downloads {size(chosen)} from {found.repo} on the Hugging Face Hub{licence}"
        )
    return found


def tell_projector(found: Model | WantedModel, mmproj: Path | None, reporter: Reporter) -> None:
    """Say which projector was picked up beside a weights file, where nobody named it."""
    from mmcli import models

    if mmproj is None and isinstance(found, models.Model) and found.is_by_path and found.projector:
        reporter.notice(f"with the projector beside it: {found.projector}")


def here(found: Model | WantedModel, *, yes: bool, reporter: Reporter) -> Model:
    """The model with all its files on this machine: fetched, if need be, after the user said yes."""
    from mmcli import models

    if isinstance(found, models.Model):
        return found
    if not (yes or reporter.can_ask()):
        raise ModelError(
            f"`{found.name}` is not on this machine yet",
            hint=f"`mmcli pull {found.name}` or --yes downloads it ({size(found.name)}); -m starter is built in",
        )
    return fetch(models.plan(found), yes=yes, reporter=reporter)


def seeing(name: str | None, mmproj: Path | None, *, yes: bool, reporter: Reporter) -> Model:
    """The model of that name with all its files here; ModelError where it does not see, before anything is fetched."""
    found = find(name, mmproj, yes=yes, reporter=reporter)
    found.require(sight=True, hearing=False)
    chosen = here(found, yes=yes, reporter=reporter)
    chosen.require(sight=True, hearing=False)
    return chosen


def speech(name: str | None, *, yes: bool, reporter: Reporter) -> SpeechModel:
    """The speech model of that name (None: the default), fetched, if need be, after the user said yes."""
    from mmcli import models

    found = models.find_speech(name)
    if isinstance(found, models.SpeechModel):
        return found
    if not (yes or reporter.can_ask()):
        raise ModelError(
            f"`{found.name}` is not on this machine yet",
            hint=f"`mmcli pull {found.name}` or --yes downloads it ({size(found.name)})",
        )
    return fetch_speech(models.plan(found), yes=yes, reporter=reporter)


def fetch(download: Download, *, yes: bool, reporter: Reporter) -> Model:
    """Say what is fetched, what it takes and what there is, ask unless `yes`, fetch."""
    from mmcli import models

    _consent(download, yes=yes, reporter=reporter, otherwise="-m starter is built in; `mmcli models` lists others")
    with _fetching(reporter) as progress:
        return models.fetch(download, progress, reporter.warning)


def fetch_speech(download: Download, *, yes: bool, reporter: Reporter) -> SpeechModel:
    """The same for a speech model."""
    from mmcli import models

    _consent(download, yes=yes, reporter=reporter)
    with _fetching(reporter) as progress:
        return models.fetch_speech(download, progress, reporter.warning)


def embedding(name: str | None, *, yes: bool, reporter: Reporter) -> EmbeddingModel:
    """The embedding model of that name, fetched, if need be, after the user said yes.

    None: one that is here. Where none is, that is the starter, which knows drawn shapes only; a note says what to do.
    """
    from mmcli import models

    found = models.find_embedding(name)
    if isinstance(found, models.EmbeddingModel):
        if name is None and found.entry is not None and found.entry.builtin:
            better = next(known for known, entry in _embeddings().items() if entry.default)
            reporter.notice(
                "the starter model knows simple coloured shapes only; "
                f"`mmcli pull {better}` downloads one for photographs ({size(better)})"
            )
        return found
    if not (yes or reporter.can_ask()):
        raise ModelError(
            f"`{found.name}` is not on this machine yet",
            hint=f"`mmcli pull {found.name}` or --yes downloads it ({size(found.name)}); -m starter is built in",
        )
    return fetch_embedding(models.plan(found), yes=yes, reporter=reporter)


def fetch_embedding(download: Download, *, yes: bool, reporter: Reporter) -> EmbeddingModel:
    """As `fetch`, for an embedding model."""
    from mmcli import models

    _consent(download, yes=yes, reporter=reporter, otherwise="-m starter is built in")
    with _fetching(reporter) as progress:
        return models.fetch_embedding(download, progress, reporter.warning)


def _embeddings() -> dict[str, EmbeddingEntry]:
    from mmcli.models import embedding

    return embedding.load()


@contextlib.contextmanager
def _fetching(reporter: Reporter) -> Iterator[OnProgress]:
    """The bars of a download; who interrupts it learns that nothing is lost."""

    try:
        with reporter.progress() as progress:
            yield progress
    except KeyboardInterrupt:
        reporter.notice("interrupted; the same command continues where this one stopped")
        raise


def _consent(download: Download, *, yes: bool, reporter: Reporter, otherwise: str | None = None) -> None:
    """ModelError unless the user wants the download."""

    for note in download.notes:
        reporter.warning(note)
    text = f"{download.wanted.name}: {what(download)}"
    fits = _tell_fit(download, reporter)
    if yes:
        reporter.notice(f"downloading {text}")
    elif not reporter.confirm(f"Download {text}?" if fits else f"Download it anyway, {text}?"):
        raise ModelError(f"`{download.wanted.name}` was not downloaded", hint=otherwise)


def _tell_fit(download: Download, reporter: Reporter) -> bool:
    """Say what the model takes in memory and on the disk; False where it is known not to fit the memory."""
    from mmcli import models
    from mmcli.models import sizes
    from mmcli.runtime import memory_report

    disk = f"{download.wanted.name} takes {sizes.words(download.n_missing)} on the disk"
    reporter.notice(f"{disk}; {sizes.words(models.free_disk())} are free")
    if download.needs is None:
        return True
    fit = models.judge(download.needs, memory_report.room())
    text = f"in memory it takes {memory_report.needs(fit)}"
    if fit.verdict != "no":
        verdict = memory_report.verdict(fit).replace("tight:", "is tight:", 1)
        reporter.notice(f"{text}; it {verdict}")
        return True
    why = memory_report.verdict(fit).removeprefix("no: ")
    reporter.warning(
        f"`{download.wanted.name}` does not fit this machine: {text}; {why}. It would be very slow, or not run at all"
    )
    return False


def what(download: Download) -> str:
    """`2 files, 2.95 GB, from Qwen/Qwen3-VL-4B-Instruct-GGUF, licence Apache-2.0`"""
    from mmcli.models import sizes

    n_files = len(download.files)
    rest = ""
    if download.n_missing < download.n_bytes:
        rest = f" ({sizes.words(download.n_missing)} left to download)"
    licence = download.licence or "not stated by its repository"
    files = f"{n_files} file{'s' if n_files > 1 else ''}"
    return f"{files}, {sizes.words(download.n_bytes)}{rest}, from {download.wanted.repo}, licence: {licence}"


def size(name: str) -> str:
    """The download's size as far as it is known without asking the Hub."""
    from mmcli import models
    from mmcli.models import catalogue, embedding, sizes, speech

    known = catalogue.load().get(name) or speech.load().get(name) or embedding.load().get(name)
    found = models.file_sizes(known) if known else []
    return "it says how large it is" if not found or None in found else sizes.words(sum(size or 0 for size in found))
