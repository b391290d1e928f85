"""`mmcli read`: pages of PDFs, scans and photographs of text as Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands.caption import BatchOptions
from mmcli.commands.completion import model_names
from mmcli.commands.option_groups import Group, PageOptions
from mmcli.commands.pages import RARE

WRITING = "Writing"


class PageFormatName(StrEnum):
    md = "md"
    txt = "txt"
    html = "html"
    json = "json"
    jsonl = "jsonl"


@dataclass(frozen=True)
class ReadPageOptions(Group):
    """Which pages, and how each is read."""

    recursive: opt.RecursiveOpt = False
    pages: Annotated[
        str | None,
        typer.Option(
            "--pages",
            metavar="LIST",
            rich_help_panel=opt.DOCUMENTS,
            help="Pages of the PDFs: 1-3,7,-1 or odd. Counted from 1, from the end with a minus.",
            show_default=False,
        ),
    ] = None
    password_file: Annotated[opt.PasswordFileOpt, RARE] = None
    by_sight: Annotated[
        bool,
        typer.Option(
            "--by-sight",
            rich_help_panel=opt.DOCUMENTS,
            help="Read every page by its picture. Otherwise a page that has text of its own gives that text.",
        ),
    ] = False


@dataclass(frozen=True)
class PageWritingOptions(Group):
    """Where it goes, and in which form."""

    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FILE", rich_help_panel=WRITING, help="Write to a file."),
    ] = None
    page_format: Annotated[
        PageFormatName | None,
        typer.Option(
            "-f",
            "--format",
            metavar="FORMAT",
            envvar="MMCLI_PAGE_FORMAT",
            rich_help_panel=WRITING,
            help="md, txt, html, json or jsonl. The ending of -o says it too.",
            show_default="md",
        ),
    ] = None
    tables: Annotated[
        Path | None,
        typer.Option(
            "--tables",
            metavar="DIR",
            rich_help_panel=WRITING,
            help="Also write each table as a CSV file into a folder.",
        ),
    ] = None
    overwrite: Annotated[
        bool, typer.Option("--overwrite", rich_help_panel=WRITING, help="Replace a file of -o."), RARE
    ] = False


@dataclass(frozen=True)
class ReaderOptions(Group):
    """Who reads."""

    reader: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="NAME",
            envvar="MMCLI_READER",
            autocompletion=model_names,
            rich_help_panel=opt.MODEL,
            help="A model that sees, such as glm-ocr. Without it, the embedded reader (ppocr): nothing to download.",
            show_default="ppocr",
        ),
    ] = None
    mmproj: Annotated[opt.MmprojOpt, RARE] = None
    template: opt.TemplateOpt = None
    yes: Annotated[opt.YesOpt, RARE] = False
    ask: Annotated[
        str | None,
        typer.Option(
            "--ask",
            metavar="TEXT",
            rich_help_panel=opt.ANSWER,
            help="Ask the model this of each page. Without it, what it was trained to be asked.",
        ),
        RARE,
    ] = None
    page_tokens: Annotated[
        int,
        typer.Option(
            "--page-tokens",
            min=1,
            envvar="MMCLI_PAGE_TOKENS",
            rich_help_panel=opt.ANSWER,
            help="Longest answer of a model for a page, in tokens.",
        ),
        RARE,
    ] = 4096


@dataclass(frozen=True)
class ReadOutputOptions(Group):
    """What is told."""

    json: Annotated[
        bool, typer.Option("--json", envvar="MMCLI_JSON", rich_help_panel=opt.OUTPUT, help="The same as -f json.")
    ] = False
    quiet: opt.QuietOpt = False
    verbose: opt.VerboseOpt = False
    debug: opt.DebugOpt = False


def read(
    media: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILES...]",
            help="PDF files, scans, photographs of text; - reads stdin. Also folders, URLs and patterns in quotation "
            "marks. Some pages of one: report.pdf#page=3-5,9.",
            show_default=False,
        ),
    ] = None,
    *,
    page_options: ReadPageOptions,
    writing_options: PageWritingOptions,
    reader_options: ReaderOptions,
    machine_options: BatchOptions,
    output_options: ReadOutputOptions,
) -> int | None:
    """Read pages as Markdown: PDFs, scans, photographs of text.

    A page that has text of its own gives that text, as far as it is to be seen on the page. Others are read by the
    embedded reader, or by a model with -m. Run the same command again to continue where it was stopped.

    mmcli read docs/pictures/words.png
    mmcli read docs/pictures/words.png -o words.md
    mmcli read docs/pictures/*.png --tables tables -f json
    """
    from mmcli import terminal
    from mmcli.commands import read_run

    shown, writing, reader, machine = output_options, writing_options, reader_options, machine_options
    form = read_run.form(writing.page_format and writing.page_format.value, writing.output, json=shown.json)
    style = terminal.Style(
        json=shown.json or (form in ("json", "jsonl") and writing.output is None),
        quiet=shown.quiet,
        verbose=shown.verbose,
        debug=shown.debug,
    )
    wanted = PageOptions(page_options.pages, password_file=page_options.password_file).wanted("auto", style)
    target = read_run.target(writing.output, overwrite=writing.overwrite)
    tables = read_run.table_folder(writing.tables)
    pages = read_run.find(media or [], wanted, target, style, recursive=page_options.recursive)
    chosen = read_run.choose(reader, machine, style, by_sight=page_options.by_sight)
    return read_run.run(pages, chosen, form, target, tables, style, keep=machine.cache)
