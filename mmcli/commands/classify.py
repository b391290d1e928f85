"""`mmcli classify`: which of some labels fits each picture best, by the model's own probabilities."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli import sanitize
from mmcli.commands import options as opt
from mmcli.commands import origins
from mmcli.commands.caption import BatchOptions, PictureOptions
from mmcli.commands.classify_embedding import MatchOptions
from mmcli.commands.example_options import ExampleOptions, loaded, warn
from mmcli.commands.option_groups import Group, ModelOptions, PictureOfPageOptions
from mmcli.commands.pages import RARE
from mmcli.errors import BatchError, InputError, UsageError

if TYPE_CHECKING:
    from mmcli.outputs.sorting import Sorting
    from mmcli.terminal import Style

LABELS, SHOWN, SORTED = "Labels", "Output", "Sorting"
MOST_BYTES = 1 << 20  # of a file of labels
QUESTION = "What is in this picture?"


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
        RARE,
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
        bool, typer.Option("--jsonl", rich_help_panel=SHOWN, help="Print one JSON object a line, as they come."), RARE
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
    match_options: MatchOptions,
    example_options: ExampleOptions,
    judge_options: JudgeOptions,
    sort_options: SortOptions,
    model_options: ModelOptions,
    system: opt.SystemOpt = None,
    machine_options: BatchOptions,
) -> int | None:
    """Choose a label for each picture, with its probability.

    mmcli classify docs/pictures --ask "Is there a star?" --labels yes,no -m starter
    mmcli classify docs/pictures --by embedding --labels circle,square,star -m starter
    """
    from mmcli import terminal
    from mmcli.commands import batch_run, caption_run
    from mmcli.commands.classify_out import LabelsOut
    from mmcli.jobs.classify import ClassifyTask, ClassifyWorker
    from mmcli.runtime import model_fetch, model_loader

    judge, machine_opts = judge_options, machine_options
    style = terminal.Style(judge.json or judge.jsonl, judge.quiet, judge.verbose, judge.debug)
    _check(judge)
    if match_options.wanted:
        return _by_embedding(
            called,
            media or [],
            picture_options,
            page_options,
            label_options,
            match_options,
            example_options,
            judge,
            sort_options,
            machine_opts,
            style,
        )
    labels = _labels(label_options)
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
    out = LabelsOut(task, label_options.abstain, judge, style, sorting, apply=apply)
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
    _check_stuck(out.n_stuck)
    return status


def _check_stuck(n_stuck: int) -> None:
    """BatchError where pictures could not be sorted."""
    if n_stuck:
        raise BatchError(f"{n_stuck} pictures could not be sorted", hint="the same command retries only those")


def _by_embedding(
    called: typer.Context,
    media: list[str],
    picture_options: PictureOptions,
    page_options: PictureOfPageOptions,
    label_options: LabelOptions,
    match_options: MatchOptions,
    example_options: ExampleOptions,
    judge: JudgeOptions,
    sort_options: SortOptions,
    machine_options: BatchOptions,
    style: Style,
) -> int:
    """Compare pictures with labels, sentences or examples; nothing is asked."""
    from mmcli import terminal
    from mmcli.commands import caption_run, classify_embedding
    from mmcli.commands.classify_out import LabelsOut
    from mmcli.jobs.classify_embedding import MatchTask
    from mmcli.runtime import embedding

    has_labels = label_options.labels is not None or label_options.labels_file is not None
    others = {"ask": "--ask", "form": "--form", "system": "-s/--system", "mmproj": "--mmproj", "example": "--example"}
    refused = [option for name, option in others.items() if origins.is_typed(called, name)]
    examples = example_options.examples
    match_options.check(has_labels=has_labels, has_examples=examples is not None, refused=refused)
    if has_labels:
        described = _labels(label_options)
    elif match_options.texts is not None:
        described = classify_embedding.sentences(match_options.texts)
    elif examples is not None:
        described = classify_embedding.folders(examples)
    else:
        described = _labels(label_options)
    names = classify_embedding.names_of(described, match_options, examples, multi=label_options.multi)
    sorting = sort_options.sorting(tuple(names), multi=label_options.multi, report=judge.report)
    pages = page_options.wanted(machine_options.detail.value)
    wanted = caption_run.wanted(
        media,
        picture_options.from_file,
        recursive=picture_options.recursive,
        null=picture_options.null,
        style=style,
        pages=pages,
        command="classify",
    )
    task = MatchTask(names, label_options.multi)
    chosen = called.params.get("model") if origins.is_typed(called, "model") else None
    apply = sort_options.yes and origins.is_typed(called, "yes")
    screen = terminal.Screen(style)
    with embedding.open_space(chosen, yes=sort_options.yes, reporter=screen, threads=machine_options.threads) as space:
        matching = classify_embedding.Matching(space, task, pages, machine_options.max_megapixels, style)
        told_apart = classify_embedding.judge_of(matching, described, match_options, examples)
        out = LabelsOut(task, label_options.abstain, judge, style, sorting, apply=apply)
        status = matching.run(wanted, told_apart, out.write, out.close)
    _check_stuck(out.n_stuck)
    return status


def _labels(options: LabelOptions) -> tuple[str, ...]:
    """The labels that were named; UsageError for none, or for both ways of naming them."""
    if (options.labels is None) == (options.labels_file is None):
        raise UsageError(
            "no labels were named" if options.labels is None else "--labels and --labels-file cannot be combined",
            hint="--labels cat,dog,bird names three; --labels-file FILE reads them, one a line",
        )
    if options.labels is not None:
        return tuple(sanitize.without_surrogates(label).strip() for label in options.labels.split(","))
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
