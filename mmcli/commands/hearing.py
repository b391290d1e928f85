"""How a command comes to its speech model: find it, fetch it, load it where it runs best."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import ModelError

if TYPE_CHECKING:
    from mmcli.speech.transcriber import Transcriber
    from mmcli.terminal import Style


@dataclass(frozen=True)
class Machine:
    """How to use this machine for speech, as the options say it."""

    device: str = "auto"
    compute_type: str = "auto"
    threads: int | None = None


@dataclass(frozen=True)
class Found:
    """A speech model on this machine: a folder with a Whisper in CTranslate2's form."""

    name: str
    folder: Path


def find(name: str | None, *, yes: bool, style: Style) -> Found:
    """The speech model of that name, or this machine's own where nobody chose."""
    if not name:
        raise ModelError("no speech model was chosen", hint="-m FOLDER names one")
    folder = Path(os.path.expanduser(name))
    if not folder.is_dir():
        raise ModelError(f"there is no speech model `{name}`")
    return Found(folder.name, folder)


def load(
    found: Found, machine: Machine, style: Style, on_progress: Callable[[str, int, int], None] | None = None
) -> Transcriber:
    """The model, ready to listen."""
    from mmcli import terminal
    from mmcli.engine import machine as here
    from mmcli.speech.transcriber import Transcriber

    if on_progress is not None:
        on_progress("load", 0, 0)
    return Transcriber(
        found.folder,
        name=found.name,
        device=machine.device,
        compute_type=machine.compute_type,
        threads=machine.threads or here.cores(),
        on_notice=lambda text: terminal.notice(text, style),
    )
