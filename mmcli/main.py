"""Builds the command line and runs it; the only place that turns an error into an exit status.

Imports nothing heavy: `mmcli --help` must not wait for llama.cpp, numpy, Pillow, Whisper or the Hub.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import functools
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from mmcli import __version__, errors, interrupts, terminal
from mmcli.commands import completion, history, settings, spelling
from mmcli.commands import options as opt
from mmcli.commands.ask import ask
from mmcli.commands.caption import caption
from mmcli.commands.catalogue import models, show
from mmcli.commands.chat import chat
from mmcli.commands.demo import demo
from mmcli.commands.devices import devices
from mmcli.commands.doctor import doctor
from mmcli.commands.pull import pull
from mmcli.commands.rm import rm
from mmcli.commands.transcribe import transcribe
from mmcli.commands.undo import undo
from mmcli.commands.voice import voice

SETTINGS = {"help_option_names": ["-h", "--help"]}
app = typer.Typer(
    name="mmcli",
    help="Ask about pictures and sounds, with a model that runs on your own machine.",
    epilog='Try: mmcli demo  ·  mmcli ask photo.jpg "What is this?" -m starter',
    pretty_exceptions_enable=False,
    add_completion=False,  # Typer's scripts split names at `:`; ours are in commands/completion.py
    context_settings=SETTINGS,
)


IN_SHORT = {  # one line each in `mmcli --help`, at 80 columns: 61 characters
    "ask": "Ask a question about pictures, sounds or texts.",
    "chat": "Talk about pictures, sounds and texts.",
    "voice": "Talk about pictures with your voice, and be answered.",
    "caption": "Caption pictures: one, or a hundred thousand.",
    "undo": "Take back the last `mmcli caption --rename --yes`.",
    "transcribe": "Write down what is said in sounds, videos, a microphone.",
    "pull": "Fetch models with their projectors.",
    "models": "List the models: which are here, which fit this machine.",
    "show": "Tell all that is known of one model.",
    "rm": "Remove models from this machine.",
    "devices": "List microphones and loudspeakers, and test them.",
    "doctor": "Look for what is wrong: machine, build, settings, model.",
    "demo": "Ask the built-in model about a sample picture.",
    "completion": "Print what makes a shell complete mmcli's words.",
    "config": "Show and change settings, and where files live.",
    "history": "List, show, search, export and delete past talks.",
}


class _ClosedPipe(Exception):
    """Whoever read our output has gone. Not an OSError: Typer would turn that into status 1 itself."""


def _running(function: Callable[..., int | None]) -> Callable[..., int]:
    """A command's function as Typer runs it: with --offline beside its own options; returns its status (None for 0)."""

    @functools.wraps(function)
    def run(*args: Any, offline: bool = False, **kwargs: Any) -> int:
        is_offline = _go_offline(offline)
        is_json = bool(kwargs.get("json") or kwargs.get("jsonl"))
        style = terminal.Style(json=is_json, quiet=bool(kwargs.get("quiet")))
        for note in spelling.notes(kwargs):
            terminal.notice(note, style)
        try:
            status = function(*args, **kwargs) or 0
            if is_offline and kwargs.get("verbose"):
                _tell_offline(style)
            return status
        except BrokenPipeError as error:
            raise _ClosedPipe from error

    # So that no command, of today or of tomorrow, can forget it.
    own = inspect.signature(function, eval_str=True)
    last = inspect.Parameter("offline", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=opt.OfflineOpt)
    run.__signature__ = own.replace(parameters=[*own.parameters.values(), last])  # type: ignore[attr-defined]
    run.__annotations__ = {**function.__annotations__, "offline": opt.OfflineOpt}
    return run


def _command(function: Callable[..., int | None], parent: typer.Typer = app) -> None:
    """Register a command under its function's name."""
    name = function.__name__.rstrip("_")
    own_class = getattr(function, "command_class", spelling.Command)
    short = IN_SHORT.get(name) if parent is app else None
    parent.command(name, cls=own_class, short_help=short)(_running(function))


def _group(function: Callable[..., int | None], *subcommands: Callable[..., int | None]) -> None:
    """Register a command with subcommands; `function` runs in any case, and sees in its context whether one follows."""
    group = typer.Typer(invoke_without_command=True, help=function.__doc__, context_settings=SETTINGS)
    group.callback()(_running(function))
    for subcommand in subcommands:
        _command(subcommand, group)
    app.add_typer(group, name=function.__name__, short_help=IN_SHORT[function.__name__])


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
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


