"""One `mmcli voice` from its first word to its end: a chat's session that has ears.

What is asked, staged, answered and kept is session.py's; what is said comes from speech.ears, in threads of its own.
They meet in one queue: whatever the ears have to tell waits there until the session looks, and `call` makes it look.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, cast

from mmcli import chat, terminal
from mmcli.chat import slash_commands
from mmcli.chat.echo_guard import Mouth
from mmcli.chat.session import Session
from mmcli.errors import AudioDeviceError, InputError, MmcliError, UsageError
from mmcli.media import capture
from mmcli.runtime import dictation, transcription
from mmcli.speech import end_of_turn
from mmcli.speech.listener import Ears, Mode, Spoken

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.engine import Piece, Sampling
    from mmcli.models import SpeechModel
    from mmcli.runtime.speech_output import Voice
    from mmcli.speech.devices import Device
    from mmcli.speech.transcriber import Listening, Transcriber

INTERRUPTS = (
    0.25  # seconds of speech that interrupt an answer: longer than a cough, shorter than a word of two syllables
)
SURE = 0.8  # confidence with which a language is heard once and for all
SHOWN_WORDS = 48  # characters of what is being said, in the status line
MOST_FILES = 2000  # names in the working folder that "look at FILE" is compared with
KEY = ("Space", "when nothing is typed: starts and ends your turn")
GREETINGS: dict[Mode, str] = {
    "auto": ": speak, or type",
    "toggle": " between two presses of Space; or type",
    "hold": " while Space is held down; or type",
}
STATES = {
    "listening": "listening",
    "hearing": "hearing you",
    "understanding": "one moment",
    "off": "Space to talk",
    "muted": "not listening",
}


@dataclass(frozen=True)
class Manner:
    """How the talk is held, as the options say it."""

    mode: Mode = "auto"
    barge_in: bool = True
    half_duplex: bool = False


@dataclass(frozen=True)
class _Echo:
    """It heard itself."""

    heard: str


@dataclass(frozen=True)
class _Lost:
    """The ears hear no more."""

    error: BaseException
    heard: str


@dataclass(frozen=True)
class _Said:
    """The answer is said, or that went wrong."""

    error: MmcliError | None


@dataclass
class _Times:
    """Of one spoken turn; time.monotonic()'s."""

    spoken: Spoken
    first_word: float | None = None


_Told: TypeAlias = Spoken | _Lost | _Said | _Echo | str | None  # a warning; no words


