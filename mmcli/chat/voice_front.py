"""Holds a conversation by voice: a microphone beside the keyboard, answers that may be read aloud.

What is asked, staged, answered and kept is session.py's; what is said comes from speech/listener.py, in threads of its
own. They meet in one queue: what the listener has to tell waits there until the session asks for the next message, and
`call` makes it ask.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mmcli import chat, terminal
from mmcli.chat import in_words, slash_commands, voice_commands
from mmcli.chat.echo_guard import EchoGuard
from mmcli.chat.recognizer import Recognizer
from mmcli.errors import AudioDeviceError, MmcliError, UsageError
from mmcli.media import capture
from mmcli.runtime import dictation, transcription
from mmcli.speech import end_of_turn
from mmcli.speech.listener import Listener, Mode, Spoken

if TYPE_CHECKING:
    from mmcli.chat.session import Session
    from mmcli.engine import Piece
    from mmcli.models import SpeechModel
    from mmcli.runtime.speech_output import Voice
    from mmcli.speech.devices import Device
    from mmcli.speech.transcriber import Listening

INTERRUPTS = (
    0.25  # seconds of speech that interrupt an answer: longer than a cough, shorter than a word of two syllables
)
SHOWN_WORDS = 48  # characters of what is being said, in the status line
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


class VoiceFront:
    """Messages are spoken or typed, whichever comes first; a `Front`, and what a `Listener` tells."""

    kind = "voice"
    session: Session

    def __init__(self, manner: Manner, aloud: Voice) -> None:
        self.manner = manner
        self._keyboard: terminal.Summoned | None = None
        self.heard_by: str | None = None
        self._guard = EchoGuard(aloud, manner.half_duplex, lambda error: self._tell(_Said(error)))
        self._listener: Listener | None = None
        self._device = self._heard_with = ""
        self._recognizer: Recognizer | None = None
        self._inbox: queue.SimpleQueue[_Told] = queue.SimpleQueue()  # None: no words
        self._times: _Times | None = None  # of the turn that is answered, where it was spoken
        self._is_answering = False
        self._was_barged = False  # somebody spoke while it answered
        self._unanswered = ""  # a question that was interrupted before anything was said
        self._looks = ("", "")  # what the status line shows of the ears
        self._draft = ""  # stood on the line when somebody spoke
        self.keys: Sequence[tuple[str, str]] = () if manner.mode == "auto" else (KEY,)
        self.commands: Mapping[str, slash_commands.Slash] = {
            "mute": slash_commands.Slash("stop listening; /listen resumes", lambda _, argument: self._listen(False)),
            "listen": slash_commands.Slash("listen again", lambda _, argument: self._listen(True)),
            "speak": slash_commands.Slash(
                "read answers aloud, or stop doing so", lambda _, argument: self._speak(argument), "on|off"
            ),
        }

    def join(self, session: Session) -> None:
        self.session = session

    @contextmanager
    def hearing_with(
        self, device: Device, speech: SpeechModel, listening: Listening, machine: transcription.SpeechMachine
    ) -> Iterator[None]:
        """While inside, somebody listens. Loads the speech model; errors come before anything is asked."""
        from mmcli.speech.microphone import Microphone
        from mmcli.speech.vad import Detector

        stop = threading.Event()
        with transcription.interruptible(stop, self.session.screen) as progress:
            transcriber = transcription.load(speech, machine, self.session.screen, progress)
            transcriber.check(listening)
            if stop.is_set():
                raise KeyboardInterrupt
        self._recognizer = recognizer = Recognizer(transcriber, listening)
        self._heard_with, self._device = speech.name, device.name
        with Microphone(device, stop=stop) as microphone:
            recording = dictation.audible(microphone, self._tell)
            self._listener = Listener(recording, Detector(), recognizer, self, self.manner.mode)
            self._guard.listener = self._listener
            self._listener.start()
            try:
                yield
            finally:
                stop.set()
                self._listener.stop()
        if microphone.overflows:
            terminal.warning(
                f"some of what was said was lost: {microphone.overflows} blocks arrived too fast", self.session.style
            )

    # what the ears tell, from their threads

    def patience(self, heard: str) -> float:
        last = self.session.talk.turns[-1].said if self.session.talk.turns else ""
        language = self._recognizer.language if self._recognizer is not None else None
        return end_of_turn.patience(heard, after_question=end_of_turn.asks(last), language=language)

    def on_speech(self, speech: float, words: str) -> None:
        if not self.manner.barge_in or speech < INTERRUPTS:
            return
        if self._guard.is_speaking:
            if not self._guard.is_foreign(words, speech):
                return  # it may be hearing itself: only words can tell
            self._guard.hush()
        if self._is_answering and not self._was_barged:
            if self._guard.is_wanted and not self._guard.is_foreign(words, speech):
                return  # on a busy machine the last answer's echo may still be on its way through the ears
            self._was_barged = True
            self.session.stop_answer()

    def on_turn(self, spoken: Spoken) -> None:
        words = self._guard.others(spoken.text, spoken.ended - spoken.seconds, spoken.ended)
        if words:
            self._tell(replace(spoken, text=words))
            return
        if self.session.style.verbose:
            self._tell(_Echo(spoken.text))
        if self._unanswered:
            self._tell(None)

    def on_no_speech(self) -> None:
        if self._unanswered or self._was_barged or self.manner.mode != "auto":  # else it is a noise like many
            self._tell(None)

    def on_update(self) -> None:
        if self._keyboard is not None and self._listener is not None:
            looks = self._heard_facts(self._listener)
            if looks != self._looks:  # else nothing is drawn, ten times a second
                self._looks = looks
                self._keyboard.refresh()

    def on_error(self, error: BaseException, heard: str = "") -> None:
        self._tell(_Lost(error, heard))

    def _tell(self, what: _Told) -> None:
        self._inbox.put(what)
        if self._keyboard is not None:
            self._keyboard.call()

    def _listen(self, wanted: bool) -> None:
        """/listen and /mute."""
        if self._listener is None:
            return
        self._listener.silence(not wanted)
        self.session.note(f"listening to {self._device}" if wanted else "not listening; /listen resumes")

    def _speak(self, argument: str) -> None:
        """/speak on, /speak off; alone, it changes from one to the other."""
        if argument.lower() not in ("on", "off", ""):
            raise UsageError(f"`{argument}` is neither on nor off", hint="/speak on, or /speak off")
        wanted = argument.lower() == "on" if argument else not self._guard.is_wanted
        self._guard.turn(wanted)
        self.session.note("answers are read aloud" if wanted else "answers are only written")

    # who has the word

    @contextmanager
    def open(self, hooks: terminal.Hooks, typed: Path | None) -> Iterator[terminal.Keyboard]:
        key = None
        if self.manner.mode != "auto":
            is_held = self.manner.mode == "hold"
            key = terminal.TalkKey(self._press if is_held else self._switch, self._release, up=is_held)
        with terminal.open_summoned(hooks, typed, key, goes_on=True) as keyboard:
            self._keyboard = keyboard
            yield keyboard

    def _press(self) -> None:
        if self._listener is not None:
            self._listener.open()

    def _release(self) -> None:
        if self._listener is not None and self._listener.is_open:
            self._listener.close()

    def _switch(self) -> None:
        """Begin to listen, or end the turn."""
        if self._listener is not None and self._listener.is_open:
            self._listener.close()
        elif self._listener is not None:
            self._listener.open()

    def next(self, keyboard: terminal.Keyboard, default: str) -> str:
        """What is typed or spoken, whichever comes first."""
        self.heard_by = None
        is_told = False
        if not self.session.is_person:
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
                    if not self._guard.is_speaking:
                        raise
                    self._guard.hush()
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
            terminal.warning(what, self.session.style)
            return None
        if isinstance(what, _Echo):
            self.session.note(f"ignored its own voice: {what.heard}")
            return None
        if isinstance(what, _Said):
            self._tell_times()
            if what.error is not None and not self.session.is_person:
                raise what.error
            if what.error is not None:
                terminal.error(what.error, self.session.style)
            return None
        if isinstance(what, _Lost):
            if what.heard:
                self.session.note(f"heard until then: {what.heard}")
            raise self._ending(what.error)
        if what is None:
            if not self._unanswered:
                self.session.note("nothing was understood")
            text, self._unanswered = self._unanswered, ""  # whoever coughed before the first word still wants to know
            self.heard_by = self._heard_with if text else None
            return text or None
        if not self.manner.barge_in:
            self._guard.wait()
        text = end_of_turn.joined([self._unanswered, what.text])
        self._unanswered = ""
        if self.session.is_person:
            terminal.heard_words(text)
        else:
            self.session.note(f"heard: {text}")
        self._times, self.heard_by = _Times(what), self._heard_with
        return text

    def _ending(self, error: BaseException) -> BaseException:
        """What ends the talk when the ears hear no more, with how to go on."""
        from mmcli.speech import devices

        if not isinstance(error, AudioDeviceError):
            return error
        kept = self.session.recorder.talk
        goes_on = f"; `mmcli voice -c {kept}` continues this conversation" if kept else ""
        return AudioDeviceError(error.message, hint=f"is it plugged in? {devices.remedy()}{goes_on}")

    def outlives(self, error: BaseException) -> bool:
        return self.heard_by is not None and isinstance(error, MmcliError)

    # what is asked

    def take(self, text: str) -> bool:
        if self.heard_by is None:
            self._times, self._unanswered = None, ""
            is_switch = not text.strip() and self.manner.mode != "auto"
            if is_switch:
                self._switch()
            return is_switch
        wanted = chat.look(text, voice_commands.files() if chat.may_look(text) else (), len(self.session.talk.media))
        if wanted is not None:
            self._look(wanted)
            text = wanted.words
        if text:
            self.session.ask(text)
        return True

    def _look(self, wanted: chat.Look) -> None:
        """Stage what somebody asked to look at, as /screen, /paste and /attach do."""
        if not wanted.is_there:
            raise voice_commands.no_such_file(wanted)
        before = len(self.session.talk.staged)
        if wanted.target != "file":
            self.session.stage([capture.screen() if wanted.target == "screen" else capture.clipboard()])
        elif all(medium.receipt.source != wanted.name for medium in self.session.talk.media):  # else it is there
            self.session.attach([wanted.name])
        if not self.session.is_person:
            for medium in self.session.talk.staged[before:]:
                self.session.note(f"looking at {in_words.described(medium)}")

    @contextmanager
    def answering(self) -> Iterator[None]:
        self._guard.still()
        self._was_barged = False
        try:
            yield
        except BaseException:
            self._guard.still()
            raise
        finally:
            self._is_answering = False
        if self._guard.is_wanted:
            self._guard.end()  # and then the times
        else:
            self._tell_times()

    def passed_on(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        self._is_answering = True  # from now on, whoever speaks interrupts
        for piece in self._guard.told(pieces):
            if piece.text and self._times is not None and self._times.first_word is None:
                self._times.first_word = time.monotonic()
            yield piece

    def interrupted(self) -> bool:
        self._guard.hush()
        if self._was_barged and self.session.pending:  # whoever spoke again before the first word had not finished
            self._unanswered, self.session.pending = self.session.pending, ""
        return self._was_barged

    # what is shown

    def greet(self) -> None:
        self.session.note(f"listening to {self._device}{GREETINGS[self.manner.mode]}")

    def _patient(self, typed: str) -> str:
        """What was typed; in a pipe, only when what was asked before is said."""
        if not self.session.is_person:
            self._guard.wait()
        return typed

    def _tell_state(self) -> None:
        """In a pipe, whose turn it is."""
        if not self.session.is_person and self._listener is not None:
            if self._guard.is_speaking:
                self.session.note("speaking")
            elif self.manner.mode == "auto":
                self.session.note(f"listening to {self._device}")
            else:
                self.session.note(
                    "listening: an empty line ends it" if self._listener.is_open else "an empty line starts listening"
                )

    def facts(self) -> Sequence[str]:
        return () if self._listener is None else self._heard_facts(self._listener)

    def _heard_facts(self, listener: Listener) -> tuple[str, str]:
        """State and level, and the words so far."""
        from mmcli.speech.level import bar

        state = listener.state
        label = "speaking" if self._guard.is_speaking and state in ("listening", "muted", "off") else STATES[state]
        words = listener.words
        tail = words if len(words) <= SHOWN_WORDS else "…" + words[-SHOWN_WORDS:]
        return f"{label:<11} {bar(listener.level)}", tail

    def _tell_times(self) -> None:
        """With --verbose: how long each step took, from the last sound of speech on."""
        if self._times is None or not self.session.style.verbose:
            return
        spoken, first_word = self._times.spoken, self._times.first_word
        steps = [("turn over", spoken.decided), ("text", spoken.understood), ("first word", first_word)]
        steps.append(("first sound", self._guard.first_sound))
        self._times = None
        told = [f"{name} {moment - spoken.ended:.2f} s" for name, moment in steps if moment is not None]
        self.session.note(f"after the end of speech: {', '.join(told)}")
