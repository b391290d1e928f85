"""`mmcli doctor`: what works on this machine, what does not, and what to do about it; and whether a model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import speech_model_names, voice_model_names
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.health import Finding
    from mmcli.terminal import Style

CardSeedOpt = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        max=2**32 - 1,
        envvar="MMCLI_SEED",
        rich_help_panel=opt.MODEL,
        help="Draw the same test card again.",
        show_default="random",
    ),
]
SpeechModelOpt = Annotated[
    str | None,
    typer.Option(
        "--speech-model",
        metavar="NAME",
        envvar="MMCLI_SPEECH_MODEL",
        autocompletion=speech_model_names,
        rich_help_panel=opt.MODEL,
        help="Load this speech model, and test it with a sentence.",
    ),
]
VoiceModelOpt = Annotated[
    str | None,
    typer.Option(
        "--voice-model",
        metavar="NAME",
        envvar="MMCLI_VOICE_MODEL",
        autocompletion=voice_model_names,
        rich_help_panel=opt.MODEL,
        help="Check that this voice model is here.",
    ),
]
RebuildOpt = Annotated[
    bool,
    typer.Option(
        "--rebuild",
        rich_help_panel=opt.MACHINE,
        help="Compile llama.cpp for this machine. For its GPU or CPU; it is used if it is correct and faster. "
        "Takes 5 minutes or more.",
    ),
]
UndoOpt = Annotated[
    bool,
    typer.Option("--undo", rich_help_panel=opt.MACHINE, help="Go back to the installed llama.cpp."),
]
JsonOpt = Annotated[
    bool,
    typer.Option("--json", envvar="MMCLI_JSON", rich_help_panel=opt.OUTPUT, help="Print all findings as JSON."),
]


def doctor(
    context: typer.Context,
    model: opt.ModelOpt = None,
    mmproj: opt.MmprojOpt = None,
    seed: CardSeedOpt = None,
    threads: opt.ThreadsOpt = None,
    gpu_layers: opt.GpuLayersOpt = None,
    speech_model: SpeechModelOpt = None,
    voice_model: VoiceModelOpt = None,
    rebuild: RebuildOpt = False,
    undo: UndoOpt = False,
    json: JsonOpt = False,
    debug: opt.DebugOpt = False,
) -> int:
    """Check this machine, the build, the settings, a model. With -m, find out whether a model really sees.

    mmcli doctor
    mmcli doctor -m starter
    mmcli doctor --json
    """
    from mmcli import health, terminal

    if rebuild and undo:
        raise UsageError("--rebuild and --undo contradict each other")
    style = terminal.Style(json=json, debug=debug)
    findings: list[health.Finding] = []

    def show(finding: health.Finding) -> None:
        findings.append(finding)
        if not json:
            terminal.finding(finding)

    with terminal.progress(style) as progress:
        if rebuild or undo:
            for finding in health.remake(progress) if rebuild else [health.undo()]:
                show(finding)
            return _conclude(findings, style, is_examined=False)
        progress("examining this machine", 0, 0)
        for finding in health.examine(context.obj, speech_model=speech_model, voice_model=voice_model):
            show(finding)
        if model:
            looking = health.examine_model(
                model, mmproj, seed=seed, threads=threads, gpu_layers=gpu_layers, on_progress=progress
            )
            for finding in looking:
                show(finding)
    return _conclude(findings, style)


def _conclude(findings: Sequence[Finding], style: Style, *, is_examined: bool = True) -> int:
    """The status of all that was found, and what is left to say."""
    from mmcli import health, terminal

    status = health.status(findings)
    if style.json:
        terminal.data({"status": status, "findings": [terminal.finding_json(finding) for finding in findings]})
    elif is_examined and all(finding.level == "ok" for finding in findings):
        terminal.notice("all is well", style)
    return status
