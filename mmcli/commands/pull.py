"""`mmcli pull`: download models of every kind from the Hugging Face Hub, verified; each with its projector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import any_names

if TYPE_CHECKING:
    from mmcli.models import EmbeddingModel, Model, SpeechModel
    from mmcli.terminal import Style


def pull(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...",
            autocompletion=any_names,
            help="Names from `mmcli models`, or ORG/REPO[:QUANT]. ORG/REPO is a repository on the Hub.",
            show_default=False,
        ),
    ],
    yes: opt.YesOpt = False,
    check: Annotated[
        bool | None,
        typer.Option(
            "--check/--no-check",
            help="Test whether the model sees. On a terminal it asks whether to.",
            show_default="ask",
        ),
    ] = None,
    accept_changed: Annotated[
        bool,
        typer.Option("--accept-changed", help="Accept files that changed since the last pull."),
    ] = False,
    json: opt.JsonListOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> int | None:
    """Download models from the Hugging Face Hub. The same command continues an interrupted download.

    A model comes with its projector, the file without which it can neither see nor hear.

    mmcli pull qwen3-vl-2b
    mmcli pull whisper-small
    mmcli pull Qwen/Qwen3-VL-4B-Instruct-GGUF:Q8_0
    """
    from mmcli import models, terminal
    from mmcli.runtime import model_fetch

    style = terminal.Style(json=json, quiet=quiet, debug=debug)
    screen = terminal.Screen(style)
    rows: list[tuple[str, str, str | None, bool | None]] = []
    status = 0
    for found in [models.find_any(name) for name in names]:  # a slip in the last name fails before the first download
        if isinstance(found, models.Model | models.SpeechModel | models.EmbeddingModel):
            again = f"; to download it again, run `mmcli rm {found.name}` first" if accept_changed else ""
            terminal.notice(f"{found.name} is already on this machine{again}", style)
            status = _add(rows, found, bool(check), style) or status
            continue
        # Whoever types `pull` wants it: in a script there is nobody to ask, and nothing to ask for.
        consent = yes or not terminal.can_ask(style)
        download = models.plan(found, accept_changed=accept_changed)
        if isinstance(download.wanted, models.WantedSpeech):
            _add(rows, model_fetch.fetch_speech(download, yes=consent, reporter=screen), False, style)
            continue
        if isinstance(download.wanted, models.WantedEmbedding):
            _add(rows, model_fetch.fetch_embedding(download, yes=consent, reporter=screen), False, style)
            continue
        model = model_fetch.fetch(download, yes=consent, reporter=screen)
        wanted = check
        only_own_prompts = download.wanted.entry is not None and bool(download.wanted.entry.prompts)
        if check is None and not consent and model.sees and not only_own_prompts:
            wanted = terminal.confirm(f"Show {model.name} a test card, to find out whether it sees?")
        status = _add(rows, model, bool(wanted), style) or status
    if not quiet:
        terminal.table(("name", "weights", "projector", "sees"), rows, style)
    return status


def _add(
    rows: list[tuple[str, str, str | None, bool | None]],
    model: Model | SpeechModel | EmbeddingModel,
    check: bool,
    style: Style,
) -> int:
    """The row of a model that is here, examined where that is wanted; the status of the examination."""
    projector = getattr(model, "projector", None)
    status, sees = _examine(model.name, style) if check and getattr(model, "sees", False) else (0, None)
    rows.append((model.name, str(model.weights), str(projector) if projector else None, sees))
    return status


def _examine(name: str, style: Style) -> tuple[int, bool | None]:
    """Show the model a card and say in a few lines what came of it; None where no verdict was reached."""
    from mmcli import health, terminal

    with terminal.progress(style) as progress:
        findings = list(health.examine_model(name, on_progress=progress))
    for finding in findings:
        if finding.level == "ok":
            terminal.notice(finding.message, style)
        else:
            remedy = f": {finding.remedy}" if finding.remedy else ""
            terminal.warning(f"{finding.check}: {finding.message}{remedy}", style)
    verdicts = [finding.facts["sees"] for finding in findings if "sees" in finding.facts]
    return health.status(findings), verdicts[-1] if verdicts else None
