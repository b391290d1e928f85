"""Copies a text to the clipboard: by this system's tool, or through the terminal itself. Knows no answers."""

from __future__ import annotations

import base64
import os
import sys

from mmcli.errors import InputError
from mmcli.terminal import streams

TIMEOUT = 10  # seconds
MAX_OSC_52 = 74_994  # bytes: what terminals take in one request


def copy(text: str) -> str:
    """Copy `text`; return what did it. InputError where there is neither a tool nor a terminal that could."""
    import shutil

    for command in _tools():
        if shutil.which(command[0]) and _run(command, text.encode("utf-8", "replace")):
            return command[0]
    data = base64.standard_b64encode(text.encode("utf-8", "replace")).decode()
    stream = next((stream for stream in (sys.stderr, sys.stdout) if streams.is_terminal(stream)), None)
    if stream is None or len(data) > MAX_OSC_52 or os.environ.get("TERM", "dumb") == "dumb":
        raise InputError(
            "there is no tool here that copies to the clipboard", hint="install wl-clipboard (Wayland) or xclip (X11)"
        )
    streams.write(f"\x1b]52;c;{data}\x07", stream)
    return "the terminal (OSC 52)"


def _tools() -> list[tuple[str, ...]]:
    if sys.platform == "darwin":
        return [("pbcopy",)]
    if sys.platform == "win32":
        return [("clip",)]
    tools: list[tuple[str, ...]] = []
    if os.environ.get("WAYLAND_DISPLAY"):
        tools.append(("wl-copy",))
    if os.environ.get("DISPLAY"):
        tools += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    if os.environ.get("WSL_DISTRO_NAME"):
        tools.append(("clip.exe",))
    return tools


def _run(command: tuple[str, ...], data: bytes) -> bool:
    """Whether it took the text. Some stay behind to serve it: nothing is read from them."""
    import subprocess

    nothing = subprocess.DEVNULL
    try:
        done = subprocess.run(command, input=data, stdout=nothing, stderr=nothing, timeout=TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
