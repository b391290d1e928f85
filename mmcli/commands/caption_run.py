"""Puts `mmcli caption` together: the inputs, the job, the run, and the summary at the end."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mmcli import errors
from mmcli.errors import BatchError, InputError, MmcliError, UsageError
from mmcli.jobs import caption_styles
from mmcli.jobs.inputs import InputNames
from mmcli.outputs import sidecars

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mmcli.jobs.caption import Caption, CaptionTask
    from mmcli.jobs.inputs import SpooledInputs
    from mmcli.jobs.result_cache import Results
    from mmcli.jobs.runner import Runner
    from mmcli.jobs.task import Asked
    from mmcli.jobs.vocabulary import Vocabulary
    from mmcli.media import FilmWanted, PagesWanted
    from mmcli.models import Model
    from mmcli.outputs.caption_outputs import CaptionOutputs
    from mmcli.outputs.embedding import Embedding
    from mmcli.runtime.model_loader import Choice, Machine
    from mmcli.terminal import Captions, Style
    from mmcli.terminal.caption_view import Form

    Captioning: TypeAlias = Runner[Asked, Caption]

RESULTS = "captions.db"
ROOM_FOR_CUT = 4  # times the style's tokens, where captions that were cut are made again


# what is wanted


def wanted(
    arguments: list[str],
    from_file: str | None,
    *,
    recursive: bool,
    null: bool,
    style: Style,
    pages: PagesWanted | None = None,
    command: str = "caption",
) -> InputNames:
    """The pictures that are named, by arguments, by a list, or on stdin; a picture on stdin is one of them."""
    separator, films = b"\0" if null else b"\n", command == "caption"
    if from_file is not None and from_file != "-":
        if "-" in arguments:
            raise UsageError("`-` and --from-file cannot be combined", hint="use one of them")
        return InputNames(
            arguments, recursive, _blocks(from_file), separator, list_name=from_file, pages=pages, films=films
        )
    if arguments and "-" not in arguments and from_file is None and not null:
        # what else is on stdin belongs to somebody else: the loop we run in
        return InputNames(arguments, recursive, pages=pages, films=films)
    is_list, is_wanted = null or from_file == "-", "-" in arguments or from_file == "-"
    picture, names = _piped(style, is_list=is_list, wanted=is_wanted, command=command)
    return InputNames(arguments, recursive, names, separator, picture, pages=pages, films=films)


def _piped(style: Style, *, is_list: bool, wanted: bool, command: str) -> tuple[bytes | None, Iterator[bytes] | None]:
    """What is on stdin: the bytes of one picture, or names as they arrive."""
    from mmcli import media, terminal

    stream = sys.stdin
    if stream is None or (stream.isatty() and not wanted):
        raise UsageError("no pictures were named", hint=f"mmcli {command} photo.jpg, or: find . | mmcli {command}")
    piped = media.Piped(stream.fileno(), None if wanted else lambda text: terminal.notice(text, style))
    if is_list or not piped.head:
        return None, piped.blocks()
    kind = media.sniff(piped.head)
    if kind == "text":
        return None, piped.blocks()
    if kind is None and b"\0" in piped.head and b"/" in piped.head.split(b"\0")[0]:
        raise InputError("stdin holds names that end with NUL", hint="add -0")
    return piped.all(), None


def _blocks(path: str) -> Iterator[bytes]:
    """A list's content as it is read; it is opened at once, so that a wrong name is told before all else."""
    try:
        file = open(os.path.expanduser(path), "rb")
    except OSError as error:
        raise InputError(f"the list `{path}` cannot be read: {error.strerror}") from error

    def read() -> Iterator[bytes]:
        with file:
            while block := file.read(1 << 16):
                yield block

    return read()


def checked(plan: sidecars.SidecarPlan) -> sidecars.SidecarPlan:
    """The plan, if it makes sense and its folder can be written into."""
    if plan.folder is not None and not plan.kinds:
        raise UsageError(
            "-o names a folder for sidecars, but there is no --sidecar", hint="add --sidecar txt, json or xmp"
        )
    folder = plan.folder
    if folder is not None and not os.path.lexists(folder):
        from mmcli import media

        if media.has_media_suffix(folder) or folder.suffix[1:].lower() in (*sidecars.NAMING, "jsonl"):
            raise UsageError(
                f"-o takes a folder, and `{folder}` is named like a file",
                hint=f"mkdir {folder}, if it should be a folder",
            )
    sidecars.check(plan)
    return plan


def check_parts(arguments: Sequence[str], writing: Writing) -> None:
    """UsageError where the caption of a part would be written to the whole picture, or a part is malformed."""
    from mmcli import media
    from mmcli.outputs.caption_outputs import WHOLE

    done = {"sidecar": bool(writing.sidecars.kinds), "rename": writing.rename, "embed": writing.embed}
    for argument in arguments:
        part = None
        with suppress(InputError):  # told of each picture in its turn
            part = media.part_of(argument)
        for option in [name for name, is_wanted in done.items() if is_wanted and part is not None]:
            raise UsageError(
                f"{media.quoted(argument)} is a part of a picture: {WHOLE[option]}",
                hint=f"leave out --{option}, or `#{part}`",
            )


