"""What every command that runs a model does the same way: load it, let Ctrl-C stop it, turn its end into a status."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mmcli import errors

if TYPE_CHECKING:
    from mmcli.engine import Answer, Sampling
    from mmcli.engine.local import LocalEngine
    from mmcli.models import Model
    from mmcli.terminal import Style

GB = 1_000_000_000


@dataclass(frozen=True)
class Machine:
    """How to use this machine, as the options say it."""

    ctx_size: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    detail: Literal["low", "auto", "high"] = "auto"
    cache: bool = True
    cache_size: float = 2.0  # GB


@contextmanager
def load(
    model: Model, machine: Machine, style: Style, on_progress: Callable[[str, int, int], None] | None = None
) -> Iterator[LocalEngine]:
    """The model, ready to answer; the first Ctrl-C inside ends its answer, the second the program."""
    from mmcli import config, engine, interrupts, terminal
    from mmcli.engine.local import Options

    stop = threading.Event()

    def end() -> None:
        stop.set()
        if on_progress is not None:
            on_progress("stop", 0, 0)  # one step of an encoder may take a minute: tell that Ctrl-C was heard

    options = Options(
        n_ctx=machine.ctx_size,
        threads=machine.threads,
        gpu_layers=machine.gpu_layers,
        detail=machine.detail,
        cache=config.cache_dir() / "kv" if machine.cache else None,
        cache_bytes=int(machine.cache_size * GB),
        media_newline=model.media_newline,
        template_kwargs=dict(model.advice.template_kwargs),
        stop=stop,
        on_notice=lambda text: terminal.notice(text, style),
        on_debug=(lambda text: terminal.debug(text, style)) if style.debug else None,
    )
    with interrupts.two_steps(end):
        with engine.load(model.weights, model.projector, options, name=model.name, on_progress=on_progress) as ready:
            yield ready


def sampling(model: Model, **given: Any) -> Sampling:
    """What the person chose (None: nothing), then the advice of the model's makers, then our defaults."""
    from mmcli.engine import Sampling

    chosen = {name: value for name, value in given.items() if value is not None}
    return Sampling(**{**model.advice.sampling, **chosen})


def status(answer: Answer) -> int:
    """The exit status an answer's end asks for."""
    if answer.finish_reason == "loop":
        return errors.OutputError.status
    return errors.INTERRUPTED if answer.finish_reason == "interrupted" else 0
