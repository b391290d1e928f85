"""Settings: flag > MMCLI_* variable > config.toml > default; and where files live. Knows no commands' meaning."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmcli import tomlfile
from mmcli.errors import UsageError

EDIT = "fix it with `mmcli config edit`"


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


@dataclass(frozen=True)
class FileSettings:
    """What config.toml sets: each setting's value, and the key it stands under there, which may be an old name."""

    values: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)


def load(
    known: Mapping[str, bool], complain: Callable[[str, Any], str | None], renamed: Mapping[str, str] | None = None
) -> FileSettings:
    """The settings of config.toml under the options' own names (`max_tokens` or `max-tokens`), checked.

    `known` are the names there are, and whether each of them takes a list; `complain` says what is wrong with a
    value; `renamed` maps old names to those of today. UsageError with the line where a key is unknown or a value bad.
    """
    path = config_file()
    text = read(path)
    chosen = FileSettings()
    if text is None:
        return chosen
    for key, value in tomlfile.parse(text, f"`{path}`", hint=EDIT).items():
        name = key.replace("-", "_")
        name = (renamed or {}).get(name, name)

        place = f"line {tomlfile.line_of(text, key)} of `{path}`"

        def wrong(what: str, key: str = key, place: str = place, hint: str | None = EDIT) -> UsageError:
            return UsageError(f"{place} sets `{key}`{what}", hint=hint)

        if name not in known:
            raise UsageError(f"{place} sets the unknown setting `{key}`", hint=closest(key, known))
        if name in chosen.values:
            raise wrong(f" a second time: `{chosen.keys[name]}` is the same setting", hint="take one of them out")
        if isinstance(value, list | dict) and not (known[name] and isinstance(value, list)):
            raise wrong(" to more than one value")
        chosen.values[name] = [value] if known[name] and not isinstance(value, list) else value
        chosen.keys[name] = key
        if complaint := complain(name, chosen.values[name]):
            raise wrong(f" to an invalid value: {complaint}")
    return chosen


def read(path: Path) -> str | None:
    """The text of config.toml; None where there is none and none was named."""
    try:
        return tomlfile.read(path)
    except FileNotFoundError as error:
        if os.environ.get("MMCLI_CONFIG"):
            raise UsageError(f"there is no file `{path}`", hint="MMCLI_CONFIG names it") from error
        return None


def place(key: str) -> str:
    """Where config.toml sets a key, in words: "line 3 of `/home/me/.config/mmcli/config.toml`"."""
    path = config_file()
    return f"line {tomlfile.line_of(read(path) or '', key)} of `{path}`"


def closest(key: str, names: Iterable[str]) -> str:
    """A hint for a name that is not a setting."""
    import difflib

    known = sorted(names)
    close = difflib.get_close_matches(key.replace("-", "_"), known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known settings: {', '.join(known)}"
