"""A picture from the clipboard or of the screen, by the tools this system has. Knows programs, no decoders.

There is no common way to either: each desktop brings its own program, and where it is missing the error names it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmcli.errors import InputError
from mmcli.media.sources import Source

TIMEOUT = 60  # seconds: a screenshot tool may ask the person for consent
CLIPBOARD, SCREEN = "clip:", "screen:"  # what the receipts call these sources


@dataclass(frozen=True)
class Tool:
    """One way to get a picture: a command that writes it to stdout, or to the file that `{file}` stands for."""

    command: tuple[str, ...]
    package: str  # what to install

    @property
    def program(self) -> str:
        return self.command[0]


_POWERSHELL = ("powershell", "-NoProfile", "-Sta", "-Command")
_TO_FILE = "[System.Drawing.Imaging.ImageFormat]::Png"
_WINDOWS_CLIPBOARD = (
    "Add-Type -AssemblyName System.Windows.Forms, System.Drawing;"
    "$i = [System.Windows.Forms.Clipboard]::GetImage(); if ($i) { $i.Save('{file}', " + _TO_FILE + ") }"
)
_WINDOWS_SCREEN = (
    "Add-Type -AssemblyName System.Windows.Forms, System.Drawing;"
    "$b = [System.Windows.Forms.SystemInformation]::VirtualScreen;"
    "$i = New-Object System.Drawing.Bitmap $b.Width, $b.Height;"
    "[System.Drawing.Graphics]::FromImage($i).CopyFromScreen($b.Location, [System.Drawing.Point]::Empty, $b.Size);"
    "$i.Save('{file}', " + _TO_FILE + ")"
)
_MAC_CLIPBOARD = (
    "osascript",
    "-e",
    'set f to open for access POSIX file "{file}" with write permission',
    "-e",
    "write (the clipboard as «class PNGf») to f",
    "-e",
    "close access f",
)


def clipboard_tools() -> tuple[Tool, ...]:
    """The programs that can read a picture from this system's clipboard, the best one first."""
    if sys.platform == "win32":
        return (Tool((*_POWERSHELL, _WINDOWS_CLIPBOARD), "PowerShell"),)
    if sys.platform == "darwin":
        return (Tool(("pngpaste", "-"), "pngpaste"), Tool(_MAC_CLIPBOARD, "osascript"))
    tools = []
    if os.environ.get("WAYLAND_DISPLAY"):
        tools.append(Tool(("wl-paste", "--type", "image"), "wl-clipboard"))
    if os.environ.get("DISPLAY"):
        tools.append(Tool(("xclip", "-selection", "clipboard", "-target", "image/png", "-out"), "xclip"))
    if _is_wsl():
        tools.append(Tool(("powershell.exe", *_POWERSHELL[1:], _WINDOWS_CLIPBOARD), "PowerShell"))
    return tuple(tools)


def screen_tools() -> tuple[Tool, ...]:
    """The programs that can take a picture of this system's screen, the best one first."""
    if sys.platform == "win32":
        return (Tool((*_POWERSHELL, _WINDOWS_SCREEN), "PowerShell"),)
    if sys.platform == "darwin":
        return (Tool(("screencapture", "-x", "{file}"), "screencapture"),)
    tools = []
    if os.environ.get("WAYLAND_DISPLAY"):
        tools.append(Tool(("grim", "-"), "grim"))
    if os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY"):
        tools.append(Tool(("gnome-screenshot", "-f", "{file}"), "gnome-screenshot"))
        tools.append(Tool(("spectacle", "-b", "-n", "-o", "{file}"), "spectacle"))
    if os.environ.get("DISPLAY"):
        tools.append(Tool(("scrot", "-o", "{file}"), "scrot"))
        tools.append(Tool(("import", "-window", "root", "png:{file}"), "imagemagick"))
    if _is_wsl():
        tools.append(Tool(("powershell.exe", *_POWERSHELL[1:], _WINDOWS_SCREEN), "PowerShell"))
    return tuple(tools)


def clipboard() -> Source:
    """The picture in the clipboard; InputError where there is none, or nothing that could read it."""
    return Source(CLIPBOARD, data=_take(clipboard_tools(), "the clipboard", "copy a picture first"))


def screen() -> Source:
    """A picture of the screen; InputError where nothing can take it."""
    return Source(SCREEN, data=_take(screen_tools(), "the screen", "does this session have a screen?"))


def _take(tools: Sequence[Tool], what: str, advice: str) -> bytes:
    """What the first tool that is here gives; the others are asked where it gives nothing."""
    if not tools:
        raise InputError(
            f"there is no {what.removeprefix('the ')} here: neither WAYLAND_DISPLAY nor DISPLAY is set",
            hint="over ssh, copy the file to this machine and /attach it",
        )
    here = [tool for tool in tools if shutil.which(tool.program)]
    if not here:
        names = " or ".join(f"`{tool.program}`" for tool in tools)
        raise InputError(f"no tool reads {what}: {names} is missing", hint=f"install {tools[0].package}")
    told = ""
    for tool in here:
        data, told = _run(tool)
        if data:
            return data
    raise InputError(f"`{here[-1].program}` found no picture in {what}{f': {told}' if told else ''}", hint=advice)


def _run(tool: Tool) -> tuple[bytes, str]:
    """What the tool wrote, and the last line of its complaints."""
    with tempfile.TemporaryDirectory(prefix="mmcli-") as folder:
        file = Path(folder) / "picture.png"
        command = [word.replace("{file}", str(file)) for word in tool.command]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as error:
            return b"", str(error)
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        data = file.read_bytes() if file.exists() else b"" if "{file}" in " ".join(tool.command) else done.stdout
        return (data if done.returncode == 0 else b""), told[-1] if told else ""


def _is_wsl() -> bool:
    return bool(os.environ.get("WSL_DISTRO_NAME"))