class VoiceSession(Session):
    """A chat in which messages are spoken too."""

    KIND: ClassVar[str] = "voice"

    def __init__(self, *args: Any, manner: Manner, aloud: Voice, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.manner = manner
        self._mouth = Mouth(aloud, manner.half_duplex, lambda error: self._tell(_Said(error)))
        self._ears: Ears | None = None
        self._device = self._heard_with = ""
        self._transcriber: Transcriber | None = None
        self._listening: Listening | None = None
        self._language: str | None = None
        self._inbox: queue.SimpleQueue[_Told] = queue.SimpleQueue()  # None: no words
        self._times: _Times | None = None  # of the turn that is answered, where it was spoken
        self._is_answering = False
        self._was_barged = False  # somebody spoke while it answered
        self._unanswered = ""  # a question that was interrupted before anything was said
        self._looks = ("", "")  # what the status line shows of the ears
        self._draft = ""  # stood on the line when somebody spoke
        if manner.mode != "auto":
            self.own_keys = (KEY,)
        self.own_commands = {
            "mute": slash_commands.Slash("stop listening; /listen goes on", lambda _, argument: self._listen(False)),
            "listen": slash_commands.Slash("listen again", lambda _, argument: self._listen(True)),
            "speak": slash_commands.Slash(
                "say answers aloud, or no more", lambda _, argument: self._speak(argument), "on|off"
            ),
        }

    @contextmanager
    def hearing_with(
        self, device: Device, speech: SpeechModel, listening: Listening, machine: transcription.Machine
    ) -> Iterator[None]:
        """While inside, somebody listens. Loads the speech model; errors come before anything is asked."""
        from mmcli.speech.microphone import Microphone
        from mmcli.speech.vad import Detector

        stop = threading.Event()
        with transcription.interruptible(stop, self.screen) as progress:
            self._transcriber = transcription.load(speech, machine, self.screen, progress)
            self._transcriber.check(listening)
            if stop.is_set():
                raise KeyboardInterrupt
        self._listening, self._heard_with, self._device = listening, speech.name, device.name
        self._language = listening.language
        with Microphone(device, stop=stop) as microphone:
            recording = dictation.audible(microphone, self._tell)
            self._ears = Ears(recording, Detector(), self._understand, self, self.manner.mode)
            self._mouth.ears = self._ears
            self._ears.start()
            try:
                yield
            finally:
                stop.set()
                self._ears.stop()
        if microphone.overflows:
            terminal.warning(
                f"some of what was said was lost: {microphone.overflows} blocks arrived too fast", self.style
            )

    # what the ears tell, from their threads

    def _understand(self, samples: NDArray[np.float32]) -> str:
        """The words in (n_samples,) samples."""
        from mmcli.speech import transcribing
        from mmcli.speech.transcriber import Heard

        assert self._transcriber is not None and self._listening is not None
        heard = Heard(language=self._language)
        found = [transcribing.cleaned(one) for one in self._transcriber.transcribe(samples, self._listening, heard)]
        if (heard.language_confidence or 0.0) >= SURE:
            self._language = heard.language
        text = end_of_turn.joined([segment.text for segment in found])
        sure = min((segment.confidence for segment in found), default=0.0)
        return "" if end_of_turn.is_invented(text, sure) else text

    def patience(self, heard: str) -> float:
        last = self.talk.turns[-1].said if self.talk.turns else ""
        return end_of_turn.patience(heard, after_question=end_of_turn.asks(last), language=self._language)

    def hearing(self, speech: float, words: str) -> None:
        if not self.manner.barge_in or speech < INTERRUPTS:
            return
        if self._mouth.is_speaking:
            if not self._mouth.is_foreign(words, speech):
                return  # it may be hearing itself: only words can tell
            self._mouth.hush()
        if self._is_answering and not self._was_barged:
            if self._mouth.is_wanted and not self._mouth.is_foreign(words, speech):
                return  # on a busy machine the last answer's echo may still be on its way through the ears
            self._was_barged = True
            self._loading.stop()

    def turn(self, spoken: Spoken) -> None:
        words = self._mouth.others(spoken.text, spoken.ended - spoken.seconds, spoken.ended)
        if words:
            self._tell(replace(spoken, text=words))
            return
        if self.style.verbose:
            self._tell(_Echo(spoken.text))
        if self._unanswered:
            self._tell(None)

    def nothing(self) -> None:
        if self._unanswered or self._was_barged or self.manner.mode != "auto":  # else it is a noise like many
            self._tell(None)

    def shown(self) -> None:
        if self._keyboard is not None and self._ears is not None:
            looks = self._heard_facts(self._ears)
            if looks != self._looks:  # else nothing is drawn, ten times a second
                self._looks = looks
                self._keyboard.refresh()

    def lost(self, error: BaseException, heard: str = "") -> None:
        self._tell(_Lost(error, heard))

    def _tell(self, what: _Told) -> None:
        self._inbox.put(what)
        if self._keyboard is not None:
            cast(terminal.Summoned, self._keyboard).call()

    def _listen(self, wanted: bool) -> None:
        """/listen and /mute."""
        if self._ears is None:
            return
        self._ears.silence(not wanted)
        self.note(f"listening to {self._device}" if wanted else "not listening; /listen goes on")

    def _speak(self, argument: str) -> None:
        """/speak on, /speak off; alone, it changes from one to the other."""
        if argument.lower() not in ("on", "off", ""):
            raise UsageError(f"`{argument}` is neither on nor off", hint="/speak on, or /speak off")
        wanted = argument.lower() == "on" if argument else not self._mouth.is_wanted
        self._mouth.turn(wanted)
        self.note("answers are said aloud" if wanted else "answers are written only")

    # who has the word

    def _open(self, hooks: terminal.Hooks, typed: Path | None) -> terminal.Keyboard:
        key = None
        if self.manner.mode != "auto":
            is_held = self.manner.mode == "hold"
            key = terminal.TalkKey(self._press if is_held else self._switch, self._release, up=is_held)
        return terminal.open_summoned(hooks, typed, key, goes_on=True)

    def _press(self) -> None:
        if self._ears is not None:
            self._ears.open()

    def _release(self) -> None:
        if self._ears is not None and self._ears.is_open:
            self._ears.close()

    def _switch(self) -> None:
        """Begin to listen, or end the turn."""
        if self._ears is not None and self._ears.is_open:
            self._ears.close()
        elif self._ears is not None:
            self._ears.open()

    def _next(self, keyboard: terminal.Keyboard, default: str) -> str:
        """What is typed or spoken, whichever comes first."""
        self._heard_by = None
        is_told = False
        if not self.is_person:
            default = ""  # nobody would see it
        elif not default:
            default, self._draft = self._draft, ""
        while True:
            if self._inbox.empty():
                if not is_told:
                    self._tell_state()
                    is_told = True
                try:
                    return self._patient(keyboard.read(default))
                except terminal.Called as called:
                    default = called.typed
                    continue
                except KeyboardInterrupt:
                    if not self._mouth.is_speaking:
                        raise
                    self._mouth.hush()
                    continue
            what = self._inbox.get()
            spoken = self._come(what)
            if spoken:
                self._draft = default
                return spoken
            is_told = is_told and isinstance(what, _Echo)

    def _come(self, what: _Told) -> str | None:
        """What the ears told: the message, where it is one. Raises their error."""
        if isinstance(what, str):
            terminal.warning(what, self.style)
            return None
        if isinstance(what, _Echo):
            self.note(f"ignored its own voice: {what.heard}")
            return None
        if isinstance(what, _Said):
            self._tell_times()
            if what.error is not None and not self.is_person:
                raise what.error
            if what.error is not None:
                terminal.error(what.error, self.style)
            return None
        if isinstance(what, _Lost):
            if what.heard:
                self.note(f"heard until then: {what.heard}")
            raise self._ending(what.error)
        if what is None:
            if not self._unanswered:
                self.note("nothing was understood")
            text, self._unanswered = self._unanswered, ""  # whoever coughed before the first word still wants to know
            self._heard_by = self._heard_with if text else None
            return text or None
        if not self.manner.barge_in:
            self._mouth.wait()
        text = end_of_turn.joined([self._unanswered, what.text])
        self._unanswered = ""
        if self.is_person:
            terminal.heard_words(text)
        else:
            self.note(f"heard: {text}")
        self._times, self._heard_by = _Times(what), self._heard_with
        return text

    def _ending(self, error: BaseException) -> BaseException:
        """What ends the talk when the ears hear no more, with how to go on."""
        from mmcli.speech import devices

        if not isinstance(error, AudioDeviceError):
            return error
        kept = self.recorder.talk
        goes_on = f"; `mmcli voice -c {kept}` continues this conversation" if kept else ""
        return AudioDeviceError(error.message, hint=f"is it plugged in? {devices.remedy()}{goes_on}")

    def _outlives(self, error: BaseException) -> bool:
        return self.is_person or (self._heard_by is not None and isinstance(error, MmcliError))

    # what is asked

    def take(self, text: str) -> None:
        if self._heard_by is None:
            self._times, self._unanswered = None, ""
            if not text.strip() and self.manner.mode != "auto":
                self._switch()
            else:
                super().take(text)
            return
        wanted = chat.look(text, _files() if chat.may_look(text) else (), len(self.talk.media))
        if wanted is None:
            self.ask(text)
            return
        self._look(wanted)
        if wanted.words:
            self.ask(wanted.words)

    def _look(self, wanted: chat.Look) -> None:
        """Stage what somebody asked to look at, as /screen, /paste and /attach do."""
        if not wanted.is_there:
            raise _no_such_file(wanted)
        before = len(self.talk.staged)
        if wanted.target != "file":
            self.stage([capture.screen() if wanted.target == "screen" else capture.clipboard()])
        elif not any(medium.receipt.source == wanted.name for medium in self.talk.media):  # it looks at it already
            self.attach([wanted.name])
        if not self.is_person:
            for medium in self.talk.staged[before:]:
                self.note(f"looking at {slash_commands.described(medium)}")

    def ask(self, words: str, sampling: Sampling | None = None) -> None:
        self._mouth.still()
        self._was_barged = False
        try:
            super().ask(words, sampling)
        except BaseException:
            self._mouth.still()
            raise
        finally:
            self._is_answering = False
        if self._mouth.is_wanted:
            self._mouth.end()  # and then the times
        else:
            self._tell_times()

    def _passed_on(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        self._is_answering = True  # from now on, whoever speaks interrupts
        for piece in self._mouth.told(pieces):
            if piece.text and self._times is not None and self._times.first_word is None:
                self._times.first_word = time.monotonic()
            yield piece

    def _interrupted(self) -> None:
        self._mouth.hush()
        if not self._was_barged:
            super()._interrupted()
        elif self.pending:  # whoever spoke again before the first word had not finished
            self._unanswered, self.pending = self.pending, ""

    # what is shown

    def _greet(self) -> None:
        super()._greet()
        self.note(f"listening to {self._device}{GREETINGS[self.manner.mode]}")

    def _patient(self, typed: str) -> str:
        """What was typed; in a pipe, only when what was asked before is said."""
        if not self.is_person:
            self._mouth.wait()
        return typed

    def _tell_state(self) -> None:
        """In a pipe, whose turn it is."""
        if not self.is_person and self._ears is not None:
            if self._mouth.is_speaking:
                self.note("speaking")
            elif self.manner.mode == "auto":
                self.note(f"listening to {self._device}")
            else:
                self.note(
                    "listening: an empty line ends it" if self._ears.is_open else "an empty line starts listening"
                )

    def _facts(self) -> list[str]:
        facts = super()._facts()
        return facts if self._ears is None else [*self._heard_facts(self._ears), *facts]

    def _heard_facts(self, ears: Ears) -> tuple[str, str]:
        """State and level, and the words so far."""
        from mmcli.speech.level import bar

        state = ears.state
        label = "speaking" if self._mouth.is_speaking and state in ("listening", "muted", "off") else STATES[state]
        words = ears.words
        tail = words if len(words) <= SHOWN_WORDS else "…" + words[-SHOWN_WORDS:]
        return f"{label:<11} {bar(ears.level)}", tail

    def _tell_times(self) -> None:
        """With --verbose: how long each step took, from the last sound of speech on."""
        if self._times is None or not self.style.verbose:
            return
        spoken, first_word = self._times.spoken, self._times.first_word
        steps = [("turn over", spoken.decided), ("text", spoken.understood), ("first word", first_word)]
        steps.append(("first sound", self._mouth.first_sound))
        self._times = None
        told = [f"{name} {moment - spoken.ended:.2f} s" for name, moment in steps if moment is not None]
        self.note(f"after the end of speech: {', '.join(told)}")


def _no_such_file(wanted: chat.Look) -> InputError:
    """Nothing is answered then: it would be about another picture."""
    others = "type /attach and a part of its path, or ask without `look at`"
    if len(wanted.close) > 1:
        choices = ", ".join(f"`{name}`" for name in wanted.close)
        return InputError(f"`{wanted.name}` may be one of {len(wanted.close)} files: {choices}", hint=others)
    hint = f"did you mean `{wanted.close[0]}`? else {others}" if wanted.close else others
    return InputError(f"no file here sounds like `{wanted.name}`, so nothing was asked", hint=hint)


def _files() -> list[str]:
    """The pictures and sounds in the working folder."""
    found: list[str] = []
    try:
        with os.scandir() as entries:
            for entry in entries:
                if chat.looks_like_medium(entry.name):
                    found.append(entry.name)
                if len(found) >= MOST_FILES:
                    break
    except OSError:
        return []
    return sorted(found)
