"""A page's Markdown → HTML without scripts, and plain text."""

from __future__ import annotations

import re

from mmcli.documents import tables

_HTML_TABLE = re.compile(r"<table\b.*?(?:</table\s*>|\Z)", re.I | re.S)


def as_html(markdown: str) -> str:
    """Markdown as HTML that holds no script: tables are written anew, all other HTML is shown as it is written."""
    from markdown_it import MarkdownIt

    out, at = "", 0
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    for match in _HTML_TABLE.finditer(markdown):
        out += parser.render(markdown[at : match.start()])
        out += "".join(f"{tables.as_html(rows)}\n" for rows in tables.of_html(match[0]))
        at = match.end()
    return out + str(parser.render(markdown[at:]))


def plain(markdown: str) -> str:
    """Markdown as plain text: no marks of headings and emphasis, a table's cells with tabs between them."""
    text = _HTML_TABLE.sub(lambda match: "".join(map(_tabbed, tables.of_html(match[0]))), markdown)
    lines = []
    for line in text.split("\n"):
        if re.fullmatch(r"\|?(?:\s*:?-{3,}:?\s*\|)+\s*", line):
            continue
        if line.startswith("| ") and line.endswith("|"):
            cells = re.split(r"(?<!\\)\|", line.strip("|"))
            line = "\t".join(cell.strip().replace("\\|", "|") for cell in cells)
        line = re.sub(r"^#{1,6}\s+", "", line)
        line = re.sub(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", r"\2", line)
        lines.append(re.sub(r"^\\([#>])", r"\1", line))
    return "\n".join(lines)


def _tabbed(rows: tables.Rows) -> str:
    return "".join("\t".join(row) + "\n" for row in rows)
