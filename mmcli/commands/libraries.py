"""Which library a command is about, and the model of its vectors: what `index`, `find` and others share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.embed.protocol import Space
    from mmcli.runtime.reporter import Reporter

LIBRARY = "Library"
DEFAULT = "default"

LibraryOpt = Annotated[
    str,
    typer.Option(
        "--index",
        metavar="NAME|PATH",
        envvar="MMCLI_INDEX",
        rich_help_panel=LIBRARY,
        help="Which library. A name, or the path of its folder.",
    ),
]
EmbedModelOpt = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        metavar="NAME",
        envvar="MMCLI_EMBED_MODEL",
        rich_help_panel=opt.MODEL,
        help="The embedding model: a name, or a folder with its files. Another one than before computes all anew.",
        show_default="the library's",
    ),
]


def folder(name: str) -> Path:
    """Where a library lies; UsageError for a name that is none."""
    from mmcli import config

    if os.sep in name or name.startswith("~"):
        return Path(os.path.abspath(os.path.expanduser(name)))
    if not name or name.startswith(".") or any(not (char.isalnum() or char in "-_.") for char in name):
        raise UsageError(f"`{name}` is no name of a library", hint="letters, digits, - and _; or a path with a slash")
    return config.data_dir() / "library" / name


def shown(path: Path) -> str:
    """A library's name, as a person knows it."""
    from mmcli import config

    return path.name if path.parent == config.data_dir() / "library" else str(path)


def space(name: str | None, *, yes: bool, threads: int | None, reporter: Reporter) -> Space:
    """The embedding model of that name, or the default. Its towers are loaded when they are first used."""
    from mmcli.runtime import embedding

    return embedding.open_space(whole(name), yes=yes, reporter=reporter, threads=threads)


def whole(name: str | None) -> str | None:
    """A model's name as the library remembers it, wherever it is asked from: a folder's is absolute."""
    if name is not None and (os.sep in name or name.startswith("~")):
        return os.path.abspath(os.path.expanduser(name))
    return name
