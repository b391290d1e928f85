"""`mmcli rm`: remove models from this machine, after showing what goes and how much that frees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.errors import ModelError, UsageError

if TYPE_CHECKING:
    from mmcli.models.removing import Partial, Removal
    from mmcli.terminal import Style

# Without a variable, unlike the --yes of downloads: who has consented to those has not consented to this.
YesOpt = Annotated[bool, typer.Option("-y", "--yes", help="Remove without asking.")]


def rm(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME...]", help="Names from `mmcli models`, or ORG/REPO[:QUANT].", show_default=False),
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Remove what interrupted downloads left behind.")] = False,
    consent: YesOpt = False,
    json: opt.JsonListOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> int | None:
    """Remove models from this machine. Files of other programs stay where they are.

    mmcli rm qwen3-vl-2b
    mmcli rm --partial
    """
    from mmcli import terminal

    style = terminal.Style(json=json, quiet=quiet, debug=debug)
    if bool(names) == partial:
        raise UsageError("name the models to remove, or use --partial", hint="`mmcli models` lists the names")
    if not (consent or terminal.can_ask(style)):
        raise UsageError(
            "`mmcli rm` asks before it removes anything, but this is not a terminal",
            hint="--yes removes without asking",
        )
    return _partials(consent, style) if partial else _models(names or [], consent, style)


def _models(names: list[str], consent: bool, style: Style) -> int:
    from mmcli import terminal
    from mmcli.models import removing
    from mmcli.models.sizes import words

    removal = removing.plan(names)
    for text in _told(removal):
        terminal.notice(text, style)
    n_files = sum(len(target.files) for target in removal.targets)
    what = f"{_count(n_files, 'file')}, {words(removal.n_bytes)}" if removal.targets else "the name only"
    called = ", ".join([*(t.name for t in removal.targets), *(model.name for model in removal.forgotten)])
    if not consent and not terminal.confirm(f"Remove {called} ({what})?", default=False):
        raise ModelError("nothing was removed")
    removing.remove(removal)
    if style.json:
        terminal.data(_json(removal))
    elif not style.quiet:
        for model in removal.forgotten:
            terminal.line(f"forgot {model.name}")
        if removal.targets:
            terminal.line(f"removed {', '.join(t.name for t in removal.targets)}: {words(removal.n_bytes)} freed")
    return 0


def _told(removal: Removal) -> list[str]:
    """What goes and what stays, a sentence each."""
    lines = []
    for target in removal.targets:
        lines += [f"{target.name}: {target.snapshot / file}" for file in target.files]
        lines += [f"{target.name}: {file} stays, other weights beside it need it" for file in target.kept]
    for model in removal.forgotten:
        lines.append(f"{model.name}: only forgotten; its files stay where {model.place} keeps them: {model.weights}")
    return lines


def _json(removal: Removal) -> dict[str, object]:
    return {
        "removed": [
            {"name": target.name, "files": [str(target.snapshot / file) for file in target.files]}
            for target in removal.targets
        ],
        "forgotten": [model.name for model in removal.forgotten],
        "freed_bytes": removal.n_bytes,
    }


def _partials(consent: bool, style: Style) -> int:
    from mmcli import terminal
    from mmcli.models import removing
    from mmcli.models.sizes import words

    idle, busy = removing.partials()
    for part in idle:
        terminal.notice(f"{part.repo}: {words(part.n_bytes)} of an interrupted download", style)
    for part in busy:
        terminal.notice(f"{part.repo}: is being downloaded right now, so it stays", style)
    n_bytes = sum(part.n_bytes for part in idle)
    question = f"Remove what {_count(len(idle), 'download')} left ({words(n_bytes)})?"
    if idle and not consent and not terminal.confirm(question, default=False):
        raise ModelError("nothing was removed")
    gone: list[Partial] = [part for part in idle if removing.remove_partial(part)]
    freed = sum(part.n_bytes for part in gone)
    if style.json:
        terminal.data({"removed": [str(part.path) for part in gone], "freed_bytes": freed})
    elif not style.quiet:
        what = f"removed {_count(len(gone), 'partial download')}: {words(freed)} freed"
        terminal.line(what if gone else "there are no interrupted downloads")
    return 0


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
