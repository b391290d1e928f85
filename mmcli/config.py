"""Settings: flag > MMCLI_* variable > config.toml > default; and where files live. Knows no commands' meaning."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
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


def load(known: Mapping[str, bool]) -> dict[str, Any]:
    """The settings of config.toml under the options' own names (`max_tokens` or `max-tokens`), checked for typos.

    `known` are the names there are, and whether each of them takes a list.
    """
    path = config_file()
    try:
        with path.open("rb") as file:
            table: Mapping[str, Any] = tomllib.load(file)
    except FileNotFoundError as error:
        if os.environ.get("MMCLI_CONFIG"):
            raise UsageError(f"there is no file `{path}`", hint="MMCLI_CONFIG names it") from error
        return {}
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"`{path}` is not valid TOML: {error}", hint="mend it, or move it away") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is not valid UTF-8, so it is no TOML", hint="mend it, or move it away") from error
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from error
    names = sorted(known)
    settings = {key.replace("-", "_"): value for key, value in table.items()}
    for key in settings:
        if key not in names:
            close = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known are: {', '.join(names)}"
            raise UsageError(f"`{path}` sets `{key}`, which is no setting", hint=hint)
        if known[key] and not isinstance(settings[key], list):
            settings[key] = [settings[key]]
        elif isinstance(settings[key], list | dict) and not known[key]:
            raise UsageError(f"`{path}` sets `{key}` to more than one value")
    return settings