COMMANDS = (
    *(ask, chat, voice, caption, undo, transcribe),
    *(pull, models, show, rm, devices, doctor, demo, completion.completion),
)
for _function in COMMANDS:
    _command(_function)
_group(settings.config, settings.path, settings.set_, settings.unset, settings.edit)
_group(history.history, history.show, history.search, history.export, history.delete)


def main() -> NoReturn:
    """Run the command line and leave with its status."""
    _open_closed_streams()
    _tell_of_crashes()
    interrupts.leave_now = _leave_now
    try:
        status = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        status = errors.CLOSED_PIPE
    if status == errors.CLOSED_PIPE:
        # Python flushes once more when it ends, and would complain: let it write into nothing.
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
    _leave(status)


def _open_closed_streams() -> None:
    """Where the shell closed a stream (`>&-`), the next file opened would take its place: put nothing there first."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)


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
    """llama.cpp is about to abort, in whatever thread: tell why as any other error is told, and end before it does."""
    terminal.abandon()
    with contextlib.suppress(OSError, ValueError):  # what was said so far
        sys.stdout.flush()
    terminal.error(error, style)
    terminal.restore()
    _leave(error.status)


def run(arguments: list[str]) -> int:
    """Run one command line; return its exit status after telling what went wrong."""
    style = terminal.Style(
        json=bool({"--json", "--jsonl"} & set(arguments)) or _is_set("MMCLI_JSON"),
        debug="--debug" in arguments or _is_set("MMCLI_DEBUG"),
    )
    try:
        if arguments in (["--version"], ["-V"]):  # Typer would build all commands first: 8 ms
            terminal.line(f"mmcli {__version__}")
            return 0
        command = get_command(app)
        if completion.VARIABLE in os.environ:
            return completion.reply(command, arguments, os.environ)
        spelling.forget()
        spelling.take_variables(os.environ)
        chosen: dict[str, Any] = {}
        bad_config: errors.UsageError | None = None
        if arguments and not {"-h", "--help", "-V", "--version"} & set(arguments):  # help must not need a good file
            try:
                chosen = settings.take(command)
            except errors.UsageError as error:
                if arguments[0] not in (doctor.__name__, settings.config.__name__):
                    raise
                bad_config = error  # one of the doctor's findings, and what `mmcli config edit` mends
        style = replace(style, json=style.json or bool(chosen.get("json")))
        style = replace(style, debug=style.debug or bool(chosen.get("debug")))
        errors.last_words = functools.partial(_give_up, style)
        defaults = _for_each(command, chosen)
        how: dict[str, Any] = {"prog_name": "mmcli", "standalone_mode": False, "default_map": defaults}
        return command(arguments or ["--help"], obj=bad_config, **how) or 0
    except errors.MmcliError as error:
        terminal.error(error, style)
        return error.status
    except typer.TyperException as error:
        terminal.error(_usage(error, arguments), style)
        return errors.UsageError.status
    except (_ClosedPipe, BrokenPipeError):
        return errors.CLOSED_PIPE
    except SystemExit as error:  # Typer and Rich end a help page so whose reader has gone; shell completion ends with 0
        return errors.CLOSED_PIPE if error.code else 0
    except (KeyboardInterrupt, typer.Abort):
        return errors.INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            full = errors.ResourceError(f"cannot write: {error.strerror}", hint="free some space on that disk")
            terminal.error(full, style)
            return full.status
        terminal.bug(error, style)
        return errors.MmcliError.status


def commands() -> dict[str, Any]:
    """Every command by what a person types: `ask`, `history`, `history show`."""
    return settings.commands(get_command(app))


def _for_each(command: Any, chosen: dict[str, Any]) -> dict[str, Any]:
    """The settings as Typer wants them: the same under the name of every command and subcommand."""
    return chosen | {name: _for_each(sub, chosen) for name, sub in getattr(command, "commands", {}).items()}


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() not in ("", "0", "false", "f", "no", "n", "off")


def _usage(error: typer.TyperException, arguments: list[str]) -> errors.UsageError:
    """Typer's own complaint in our form, with the place to look at: config.toml, or the help page of the command."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = [name for name in arguments[:1] if name in commands()]
    path = context.command_path if context is not None else " ".join(["mmcli", *command])
    hint = f"see `{path} --help`"
    if not command and "Did you mean" not in message and not arguments[0].startswith("-"):
        hint += ', or ask: mmcli ask photo.jpg "What is this?"'
    return errors.UsageError(settings.clipped(message.rstrip(".")), hint=hint)
