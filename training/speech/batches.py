"""Rows to train on: clips as a microphone might bring them, the tokens to write, and where each word is heard.

Everything is done to mel bands, not samples: louder, noisier, faster, a longer throat, more silence around.
A pool of rows depends on the seed and its number alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.speech import features, noises, sentences
from training.speech.config import WINDOW
from training.speech.corpus import NO_WORD, Clip, Corpus
from training.speech.tokens import Tokens, tokens

IGNORED = -100
POOL = 320  # rows, sorted by length into batches
EMPTY = 12  # of the positions after a clip, drawn to stand for all
LONGEST = 2 * WINDOW - 8  # frames
LOUDEST = (-1.6, 2.4)  # log10 power of a clip's loudest frame: 40 dB, up to full scale
NO_PLACE = (-1, -1)


@dataclass(frozen=True)
class Row:
    """`mel` (frames, 80); `phones` and `words` (frames,); IDs, labels, and where the words read and written lie."""

    mel: np.ndarray
    phones: np.ndarray
    words: np.ndarray
    ids: list[int]
    labels: list[int]
    read: list[tuple[int, int]]  # first and last position of the word that this token belongs to
    written: list[tuple[int, int]]  # likewise of the word of the token to come


@dataclass(frozen=True)
class Batch:
    """Padded to (batch, frames, …) and (batch, tokens, …)."""

    mel: Tensor
    empty: Tensor
    phones: Tensor  # (batch, frames / 2)
    words: Tensor
    ids: Tensor
    labels: Tensor
    read: Tensor  # (batch, tokens, 2)
    written: Tensor

    @property
    def clips(self) -> int:
        return len(self.mel)


def stretched(values: np.ndarray, factor: float, axis: int) -> np.ndarray:
    """Resampled along an axis by linear interpolation; `factor` above 1 makes it longer."""
    n = values.shape[axis]
    length = max(1, round(n * factor)) if axis == 0 else n
    at = np.clip(np.arange(length) / factor, 0, n - 1)
    low = at.astype(np.int64)
    high = np.minimum(low + 1, n - 1)
    part = (at - low).astype(np.float32)
    if axis == 0:
        return values[low] * (1 - part)[:, None] + values[high] * part[:, None]
    return values[:, low] * (1 - part) + values[:, high] * part


class Maker:
    def __init__(self, corpus: Corpus, seed: int) -> None:
        self.corpus = corpus
        self.seed = seed
        self.noises = noises.bank(seed)
        self.tokens: Tokens = tokens()
        self.word_ids = {word: i for i, word in enumerate(sentences.lexicon(), start=1)}

    def pool(self, number: int, positions: int) -> list[Batch]:
        """The batches of one pool, each of about so many encoder positions."""
        rng = np.random.default_rng((self.seed, number))
        rows = sorted((self.row(rng) for _ in range(POOL)), key=lambda row: len(row.mel))
        batches, first = [], 0
        for i in range(1, POOL + 1):
            if i == POOL or (i + 1 - first) * (length(rows[i]) + EMPTY + 1) > positions:
                batches.append(self.batch(rng, rows[first:i]))
                first = i
        order = rng.permutation(len(batches))
        return [batches[i] for i in order]

    def row(self, rng: np.random.Generator) -> Row:
        if rng.random() < 0.05:
            return self.nothing(rng)
        count = int(rng.choice((1, 2, 3, 4), p=(0.82, 0.13, 0.03, 0.02)))
        parts: list[tuple[Clip, int]] = []  # with the frame they begin at
        at = int(100 * (rng.uniform(0, 0.6) if rng.random() < 0.8 else rng.uniform(0, 2)))
        for _ in range(count):
            clip = self.voiced(rng, self.corpus.clip(int(rng.integers(len(self.corpus)))))
            if parts and at + len(clip.power) > LONGEST:
                break
            parts.append((clip, at))
            at += len(clip.power) + int(100 * rng.uniform(0.1, 1.0))
        clip, start = parts[-1]
        end = start + len(clip.power)
        tail = int(100 * (rng.uniform(0, 0.6) if rng.random() < 0.8 else rng.uniform(0, 2)))
        frames = min(LONGEST, end + tail)
        power = np.full((frames, features.MELS), features.FLOOR, np.float32)
        phones, words = np.zeros(frames, np.int64), np.zeros(frames, np.int64)
        for clip, start in parts:
            here = slice(start, min(frames, start + len(clip.power)))
            power[here] = clip.power[: here.stop - start]
            phones[here] = clip.labels[: here.stop - start, 0]
            known = np.array([0, *(self.word_ids[word] for word in sentences.words_of(clip.text))])
            places = clip.labels[: here.stop - start, 1].astype(np.int64)
            words[here] = known[np.where(places == NO_WORD, 0, places + 1)]
        power = self.recorded(rng, power)
        return Row(features.normalised(power), phones, words, *self.script(rng, parts))

    def voiced(self, rng: np.random.Generator, clip: Clip) -> Clip:
        """Another tempo, throat and timbre."""
        power, labels = clip.power, clip.labels
        if rng.random() < 0.5:
            factor = rng.uniform(0.9, 1.12)
            power = stretched(power, factor, 0)
            labels = labels[np.clip((np.arange(len(power)) / factor).astype(np.int64), 0, len(labels) - 1)]
        if rng.random() < 0.5:
            power = stretched(power, rng.uniform(0.93, 1.08), 1)
        if rng.random() < 0.3:
            power = power + np.linspace(-1, 1, features.MELS, dtype=np.float32) * np.float32(rng.uniform(-0.5, 0.5))
        return Clip(clip.text, power, labels)

    def recorded(self, rng: np.random.Generator, power: np.ndarray) -> np.ndarray:
        """Louder or softer, and some noise in a good third; in half the rest a floor that is nearly inaudible."""
        loudest = np.log10((10**power).sum(1).max())
        power = power + np.float32(rng.uniform(*LOUDEST) - loudest)
        kind = rng.random()
        if kind < 0.35:
            power = self.noisy(rng, power, rng.uniform(12, 45))
        elif kind < 0.7:
            power = self.noisy(rng, power, rng.uniform(45, 80))
        return np.maximum(power, features.FLOOR)

    def noisy(self, rng: np.random.Generator, power: np.ndarray, below: float) -> np.ndarray:
        """With noise so many dB below the loud parts."""
        noise = self.excerpt(rng, len(power))
        loud = np.log10(np.quantile((10**power).sum(1), 0.9))
        level = np.log10((10**noise).sum(1).mean())
        return np.log10(10**power + 10 ** (noise + np.float32(loud - level - below / 10)))

    def excerpt(self, rng: np.random.Generator, frames: int) -> np.ndarray:
        noise = self.noises[int(rng.integers(len(self.noises)))]
        start = int(rng.integers(len(noise)))
        return np.take(noise, np.arange(start, start + frames), axis=0, mode="wrap")

    def nothing(self, rng: np.random.Generator) -> Row:
        """No words: silence or noise, for which nothing is to be written."""
        frames = int(rng.uniform(30, 300 if rng.random() < 0.7 else LONGEST))
        power = np.full((frames, features.MELS), features.FLOOR, np.float32)
        if rng.random() < 0.8:
            noise = self.excerpt(rng, frames)
            power = np.maximum(noise + np.float32(rng.uniform(-7, 1)), features.FLOOR)
            if rng.random() < 0.3:  # begins or ends in the middle
                cut = int(rng.integers(frames))
                power[cut:] = features.FLOOR
        t = self.tokens
        first = t.timestamp(rng.integers(11) / 10) if rng.random() < 0.5 else t.no_timestamps
        zeros = np.zeros(frames, np.int64)
        places = [NO_PLACE, NO_PLACE]
        return Row(features.normalised(power), zeros, zeros, [t.start, first], [t.nothing, t.end], places, places)

    def script(
        self, rng: np.random.Generator, parts: list[tuple[Clip, int]]
    ) -> tuple[list[int], list[int], list[tuple[int, int]], list[tuple[int, int]]]:
        """IDs, labels and places of a row, with timestamps or without, now and then after other words."""
        t = self.tokens
        sequence, places = [t.start], [NO_PLACE]
        timed = rng.random() < 0.5
        if not timed:
            sequence.append(t.no_timestamps)
            places.append(NO_PLACE)
        for i, (clip, start) in enumerate(parts):
            heard = np.flatnonzero(clip.labels[:, 1] != NO_WORD)
            bounds = self.bounds(clip, start)
            if timed:
                begin = (start + (heard[0] if len(heard) else 0)) / 100
                sequence.append(t.timestamp(min(1.0, begin) if i == 0 else begin))
                places.append(NO_PLACE)
            for token, word in zip(t.encode(clip.text), t.places(clip.text), strict=True):
                sequence.append(token)
                places.append(bounds.get(word, NO_PLACE))
            if timed:
                sequence.append(t.timestamp((start + (heard[-1] if len(heard) else len(clip.labels))) / 100))
                places.append(NO_PLACE)
        sequence.append(t.end)
        places.append(NO_PLACE)
        before: list[int] = []
        if rng.random() < 0.05:
            before = [t.previous, *t.encode(self.corpus.texts[int(rng.integers(len(self.corpus)))])]
        ids = before + sequence[:-1]
        labels = [IGNORED] * len(before) + sequence[1:]
        nowhere = [NO_PLACE] * len(before)
        punctuation = {t.tokenizer.token_to_id(mark) for mark in ",.?"}
        following = zip(sequence[1:], places[1:], strict=True)
        written = [NO_PLACE if token in punctuation else place for token, place in following]
        return ids, labels, nowhere + places[:-1], nowhere + written

    def bounds(self, clip: Clip, start: int) -> dict[int, tuple[int, int]]:
        """First and last position of each word."""
        found: dict[int, tuple[int, int]] = {}
        for word in np.unique(clip.labels[:, 1]):
            if word != NO_WORD:
                at = np.flatnonzero(clip.labels[:, 1] == word) + start
                found[int(word)] = (int(at[0]) // 2, min(WINDOW - 5, int(at[-1]) // 2))
        return found

    def batch(self, rng: np.random.Generator, rows: list[Row]) -> Batch:
        positions = min(WINDOW, max(length(row) for row in rows))
        n = max(len(row.ids) for row in rows)
        mel = np.zeros((len(rows), 2 * positions, features.MELS), np.float32)
        phones = np.full((len(rows), positions), IGNORED, np.int64)
        words = np.full((len(rows), positions), IGNORED, np.int64)
        ids = np.full((len(rows), n), self.tokens.end, np.int64)
        labels = np.full((len(rows), n), IGNORED, np.int64)
        read, written = np.full((2, len(rows), n, 2), -1, np.int64)
        for i, row in enumerate(rows):
            mel[i, : len(row.mel)] = row.mel
            half = (len(row.mel) + 1) // 2
            phones[i, :half], words[i, :half] = row.phones[::2], row.words[::2]
            ids[i, : len(row.ids)], labels[i, : len(row.ids)] = row.ids, row.labels
            read[i, : len(row.ids)], written[i, : len(row.ids)] = row.read, row.written
        step = (WINDOW - positions) / EMPTY
        empty = np.floor(positions + (np.arange(EMPTY) + rng.random(EMPTY)) * step).astype(np.int64)
        if step < 1:
            empty = np.arange(positions, WINDOW)
        arrays = (mel, empty, phones, words, ids, labels, read, written)
        return Batch(*(torch.from_numpy(array) for array in arrays))


def length(row: Row) -> int:
    """Positions of a row with the empty ones that its convolutions reach."""
    return math.ceil(len(row.mel) / 2) + 3


class Stream(torch.utils.data.IterableDataset[Batch]):
    """Batches for ever, from the pool of this number on; made in another process."""

    def __init__(self, folder: Path, seed: int, first: int, positions: int) -> None:
        self.folder, self.seed, self.first, self.positions = folder, seed, first, positions

    def __iter__(self) -> Iterator[tuple[int, Batch]]:
        torch.set_num_threads(1)
        maker = Maker(Corpus(self.folder), self.seed)
        number = self.first
        while True:
            for batch in maker.pool(number, self.positions):
                yield number, batch
            number += 1
