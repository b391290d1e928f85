"""Loads a model in a thread while media are read, stopped by Ctrl-C; and chooses the exit status of an answer."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import InvalidStateError
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mmcli import errors

if TYPE_CHECKING:
    from mmcli.engine import Answer, Engine, First, Message, Sampling
    from mmcli.engine.forms import ChosenTemplate
    from mmcli.engine.local.loaded_model import Options
    from mmcli.models import Model, WantedModel
    from mmcli.runtime.reporter import Reporter

GB = 1_000_000_000
MOST_TEMPLATE = 1 << 20  # bytes
SWITCH_INTERVAL = 0.0002  # seconds: llama.cpp's log and progress call Python hundreds of times while it loads


@dataclass(frozen=True)
class Machine:
    """How to use this machine, as the options say it."""

    ctx_size: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    detail: Literal["low", "auto", "high"] = "auto"
    cache: bool = True
    cache_size: float = 2.0  # GB
    template: ChosenTemplate | None = None  # instead of the model's own


@dataclass(frozen=True)
class Choice:
    """What somebody chose of the sampling, in engine.Sampling's units; None: nothing."""

    temperature: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    think: bool | None = None
    loop_guard: bool | None = None


class Loading:
    """A model on its way: a thread loads it while the caller decodes media. Take it with `load`, or give it up."""

    def __init__(self, model: Model, machine: Machine, reporter: Reporter, *, lasting: bool = False) -> None:
        """`lasting`: it may be asked for hours."""
        self.model, self.reporter = model, reporter
        self._lasting = lasting
        self.on_progress: Callable[[str, int, int], None] | None = None
        self.on_end: Callable[[], None] = lambda: None  # of the thread: what shows that it loads may be drawn anew
        self._machine = machine
        self._first: First | None = None
        self._is_under_way = threading.Event()
        self._stop = threading.Event()
        self._engine: Engine | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._load_and_tell, name="loading", daemon=True)

    def start(self, *, has_media: bool = False) -> None:
        """Load in the background from now on; `asks` or `give_up` follows.

        `has_media`: there will be some in what is asked first.
        """
        from mmcli.engine import First

        self._first = First(has_media=has_media)
        self._thread.start()

    def let_begin(self) -> None:
        """Wait until llama.cpp is at work: until then, whatever the caller did in Python would hold it up."""
        self._is_under_way.wait()

    def asks(self, messages: Sequence[Message], *, think: bool) -> None:
        """Say what will be asked first: what its media need can load beside the weights then. Later, nothing."""
        if self._first is not None:
            with contextlib.suppress(InvalidStateError):  # it was reported before, or is asked already
                self._first.set_result((messages, think))

    def stop(self) -> None:
        """End what is running, loading or answering, after its current step."""
        self._stop.set()
        self._progress("stop", 0, 0)  # one step of an encoder may take a minute: tell that Ctrl-C was heard

    def begin(self, on_progress: Callable[[str, int, int], None]) -> None:
        """Another answer begins: what stopped the one before does not stop this one."""
        self._stop.clear()
        self.on_progress = on_progress

    @property
    def loaded(self) -> Engine | None:
        """The model, if it is loaded by now."""
        return self._engine

    def engine(self) -> Engine:
        """The loaded model, waited for; its error is raised here."""
        if self._thread.ident is not None:
            self._thread.join()
        elif self._engine is None:
            self._load()
        if self._error is not None:
            raise self._error
        assert self._engine is not None
        return self._engine

    def give_up(self) -> None:
        """End loading and free what was loaded; nothing where that was done."""
        self._stop.set()
        if self._first is not None:
            self._first.cancel()
        if self._thread.ident is not None:
            self._thread.join()
        if self._engine is not None:
            self._engine.close()

    def _load_and_tell(self) -> None:
        try:
            self._load()
        finally:
            self._is_under_way.set()
        self.on_end()

    def _load(self) -> None:
        from mmcli import engine

        model = self.model
        try:
            self._engine = engine.load(
                model.weights,
                model.projector,
                self._options(),
                name=model.name,
                on_progress=self._progress,
                first=self._first,
            )
        except BaseException as error:  # raised where it is waited for
            self._error = error

    def _options(self) -> Options:
        from mmcli import config
        from mmcli.engine.local.loaded_model import Options

        machine, reporter, model = self._machine, self.reporter, self.model
        needs = model.needs()
        return Options(
            n_ctx=machine.ctx_size,
            threads=machine.threads,
            gpu_layers=machine.gpu_layers,
            detail=machine.detail,
            cache=config.cache_dir() / "kv" if machine.cache else None,
            cache_bytes=int(machine.cache_size * GB),
            fixed_bytes=needs.fixed if needs else None,
            token_bytes=needs.per_token if needs else None,
            part_for_gpu=needs.on_gpu if needs else None,
            other_parts=model.parts[1:],
            lasting=self._lasting,
            media_newline=model.media_newline,
            template=machine.template,
            template_kwargs=dict(model.advice.template_kwargs),
            stop=self._stop,
            on_notice=reporter.notice,
            on_debug=reporter.debug if reporter.is_debug else None,
        )

    def _progress(self, phase: str, done: int, total: int) -> None:
        self._is_under_way.set()
        if self.on_progress is not None:
            self.on_progress(phase, done, total)


