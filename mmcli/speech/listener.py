"""A microphone -> turns: what the user said until it ended. Two threads; knows no words and no terminal.

One thread hears: it cuts the recording into utterances and decides when a turn is over. The other understands: it runs
the speech model on what was said so far. In the first pause of a quarter of a second it is asked for the words; they
say how much silence to wait for, and when that has passed, they are the turn: its text was ready before it ended.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mmcli.errors import AudioDeviceError
from mmcli.speech.end_of_turn import joined
from mmcli.speech.level import FLOOR, level
from mmcli.speech.utterances import Limits, Utterance, Utterances

Samples = NDArray[np.float32]
Mode = Literal["auto", "toggle", "hold"]

PAUSE = 0.25  # seconds of silence after which the words are looked at; more than an utterance keeps of it
GLANCE = 0.6  # seconds of further speech after which the words so far are shown
QUICK = 0.7  # seconds: a model that needs longer for a glance is only asked in pauses
NEVER = 3600.0  # seconds of silence that nobody waits for
DEAF = 2.0  # a threshold that no probability reaches: nothing begins, and the pre-roll is kept
CALM = 0.5  # the ordinary threshold
MOST = 1.5  # seconds: twice the longest pause of a turn, but no more than this
SHOWN = 0.1  # seconds between two looks at the level


@dataclass(frozen=True)
class Spoken:
    """A turn that was spoken. Times are time.monotonic()'s."""

    text: str
    seconds: float  # of the recording: speech and the pauses in it
    ended: float  # the last speech
    decided: float  # that the turn is over
    understood: float  # its words were known


class Owner(Protocol):
    """Who wants to know. Everything is called from threads of the ears, and must be quick."""

    def patience(self, heard: str) -> float:
        """Seconds of silence that make a turn of these words."""

    def on_speech(self, speech: float, words: str) -> None:
        """Somebody is speaking, for `speech` seconds by now; the words as far as they are known."""

    def on_turn(self, spoken: Spoken) -> None: ...

    def on_no_speech(self) -> None:
        """Something was heard, and it was no words."""

    def on_update(self) -> None:
        """Level, state or words have changed."""

    def on_error(self, error: BaseException, heard: str = "") -> None:
        """The ears hear no more; `heard` is what was being said."""


@dataclass(frozen=True)
class _Job:
    """What the understanding thread is asked for."""

    kind: Literal["glance", "part", "words", "end", "forget", "lost"]
    samples: Samples | None = None
    stamp: float = 0.0  # spoken_until
    text: str = ""
    spoken: Spoken | None = None  # without its words
    n_parts: int = 0  # of all turns until now
    error: BaseException | None = None