# what is asked


def vocabulary(path: Path | None, style: str | None) -> Vocabulary | None:
    """The keywords of a list that was named; UsageError beside another style than tags."""
    if path is None:
        return None
    if style not in (None, "tags"):
        raise UsageError(f"--keywords-from is for tags, and --style says {style}", hint="leave out --style")
    from mmcli.jobs import vocabulary as lists

    return lists.load(Path(os.path.expanduser(path)))


@dataclass(frozen=True)
class Asking:
    """What is asked about every picture, as the options say it."""

    style: str = "short"
    prompt: str | None = None
    language: str | None = None
    system: str | None = None
    facts: bool = False
    max_megapixels: float = 100.0
    parallel: int | None = None
    retry_cut: bool = False
    words: Vocabulary | None = None  # the only tags there may be
    pages: PagesWanted | None = None
    film: FilmWanted | None = None

    def task(self, model: Model, machine: Machine, choice: Choice) -> CaptionTask:
        from mmcli.jobs.caption import CaptionTask
        from mmcli.media import FilmWanted, PagesWanted, Wanted
        from mmcli.runtime import films, model_loader

        style = caption_styles.STYLES[self.style]
        if self.words is not None:
            style = self.words.style(style)
        if self.prompt is not None and not self.prompt.strip():
            raise UsageError("--prompt is empty", hint="leave it out for the style's own prompt")
        room = ROOM_FOR_CUT if self.retry_cut else 1  # the same limit would cut them again
        choice = replace(choice, max_tokens=choice.max_tokens or room * style.max_tokens)
        film = Wanted(film=self.film or FilmWanted(sound="off"))
        return CaptionTask(
            caption_styles.question(style, prompt=self.prompt, language=self.language),
            style,
            model_loader.sampling(model, choice),
            system=self.system,
            facts=self.facts,
            max_megapixels=self.max_megapixels,
            pages=self.pages or PagesWanted(),
            film=films.fitted(film, model, machine, max_tokens=choice.max_tokens or style.max_tokens).film,
            setup=model_loader.setup(model, machine),
            parallel=self.parallel,
            retry_cut=self.retry_cut,
        )


# what is done with it


@dataclass(frozen=True)
class Writing:
    """What becomes of captions besides being shown."""

    sidecars: sidecars.SidecarPlan = sidecars.SidecarPlan()
    rename: bool = False  # propose names
    apply: bool = False  # and give them
    embed: bool = False  # put captions into the pictures' own files
    dry_run: bool = False  # say what would be done


def form(wanted: InputNames, *, json: bool, jsonl: bool, print0: bool, dry_run: bool) -> Form:
    """How captions are written to stdout; the single picture of a pipe needs no name before it."""
    if json + jsonl + print0 > 1:
        raise UsageError("--json, --jsonl and --print0 cannot be combined", hint="use one of them")
    if json or jsonl or print0:
        return "json" if json else "jsonl" if jsonl else "print0"
    from mmcli import media

    is_picture = wanted.picture is not None and media.sniff(wanted.picture) != "pdf"  # which is several
    alone = is_picture and set(wanted.arguments) <= {"-"}
    return "plain" if alone and not dry_run else "lines"


def run(
    wanted: InputNames,
    task: CaptionTask,
    model: Model,
    machine: Machine,
    writing: Writing,
    form: Form,
    style: Style,
    *,
    keep: bool,
) -> int:
    """Caption everything that is wanted; the exit status. Raises what ended it, or BatchError where some failed."""
    from mmcli import config, signals, terminal
    from mmcli.jobs.engine_worker import EngineWorker
    from mmcli.jobs.inputs import SpooledInputs
    from mmcli.jobs.result_cache import Results
    from mmcli.jobs.runner import Runner
    from mmcli.outputs import renames
    from mmcli.outputs.caption_outputs import CaptionOutputs, caption_record
    from mmcli.runtime import model_loader

    interrupted = threading.Event()
    with ExitStack() as close:
        results = Results(
            config.cache_dir() / RESULTS if keep else None, on_warning=lambda t: terminal.warning(t, style)
        )
        close.callback(results.close)
        progress = close.enter_context(terminal.progress(replace(style, json=False)))
        is_journalled = (writing.apply or writing.embed) and not writing.dry_run
        journal = renames.RenameJournal(journals()) if is_journalled else None
        if journal is not None:
            close.callback(journal.close)
        outputs = CaptionOutputs(
            sidecars.Sidecars(writing.sidecars, results),
            results,
            rename=writing.rename,
            apply=writing.apply,
            journal=journal,
            embedding=_embedding(writing, results, task),
            dry_run=writing.dry_run,
        )
        loading = model_loader.Loading(model, machine, terminal.Screen(style), lasting=True)
        loading.on_progress = progress
        listing = SpooledInputs(wanted)
        worker = EngineWorker(task, results, loading.engine)  # loaded for the first picture that needs it
        captions = Runner(listing, worker, outputs, dry_run=writing.dry_run)

        def end() -> None:
            interrupted.set()
            captions.stop()
            loading.stop()

        close.enter_context(signals.two_steps(end))
        close.enter_context(captions)
        shown = terminal.Captions(form, style, progress, caption_record, dry_run=writing.dry_run)
        try:
            status = _show(captions, listing, outputs, shown, form, style, single=wanted.names is None)
        except MmcliError:
            if shown.done:
                _tell_how_far(captions, shown, style, keep)
            raise
    n_written = outputs.n_written
    return _conclude(captions, shown, status, writing, style, n_written, interrupted=interrupted.is_set(), keep=keep)


