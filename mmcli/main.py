"""Builds the command line and runs it; the only place that turns an error into an exit status.

Imports nothing heavy: `mmcli --help` must not wait for llama.cpp, numpy, Pillow, Whisper or the Hub.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, NoReturn

import typer

from mmcli import __version__, errors, files, signals, telemetry, terminal
from mmcli.commands import completion, config, history, option_groups, parsing, prompts, settings, spelling
from mmcli.commands import options as opt
from mmcli.commands.ask import ask
from mmcli.commands.caption import caption
from mmcli.commands.chat import chat
from mmcli.commands.classify import classify
from mmcli.commands.demo import demo
from mmcli.commands.devices import devices
from mmcli.commands.doctor import doctor
from mmcli.commands.extract import extract
from mmcli.commands.find import find
from mmcli.commands.help import help_
from mmcli.commands.index import index
from mmcli.commands.models import models
from mmcli.commands.pull import pull
from mmcli.commands.read import read
from mmcli.commands.rm import rm
from mmcli.commands.schema import schema
from mmcli.commands.show import show
from mmcli.commands.transcribe import transcribe
from mmcli.commands.undo import undo
from mmcli.commands.voice import voice

app = typer.Typer(
    name="mmcli",
    cls=parsing.Top,
    help="""Ask about pictures and sounds, with a model that runs on your own machine.

    mmcli ask docs/pictures/phone.jpg "How many?" -m starter  # a file
    mmcli ask -c "What color is the star?"  # continue
    cat docs/pictures/phone.jpg | mmcli ask "How many?" -m starter  # stdin
    mmcli transcribe docs/sounds -f srt -m starter  # subtitles
    mmcli config set model starter  # default model
    mmcli help temperature  # search
    """,
    pretty_exceptions_enable=False,
    add_completion=False,  # Typer's scripts split names at `:`; ours are in commands/completion.py
)


class _ClosedPipe(Exception):
    """The reader of our output has gone. Not an OSError: Typer would turn that into status 1 itself."""


def _running(function: Callable[..., int | None]) -> Callable[..., int]:
    """A command's function as Typer runs it: with --offline beside its own options; returns its status (None for 0)."""

    @functools.wraps(function)
    def run(*, offline: bool = False, **kwargs: Any) -> int:
        is_offline = _go_offline(offline)
        is_json = bool(kwargs.get("json") or kwargs.get("jsonl"))
        style = terminal.Style(json=is_json, quiet=bool(kwargs.get("quiet")))
        for note in spelling.notes(kwargs):
            terminal.notice(note, style)
        try:
            status = function(**option_groups.collected(function, kwargs)) or 0
            if is_offline and kwargs.get("verbose"):
                _tell_offline(style)
            return status
        except BrokenPipeError as error:
            raise _ClosedPipe from error

    # So that no command, of today or of tomorrow, can forget it.
    own = option_groups.flattened(function)
    last = inspect.Parameter("offline", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=opt.OfflineOpt)
    run.__signature__ = inspect.Signature([*own, last])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, last)}
    return run


def _command(function: Callable[..., int | None], panel: str | None = None, parent: typer.Typer = app) -> None:
    """Register a command under its function's name."""
    name = function.__name__.rstrip("_")
    parent.command(name, cls=parsing.DocumentedCommand, rich_help_panel=panel)(_running(function))


def _group(panel: str, function: Callable[..., int | None], *subcommands: Callable[..., int | None]) -> None:
    """Register a command with subcommands; `function` runs in any case, and sees in its context whether one follows."""
    group = typer.Typer(invoke_without_command=True, cls=parsing.DocumentedGroup, help=function.__doc__)
    group.callback()(_running(function))
    for subcommand in subcommands:
        _command(subcommand, parent=group)
    app.add_typer(group, name=function.__name__, rich_help_panel=panel)


def _go_offline(wanted: bool) -> bool:
    from mmcli import offline

    if wanted or offline.is_on():
        offline.forbid()
        return True
    return False


def _tell_offline(style: terminal.Style) -> None:
    from mmcli import offline

    hosts = ", ".join(f"`{host}`" for host in sorted(set(offline.refused())))
    terminal.notice(f"offline: no connection left this machine{f'; refused: {hosts}' if hosts else ''}", style)


def _version(wanted: bool) -> None:
    if wanted:
        terminal.line(f"mmcli {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


PANELS: dict[str, tuple[Callable[..., int | None], ...]] = {
    "Ask": (ask, chat, voice, schema),
    "Work on many files": (read, caption, extract, classify, undo, transcribe),
    "Find files": (index, find),
    "Manage models": (pull, models, show, rm),
    "This machine": (devices, doctor, demo, completion.completion, help_),
}
for _panel, _functions in PANELS.items():
    for _function in _functions:
        _command(_function, _panel)
_group("This machine", config.config, config.get, config.path, config.set_, config.unset, config.edit)
_group("Ask", prompts.prompts, prompts.show, prompts.edit, prompts.rm, prompts.path)
_group("Ask", history.history, history.show, history.search, history.export, history.delete)


def main() -> NoReturn:
    """Run the command line and leave with its status."""
    terminal.guard(_open_closed_streams())
    _tell_of_crashes()
    signals.leave_now = _leave_now
    telemetry.forbid()  # child processes inherit it
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        status = errors.CLOSED_PIPE
    except terminal.OutputLost as error:  # what was still in a buffer, such as a help page
        status = _tell_of_full_disk(error, terminal.Style())
    if status == errors.CLOSED_PIPE:
        # Python flushes once more when it ends, and would complain: let it write into nothing.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
    _leave(status)


def _open_closed_streams() -> set[int]:
    """Where the shell closed a stream (`>&-`), the next file opened would take its place: put nothing there first.

    Returns the descriptors that were closed.
    """
    closed = set()
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            closed.add(fd)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)
    return closed


