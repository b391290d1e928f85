"""Loads a speech model and transcribes a sentence, as JSON lines: a child process, since it may crash."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

from mmcli.engine.local.probe import tell
from mmcli.errors import AudioDeviceError, MmcliError, UsageError

SENTENCE = "How many red circles are there?"  # the built-in speech model knows these words too
SAMPLE_RATE = 16_000  # Hz


def main() -> None:
    from mmcli.speech.echo import resembles
    from mmcli.speech.transcriber import Transcriber

    request = json.loads(sys.argv[1])
    try:
        transcriber = Transcriber(Path(request["folder"]), name=request["name"])
        languages = len(transcriber.languages)
        tell({"device": transcriber.device, "compute_type": transcriber.compute_type, "languages": languages})
        spoken = _spoken()
        if spoken is not None:
            heard = " ".join(segment.text.strip() for segment in transcriber.transcribe(spoken))
            tell({"said": SENTENCE, "heard": heard, "likeness": round(resembles(heard, SENTENCE), 2)})
    except MmcliError as error:
        tell({"error": error.message, "hint": error.hint, "status": error.status})


def _spoken() -> Any | None:
    """The sentence as the system's voice says it, (n_samples,) float32 at 16,000 Hz; None where there is no voice."""
    import numpy as np

    from mmcli.media.audio import Resampler
    from mmcli.speech.speaker import system_voice

    try:
        speaker = system_voice(language="en")
        blocks = list(speaker.say(SENTENCE, threading.Event()))
    except (AudioDeviceError, UsageError):
        return None
    resampler = Resampler(speaker.sample_rate, 1, SAMPLE_RATE)
    pause = np.zeros(speaker.sample_rate // 2, np.float32)
    return np.concatenate([resampler(block.reshape(-1, 1)) for block in (pause, *blocks, pause)])


if __name__ == "__main__":
    main()
