"""Detects speech: Silero's network, block by block, its memory carried on. Knows nothing of utterances.

faster-whisper ships the network and runs it over a whole recording; here the same network hears the blocks of a
microphone as they come, with the same result.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmcli import hubenv, telemetry

WINDOW = 512  # samples, 32 ms at 16,000 Hz: what Silero looks at
CONTEXT = 64  # samples of the window before that it sees again


class Detector:
    """The probability of speech in one window after the other."""

    def __init__(self) -> None:
        hubenv.prepare()  # faster_whisper imports huggingface_hub
        telemetry.forbid_onnxruntime()
        from faster_whisper.vad import get_vad_model

        self._session = get_vad_model().session
        self.reset()

    def reset(self) -> None:
        """Forget what was heard: what comes next is another recording."""
        self._hidden = np.zeros((1, 1, 128), np.float32)
        self._cell = np.zeros((1, 1, 128), np.float32)
        self._context = np.zeros(CONTEXT, np.float32)

    def __call__(self, window: NDArray[np.float32]) -> float:
        """0 … 1 for the next (WINDOW,) mono samples at 16,000 Hz."""
        seen = np.concatenate([self._context, window])[None]  # (1, CONTEXT + WINDOW)
        inputs = {"input": seen, "h": self._hidden, "c": self._cell}
        probability, self._hidden, self._cell = self._session.run(None, inputs)
        self._context = window[-CONTEXT:]
        return float(probability.reshape(-1)[0])
