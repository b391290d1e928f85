"""Settings: flag > MMCLI_* variable > config.toml > default; and where files live. Knows no commands' meaning."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmcli.errors import UsageError


def config_file() -> Path:
    """config.toml: `MMCLI_CONFIG`, or in the user's config folder."""
    named = os.environ.get("MMCLI_CONFIG")
    if named:
        return Path(os.path.expanduser(named))  # unlike Path's own, it leaves `~no-such-person` as it is
    import platformdirs

    return Path(platformdirs.user_config_dir("mmcli", appauthor=False)) / "config.toml"


def cache_dir() -> Path:
    """What can be computed again: `MMCLI_CACHE_DIR`, or the user's cache folder."""
    named = os.environ.get("MMCLI_CACHE_DIR")
    if named:
        return Path(os.path.expanduser(named))
    import platformdirs

    return Path(platformdirs.user_cache_dir("mmcli", appauthor=False))


def data_dir() -> Path:
    """What cannot be computed again, the history: `MMCLI_DATA_DIR`, or the user's data folder."""
    named = os.environ.get("MMCLI_DATA_DIR")
    if named:
        return Path(os.path.expanduser(named))
    import platformdirs

    return Path(platformdirs.user_data_dir("mmcli", appauthor=False))


def load(known: Mapping[str, bool], complain: Callable[[str, Any], str | None]) -> dict[str, Any]:
    """The settings of config.toml under the options' own names (`max_tokens` or `max-tokens`), checked.

    `known` are the names there are, and whether each of them takes a list; `complain` says what is wrong with a
    value. UsageError with the line where a key is unknown or a value bad.
    """
    path = config_file()
    text = read(path)
    if text is None:
        return {}
    import tomllib

    try:
        table: Mapping[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"`{path}` is not valid TOML: {error}", hint="fix it: `mmcli config edit`") from error
    settings: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        where = f"line {line_of(text, key)} of `{path}`"
        if name not in known:
            raise UsageError(f"{where} sets `{key}`, which is no setting", hint=closest(key, known))
        if name in settings:
            raise UsageError(f"{where} sets `{key}` a second time: `-` and `_` are the same")
        if isinstance(value, list | dict) and not (known[name] and isinstance(value, list)):
            raise UsageError(f"{where} sets `{key}` to more than one value")
        settings[name] = [value] if known[name] and not isinstance(value, list) else value
        if complaint := complain(name, settings[name]):
            raise UsageError(f"{where} sets `{key}` to a bad value: {complaint}", hint="fix it: `mmcli config edit`")
    return settings


def read(path: Path) -> str | None:
    """The text of config.toml; None where there is none and none was named."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError as error:
        if os.environ.get("MMCLI_CONFIG"):
            raise UsageError(f"there is no file `{path}`", hint="MMCLI_CONFIG names it") from error
        return None
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is not valid UTF-8, so it is no TOML", hint="fix it, or move it away") from error
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from error


def closest(key: str, names: Iterable[str]) -> str:
    """A hint for a name that is no setting."""
    import difflib

    known = sorted(names)
    close = difflib.get_close_matches(key.replace("-", "_"), known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(known)}"


def line_of(text: str, key: str) -> int:
    """The line, from 1 on, in which a valid TOML text begins to set a top-level key.

    tomllib tells no lines. But a text cut off before the key is TOML without it, and what is cut off within the
    key's value, or within another's, is none.
    """
    import tomllib

    lines = text.splitlines(keepends=True)
    before = 0
    for end in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
        if key in table:
            return before + 1
        before = end
    return before + 1
