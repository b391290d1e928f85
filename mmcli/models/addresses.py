"""Parses a model's page on huggingface.co, as a browser shows its address. Makes no connection."""

from __future__ import annotations

import re
from urllib.parse import unquote

from mmcli.errors import ModelError
from mmcli.models import pairing

_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<repo>[A-Za-z0-9][\w.-]*/[\w.-]+?)(?P<choice>:[\w.-]+)?"
    r"(?:/(?P<page>tree|blob|resolve|raw|discussions|commits?|edit)(?:/(?P<revision>[^/?#]+)(?:/(?P<file>[^?#]*))?)?)?"
    r"/?(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.IGNORECASE | re.ASCII,
)
_FILES = ("tree", "blob", "resolve", "raw")


def repository(name: str) -> str:
    """`ORG/REPO[:QUANT]` for an address of that repository or of a GGUF file in it; any other name as it is.

    ModelError for the address of another revision than main, which no name can say.
    """
    match = _PAGE.fullmatch(name.strip())
    if match is None or match["repo"].lower().startswith(("datasets/", "spaces/", "docs/", "models/")):
        return name
    if match["page"] in _FILES and match["revision"] not in (None, "main"):
        raise ModelError(
            f"`{name}` is an address of the revision `{match['revision']}`; mmcli takes what `main` holds",
            hint=f"without the revision: -m {match['repo']}",
        )
    if match["choice"]:
        return match["repo"] + match["choice"]
    file = unquote(match["file"] or "")
    shown = re.search(r"(?:^|&)show_file_info=([^&]+)", match["query"] or "")  # the page's own view of a file
    file = unquote(shown[1]) if shown else file
    file = file.rsplit("/", 1)[-1]
    if not file.lower().endswith(".gguf") or pairing.is_projector(file):
        return match["repo"]
    return f"{match['repo']}:{pairing.quant(file) or file}"
