"""`mmcli transcribe --mic`: utterance by utterance, as they end; and how a command opens the microphone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import AudioDeviceError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mmcli.commands.hearing import Machine, Sink
    from mmcli.speech.cues import Layout
    from mmcli.speech.microphone import Microphone
    from mmcli.speech.transcriber import Listening, Transcriber
    from mmcli.speech.transcript import Transcript
    from mmcli.speech.utterances import Utterance, Utterances
    from mmcli.terminal import Progress, Style

MUTE_AFTER = 3.0  # seconds of nothing but zeros that no open microphone gives
SOURCE = "microphone"


@dataclass(frozen=True)
class Wishes:
    """What was asked of the recording."""

    device: str | None = None
    until_silence: float | None = None  # seconds
    format: str = "txt"
    output: str | None = None
    overwrite: bool = False
    is_chosen: bool = False  # the format was named, and is not that of the output's extension
    layout: Layout | None = None  # of subtitles


def dictate(
    wishes: Wishes, model: str | None, machine: Machine, listening: Listening, *, yes: bool, style: Style
) -> int:
    """Write down what is said until Ctrl-C, or until nothing is said for a while."""
    from mmcli import terminal
    from mmcli.commands import getting, hearing, transcripts
    from mmcli.speech.utterances import Limits, Utterances
    from mmcli.speech.vad import Detector

    target = Path(os.path.expanduser(wishes.output)) if wishes.output else None
    if target is not None and (target.is_dir() or str(wishes.output).endswith(("/", os.sep))):
        raise UsageError(f"`{target}` is a folder, but a recording is one file", hint="-o FILE")
    if target is not None:
        transcripts.check_suffix(target, is_chosen=wishes.is_chosen)
    if target is not None and target.exists() and not wishes.overwrite:
        raise UsageError(f"`{target}` already exists", hint="--overwrite replaces it")
    if target is not None:
        transcripts.make(target.parent)
    chosen = getting.speech(model, yes=yes, style=style)
    stop = threading.Event()
    layout = wishes.layout
    sink = (
        transcripts.File(target, wishes.format, layout) if target else transcripts.Stdout(wishes.format, layout=layout)
    )
    with terminal.no_chatter(style), hearing.interruptible(stop, style) as progress:
        transcriber = hearing.load(chosen, machine, style, progress)
        transcriber.check(listening)
        utterances = Utterances(Detector(), Limits())
        try:
            with opened(wishes.device, stop) as microphone:
                terminal.notice(f"listening to {microphone.device.name}; Ctrl-C ends it", style)
                _Dictation(transcriber, listening, sink, wishes, stop, progress, style).write(microphone, utterances)
        finally:
            sink.close()
    return 0


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
class _Dictation:
    transcriber: Transcriber
    listening: Listening
    sink: Sink
    wishes: Wishes
    stop: threading.Event
    progress: Progress
    style: Style

    def write(self, microphone: Microphone, utterances: Utterances) -> Transcript:
        """What is said, as it is said; if the microphone goes away, all that came before is written down first."""
        from mmcli import terminal
        from mmcli.commands import hearing

        transcript = hearing.new(self.transcriber, self.listening, SOURCE)
        self.sink.begin(transcript)
        lost: AudioDeviceError | None = None
        try:
            for block in audible(microphone, lambda text: terminal.warning(text, self.style)):
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
            terminal.warning(
                f"some of what was said was lost: {microphone.overflows} blocks arrived too fast", self.style
            )
        if lost is not None:
            raise lost
        return transcript

    def _meter(self, block: NDArray[np.float32], utterances: Utterances) -> None:
        from mmcli import terminal
        from mmcli.speech.level import level

        word = "hearing you " if utterances.speaking else "listening... "
        self.progress(f"{word} {terminal.meter(level(block))}", 0, -1)

    def _hear(self, utterance: Utterance, transcript: Transcript) -> None:
        from mmcli.commands import hearing
        from mmcli.speech.transcriber import Heard

        heard = Heard(language=transcript.language)
        self.progress(f"writing down {utterance.seconds:.1f} s", 0, 0)
        found = []
        for segment in self.transcriber.transcribe(utterance.samples, self.listening, heard):
            found.append(hearing.cleaned(hearing.shifted(segment, utterance.start)))
        transcript.speech_seconds += heard.speech_seconds
        transcript.seconds = utterance.end
        if found and transcript.language is None:
            transcript.language, transcript.language_confidence = heard.language, heard.language_confidence
        for segment in found:
            transcript.segments.append(segment)
            self.sink.segment(transcript, segment)

    def _is_over(self, utterances: Utterances, transcript: Transcript) -> bool:
        """Silence for as long as was asked for; it is counted from the first word on."""
        wanted = self.wishes.until_silence
        return wanted is not None and bool(transcript.segments) and utterances.silence >= wanted