def _tell_of_crashes() -> None:
    """Where native code dies of a signal (a wrong memory access), say so, and where: it would be silent in a pipe."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # no real file is stderr
        faulthandler.enable(all_threads=False)


def _leave(status: int) -> NoReturn:
    """End without Python's own clearing up, which takes longer than a starter's answer: `with` has closed all."""
    with contextlib.suppress(OSError, ValueError):  # stderr may be gone: there is nobody left to tell
        sys.stderr.flush()
    os._exit(status)


def _leave_now(status: int) -> None:
    """End at once, after a second Ctrl-C or a kill: llama.cpp may be busy for a minute yet, and Python waits for it."""
    terminal.abandon()
    terminal.restore()
    os._exit(status)


def _give_up(style: terminal.Style, error: errors.MmcliError) -> None:
    """llama.cpp is about to abort, in whatever thread: report why, like any other error, and end before it does."""
    terminal.abandon()
    with contextlib.suppress(OSError, ValueError):  # what was said so far
        sys.stdout.flush()
    terminal.error(error, style)
    terminal.restore()
    _leave(error.status)


def _watch_threads(style: terminal.Style) -> list[int]:
    """From now on, an error that ends a thread is reported in a sentence like any other; the list gets its status."""
    lost: list[int] = []

    def tell(args: threading.ExceptHookArgs) -> None:
        error = args.exc_value
        if error is None or isinstance(error, SystemExit | KeyboardInterrupt):
            return
        lost.append(error.status if isinstance(error, errors.MmcliError) else errors.MmcliError.status)
        if isinstance(error, errors.MmcliError):
            terminal.error(error, style)
        else:
            terminal.bug(error, style)

    threading.excepthook = tell
    return lost


def run(arguments: list[str]) -> int:
    """Run one command line; return its exit status after telling what went wrong."""
    style = terminal.Style(
        json=bool({"--json", "--jsonl"} & set(arguments)) or _is_set("MMCLI_JSON"),
        debug="--debug" in arguments or _is_set("MMCLI_DEBUG"),
    )
    try:
        if arguments in (["--version"], ["-V"], ["version"]):  # Typer would build all commands first: 8 ms
            terminal.line(f"mmcli {__version__}")
            return 0
        command = parsing.build(app)
        if completion.VARIABLE in os.environ:
            return completion.reply(command, arguments, os.environ)
        spelling.forget()
        spelling.take_variables(os.environ)
        chosen: dict[str, Any] = {}
        bad_config: errors.UsageError | None = None
        if not _is_for_help(arguments):  # help must not need a good file
            try:
                chosen = settings.take(command)
            except errors.UsageError as error:
                if arguments[0] not in (doctor.__name__, config.config.__name__):
                    raise
                bad_config = error  # one of the doctor's findings, and what `mmcli config edit` is for
        style = replace(style, json=style.json or bool(chosen.get("json")))
        style = replace(style, debug=style.debug or bool(chosen.get("debug")))
        errors.last_words = functools.partial(_give_up, style)
        lost = _watch_threads(style)
        defaults = _for_each(command, chosen)
        how: dict[str, Any] = {"prog_name": "mmcli", "standalone_mode": False, "default_map": defaults}
        return command(arguments or ["--help"], obj=bad_config, **how) or max(lost, default=0)
    except errors.MmcliError as error:
        terminal.error(error, style)
        return error.status
    except typer.TyperException as error:
        command = next((f"mmcli {name}" for name in arguments[:1] if name in commands()), "mmcli")
        terminal.error(parsing.usage_error(error, command), style)
        return errors.UsageError.status
    except (_ClosedPipe, BrokenPipeError):
        return errors.CLOSED_PIPE
    except SystemExit as error:  # Typer and Rich end a help page so whose reader has gone; shell completion ends with 0
        return errors.CLOSED_PIPE if error.code else 0
    except (KeyboardInterrupt, typer.Abort):
        return errors.INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and (files.is_full(error) or isinstance(error, terminal.OutputLost)):
            return _tell_of_full_disk(error, style)
        terminal.bug(error, style)
        return errors.MmcliError.status


def _tell_of_full_disk(error: OSError, style: terminal.Style) -> int:
    """A result that cannot be written is lost; the status says so."""
    is_full = files.is_full(error)
    hint = "free some space on that disk" if is_full else "the result goes to stdout: redirect it, `> FILE`"
    where = f" `{error.filename}`" if isinstance(error.filename, str) else ""
    lost = errors.ResourceError(f"cannot write{where}: {error.strerror}", hint=hint)
    terminal.error(lost, style)
    return lost.status


def commands() -> dict[str, Any]:
    """Every command by what a user types: `ask`, `history`, `history show`."""
    return parsing.commands(parsing.build(app))


def _is_for_help(arguments: list[str]) -> bool:
    asks = {"-h", "--help", "--help-all", "-V", "--version"} & set(arguments)
    return not arguments or bool(asks) or arguments[0] == "help"


def _for_each(command: Any, chosen: dict[str, Any]) -> dict[str, Any]:
    """The settings as Typer wants them: the same under the name of every command and subcommand."""
    return chosen | {name: _for_each(sub, chosen) for name, sub in getattr(command, "commands", {}).items()}


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() not in ("", "0", "false", "f", "no", "n", "off")
