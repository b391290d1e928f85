"""`mmcli classify`: which of some labels fits each picture best, by the model's own probabilities."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.commands import origins
from mmcli.commands.caption import BatchOptions, PictureOptions
from mmcli.commands.example_options import ExampleOptions, loaded, warn
from mmcli.commands.option_groups import Group, ModelOptions, PictureOfPageOptions
from mmcli.errors import BatchError, InputError, UsageError

if TYPE_CHECKING:
    from mmcli.jobs.classify import Classified, ClassifyTask
    from mmcli.jobs.classify_report import Judged
    from mmcli.jobs.task import Outcome
    from mmcli.media import Source
    from mmcli.outputs.sorting import Sorting
    from mmcli.terminal import Style

LABELS, SHOWN, SORTED = "Labels", "Output", "Sorting"
MOST_BYTES = 1 << 20  # of a file of labels
QUESTION = "What is in this picture?"
UNKNOWN = "?"  # as jobs/classify.py has it


class Truth(StrEnum):
    folder = "folder"


@dataclass(frozen=True)
class LabelOptions(Group):
    """What the pictures may be, and how that is asked."""

    labels: Annotated[
        str | None,
        typer.Option(
            "--labels", metavar="A,B,C", rich_help_panel=LABELS, help="The labels to choose from, with commas between."
        ),
    ] = None
    labels_file: Annotated[
        Path | None,
        typer.Option("--labels-file", metavar="FILE", rich_help_panel=LABELS, help="The same from a file, one a line."),
    ] = None
    ask: Annotated[
        str | None,
        typer.Option("--ask", metavar="QUESTION", rich_help_panel=LABELS, help="What is asked about each picture."),
    ] = None
    form: Annotated[
        str,
        typer.Option(
            "--form",
            metavar="TEXT",
            rich_help_panel=LABELS,
            help="How the model says a label. For a model that answers in sentences: 'The circle is {}.'",
        ),
    ] = "{}"
    multi: Annotated[
        bool,
        typer.Option(
            "--multi", rich_help_panel=LABELS, help="Several labels may fit. Each is asked about by itself, yes or no."
        ),
    ] = False
    abstain: Annotated[
        float | None,
        typer.Option(
            "--abstain",
            min=0.0,
            max=1.0,
            metavar="P",
            rich_help_panel=LABELS,
            help="Say ? where no label is so likely. Also where the model would have answered something else.",
        ),
    ] = None


@dataclass(frozen=True)
class SortOptions(Group):
    """Whether the pictures go into a folder for each label."""

    move: Annotated[
        Path | None,
        typer.Option(
            "--move",
            metavar="DIR",
            rich_help_panel=SORTED,
            help="Show into which folder of DIR each would go. With --yes, move them; `mmcli undo` takes that back.",
        ),
    ] = None
    copy: Annotated[
        Path | None,
        typer.Option("--copy", metavar="DIR", rich_help_panel=SORTED, help="The same with copies of the pictures."),
    ] = None
    yes: Annotated[
        bool,
        typer.Option(
            "-y",
            "--yes",
            envvar="MMCLI_YES",
            rich_help_panel=SORTED,
            help="Do not ask before downloading or sorting. Sorting needs it typed; the variable is ignored there.",
        ),
    ] = False

    def sorting(self, labels: tuple[str, ...], *, multi: bool, report: bool) -> Sorting | None:
        """What sorts the pictures, where that is wanted; UsageError where it cannot be done."""
        from mmcli.outputs import sorting

        if (folder := self.move or self.copy) is None:
            return None
        name = "--move" if self.move is not None else "--copy"
        if self.move is not None and self.copy is not None:
            raise UsageError("--move and --copy cannot be combined", hint="use one of them")
        if multi or report:
            other = "--multi" if multi else "--report"
            raise UsageError(f"{name} and {other} cannot be combined", hint="leave one of them out")
        sorting.check(folder, labels)
        return sorting.Sorting(folder, copy=self.copy is not None)


@dataclass(frozen=True)
class JudgeOptions(Group):
    """How labels are shown, or compared with the truth."""

    truth: Annotated[
        Truth | None,
        typer.Option(
            "--truth",
            rich_help_panel=SHOWN,
            help="Where the right label is known from. `folder`: it is the name of a picture's folder.",
        ),
    ] = None
    report: Annotated[
        bool,
        typer.Option(
            "--report",
            rich_help_panel=SHOWN,
            help="Print how good the labels were. Confusions, precision, recall, calibration and the worst mistakes.",
        ),
    ] = False
    json: opt.JsonOpt = False
    jsonl: Annotated[
        bool, typer.Option("--jsonl", rich_help_panel=SHOWN, help="Print one JSON object a line, as they come.")
    ] = False
    quiet: opt.QuietOpt = False
    verbose: opt.VerboseOpt = False
    debug: opt.DebugOpt = False


def classify(
    called: typer.Context,
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
    label_options: LabelOptions,
    example_options: ExampleOptions,
    judge_options: JudgeOptions,
    sort_options: SortOptions,
    model_options: ModelOptions,
    system: opt.SystemOpt = None,
    machine_options: BatchOptions,
) -> int | None:
    """Choose a label for each picture, with its probability.

    mmcli classify docs/pictures --labels circle,square,star -m starter
    mmcli classify docs/pictures --ask "Is there a star?" --labels yes,no -m starter
    mmcli classify docs/pictures --labels circle,square,star --move sorted -m starter
    """
    from mmcli import terminal
    from mmcli.commands import batch_run, caption_run
    from mmcli.jobs.classify import ClassifyTask, ClassifyWorker
    from mmcli.runtime import model_fetch, model_loader

    judge, machine_opts = judge_options, machine_options
    style = terminal.Style(judge.json or judge.jsonl, judge.quiet, judge.verbose, judge.debug)
    labels = _labels(label_options)
    _check(judge)
    if label_options.multi and example_options.are_given:
        raise UsageError("--multi and examples cannot be combined", hint="leave out --multi")
    named = example_options.named(lambda answer: _labelled(answer, labels, label_options.form), labels=True)
    question = label_options.ask if label_options.ask is not None else "" if label_options.multi else QUESTION
    screen = terminal.Screen(style)
    sorting = sort_options.sorting(labels, multi=label_options.multi, report=judge.report)
    apply = sort_options.yes and origins.is_typed(called, "yes")
    ClassifyTask(labels, question, label_options.form, label_options.multi)  # its errors come first
    pages = page_options.wanted(machine_opts.detail.value)
    wanted = caption_run.wanted(
        media or [],
        picture_options.from_file,
        recursive=picture_options.recursive,
        null=picture_options.null,
        style=style,
        pages=pages,
        command="classify",
    )
    machine = machine_options.machine(model_options.template)
    shown_first = loaded(named, machine_opts.max_megapixels)
    chosen = model_fetch.seeing(model_options.model, model_options.mmproj, yes=sort_options.yes, reporter=screen)
    task = ClassifyTask(
        labels,
        question,
        label_options.form,
        label_options.multi,
        system,
        machine_opts.max_megapixels,
        pages,
        model_loader.setup(chosen, machine),
        examples=shown_first,
    )
    warn(named, chosen, screen)
    out = _Out(task, label_options.abstain, judge, style, sorting, apply=apply)
    status = batch_run.run(
        "classify",
        wanted,
        lambda results, engine: ClassifyWorker(task, results, engine),
        chosen,
        machine,
        out.write,
        style,
        keep=machine_opts.cache,
        close=out.close,
    )
    if out.n_stuck:
        raise BatchError(f"{out.n_stuck} pictures could not be sorted", hint="the same command retries only those")
    return status


def _labels(options: LabelOptions) -> tuple[str, ...]:
    """The labels that were named; UsageError for none, or for both ways of naming them."""
    if (options.labels is None) == (options.labels_file is None):
        raise UsageError(
            "no labels were named" if options.labels is None else "--labels and --labels-file cannot be combined",
            hint="--labels cat,dog,bird names three; --labels-file FILE reads them, one a line",
        )
    if options.labels is not None:
        return tuple(label.strip() for label in options.labels.split(","))
    assert options.labels_file is not None
    path = Path(os.path.expanduser(options.labels_file))
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"--labels-file: `{path}` is larger than a megabyte", hint="give one label a line")
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"--labels-file: cannot read `{path}`: {reason}") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _labelled(answer: str, labels: tuple[str, ...], form: str) -> str:
    """An example's label as the model is to say it; UsageError where it is none of them."""
    same = [label for label in labels if label.casefold() == answer.casefold()]
    if not same:
        raise UsageError(f"`{answer[:60]}` is none of the labels", hint=f"the labels: {', '.join(labels)[:200]}")
    return form.replace("{}", same[0])


