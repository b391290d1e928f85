"""`mmcli caption`: a caption for each of many pictures, and nothing lost when it is stopped."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands import origins
from mmcli.commands.completion import languages
from mmcli.commands.example_options import ExampleOptions, loaded, warn
from mmcli.commands.option_groups import FrameOptions, Group, ModelOptions, PictureOfPageOptions
from mmcli.commands.pages import RARE
from mmcli.jobs.caption_styles import STYLES

if TYPE_CHECKING:
    from mmcli.commands import caption_run
    from mmcli.runtime.model_loader import Machine

PICTURES, CAPTION, WRITING = "Pictures", "Caption", "Writing"
StyleName = StrEnum("StyleName", {name.replace("-", "_"): name for name in STYLES})  # type: ignore[misc]


class Facts(StrEnum):
    exif = "exif"


class SidecarKind(StrEnum):
    txt = "txt"
    json = "json"
    xmp = "xmp"


class SidecarName(StrEnum):
    stem = "stem"
    full = "full"


@dataclass(frozen=True)
class PictureOptions(Group):
    """Which pictures, beside those that are named."""

    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", rich_help_panel=PICTURES, help="Include sub-folders.")
    ] = False
    from_file: Annotated[
        str | None,
        typer.Option(
            "--from-file",
            metavar="FILE",
            rich_help_panel=PICTURES,
            help="Read names from a file, one a line; - is stdin.",
        ),
    ] = None
    null: Annotated[
        bool,
        typer.Option("-0", "--null", rich_help_panel=PICTURES, help="Names end with NUL, as from `find -print0`."),
    ] = False


@dataclass(frozen=True)
class CaptionOptions(Group):
    """What is asked about each."""

    style: Annotated[
        StyleName | None,
        typer.Option(
            "--style",
            metavar="STYLE",
            envvar="MMCLI_STYLE",
            rich_help_panel=CAPTION,
            help="What kind of caption. With --rename, the default is filename.",
            show_default="short",
        ),
    ] = None
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", envvar="MMCLI_PROMPT", rich_help_panel=CAPTION, help="Ask this instead of a style."),
    ] = None
    keywords_from: Annotated[
        Path | None,
        typer.Option(
            "--keywords-from",
            metavar="FILE",
            rich_help_panel=CAPTION,
            help="Only tags from this list, one a line. Implies --style tags.",
        ),
    ] = None
    answer_language: Annotated[
        str | None,
        typer.Option(
            "--answer-language",
            metavar="NAME",
            envvar="MMCLI_ANSWER_LANGUAGE",
            autocompletion=languages,
            rich_help_panel=CAPTION,
            help="Language of the captions: de, or German.",
        ),
    ] = None
    facts: Annotated[
        Facts | None,
        typer.Option(
            "--facts",
            envvar="MMCLI_FACTS",
            rich_help_panel=CAPTION,
            help="Tell the model the date, place and camera. From the file's EXIF data.",
        ),
    ] = None
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            min=1,
            envvar="MMCLI_MAX_TOKENS",
            rich_help_panel=CAPTION,
            help="Longest caption, in tokens.",
            show_default="by style",
        ),
    ] = None
    retry_cut: Annotated[
        bool,
        typer.Option(
            "--retry-cut",
            rich_help_panel=CAPTION,
            help="Redo captions that --max-tokens cut off. With four times the style's tokens.",
        ),
        RARE,
    ] = False


@dataclass(frozen=True)
class WritingOptions(Group):
    """What becomes of a caption."""

    sidecar: Annotated[
        list[SidecarKind] | None,
        typer.Option(
            "--sidecar", rich_help_panel=WRITING, help="Write each caption beside its picture. Can be repeated."
        ),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            rich_help_panel=WRITING,
            help="Folder for the sidecars. In the same tree as the pictures.",
        ),
    ] = None
    sidecar_name: Annotated[
        SidecarName | None,
        typer.Option(
            "--sidecar-name",
            envvar="MMCLI_SIDECAR_NAME",
            rich_help_panel=WRITING,
            help="Names of the sidecars. stem: a.xmp, full: a.jpg.xmp. Default: stem for txt, else full.",
        ),
        RARE,
    ] = None
    embed: Annotated[
        bool,
        typer.Option(
            "--embed",
            rich_help_panel=WRITING,
            help="Write each caption into its picture. As XMP and IPTC, with exiftool; each file is verified before it "
            "is replaced, and `mmcli undo` takes it back.",
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", rich_help_panel=WRITING, help="Also replace text that mmcli did not write."),
    ] = False
    rename: Annotated[
        bool,
        typer.Option(
            "--rename",
            rich_help_panel=WRITING,
            help="Propose file names; with --yes, rename. `mmcli undo` takes that back.",
        ),
    ] = False
    yes: Annotated[
        bool,
        typer.Option(
            "-y",
            "--yes",
            envvar="MMCLI_YES",
            rich_help_panel=WRITING,
            help="Do not ask before downloading or renaming. --rename needs it typed; the variable is ignored there.",
        ),
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", rich_help_panel=WRITING, help="Show what would be done. No model runs.")
    ] = False


@dataclass(frozen=True)
class SteadyOptions(Group):
    """How the model answers: the same every time, unless it is told otherwise."""

    system: opt.SystemOpt = None
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            "--temp",
            min=0.0,
            max=5.0,
            envvar="MMCLI_TEMPERATURE",
            rich_help_panel=opt.ANSWER,
            help="Randomness, 0 for none. 0 always takes the likeliest word, so that every run says the same.",
        ),
    ] = 0.0
    seed: opt.SeedOpt = None
    loop_guard: opt.LoopGuardOpt = True


@dataclass(frozen=True)
class BatchOptions(Group):
    """How this machine is used for many pictures."""

    detail: opt.DetailOpt = opt.Detail.auto
    parallel: Annotated[
        int | None,
        typer.Option(
            "--parallel",
            min=1,
            max=256,
            envvar="MMCLI_PARALLEL",
            rich_help_panel=opt.MACHINE,
            help="Answers written at once. The default is what memory and cores allow.",
            show_default="automatic",
        ),
        RARE,
    ] = None
    ctx_size: opt.CtxSizeOpt = None
    threads: opt.ThreadsOpt = None
    gpu_layers: opt.GpuLayersOpt = None
    cache: opt.CacheOpt = True
    max_megapixels: opt.MegapixelsOpt = 100.0

    def machine(self, template: str | None) -> Machine:
        """The options as the engine's; `template` as --template takes it, with its errors."""
        from mmcli.runtime import model_loader

        form = model_loader.template(template)
        return model_loader.Machine(
            self.ctx_size, self.threads, self.gpu_layers, self.detail.value, cache=False, template=form
        )


