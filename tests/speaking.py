"""Speech without people: espeak-ng's, in a file or an array, and what of it is installed here."""

from __future__ import annotations

import shutil
import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

VOICE = "en-us"
SENTENCES = (
    "how many red circles are there",
    "what is in the picture",
    "is the circle above the square",
    "what colour is the star",
    "how many shapes are there",
    "is there a blue square",
)

needs_espeak = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="no espeak-ng; `apt install espeak-ng` has it")


def say(path: Path, text: str, voice: str = VOICE) -> Path:
    """Write what espeak-ng says as a WAV file: mono, 22,050 Hz, 16 bits."""
    subprocess.run(["espeak-ng", "-v", voice, "-w", path, text], check=True, capture_output=True)
    return path


def samples(path: Path) -> tuple[NDArray[np.int16], int]:
    """(n_frames, channels) and the rate in Hz of a WAV file with 16 bits."""
    with wave.open(str(path)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return data.reshape(-1, file.getnchannels()), file.getframerate()


def write(path: Path, sound: NDArray[np.int16], rate: int) -> Path:
    """Write (n_frames, channels) or (n_frames,) samples as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setparams((sound.shape[1] if sound.ndim > 1 else 1, 2, rate, 0, "NONE", ""))
        file.writeframes(sound.astype("<i2").tobytes())
    return path


def talk(path: Path, sentences: Sequence[str] = SENTENCES, pause: float = 1.0, repeat: int = 1) -> Path:
    """Write a talk: the sentences one after the other, with `pause` seconds of silence before each and at the end."""
    spoken, rate = [], 22_050
    for sentence in sentences:
        sound, rate = samples(say(path.with_suffix(".tmp.wav"), sentence))
        spoken += [np.zeros(int(pause * rate), np.int16), sound[:, 0]]
    path.with_suffix(".tmp.wav").unlink()
    whole = np.concatenate([*spoken * repeat, np.zeros(int(pause * rate), np.int16)])
    return write(path, whole, rate)
