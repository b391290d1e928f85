"""The options of speech that several commands share: what hears, what speaks, and through which devices."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import origins
from mmcli.commands.completion import languages, speech_model_names, voice_model_names
from mmcli.commands.options import MACHINE, MODEL
from mmcli.commands.pages import RARE
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.runtime.speech_output import Wishes


class SpeechDevice(StrEnum):
    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class ComputeType(StrEnum):
    auto = "auto"
    int8 = "int8"
    int8_float16 = "int8_float16"
    int8_float32 = "int8_float32"
    int8_bfloat16 = "int8_bfloat16"
    float16 = "float16"
    bfloat16 = "bfloat16"
    float32 = "float32"


ALOUD = "Speech output"

SpeechModelOpt = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        "--speech-model",
        metavar="NAME",
        envvar="MMCLI_SPEECH_MODEL",
        autocompletion=speech_model_names,
        rich_help_panel=MODEL,
        help="A speech model from `mmcli models`, or a folder. Also ORG/REPO on the Hugging Face Hub.",
    ),
]
WriterOpt = Annotated[
    str | None,
    typer.Option(
        "--speech-model",
        metavar="NAME",
        envvar="MMCLI_SPEECH_MODEL",
        autocompletion=speech_model_names,
        rich_help_panel=MODEL,
        help="Transcribes sounds for a model that cannot hear.",
    ),
    RARE,
]
SpokenLanguageOpt = Annotated[
    str | None,
    typer.Option(
        "--spoken-language",
        "--language",
        "-l",
        metavar="NAME",
        envvar="MMCLI_SPOKEN_LANGUAGE",
        autocompletion=languages,
        rich_help_panel="Words",
        help="Spoken language. By code or name: de, German.",
        show_default="detected",
    ),
]
InputDeviceOpt = Annotated[
    str | None,
    typer.Option(
        "--input-device",
        metavar="NAME",
        envvar="MMCLI_INPUT_DEVICE",
        rich_help_panel=MACHINE,
        help="Microphone. A number, or part of a name, from `mmcli devices`.",
    ),
]
SpeakOpt = Annotated[
    bool,
    typer.Option(
        "--speak/--no-speak",
        envvar="MMCLI_SPEAK",
        rich_help_panel=ALOUD,
        help="Read the answer aloud as well. Sentence by sentence, while it is written.",
    ),
]
VoiceModelOpt = Annotated[
    str | None,
    typer.Option(
        "--voice-model",
        metavar="NAME",
        envvar="MMCLI_VOICE_MODEL",
        autocompletion=voice_model_names,
        rich_help_panel=ALOUD,
        help="A model that speaks, or `system`. Without it, such a model if one is here, else the system's voice.",
    ),
    RARE,
]
VoiceOpt = Annotated[
    str | None,
    typer.Option(
        "--voice",
        metavar="NAME",
        envvar="MMCLI_VOICE",
        rich_help_panel=ALOUD,
        help="A voice of the system, or a recording to imitate. "
        "The system's voices go by names such as `de`, `en-us` or `Anna`; a model that speaks imitates the recording.",
    ),
    RARE,
]
OutputDeviceOpt = Annotated[
    str | None,
    typer.Option(
        "--output-device",
        metavar="NAME",
        envvar="MMCLI_OUTPUT_DEVICE",
        rich_help_panel=ALOUD,
        help="Loudspeaker. A number, or part of a name, from `mmcli devices`.",
    ),
    RARE,
]
SpeechDeviceOpt = Annotated[
    SpeechDevice,
    typer.Option(
        "--speech-device",
        envvar="MMCLI_SPEECH_DEVICE",
        rich_help_panel=MACHINE,
        help="Where the speech model runs. auto: on the GPU if there is one.",
    ),
    RARE,
]
ComputeTypeOpt = Annotated[
    ComputeType,
    typer.Option(
        "--compute-type",
        metavar="TYPE",
        envvar="MMCLI_COMPUTE_TYPE",
        rich_help_panel=MACHINE,
        help="Precision of the speech model. auto: float16 on a GPU, int8 on a CPU.",
    ),
    RARE,
]


SPOKEN = {"voice_model": "--voice-model", "voice": "--voice", "output_device": "--output-device"}
SPOKEN |= {"half_duplex": "--half-duplex"}  # of `mmcli voice`


def wishes(
    ctx: typer.Context,
    speak: bool,
    voice_model: str | None,
    voice: str | None,
    output_device: str | None,
    *,
    json: bool,
) -> Wishes:
    """The options as wishes. With --json only what the command line itself asks for is said: a script reads along."""
    from mmcli.runtime.speech_output import Wishes

    is_typed = origins.typed(ctx)
    if json and speak and "speak" not in is_typed:
        speak = False
    given = [option for name, option in SPOKEN.items() if name in is_typed]
    if given and not speak:
        raise UsageError(f"{given[0]} is for answers that are read aloud", hint=f"add --speak, or leave {given[0]} out")
    setting = None if given or "speak" in is_typed else origins.of(ctx, "speak")
    return Wishes(speak, voice_model, voice, output_device, setting)
