"""`mmcli transcribe --mic`: where the transcript goes, and the checks before recording starts."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.runtime.transcription import SpeechMachine
    from mmcli.speech.cues import Layout
    from mmcli.speech.transcriber import Listening
    from mmcli.terminal import Style


@dataclass(frozen=True)
class RecordingWishes:
    """What was asked of the recording."""

    device: str | None = None
    until_silence: float | None = None  # seconds
    format: str = "txt"
    output: str | None = None
    overwrite: bool = False
    is_chosen: bool = False  # the format was named, and is not that of the output's extension
    layout: Layout | None = None  # of subtitles


def dictate(
    wishes: RecordingWishes, model: str | None, machine: SpeechMachine, listening: Listening, *, yes: bool, style: Style
) -> int:
    """Write down what is said until Ctrl-C, or until nothing is said for a while."""
    from mmcli import terminal
    from mmcli.commands import transcripts
    from mmcli.runtime import model_fetch, transcription
    from mmcli.runtime.dictation import Dictation, opened
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
    reporter = terminal.Screen(style)
    chosen = model_fetch.speech(model, yes=yes, reporter=reporter)
    stop = threading.Event()
    layout = wishes.layout
    sink = (
        transcripts.TranscriptFile(target, wishes.format, layout)
        if target
        else transcripts.Stdout(wishes.format, layout=layout)
    )
    with reporter.no_chatter(), transcription.interruptible(stop, reporter) as progress:
        transcriber = transcription.load(chosen, machine, reporter, progress)
        transcriber.check(listening)
        utterances = Utterances(Detector(), Limits())
        try:
            with opened(wishes.device, stop) as microphone:
                reporter.notice(f"listening to {microphone.device.name}; Ctrl-C ends it")
                dictation = Dictation(transcriber, listening, sink, wishes.until_silence, stop, progress, reporter)
                dictation.write(microphone, utterances)
        finally:
            sink.close()
    return 0
