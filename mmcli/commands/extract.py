"""`mmcli extract`: the same values from each of many pictures, as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands.caption import BatchOptions, PictureOptions, SteadyOptions
from mmcli.commands.example_options import ExampleOptions, loaded, warn
from mmcli.commands.example_options import values as checks
from mmcli.commands.option_groups import Group, ModelOptions, PictureOfPageOptions
from mmcli.errors import OutputError, UsageError

if TYPE_CHECKING:
    from mmcli.errors import MmcliError
    from mmcli.extraction.answer_schema import AnswerSchema
    from mmcli.jobs.extract import Extracted, ExtractTask
    from mmcli.jobs.task import Outcome
    from mmcli.models import Model
    from mmcli.outputs.row_files import Columns, RowWriter, TableRow
    from mmcli.runtime.model_loader import Machine

VALUES, ROWS = "Values", "Rows"
MAX_TOKENS = 2048


@dataclass(frozen=True)
class ValueOptions(Group):
    """What is read from each picture."""

    schema: Annotated[
        str | None,
        typer.Option(
            "--schema",
            metavar="SCHEMA",
            rich_help_panel=VALUES,
            help="What to read, in short or as JSON schema. For example 'vendor, date date, total float'; or a file of "
            "one. All values may be null, where a picture does not show them, but those marked with `!`.",
        ),
    ] = None
    ask: Annotated[
        str | None,
        typer.Option("--ask", metavar="QUESTION", rich_help_panel=VALUES, help="What is asked about each picture."),
    ] = None
    max_tokens: Annotated[
        int,
        typer.Option("--max-tokens", min=1, envvar="MMCLI_MAX_TOKENS", rich_help_panel=VALUES, help="Longest answer."),
    ] = MAX_TOKENS
    retry_cut: Annotated[
        bool,
        typer.Option("--retry-cut", rich_help_panel=VALUES, help="Ask again where an answer was cut off."),
    ] = False


@dataclass(frozen=True)
class RowOptions(Group):
    """Where the rows go, and their form."""

    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            rich_help_panel=ROWS,
            help="Write .csv, .tsv, .jsonl or .db (SQLite). Without it, CSV goes to stdout.",
        ),
    ] = None
    rows: Annotated[
        str | None,
        typer.Option(
            "--rows",
            metavar="FIELD",
            rich_help_panel=ROWS,
            help="One row for each item of this list. The other values are repeated beside it.",
        ),
    ] = None
    table: Annotated[
        str, typer.Option("--table", metavar="NAME", rich_help_panel=ROWS, help="The table of a .db file.")
    ] = "extracted"
    csv_safe: Annotated[
        bool,
        typer.Option(
            "--csv-safe",
            rich_help_panel=ROWS,
            help="Let no spreadsheet compute a text. It gets an apostrophe before it.",
        ),
    ] = False
    confidence: Annotated[
        bool,
        typer.Option("--confidence", rich_help_panel=ROWS, help="Add columns: how likely each value was to the model."),
    ] = False
    min_confidence: Annotated[
        float | None,
        typer.Option(
            "--min-confidence",
            min=0.0,
            max=1.0,
            metavar="P",
            rich_help_panel=ROWS,
            help="Set rows aside in which a value is less likely. Each is an error, and the status is 7.",
        ),
    ] = None
    review: Annotated[
        Path | None,
        typer.Option(
            "--review",
            metavar="FILE",
            rich_help_panel=ROWS,
            help="Where those rows go, values and all. For --min-confidence; the form is by the name, as with -o.",
        ),
    ] = None
    jsonl: Annotated[
        bool, typer.Option("--jsonl", rich_help_panel=ROWS, help="Print one JSON object a line, with receipts.")
    ] = False
    quiet: opt.QuietOpt = False
    verbose: opt.VerboseOpt = False
    debug: opt.DebugOpt = False


def extract(
    media: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEDIA...]",
            help="Picture and PDF files, folders, URLs; or pipe their names in. Also a pattern in quotation marks, "
            "a part of a picture, photo.jpg#xywh=10,10,200,80, or a page, report.pdf#page=3.",
            show_default=False,
        ),
    ] = None,
    *,
    picture_options: PictureOptions,
    page_options: PictureOfPageOptions,
    value_options: ValueOptions,
    example_options: ExampleOptions,
    row_options: RowOptions,
    model_options: ModelOptions,
    yes: opt.YesOpt = False,
    answer_options: SteadyOptions,
    machine_options: BatchOptions,
) -> int | None:
    """Read values from pictures into a table: one row for each. The same command continues where it was stopped.

    mmcli extract docs/pictures --schema 'shape circle|square|star!, n int 1..9!' -m starter
    mmcli extract docs/pictures --schema 'n int 1..9!' -o shapes.csv -m starter
    """
    from mmcli import terminal
    from mmcli.commands import batch_run, caption_run
    from mmcli.extraction import answer_schema
    from mmcli.jobs.engine_worker import EngineWorker
    from mmcli.outputs.row_files import Columns
    from mmcli.runtime import model_fetch

    pictures, values, machine_opts = picture_options, value_options, machine_options
    style = terminal.Style(row_options.jsonl, row_options.quiet, row_options.verbose, row_options.debug)
    if values.schema is None:
        raise UsageError("no values were named", hint="--schema 'vendor, date date, total float' names three")
    shape = answer_schema.find(values.schema, nullable=True)
    columns = Columns(shape.wanted, row_options.rows, row_options.confidence)
    _check(row_options)
    named = example_options.named(checks(shape))
    pages = page_options.wanted(machine_opts.detail.value)
    wanted = caption_run.wanted(
        media or [],
        pictures.from_file,
        recursive=pictures.recursive,
        null=pictures.null,
        style=style,
        pages=pages,
        command="extract",
    )
    screen = terminal.Screen(style)
    shown_first = loaded(named, machine_opts.max_megapixels)
    machine = machine_options.machine(model_options.template)
    chosen = model_fetch.seeing(model_options.model, model_options.mmproj, yes=yes, reporter=screen)
    warn(named, chosen, screen)
    task = _task(shape, values, answer_options, machine_opts, chosen, machine)
    is_sure_told = row_options.confidence or row_options.min_confidence is not None
    task = replace(task, sampling=replace(task.sampling, confidence=is_sure_told))
    task = replace(task, pages=pages, examples=shown_first)
    out = _Out(row_options, columns)
    return batch_run.run(
        "extract",
        wanted,
        lambda results, engine: EngineWorker(task, results, engine),
        chosen,
        machine,
        out.write,
        style,
        keep=machine_opts.cache,
        close=out.close,
        object_to=out.doubt,
    )


def _check(options: RowOptions) -> None:
    """UsageError where a file's name says nothing of its form, or options contradict each other."""
    from mmcli.outputs.row_files import FORMS

    if options.review is not None and options.min_confidence is None:
        raise UsageError("--review needs --min-confidence", hint="--min-confidence 0.8 sets rows aside")
    if options.review is not None and options.review == options.output:
        raise UsageError("--review and -o name the same file", hint="give each its own")
    if options.output is not None and options.jsonl:
        raise UsageError("--jsonl prints rows, and -o writes them to a file", hint="-o FILE.jsonl writes JSON lines")
    for name, path in (("-o", options.output), ("--review", options.review)):
        if path is None:
            continue
        if path.suffix.lower() not in FORMS:
            known = ", ".join(FORMS)
            raise UsageError(f"{name}: the form of `{path}` is not known", hint=f"its name shall end with {known}")
        if path.is_dir():
            raise UsageError(f"{name} takes a file, and `{path}` is a folder", hint=f"for example {name} values.csv")


