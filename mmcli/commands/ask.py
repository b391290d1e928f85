"""`mmcli ask`: one question about pictures, sounds and texts; one answer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands import speech_options as speech_opt
from mmcli.commands.going_on import is_id, with_optional_id
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmcli.media import Medium, Source
    from mmcli.terminal import Style


@with_optional_id(n_words=1)
def ask(
    ctx: typer.Context,
    media: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEDIA...]",
            help="Picture, sound or text files; - reads stdin. Also folders and URLs, in the order in which the model "
            'is to see them. Patterns in quotation marks ("photos/*.jpg") are expanded; what is piped in needs no -.',
            show_default=False,
        ),
    ] = None,
    question: Annotated[
        str,
        typer.Argument(metavar="QUESTION", help="What you want to know, in quotation marks, last.", show_default=False),
    ] = "",
    attach: opt.AttachOpt = None,
    recursive: opt.RecursiveOpt = False,
    damaged_ok: opt.DamagedOkOpt = False,
    show: Annotated[bool, typer.Option("--show", help="Draw the pictures in the terminal first.")] = False,
    model: opt.ModelOpt = None,
    mmproj: opt.MmprojOpt = None,
    template: opt.TemplateOpt = None,
    speech_model: speech_opt.WriterOpt = None,
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
    json: opt.JsonOpt = False,
    quiet: opt.QuietOpt = False,
    verbose: opt.VerboseOpt = False,
    debug: opt.DebugOpt = False,
    markdown: opt.MarkdownOpt = opt.MarkdownMode.auto,
) -> int | None:
    """Ask a question about pictures, sounds or text files.

    mmcli ask docs/pictures/shapes.png "What is in this picture?" -m starter
    mmcli ask -c "What color is the star?"
    cat docs/pictures/phone.jpg | mmcli ask "How many shapes?" -m starter
    """
    from mmcli import engine, interrupts, terminal
    from mmcli.commands import getting, hearing, remembering, running, speaking
    from mmcli.talk import parts

    style = terminal.Style(json=json, quiet=quiet, verbose=verbose, debug=debug, markdown=markdown.value)
    # find the talk and the model, load the media: what is cheap and can fail comes first
    _check(question, continue_)
    wish = speaking.wishes(ctx, speak, voice_model, voice, output_device, json=json)
    talk = remembering.talk(continue_)
    setup = remembering.setup(ctx, talk, model, mmproj, system)
    form = running.template(template)
    found = getting.find(setup.model, setup.mmproj, yes=yes, style=style)
    machine = running.Machine(ctx_size, threads, gpu_layers, detail.value, cache, cache_size, form)
    sources = _sources([*(media or ()), *(attach or ())], recursive, style)
    recorder = remembering.recorder(history, keep_media, style)
    with (
        recorder,
        running.ahead(found, machine, style, has_media=_has_picture(sources)) as begun,
        speaking.opened(wish, machine, yes=yes, style=style) as aloud,
    ):
        inputs = _inputs(sources, max_megapixels, damaged_ok, recorder.collect)
        past = remembering.past(talk, max_megapixels, style)
        messages = [*past.messages, engine.Message("user", parts([*past.unanswered, *inputs], question))]
        if setup.system:
            messages.insert(0, engine.Message("system", (setup.system,)))
        kinds = remembering.kinds(messages)
        found.require(sight="image" in kinds, hearing=False)
        is_deaf = "audio" in kinds and not found.hears
        writer = hearing.writer(found, speech_model, yes=yes, style=style) if is_deaf else None
        if show:
            _show(inputs, style)
        # fetch what is not on this machine
        chosen = getting.here(found, yes=yes, style=style)
        chosen.require(sight="image" in kinds, hearing="audio" in kinds and writer is None)
        # a model that hears gets the sound itself, any other what is said in it
        messages = hearing.as_heard(messages, writer, chosen.name, style)
        if begun is not None:
            begun.asks(messages, think=think)
            recorder.open()
        # run and show
        sampling = running.sampling(
            chosen,
            temperature=temperature,
            max_tokens=max_tokens,
            seed=seed,
            stop=tuple(stop or ()),
            think=think,
            loop_guard=loop_guard,
        )
        with (
            interrupts.clean_end(),
            terminal.unechoed(),  # stray keys would stand in the answer; the shell gets them
            terminal.progress(style) as progress,
            running.load(chosen, machine, style, progress, begun, also_stop=aloud.stop) as ready,
        ):
            remembering.begin(recorder, "ask", talk, chosen, setup)
            recorder.question(question, inputs, sampling)
            pieces = aloud.told(recorder.keep(ready.generate(messages, sampling, progress)))
            answer = terminal.answer(pieces, style, progress, talk=recorder.talk)
            terminal.receipts(answer, style)
            speaking.finish(aloud, style)
    return running.status(answer)


def _show(inputs: Sequence[Medium], style: Style) -> None:
    from mmcli import media, terminal

    for medium in inputs:
        if isinstance(medium, media.Image):
            terminal.picture(medium.pixels, style)


def _check(question: str, talk: str | None) -> None:
    """UsageError where the last argument cannot be meant as a question."""
    from mmcli import media

    if not question.strip():
        raise UsageError("no question was given", hint='mmcli ask photo.jpg "What is this?"')
    if media.looks_like_medium(question):
        raise UsageError(
            f"`{question}` is a file, but the last argument is the question",
            hint='mmcli ask photo.jpg "What is this?"',
        )
    if talk is not None and is_id(question):
        raise UsageError(
            f"`{question}` looks like the ID of a conversation, but the last argument is the question",
            hint=f'mmcli ask -c {question} "And what else?"',
        )


def _sources(arguments: list[str], recursive: bool, style: Style) -> list[tuple[Source, bool]]:
    """What the question is about, each with whether it was piped in unasked; nothing is decoded yet."""
    from mmcli import media, terminal

    wanted = "-" in arguments
    data = media.read_stdin(
        sys.stdin.buffer if sys.stdin is not None else None,
        wanted=wanted,
        has_media=bool(arguments),
        on_wait=lambda text: terminal.notice(text, style),
    )
    found = media.find(arguments, recursive=recursive, stdin=data, on_skipped=lambda t: terminal.notice(t, style))
    sources = [(source, False) for source in found]
    if data and not wanted:
        sources.append((media.find(["-"], stdin=data)[0], True))
    return sources


def _has_picture(sources: Sequence[tuple[Source, bool]]) -> bool:
    """Whether one is a picture by its name; what the others are, their bytes will tell."""
    from mmcli.media.paths import IMAGE_SUFFIXES

    return any(source.suffix in IMAGE_SUFFIXES for source, _ in sources)


def _inputs(
    sources: Sequence[tuple[Source, bool]], max_megapixels: float, damaged_ok: bool, on_data: Callable[[bytes], None]
) -> list[Medium]:
    """The media, decoded; what is piped in comes first, or last if it is a text."""
    from mmcli import media

    inputs: list[Medium] = []
    for source, piped in sources:
        medium = media.load(source, max_megapixels=max_megapixels, damaged_ok=damaged_ok, on_data=on_data)
        inputs.insert(0 if piped and not isinstance(medium, media.Text) else len(inputs), medium)
    return inputs
