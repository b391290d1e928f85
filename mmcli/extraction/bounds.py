"""Gives every part of a JSON schema an end: lengths of texts, items of lists, digits of numbers.

Without them, a model that has lost the thread fills one field until the context is full.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from mmcli.errors import UsageError

TEXT, ITEMS, PROPERTIES = 200, 100, 50  # at most, where a schema does not say
LARGEST, SMALLEST = 10**15, 1e-6  # of numbers: 15 digits before the point, and six behind it
MOST_DEPTH = 50
NAME = "^.{1,60}$"  # of a field that the schema does not name
_SCHEMAS = ("items", "additionalProperties", "contains", "not", "if", "then", "else")  # keywords that hold one schema
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")  # … several
_TABLES = ("properties", "patternProperties", "$defs", "definitions")  # … several by name
KEYWORDS = frozenset(
    (*_SCHEMAS, *_LISTS, *_TABLES)
    + ("$schema", "$id", "$ref", "$anchor", "$comment", "title", "description", "default", "examples", "deprecated")
    + ("readOnly", "writeOnly", "type", "enum", "const", "format", "pattern", "minLength", "maxLength", "minimum")
    + ("maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems")
    + (
        "minProperties",
        "maxProperties",
        "required",
        "propertyNames",
        "dependentRequired",
        "contentEncoding",
        "nullable",
    )
)


def bounded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema with an end to everything; UsageError for a keyword that is misspelt."""
    return dict(_bounded(schema, 0))


def _bounded(schema: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping):
        return schema  # true and false are schemas, too
    if depth > MOST_DEPTH:
        raise UsageError(f"the schema's parts lie in each other more than {MOST_DEPTH} deep")
    found = dict(schema)
    for key, value in schema.items():
        if key in _SCHEMAS:
            found[key] = _bounded(value, depth + 1)
        elif key in _LISTS and isinstance(value, list):
            found[key] = [_bounded(one, depth + 1) for one in value]
        elif key in _TABLES and isinstance(value, Mapping):
            found[key] = {name: _bounded(one, depth + 1) for name, one in value.items()}
        elif key not in KEYWORDS and (close := difflib.get_close_matches(key, KEYWORDS, n=1, cutoff=0.8)):
            raise UsageError(
                f"the schema has a keyword `{key}`, which means nothing", hint=f"did you mean `{close[0]}`?"
            )
    if "enum" in found or "const" in found or "$ref" in found:
        return found
    kinds = found.get("type")
    kinds = {kinds} if isinstance(kinds, str) else set(kinds) if isinstance(kinds, list) else set()
    if "string" in kinds:
        found.setdefault("maxLength", max(TEXT, _number(found.get("minLength"))))
    if "array" in kinds:
        found.setdefault("maxItems", max(ITEMS, _number(found.get("minItems"))))
        found.setdefault("items", True)
    if "object" in kinds:
        _bound_object(found)
    if kinds & {"integer", "number"}:
        _bound_number(found, is_whole="number" not in kinds)
    return found


def _bound_object(found: dict[str, Any]) -> None:
    """Named fields alone, where there are any and nothing is said of others; else a limit to how many there are."""
    if found.get("properties"):
        found.setdefault("additionalProperties", False)
    others = found.get("additionalProperties", True)
    if others is False and not found.get("patternProperties"):
        return
    if others is not False and not found.get("patternProperties"):  # a name has an end, too
        found["patternProperties"], found["additionalProperties"] = {NAME: others}, False
    found.setdefault("maxProperties", max(PROPERTIES, len(found.get("properties", ()))))


def _bound_number(found: dict[str, Any], *, is_whole: bool) -> None:
    if "minimum" not in found and "exclusiveMinimum" not in found:
        found["minimum"] = -LARGEST
    if "maximum" not in found and "exclusiveMaximum" not in found:
        found["maximum"] = LARGEST
    if not is_whole:
        found.setdefault("multipleOf", SMALLEST)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
