"""The options that several commands share, each with its help and its MMCLI_* variable. Import, don't repeat.

The first sentence of a help text is its line in `--help`, the rest is for `--help-all`. RARE beside an option keeps it
out of `--help`; `Annotated[ThreadsOpt, COMMON]` takes that back for one command.
"""

from __future__ import annotations

import math
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmcli.commands.completion import model_names, prompt_names, talk_ids, template_names
from mmcli.commands.pages import RARE
from mmcli.errors import UsageError


class Detail(StrEnum):
    low = "low"
    auto = "auto"
    high = "high"


class OcrChoice(StrEnum):
    auto = "auto"
    always = "always"
    never = "never"


class PageTextMode(StrEnum):
    auto = "auto"
    only = "only"
    never = "never"


class MarkdownMode(StrEnum):
    auto = "auto"
    always = "always"
    never = "never"


def _number(value: float | None) -> float | None:
    """A float that is within its range; NaN compares as if it were within any."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("NaN is not allowed")
    return value


MODEL, ANSWER, PROMPT, TALK = "Model", "Answer", "Saved prompts", "Conversation"
MACHINE, OUTPUT, DOCUMENTS = "Machine", "Output", "Documents"
TalkMediaArg = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MEDIA...]",
        help="Picture, sound or text files to talk about. Also folders and URLs.",
        show_default=False,
    ),
]
AttachOpt = Annotated[
    list[str] | None,
    typer.Option(
        "-a", "--attach", metavar="FILE", help="Add a file, anywhere on the line. Can be repeated.", show_default=False
    ),
]
RecursiveOpt = Annotated[bool, typer.Option("-r", "--recursive", help="Include sub-folders.")]
DamagedOkOpt = Annotated[
    bool, typer.Option("--damaged-ok", help="Use what is there of a sound that is cut short or damaged."), RARE
]
PagesOpt = Annotated[
    str | None,
    typer.Option(
        "--pages",
        metavar="LIST",
        help="Pages of PDFs: 1-3,7,-1 or odd. Counted from 1, from the end with a minus. "
        "report.pdf#page=3-5 chooses for one file.",
        show_default="all",
    ),
]
PasswordFileOpt = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        metavar="FILE",
        envvar="MMCLI_PASSWORD_FILE",
        help="A file with the password of a locked PDF. With several passwords, a line each, all are tried. "
        "Without it, a terminal asks.",
        show_default=False,
    ),
    RARE,
]
PageTextOpt = Annotated[
    PageTextMode,
    typer.Option(
        "--text",
        envvar="MMCLI_TEXT",
        help="Give the model the text of PDF pages beside their pictures, alone, or not at all.",
    ),
    RARE,
]
OcrOpt = Annotated[
    OcrChoice,
    typer.Option(
        "--ocr",
        help="Read PDF pages that have no text, and put the words beside their pictures. auto: where the reader is "
        "installed, and the model is no reader itself; always: pages with text of their own, too.",
    ),
    RARE,
]
EveryPageOpt = Annotated[
    bool,
    typer.Option(
        "--every-page",
        help="Ask each page by itself, and make one answer of what they say. For documents that do not fit; no page "
        "is left out, and it takes the time of as many questions.",
    ),
    RARE,
]
CiteOpt = Annotated[
    bool,
    typer.Option(
        "--cite",
        help="Have pages and quotes named, and check them. A page must have been shown to the model, and a quote must "
        "be on it.",
    ),
]
ModelOpt = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        metavar="NAME",
        envvar="MMCLI_MODEL",
        autocompletion=model_names,
        rich_help_panel=MODEL,
        help="A name from `mmcli models`, or a .gguf file. Also ORG/REPO[:QUANT] on the Hugging Face Hub. "
        "Without it, the largest recommended model that is here and fits this machine.",
    ),
]
MmprojOpt = Annotated[
    Path | None,
    typer.Option(
        "--mmproj",
        envvar="MMCLI_MMPROJ",
        rich_help_panel=MODEL,
        help="Projector (GGUF) for weights given as a file. A model neither sees nor hears without its projector; "
        "one next to the weights is found automatically.",
    ),
]
TemplateOpt = Annotated[
    str | None,
    typer.Option(
        "--template",
        envvar="MMCLI_TEMPLATE",
        metavar="NAME|FILE|none",
        autocompletion=template_names,
        rich_help_panel=MODEL,
        help="Chat template. A name (`chatml`, `gemma`), a Jinja file, or `none` for the bare words.",
        show_default="the model's",
    ),
    RARE,
]
YesOpt = Annotated[
    bool,
    typer.Option(
        "-y", "--yes", envvar="MMCLI_YES", rich_help_panel=MODEL, help="Download a missing model without asking."
    ),
]
OfflineOpt = Annotated[
    bool,
    typer.Option(
        "--offline",
        envvar="MMCLI_OFFLINE",
        help="Make no network connection. What needs one fails with status 5.",
    ),
    RARE,
]
SystemOpt = Annotated[
    str | None,
    typer.Option(
        "-s",
        "--system",
        envvar="MMCLI_SYSTEM",
        rich_help_panel=ANSWER,
        help="System prompt: instructions for the model.",
    ),
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
        help="Randomness, 0 for none. 0 always takes the likeliest word. "
        "Where the model's makers recommend nothing, the default is 0.2.",
        show_default="the model's",
    ),
]
MaxTokensOpt = Annotated[
    int,
    typer.Option(
        "--max-tokens",
        min=1,
        envvar="MMCLI_MAX_TOKENS",
        rich_help_panel=ANSWER,
        help="Longest answer, in tokens. Reasoning included; a token is about three quarters of an English word.",
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
        help="Repeat an answer. The same seed gives the same answer on the same machine.",
        show_default="random",
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
        raise UsageError(
            "MMCLI_STOP starts like a list of texts, but is not a valid one", hint='as in: ["###", " and so on"]'
        )
    return texts


StopOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--stop",
        envvar="MMCLI_STOP",
        callback=_stop,
        rich_help_panel=ANSWER,
        help="End the answer before this text. Can be repeated.",
    ),
    RARE,
]
ThinkOpt = Annotated[
    bool,
    typer.Option(
        "--think/--no-think",
        envvar="MMCLI_THINK",
        rich_help_panel=ANSWER,
        help="Let the model reason before it answers. Only some models can.",
    ),
]
LoopGuardOpt = Annotated[
    bool,
    typer.Option(
        "--loop-guard/--no-loop-guard",
        envvar="MMCLI_LOOP_GUARD",
        rich_help_panel=ANSWER,
        help="Stop when the answer only repeats itself. The exit status is 8 then.",
    ),
    RARE,
]
DetailOpt = Annotated[
    Detail,
    typer.Option(
        "--detail",
        envvar="MMCLI_DETAIL",
        rich_help_panel=ANSWER,
        help="Tokens for each picture. low: at most 256; high: 1024 to 4096; auto: what the model says. "
        "A model with a fixed number ignores it.",
    ),
    RARE,
]
ContinueOpt = Annotated[
    str | None,
    typer.Option(
        "-c",
        "--continue",
        metavar="[ID]",
        autocompletion=talk_ids,
        rich_help_panel=TALK,
        help="Continue the last conversation, or the one named. "
        "`mmcli history` lists the IDs; the files it is about are loaded again.",
    ),
]
HistoryOpt = Annotated[
    bool,
    typer.Option(
        "--history/--no-history",
        envvar="MMCLI_HISTORY",
        rich_help_panel=TALK,
        help="Save this in `mmcli history`. On this machine only; --continue needs it.",
    ),
]
KeepMediaOpt = Annotated[
    bool,
    typer.Option(
        "--keep-media/--no-keep-media",
        envvar="MMCLI_KEEP_MEDIA",
        rich_help_panel=TALK,
        help="Save copies of the files too. Otherwise only their paths are saved.",
    ),
    RARE,
]
UseOpt = Annotated[
    str | None,
    typer.Option(
        "-t",
        "--use",
        metavar="NAME",
        autocompletion=prompt_names,
        rich_help_panel=PROMPT,
        help="Use a saved prompt. The question, or what is piped in, becomes its $input.",
    ),
]
ParamOpt = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--param",
        metavar="NAME VALUE",
        rich_help_panel=PROMPT,
        help="Fill in a variable of the saved prompt. Also NAME=VALUE; can be repeated.",
    ),
]
SaveOpt = Annotated[
    str | None,
    typer.Option(
        "--save",
        metavar="NAME",
        rich_help_panel=PROMPT,
        help="Save the question and options as a prompt. Nothing is asked; `mmcli prompts` lists what is saved.",
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
        help="Context in tokens.",
        show_default="as needed",
    ),
    RARE,
]
ThreadsOpt = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=512,
        envvar="MMCLI_THREADS",
        rich_help_panel=MACHINE,
        help="Threads on the CPU. The default respects a container's limits and `taskset`.",
        show_default="physical cores",
    ),
    RARE,
]
GpuLayersOpt = Annotated[
    int | None,
    typer.Option(
        "--gpu-layers",
        min=0,
        envvar="MMCLI_GPU_LAYERS",
        rich_help_panel=MACHINE,
        help="Layers on the GPU, 0 for none. A GPU is used where llama.cpp was built for one.",
        show_default="all",
    ),
    RARE,
]
CacheOpt = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        envvar="MMCLI_CACHE",
        rich_help_panel=MACHINE,
        help="Cache what was computed for a picture. On disk, for the next question about it.",
    ),
    RARE,
]
CacheSizeOpt = Annotated[
    float,
    typer.Option(
        "--cache-size",
        metavar="GB",
        min=0,
        max=1_000_000,
        callback=_number,
        envvar="MMCLI_CACHE_SIZE",
        rich_help_panel=MACHINE,
        help="Largest size of that cache.",
    ),
    RARE,
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
        help="Refuse larger pictures. A small file can unpack to more than the memory holds.",
    ),
    RARE,
]
JsonOpt = Annotated[
    bool,
    typer.Option(
        "--json",
        envvar="MMCLI_JSON",
        rich_help_panel=OUTPUT,
        help="Print answer, receipts and usage as JSON. "
        "A receipt for each file: what was read, changed and handed to the model.",
    ),
]
JsonListOpt = Annotated[
    bool, typer.Option("--json", envvar="MMCLI_JSON", rich_help_panel=OUTPUT, help="Print JSON instead of text.")
]
QuietOpt = Annotated[
    bool,
    typer.Option(
        "-q", "--quiet", envvar="MMCLI_QUIET", rich_help_panel=OUTPUT, help="Print only the result and errors."
    ),
]
VerboseOpt = Annotated[
    bool,
    typer.Option(
        "-v",
        "--verbose",
        envvar="MMCLI_VERBOSE",
        rich_help_panel=OUTPUT,
        help="Show receipts: what the model got of each file. On stderr.",
    ),
]
DebugOpt = Annotated[
    bool,
    typer.Option(
        "--debug",
        envvar="MMCLI_DEBUG",
        rich_help_panel=OUTPUT,
        help="Show what happens inside. On stderr: the rendered prompt, the chunk table, llama.cpp's log, tracebacks.",
    ),
    RARE,
]
MarkdownOpt = Annotated[
    MarkdownMode,
    typer.Option(
        "--markdown",
        metavar="WHEN",
        envvar="MMCLI_MARKDOWN",
        rich_help_panel=OUTPUT,
        help="Render Markdown. auto: on a terminal.",
    ),
    RARE,
]
