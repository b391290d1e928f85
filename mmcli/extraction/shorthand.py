"""Reads the short form of a schema: `vendor, date date, total float?, currency EUR|USD|GBP, items[]{name, qty int}`.

    fields  = field { ("," | newline) field }
    field   = name [ "[" [ [min] ".." [max] ] "]" ] [ type | "{" fields "}" ] [ "?" | "!" ] [ ":" what it means ]
    type    = (str | int | float | bool | date | time | datetime | url | email) [ min ".." max ]  |  word "|" word …

A bare name is a text. `?` lets a value be null, `!` never does, `name[]` is a list. Bounds are numbers, of texts their
length. What follows a colon goes to the model as the field's description. The form is that of simonw/llm, where types
that it does not know silently become texts; here they are errors.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmcli.errors import UsageError

EXAMPLE = "for example 'vendor, date date, total float?, currency EUR|USD|GBP, items[]{name, qty int 1..99}'"
TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "datetime": {"type": "string", "format": "date-time"},
    "url": {"type": "string", "format": "uri"},
    "email": {"type": "string", "format": "email"},
}
ALIASES = {
    **{"string": "str", "text": "str", "integer": "int", "number": "float", "double": "float", "decimal": "float"},
    **{"boolean": "bool", "uri": "url", "link": "url", "mail": "email", "timestamp": "datetime"},
}
MOST_FIELDS, MOST_DEPTH = 200, 10
_NAME = re.compile(r"[^\W\d][\w-]*")
_RANGE = re.compile(r"(?P<low>-?\d+(?:\.\d+)?)?\.\.(?P<high>-?\d+(?:\.\d+)?)?")
_CHOICE = re.compile(r"""(?P<quoted>"[^"]*"|'[^']*')|(?P<word>[^\s,{}\[\]|?!:"']+)""")


def schema_of(text: str, *, nullable: bool = False) -> dict[str, Any]:
    """The JSON schema that `text` stands for; `nullable`: all values may be null but those marked with `!`.

    UsageError that says what is wrong where.
    """
    reader = _Reader(text, nullable)
    found = reader.fields(0)
    reader.skip()
    if reader.at < len(text):
        raise reader.error(f"`{text[reader.at]}` is not expected here")
    return found