def _check(judge: JudgeOptions) -> None:
    if judge.json and judge.jsonl:
        raise UsageError("--json and --jsonl cannot be combined", hint="use one of them")
    if judge.report and judge.truth is None:
        raise UsageError("--report needs to know the truth", hint="--truth folder: the name of a picture's folder")


class _Out:
    """Where outcomes go: lines as they come, or a report at the end."""

    def __init__(
        self,
        task: ClassifyTask,
        abstain: float | None,
        judge: JudgeOptions,
        style: Style,
        sorting: Sorting | None,
        *,
        apply: bool,
    ) -> None:
        """`apply`: pictures are sorted, at the end; else it is only said where they would go."""
        self._sorting, self._apply = sorting, apply
        self.n_stuck = 0  # pictures that could not be sorted
        self._task, self._abstain, self._judge, self._style = task, abstain, judge, style
        self._judged: list[Judged] = []
        self._records: list[dict[str, object]] = []
        self._n_unmeant = 0  # pictures of which the model would have said something else

    def write(self, outcome: Outcome[Classified]) -> None:
        from mmcli import terminal
        from mmcli.jobs import classify as job
        from mmcli.jobs.classify_report import Judged

        found, source = outcome.result, outcome.source.name
        if found is not None:
            self._n_unmeant += found.mass < job.LEAST_MASS
        if self._judge.report:
            if found is not None:
                truth = Path(os.path.abspath(outcome.source.path or source)).parent.name
                self._judged.append(Judged(source, truth, found.label(self._abstain), found.ranked[0][1]))
        elif self._style.json:
            told: dict[str, object] = {"path": source}
            if outcome.error is not None:
                told["error"] = {"code": outcome.error.code, "message": outcome.error.message}
            elif found is not None:
                told |= job.record(found, self._abstain) | {"cached": outcome.cached}
                if (place := self._place(outcome.source, found)) is not None:
                    told["sorted"] = str(place)
            if self._judge.jsonl:
                terminal.json_line(told)
            else:
                self._records.append(told)
        elif found is not None:
            place = self._place(outcome.source, found)
            to = "" if place is None else f"\t{terminal.escaped(str(place))}"
            for label, p in self._told(found):
                terminal.row(f"{terminal.escaped(source)}\t{label}\t{p:.3f}{to}\n")

    def close(self, whole: bool) -> str | None:
        """The report or the list, where they are wanted; a sentence where labels were forced upon the model."""
        from mmcli import terminal
        from mmcli.jobs.classify_report import ClassifyReport

        if self._judge.report and self._judged:
            terminal.classify_report(ClassifyReport(self._judged), self._style)
        elif self._judge.json:
            terminal.data(self._records)
        if self._sorting is not None:
            self._sort(self._sorting, whole=whole)
        if self._n_unmeant and self._abstain is None:
            return (
                f"of {self._n_unmeant} pictures the model would have answered something else than a label"
                " (--form says how it answers; --abstain shows them as ?)"
            )
        return None

    def _place(self, source: Source, found: Classified) -> Path | None:
        """Where the picture goes; None where it stays."""
        label = found.label(self._abstain)
        return None if self._sorting is None or label == UNKNOWN else self._sorting.plan(source, label)

    def _sort(self, sorting: Sorting, *, whole: bool) -> None:
        """Move or copy, where that is wanted and all pictures have their label; say what was done."""
        from mmcli import config, terminal
        from mmcli.commands import caption_run
        from mmcli.jobs.result_cache import Results
        from mmcli.outputs import renames

        done = "copied" if sorting.copies else "moved"
        if sorting.n_no_files:
            terminal.notice(f"{sorting.n_no_files} that are no files of their own stay where they are", self._style)
        if not self._apply or not whole:
            if sorting.n_planned:
                how = "the same command with --yes does it" if whole else "not all have their label yet"
                terminal.notice(f"nothing was {done}: {how}", self._style)
            return
        results = Results(config.cache_dir() / caption_run.RESULTS, on_warning=lambda t: None)
        journal = renames.RenameJournal(caption_run.journals())
        try:
            for move, error in sorting.carry_out(journal):
                if error is not None:
                    self.n_stuck += 1
                    terminal.failure(terminal.escaped(error.message), None)
                elif not sorting.copies:
                    results.moved(move.old, move.new)
        finally:
            journal.close()
            results.close()

    def _told(self, found: Classified) -> list[tuple[str, float]]:
        """The label, or all that fit."""
        if not self._task.multi:
            return [(found.label(self._abstain), found.ranked[0][1])]
        least = 0.5 if self._abstain is None else self._abstain
        return [(label, p) for label, p in found.ranked if p >= least] or [("?", found.ranked[0][1])]
