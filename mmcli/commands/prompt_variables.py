"""`-p NAME VALUE`: an option with two values, which Typer lacks. It fills in a variable of a saved prompt."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from mmcli.commands import spelling
from mmcli.errors import UsageError

OPTIONS = ("-p", "--param")
_PAIR = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>.*)", re.ASCII | re.DOTALL)

F = TypeVar("F", bound=Callable[..., int | None])


def with_variables(function: F) -> F:
    """For a command with a `ParamOpt`, above what else rewrites its arguments."""
    then = getattr(function, "rewrite", lambda params, args: args)
    function.rewrite = lambda params, args: then(params, _joined(params, args))  # type: ignore[attr-defined]
    return function


def values(pairs: Sequence[str]) -> dict[str, str]:
    """Each variable's value; UsageError for what is no `NAME=VALUE`."""
    found = {}
    for pair in pairs:
        match = _PAIR.fullmatch(pair)
        if match is None:
            raise UsageError(f"-p takes a name and a value, not `{pair}`", hint="as in: -p language German")
        found[match["name"]] = match["value"]
    return found


def _joined(params: Sequence[Any], args: Sequence[str]) -> list[str]:
    """The arguments with `-p NAME VALUE` as `--param=NAME=VALUE`; `-p NAME=VALUE` is understood as well."""
    with_value = spelling.valued(params)
    out: list[str] = []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg == "--":
            return [*out, arg, *rest]
        if arg in OPTIONS and rest and not _PAIR.fullmatch(rest[0]):
            name, *rest = rest
            if not rest:
                raise UsageError(f"{arg} {name} needs a value", hint=f"{arg} {name} VALUE")
            out.append(f"--param={name}={rest.pop(0)}")
            continue
        n_values = spelling.values_after(arg, with_value)
        out += [arg, *rest[:n_values]]
        del rest[:n_values]
    return out
