"""Answers and receipts as JSON: the form that other programs read, and the tolerant reading of what was stored.

`answer_json` is what `--json`, sidecars and the history's exports say. `made` builds dataclasses from stored JSON that
an older or newer version, or a failing disk, may have written: unknown fields are ignored, missing ones have their
defaults; a value of the wrong type, or a missing field without a default, makes the record unreadable.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, cast

if TYPE_CHECKING:
    from mmcli.engine.messages import Answer, Seen, Usage

T = TypeVar("T")


# the form that others read


def answer_json(answer: Answer) -> dict[str, Any]:
    """Everything of one answer, in the order people ask for it."""
    return {
        "answer": answer.text,
        "reasoning": answer.reasoning or None,
        "finish_reason": answer.finish_reason,
        "model": {"name": answer.model, "weights": answer.weights, "projector": answer.projector},
        "device": answer.device,
        "context": {"n_ctx": answer.n_ctx, "n_past": answer.n_past},
        "seed": answer.seed,
        "receipts": [receipt_json(seen) for seen in answer.seen],
        "usage": usage_json(answer.usage),
    }


def receipt_json(seen: Seen) -> dict[str, Any]:
    """What was read of one medium, and what the model got of it."""
    receipt = seen.receipt
    film = {
        "span": None if receipt.span is None else list(receipt.span),
        "times": list(receipt.times),
        "pairs": receipt.pairs,
        "sampling": receipt.sampling,
        "hdr": receipt.hdr,
        "sound": receipt.sound,
    }
    return {
        "source": receipt.source,
        "kind": receipt.kind,
        "sha256": receipt.sha256,
        "bytes": receipt.n_bytes,
        "format": receipt.format,
        "source_size": _size(receipt.source_size),
        "sent_size": _size(receipt.sent_size),
        "rotation": receipt.rotation,
        "frames": receipt.frames,
        "seconds": None if receipt.seconds is None else round(receipt.seconds, 3),
        "locator": receipt.locator,
        **(film if receipt.kind == "video" else {}),
        "page": receipt.page,
        "pages": receipt.pages,
        "label": receipt.label,
        "text": receipt.text,
        "characters": receipt.characters,
        "hidden_lines": receipt.hidden_lines,
        "heard_as": receipt.heard_as,
        "heard_by": receipt.heard_by,
        "notes": list(receipt.notes),
        "media_id": seen.media_id,
        "n_tokens": seen.n_tokens,
        "n_pos": seen.n_pos,
        "origin": seen.origin,
    }


def _size(size: tuple[int, int] | None) -> dict[str, int] | None:
    return None if size is None else {"width": size[0], "height": size[1]}


def usage_json(usage: Usage) -> dict[str, Any]:
    """Tokens, and seconds by phase."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "reused_tokens": usage.reused_tokens,
        "completion_tokens": usage.completion_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "forced_tokens": usage.forced_tokens,
        "n_encodes": usage.n_encodes,
        "seconds": {phase: round(seconds, 3) for phase, seconds in usage.seconds.items()},
    }


# what was stored


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
