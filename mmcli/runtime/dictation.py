"""Transcribes a microphone, utterance by utterance; and opens the microphone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmcli.errors import AudioDeviceError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.runtime.reporter import OnProgress, Reporter
    from mmcli.speech.microphone import Microphone
    from mmcli.speech.transcriber import Listening, Transcriber
    from mmcli.speech.transcribing import Sink
    from mmcli.speech.transcript import Transcript
    from mmcli.speech.utterances import Utterance, Utterances

MUTE_AFTER = 3.0  # seconds of nothing but zeros that no open microphone gives
SOURCE = "microphone"


@contextmanager
def opened(name: str | None, stop: threading.Event) -> Iterator[Microphone]:
    """The microphone of that name, recording."""
    from mmcli.speech import devices
    from mmcli.speech.microphone import Microphone

    with Microphone(devices.choose(name, "input"), stop=stop) as microphone:
        yield microphone


def audible(microphone: Microphone, warn: Callable[[str], None]) -> Iterator[NDArray[np.float32]]:
    """Its blocks; and one warning where it is open but gives nothing at all."""
    from mmcli.speech.devices import mute_hint

    n_samples, is_mute = 0, True
    for block in microphone:
        if is_mute:
            is_mute = not block.any()
            before, n_samples = n_samples, n_samples + len(block)
            if is_mute and before < MUTE_AFTER * 16_000 <= n_samples:
                warn(f"`{microphone.device.name}` gives only digital silence: {mute_hint()}")
        yield block


@dataclass
class Dictation:
    """One recording: each utterance goes to `sink` when it ends, until `stop` or `until_silence` seconds of silence."""

    transcriber: Transcriber
    listening: Listening
    sink: Sink
    until_silence: float | None
    stop: threading.Event
    progress: OnProgress
    reporter: Reporter

    def write(self, microphone: Microphone, utterances: Utterances) -> Transcript:
        """What is said, as it is said; if the microphone goes away, all that came before is written down first."""
        from mmcli.speech import transcribing

        transcript = transcribing.new(self.transcriber, self.listening, SOURCE)
        self.sink.begin(transcript)
        lost: AudioDeviceError | None = None
        try:
            for block in audible(microphone, self.reporter.warning):
                self._meter(block, utterances)
                for utterance in utterances.feed(block):
                    self._hear(utterance, transcript)
                if self._is_over(utterances, transcript):
                    break
        except AudioDeviceError as error:
            lost = error
        for utterance in utterances.flush():
            self._hear(utterance, transcript)
        self.sink.end(transcript)
        if microphone.overflows:
            self.reporter.warning(f"some of what was said was lost: {microphone.overflows} blocks arrived too fast")
        if lost is not None:
            raise lost
        return transcript

    def _meter(self, block: NDArray[np.float32], utterances: Utterances) -> None:
        from mmcli.speech.level import level, meter

        word = "hearing you " if utterances.speaking else "listening... "
        self.progress(f"{word} {meter(level(block))}", 0, -1)

    def _hear(self, utterance: Utterance, transcript: Transcript) -> None:
        from mmcli.speech import transcribing
        from mmcli.speech.transcriber import Heard

        heard = Heard(language=transcript.language)
        self.progress(f"transcribing {utterance.seconds:.1f} s", 0, 0)
        found = []
        for segment in self.transcriber.transcribe(utterance.samples, self.listening, heard):
            found.append(transcribing.cleaned(transcribing.shifted(segment, utterance.start)))
        transcript.speech_seconds += heard.speech_seconds
        transcript.seconds = utterance.end
        if found and transcript.language is None:
            transcript.language, transcript.language_confidence = heard.language, heard.language_confidence
        for segment in found:
            transcript.segments.append(segment)
            self.sink.segment(transcript, segment)

    def _is_over(self, utterances: Utterances, transcript: Transcript) -> bool:
        """Silence for as long as was asked for; it is counted from the first word on."""
        wanted = self.until_silence
        return wanted is not None and bool(transcript.segments) and utterances.silence >= wanted
