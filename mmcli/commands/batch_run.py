"""Runs a task over many files for a command: the model, the cache, progress, Ctrl-C, and the exit status at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmcli import errors
from mmcli.errors import BatchError, InputError, MmcliError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mmcli.engine import Engine
    from mmcli.jobs.inputs import InputNames
    from mmcli.jobs.result_cache import Results
    from mmcli.jobs.task import Outcome, Worker
    from mmcli.models import Model
    from mmcli.runtime.model_loader import Machine
    from mmcli.terminal import Style

RESULTS = "captions.db"  # one cache of answers for all that asks about many files


def run(
    verb: str,
    wanted: InputNames,
    open_worker: Callable[[Results, Callable[[], AbstractContextManager[Engine]]], Worker[Any, Any]],
    model: Model,
    machine: Machine,
    write: Callable[[Outcome[Any]], None],
    style: Style,
    *,
    keep: bool,
    close: Callable[[bool], str | None] = lambda whole: None,
    object_to: Callable[[Outcome[Any]], MmcliError | None] = lambda outcome: None,
) -> int:
    """Everything that is wanted, in order, to `write`; the exit status. BatchError where some of it failed.

    `verb` says on a terminal what is done. `close` is called after the last outcome, with whether that is all there is;
    what it returns is reported. `object_to` says what is wrong with a result that is none to rely on; both get
    to `write`.
    """
    from mmcli import config, signals, terminal
    from mmcli.jobs.inputs import SpooledInputs
    from mmcli.jobs.result_cache import Results
    from mmcli.jobs.runner import Runner
    from mmcli.runtime import model_loader

    interrupted, whole = threading.Event(), False
    try:
        with ExitStack() as stack:
            cache = config.cache_dir() / RESULTS if keep else None
            results = Results(cache, on_warning=lambda text: terminal.warning(text, style))
            stack.callback(results.close)
            progress = stack.enter_context(terminal.progress(replace(style, json=False)))
            loading = model_loader.Loading(model, machine, terminal.Screen(style), lasting=True)
            loading.on_progress = progress
            inputs = SpooledInputs(wanted)
            runner = Runner(inputs, open_worker(results, loading.engine))

            def end() -> None:
                interrupted.set()
                runner.stop()
                loading.stop()

            stack.enter_context(signals.two_steps(end))
            stack.enter_context(runner)
            view = terminal.BatchView(verb, style, progress)
            for outcome in runner:
                if (error := object_to(outcome)) is not None:
                    outcome = replace(outcome, error=error)
                write(outcome)
                view.done += 1
                if outcome.error is not None:
                    view.failed += 1
                    view.tell_failure(outcome.source, outcome.error)
                elif outcome.kept is not None:
                    terminal.notice(f"{outcome.source.name}: {outcome.kept}", style)
                elif outcome.result is not None:
                    terminal.receipts(outcome.result.answer, style)
                view.report(inputs.n if inputs.complete else 0, runner.pace())
        whole = not interrupted.is_set()
    finally:
        left = close(whole)
    if left is not None:
        terminal.notice(left, style)
    if not whole:
        then = "the same command continues from there" if keep else "nothing is cached for the next run (--no-cache)"
        terminal.notice(f"stopped after {view.done} pictures; {then}", style)
        return errors.INTERRUPTED
    for sentence in inputs.skipped:
        terminal.notice(sentence, style)
    if not view.done:
        raise InputError("no pictures were named: the list is empty")
    if view.failed:
        hint = "the same command retries only those"
        raise BatchError(f"{view.failed} of {view.done} pictures failed", hint=hint)
    return 0
