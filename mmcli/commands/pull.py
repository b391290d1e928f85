"""`mmcli pull`: models from the Hugging Face Hub, each with its projector, verified; speech models too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt

if TYPE_CHECKING:
    from mmcli.models import Model, SpeechModel


def pull(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
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
    for found in [models.find_any(name) for name in names]:  # a slip in the last name fails before the first download
        if isinstance(found, models.Model | models.SpeechModel):
            terminal.notice(f"{found.name} is on this machine already", style)
            rows.append(_row(found))
            continue
        # Whoever types `pull` wants it: in a script there is nobody to ask, and nothing to ask for.
        consent = yes or not terminal.can_ask(style)
        download = models.plan(found)
        if isinstance(download.wanted, models.WantedSpeech):
            rows.append(_row(getting.fetch_speech(download, yes=consent, style=style)))
        else:
            rows.append(_row(getting.fetch(download, yes=consent, style=style)))
    if not quiet:
        terminal.table(("name", "weights", "projector"), rows, style)
    return None


def _row(model: Model | SpeechModel) -> tuple[str, str, str | None]:
    projector = getattr(model, "projector", None)
    return model.name, str(model.weights), str(projector) if projector else None
