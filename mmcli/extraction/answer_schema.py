"""The shape that a user wants an answer in: found in what was typed, checked before anything else, and kept to.

Two witnesses look at an answer: the grammar that it was spoken under (engine/grammar.py), and fastjsonschema on the
result.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mmcli.engine import grammar
from mmcli.errors import InputError, OutputError, UsageError
from mmcli.extraction import bounds, shorthand

MOST_BYTES = 1 << 20  # of a schema's file
TOLD = "Answer with JSON of this schema, and nothing else"


@dataclass(frozen=True)
class AnswerSchema:
    """A schema that can be kept to."""

    wanted: Mapping[str, Any]  # as the user gave it, or as the short form says it

    @cached_property
    def bounded(self) -> dict[str, Any]:
        """The same with an end to every part: what answers are held to."""
        return bounds.bounded(self.wanted)

    @cached_property
    def text(self) -> str:
        """It as JSON, for engine.Sampling."""
        return json.dumps(self.bounded, ensure_ascii=False)

    @property
    def has_null(self) -> bool:
        """Whether a value may be null."""
        return _may_be_null(self.wanted)

    def words(self, question: str) -> str:
        """The question as a model gets it: it has to know the fields to choose well among what the grammar allows."""
        missing = "; null for what cannot be seen" if self.has_null else ""
        return f"{question.rstrip()}\n\n{TOLD}{missing}:\n{json.dumps(self.wanted, ensure_ascii=False)}"

    def read(self, answer: str) -> Any:
        """The value of an answer; OutputError where it is not whole, or not of this schema."""
        try:
            value = json.loads(answer)
        except ValueError as error:
            raise OutputError(
                "the answer is not whole: it was cut off before the end of its JSON",
                hint="a larger --max-tokens lets it continue",
            ) from error
        import fastjsonschema

        try:
            _witness(json.dumps(self.wanted))(value)
        except fastjsonschema.JsonSchemaValueException as error:
            raise OutputError(f"the answer does not keep to the schema: {error.message}") from error
        return value


def _may_be_null(schema: Any) -> bool:
    if isinstance(schema, list):
        return any(map(_may_be_null, schema))
    if not isinstance(schema, Mapping):
        return False
    kinds = schema.get("type")
    is_null = "null" in ([kinds] if isinstance(kinds, str) else kinds or ())
    return is_null or None in schema.get("enum", ()) or any(map(_may_be_null, schema.values()))


@functools.lru_cache(maxsize=8)
def _witness(schema: str) -> Callable[[Any], Any]:
    """What raises for a value that is not of a schema, given as JSON; made once: many answers may be read."""
    import fastjsonschema

    check: Callable[[Any], Any] = fastjsonschema.compile(json.loads(schema))
    return check


def find(argument: str, *, nullable: bool = False) -> AnswerSchema:
    """The schema that `--schema` names: a file, JSON, or the short form, whose values `nullable` lets be null.

    UsageError where it cannot be kept to, InputError where the file cannot be read.
    """
    text = argument.strip()
    if not text:
        raise UsageError("--schema: the schema is empty", hint=shorthand.EXAMPLE)
    if text.startswith("@") or text.lower().endswith(".json"):
        wanted = _parsed(_read(text.removeprefix("@")))
    elif text.startswith(("{", "[")):
        wanted = _parsed(text)
    else:
        wanted = shorthand.schema_of(text, nullable=nullable)
    schema = AnswerSchema(wanted)
    grammar.compiled(schema.bounded)
    _check_witness(wanted)
    return schema


def _read(name: str) -> str:
    path = Path(os.path.expanduser(name))
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"--schema: `{name}` is larger than a megabyte", hint="give a JSON schema")
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"--schema: no file named `{name}`") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"--schema: cannot read `{name}`: {reason}") from error


def _parsed(text: str) -> dict[str, Any]:
    try:
        wanted = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"--schema: this is not JSON{place}", hint=shorthand.EXAMPLE) from error
    if not isinstance(wanted, dict):
        raise UsageError("--schema: a JSON schema is an object", hint='for example {"type": "object", …}')
    return wanted


def _check_witness(wanted: Mapping[str, Any]) -> None:
    """UsageError for a schema that the grammar took, and that the second witness cannot read."""
    try:
        _witness(json.dumps(wanted))
    except Exception as error:  # it raises what it meets: KeyError, re.error, its own
        raise UsageError(f"the schema is not a JSON schema: {error}") from error
