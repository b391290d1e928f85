"""`mmcli voice`: a chat by voice, with typing, pictures and interruptions."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands import origins
from mmcli.commands import speech_options as speech_opt
from mmcli.commands.completion import speech_model_names
from mmcli.commands.option_groups import (
    AnswerOptions,
    FilmOptions,
    InputOptions,
    MachineOptions,
    ModelOptions,
    OutputOptions,
    PageOptions,
    TalkOptions,
)
from mmcli.commands.optional_value import with_optional_id
from mmcli.commands.pages import COMMON, RARE
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.models import Model, SpeechModel, WantedModel
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
    *,
    input_options: InputOptions,
    page_options: PageOptions,
    film_options: FilmOptions,
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
    model_options: ModelOptions,
    yes: opt.YesOpt = False,
    answer_options: AnswerOptions,
    talk_options: TalkOptions,
    machine_options: MachineOptions,
    output_options: OutputOptions,
) -> int | None:
    """Have a conversation by voice. Speak, and it answers; typing works at any time.

    Say "look at the screen, what is there?" and it does; speak while it answers, and it stops.

    mmcli voice docs/pictures/shapes.png -m starter
    mmcli voice docs/pictures/shapes.png -m starter --speak
    mmcli voice --talk toggle -m starter
    """
    from mmcli import terminal
    from mmcli.chat import resume
    from mmcli.chat.session import Session
    from mmcli.chat.voice_front import Manner, VoiceFront
    from mmcli.media import Wanted
    from mmcli.runtime import model_fetch, page_words, speech_output, transcription
    from mmcli.speech import devices
    from mmcli.speech.transcriber import Listening

    style = output_options.style()
    if talk_mode is TalkMode.hold and not terminal.tells_key_up():
        raise UsageError(
            "--talk hold needs a terminal that reports when a key is released, and this one does not",
            hint="--talk toggle: Space starts and ends your turn; kitty, Ghostty, WezTerm and foot can do hold",
        )
    wish = speech_opt.wishes(ctx, speak, voice_model, voice, output_device, json=False)
    talk = resume.talk(talk_options.continue_)
    setup = resume.setup(origins.typed(ctx), talk, model_options.model, model_options.mmproj, answer_options.system)
    machine = machine_options.machine(model_options.template)
    wanted = Wanted(pages=page_options.wanted(machine.detail, style), film=film_options.wanted())
    screen = terminal.Screen(style)
    found = model_fetch.find(setup.model, setup.mmproj, yes=yes, reporter=screen)
    wanted = page_words.fitted(wanted, page_options.ocr.value, found, screen)
    with terminal.no_chatter(style):
        microphone = devices.choose(input_device, "input")
        chosen = model_fetch.here(found, yes=yes, reporter=screen)
        speech = listener(speech_model, found, yes=yes, reporter=screen)
        recorder = resume.recorder(talk_options.history, talk_options.keep_media, screen)
        with recorder, speech_output.opened(wish, machine, yes=yes, reporter=screen) as aloud:
            front = VoiceFront(Manner(talk_mode.value, barge_in, half_duplex), aloud)
            with Session(
                chosen,
                machine,
                answer_options.choice(),
                style,
                recorder,
                front,
                max_megapixels=machine_options.max_megapixels,
                damaged_ok=input_options.damaged_ok,
                yes=yes,
                speech_model=speech,
                wanted=wanted,
            ) as session:
                session.take_up(talk, setup)
                session.attach([*(media or ()), *(input_options.attach or ())], recursive=input_options.recursive)
                listening = Listening(language=transcription.code(spoken_language), hotwords=hotwords)
                hearing = transcription.SpeechMachine(speech_device.value, compute_type.value, machine.threads)
                with front.hearing_with(microphone, speech, listening, hearing):
                    return session.run(typed=resume.typed_lines() if talk_options.history else None)


def listener(name: str | None, model: Model | WantedModel, *, yes: bool, reporter: Reporter) -> SpeechModel:
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