def _task(
    shape: AnswerSchema,
    values: ValueOptions,
    answer: SteadyOptions,
    machine_opts: BatchOptions,
    model: Model,
    machine: Machine,
) -> ExtractTask:
    from mmcli.jobs.extract import QUESTION, ExtractTask
    from mmcli.runtime import model_loader

    if values.ask is not None and not values.ask.strip():
        raise UsageError("--ask is empty", hint="leave it out")
    choice = model_loader.Choice(answer.temperature, values.max_tokens, answer.seed or 0, loop_guard=answer.loop_guard)
    return ExtractTask(
        shape,
        replace(model_loader.sampling(model, choice), schema=shape.text),
        question=values.ask or QUESTION,
        system=answer.system,
        max_megapixels=machine_opts.max_megapixels,
        setup=model_loader.setup(model, machine),
        parallel=machine_opts.parallel,
        retry_cut=values.retry_cut,
    )


def _writer(options: RowOptions, columns: Columns) -> RowWriter:
    from mmcli import terminal
    from mmcli.outputs import row_files

    path = options.output
    if path is None:
        if options.jsonl:
            return row_files.JsonLinesWriter(terminal.row)
        return row_files.CsvWriter(terminal.row, columns, safe=options.csv_safe)
    form = row_files.FORMS[path.suffix.lower()]
    if form == "sqlite":
        return row_files.SqliteWriter(path, columns, options.table)
    if form == "jsonl":
        return row_files.FileWriter(path, row_files.JsonLinesWriter)
    return row_files.FileWriter(
        path, lambda put: row_files.CsvWriter(put, columns, tabs=form == "tsv", safe=options.csv_safe)
    )


class _Out:
    """Where rows go: to the output, or to a review where the model was unsure."""

    def __init__(self, options: RowOptions, columns: Columns) -> None:
        self._least, self._n_unsure = options.min_confidence, 0
        self._rows = _writer(options, columns)
        sure = replace(columns, confidence=True)
        aside = replace(options, output=options.review, jsonl=False)
        self._review = None if options.review is None else _writer(aside, sure)

    def doubt(self, outcome: Outcome[Extracted]) -> MmcliError | None:
        """Why a row is set aside; None where it is not."""
        if self._least is None or outcome.result is None:
            return None
        doubt = outcome.result.doubt(self._least)
        self._n_unsure += doubt is not None
        return None if doubt is None else OutputError(doubt)

    def write(self, outcome: Outcome[Extracted]) -> None:
        is_unsure = outcome.error is not None and outcome.result is not None
        if is_unsure and self._review is not None:
            self._review.write(_row(replace(outcome, error=None)))
        else:
            self._rows.write(_row(outcome))

    def close(self, whole: bool) -> str | None:
        """What is left as it was, or where rows went that the model was unsure of."""
        left = self._review.close(whole=whole) if self._review is not None else None
        if left := self._rows.close(whole=whole) or left:
            return left
        if self._n_unsure and self._review is None:
            return f"{self._n_unsure} rows have no values, as the model was unsure (--review FILE keeps them)"
        return None


def _row(outcome: Outcome[Extracted]) -> TableRow:
    from mmcli.outputs.row_files import TableRow

    source = outcome.source.name
    if outcome.error is not None:
        return TableRow(source, error=outcome.error.message)
    if outcome.result is None:  # a blank page has no values
        return TableRow(source, {})
    found = outcome.result
    sure = {name: one.record for name, one in found.confidence.items()}
    return TableRow(source, found.value, record=found.record | {"cached": outcome.cached}, sure=sure)
