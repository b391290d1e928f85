"""Text, while it is written -> sound from a loudspeaker, sentence by sentence. Knows PortAudio's streams.

Two threads: one makes the next sentence's sound while the other plays what is made. The device is opened at its own
rate, and written to in short blocks, so that silence comes within one of them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcli.errors import AudioDeviceError
from mmcli.media.audio import Resampler
from mmcli.speech import devices
from mmcli.speech.devices import Device
from mmcli.speech.sentences import Sentences
from mmcli.speech.speaker import Speaker

BLOCK_SECONDS = 0.02  # of sound written at once: so soon `stop` is heard
LATENCY = 0.1  # seconds of sound that the device is given beforehand, for when this process has to wait
AHEAD = 20.0  # seconds of sound that are made before they are played
PAUSE = 0.15  # seconds between sentences; the resampler's last samples come out in it
OTHER_RATES = (48_000, 44_100)  # Hz, tried where a device refuses what it calls its own
PATIENCE = 10.0  # seconds without a block taken, after which a device is taken for dead
AMPLE = 1.1  # seconds of sound made in a second: with less, a sentence is made whole before it is begun
MEMORY = 300.0  # seconds for which what was said is remembered


@dataclass
class _Sentence:
    """What is said, and when: by the monotonic clock, as it leaves the loudspeaker."""

    text: str
    began: float | None = None
    ended: float | None = None


class Aloud:
    """A voice at a loudspeaker; give it text with `add` as it is written, and wait with `finish` until all is said.

    The next text may follow after `finish` or `stop`. AudioDeviceError where the device cannot be opened. What goes
    wrong while it speaks, with the device or with the speaker, is raised by `add` and `finish`.
    """

    def __init__(self, speaker: Speaker, device: Device | None = None) -> None:
        self.speaker = speaker
        self.device = device or devices.choose(None, "output")
        self._sentences = Sentences()
        self._waiting: deque[_Sentence] = deque()  # to be made into sound
        self._made: deque[tuple[_Sentence, NDArray[np.float32]]] = deque()  # (n_samples,) at the device's rate
        self._all: deque[_Sentence] = deque()  # what was begun to be said, oldest first
        self._is_making = self._is_playing = self._is_closing = self._is_new = False
        self._pace: float | None = None  # seconds of sound the speaker makes in a second, by its last sentence
        self._stopped = threading.Event()  # set and replaced by `stop`: whoever holds the old one gives up
        self._silence = False  # the player is to drop what the device still holds
        self._wrote = 0.0  # monotonic seconds: when the device last took a block
        self._first: float | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._stream, self.rate, self.channels = self._open()
        self._block = round(self.rate * BLOCK_SECONDS)
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("making speech", self._make), ("playing speech", self._play))
        ]

    def __enter__(self) -> Aloud:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.stop()
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE)
        if self._threads[1].is_alive():  # it hangs in a dead device, which closing would wait for too
            devices.leave_open()
        else:
            devices.end(lambda: self._stream.close(ignore_errors=True))

    def add(self, text: str) -> None:
        """The next piece of the text; what is complete of it is said as soon as its turn comes."""
        self._raise()
        with self._changed:
            if not self._is_new:
                self._is_new, self._first = True, None
            self._queue(self._sentences.feed(text))

    def finish(self) -> None:
        """The text has ended: wait until all of it is said, or `stop` is called."""
        with self._changed:
            self._queue(self._sentences.flush())
            self._is_new = False
            while self._error is None and self._is_speaking:
                self._changed.wait(0.5)
                if self._is_playing and time.monotonic() - self._wrote > PATIENCE:
                    self._error = _gone(self.device)
        self._raise()

    def stop(self) -> None:
        """Be silent at once, and forget what was still to be said; what is added afterwards is a new text."""
        with self._changed:
            self._stopped.set()
            self._stopped = threading.Event()
            self._sentences = Sentences()
            self._waiting.clear()
            self._made.clear()
            self._is_new = False
            self._silence = self._is_playing
            self._end_of(None)
            self._changed.notify_all()

    @property
    def speaking(self) -> bool:
        """Whether something is being said, or about to be."""
        with self._changed:
            return self._is_speaking

    @property
    def first_sound(self) -> float | None:
        """When the first sound of the latest text left the loudspeaker, by the monotonic clock; None: not yet."""
        return self._first

    def saying(self, now: float, seconds: float) -> str:
        """The sentences that were being said in the `seconds` before `now`, on the monotonic clock."""
        with self._changed:
            return " ".join(
                one.text
                for one in self._all
                if one.began is not None and one.began <= now and (one.ended is None or one.ended >= now - seconds)
            )

    @property
    def _is_speaking(self) -> bool:
        return bool(self._waiting or self._is_making or self._made or self._is_playing)

    def _queue(self, sentences: list[str]) -> None:
        if sentences:
            self._waiting.extend(map(_Sentence, sentences))
            self._changed.notify_all()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._error = self._error or error
            self._is_making = self._is_playing = False
            self._stopped.set()
            self._waiting.clear()
            self._made.clear()
            self._changed.notify_all()

    # The thread that makes sound

    def _make(self) -> None:
        try:
            while (work := self._next_sentence()) is not None:
                sentence, stopped = work
                self._make_one(sentence, stopped)
                with self._changed:
                    self._is_making = False
                    self._changed.notify_all()
        except BaseException as error:  # raised where the text comes from
            self._fail(error)

    def _make_one(self, sentence: _Sentence, stopped: threading.Event) -> None:
        """One sentence's sound; held back until it is whole where the speaker is slower than the sound."""
        resampler = Resampler(self.speaker.sample_rate, 1, self.rate)
        pause = np.zeros((round(self.speaker.sample_rate * PAUSE), 1), np.float32)
        held: list[NDArray[np.float32]] = []
        made, making, since = 0.0, 1e-6, time.monotonic()  # seconds of sound; seconds it took, without any waiting here
        with contextlib.closing(_closable(self.speaker.say(sentence.text, stopped))) as blocks:
            for block in blocks:
                making += time.monotonic() - since
                made += len(block) / self.speaker.sample_rate
                held.append(resampler(block.reshape(-1, 1)))
                if (self._pace or made / making) >= AMPLE:
                    if not all([self._keep(sentence, one, stopped) for one in held]):
                        return
                    held.clear()
                since = time.monotonic()
        if made and not stopped.is_set():
            self._pace = made / making
        for one in (*held, resampler(pause)):
            self._keep(sentence, one, stopped)

    def _next_sentence(self) -> tuple[_Sentence, threading.Event] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing or self._error)
            if self._is_closing or self._error:
                return None
            self._is_making = True
            return self._waiting.popleft(), self._stopped

    def _keep(self, sentence: _Sentence, block: NDArray[np.float32], stopped: threading.Event) -> bool:
        """Hand a block over once there is room for it; False where nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: stopped.is_set() or self._is_closing or self._seconds_made < AHEAD)
            if stopped.is_set() or self._is_closing:
                return False
            if len(block):
                self._made.append((sentence, block))
                self._changed.notify_all()
            return True

    @property
    def _seconds_made(self) -> float:
        return sum(len(block) for _, block in self._made) / self.rate

    # The thread that plays it

    def _play(self) -> None:
        quiet = 0.0  # seconds of silence written since the last sound
        try:
            while True:
                with self._changed:
                    if not self._is_playing:
                        self._changed.wait_for(lambda: self._made or self._is_closing or self._error)
                        if self._is_closing or self._error:
                            return
                    elif self._silence or self._is_closing or self._error or quiet > LATENCY + BLOCK_SECONDS:
                        self._stream.abort()
                        self._is_playing = self._silence = False
                        self._changed.notify_all()
                        continue
                    block = self._next_block()
                    more = bool(self._waiting or self._is_making)
                quiet = 0.0 if block is not None or more else quiet + BLOCK_SECONDS
                self._write(np.zeros(self._block, np.float32) if block is None else block)
        except BaseException as error:  # raised where the text comes from
            self._fail(_gone(self.device) if devices.is_portaudio(error) else error)

    def _next_block(self) -> NDArray[np.float32] | None:
        """At most one block of the sound that is made; the sentence it belongs to begins with it, or ends."""
        if not self._made:
            if not self._is_making:
                self._end_of(None)
            return None
        sentence, block = self._made.popleft()
        if len(block) > self._block:
            self._made.appendleft((sentence, block[self._block :]))
            block = block[: self._block]
        now = time.monotonic() + LATENCY
        if sentence.began is None:
            self._end_of(sentence)
            sentence.began = now
            while self._all and (self._all[0].ended or now) < now - MEMORY:
                self._all.popleft()
            self._all.append(sentence)
        if self._first is None and block.any():
            self._first = now
        self._changed.notify_all()
        return block

    def _end_of(self, following: _Sentence | None) -> None:
        """The sentence that was being said has ended, since `following` begins, or nothing does."""
        if self._all and self._all[-1] is not following and self._all[-1].ended is None:
            self._all[-1].ended = time.monotonic() + LATENCY

    def _write(self, block: NDArray[np.float32]) -> None:
        """(n_samples,) to the device, which takes them once it has room."""
        if not self._is_playing:
            self._wrote = time.monotonic()
            with self._changed:
                self._is_playing = True
            self._stream.start()
        self._stream.write(np.repeat(block.reshape(-1, 1), self.channels, axis=1))
        self._wrote = time.monotonic()

    def _open(self) -> tuple[Any, int, int]:
        """The stream with its rate and channels: mono at its own rate, or the nearest to it that works."""
        sounddevice = devices.portaudio()
        problem: Exception | None = None
        for hertz in dict.fromkeys((self.device.rate, *OTHER_RATES)):
            for count in dict.fromkeys((1, min(2, self.device.outputs), self.device.outputs)):
                try:
                    stream = sounddevice.OutputStream(
                        samplerate=hertz, channels=count, dtype="float32", device=self.device.number, latency=LATENCY
                    )
                    return stream, hertz, count
                except (sounddevice.PortAudioError, ValueError) as error:
                    problem = problem or error
        assert problem is not None
        raise devices.refused(self.device, problem, "output") from problem


def _closable(blocks: Any) -> Any:
    """An iterator that can be closed: a generator can, and frees what it holds at once."""
    return blocks if hasattr(blocks, "close") else (block for block in blocks)


def _gone(device: Device) -> AudioDeviceError:
    return AudioDeviceError(f"the loudspeaker `{device.name}` went away", hint="`mmcli devices` lists what is there")
