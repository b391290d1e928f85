"""`mmcli voice`: a chat by voice, with typing, pictures and interruptions."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands import origins
from mmcli.commands import speech_options as speech_opt
from mmcli.commands.completion import speech_model_names
from mmcli.commands.optional_value import with_optional_id
from mmcli.commands.pages import COMMON, RARE
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.models import Model, SpeechModel, Wanted
    from mmcli.runtime.reporter import Reporter

VOICE = "Voice"


class TalkMode(StrEnum):
    auto = "auto"
    toggle = "toggle"
    hold = "hold"


@with_optional_id(n_words=0)
def voice(
    ctx: typer.Context,
    media: opt.TalkMediaArg = None,
    attach: opt.AttachOpt = None,
    recursive: opt.RecursiveOpt = False,
    damaged_ok: opt.DamagedOkOpt = False,
    talk_mode: Annotated[
        TalkMode,
        typer.Option(
            "--talk",
            envvar="MMCLI_TALK_MODE",
            rich_help_panel=VOICE,
            help="When you are done speaking. auto: a pause ends your turn; toggle: Space starts and ends it; "
            "hold: hold Space while you speak.",
        ),
    ] = TalkMode.auto,
    barge_in: Annotated[
        bool,
        typer.Option(
            "--barge-in/--no-barge-in",
            envvar="MMCLI_BARGE_IN",
            rich_help_panel=VOICE,
            help="Let your voice interrupt an answer.",
        ),
    ] = True,
    speak: speech_opt.SpeakOpt = False,
    half_duplex: Annotated[
        bool,
        typer.Option(
            "--half-duplex/--no-half-duplex",
            envvar="MMCLI_HALF_DUPLEX",
            rich_help_panel=speech_opt.ALOUD,
            help="Do not listen while it speaks. With --speak, so that it cannot interrupt itself.",
        ),
    ] = False,
    voice_model: Annotated[speech_opt.VoiceModelOpt, COMMON] = None,
    voice: Annotated[speech_opt.VoiceOpt, COMMON] = None,
    output_device: Annotated[speech_opt.OutputDeviceOpt, COMMON] = None,
    input_device: Annotated[
        str | None,
        typer.Option(
            "--input-device",
            metavar="NAME",
            envvar="MMCLI_INPUT_DEVICE",
            rich_help_panel=VOICE,
            help="Microphone. A number, or part of a name, from `mmcli devices`.",
        ),
    ] = None,
    speech_model: Annotated[
        str | None,
        typer.Option(
            "--speech-model",
            metavar="NAME",
            envvar="MMCLI_SPEECH_MODEL",
            autocompletion=speech_model_names,
            rich_help_panel=VOICE,
            help="Speech model from `mmcli models`, or a folder. It transcribes what you say; "
            "also ORG/REPO on the Hugging Face Hub.",
        ),
    ] = None,
    spoken_language: speech_opt.SpokenLanguageOpt = None,
    hotwords: Annotated[
        str | None,
        typer.Option("--hotwords", envvar="MMCLI_HOTWORDS", rich_help_panel=VOICE, help="Names and terms you may say."),
        RARE,
    ] = None,
    speech_device: speech_opt.SpeechDeviceOpt = speech_opt.SpeechDevice.auto,
    compute_type: speech_opt.ComputeTypeOpt = speech_opt.ComputeType.auto,
    model: opt.ModelOpt = None,
    mmproj: opt.MmprojOpt = None,
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
    """Have a conversation by voice. Speak, and it answers; typing works at any time.

    Say "look at the screen, what is there?" and it does; speak while it answers, and it stops.

    mmcli voice docs/pictures/shapes.png -m starter
    mmcli voice docs/pictures/shapes.png -m starter --speak
    mmcli voice --talk toggle -m starter
    """
    from mmcli import terminal
    from mmcli.chat import resume
    from mmcli.chat.voice_session import Manner, VoiceSession
    from mmcli.runtime import model_fetch, model_loader, speech_output, transcription
    from mmcli.speech import devices
    from mmcli.speech.transcriber import Listening

    style = terminal.Style(quiet=quiet, verbose=verbose, debug=debug, markdown=markdown.value)
    if talk_mode is TalkMode.hold and not terminal.tells_key_up():
        raise UsageError(
            "--talk hold needs a terminal that reports when a key is released, and this one does not",
            hint="--talk toggle: Space starts and ends your turn; kitty, Ghostty, WezTerm and foot can do hold",
        )
    wish = speech_opt.wishes(ctx, speak, voice_model, voice, output_device, json=False)
    talk = resume.talk(continue_)
    setup = resume.setup(origins.typed(ctx), talk, model, mmproj, system)
    form = model_loader.template(template)
    screen = terminal.Screen(style)
    found = model_fetch.find(setup.model, setup.mmproj, yes=yes, reporter=screen)
    with terminal.no_chatter(style):
        microphone = devices.choose(input_device, "input")
        chosen = model_fetch.here(found, yes=yes, reporter=screen)
        speech = listener(speech_model, found, yes=yes, reporter=screen)
        machine = model_loader.Machine(ctx_size, threads, gpu_layers, detail.value, cache, cache_size, form)
        wishes = {
            "temperature": temperature,
            "max_tokens": max_tokens,
            "seed": seed,
            "stop": tuple(stop or ()),
            "think": think,
            "loop_guard": loop_guard,
        }
        manner = Manner(talk_mode.value, barge_in, half_duplex)
        recorder = resume.recorder(history, keep_media, screen)
        limits = {
            "max_megapixels": max_megapixels,
            "damaged_ok": damaged_ok,
            "yes": yes,
            "speech_model": speech,
        }
        with (
            recorder,
            speech_output.opened(wish, machine, yes=yes, reporter=screen) as aloud,
            VoiceSession(chosen, machine, wishes, style, recorder, manner=manner, aloud=aloud, **limits) as session,
        ):
            session.take_up(talk, setup)
            session.attach([*(media or ()), *(attach or ())], recursive=recursive)
            listening = Listening(language=transcription.code(spoken_language), hotwords=hotwords)
            with session.hearing_with(
                microphone, speech, listening, transcription.Machine(speech_device.value, compute_type.value, threads)
            ):
                return session.run(typed=resume.typed_lines() if history else None)


def listener(name: str | None, model: Model | Wanted, *, yes: bool, reporter: Reporter) -> SpeechModel:
    """The speech model: the one that was named, or this machine's; the starter's own where nothing else is here."""
    from mmcli import models
    from mmcli.models import speech
    from mmcli.runtime import model_fetch

    if name is None and model.name == "starter" and speech.has_starter():
        found = models.find_speech(None)
        if isinstance(found, models.WantedSpeech):
            reporter.notice(
                "heard by the starter speech model, which knows a few hundred English words; "
                f"`mmcli pull {found.name}` downloads one that understands people"
            )
            return speech.starter()
    return model_fetch.speech(name, yes=yes, reporter=reporter)
