"""Opens a file in the user's editor, and checks it afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.terminal import Style


def edit(file: Path, check: Callable[[], None], style: Style) -> int | None:
    """Open it until `check` raises no UsageError, or nobody wants to edit it again; the status."""
    import subprocess

    from mmcli import terminal

    command = _editor()
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            status = subprocess.call([*command, str(file)])
        except OSError as error:
            reason = f"cannot edit `{file}` with `{command[0]}`: {error.strerror}"
            raise UsageError(reason, hint="VISUAL or EDITOR names the editor") from error
        if status:
            raise UsageError(f"`{command[0]}` ended with status {status}", hint="VISUAL or EDITOR names the editor")
        try:
            check()
            return None
        except UsageError as error:
            if not terminal.can_ask(style):
                raise
            terminal.error(error, style)
            if not terminal.confirm("Edit it again?"):
                return UsageError.status


def _editor() -> list[str]:
    import shlex
    import shutil

    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if named:
        return [named] if os.path.exists(named) else shlex.split(named, posix=os.name != "nt")
    for name in ("notepad",) if os.name == "nt" else ("sensible-editor", "nano", "vi"):
        if shutil.which(name):
            return [name]
    raise UsageError("there is no editor", hint="VISUAL or EDITOR names one; `mmcli config set` needs none")
