"""How a command comes to its model: find it, ask the person before a download, fetch it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import ModelError

if TYPE_CHECKING:
    from mmcli.models import Download, Model, SpeechModel, Wanted
    from mmcli.terminal import Progress, Style


def find(name: str | None, mmproj: Path | None, *, yes: bool, style: Style) -> Model | Wanted:
    """The model of that name, or this machine's default where nobody chose; no connection is made."""
    from mmcli import models, terminal
    from mmcli.commands import fitting

    if name:
        named = models.find(name, mmproj)
        named.require(sight=False, hearing=False)  # one that only speaks
        tell_projector(named, mmproj, style)
        return named
    chosen = models.default(fitting.room())
    found = models.find(chosen, mmproj) if mmproj is None else None
    if found is None or (isinstance(found, models.Wanted) and not (yes or terminal.can_ask(style))):
        raise ModelError(
            "no model was chosen",
            hint=f"`mmcli pull {chosen}` downloads one ({size(chosen)}); -m starter is built in; "
            "-m WEIGHTS.gguf takes a file (or set MMCLI_MODEL)",
        )
    if isinstance(found, models.Wanted):  # before the Hub is asked anything: it may be out of reach
        terminal.notice(
            "no model was chosen. To try mmcli without a download, add -m starter: "
            "it is built in, and knows simple coloured shapes only",
            style,
        )
        about = f": {found.entry.about}" if found.entry else ""
        licence = f", licence {found.entry.licence}" if found.entry else ""
        terminal.notice(
            f"for your own files, `mmcli pull {chosen}` brings what suits this machine best{about}. "
            f"It downloads {size(chosen)} from {found.repo} on the Hugging Face Hub{licence}",
            style,
        )
    return found


def tell_projector(found: Model | Wanted, mmproj: Path | None, style: Style) -> None:
    """Say which projector was picked up beside a weights file, where nobody named it."""
    from mmcli import models, terminal

    if mmproj is None and isinstance(found, models.Model) and found.is_by_path and found.projector:
        terminal.notice(f"with the projector beside it: {found.projector}", style)


def here(found: Model | Wanted, *, yes: bool, style: Style) -> Model:
    """The model with all its files on this machine: fetched, if need be, after the person said yes."""
    from mmcli import models, terminal

    if isinstance(found, models.Model):
        return found
    if not (yes or terminal.can_ask(style)):
        raise ModelError(
            f"`{found.name}` is not on this machine yet",
            hint=f"`mmcli pull {found.name}` or --yes downloads it ({size(found.name)}); -m starter is built in",
        )
    return fetch(models.plan(found), yes=yes, style=style)


def speech(name: str | None, *, yes: bool, style: Style) -> SpeechModel:
    """The speech model of that name (None: the default), fetched, if need be, after the person said yes."""
    from mmcli import models, terminal

    found = models.find_speech(name)
    if isinstance(found, models.SpeechModel):
        return found
    if not (yes or terminal.can_ask(style)):
        raise ModelError(
            f"`{found.name}` is not on this machine yet",
            hint=f"`mmcli pull {found.name}` or --yes downloads it ({size(found.name)})",
        )
    return fetch_speech(models.plan(found), yes=yes, style=style)


def fetch(download: Download, *, yes: bool, style: Style) -> Model:
    """Say what is fetched, what it takes and what there is, ask unless `yes`, fetch."""
    from mmcli import models, terminal

    _consent(download, yes=yes, style=style, otherwise="-m starter is built in; `mmcli models` lists others")
    with _fetching(style) as progress:
        return models.fetch(download, progress, lambda text: terminal.warning(text, style))


def fetch_speech(download: Download, *, yes: bool, style: Style) -> SpeechModel:
    """The same for a speech model."""
    from mmcli import models, terminal

    _consent(download, yes=yes, style=style)
    with _fetching(style) as progress:
        return models.fetch_speech(download, progress, lambda text: terminal.warning(text, style))


@contextlib.contextmanager
def _fetching(style: Style) -> Iterator[Progress]:
    """The bars of a download; who interrupts it is told that nothing is lost."""
    from mmcli import terminal

    try:
        with terminal.progress(style) as progress:
            yield progress
    except KeyboardInterrupt:
        terminal.notice("interrupted; the same command continues where this one stopped", style)
        raise


def _consent(download: Download, *, yes: bool, style: Style, otherwise: str | None = None) -> None:
    """ModelError unless the person wants the download."""
    from mmcli import terminal

    for note in download.notes:
        terminal.warning(note, style)
    text = f"{download.wanted.name}: {what(download)}"
    fits = _tell_fit(download, style)
    if yes:
        terminal.notice(f"downloading {text}", style)
    elif not terminal.confirm(f"Fetch {text}?" if fits else f"Download it anyway,  {text}?"):
        raise ModelError(f"`{download.wanted.name}` was not downloaded", hint=otherwise)


def _tell_fit(download: Download, style: Style) -> bool:
    """Tell what the model takes in memory and on the disk; False where it is known not to fit the memory."""
    from mmcli import models, terminal
    from mmcli.commands import fitting
    from mmcli.models import sizes

    disk = f"{download.wanted.name} takes {sizes.words(download.n_missing)} on the disk"
    terminal.notice(f"{disk}; {sizes.words(models.free_disk())} are free", style)
    if download.needs is None:
        return True
    fit = models.judge(download.needs, fitting.room())
    text = f"in memory it takes {fitting.needs(fit)}"
    if fit.verdict != "no":
        verdict = fitting.verdict(fit).replace("tight:", "is tight:", 1)
        terminal.notice(f"{text}; it {verdict}", style)
        return True
    terminal.warning(
        f"`{download.wanted.name}` does not fit this machine: {text}; {fitting.verdict(fit).removeprefix('no: ')}. "
        "It would be very slow, or not run at all",
        style,
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
    from mmcli.models import catalogue, sizes, speech

    known = catalogue.load().get(name) or speech.load().get(name)
    found = models.file_sizes(known) if known else []
    return "it says how large it is" if not found or None in found else sizes.words(sum(size or 0 for size in found))
