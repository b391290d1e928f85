"""`mmcli history`: list, show, search, export and delete conversations."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import talk_ids
from mmcli.errors import BatchError, InputError, UsageError

if TYPE_CHECKING:
    from mmcli.history import Store, Talk
    from mmcli.terminal import Style

SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}

COLUMNS = ("id", "last", "kind", "model", "turns", "media", "first question")
SPARE = ("kind", "media", "turns", "model", "last", "first question")  # what a narrow terminal goes without, in order
HIT_COLUMNS = ("id", "asked", "question", "answer")
HIT_SPARE = ("asked", "question", "answer")
EXCERPT, BEFORE = 200, 8  # characters of a text in a list of what a search found, and of those before the word

IdArg = Annotated[
    str | None,
    typer.Argument(
        metavar="[ID]",
        help="A conversation's ID, or its beginning; without it, the last.",
        autocompletion=talk_ids,
        show_default=False,
    ),
]
IdsArg = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID...]",
        help="IDs of conversations, or their beginnings.",
        autocompletion=talk_ids,
        show_default=False,
    ),
]
LimitOpt = Annotated[int, typer.Option("-n", "--limit", min=0, help="Show the last N; 0 for all.")]
AllTurnsOpt = Annotated[bool, typer.Option("--all", help="Include what /undo took back.")]


class HistoryFormat(StrEnum):
    md = "md"
    json = "json"


def history(ctx: typer.Context, limit: LimitOpt = 20, json: opt.JsonListOpt = False) -> int | None:
    """List, search, show, export and delete conversations.

    mmcli history
    mmcli history show
    mmcli history search circle
    """
    from mmcli import terminal

    if ctx.invoked_subcommand is not None:
        return None
    style = terminal.Style(json=json)
    with _open() as store:
        found = store.talks()
    some = found[:limit] if limit else found
    if json:
        terminal.data([terminal.summary_json(summary) for summary in some])
        return None
    rows = [
        (s.id, terminal.when(s.changed), s.kind, _short(s.model), s.n_turns, s.n_media, terminal.flat(s.title))
        for s in some
    ]
    if rows:
        terminal.table(COLUMNS, rows, style, spare=SPARE, shares={"model": 0.25})
    else:
        terminal.notice('nothing is kept yet: mmcli ask photo.jpg "What is this?"', style)
    if len(some) < len(found):
        terminal.notice(f"{len(some)} of {len(found)} conversations; -n 0 lists all", style)
    _warn_of_damage({summary.id: summary.damage for summary in some}, style)
    return None


def show(talk: IdArg = None, everything: AllTurnsOpt = False, json: opt.JsonListOpt = False) -> int | None:
    """Show a conversation: questions, files, answers.

    mmcli history show
    mmcli history show --json
    """
    from mmcli import terminal

    with _open() as store:
        found = store.load(talk, damaged=True)
    if json:
        terminal.data(terminal.talk_json(found, everything=everything))
    else:
        terminal.talk(found, terminal.Style(), everything=everything)
    if found.damage:
        raise _damaged(found)
    return None


def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="Words that must all be there, in any order.")],
    limit: LimitOpt = 20,
    json: opt.JsonListOpt = False,
) -> int | None:
    """Find conversations by their words. In questions, answers and file names; capitals and accents do not matter.

    mmcli history search circle
    mmcli history search yellow star --json
    """
    from mmcli import terminal

    style = terminal.Style(json=json)
    wanted = " ".join(words)
    with _open() as store:
        found = store.search(wanted)
    some = found[:limit] if limit else found
    _warn_of_damage({hit.talk: hit.damage for hit in some if hit.damage}, style)
    if json:
        terminal.data([terminal.hit_json(hit) for hit in some])
        return None
    rows = [
        (hit.talk, terminal.when(hit.asked), *(_told(text, wanted) for text in (hit.question, hit.said)))
        for hit in some
    ]
    if rows:
        terminal.table(HIT_COLUMNS, rows, style, spare=HIT_SPARE, shares={"question": 0.35})
    else:
        terminal.notice("no question or answer has all of these words", style)
    if len(some) < len(found):
        terminal.notice(f"{len(some)} of {len(found)} turns; -n 0 shows all", style)
    return None


def export(
    talks: IdsArg = None,
    form: Annotated[HistoryFormat, typer.Option("-f", "--format", help="Markdown or JSON.")] = HistoryFormat.md,
    everything: AllTurnsOpt = False,
) -> int | None:
    """Print conversations as Markdown or JSON. All of them, if you name none.

    mmcli history export > conversations.md
    mmcli history export -f json > conversations.json
    """
    from mmcli import terminal

    documents = []
    damaged: list[InputError] = []
    with _open() as store:
        names = [store.find(name) for name in talks] if talks else [s.id for s in reversed(store.talks())]
        for i, name in enumerate(names):
            found = store.load(name, damaged=True)
            damaged += [_damaged(found)] if found.damage else []
            if form == HistoryFormat.json:
                documents.append(terminal.talk_json(found, everything=everything))
                continue
            if i:
                terminal.line("")
            terminal.talk_markdown(found, everything=everything)
    if form == HistoryFormat.json:
        terminal.data(documents)
    if damaged and len(names) == 1:
        raise damaged[0]
    for error in damaged:
        terminal.failure(error.message, None)
    if damaged:
        raise BatchError(
            f"{len(damaged)} of {len(names)} conversations could not be read completely",
            hint="everything else was exported",
        )
    return None


def delete(
    talks: IdsArg = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Not continued for this long: 12h, 30d, 8w, 1y."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete all conversations.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Delete without asking.")] = False,
    quiet: opt.QuietOpt = False,
) -> int | None:
    """Delete conversations for good. With the copies of files that were kept for them; asks first on a terminal.

    mmcli history delete --older-than 30d
    mmcli history delete --older-than 1y --yes
    """
    from mmcli import terminal

    style = terminal.Style(quiet=quiet)
    if talks or older_than is not None:
        if everything:
            raise UsageError("--all deletes everything, so it takes no IDs and no --older-than")
    elif not everything:
        raise UsageError(
            "which conversations?", hint="`mmcli history delete 4k2f`, or --older-than 30d, or --all for everything"
        )
    if not (yes or terminal.can_ask(style)):
        raise UsageError(
            "`mmcli history delete` asks before it deletes anything, but this is not a terminal",
            hint="--yes deletes without asking",
        )
    age = None if older_than is None else _seconds(older_than)
    with _open() as store:
        names = dict.fromkeys(store.find(name) for name in talks or ())
        names |= dict.fromkeys(store.older_than(age) if age is not None else ())
        if everything:
            names = dict.fromkeys(summary.id for summary in store.talks())
        all_of = "all " if everything and len(names) > 1 else ""
        words = f"{all_of}{len(names)} conversation{'s' if len(names) != 1 else ''}"
        if names and not yes and not terminal.confirm(f"Delete {words}?", default=False):
            terminal.notice("nothing was deleted", style)
            return None
        terminal.notice(f"{words if store.delete(names) else 'no conversation'} deleted", style)
    return None


def _told(text: str, wanted: str) -> str:
    """A text on one line: whole for a program, on a terminal from about where the words are."""
    from mmcli import search_words, terminal

    return (
        search_words.excerpt(terminal.flat(text), wanted, EXCERPT, BEFORE)
        if terminal.is_screen()
        else terminal.flat(text)
    )


def _damaged(talk: Talk) -> InputError:
    return InputError(f"conversation `{talk.id}` is damaged: {'; '.join(talk.damage)}", hint="the rest of it is shown")


def _warn_of_damage(damage: dict[str, tuple[str, ...]], style: Style) -> None:
    from mmcli import terminal

    for talk, clauses in damage.items():
        if clauses:
            terminal.warning(f"conversation `{talk}` is damaged: {'; '.join(clauses)}", style)


def _open() -> Store:
    from mmcli.history import Store

    return Store(create=False)


def _short(model: str) -> str:
    """A model's name for a list: of a file, its last part."""
    return model.replace("\\", "/").rsplit("/", 1)[-1] if model.lower().endswith(".gguf") else model


def _seconds(age: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdwy])", age.strip().lower())
    if match is None:
        raise UsageError(f"`{age}` is not an age", hint="a number and h, d, w or y: 12h, 30d, 8w, 1y")
    return float(match[1]) * SECONDS[match[2]]
