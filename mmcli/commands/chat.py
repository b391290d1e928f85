"""`mmcli chat`: a conversation about pictures, sounds and texts, in the terminal or line by line from a pipe."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands import speech_options as speech_opt
from mmcli.commands.going_on import with_optional_id


@with_optional_id(n_words=0)
def chat(
    ctx: typer.Context,
    media: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEDIA...] [QUESTION]",
            help="Files to talk about, and a first question in quotation marks. Picture, sound or text files, also "
            "folders and URLs.",
            show_default=False,
        ),
    ] = None,
    attach: opt.AttachOpt = None,
    recursive: opt.RecursiveOpt = False,
    damaged_ok: opt.DamagedOkOpt = False,
    model: opt.ModelOpt = None,
    mmproj: opt.MmprojOpt = None,
    speech_model: speech_opt.WriterOpt = None,
    template: opt.TemplateOpt = None,
    yes: opt.YesOpt = False,
    system: opt.SystemOpt = None,
    temperature: opt.TemperatureOpt = None,
    max_tokens: opt.MaxTokensOpt = 1024,
    seed: opt.SeedOpt = None,
    stop: opt.StopOpt = None,
    think: opt.ThinkOpt = False,
    loop_guard: opt.LoopGuardOpt = True,
    continue_: opt.ContinueOpt = None,
    history: opt.HistoryOpt = True,
    keep_media: opt.KeepMediaOpt = False,
    speak: speech_opt.SpeakOpt = False,
    voice_model: speech_opt.VoiceModelOpt = None,
    voice: speech_opt.VoiceOpt = None,
    output_device: speech_opt.OutputDeviceOpt = None,
    detail: opt.DetailOpt = opt.Detail.auto,
    ctx_size: opt.CtxSizeOpt = None,
    threads: opt.ThreadsOpt = None,
    gpu_layers: opt.GpuLayersOpt = None,
    cache: opt.CacheOpt = True,
    cache_size: opt.CacheSizeOpt = 2.0,
    max_megapixels: opt.MegapixelsOpt = 100.0,
    quiet: opt.QuietOpt = False,
    verbose: opt.VerboseOpt = False,
    debug: opt.DebugOpt = False,
    markdown: opt.MarkdownOpt = opt.MarkdownMode.auto,
) -> int | None:
    """Have a conversation about pictures, sounds and text files. Type /help in it to see what it can do.

    mmcli chat docs/pictures/shapes.png -m starter
    mmcli chat docs/pictures/shapes.png "What is this?" -m starter
    mmcli chat -c
    """
    from mmcli import terminal
    from mmcli.commands import asked, getting, line, remembering, running, speaking
    from mmcli.commands.session import Session
    from mmcli.commands.spoken import SpokenSession

    files, question = asked.split(media or (), line.of(ctx))
    style = terminal.Style(quiet=quiet, verbose=verbose, debug=debug, markdown=markdown.value)
    wish = speaking.wishes(ctx, speak, voice_model, voice, output_device, json=False)
    talk = remembering.talk(continue_)
    setup = remembering.setup(ctx, talk, model, mmproj, system)
    form = running.template(template)
    found = getting.find(setup.model, setup.mmproj, yes=yes, style=style)
    machine = running.Machine(ctx_size, threads, gpu_layers, detail.value, cache, cache_size, form)
    wishes = {
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": seed,
        "stop": tuple(stop or ()),
        "think": think,
        "loop_guard": loop_guard,
    }
    chosen = getting.here(found, yes=yes, style=style)
    recorder = remembering.recorder(history, keep_media, style)
    with recorder, speaking.opened(wish, machine, yes=yes, style=style) as aloud:
        kind = functools.partial(SpokenSession, aloud=aloud) if aloud.is_wanted else Session
        with kind(
            chosen,
            machine,
            wishes,
            style,
            recorder,
            max_megapixels=max_megapixels,
            damaged_ok=damaged_ok,
            yes=yes,
            speech_model=speech_model,
        ) as session:
            session.take_up(talk, setup)
            session.attach([*files, *(attach or ())], recursive=recursive)
            return session.run(typed=remembering.typed_lines() if history else None, first=question)
