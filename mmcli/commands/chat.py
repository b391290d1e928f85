"""`mmcli chat`: a conversation about pictures, sounds and texts, in the terminal or line by line from a pipe."""

from __future__ import annotations

import functools
from typing import Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands import origins
from mmcli.commands import speech_options as speech_opt
from mmcli.commands.optional_value import with_optional_id


@with_optional_id(n_words=0)
def chat(
    ctx: typer.Context,
    media: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEDIA...] [QUESTION]",
            help="Files to talk about, and a first question in quotation marks. Picture, sound or text files, also "
            "folders, URLs and parts of files: photo.jpg#xywh=10,10,200,80.",
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
    from mmcli.chat import resume
    from mmcli.chat.session import Session
    from mmcli.chat.spoken_session import SpokenSession
    from mmcli.commands import asked, line
    from mmcli.runtime import model_fetch, model_loader, speech_output

    files, question = asked.split(media or (), line.of(ctx))
    style = terminal.Style(quiet=quiet, verbose=verbose, debug=debug, markdown=markdown.value)
    wish = speech_opt.wishes(ctx, speak, voice_model, voice, output_device, json=False)
    talk = resume.talk(continue_)
    setup = resume.setup(origins.typed(ctx), talk, model, mmproj, system)
    form = model_loader.template(template)
    screen = terminal.Screen(style)
    found = model_fetch.find(setup.model, setup.mmproj, yes=yes, reporter=screen)
    machine = model_loader.Machine(ctx_size, threads, gpu_layers, detail.value, cache, cache_size, form)
    wishes = {
        "temperature": temperature,
        "max_tokens": max_tokens,
        "seed": seed,
        "stop": tuple(stop or ()),
        "think": think,
        "loop_guard": loop_guard,
    }
    chosen = model_fetch.here(found, yes=yes, reporter=screen)
    recorder = resume.recorder(history, keep_media, screen)
    with recorder, speech_output.opened(wish, machine, yes=yes, reporter=screen) as aloud:
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
            return session.run(typed=resume.typed_lines() if history else None, first=question)
