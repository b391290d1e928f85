"""The JSON in which dots.ocr writes a page (a list of bbox, category, text) → Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_LEVELS = {"Title": "# ", "Section-header": "## ", "List-item": "- "}
_RECORD = re.compile(r"\{[^{}]*\"category\"(?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*\}", re.S)


def as_markdown(text: str) -> str:
    """The page's Markdown, in the order of the list; what is no such list is taken as it is.

    Of a list that was cut off, the records that are whole are taken.
    """
    blocks = [block for record in _records(text) if (block := _block(record))]
    return "\n\n".join(blocks) if blocks else text.strip()


def _records(text: str) -> Iterator[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = [record for match in _RECORD.finditer(text) if (record := _record(match[0])) is not None]
    if isinstance(found, dict):
        found = [found]
    if isinstance(found, list):
        yield from (record for record in found if isinstance(record, dict))


def _record(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _block(record: dict[str, Any]) -> str:
    said, category = record.get("text"), record.get("category")
    if not isinstance(said, str) or not said.strip():
        return ""
    said = said.strip()
    if category == "Formula" and not said.startswith("$"):
        return f"$$\n{said}\n$$"
    mark = _LEVELS.get(str(category), "")
    return said if said.startswith(mark.strip() or "\0") else f"{mark}{said}"
