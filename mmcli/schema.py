"""Builds dataclasses from stored JSON that an older or newer version, or a failing disk, may have written.

Unknown fields are ignored, missing ones have their defaults. A value of the wrong type, or a missing field without a
default, makes the record unreadable.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Hashable, Mapping
from typing import Any, Literal, TypeVar, Union, cast

T = TypeVar("T")


class Unreadable(ValueError):
    """What was stored is not what was meant to be; the message names the first field that is wrong."""


def text(raw: bytes) -> str | bytes:
    """A database's text; its bytes where they are not text. For sqlite3's `text_factory`, which would raise."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def parse(document: Any) -> Any:
    """The value of a JSON document, as a database's column holds it."""
    try:
        return json.loads(document)
    except (ValueError, TypeError, RecursionError) as error:
        raise Unreadable(f"no JSON: {error}") from error


def made(kind: type[T], facts: Any, **more: Any) -> T:
    """A dataclass from what was stored of it, and `more` fields that were stored elsewhere."""
    if not isinstance(facts, Mapping):
        raise Unreadable(f"{kind.__name__} is {facts!r:.40}")
    values, hints = {**facts, **more}, _hints(cast(Hashable, kind))
    fields = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in values:
            fields[field.name] = _checked(hints[field.name], values[field.name], field.name)
    try:
        return kind(**fields)
    except TypeError as error:  # a field is missing
        raise Unreadable(str(error)) from error


def named(record: Any, always: tuple[str, ...]) -> dict[str, Any]:
    """A dataclass for a cache's key: the fields `always`, in that order, and of the others those without their default.

    So a field that a later version adds changes no key until somebody chooses a value for it.
    """
    fields = dataclasses.fields(record)
    chosen = {field.name: getattr(record, field.name) for field in fields}
    others = sorted(one.name for one in fields if one.name not in always and chosen[one.name] != one.default)
    return {name: chosen[name] for name in (*always, *others)}


@functools.cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _checked(hint: Any, value: Any, name: str) -> Any:
    """The value as the type wants it: lists become tuples, objects dataclasses."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else made(hint, value)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        for option in inside:
            try:
                return _checked(option, value, name)
            except Unreadable:
                continue
    elif origin is Literal:
        if value in inside:
            return value
    elif origin is tuple and isinstance(value, list | tuple):
        of = inside[:1] * len(value) if inside[1:] == (...,) else inside
        if len(of) == len(value):
            return tuple(_checked(each, item, name) for each, item in zip(of, value, strict=True))
    elif origin is not None and isinstance(value, dict):
        return {str(key): _checked(inside[1], item, name) for key, item in value.items()}
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return float(value)
    elif isinstance(hint, type) and type(value) is hint:
        return value
    raise Unreadable(f"`{name}` is {value!r:.40}")