@dataclass
class _Reader:
    """Reads on from `at`."""

    text: str
    nullable: bool
    at: int = 0
    n_fields: int = 0

    def error(self, message: str, hint: str = EXAMPLE) -> UsageError:
        before = self.text[: self.at].rstrip()
        place = f", after `{before[-30:]}`" if before else ""
        return UsageError(f"the schema is malformed{place}: {message}", hint=hint)

    def skip(self, blanks: str = " \t\r\n") -> None:
        while self.at < len(self.text) and self.text[self.at] in blanks:
            self.at += 1

    def peek(self, what: str) -> bool:
        """Whether `what` comes next, blanks left aside."""
        self.skip(" \t\r")
        return self.text.startswith(what, self.at)

    def take(self, what: str) -> bool:
        """Whether `what` came next, which is read then."""
        if not self.peek(what):
            return False
        self.at += len(what)
        return True

    def fields(self, depth: int) -> dict[str, Any]:
        """An object's fields, up to its closing brace or the end."""
        if depth > MOST_DEPTH:
            raise self.error(f"objects lie in each other more than {MOST_DEPTH} deep")
        found: dict[str, Any] = {}
        while True:
            self.skip()
            if self.at >= len(self.text) or self.text[self.at] == "}":
                break
            name, value = self.field(depth)
            if name in found:
                raise self.error(f"the field `{name}` is there twice")
            found[name] = value
            self.skip(" \t\r")
            if not (self.take(",") or self.take("\n")):
                break
        if not found:
            raise self.error("there is no field")
        return {"type": "object", "properties": found, "required": list(found), "additionalProperties": False}

    def field(self, depth: int) -> tuple[str, dict[str, Any]]:
        self.n_fields += 1
        if self.n_fields > MOST_FIELDS:
            raise self.error(f"there are more than {MOST_FIELDS} fields")
        match = _NAME.match(self.text, self.at)
        if match is None:
            raise self.error(f"`{self.text[self.at]}` cannot begin a field's name")
        name, self.at = match[0], match.end()
        bounds = self.list_bounds(name) if self.take("[") else None
        value = self.braced(depth) if self.take("{") else self.type(name)
        if bounds is not None:
            value = {"type": "array", "items": value, **bounds}
        self.skip(" \t\r")
        may_be_null = self.take("?") or (not self.take("!") and self.nullable)
        if may_be_null:
            value = _or_null(value)
        if self.take(":"):
            if description := self.description():
                value = {**value, "description": description}
        return name, value

    def braced(self, depth: int) -> dict[str, Any]:
        value = self.fields(depth + 1)
        self.skip()
        if not self.take("}"):
            raise self.error("a `}` is missing")
        return value

    def list_bounds(self, name: str) -> dict[str, int]:
        """What stands between the brackets of a list: how many items it has."""
        end = self.text.find("]", self.at)
        if end < 0:
            raise self.error(f"`{name}[` lacks its `]`")
        inside, self.at = self.text[self.at : end].strip(), end + 1
        if not inside:
            return {}
        match = _RANGE.fullmatch(inside)
        low, high = (match["low"], match["high"]) if match else (None, None)
        if not (low or high) or any(bound and not bound.isdigit() for bound in (low, high)):
            raise self.error(f"`[{inside}]` is not a number of items, such as `[1..5]`")
        return _bounds("minItems", "maxItems", low, high, int, self)

    def type(self, name: str) -> dict[str, Any]:
        """A type with its bounds, or words to choose from; a text where nothing is said."""
        self.skip(" \t\r")
        if _RANGE.match(self.text, self.at):
            return self.ranged("str", dict(TYPES["str"]))
        words = self.words()
        if not words:
            return dict(TYPES["str"])
        if len(words) > 1:
            if len(set(words)) < len(words):
                raise self.error(f"the choices of `{name}` are not all different")
            return {"enum": words}
        kind = ALIASES.get(words[0].lower(), words[0].lower())
        if kind not in TYPES:
            close = difflib.get_close_matches(kind, [*TYPES, *ALIASES], n=1)
            known = f"the types are {', '.join(TYPES)}, and choices such as A|B"
            raise self.error(
                f"`{words[0]}`, the type of `{name}`, is unknown", f"did you mean `{close[0]}`?" if close else known
            )
        return self.ranged(kind, dict(TYPES[kind]))

    def ranged(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        """A type with the bounds that follow it."""
        self.skip(" \t\r")
        match = _RANGE.match(self.text, self.at)
        if match is None:
            return value
        low, high = match["low"], match["high"]
        if not (low or high):
            raise self.error("`..` has no number beside it")
        if kind not in ("str", "int", "float"):
            raise self.error(f"a {kind} has no bounds")
        if kind != "float" and any("." in (bound or "") for bound in (low, high)):
            raise self.error(f"`{match[0]}` has no whole numbers")
        self.at = match.end()
        if kind == "str":
            return {**value, **_bounds("minLength", "maxLength", low, high, int, self)}
        number = int if kind == "int" else float
        return {**value, **_bounds("minimum", "maximum", low, high, number, self)}

    def words(self) -> list[str]:
        """`EUR|USD|"Swiss franc"`, read."""
        found: list[str] = []
        while (match := _CHOICE.match(self.text, self.at)) is not None:
            self.at = match.end()
            found.append(match["quoted"][1:-1] if match["quoted"] is not None else match["word"])
            if not self.take("|"):
                return found
            self.skip(" \t\r")
        if found:
            raise self.error("a choice is missing after `|`")
        return found

    def description(self) -> str:
        """All up to the next comma, line or brace."""
        end = re.search(r"[,\n{}]|\Z", self.text[self.at :])
        assert end is not None
        words, self.at = self.text[self.at : self.at + end.start()].strip(), self.at + end.start()
        return words


def _or_null(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same or null, in the form with the fewest words: a model reads them, too."""
    if "enum" in value:
        return {**value, "enum": [*value["enum"], None]}
    return {**value, "type": [value["type"], "null"]}


def _bounds(
    least: str, most: str, low: str | None, high: str | None, number: type[int] | type[float], reader: _Reader
) -> dict[str, Any]:
    """Bounds under JSON schema's names `least` and `most`; those of texts and lists are lengths."""
    found = {name: number(bound) for name, bound in ((least, low), (most, high)) if bound}
    if least != "minimum" and any(value < 0 for value in found.values()):
        raise reader.error("a length is not negative")
    if len(found) == 2 and found[least] > found[most]:
        raise reader.error(f"the bounds {low}..{high} are the wrong way round")
    return found
