"""How a command says its answer aloud: which voice, through which loudspeaker, and what Ctrl-C does to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmcli.errors import MmcliError, UsageError

if TYPE_CHECKING:
    import typer

    from mmcli.engine import Piece
    from mmcli.speech.aloud import Aloud
    from mmcli.speech.speaker import Speaker
    from mmcli.terminal import Style

OPTIONS = {"voice": "--voice", "output_device": "--output-device"}


@dataclass(frozen=True)
class Wishes:
    """What was asked of the voice."""

    speak: bool = False
    voice: str | None = None
    output_device: str | None = None


def wishes(ctx: typer.Context, speak: bool, voice: str | None, output_device: str | None, *, json: bool) -> Wishes:
    """The options as wishes. With --json only what the command line itself asks for is said: a script reads along."""
    if json and speak and not _is_typed(ctx, "speak"):
        speak = False
    for name, option in OPTIONS.items():
        if not speak and _is_typed(ctx, name):
            raise UsageError(
                f"{option} is for an answer that is said aloud", hint=f"add --speak, or leave {option} out"
            )
    return Wishes(speak, voice, output_device)


class Voice:
    """Says an answer while it is written; where nothing is to be said, it does nothing.

    Trouble with the loudspeaker never costs the answer: it is written to its end, and then `finish` tells.
    """

    def __init__(self, aloud: Aloud | None = None) -> None:
        self._aloud = aloud
        self._trouble: MmcliError | None = None
        self._is_silenced = False

    def told(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The same pieces; what is no reasoning is said meanwhile."""
        if self._aloud is None:
            yield from pieces
            return
        self._is_silenced, self._trouble = False, None
        for piece in pieces:
            if piece.kind == "answer" and piece.text and not (self._trouble or self._is_silenced):
                try:
                    self._aloud.add(piece.text)
                except MmcliError as error:
                    self._trouble = error
            yield piece

    def finish(self) -> None:
        """Wait until all is said; what went wrong with it is raised now."""
        if self._trouble is not None:
            raise self._trouble
        if self._aloud is not None and not self._is_silenced:
            self._aloud.finish()

    def stop(self) -> None:
        """Be silent at once, until the next answer."""
        if self._aloud is not None:
            self._is_silenced = True
            self._aloud.stop()


@contextmanager
def opened(wishes: Wishes, style: Style) -> Iterator[Voice]:
    """The voice that was asked for, at its loudspeaker; an error, before anything takes long, where that cannot be."""
    if not wishes.speak:
        yield Voice()
        return
    from mmcli import terminal
    from mmcli.speech import devices
    from mmcli.speech.aloud import Aloud

    with terminal.no_chatter(style), contextlib.ExitStack() as stack:
        device = devices.choose(wishes.output_device, "output")
        speaker = choose(wishes)
        stack.callback(speaker.close)
        aloud = stack.enter_context(Aloud(speaker, device))
        if style.verbose:
            terminal.notice(f"spoken by {speaker.name} ({speaker.sample_rate} Hz) through {device.name}", style)
        yield Voice(aloud)


def choose(wishes: Wishes) -> Speaker:
    """Who speaks."""
    from mmcli.speech.speaker import system_voice

    return system_voice(wishes.voice)


def _is_typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
