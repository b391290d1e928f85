"""Measures an exported speech model through the unmodified faster-whisper, called as mmcli calls it.

Sentences are drawn from the tenth that is never synthesised for training; unseen voices are those of no training clip.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training import strangers
from training.speech import noises, sentences, synth, voices
from training.speech.voices import Voice

RATE = synth.SAMPLE_RATE
OPTIONS: dict[str, Any] = {
    "language": "en",
    "beam_size": 5,
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "vad_filter": True,
}


@dataclass
class Tally:
    """Errors in words over the words that were said."""

    clips: int = 0
    exact: int = 0
    words: int = 0
    errors: int = 0
    wrong: list[tuple[str, str, str]] = field(default_factory=list)  # said, heard, voice

    def add(self, said: str, heard: str, voice: str) -> None:
        reference, hypothesis = sentences.words_of(said), sentences.words_of(heard)
        errors = distance(reference, hypothesis)
        self.clips += 1
        self.exact += errors == 0
        self.words += len(reference)
        self.errors += errors
        if errors:
            self.wrong.append((said, heard, voice))

    @property
    def rate(self) -> float:
        return self.errors / max(1, self.words)

    def __str__(self) -> str:
        return f"{self.rate:.1%} of {self.words} words wrong, {self.exact} of {self.clips} sentences exact"


def distance(reference: list[str], hypothesis: list[str]) -> int:
    """Words to insert, delete or replace."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(hypothesis, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def clip(rng: random.Random, espeak: synth.Espeak, text: str, voice: Voice) -> np.ndarray:
    """A clean recording: the words, somewhat louder or softer, with a second or less of silence around."""
    samples = espeak.say(text, voice).samples
    level = 10 ** (rng.uniform(-20, -1) / 20)
    samples = samples * (level / max(1e-6, float(np.abs(samples).max())))
    before, after = (int(RATE * rng.uniform(0.2, 1.0)) for _ in range(2))
    return np.pad(samples, (before, after)).astype(np.float32)


def written_by_hand() -> list[str]:
    """The questions that were written to try the vision starter with, as far as the lexicon has their words."""
    known = set(sentences.lexicon())
    asked = (
        sentences.written(item.question)
        for group in strangers.GROUPS.values()
        for item in group
        if item.question.isascii()
    )
    return sorted({text for text in asked if text[0].isupper() and known.issuperset(sentences.words_of(text))})


def noisy(rng: random.Random, samples: np.ndarray, below: float = 20.0) -> np.ndarray:
    """With white noise `below` dB under the speech's power."""
    speech = samples[np.abs(samples) > 0.01 * np.abs(samples).max()]
    level = float(np.sqrt((speech**2).mean())) * 10 ** (-below / 20)
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(len(samples))
    return np.clip(samples + level * noise, -1, 1).astype(np.float32)


def silences(seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """What has no words in it: silence of several lengths, and noises no training clip had."""
    for seconds in (0.3, 1, 3, 10, 30):
        yield f"silence {seconds} s", np.zeros(int(seconds * RATE), np.float32)
    rng = np.random.default_rng((seed, 5))
    for i in range(40):
        seconds = rng.uniform(1, 8)
        loud = 10 ** (rng.uniform(-60, -6) / 20)
        noise = noises.noise(rng, int(seconds * RATE))
        yield f"noise {i}", np.clip(noise * loud, -1, 1).astype(np.float32)


class Judge:
    def __init__(self, folder: Path, seed: int) -> None:
        from faster_whisper import WhisperModel

        self.model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
        self.seed = seed

    def hear(self, samples: np.ndarray, **changed: Any) -> str:
        segments, _ = self.model.transcribe(samples, **{**OPTIONS, **changed})
        return " ".join(segment.text.strip() for segment in segments)

    def measure(
        self, espeak: synth.Espeak, name: str, n: int, text: Callable[[random.Random], str],
        voice: Callable[[random.Random], Voice], noise: bool = False, **changed: Any,
    ) -> Tally:  # fmt: skip
        rng = random.Random(f"{self.seed} {name}")
        tally = Tally()
        while tally.clips < n:
            said, chosen = text(rng), voice(rng)
            samples = clip(rng, espeak, said, chosen)
            tally.add(said, self.hear(noisy(rng, samples) if noise else samples, **changed), chosen.name)
        return tally


def judge(folder: Path, seed: int, n: int, report: Path | None = None) -> dict[str, Any]:
    """Print every figure of the model card, with the mistakes; write them as JSON where asked to."""
    it = Judge(folder, seed)
    figures: dict[str, Any] = {}
    mistakes: dict[str, list[tuple[str, str, str]]] = {}

    def note(name: str, tally: Tally) -> None:
        figures[name] = {"wer": round(tally.rate, 4), "words": tally.words, "clips": tally.clips, "exact": tally.exact}
        mistakes[name] = tally.wrong
        print(f"{name}: {tally}", flush=True)

    new, command, hand = sentences.to_measure_with, sentences.command, written_by_hand()

    def by_hand(rng: random.Random) -> str:
        return rng.choice(hand)

    def three(rng: random.Random) -> str:
        return " ".join(new(rng) for _ in range(3))

    plain = {"vad_filter": False, "without_timestamps": True}
    espeak = synth.speaker()
    for name, part, text, voice, options in (
        ("seen voices", 1, new, voices.seen, {}),
        ("unseen voices", 1, new, voices.unseen, {}),
        ("commands, seen voices", 2, command, voices.seen, {}),
        ("commands, unseen voices", 2, command, voices.unseen, {}),
        ("written by hand, seen voices", 2, by_hand, voices.seen, {}),
        ("written by hand, unseen voices", 2, by_hand, voices.unseen, {}),
        ("seen voices, noise 20 dB below", 4, new, voices.seen, {"noise": True}),
        ("unseen voices, noise 20 dB below", 4, new, voices.unseen, {"noise": True}),
        ("three sentences in a clip, seen voices", 8, three, voices.seen, {}),
        ("seen voices, no VAD, no timestamps", 2, new, voices.seen, plain),
    ):
        note(name, it.measure(espeak, name, max(1, n // part), text, voice, **options))
    for vad in (True, False):
        heard = [(name, it.hear(samples, vad_filter=vad)) for name, samples in silences(seed)]
        words = [pair for pair in heard if pair[1]]
        name = f"silence and noise, {'with' if vad else 'without'} VAD"
        figures[name] = {"clips": len(heard), "words heard in": len(words)}
        print(f"{name}: words heard in {len(words)} of {len(heard)} {words[:4]}", flush=True)
    for name, wrong in mistakes.items():
        for said, what, voice in wrong[:12]:
            print(f"  {name}, {voice}: {said!r} heard as {what!r}")
    if report:
        report.write_text(json.dumps({"figures": figures, "mistakes": mistakes}, indent=1) + "\n", "utf-8")
    return figures