class Listener:
    """Begin with `start`, end with `stop`. `recording` yields blocks of samples (a Microphone)."""

    def __init__(
        self,
        recording: Iterable[Samples],
        detect: Callable[[Samples], float],
        understand: Callable[[Samples], str],
        owner: Owner,
        mode: Mode = "auto",
    ) -> None:
        self.mode, self.level = mode, FLOOR
        self._recording, self._understand, self._owner = recording, understand, owner
        self._limits = Limits(threshold=CALM if mode == "auto" else DEAF, least_silence=NEVER, most_silence=NEVER)
        self._utterances = Utterances(detect, self._limits)
        self._threshold = CALM
        self._is_open = mode == "auto"  # toggle, hold: whether the key is down
        self._is_muted = self._is_silenced = False
        self._wishes: queue.SimpleQueue[Literal["close", "drop"]] = queue.SimpleQueue()
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._words = ""
        self._known: tuple[float, str] | None = None  # what was said until then, and its words
        self._asked = self._glanced = 0.0  # spoken_until, when the words were last asked for in a pause, or between
        self._glance_seconds = 0.0  # that the last one took
        self._n_parts = self._n_understood = 0  # utterances that went into turns, and into turns that were reported
        self._part_seconds = 0.0  # of the turn that is going on
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._guarded, args=(body,), name=name, daemon=True)
            for name, body in (("hearing", self._hear), ("understanding", self._work))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait for the end of both threads; the recording must have ended, or be about to."""
        self._is_over.set()
        self._jobs.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    # what others may see and change meanwhile, from any thread

    @property
    def state(self) -> Literal["listening", "hearing", "understanding", "off", "muted"]:
        if self._is_muted or self._is_silenced:
            return "muted"
        if self._utterances.speaking:
            return "hearing"
        if self._n_parts != self._n_understood:
            return "understanding"
        return "listening" if self._is_open else "off"

    @property
    def words(self) -> str:
        """What is being said, as far as it is understood."""
        return self._words if self.state in ("hearing", "understanding") else ""

    @property
    def is_open(self) -> bool:
        """Whether what is said now belongs to a turn; in the mode auto, always."""
        return self._is_open

    def open(self) -> None:
        """The key is down: what is said from now on (and a third of a second before) is a turn."""
        self._is_open = True

    def close(self) -> None:
        """The key is up: the turn is over. In the mode auto there is no key."""
        if self.mode != "auto":
            self._is_open = False
            self._wishes.put("close")

    def set_threshold(self, probability: float = CALM) -> None:
        """How sure the detector must be that somebody speaks."""
        self._threshold = probability

    def mute(self, wanted: bool) -> None:
        """Hear nothing for now; what was being said is forgotten."""
        if wanted and not self._is_muted:
            self.drop()
        self._is_muted = wanted

    def silence(self, wanted: bool) -> None:
        """Hear nothing until it is asked for again: the user's own wish, whatever `mute` says meanwhile."""
        if wanted and not self._is_silenced:
            self.drop()
        self._is_silenced = wanted

    def drop(self) -> None:
        """Forget what is being said."""
        self._wishes.put("drop")

    # hearing

    def _guarded(self, body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:  # whatever it is, who owns the ears must hear of it
            self._owner.on_error(error)

    def _hear(self) -> None:
        shown = 0.0
        try:
            for block in self._recording:
                if self._is_over.is_set():
                    return
                self._obey()
                self._listen(block)
                now = time.monotonic()
                if now - shown >= SHOWN:
                    shown = now
                    self._owner.on_update()
        except AudioDeviceError as error:
            for utterance in self._utterances.flush():
                self._take(utterance)
            self._jobs.put(_Job("lost", error=error))

    def _listen(self, block: Samples) -> None:
        heard = self._utterances
        self.level = level(block)
        before = heard.speaking
        for utterance in heard.feed(block):
            self._take(utterance)
            if utterance.ending == "silence":
                self._end()
        if heard.speaking:
            if not before:
                self._words, self._glanced = "", heard.spoken_until
            self._attend()

    def _obey(self) -> None:
        """Do what other threads wished since the last block."""
        while not self._wishes.empty():
            wish = self._wishes.get()
            said = list(self._utterances.flush())
            if wish == "close":
                for utterance in said:
                    self._take(utterance)
                self._end()
            else:
                self._jobs.put(_Job("forget", n_parts=self._n_parts))
                self._part_seconds = 0.0
        self._limits.threshold = DEAF if self._is_muted or self._is_silenced or not self._is_open else self._threshold

    def _attend(self) -> None:
        """Somebody is speaking, or was a moment ago: ask for the words when it is time, and wait as they say."""
        heard = self._utterances
        until, known = heard.spoken_until, self._known
        least = most = NEVER
        if heard.silence >= PAUSE:
            if self._asked != until:
                self._asked = until
                self._jobs.put(_Job("glance", heard.so_far, until))
            elif self.mode == "auto" and known is not None and known[0] == until:
                least = max(PAUSE, self._owner.patience(known[1]))
                most = max(least, MOST)  # for whoever paused long already within this turn
        elif until - self._glanced >= GLANCE and self._glance_seconds < QUICK and self._jobs.empty():
            self._glanced = until
            self._jobs.put(_Job("glance", heard.so_far, until))
        self._limits.least_silence, self._limits.most_silence = least, most
        self._owner.on_speech(heard.speech, self._words)

    def _take(self, utterance: Utterance) -> None:
        """Some of a turn is there: all until a silence, or as much as the speech model takes at once."""
        self._n_parts += 1
        self._part_seconds += utterance.seconds
        known = self._known
        if utterance.ending != "length" and known is not None and known[0] == self._utterances.spoken_until:
            self._jobs.put(_Job("words", text=known[1]))
        else:
            self._jobs.put(_Job("part", utterance.samples))

    def _end(self) -> None:
        """The turn is over."""
        now = time.monotonic()
        spoken = Spoken("", self._part_seconds, now - self._utterances.silence, now, now)
        self._jobs.put(_Job("end", spoken=spoken, n_parts=self._n_parts))
        self._part_seconds = 0.0

    # understanding

    def _work(self) -> None:
        texts: list[str] = []
        while (job := self._jobs.get()) is not None and not self._is_over.is_set():
            try:
                self._do(job, texts)
            finally:
                self._jobs.task_done()
            self._owner.on_update()

    def _do(self, job: _Job, texts: list[str]) -> None:
        """One job; `texts` are the parts of the turn that is going on."""
        if job.samples is not None:
            began = time.monotonic()
            text = self._understand(job.samples)
            self._words = joined([*texts, text])
            if job.kind == "part":
                texts.append(text)
            else:
                self._glance_seconds = time.monotonic() - began
                self._known = (job.stamp, text)
        elif job.kind == "words":
            texts.append(job.text)
        elif job.error is not None:
            self._owner.on_error(job.error, joined(texts))
        else:
            text = joined(texts)
            texts.clear()
            self._n_understood, self._words = job.n_parts, ""
            if job.spoken is not None and text:
                self._owner.on_turn(replace(job.spoken, text=text, understood=time.monotonic()))
            elif job.spoken is not None:
                self._owner.on_no_speech()
