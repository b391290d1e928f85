"""A microphone -> blocks of mono samples at 16,000 Hz. Knows PortAudio's streams; hears no words.

The device is opened at its own rate, for many refuse any other, and what comes is resampled by FFmpeg's libraries.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcli.errors import AudioDeviceError
from mmcli.media.audio import Resampler
from mmcli.speech import devices
from mmcli.speech.devices import Device

SAMPLE_RATE = 16_000  # Hz, of what comes out
BLOCK_SECONDS = 0.032  # Silero's window
OTHER_RATES = (48_000, 44_100, 16_000)  # Hz, tried where a device refuses what it calls its own
PATIENCE = 10.0  # seconds without any block, after which a device is taken for dead
_USED = 2  # channels: the voice is in the first two of a device that will not open with less than, say, eight
_QUEUE = 20_000  # blocks: ten minutes in which nobody had time to listen


class Microphone:
    """An open input device; iterating over it gives (n_samples,) float32 blocks until `stop` is set.

    AudioDeviceError where it cannot be opened, and from the iteration when the device goes away.
    """

    def __init__(
        self,
        device: Device,
        *,
        rate: int | None = None,
        channels: int | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.device = device
        self.overflows = 0  # how often samples were lost
        self._stop = stop or threading.Event()
        self._blocks: queue.Queue[NDArray[np.float32] | None] = queue.Queue(_QUEUE)
        self._stream, self.rate, self.channels = self._open(rate, channels)
        self._resampler = Resampler(self.rate, min(self.channels, _USED), SAMPLE_RATE)

    def __enter__(self) -> Microphone:
        try:
            self._stream.start()
        except Exception as error:
            devices.end(self._close)
            raise devices.refused(self.device, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        devices.end(self._abort, self._close)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        waited = 0.0
        while not self._stop.is_set():
            try:
                block = self._blocks.get(timeout=0.1)
            except queue.Empty:
                waited += 0.1
                if waited < PATIENCE:
                    continue
                block = None
            waited = 0.0
            if block is None:
                raise AudioDeviceError(
                    f"the microphone `{self.device.name}` went away", hint="what was said until then is kept"
                )
            yield from self._resampled(block)
        # What was said before `stop` may still wait here, where nobody had the time to take it.
        devices.end(self._abort)
        while not self._blocks.empty():
            block = self._blocks.get_nowait()
            if block is not None:
                yield from self._resampled(block)

    def _abort(self) -> None:
        self._stream.abort(ignore_errors=True)

    def _close(self) -> None:
        self._stream.close(ignore_errors=True)

    def _resampled(self, block: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        samples = self._resampler(block[:, :_USED])
        if len(samples):
            yield samples

    def _open(self, rate: int | None, channels: int | None) -> tuple[Any, int, int]:
        """The stream with its rate and channels: mono at its own rate, or the nearest to it that works."""
        sounddevice = devices.portaudio()
        rates = [rate] if rate else list(dict.fromkeys((self.device.rate, *OTHER_RATES)))
        counts = [channels] if channels else list(dict.fromkeys((1, min(2, self.device.inputs), self.device.inputs)))
        problem: Exception | None = None
        for hertz in rates:
            for count in counts:
                try:
                    stream = sounddevice.InputStream(
                        samplerate=hertz,
                        channels=count,
                        dtype="float32",
                        blocksize=int(hertz * BLOCK_SECONDS),
                        device=self.device.number,
                        callback=self._callback,
                        finished_callback=self._finished,
                    )
                    return stream, hertz, count
                except (sounddevice.PortAudioError, ValueError) as error:
                    problem = problem or error
        assert problem is not None
        raise devices.refused(self.device, problem) from problem

    def _callback(self, block: NDArray[np.float32], n_frames: int, when: Any, status: Any) -> None:
        """Called by PortAudio's own thread with (n_frames, channels): copy and leave."""
        if status and status.input_overflow:
            self.overflows += 1
        try:
            self._blocks.put_nowait(block.copy())
        except queue.Full:
            self.overflows += 1

    def _finished(self) -> None:
        """The stream ended: because we closed it, or because the device is gone."""
        try:
            self._blocks.put_nowait(None)
        except queue.Full:
            self._stop.set()
