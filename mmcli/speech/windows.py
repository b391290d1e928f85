"""Wraps faster-whisper's models to report which part of a sound is done, and how sure they were of each segment.

Whisper hears a window of up to 30 seconds at a time. Windows do not depend on each other, so that a run may begin where
another one ended and finds the same words. What is overridden here faster-whisper calls for each window, in this order:
encode, generate, split.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.utils import get_end
from numpy.typing import NDArray

from mmcli.speech.transcript import Stopped

FRAME = 160  # samples at 16,000 Hz, of which the places between windows are counted
Found = tuple[Any, float]  # faster-whisper's segment, and the mean probability of its tokens, 0 … 1


class Windows(WhisperModel):  # type: ignore[misc]
    """A model that hears one window after the other."""

    stop: threading.Event | None = None  # no window begins when it is set
    before_each: Callable[[], None] = staticmethod(lambda: None)
    done = 0  # frames of the present sound whose segments are all out
    word_end = 0.0  # seconds: where the last word of these frames ended, if words are timed
    _next: int | None = None  # `done` when all segments of the present window are out
    _ends_with_time = False
    _spoken_until = 0.0  # `word_end` by then
    _offset = 0.0  # of the present window, in seconds
    _continues_at: float | None = None  # `word_end` of the run that this one goes on with
    _encoded: tuple[Any, Any] | None = None  # the last features, and what they became
    _tokens: _Tokens | None = None  # of the present window

    def hear(
        self, samples: NDArray[np.float32], done: int, word_end: float, stop: threading.Event | None, **options: Any
    ) -> tuple[Iterator[Found], Any]:
        """Segments of (n,) samples from frame `done` on, and what is known of all; Stopped after `stop`."""
        self.stop, self.done, self.word_end, self._next = stop, done, word_end, None
        self._spoken_until, self._continues_at = word_end, word_end if done else None
        found, info = self.transcribe(samples, clip_timestamps=[done * FRAME / 16_000], **options)
        return self._told(found), info

    def _told(self, found: Iterator[Any]) -> Iterator[Found]:
        for segment in found:
            sure = self._tokens.mean(segment.tokens) if self._tokens is not None else None
            if segment.words:
                self._spoken_until = segment.words[-1].end
            yield segment, _by_window(segment) if sure is None else sure
        self._encoded = None

    def encode(self, features: Any) -> Any:
        if self._next is not None:
            self.done, self.word_end, self._next = self._next, self._spoken_until, None
        if self.stop is not None and self.stop.is_set():
            raise Stopped
        # The language is heard in the first window, and then faster-whisper encodes that once more.
        if self._encoded is None or not np.array_equal(self._encoded[0], features):
            self._encoded = (features, super().encode(features))
        return self._encoded[1]

    def generate_with_fallback(self, encoder_output: Any, prompt: Any, tokenizer: Any, options: Any) -> Any:
        self.before_each()
        found = super().generate_with_fallback(encoder_output, prompt, tokenizer, options)

        def probabilities(text: list[int]) -> Sequence[float]:
            (aligned,) = self.model.align(encoder_output, tokenizer.sot_sequence, [text], 2)
            return list(aligned.text_token_probs)

        self._tokens = _Tokens(found[0].sequences_ids[0], tokenizer.eot, probabilities)
        return found

    def _split_segments_by_timestamps(self, **window: Any) -> Any:
        segments, self._next, self._ends_with_time = super()._split_segments_by_timestamps(**window)
        self._offset = window["time_offset"]
        return segments, self._next, self._ends_with_time

    def add_word_timestamps(self, segments: Any, *arguments: Any, **options: Any) -> Any:
        if self._continues_at is not None and "last_speech_timestamp" in options:
            options["last_speech_timestamp"], self._continues_at = self._continues_at, None
        result = super().add_word_timestamps(segments, *arguments, **options)
        if len(segments) == 1 and not self._ends_with_time:  # the next window begins behind the last word
            end = get_end(segments[0])
            if end is not None and end > self._offset:
                self._next = round(end * self.frames_per_second)
        return result

    def find_alignment(self, *arguments: Any, **options: Any) -> Any:
        words = super().find_alignment(*arguments, **options)
        if self._tokens is not None and len(words) == 1:
            self._tokens.probabilities = [word["probability"] for word in words[0] for _ in word["tokens"]]
        return words


class WindowsAtOnce(BatchedInferencePipeline):  # type: ignore[misc]
    """The same model, which hears several windows at a time; `done` counts windows."""

    model: Windows

    def __init__(self, model: Windows) -> None:
        super().__init__(model)
        self.done = 0
        self._n_present = 0
        self._sure: deque[float | None] = deque()

    def hear(
        self,
        samples: NDArray[np.float32],
        windows: Sequence[tuple[int, int]],
        done: int,
        stop: threading.Event | None,
        **options: Any,
    ) -> tuple[Iterator[Found], Any]:
        """Segments of (n,) samples, from the window number `done` on; `windows` are (start, end) in samples."""
        self.model.stop, self.model._next, self.done, self._n_present = stop, None, done, 0
        # Half a sample more: faster-whisper rounds down.
        clips = [{"start": (start + 0.5) / 16_000, "end": (end + 0.5) / 16_000} for start, end in windows[done:]]
        found, info = self.transcribe(samples, clip_timestamps=clips, without_timestamps=False, **options)
        return self._told(found), info

    def _told(self, found: Iterator[Any]) -> Iterator[Found]:
        for segment in found:
            sure = self._sure.popleft()
            yield segment, _by_window(segment) if sure is None else sure

    def forward(self, features: Any, tokenizer: Any, chunks_metadata: Any, options: Any) -> Any:
        self.done, self._n_present = self.done + self._n_present, len(features)
        self._sure.clear()
        found = super().forward(features, tokenizer, chunks_metadata, options)
        self.model._next = None
        for segments, tokens in zip(found, self._tokens, strict=True):
            self._sure += [tokens.mean(segment["tokens"]) for segment in segments]
        return found

    def generate_segment_batched(self, features: Any, tokenizer: Any, options: Any) -> Any:
        encoded, windows = super().generate_segment_batched(features, tokenizer, options)
        tokens = [_Tokens(window["tokens"], tokenizer.eot, lambda text: []) for window in windows]
        texts = [one.text or [tokenizer.eot - 1] for one in tokens]
        aligned = self.model.model.align(encoded, tokenizer.sot_sequence, texts, [2] * len(texts))
        for one, alignment in zip(tokens, aligned, strict=True):
            one.probabilities = list(alignment.text_token_probs)
        self._tokens = tokens
        return encoded, windows


class _Tokens:
    """The tokens of a window, and how likely each of those that are text was."""

    def __init__(self, tokens: Sequence[int], end: int, find: Callable[[list[int]], Sequence[float]]) -> None:
        """`end`: tokens from there on are not text, but times and the like."""
        self.text = [token for token in tokens if token < end]
        self.probabilities: Sequence[float] | None = None
        self._end, self._find, self._at = end, find, 0

    def mean(self, tokens: Sequence[int]) -> float | None:
        """Of a segment's text; segments are asked for in order. None where it has no text."""
        wanted = [token for token in tokens if token < self._end]
        if not wanted:
            return None
        if self.probabilities is None:
            self.probabilities = self._find(self.text)
        for at in range(self._at, len(self.text) - len(wanted) + 1):  # faster-whisper leaves empty segments out
            if self.text[at : at + len(wanted)] == wanted:
                self._at = at + len(wanted)
                return float(np.mean(self.probabilities[at : self._at]))
        return None


def _by_window(segment: Any) -> float:
    """How sure the model was of the whole window."""
    return float(np.exp(min(0.0, segment.avg_logprob)))
