"""`mmcli help`: the page of a command, a search through all of them, or the man page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcli.commands import names, parsing
from mmcli.commands.completion import command_names
from mmcli.commands.pages import Option, Page
from mmcli.commands.topics import Topic
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmcli.terminal import HelpRow

MOST = 8  # lines of a kind that a search shows
MANY = 20  # commands that are not listed one by one


def help_(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMMAND|WORD...]",
            help="A command, or words to search all help for.",
            autocompletion=command_names,
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show every option, as --help-all does.")] = False,
    man: Annotated[bool, typer.Option("--man", help="Print the man page. `man -l` shows it.")] = False,
) -> int | None:
    """Show help for a command, or search all of it.

    mmcli help ask
    mmcli help temperature
    mmcli help --man > mmcli.1
    """
    from mmcli import terminal

    root = ctx.find_root().command
    if man:
        from mmcli.commands import manpage

        for line in manpage.lines(list(parsing.every_page(root))):
            terminal.line(line)
        return None
    if found := _command(root, words or []):
        path, command = found
        terminal.help_page(parsing.page(command, path), everything=everything)
        return None
    _search(root, words or [])
    return None


def _command(root: Any, words: Sequence[str]) -> tuple[str, Any] | None:
    """The command that all of the words name, as it is typed."""
    path, command = "mmcli", root
    for word in words[1:] if words[:1] == ["mmcli"] else words:
        word = names.ALIASES.get(word, word) if command is root else word
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            return None
        path += f" {word}"
    return path, command


def _search(root: Any, words: Sequence[str]) -> None:
    """Show what the words are said of; UsageError where that is nothing."""
    from mmcli import terminal
    from mmcli.chat import slash_commands
    from mmcli.commands import searching

    in_chats = [Topic(name, f"in a chat: {about}", usage) for name, about, usage in slash_commands.usages()]
    library = searching.HelpTexts(list(parsing.every_page(root)), in_chats)
    wanted = " ".join(words)
    found = library.find(wanted)
    if not found and (close := library.closest(wanted)):
        terminal.notice(f"nothing found for `{wanted}`; this is about `{close}`", terminal.Style())
        found = library.find(close)
    if not found:
        raise UsageError(f"nothing found for `{wanted}`", hint="`mmcli --help` lists the commands")
    topics = [f"{hit.item.command}  # {hit.item.about}" for hit in found if isinstance(hit.item, Topic)]
    pages = [terminal.HelpRow(hit.item.path, hit.item.about) for hit in found if isinstance(hit.item, Page)]
    options = [_row(hit.item, hit.where) for hit in found if isinstance(hit.item, Option)]
    lists = {"Commands": pages[:MOST], "Options": options[:MOST]}
    terminal.help_found(topics[:MOST], lists, "`mmcli help COMMAND` shows all about a command.")


def _row(option: Option, where: Sequence[str]) -> HelpRow:
    """An option's line, and below it the commands that have it."""
    from mmcli.terminal import HelpRow

    label = ", ".join([*(name for name in option.names if not name.startswith("--")), option.name, *option.off])
    default = f"(default: {option.default})" if option.default else ""
    named = ", ".join(path.removeprefix("mmcli ") for path in where)
    return HelpRow(label, option.about, option.value, default, "every command" if len(where) > MANY else f"in {named}")
