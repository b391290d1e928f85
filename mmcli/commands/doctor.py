"""`mmcli doctor`: what works on this machine, what does not, and what to do about it; and whether a model sees."""

from __future__ import annotations

from typing import Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands.completion import speech_model_names, voice_model_names

CardSeedOpt = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        max=2**32 - 1,
        envvar="MMCLI_SEED",
        rich_help_panel=opt.MODEL,
        help="The same seed draws the same card.",
    ),
]
SpeechModelOpt = Annotated[
    str | None,
    typer.Option(
        "--speech-model",
        envvar="MMCLI_SPEECH_MODEL",
        autocompletion=speech_model_names,
        rich_help_panel=opt.MODEL,
        help="Load this speech model, and let it hear a sentence.",
    ),
]
VoiceModelOpt = Annotated[
    str | None,
    typer.Option(
        "--voice-model",
        envvar="MMCLI_VOICE_MODEL",
        autocompletion=voice_model_names,
        rich_help_panel=opt.MODEL,
        help="Look whether this model that speaks is here.",
    ),
]
JsonOpt = Annotated[
    bool,
    typer.Option(
        "--json", envvar="MMCLI_JSON", rich_help_panel=opt.OUTPUT, help="One JSON object: the status and all findings."
    ),
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
    json: JsonOpt = False,
    debug: opt.DebugOpt = False,
) -> int:
    """Look at this machine, the build of llama.cpp and the settings; with -m, show a model a card and ask what it sees.

    mmcli doctor   ·   mmcli doctor -m WEIGHTS.gguf --mmproj PROJECTOR.gguf   ·   mmcli doctor --speech-model small
    """
    from mmcli import health, terminal

    style = terminal.Style(json=json, debug=debug)
    findings: list[health.Finding] = []

    def show(finding: health.Finding) -> None:
        findings.append(finding)
        if not json:
            terminal.finding(finding)

    with terminal.progress(style) as progress:
        progress("examining this machine", 0, 0)
        for finding in health.examine(context.obj, speech_model=speech_model, voice_model=voice_model):
            show(finding)
        if model:
            looking = health.examine_model(
                model, mmproj, seed=seed, threads=threads, gpu_layers=gpu_layers, on_progress=progress
            )
            for finding in looking:
                show(finding)
    status = health.status(findings)
    if json:
        terminal.data({"status": status, "findings": [terminal.finding_json(finding) for finding in findings]})
    elif not any(finding.level != "ok" for finding in findings):
        terminal.notice("all is well", style)
    return status
