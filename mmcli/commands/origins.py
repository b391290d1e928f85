"""Adds to an error where its value came from: an option, a variable, or config.toml."""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import typer

from mmcli import config
from mmcli.errors import AudioDeviceError, MmcliError, UsageError

_from_file: dict[str, str] = {}  # setting → its key in config.toml


def took_keys(keys: dict[str, str]) -> None:
    """Remember under which key config.toml sets each setting."""
    _from_file.clear()
    _from_file.update(keys)


def add(error: MmcliError, ctx: typer.Context) -> None:
    """Say in the error's sentence what set the option that it is about: a variable, a line of config.toml, an option.

    The options that a user typed are reported only where a value is wrong in itself: the others they have in view.
    """
    is_value = isinstance(error, UsageError | AudioDeviceError)
    places = []
    for param in ctx.command.params:
        source = ctx.get_parameter_source(param.name or "")
        value, option = ctx.params.get(param.name or ""), _long(param)
        if source is None or not option.startswith("-"):
            continue
        if source.name == "COMMANDLINE" and is_value and option not in error.message and _is_quoted(error, value):
            places.append(option)
        elif source.name in ("ENVIRONMENT", "DEFAULT_MAP") and (_is_named(error, option) or _is_quoted(error, value)):
            where = of(ctx, param.name or "")
            if where and where not in error.message:
                places.append(f"{where} sets {option}{_shown(value)}")
    if places:
        error.message = f"{error.message} ({'; '.join(places)})"


def of(ctx: typer.Context, name: str) -> str | None:
    """The variable, or the line of config.toml, that set a parameter; None where it was typed, or is a default."""
    source = ctx.get_parameter_source(name)
    param = next((param for param in ctx.command.params if param.name == name), None)
    if source is None or param is None:
        return None
    if source.name == "ENVIRONMENT":
        return _variable(str(param.envvar))
    return config.place(_from_file[name]) if source.name == "DEFAULT_MAP" and name in _from_file else None


def name_of(ctx: typer.Context, param: Any) -> str:
    """The variable that set an option, where one did, or else the option's long name."""
    source = ctx.get_parameter_source(param.name or "")
    is_variable = source is not None and source.name == "ENVIRONMENT"
    return _variable(str(param.envvar)) if is_variable else _long(param)


def _is_named(error: MmcliError, option: str) -> bool:
    """Whether the error names an option, be it in its hint."""
    text = f"{error.message} {error.hint or ''}"
    return option[:2] == "--" and re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", text) is not None


def _is_quoted(error: MmcliError, value: Any) -> bool:
    values = value if isinstance(value, list | tuple) else [value]
    return any(f"`{_plain(item)}`" in error.message for item in values if _plain(item))


def _plain(value: Any) -> str:
    """A value as messages quote it; nothing for what they do not."""
    value = value.value if isinstance(value, Enum) else value
    return "" if value is None or isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple) or not _plain(value):
        return ""
    text = _plain(value)
    return f" to `{text if len(text) <= 80 else text[:79] + '…'}`"


def _long(param: Any) -> str:
    """An option's long name: the one that the setting has, where there are several."""
    own = f"--{(param.name or '').replace('_', '-')}"
    return own if own in param.opts else next((name for name in param.opts if name.startswith("--")), param.opts[0])


def _variable(name: str) -> str:
    """A variable as the user set it, be it by its old name."""
    from mmcli.commands import spelling

    return spelling.renamed_variables.get(name, name)


def is_typed(ctx: typer.Context, name: str) -> bool:
    """Whether a parameter was given on the command line itself."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def typed(ctx: typer.Context) -> frozenset[str]:
    """The names of all parameters that were given on the command line itself."""
    return frozenset(name for name in ctx.params if is_typed(ctx, name))
