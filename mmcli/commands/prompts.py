"""`mmcli prompts`: list, show, edit and remove saved prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import prompt_names
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.prompts import SavedPrompt

NameArg = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A prompt's name.", autocompletion=prompt_names, show_default=False),
]
NEW = """\
# $input is what you ask or pipe in; give other variables with -p NAME VALUE.
prompt = ""
# system = ""
# model = ""
# temperature = 0.2
# max_tokens = 1024
# extract = true  # print only the last code block
# [variables]
# language = "German"
"""


def prompts(ctx: typer.Context, json: opt.JsonListOpt = False) -> int | None:
    """List, show, edit and remove saved prompts. `mmcli ask --save NAME` saves one, `-t NAME` uses it.

    mmcli prompts
    mmcli prompts show translate
    """
    from mmcli import prompts as saved
    from mmcli import terminal

    if ctx.invoked_subcommand is not None:
        return None
    style, rows = terminal.Style(json=json), []
    for name in saved.names():
        try:
            rows.append((name, _about(saved.load(name))))
        except UsageError as error:  # one bad file must not hide the others
            rows.append((name, f"(not valid: {error.message})"))
    terminal.table(("name", "prompt"), rows, style, spare=("prompt",))
    if not rows:
        terminal.notice("no prompts are saved yet: `mmcli ask QUESTION --save NAME` saves one", style)
    return None


def show(name: NameArg) -> int | None:
    """Show a saved prompt.

    mmcli prompts show translate
    """
    from mmcli import prompts as saved
    from mmcli import terminal

    for line in saved.text(name).splitlines():
        terminal.line(line)
    return None


def edit(name: NameArg) -> int | None:
    """Open a prompt in your editor, or begin one. $VISUAL or $EDITOR names it; the file is checked afterwards.

    mmcli prompts edit translate
    """
    from mmcli import files, terminal
    from mmcli import prompts as saved
    from mmcli.commands import editing

    place = saved.file(name)
    is_new = not place.exists()
    if is_new:
        files.make_folder(place.parent)
        files.write(place, NEW.encode())

    def check() -> None:
        if place.exists() and not (is_new and saved.text(name) == NEW):
            saved.load(name)

    try:
        return editing.edit(place, check, terminal.Style())
    finally:
        if is_new and place.exists() and place.read_text("utf-8", "replace") == NEW:
            place.unlink()  # nothing was written


def rm(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Prompts' names.", autocompletion=prompt_names, show_default=False),
    ],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Remove without asking.")] = False,
    quiet: opt.QuietOpt = False,
) -> int | None:
    """Remove saved prompts. Asks first on a terminal.

    mmcli prompts rm translate
    """
    from mmcli import prompts as saved
    from mmcli import terminal

    style = terminal.Style(quiet=quiet)
    known = saved.names()
    for name in names:
        if name not in known:
            raise saved.missing(name)
    if not yes:
        if not terminal.can_ask(style):
            raise UsageError("`mmcli prompts rm` asks first, and cannot ask here", hint="--yes removes without asking")
        if not terminal.confirm(f"Remove {', '.join(names)}?", default=False):
            terminal.notice("nothing was removed", style)
            return None
    for name in dict.fromkeys(names):
        saved.remove(name)
    terminal.notice(f"removed: {', '.join(dict.fromkeys(names))}", style)
    return None


def path() -> int | None:
    """Print the folder of the saved prompts.

    mmcli prompts path
    """
    from mmcli import prompts as saved
    from mmcli import terminal

    terminal.line(str(saved.folder()))
    return None


def _about(prompt: SavedPrompt) -> str:
    """A prompt on one line."""
    words = [prompt.prompt or "", f"(system: {prompt.system})" if prompt.system else ""]
    return " ".join(" ".join(filter(None, words)).split())
