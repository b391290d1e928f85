"""The options that several commands share, each with its help and its MMCLI_* variable. Import, don't repeat."""

from __future__ import annotations

import math
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmcli.commands.completion import languages, model_names, speech_model_names, talk_ids, voice_model_names
from mmcli.errors import UsageError


class Detail(StrEnum):
    low = "low"
    auto = "auto"
    high = "high"


class MarkdownMode(StrEnum):
    auto = "auto"
    always = "always"
    never = "never"


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


def _number(value: float | None) -> float | None:
    """A float that is within its range; NaN compares as if it were within any."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is no number")
    return value


MODEL, ANSWER, TALK, MACHINE, OUTPUT = "Model", "Answer", "Talk", "Machine", "Output"
ALOUD = "Aloud"

TalkMediaArg = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MEDIA...]",
        help="Pictures, sounds or text files that the first question is about: paths, quoted globs, folders, URLs.",
        show_default=False,
    ),
]
AttachOpt = Annotated[
    list[str] | None,
    typer.Option("-a", "--attach", help="One more medium; may stand anywhere.", show_default=False),
]
RecursiveOpt = Annotated[bool, typer.Option("-r", "--recursive", help="Look into sub-folders too.")]
DamagedOkOpt = Annotated[
    bool,
    typer.Option("--damaged-ok", help="Take what is there of a sound that is cut short or damaged."),
]
ModelOpt = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        envvar="MMCLI_MODEL",
        autocompletion=model_names,
        rich_help_panel=MODEL,
        help="A name from `mmcli models`, ORG/REPO[:QUANT] on the Hub, or the path of a .gguf file.",
    ),
]
MmprojOpt = Annotated[
    Path | None,
    typer.Option(
        "--mmproj",
        envvar="MMCLI_MMPROJ",
        rich_help_panel=MODEL,
        help="The projector (GGUF) that belongs to the weights: without it a model neither sees nor hears.",
    ),
]
YesOpt = Annotated[
    bool,
    typer.Option("-y", "--yes", envvar="MMCLI_YES", rich_help_panel=MODEL, help="Fetch what is missing, don't ask."),
]
SpeechModelOpt = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        "--speech-model",
        envvar="MMCLI_SPEECH_MODEL",
        autocompletion=speech_model_names,
        rich_help_panel=MODEL,
        help="A speech model from `mmcli models`, ORG/REPO on the Hub, or a folder that holds one.",
    ),
]
WriterOpt = Annotated[
    str | None,
    typer.Option(
        "--speech-model",
        envvar="MMCLI_SPEECH_MODEL",
        autocompletion=speech_model_names,
        rich_help_panel=MODEL,
        help="Writes down what is said in a sound, for a model that cannot hear.",
    ),
]
SpokenLanguageOpt = Annotated[
    str | None,
    typer.Option(
        "--spoken-language",
        "--language",
        "-l",
        envvar="MMCLI_SPOKEN_LANGUAGE",
        autocompletion=languages,
        rich_help_panel="Words",
        help="What is spoken: `de`, or `German`. Default: it is detected.",
    ),
]
InputDeviceOpt = Annotated[
    str | None,
    typer.Option(
        "--input-device",
        envvar="MMCLI_INPUT_DEVICE",
        rich_help_panel=MACHINE,
        help="The microphone: a number, or a part of a name, from `mmcli devices`.",
    ),
]
SpeakOpt = Annotated[
    bool,
    typer.Option(
        "--speak/--no-speak",
        envvar="MMCLI_SPEAK",
        rich_help_panel=ALOUD,
        help="Say the answer aloud too, sentence by sentence, while it is written.",
    ),
]
VoiceModelOpt = Annotated[
    str | None,
    typer.Option(
        "--voice-model",
        envvar="MMCLI_VOICE_MODEL",
        autocompletion=voice_model_names,
        rich_help_panel=ALOUD,
        help="Who says it: a model that speaks, or `system`. Default: such a model if one is here, else the system.",
    ),
]
VoiceOpt = Annotated[
    str | None,
    typer.Option(
        "--voice",
        envvar="MMCLI_VOICE",
        rich_help_panel=ALOUD,
        help="A voice of the system by its name (`de`, `en-us`, `Anna`), or a recording whose voice a model takes.",
    ),
]
OutputDeviceOpt = Annotated[
    str | None,
    typer.Option(
        "--output-device",
        envvar="MMCLI_OUTPUT_DEVICE",
        rich_help_panel=ALOUD,
        help="The loudspeaker: a number, or a part of a name, from `mmcli devices`.",
    ),
]
SpeechDeviceOpt = Annotated[
    SpeechDevice,
    typer.Option(
        "--speech-device",
        envvar="MMCLI_SPEECH_DEVICE",
        rich_help_panel=MACHINE,
        help="Where the speech model runs; auto: on the GPU where there is one.",
    ),
]
ComputeTypeOpt = Annotated[
    ComputeType,
    typer.Option(
        "--compute-type",
        envvar="MMCLI_COMPUTE_TYPE",
        rich_help_panel=MACHINE,
        help="The numbers it computes with; auto: float16 on a GPU, int8 on a CPU.",
    ),
]
OfflineOpt = Annotated[
    bool,
    typer.Option(
        "--offline",
        envvar="MMCLI_OFFLINE",
        help="Make no connection but to this machine itself; what would need one fails (status 5).",
    ),
]
SystemOpt = Annotated[
    str | None,
    typer.Option("-s", "--system", envvar="MMCLI_SYSTEM", rich_help_panel=ANSWER, help="System prompt."),
]
TemperatureOpt = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        "--temp",
        min=0.0,
        max=5.0,
        callback=_number,
        envvar="MMCLI_TEMPERATURE",
        rich_help_panel=ANSWER,
        help="0 always takes the likeliest word; more is freer. Default: the model's own advice, or 0.2.",
    ),
]
MaxTokensOpt = Annotated[
    int,
    typer.Option(
        "--max-tokens", min=1, envvar="MMCLI_MAX_TOKENS", rich_help_panel=ANSWER, help="Longest answer, in tokens."
    ),
]
SeedOpt = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        max=2**32 - 1,
        envvar="MMCLI_SEED",
        rich_help_panel=ANSWER,
        help="The same seed gives the same answer on the same machine.",
    ),
]


def _stop(ctx: typer.Context, value: list[str] | None) -> list[str] | None:
    """MMCLI_STOP as config.toml has it, `["###", " and so on"]`; what does not begin so Typer has split at spaces."""
    source, text = ctx.get_parameter_source("stop"), os.environ.get("MMCLI_STOP", "").strip()
    if source is None or source.name != "ENVIRONMENT" or not text.startswith(('["', "['")):
        return value
    from mmcli import tomlfile

    try:
        texts = tomlfile.parse(f"stop = {text}", "MMCLI_STOP")["stop"]
    except UsageError:
        texts = None
    if not isinstance(texts, list) or not all(isinstance(item, str) for item in texts):
        raise UsageError("MMCLI_STOP begins as a list of texts and is none", hint='as in: ["###", " and so on"]')
    return texts


StopOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--stop", envvar="MMCLI_STOP", callback=_stop, rich_help_panel=ANSWER, help="End the answer before this text."
    ),
]
ThinkOpt = Annotated[
    bool,
    typer.Option(
        "--think/--no-think", envvar="MMCLI_THINK", rich_help_panel=ANSWER, help="Let a model that can think do so."
    ),
]
LoopGuardOpt = Annotated[
    bool,
    typer.Option(
        "--loop-guard/--no-loop-guard",
        envvar="MMCLI_LOOP_GUARD",
        rich_help_panel=ANSWER,
        help="Stop (status 8) when the answer only repeats itself.",
    ),
]
DetailOpt = Annotated[
    Detail,
    typer.Option(
        "--detail",
        envvar="MMCLI_DETAIL",
        rich_help_panel=ANSWER,
        help="How many tokens a picture gets, where the model leaves a choice.",
    ),
]
ContinueOpt = Annotated[
    str | None,
    typer.Option(
        "-c",
        "--continue",
        metavar="[ID]",
        autocompletion=talk_ids,
        rich_help_panel=TALK,
        help="Go on with the last talk, or with that one of `mmcli history`, media included.",
    ),
]
HistoryOpt = Annotated[
    bool,
    typer.Option(
        "--history/--no-history",
        envvar="MMCLI_HISTORY",
        rich_help_panel=TALK,
        help="Keep questions and answers on this machine, for `mmcli history` and --continue.",
    ),
]
KeepMediaOpt = Annotated[
    bool,
    typer.Option(
        "--keep-media/--no-keep-media",
        envvar="MMCLI_KEEP_MEDIA",
        rich_help_panel=TALK,
        help="Keep a copy of the media too, not only where they lie.",
    ),
]
CtxSizeOpt = Annotated[
    int | None,
    typer.Option(
        "--ctx-size",
        min=64,
        max=2**31 - 1,
        envvar="MMCLI_CTX_SIZE",
        rich_help_panel=MACHINE,
        help="Context in tokens. Default: what the prompt needs.",
    ),
]
ThreadsOpt = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, max=512, envvar="MMCLI_THREADS", rich_help_panel=MACHINE, help="Default: physical cores."
    ),
]
GpuLayersOpt = Annotated[
    int | None,
    typer.Option(
        "--gpu-layers",
        min=0,
        envvar="MMCLI_GPU_LAYERS",
        rich_help_panel=MACHINE,
        help="Layers to put on the GPU; 0 for none. Default: all, where llama.cpp was built for one.",
    ),
]
CacheOpt = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        envvar="MMCLI_CACHE",
        rich_help_panel=MACHINE,
        help="Keep what the model computed of a picture on disk, for the next question about it.",
    ),
]
CacheSizeOpt = Annotated[
    float,
    typer.Option(
        "--cache-size",
        min=0,
        max=1_000_000,
        callback=_number,
        envvar="MMCLI_CACHE_SIZE",
        rich_help_panel=MACHINE,
        help="Most of it to keep, in GB.",
    ),
]
MegapixelsOpt = Annotated[
    float,
    typer.Option(
        "--max-megapixels",
        min=0.01,
        max=1_000_000,
        callback=_number,
        envvar="MMCLI_MAX_MEGAPIXELS",
        rich_help_panel=MACHINE,
        help="Refuse larger pictures: a small file can unpack to more than the memory holds.",
    ),
]
JsonOpt = Annotated[
    bool,
    typer.Option(
        "--json", envvar="MMCLI_JSON", rich_help_panel=OUTPUT, help="One JSON object: answer, receipts, usage."
    ),
]
JsonListOpt = Annotated[bool, typer.Option("--json", envvar="MMCLI_JSON", help="JSON instead of a table.")]
QuietOpt = Annotated[
    bool,
    typer.Option("-q", "--quiet", envvar="MMCLI_QUIET", rich_help_panel=OUTPUT, help="The answer and errors only."),
]
VerboseOpt = Annotated[
    bool,
    typer.Option(
        "-v",
        "--verbose",
        envvar="MMCLI_VERBOSE",
        rich_help_panel=OUTPUT,
        help="Also what the model got of each input (stderr).",
    ),
]
DebugOpt = Annotated[
    bool,
    typer.Option(
        "--debug",
        envvar="MMCLI_DEBUG",
        rich_help_panel=OUTPUT,
        help="Also the rendered prompt, the chunk table, llama.cpp's log and tracebacks (stderr).",
    ),
]
MarkdownOpt = Annotated[
    MarkdownMode,
    typer.Option(
        "--markdown", envvar="MMCLI_MARKDOWN", rich_help_panel=OUTPUT, help="Render Markdown; auto: on a terminal."
    ),
]
