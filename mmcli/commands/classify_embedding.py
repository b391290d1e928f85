"""`mmcli classify --by embedding`: labels, sentences or examples compared with pictures in a space of both."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli import errors
from mmcli.commands.option_groups import Group
from mmcli.commands.pages import RARE
from mmcli.errors import BatchError, InputError, UsageError

if TYPE_CHECKING:
    from mmcli.embed.protocol import Space
    from mmcli.jobs.classify import Classified
    from mmcli.jobs.classify_embedding import EmbeddedPicture, EmbedWorker, Judge, MatchTask
    from mmcli.jobs.inputs import InputNames
    from mmcli.jobs.task import Outcome
    from mmcli.media import PagesWanted
    from mmcli.terminal import Progress, Style

MATCHED = "Labels"
MOST_BYTES = 10 << 20  # of a file of sentences
MOST_TEXTS = 100_000


class By(StrEnum):
    model = "model"
    embedding = "embedding"


@dataclass(frozen=True)
class MatchOptions(Group):
    """Whether labels are compared with pictures in a space of both, and from what they are known."""

    by: Annotated[
        By,
        typer.Option(
            "--by",
            rich_help_panel=MATCHED,
            help="Who chooses. `model` answers a question; `embedding` compares (-m siglip2-b32).",
        ),
    ] = By.model
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts",
            metavar="FILE",
            rich_help_panel=MATCHED,
            help="Which sentence of FILE fits each picture. One a line; by embedding.",
        ),
        RARE,
    ] = None

    @property
    def wanted(self) -> bool:
        return self.by is By.embedding or self.texts is not None

    def check(self, *, has_labels: bool, has_examples: bool, refused: Sequence[str]) -> None:
        """UsageError for what contradicts itself; `refused`: typed options that only a model that answers takes."""
        if refused:
            raise UsageError(
                f"{refused[0]} asks a model that answers, and --by embedding asks nothing",
                hint="describe a label instead: --labels 'cat=a photo of a cat|a kitten,dog'",
            )
        if self.texts is not None and (has_labels or has_examples):
            other = "--examples" if has_examples else "--labels"
            raise UsageError(f"--texts and {other} cannot be combined", hint="use one of them")


def sentences(path: Path) -> tuple[str, ...]:
    """The lines of --texts, each once."""
    place = Path(os.path.expanduser(path))
    try:
        if place.stat().st_size > MOST_BYTES:
            raise InputError(f"--texts: `{place}` is larger than 10 MB")
        text = place.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"--texts: cannot read `{place}`: {reason}") from error
    lines = tuple(dict.fromkeys(" ".join(line.split()) for line in text.splitlines() if line.strip()))
    if not lines:
        raise InputError(f"--texts: `{place}` holds no sentences", hint="give one a line")
    if len(lines) > MOST_TEXTS:
        raise UsageError(f"--texts: `{place}` holds {len(lines)} sentences, the limit is {MOST_TEXTS}")
    return lines


def folders(path: Path) -> tuple[str, ...]:
    """The labels of --examples: names of sub-folders that are not hidden, in order."""
    place = Path(os.path.expanduser(path))
    try:
        found = sorted(child.name for child in place.iterdir() if child.is_dir() and not child.name.startswith("."))
    except OSError as error:
        raise InputError(f"--examples: cannot read the folder `{place}`: {error.strerror}") from error
    if len(found) < 2:
        raise InputError(
            f"--examples: `{place}` has {'no sub-folder' if not found else 'only one sub-folder'}",
            hint="make a folder for each label, with pictures in it",
        )
    return tuple(found)


class _State:
    """What a run leaves beside its outcomes."""

    def __init__(self, *, is_alone: bool = False) -> None:
        """`is_alone`: nobody looks whether it was interrupted."""
        self.interrupted, self.is_alone = threading.Event(), is_alone
        self.skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Matching:
    """A run by embedding: who looks, at what, and how it is told."""

    space: Space
    task: MatchTask
    pages: PagesWanted
    max_megapixels: float
    style: Style

    @property
    def _worker(self) -> EmbedWorker:
        from mmcli.jobs.classify_embedding import EmbedWorker

        return EmbedWorker(self.space, max_megapixels=self.max_megapixels, pages=self.pages)

    def learnt(self, folder: Path, *, named: bool) -> Judge:
        """A judge from examples, and a note on what it is worth; InputError where a label has no example.

        `named`: the labels' names say something, and help where there are few examples.
        """
        from mmcli import terminal
        from mmcli.embed import probe, zero_shot
        from mmcli.jobs.inputs import InputNames

        vectors, labels = [], []
        place = Path(os.path.expanduser(folder))
        for index, label in enumerate(self.task.labels):
            names = InputNames([str(place / label)], recursive=True, pages=self.pages)
            found = [outcome.result for outcome in self._outcomes(names, "learn") if outcome.result is not None]
            if not found:
                raise InputError(f"--examples: `{place / label}` holds no picture that can be read")
            vectors += [one.vector for one in found]
            labels += [index] * len(found)
        n = len(self.task.labels)
        words = zero_shot.vectors(self.space, [zero_shot.Label(label) for label in self.task.labels]) if named else None
        judge = probe.fit(vectors, labels, n, words)
        how = "means of the examples" if judge.how == "means" else "ridge regression"
        terminal.notice(
            f"{len(labels)} examples of {n} labels, {how}: {judge.accuracy:.1%} right where each is left out once",
            self.style,
        )
        return judge

    def run(
        self,
        names: InputNames,
        judge: Judge,
        write: Callable[[Outcome[Classified]], None],
        close: Callable[[bool], str | None],
    ) -> int:
        """Everything that is wanted, in order, to `write`; the exit status. BatchError where some of it failed."""
        from mmcli import terminal

        whole, done, failed = False, 0, 0
        state = _State()
        try:
            for outcome in self._outcomes(names, "classify", state):
                found = outcome.result
                result = self.task.matched(found, judge, self.space.name) if found is not None else None
                write(_with(outcome, result))
                done += 1
                failed += outcome.error is not None
                if outcome.kept is not None:
                    terminal.notice(f"{outcome.source.name}: {outcome.kept}", self.style)
                elif result is not None:
                    terminal.receipts(result.answer, self.style)
            whole = not state.interrupted.is_set()
        finally:
            left = close(whole)
        if left is not None:
            terminal.notice(left, self.style)
        if not whole:
            terminal.notice(f"stopped after {done} pictures", self.style)
            return errors.INTERRUPTED
        for sentence in state.skipped:
            terminal.notice(sentence, self.style)
        if not done:
            raise InputError("no pictures were named: the list is empty")
        if failed:
            raise BatchError(f"{failed} of {done} pictures failed")
        return 0

    def _outcomes(
        self, names: InputNames, verb: str, state: _State | None = None
    ) -> Iterator[Outcome[EmbeddedPicture]]:
        """Each picture's vector, in order, with progress, failures and Ctrl-C as every run over many files has them."""
        from mmcli import signals, terminal
        from mmcli.jobs.inputs import SpooledInputs
        from mmcli.jobs.runner import Runner

        state = state or _State(is_alone=True)
        with ExitStack() as stack:
            progress: Progress = stack.enter_context(terminal.progress(replace(self.style, json=False)))
            inputs = SpooledInputs(names)
            runner = Runner(inputs, self._worker)

            def end() -> None:
                state.interrupted.set()
                runner.stop()

            stack.enter_context(signals.two_steps(end))
            stack.enter_context(runner)
            view = terminal.BatchView(verb, self.style, progress)
            for outcome in runner:
                yield outcome
                view.done += 1
                if outcome.error is not None:
                    view.failed += 1
                    view.tell_failure(outcome.source, outcome.error)
                view.report(inputs.n if inputs.complete else 0, runner.pace())
            state.skipped = tuple(inputs.skipped)
        if state.is_alone and state.interrupted.is_set():
            raise KeyboardInterrupt


