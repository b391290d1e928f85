"""What a setting is: an option that has an MMCLI_* variable. There is no second list of them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from mmcli import config as files
from mmcli.commands import origins, parsing, spelling

DEFAULT = "default"  # the source of a value that nobody chose
LARGEST = 2**63 - 1  # of TOML's integers; every setting's limit is far below


@dataclass(frozen=True)
class Setting:
    """An option as config.toml sets it, the same for all commands that have it."""

    name: str
    options: dict[str, Any]  # command → Typer's option

    @property
    def option(self) -> Any:
        return next(iter(self.options.values()))

    @property
    def takes_list(self) -> bool:
        return bool(self.option.multiple)

    @property
    def variable(self) -> str:
        return str(self.option.envvar)

    @property
    def defaults(self) -> dict[str, Any]:
        """command → what it takes where nobody chose."""
        return {command: _plain(option.default) for command, option in self.options.items()}

    def complain(self, value: Any) -> str | None:
        """What is wrong with a value of config.toml, if anything is."""
        for item in value if self.takes_list else [value]:
            if complaint := _wrong_type(item, self.option.type.name):
                return complaint
        return parsing.complaint(self.option, value)


def _wrong_type(value: Any, wanted: str) -> str | None:
    """Typer takes the texts of a command line, whose words and numbers look alike; TOML has types."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return "the number is too large"
    shown = f"`{parsing.clipped(str(value).lower() if isinstance(value, bool) else str(value))}`"
    is_number = wanted.startswith(("int", "float"))
    if isinstance(value, str) and "\0" in value:
        return "the text holds a NUL character"
    if not isinstance(value, str | int | float):
        return f"{shown} is neither a text nor a number"
    if wanted == "boolean":
        return None if value in (True, False) or isinstance(value, str) else f"{shown} is neither true nor false"
    if isinstance(value, bool):
        return f"{shown} is not {'a number' if is_number else 'text'}"
    if is_number and isinstance(value, str) and number(value) is None:
        return f"{shown} is not a number"
    if wanted.startswith("int") and not isinstance(number(str(value)), int):
        return f"{shown} is not a whole number"
    return None


def number(text: str) -> int | float | None:
    """`7` and `0.7` as TOML has them; None for anything else, infinities too."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            found = kind(text)
            return found if abs(found) <= LARGEST else None  # neither NaN nor an infinity is
    return None


def known(root: Any) -> dict[str, Setting]:
    """All settings by name, in the order of the commands' options."""
    found: dict[str, Setting] = {}
    for name, command in parsing.commands(root).items():
        for param in command.params:
            if param.envvar:
                found.setdefault(param.name, Setting(param.name, {})).options[name] = param
    return found


def load(root: Any) -> files.FileSettings:
    """What config.toml sets, checked; UsageError with the line where it is wrong."""
    every = known(root)
    lists = {name: setting.takes_list for name, setting in every.items()}
    return files.load(lists, lambda name, value: every[name].complain(value), spelling.SETTINGS)


def take(root: Any) -> dict[str, Any]:
    """The same for a command that is about to run: errors and notes will say which line set a value."""
    chosen = load(root)
    origins.took_keys(chosen.keys)
    spelling.took_keys(chosen.keys, str(files.config_file()))
    return chosen.values


def value(ctx: typer.Context, name: str) -> Any:
    """What a setting is for a command that does not have its option; None where nobody chose."""
    root = ctx.find_root().command
    found, source = effective(known(root)[name], load(root).values)
    return None if source == DEFAULT else found


def effective(setting: Setting, chosen: dict[str, Any]) -> tuple[Any, str]:
    """What counts, and what said so."""
    if os.environ.get(setting.variable):
        return os.environ[setting.variable], spelling.renamed_variables.get(setting.variable, setting.variable)
    if setting.name in chosen:
        return chosen[setting.name], "config.toml"
    defaults = setting.defaults
    different = {str(value) for value in defaults.values()}
    return (defaults if len(different) > 1 else next(iter(defaults.values()))), DEFAULT


def _plain(value: Any) -> Any:
    """A default as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
