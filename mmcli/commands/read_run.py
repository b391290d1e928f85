"""Puts `mmcli read` together: the pages, who reads them, the run, and where the text goes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mmcli import errors, files
from mmcli.errors import BatchError, InputError, MmcliError, UsageError

if TYPE_CHECKING:
    from mmcli.commands.caption import BatchOptions
    from mmcli.commands.read import ReaderOptions
    from mmcli.engine.protocol import BatchEngine
    from mmcli.jobs.inputs import Named
    from mmcli.jobs.read import Reading, ReadTask
    from mmcli.jobs.task import Outcome
    from mmcli.media import PagesWanted, Source
    from mmcli.outputs.page_texts import PageFormat, PageTexts, TableFiles
    from mmcli.runtime.model_loader import Loading
    from mmcli.terminal import Progress, Style

RESULTS = "pages.db"
# docling's words for models that were not trained on words of their own.
PROMPT = "Convert this page to markdown. Do not miss any text and only output the bare markdown!"
EMBEDDED = "ppocr"


@dataclass(frozen=True)
class FoundPages:
    """Each page as an input of its own, and the passwords of the files that need one, by their names."""

    named: Sequence[Named]
    passwords: Mapping[str, str]


@dataclass(frozen=True)
class Chosen:
    """Who reads: the task, and what opens the engine for the first page that needs it."""

    task: ReadTask
    open_engine: Callable[[Progress], AbstractContextManager[BatchEngine]]
    stop: Callable[[], None] = lambda: None


# where it goes


def form(named: str | None, output: str | None, *, json: bool) -> PageFormat:
    """The format a user means: by its name, or by the ending of the file it goes to."""
    from mmcli.outputs.page_texts import SUFFIXES

    if named and json and named not in ("json", "jsonl"):
        raise UsageError(f"--json and -f {named} cannot be combined", hint="use one of them")
    suffix = Path(output).suffix.lower() if output else ""
    by_suffix = SUFFIXES.get(suffix) or ("jsonl" if suffix == ".jsonl" else None)
    if output and not named and not json and suffix and by_suffix is None:
        raise UsageError(
            f"`{output}`: pages cannot be written as a `{suffix}` file",
            hint=f"use one of {', '.join([*SUFFIXES, '.jsonl'])}, or name the format: -f md",
        )
    return cast("PageFormat", named or ("json" if json else by_suffix) or "md")


def target(output: str | None, *, overwrite: bool) -> Path | None:
    """The file of -o, if it can be written; None: stdout."""
    if output is None:
        return None
    path = Path(os.path.expanduser(output))
    if path.is_dir() or output.endswith(("/", os.sep)):
        raise UsageError(f"-o takes a file, and `{output}` is a folder", hint="for example -o pages.md")
    if path.exists() and not overwrite:
        raise UsageError(f"`{output}` already exists", hint="--overwrite replaces it")
    files.check_name(path)
    files.make_folder(path.parent)
    if not files.writable(path.parent):
        raise InputError(f"cannot write to the folder `{path.parent}`")
    return path


def table_folder(folder: Path | None) -> Path | None:
    """The folder of --tables, made."""
    if folder is None:
        return None
    path = Path(os.path.expanduser(folder))
    if path.exists() and not path.is_dir():
        raise UsageError(f"--tables takes a folder, and `{folder}` is a file", hint="for example --tables tables/")
    files.make_folder(path)
    if not files.writable(path):
        raise InputError(f"cannot write to the folder `{path}`")
    return path


# which pages


def find(
    arguments: Sequence[str], wanted: PagesWanted, target: Path | None, style: Style, *, recursive: bool
) -> FoundPages:
    """The pages of all that is named; a file that cannot be opened is one input that has its error.

    InputError or UsageError where there is nothing to read, or the only file cannot be opened.
    """
    from mmcli import media, terminal
    from mmcli.jobs.inputs import Named

    data = None
    if not arguments or "-" in arguments:
        data = media.read_stdin(
            sys.stdin.buffer if sys.stdin is not None else None,
            wanted="-" in arguments,
            has_media=False,
            on_wait=lambda text: terminal.notice(text, style),
        )
    if not arguments and not data:
        raise UsageError("there is nothing to read", hint="mmcli read scan.pdf, or pipe a file in")
    found = media.find(
        list(arguments) or ["-"],
        recursive=recursive,
        stdin=data,
        kinds=frozenset({"image", "pdf"}),
        on_skipped=lambda text: terminal.notice(text, style),
    )
    if target is not None and any(_is_same(source.path, target) for source in found):
        raise UsageError(f"`{target}` is what is to be read", hint="choose another -o")
    named, passwords = list[Named](), dict[str, str]()
    for source in found:
        try:
            named += [Named(len(named) + at, page) for at, page in enumerate(_pages_of(source, wanted, passwords))]
        except MmcliError as error:
            if len(found) == 1:
                raise
            named.append(Named(len(named), source, error.released()))
    return FoundPages(named, passwords)


def _is_same(path: Path | None, other: Path) -> bool:
    try:
        return path is not None and path.samefile(other)
    except OSError:
        return False


def _pages_of(source: Source, wanted: PagesWanted, passwords: dict[str, str]) -> list[Source]:
    """The pages of a PDF that are wanted, each as a source; anything else as it is."""
    from mmcli import media
    from mmcli.media import locator, pages

    data = media.read(source)
    if media.sniff(data) != "pdf":
        return [source]
    if source.locator is not None and not source.locator.pages:
        raise InputError(f"{source.shown} is a PDF document, which has pages: `#page=3`")
    book = pages.open_document(source, data, replace(wanted, at_once=0)).book
    if book.password is not None:
        passwords[book.name] = book.password
    if source.url is not None:  # fetched once
        source = replace(source, url=None, data=data)
    places = [locator.Locator(pages=((number, number),)) for number in book.numbers]
    return [replace(source, name=f"{book.name}#{place}", locator=place) for place in places]


# who reads


def choose(reader: ReaderOptions, machine: BatchOptions, style: Style, *, by_sight: bool) -> Chosen:
    """The embedded reader, or the model that was named."""
    from mmcli.documents import writing
    from mmcli.jobs.read import MODEL_SIDE, ReadTask

    if reader.reader is None or reader.reader.lower() == EMBEDDED:
        if reader.mmproj is not None or reader.ask is not None:
            raise UsageError("--mmproj and --ask are for a model", hint="name one with -m, for example -m glm-ocr")
        return _embedded(machine, by_sight)
    from mmcli import terminal
    from mmcli.runtime import model_fetch, model_loader

    screen = terminal.Screen(style)
    how = machine.machine(reader.template)
    model = model_fetch.seeing(reader.reader, reader.mmproj, yes=reader.yes, reporter=screen)
    advice = model.advice
    sampling = model_loader.sampling(model, model_loader.Choice(max_tokens=reader.page_tokens, seed=0))
    task = ReadTask(
        question=reader.ask if reader.ask is not None else advice.prompts.get("text", PROMPT),
        sampling=replace(sampling, temperature=0.0, special=advice.output == "doctags"),
        system=advice.prompts.get("system"),
        form=cast("writing.Form", advice.output),
        by_sight=by_sight,
        side=advice.side or MODEL_SIDE,
        max_megapixels=machine.max_megapixels,
        setup=model_loader.setup(model, how),
        parallel=machine.parallel,
    )
    loading: Loading = model_loader.Loading(model, how, screen, lasting=True)

    def open_engine(progress: Progress) -> AbstractContextManager[BatchEngine]:
        loading.on_progress = progress
        return loading.engine()

    return Chosen(task, open_engine, loading.stop)


def _embedded(machine: BatchOptions, by_sight: bool) -> Chosen:
    from mmcli.jobs.read import ReadTask

    def open_engine(progress: Progress) -> AbstractContextManager[BatchEngine]:
        from mmcli.documents.ppocr import PpocrEngine
        from mmcli.engine import hardware

        return PpocrEngine(machine.threads or hardware.cores())

    from mmcli.documents import ocr

    setup = f"{ocr.NAME} {ocr.version()}" if ocr.is_installed() else ocr.NAME
    return Chosen(ReadTask(by_sight=by_sight, max_megapixels=machine.max_megapixels, setup=setup), open_engine)


# the run


def run(
    pages: FoundPages,
    chosen: Chosen,
    form: PageFormat,
    target: Path | None,
    tables: Path | None,
    style: Style,
    *,
    keep: bool,
) -> int:
    """Read every page; the exit status. Raises what ended it, or BatchError where some pages failed."""
    from mmcli import config, signals, terminal
    from mmcli.jobs.inputs import ListedInputs
    from mmcli.jobs.read import ReadWorker
    from mmcli.jobs.result_cache import Results
    from mmcli.jobs.runner import Runner
    from mmcli.outputs.page_texts import PageTexts, TableFiles

    named, interrupted = pages.named, threading.Event()
    several = len({one.source.document for one in named}) > 1
    written = None if tables is None else TableFiles(tables, several=several, n_digits=_digits(named))
    out = _Out(PageTexts(form, several), target)
    with ExitStack() as close:
        where = config.cache_dir() / RESULTS if keep else None
        results = Results(where, on_warning=lambda text: terminal.warning(text, style))
        close.callback(results.close)
        progress = close.enter_context(terminal.progress(replace(style, json=False)))
        worker = ReadWorker(chosen.task, results, lambda: chosen.open_engine(progress), pages.passwords)
        close.callback(worker.close)
        runner = Runner(ListedInputs(named), worker)

        def end() -> None:
            interrupted.set()
            runner.stop()
            chosen.stop()

        close.enter_context(signals.two_steps(end))
        close.enter_context(runner)
        shown = _Shown(out, written, style, several=several)
        out.begin(named[0].source.document)
        try:
            for outcome in runner:
                shown(outcome, len(named))
                progress("read", shown.done, len(named))
        finally:
            if target is None:
                out.end()
    if interrupted.is_set():
        then = "the same command continues from there" if keep else "nothing is cached for the next run (--no-cache)"
        terminal.notice(f"stopped after {shown.done} of {_count(len(named), 'page')}; {then}", style)
        return errors.INTERRUPTED
    if target is not None:
        out.end()
        out.write()
    if written is not None:
        terminal.notice(f"{_count(written.n_written, 'table')} written to `{tables}`", style)
    if shown.failed and len(named) == 1 and shown.error is not None:
        raise shown.error
    if shown.failed:
        raise BatchError(f"{shown.failed} of {_count(shown.done, 'page')} could not be read")
    return 0


class _Out:
    """The document as it grows: on stdout at once, or in memory until its file is written whole."""

    def __init__(self, texts: PageTexts, target: Path | None) -> None:
        self._texts, self._target = texts, target
        self._parts: list[str] = []

    def begin(self, title: str) -> None:
        self._say(self._texts.begin(title))

    def page(self, outcome: Outcome[Reading]) -> None:
        self._say(self._texts.page(outcome))

    def end(self) -> None:
        self._say(self._texts.end())

    def write(self) -> None:
        assert self._target is not None
        files.write(self._target, "".join(self._parts).encode("utf-8", "backslashreplace"))

    def _say(self, text: str) -> None:
        from mmcli import terminal

        if self._target is not None:
            self._parts.append(text)
        elif self._texts.format in ("json", "jsonl"):
            terminal.said_json(text)
        else:
            terminal.said("\f".join(map(terminal.clean, text.split("\f"))))  # which parts pages


class _Shown:
    """Hands each outcome on, and tells on stderr what is worth knowing of it."""

    def __init__(self, out: _Out, tables: TableFiles | None, style: Style, *, several: bool) -> None:
        self._out, self._tables, self._style, self._several = out, tables, style, several
        self.done = self.failed = 0
        self.error: MmcliError | None = None

    def __call__(self, outcome: Outcome[Reading], total: int) -> None:
        from mmcli import terminal

        self.done += 1
        if outcome.error is not None:
            self.failed += 1
            self.error = outcome.error
            if total > 1:
                terminal.error(outcome.error, self._style)
        if outcome.error is None or total > 1:
            self._out.page(outcome)
        if self._tables is not None:
            self._tables.write(outcome)
        if outcome.result is None:
            return
        for note in outcome.result.notes:
            terminal.notice(f"{self._name(outcome)}: {note}", self._style)
        if outcome.result.answer is not None:
            terminal.receipts(outcome.result.answer, self._style)

    def _name(self, outcome: Outcome[Reading]) -> str:
        from mmcli import terminal
        from mmcli.outputs.page_texts import page_name

        return (page_name(outcome) if not self._several else "") or terminal.escaped(outcome.source.name)


def _digits(named: Sequence[Named]) -> int:
    """Digits of page numbers in names of files, so that they are sorted as people count."""
    pages = [one.source.locator.pages[0][0] for one in named if one.source.locator and one.source.locator.pages]
    return max(2, len(str(max(pages, default=1))))


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"