@dataclass(frozen=True)
class ListOptions(Group):
    """How captions are shown."""

    json: Annotated[
        bool,
        typer.Option("--json", envvar="MMCLI_JSON", rich_help_panel=opt.OUTPUT, help="Print one JSON array."),
    ] = False
    jsonl: Annotated[
        bool, typer.Option("--jsonl", rich_help_panel=opt.OUTPUT, help="Print one JSON object a line, as they come.")
    ] = False
    print0: Annotated[
        bool,
        typer.Option("--print0", rich_help_panel=opt.OUTPUT, help="Print path, NUL, caption, NUL."),
        RARE,
    ] = False
    quiet: opt.QuietOpt = False
    verbose: opt.VerboseOpt = False
    debug: opt.DebugOpt = False


def caption(
    called: typer.Context,
    media: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEDIA...]",
            help="Picture files, folders, URLs; or pipe their names in. Also a pattern in quotation marks, and "
            "a part of a picture: photo.jpg#xywh=10,10,200,80. Of a PDF, each page. "
            "Without any, or with -: a picture, or one name a line, on standard input.",
            show_default=False,
        ),
    ] = None,
    *,
    picture_options: PictureOptions,
    page_options: PictureOfPageOptions,
    frame_options: FrameOptions,
    caption_options: CaptionOptions,
    example_options: ExampleOptions,
    writing_options: WritingOptions,
    model_options: ModelOptions,
    answer_options: SteadyOptions,
    machine_options: BatchOptions,
    output_options: ListOptions,
) -> int | None:
    """Describe pictures: one, or a hundred thousand. Run the same command again to continue where it was stopped.

    A sidecar is a file beside the picture that holds its caption: photo.txt, photo.jpg.json or photo.jpg.xmp.

    mmcli caption docs/pictures -m starter
    find docs -name '*.png' -print0 | mmcli caption -0 --jsonl -m starter
    mmcli caption docs/pictures --sidecar xmp -o captions -m starter
    """
    from mmcli import terminal
    from mmcli.commands import caption_run
    from mmcli.outputs import exiftool
    from mmcli.runtime import model_fetch, model_loader

    pictures, asked, write = picture_options, caption_options, writing_options
    machine_opts, answer, shown = machine_options, answer_options, output_options
    how = terminal.Style(json=shown.json or shown.jsonl, quiet=shown.quiet, verbose=shown.verbose, debug=shown.debug)
    # find the pictures and the model
    pages, film = page_options.wanted(machine_options.detail.value), frame_options.wanted()
    wanted = caption_run.wanted(
        media or [], pictures.from_file, recursive=pictures.recursive, null=pictures.null, style=how, pages=pages
    )
    style = str(asked.style) if asked.style else None
    words = caption_run.vocabulary(asked.keywords_from, style)
    is_tags = words is not None or style == "tags"
    writing = _writing(called, pictures, write, is_tags=is_tags)
    caption_run.check_parts(media or [], writing)
    if write.embed:
        exiftool.require()
    named = example_options.named()
    machine = machine_options.machine(model_options.template)
    screen = terminal.Screen(how)
    shown_first = loaded(named, machine_opts.max_megapixels)
    chosen = model_fetch.seeing(model_options.model, model_options.mmproj, yes=write.yes, reporter=screen)
    warn(named, chosen, screen)
    # say what is asked of it
    asking = caption_run.Asking(
        style=style or ("tags" if is_tags else "filename" if write.rename else "short"),
        words=words,
        prompt=asked.prompt,
        language=asked.answer_language,
        system=answer.system,
        facts=asked.facts is not None,
        max_megapixels=machine_opts.max_megapixels,
        parallel=machine_opts.parallel,
        retry_cut=asked.retry_cut,
        pages=pages,
        film=film,
    )
    choice = model_loader.Choice(answer.temperature, asked.max_tokens, answer.seed or 0, loop_guard=answer.loop_guard)
    # run, write and show
    return caption_run.run(
        wanted,
        replace(asking.task(chosen, machine, choice), examples=shown_first),
        chosen,
        machine,
        writing,
        caption_run.form(wanted, json=shown.json, jsonl=shown.jsonl, print0=shown.print0, dry_run=write.dry_run),
        how,
        keep=machine_opts.cache,
    )


def _writing(
    called: typer.Context, pictures: PictureOptions, write: WritingOptions, *, is_tags: bool
) -> caption_run.Writing:
    """What becomes of the captions; UsageError where the options contradict each other."""
    from mmcli.commands import caption_run
    from mmcli.outputs.sidecars import SidecarPlan

    kinds = [str(kind) for kind in write.sidecar or ()]
    naming = str(write.sidecar_name) if write.sidecar_name else None
    names = pictures.from_file
    lists = (Path(os.path.expanduser(names)),) if names and names != "-" else ()
    sidecars = caption_run.checked(SidecarPlan(kinds, write.output, naming, write.overwrite, is_tags, lists))
    apply = write.rename and write.yes and origins.is_typed(called, "yes")
    return caption_run.Writing(sidecars, write.rename, apply, write.embed, write.dry_run)