@contextmanager
def ahead(
    found: Model | WantedModel, machine: Machine, reporter: Reporter, *, has_media: bool = False
) -> Iterator[Loading | None]:
    """Begin to load a model that is on this machine while the body reads media; None where that must wait."""
    from mmcli import models

    if not isinstance(found, models.Model) or reporter.is_debug:  # two threads' debug lines would mix
        yield None
        return
    loading = Loading(found, machine, reporter)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    loading.start(has_media=has_media)
    try:
        loading.let_begin()
        yield loading
    finally:
        sys.setswitchinterval(interval)
        # Freeing gigabytes takes as long as closing the history: neither waits for the other.
        threading.Thread(target=loading.give_up, name="freeing").start()


@contextmanager
def load(
    model: Model,
    machine: Machine,
    reporter: Reporter,
    on_progress: Callable[[str, int, int], None] | None = None,
    begun: Loading | None = None,
    *,
    also_stop: Callable[[], None] = lambda: None,
) -> Iterator[Engine]:
    """The model, ready to answer; the first Ctrl-C inside ends its answer (and calls `also_stop`), the second all.

    Where another has `begun` to load it, that one frees it.
    """
    from mmcli import signals

    loading = begun or Loading(model, machine, reporter)
    loading.on_progress = on_progress

    def stop() -> None:
        also_stop()
        loading.stop()

    try:
        with signals.two_steps(stop):
            yield loading.engine()
    finally:
        if begun is None:
            loading.give_up()


def setup(model: Model, machine: Machine) -> str:
    """Everything of model and machine that could change an answer, as text: for keys of stored results."""
    from mmcli.engine.local import kv_cells

    identities = [kv_cells.identity(path) for path in (model.weights, model.projector) if path is not None]
    advice = sorted((name, str(value)) for name, value in model.advice.template_kwargs.items())
    facts = [identities, advice, model.media_newline, machine.detail, machine.ctx_size]
    if machine.template is not None:
        facts.append(machine.template.source)
    return json.dumps(facts)


def template(wanted: str | None) -> ChosenTemplate | None:
    """What --template means: a form by its name, a Jinja file, or `none`; None for the model's own template.

    UsageError where it is none of them, InputError where the file cannot be read.
    """
    from mmcli.engine import forms

    if wanted is None:
        return None
    if chosen := forms.named(wanted):
        return chosen
    path = Path(os.path.expanduser(wanted))
    if not path.exists():
        import difflib

        close = difflib.get_close_matches(wanted, [*forms.FORMS, forms.NONE], n=1)
        known = ", ".join([*forms.FORMS, forms.NONE])
        raise errors.UsageError(
            f"--template: `{wanted}` is neither a file nor a template that mmcli knows",
            hint=f"did you mean `{close[0]}`?" if close else f"the templates are {known}",
        )
    try:
        if not path.is_file():
            raise errors.InputError(f"--template: `{wanted}` is not a regular file", hint="give a Jinja file")
        if path.stat().st_size > MOST_TEMPLATE:
            raise errors.InputError(f"--template: `{wanted}` is larger than a megabyte", hint="give a Jinja file")
        source = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise errors.InputError(f"--template: cannot read `{wanted}`: {reason}", hint="give a Jinja file") from error
    if not source.strip():
        raise errors.InputError(f"--template: `{wanted}` is empty", hint="`--template none` asks without a template")
    return forms.ChosenTemplate(source, name=wanted)


def sampling(model: Model, choice: Choice) -> Sampling:
    """What was chosen, then the advice of the model's makers, then our defaults."""
    from mmcli.engine import Sampling

    chosen = {field.name: getattr(choice, field.name) for field in fields(choice)}
    return Sampling(**{**model.advice.sampling, **{name: value for name, value in chosen.items() if value is not None}})


def status(answer: Answer) -> int:
    """The exit status an answer's end asks for."""
    if answer.finish_reason == "loop":
        return errors.OutputError.status
    return errors.INTERRUPTED if answer.finish_reason == "interrupted" else 0