def _embedding(writing: Writing, results: Results, task: CaptionTask) -> Embedding | None:
    """What puts captions into files, where that is wanted."""
    if not writing.embed:
        return None
    from mmcli.outputs.embedding import Embedding

    plan = writing.sidecars
    return Embedding(results, tags=plan.tags, overwrite=plan.overwrite, max_megapixels=task.max_megapixels)


def _show(
    captions: Captioning,
    listing: SpooledInputs,
    outputs: CaptionOutputs,
    shown: Captions,
    form: Form,
    style: Style,
    *,
    single: bool,
) -> int:
    """Each outcome written and told; the status. `single`: there may be but one, whose own error is more exact."""
    from mmcli import terminal

    status = 0
    try:
        for computed in captions:
            written = outputs(computed)
            outcome = written.outcome
            if outcome.error is not None:
                source = outcome.source
                is_list = source.path is None and source.url is None and source.data is None
                is_only = (single or is_list) and outcome.index == 0 and not listing.has_second()
                if is_only and form not in ("json", "jsonl"):
                    raise outcome.error
                status = outcome.error.status if is_only else BatchError.status
            shown(written)
            total = listing.n if listing.complete else 0
            if shown.estimate(total, captions.pace()):
                _tell_of_a_faster_build(style)
            shown.report(total, captions.pace())
    finally:
        shown.close()
    for sentence in listing.skipped:
        terminal.notice(sentence, style)
    return status


def _tell_of_a_faster_build(style: Style) -> None:
    """To whoever waits long: what this machine has and llama.cpp's build does not use."""
    from mmcli import terminal
    from mmcli.health import offer

    if (sentence := offer.of_a_better_build()) is not None:
        terminal.notice(sentence, style)


def _tell_how_far(captions: Captioning, shown: Captions, style: Style, keep: bool) -> None:
    from mmcli import terminal

    of = f" of {captions.inputs.n}" if captions.inputs.complete else ""
    then = "the same command continues from there" if keep else "nothing is cached for the next run (--no-cache)"
    tell = terminal.warning if style.json else terminal.notice  # a note would not be told in JSON
    tell(f"stopped after {shown.done}{of} pictures; {then}", style)


def _conclude(
    captions: Captioning,
    shown: Captions,
    status: int,
    writing: Writing,
    style: Style,
    n_written: int,
    *,
    interrupted: bool,
    keep: bool,
) -> int:
    """The last words, and the exit status."""
    from mmcli import terminal

    if interrupted:
        _tell_how_far(captions, shown, style, keep)
        return errors.INTERRUPTED
    if not shown.done:
        raise InputError("no pictures were named: the list is empty")
    if shown.planned:
        shown.plan(captions.seconds_before)
    notes = _notes(shown, writing, style)
    if shown.is_summed_up():
        shown.sum_up(n_written, *notes)
    else:
        for note in notes:
            terminal.notice(note, style)
    if status == BatchError.status:
        raise BatchError(f"{shown.failed} of {shown.done} pictures failed", hint="the same command retries only those")
    return status


def _notes(shown: Captions, writing: Writing, style: Style) -> Iterator[str]:
    """What is worth knowing at the end besides what was done."""
    if shown.kept:
        why = "" if style.verbose or shown.tells_all else "; -v shows why"
        yield f"{shown.kept} left as {'it is' if shown.kept == 1 else 'they are'}{why}"
    if shown.cut:
        cut, them = ("1 caption is", "it") if shown.cut == 1 else (f"{shown.cut} captions are", "them")
        yield f"{cut} cut off; --retry-cut redoes {them}; raise --max-tokens if needed"
    if writing.rename and not writing.apply and shown.named:
        yield "nothing was renamed: the same command with --yes does it, without computing anything again"


def journals() -> Path:
    """Where the journals lie of what `mmcli undo` takes back."""
    from mmcli import config

    return config.data_dir() / "renames"