def names_of(described: Sequence[str], options: MatchOptions, examples: Path | None, *, multi: bool) -> tuple[str, ...]:
    """What the labels are called, their descriptions left out; UsageError where two are the same."""
    from mmcli.embed import zero_shot
    from mmcli.jobs.classify import check_labels

    if options.texts is not None:
        return tuple(described)
    names = tuple(zero_shot.label_of(text).name for text in described)
    check_labels(names, least=1)
    if examples is not None and (missing := sorted(set(names) - set(folders(examples)))):
        raise InputError(f"--examples: `{examples}` has no folder `{missing[0]}`")
    if examples is not None and multi:
        raise UsageError("--examples and --multi cannot be combined", hint="leave one of them out")
    return names


def judge_of(matching: Matching, labels: Sequence[str], options: MatchOptions, examples: Path | None) -> Judge:
    """Who tells the labels apart: sentences as they are, names and descriptions, or examples."""
    from mmcli.embed import zero_shot

    if examples is not None:
        return matching.learnt(examples, named=True)
    if options.texts is not None:
        described = [zero_shot.Label(text, (text,)) for text in labels]
    else:
        described = [zero_shot.label_of(label) for label in labels]
    return zero_shot.zero_shot(matching.space, described, multi=matching.task.multi)


def _with(outcome: Outcome[EmbeddedPicture], result: Classified | None) -> Outcome[Classified]:
    from mmcli.jobs.task import Outcome

    return Outcome(outcome.index, outcome.source, result, outcome.cached, error=outcome.error, kept=outcome.kept)
