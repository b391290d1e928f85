"""The short form of a schema, the bounds of everything, and what reads an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mmcli.errors import InputError, OutputError, UsageError
from mmcli.extraction import answer_schema, bounds, shorthand

TEXT: dict[str, Any] = {"type": "string"}


def fields(text: str, **more: Any) -> dict[str, Any]:
    return dict(shorthand.schema_of(text, **more)["properties"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("vendor", {"vendor": TEXT}),
        ("a, b", {"a": TEXT, "b": TEXT}),
        ("a\nb int\n", {"a": TEXT, "b": {"type": "integer"}}),
        ("a,", {"a": TEXT}),
        ("größe float, 名前", {"größe": {"type": "number"}, "名前": TEXT}),
        ("total float?", {"total": {"type": ["number", "null"]}}),
        ("c EUR|USD?", {"c": {"enum": ["EUR", "USD", None]}}),
        ("n int 1..9?", {"n": {"type": ["integer", "null"], "minimum": 1, "maximum": 9}}),
        ("tags[..2]?", {"tags": {"type": ["array", "null"], "items": TEXT, "maxItems": 2}}),
        ("on date, at time, when datetime", None),
        ("c EUR|USD|GBP", {"c": {"enum": ["EUR", "USD", "GBP"]}}),
        ('c "New York" | LA', {"c": {"enum": ["New York", "LA"]}}),
        ("n int 1..99", {"n": {"type": "integer", "minimum": 1, "maximum": 99}}),
        ("n int -5..", {"n": {"type": "integer", "minimum": -5}}),
        ("p float ..0.5", {"p": {"type": "number", "maximum": 0.5}}),
        ("t str 2..20", {"t": {"type": "string", "minLength": 2, "maxLength": 20}}),
        ("t ..20", {"t": {"type": "string", "maxLength": 20}}),
        ("tags[]", {"tags": {"type": "array", "items": TEXT}}),
        ("tags[1..5] int", {"tags": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 5}}),
        ("bio: a few words", {"bio": {"type": "string", "description": "a few words"}}),
        ("age int: in years, name", {"age": {"type": "integer", "description": "in years"}, "name": TEXT}),
        ("a string, b number", {"a": TEXT, "b": {"type": "number"}}),
    ],
)
def test_the_short_form(text: str, found: dict[str, Any] | None) -> None:
    got = fields(text)
    assert found is None or got == found


def test_objects_lie_in_each_other() -> None:
    items = fields("items[]{name, qty int, at {street, no int}}, total float")["items"]
    assert items["type"] == "array"
    assert items["items"]["required"] == ["name", "qty", "at"]
    assert items["items"]["properties"]["at"]["properties"] == {"street": TEXT, "no": {"type": "integer"}}
    assert items["items"]["additionalProperties"] is False


def test_all_may_be_null_but_what_must_not() -> None:
    found = fields("a, b!, c[]{d, e!}", nullable=True)
    is_open = {name: "null" in value["type"] for name, value in found.items()}
    assert is_open == {"a": True, "b": False, "c": True}
    inner = found["c"]["items"]["properties"]
    assert ("null" in inner["d"]["type"], "null" in inner["e"]["type"]) == (True, False)


@pytest.mark.parametrize(
    ("text", "named", "hint"),
    [
        ("a flaot", "`flaot`", "`float`"),
        ("a int b", "`b` is not expected", ""),
        ("a, a", "twice", ""),
        ("a{b", "`}` is missing", ""),
        ("a[", "lacks its `]`", ""),
        ("a[x]", "`[x]`", ""),
        ("a[-1..2]", "number of items", ""),
        ("a{}", "no field", ""),
        ("1a", "cannot begin", ""),
        ("a int 9..1", "wrong way round", ""),
        ("a int ..", "no number", ""),
        ("a int 1.5..2", "whole numbers", ""),
        ("a bool 1..2", "no bounds", ""),
        ("a str -1..2", "not negative", ""),
        ("a x|x", "different", ""),
        ("a x|", "missing after", ""),
        ("a}", "`}` is not expected", ""),
        ("a{" * 12 + "b" + "}" * 12, "deep", ""),
        (",".join(f"a{i}" for i in range(300)), "200 fields", ""),
        (" ", "empty", ""),
    ],
)
def test_what_is_malformed_is_told(text: str, named: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        answer_schema.find(text)
    assert named in caught.value.message
    assert hint in (caught.value.hint or "")


# bounds


def test_everything_gets_an_end_and_a_users_own_bounds_stay() -> None:
    found = bounds.bounded(
        {
            "type": "object",
            "properties": {
                "a": TEXT,
                "b": {"type": "string", "maxLength": 1000},
                "c": {"type": "array", "items": {"type": "number", "minimum": 0}},
                "d": {"enum": ["x"]},
                "e": {"type": "object"},
                "f": {"anyOf": [TEXT, {"type": "null"}]},
                "g": {"type": "string", "minLength": 500},
            },
        }
    )
    each = found["properties"]
    assert found["additionalProperties"] is False
    assert (each["a"]["maxLength"], each["b"]["maxLength"], each["g"]["maxLength"]) == (200, 1000, 500)
    assert (each["c"]["maxItems"], each["c"]["items"]["minimum"]) == (100, 0)
    assert each["c"]["items"]["maximum"] == 10**15
    assert (each["d"], each["e"]["maxProperties"]) == ({"enum": ["x"]}, 50)
    assert (list(each["e"]["patternProperties"].values()), each["e"]["additionalProperties"]) == ([True], False)
    assert each["f"]["anyOf"][0]["maxLength"] == 200


def test_a_misspelt_keyword_is_told() -> None:
    with pytest.raises(UsageError, match="`maxLenght`") as caught:
        answer_schema.find('{"type": "string", "maxLenght": 5}')
    assert "`maxLength`" in (caught.value.hint or "")


# where it comes from


def test_a_file_of_a_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"type": "integer"}')
    assert answer_schema.find(str(path)).wanted == answer_schema.find(f"@{path}").wanted == {"type": "integer"}
    with pytest.raises(InputError, match="no file"):
        answer_schema.find(str(tmp_path / "b.json"))


@pytest.mark.parametrize("text", ['{"type":', "[1]", '{"type": 5}', '{"properties": 5}', '{"$ref": "#/nowhere"}'])
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        answer_schema.find(text)


# reading an answer


def test_an_answer_is_read_and_looked_at_twice() -> None:
    shape = answer_schema.find("n int 1..9, price float")
    assert shape.read('{"n": 3, "price": 0.1}') == {"n": 3, "price": 0.1}
    for wrong in ('{"n": 3, "pri', '{"n": 10, "price": 1}', '{"n": 3}', "", "[]"):
        with pytest.raises(OutputError):
            shape.read(wrong)


def test_the_model_is_told_the_fields() -> None:
    words = answer_schema.find("total float?").words("What does it cost?")
    assert words.startswith("What does it cost?\n\n") and "null" in words
    assert json.loads(words.rpartition("\n")[2])["required"] == ["total"]
    assert "null" not in answer_schema.find("total float").words("What?")
    for may_be_null in ("c A|B?", "a[]{b, c?}", '{"anyOf": [{"const": 1}, {"type": "null"}]}'):
        assert "null for what cannot be seen" in answer_schema.find(may_be_null).words("What?")


def test_what_may_be_null_is_kept_to() -> None:
    shape = answer_schema.find("c EUR|USD?, n int 1..9?, s ..5?, o[]{a}?")
    for told in ('{"c": null, "n": null, "s": null, "o": null}', '{"c": "EUR", "n": 9, "s": "x", "o": [{"a": "y"}]}'):
        assert shape.read(told) == json.loads(told)
    with pytest.raises(OutputError):
        shape.read('{"c": "GBP", "n": null, "s": null, "o": null}')
