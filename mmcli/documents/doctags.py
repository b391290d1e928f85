"""DocTags, the form in which granite-docling and SmolDocling write a page → Markdown.

The tags are those of docling's documentation: text, section_header_level_N, title, caption, footnote, page_header,
page_footer, formula, code, list_item in ordered_list or unordered_list, otsl tables, picture, and loc_N for places.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mmcli.documents import tables

_PLACE = re.compile(r"<loc_\d+>")
_ANY = re.compile(r"<[a-z_0-9]+>|</[a-z_0-9]+>", re.I)
_ELEMENT = re.compile(
    r"<(?P<name>title|text|paragraph|caption|footnote|page_header|page_footer|formula|code|list_item|otsl|chart|"
    r"checkbox_selected|checkbox_unselected|section_header_level_(?P<level>\d))>(?P<body>.*?)"
    r"(?:</(?P=name)>|(?=<(?:title|text|paragraph|footnote|page_header|page_footer|list_item|otsl|section_header)\b)|\Z)",
    re.S,
)
_LIST = re.compile(r"<(/?)(ordered_list|unordered_list)>")
_CODE_LANGUAGE = re.compile(r"<_([^<>\n]{1,30})_>")


@dataclass
class _List:
    is_ordered: bool
    n: int = 0


def as_markdown(text: str) -> str:
    """The page's Markdown; what has no tag at all is taken as it is."""
    if not _ANY.search(text):
        return text.strip()
    return "\n\n".join(block for block in _blocks(text) if block).strip()


def _blocks(text: str) -> Iterator[str]:
    lists: list[_List] = []
    items: list[str] = []
    at = 0
    for match in _ELEMENT.finditer(text):
        for tag in _LIST.finditer(text, at, match.start()):
            if tag[1]:
                del lists[-1:]
            else:
                lists.append(_List(tag[2] == "ordered_list"))
        at = match.end()
        if match["name"] == "list_item" and lists:
            items.append(_item(lists, match["body"]))
            continue
        if items:
            yield "\n".join(items)
            items = []
        yield _block(match["name"], int(match["level"] or 0), match["body"])
    if items:
        yield "\n".join(items)


def _item(lists: list[_List], body: str) -> str:
    lists[-1].n += 1
    mark = f"{lists[-1].n}." if lists[-1].is_ordered else "-"
    said = re.sub(r"^(?:[-•*·]|\d+[.)])\s+", "", _plain(body))
    return f"{'   ' * (len(lists) - 1)}{mark} {said}"


def _block(name: str, level: int, body: str) -> str:
    if name in ("otsl", "chart"):
        caption, table = _caption(body)
        rows = tables.of_otsl(table)
        return "\n\n".join(part for part in (caption, tables.as_markdown(rows) if rows else "") if part)
    if name == "formula":
        return f"$$\n{_plain(body)}\n$$"
    if name == "code":
        language = _CODE_LANGUAGE.search(body)
        said = _PLACE.sub("", _CODE_LANGUAGE.sub("", body)).strip("\n")
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", said)), 3)
        return f"{fence}{language[1].strip().lower() if language else ''}\n{html.unescape(said)}\n{fence}"
    said = _plain(body)
    if not said:
        return ""
    if name == "title":
        return f"# {said}"
    if level:
        return f"{'#' * min(6, level + 1)} {said}"
    if name == "list_item":
        return f"- {said}"
    if name.startswith("checkbox"):
        return f"- [{'x' if name.endswith('_selected') else ' '}] {said}"
    return said


def _caption(body: str) -> tuple[str, str]:
    """A table's caption, and the table without it."""
    found = re.search(r"<caption>(.*?)</caption>", body, re.S)
    return (_plain(found[1]), body.replace(found[0], "")) if found else ("", body)


def _plain(body: str) -> str:
    return " ".join(html.unescape(_ANY.sub(" ", body)).split())
