"""`mmcli pull`: models from the Hugging Face Hub, each with its projector, verified."""

from __future__ import annotations

from typing import Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import model_names


def pull(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            autocompletion=model_names,
            help="Names from `mmcli models`, or ORG/REPO[:QUANT] on the Hugging Face Hub.",
            show_default=False,
        ),
    ],
    yes: opt.YesOpt = False,
    json: opt.JsonListOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> int | None:
    """Fetch models with their projectors; what an interrupted download left is not fetched again.

    mmcli pull qwen3-vl-2b   ·   mmcli pull Qwen/Qwen3-VL-4B-Instruct-GGUF:Q8_0
    """
    from mmcli import models, terminal
    from mmcli.commands import getting

    style = terminal.Style(json=json, quiet=quiet, debug=debug)
    rows = []
    for found in [models.find(name) for name in names]:  # a slip in the last name fails before the first download
        if isinstance(found, models.Model):
            terminal.notice(f"{found.name} is on this machine already", style)
        else:
            # Whoever types `pull` wants it: in a script there is nobody to ask, and nothing to ask for.
            consent = yes or not terminal.can_ask(style)
            found = getting.fetch(models.plan(found), yes=consent, style=style)
        rows.append((found.name, str(found.weights), str(found.projector) if found.projector else None))
    if not quiet:
        terminal.table(("name", "weights", "projector"), rows, style)
    return None
