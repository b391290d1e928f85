"""Synthesised speech on disk, as mel bands with a label for each frame: made once, read by memory map.

A shard is three files: `.mel.npy` (frames, 80) uint8, `.labels.npy` (frames, 2) uint8 (phone; place of the word in
its sentence, 255 for none) and `.json` (what was said, by whom, and where each utterance begins).
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.speech import features, phones, sentences, synth, voices
from training.speech.synth import Utterance

SHARD = 5_000  # utterances
SHARDS = 60
INVENTED = 0.3  # of the utterances, in an invented voice
NO_WORD = 255
EDGE = 2  # frames of silence kept at either end
TOP = 3.5  # log10 power of 255; 0 is features.FLOOR
STEP = (TOP - features.FLOOR) / 255


@dataclass(frozen=True)
class Clip:
    """One utterance: `power` (frames, 80) float32, `labels` (frames, 2) uint8."""

    text: str
    power: np.ndarray
    labels: np.ndarray


def clip_of(utterance: Utterance) -> Clip:
    """The utterance's frames, from two before the first sound to a little after the last."""
    edge = EDGE * features.HOP
    samples = np.pad(utterance.samples[: utterance.end + 3 * features.HOP], (edge, edge))
    power = features.log_power(samples)
    labels = np.zeros((len(power), 2), np.uint8)
    labels[:, 1] = NO_WORD
    for phone in utterance.phones:
        frames = slice(round((phone.start + edge) / features.HOP), round((phone.end + edge) / features.HOP))
        labels[frames, 0] = phones.label(phone.symbol)
        labels[frames, 1] = NO_WORD if phone.word < 0 else phone.word
    return Clip(utterance.text, power, labels)


def packed(power: np.ndarray) -> np.ndarray:
    return np.clip(np.rint((power - features.FLOOR) / STEP), 0, 255).astype(np.uint8)


def unpacked(mel: np.ndarray) -> np.ndarray:
    return mel.astype(np.float32) * np.float32(STEP) + np.float32(features.FLOOR)


def build(folder: Path, seed: int, shards: int = SHARDS, size: int = SHARD) -> None:
    """Synthesise what is not there yet; every shard depends on the seed and its number only."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(shards):
        if not (folder / f"{number:03}.json").exists():
            _build_shard(synth.speaker(), folder / f"{number:03}", random.Random(f"{seed} corpus {number}"), size)
            print(f"shard {number + 1} of {shards}", file=sys.stderr, flush=True)


def _build_shard(espeak: synth.Espeak, path: Path, rng: random.Random, size: int) -> None:
    clips, names = [], []
    while len(clips) < size:
        text = sentences.to_train_on(rng)
        voice = voices.invented(rng) if rng.random() < INVENTED else voices.seen(rng)
        utterance = espeak.say(text, voice)
        if np.abs(utterance.samples).max() < 0.01 or len(sentences.words_of(text)) >= NO_WORD:
            continue  # a voice without sound teaches nothing
        clips.append(clip_of(utterance))
        names.append(voice.name)
    np.save(path.with_suffix(".mel.npy"), np.concatenate([packed(clip.power) for clip in clips]))
    np.save(path.with_suffix(".labels.npy"), np.concatenate([clip.labels for clip in clips]))
    ends = np.cumsum([len(clip.power) for clip in clips]).tolist()
    about = {"espeak-ng": espeak.version, "texts": [clip.text for clip in clips], "voices": names, "ends": ends}
    path.with_suffix(".json").write_text(json.dumps(about), "utf-8")  # last: a shard with it is whole


class Corpus:
    """All finished shards of a folder, by utterance number."""

    def __init__(self, folder: Path) -> None:
        self.texts: list[str] = []
        self._where: list[tuple[int, int, int]] = []  # shard, first frame, end
        self._mel: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []
        for path in sorted(folder.glob("*.json")):
            about = json.loads(path.read_text("utf-8"))
            starts = [0, *about["ends"][:-1]]
            self._where += [(len(self._mel), *pair) for pair in zip(starts, about["ends"], strict=True)]
            self.texts += about["texts"]
            self._mel.append(np.load(path.with_suffix(".mel.npy"), mmap_mode="r"))
            self._labels.append(np.load(path.with_suffix(".labels.npy"), mmap_mode="r"))

    def __len__(self) -> int:
        return len(self.texts)

    def frames(self, number: int) -> int:
        _, start, end = self._where[number]
        return end - start

    def clip(self, number: int) -> Clip:
        shard, start, end = self._where[number]
        power = unpacked(self._mel[shard][start:end])
        return Clip(self.texts[number], power, np.array(self._labels[shard][start:end]))
