"""Speaks answers and suppresses their echo in the microphone. Knows no prompts and no models.

A microphone hears the loudspeaker. So while something is said, the ears want to be surer that somebody speaks, and what
they bring is compared with what was being said: an echo is not a turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from mmcli.errors import MmcliError, UsageError
from mmcli.speech import echo
from mmcli.speech.listener import CALM, Listener

if TYPE_CHECKING:
    from mmcli.engine import Piece
    from mmcli.runtime.speech_output import Voice

SURE = 0.8  # probability of speech that is asked for while it speaks
ECHO = 0.8  # likeness from which what was heard is what was being said
FOREIGN = 0.6  # likeness under which a few words are certainly another's: they may silence it
FEW = 2  # words that it takes to say whose they are
TAIL = 0.4  # seconds for which a room, and the way from loudspeaker to microphone, go on sounding
BEFORE = 0.7  # seconds that room and devices may take: what ended earlier cannot be heard any more


class EchoGuard:
    """A voice between two answers. `on_end` is called when all is said, with the error where that went wrong."""

    def __init__(self, voice: Voice, half_duplex: bool, on_end: Callable[[MmcliError | None], None]) -> None:
        self._voice, self._half_duplex, self._on_end = voice, half_duplex, on_end
        self.listener: Listener | None = None
        self._rest: threading.Thread | None = None  # says what is left of an answer that is written
        self._is_new = threading.Event()  # another answer is about to begin
        self._is_off = False  # /speak off
        self._is_active = False  # from an answer's first word until the room is silent again

    @property
    def is_wanted(self) -> bool:
        """Whether answers are said at all."""
        return self._voice.is_wanted and not self._is_off

    def turn(self, wanted: bool) -> None:
        """Say answers from now on, or no more; UsageError where there is no voice to say them with."""
        if wanted and not self._voice.is_wanted:
            raise UsageError("no voice was loaded for this conversation", hint="`mmcli voice --speak` loads one")
        if not wanted:
            self.still()
        self._is_off = not wanted

    @property
    def is_speaking(self) -> bool:
        """Whether an answer is being said, the pauses between its sentences included."""
        return self._is_active

    @property
    def first_sound(self) -> float | None:
        return self._voice.first_sound

    def told(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """An answer on its way to the screen, said meanwhile."""
        if not self.is_wanted:
            yield from pieces
            return
        self._protect(True)
        yield from self._voice.told(pieces)

    def end(self) -> None:
        """The answer is written: say what is left of it, while others go on; `on_end` is called."""
        if self.is_wanted:
            self._rest = threading.Thread(target=self._say_rest, name="saying the rest", daemon=True)
            self._rest.start()

    def wait(self) -> None:
        """Until all is said."""
        if self._rest is not None:
            self._rest.join()

    def hush(self) -> None:
        """Be silent at once."""
        self._voice.stop()

    def still(self) -> None:
        """Be silent, and let nothing of the last answer be going on: the next one begins."""
        self.hush()
        self._is_new.set()
        self.wait()
        self._is_new.clear()
        if self.is_wanted:
            self._protect(False)

    def others(self, heard: str, began: float, ended: float) -> str:
        """What of the words heard between two moments on the monotonic clock is somebody else's; "": it heard itself.

        Where words come slowly, an echo and the question after it are one turn: the question is what follows the echo,
        and is taken where it is like nothing that was said, or was spoken when all was silent.
        """
        said = self._said_since(began)
        rest, is_echo = echo.remainder(heard, said, ECHO), echo.resembles(heard, said) >= ECHO
        if len(echo.words(rest)) < FEW:
            return "" if is_echo or not rest else heard
        is_silent = not self._voice.saying(ended, BEFORE)
        return rest if is_silent or echo.resembles(rest, said) < (FOREIGN if is_echo else ECHO) else ""

    def is_foreign(self, heard: str, seconds: float) -> bool:
        """Whether the words so far of who has spoken for `seconds` are certainly not its own."""
        words = echo.words(heard)
        said = self._said_since(time.monotonic() - seconds)
        return len(words) >= FEW and echo.resembles(heard, said) < FOREIGN

    def _said_since(self, began: float) -> str:
        now = time.monotonic()
        return self._voice.saying(now, now - began + BEFORE)

    def _say_rest(self) -> None:
        error: MmcliError | None = None
        try:
            self._voice.finish()
        except MmcliError as caught:
            error = caught
        self._is_new.wait(TAIL)
        self._protect(False)
        self._on_end(error)

    def _protect(self, wanted: bool) -> None:
        """Let the ears be deaf, or doubtful."""
        self._is_active = wanted
        if self.listener is None:
            return
        if self._half_duplex:
            self.listener.mute(wanted)
        else:
            self.listener.set_threshold(SURE if wanted else CALM)
