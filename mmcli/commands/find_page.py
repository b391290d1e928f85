"""`mmcli find --html`: results as one page, with small pictures inside it, no scripts and nothing from elsewhere."""

from __future__ import annotations

import base64
import html
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.library.query import Findings, FoundPiece

SIDE = 256  # pixels
_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em}"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(14em,1fr));gap:1.2em}"
    "figure{margin:0}img{width:100%;height:11em;object-fit:contain;background:#8882}"
    "figcaption{overflow-wrap:anywhere}small{opacity:.7}"
)


def check(path: Path | None) -> None:
    """UsageError for a name that is no page's: it would take a picture's place."""
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--html: `{path}` is no .html file", hint="--html found.html")


def write(path: Path, findings: Findings) -> None:
    """Write the page, in place of one that is there; errors as files.write has them."""
    from mmcli import files

    figures = "\n".join(_figure(found) for found in findings.found)
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>mmcli find</title>'
        f"<style>{_STYLE}</style></head>\n<body><main>\n{figures}\n</main></body></html>\n"
    )
    files.write(Path(os.path.abspath(os.path.expanduser(path))), page.encode("utf-8", "replace"), follow=True)


def _figure(found: FoundPiece) -> str:
    from mmcli import sanitize
    from mmcli.commands import find_lines
    from mmcli.errors import MmcliError
    from mmcli.library import thumbnails
    from mmcli.media import encode

    name = html.escape(sanitize.escaped(found.source))
    address = Path(os.fsdecode(found.path)).as_uri() + (f"#{found.fragment}" if found.fragment else "")
    try:
        data = base64.b64encode(encode.jpeg(thumbnails.of(found, SIDE), SIDE)).decode()
        shown = f'<img alt="" src="data:image/jpeg;base64,{data}">'
    except MmcliError as error:
        shown = f"<p>{html.escape(sanitize.one_line(error.message))}</p>"
    why = html.escape(find_lines.why(found))
    return (
        f'<figure><a href="{html.escape(address)}">{shown}</a>'
        f"<figcaption>{name}<br><small>{find_lines.strength(found)} {why}</small></figcaption></figure>"
    )
