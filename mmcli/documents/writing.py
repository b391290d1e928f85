"""What a model wrote of a page → Markdown, whatever form it was trained to write; and which numbers it made up."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Form: TypeAlias = Literal["markdown", "html", "doctags", "layout-json"]
FORMS: tuple[Form, ...] = ("markdown", "html", "doctags", "layout-json")

_FENCE = re.compile(r"\A\s*(`{3,}|~{3,})(?:markdown|md|html|json)?[ \t]*\n(.*?)\n?\1\s*\Z", re.S)
_NUMBER = re.compile(r"\d(?:[\d.,'\u2019\u00a0\u202f]*\d)?")


def as_markdown(form: Form, text: str) -> str:
    """A model's answer as Markdown."""
    text = text.strip()
    if (fenced := _FENCE.match(text)) and fenced[1] not in fenced[2]:
        text = fenced[2].strip("\n")
    if form == "doctags":
        from mmcli.documents import doctags

        return doctags.as_markdown(text)
    if form == "layout-json":
        from mmcli.documents import layout_json

        return layout_json.as_markdown(text)
    return text


def strange_numbers(markdown: str, layer: str) -> list[str]:
    """Numbers that are in what was read and not in the page's own text, each once, in order."""
    own = {_digits(number) for number in _NUMBER.findall(layer)}
    found = dict.fromkeys(_NUMBER.findall(markdown))
    return [number for number in found if _digits(number) not in own]


def _digits(number: str) -> str:
    """A number without what groups its digits: `1,234.50` and `1 234,50` are alike."""
    return re.sub(r"\D", "", number)
