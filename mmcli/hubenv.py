"""Repairs the Hub's variables before huggingface_hub is imported, which reads them then, and may fail on them.

Knows variables; imports nothing of the Hub. `prepare` comes before any import of huggingface_hub, by whatever library.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from mmcli import telemetry
from mmcli.errors import NetworkError

PLACES = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN_PATH", "XDG_CACHE_HOME", "HF_XET_CACHE")
SECONDS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")
# What makes it write to stdout or stderr: of no effect any more, or a log of every request.
TALKATIVE = ("HF_HUB_ENABLE_HF_TRANSFER", "HF_DEBUG")
VERBOSITIES = ("debug", "info", "warning", "error", "critical")
DEFAULT_ENDPOINT = "https://huggingface.co"

_unusable: dict[str, NetworkError] = {}  # by the variable
_seconds: dict[str, float] = {}


def prepare() -> None:
    """Take out of the environment what huggingface_hub cannot take, and remember it for `check`."""
    for name in TALKATIVE:
        os.environ.pop(name, None)
    for name in (*PLACES, "HF_ENDPOINT"):  # an empty place would be the working folder
        if not os.environ.get(name, "").strip():
            os.environ.pop(name, None)
    for name in SECONDS:
        _prepare_seconds(name)
    endpoint = os.environ.get("HF_ENDPOINT")
    if endpoint is not None and not _is_address(endpoint):
        del os.environ["HF_ENDPOINT"]
        _unusable["HF_ENDPOINT"] = NetworkError(
            f"HF_ENDPOINT is `{endpoint}`, which is not an http:// or https:// address",
            hint=f"{DEFAULT_ENDPOINT} is used without it",
        )
    if os.environ.get("HF_HUB_VERBOSITY", "").lower() not in VERBOSITIES:
        os.environ["HF_HUB_VERBOSITY"] = "error"
    telemetry.forbid()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_SYMLINKS_WARNING", "1")


def _prepare_seconds(name: str) -> None:
    value = os.environ.pop(name, "").strip()
    if not value:
        return
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if 0 < seconds < 1e6:
        _seconds[name] = seconds
    else:
        _unusable[name] = NetworkError(
            f"{name} is `{value}`, which is not a number of seconds", hint=f"unset it, or give seconds: {name}=30"
        )


def check() -> None:
    """NetworkError where a variable has a value that cannot be used; for who is about to connect."""
    for error in _unusable.values():
        raise error


def seconds(name: str, default: float) -> float:
    """The seconds that a variable of SECONDS names."""
    return _seconds.get(name, default)


def endpoint() -> str:
    """The Hub's address, as messages show it: without a password."""
    address = os.environ.get("HF_ENDPOINT", "").rstrip("/") or DEFAULT_ENDPOINT
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
