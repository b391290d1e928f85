"""Samples -> timed text, with a Whisper model in CTranslate2's form. Knows faster_whisper; knows no files of sound.

A long sound is listened to in spans of some minutes, cut where it is quietest: so the first words come soon, and the
features of a whole day need not fit into memory. A span does not depend on what was heard before it (Whisper can be
told, and then repeats itself for ever once it went wrong), but for the language.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcli import hubenv, languages
from mmcli.errors import ModelError, ResourceError, UsageError
from mmcli.speech.words import Segment, Word

SAMPLE_RATE = 16_000  # Hz, what Whisper expects
SPAN = 15 * 60 * SAMPLE_RATE  # samples listened to at once
SEARCH = 30 * SAMPLE_RATE  # samples before a span's end in which its quietest place is looked for
QUIET = SAMPLE_RATE // 5  # samples: the place is that long
MOST_PROMPT = 223  # tokens: half of Whisper's context, less one
SEED = 0  # of the sampling that Whisper falls back to where it is unsure: equal sounds give equal words
# What is fast and good on each device, the first that it supports; float16 halves the memory of float32.
COMPUTE_TYPES = {"cuda": ("float16", "int8_float16", "int8_float32"), "cpu": ("int8", "int8_float32")}
FILES = ("model.bin", "config.json", "tokenizer.json")


@dataclass(frozen=True)
class Listening:
    """How to listen; fields in the order people ask for them."""

    language: str | None = None  # code; None: heard from the sound
    translate: bool = False  # into English
    word_timestamps: bool = False
    hotwords: str | None = None  # names and terms that may be said
    prompt: str | None = None  # a text that could stand before the first words
    vad: bool = True  # leave out what is no speech
    batch: int = 1  # windows that go through the model at once


@dataclass
class Heard:
    """What becomes known while a sound is listened to."""

    language: str | None = None
    language_confidence: float | None = None
    speech_seconds: float = 0.0


class Transcriber:
    """One speech model, loaded."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str | None = None,
        device: str = "auto",
        compute_type: str = "auto",
        threads: int = 0,
        on_notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.name = name or folder.name
        missing = [file for file in FILES if not (folder / file).is_file()]
        if missing:
            raise ModelError(
                f"`{folder}` is no speech model: it has no {missing[0]}",
                hint="a speech model is a folder with a Whisper model in CTranslate2's form",
            )
        # Imported here, for it takes half a second; and its C++ half would write to the terminal.
        hubenv.prepare()  # it imports huggingface_hub
        import ctranslate2
        from faster_whisper import WhisperModel

        ctranslate2.set_log_level(logging.CRITICAL)
        logging.getLogger("faster_whisper").setLevel(logging.ERROR)
        self._ctranslate2 = ctranslate2
        self._model: Any = None
        for place in self._devices(device):
            self.device, self.compute_type = place, self._compute_type(place, compute_type)
            try:
                self._model = self._load(WhisperModel, folder, threads)
                return
            except (RuntimeError, ValueError, MemoryError) as error:
                if place == "cuda" and device == "auto":
                    on_notice(f"the GPU cannot be used for speech ({error}): running on the CPU")
                    continue
                raise _load_error(error, self.name, place) from error
            except Exception as error:  # the tokenizers library raises bare Exceptions
                raise ModelError(f"the speech model `{self.name}` is damaged: {error}") from error

    def _load(self, kind: Any, folder: Path, threads: int) -> Any:
        model = kind(
            str(folder),
            device=self.device,
            compute_type=self.compute_type,
            cpu_threads=threads,
            local_files_only=True,
        )
        if self.device == "cuda":  # its libraries are looked for by the first use only
            list(model.transcribe(np.zeros(SAMPLE_RATE, np.float32), language="en")[0])
        return model

    @property
    def languages(self) -> tuple[str, ...]:
        """The codes of the languages it knows."""
        return tuple(self._model.supported_languages)

    def check(self, listening: Listening) -> None:
        """ModelError or UsageError where the model cannot do what is asked of it."""
        if listening.batch > 1 and not listening.vad:
            raise UsageError("--batch cuts at silences, which --no-vad does not look for", hint="leave one of them out")
        if listening.language and listening.language not in languages.NAMES:
            raise UsageError(f"`{listening.language}` is not a language that Whisper knows", hint="`en`, `de`, `fr` …")
        if listening.language and listening.language not in self.languages:
            knows = "understands English only, not" if len(self.languages) == 1 else "does not know the language"
            raise ModelError(
                f"`{self.name}` {knows} `{listening.language}` (--spoken-language)",
                hint="choose another --speech-model, which knows many languages",
            )
        if listening.translate and len(self.languages) == 1:
            raise ModelError(
                f"`{self.name}` understands English only, so it cannot translate",
                hint="choose another --speech-model, which knows many languages",
            )

        for option, text in (("--speech-prompt", listening.prompt), ("--hotwords", listening.hotwords)):
            n_tokens = len(self._model.hf_tokenizer.encode(text, add_special_tokens=False).ids) if text else 0
            if n_tokens > MOST_PROMPT:  # faster-whisper would cut it off and say nothing
                raise UsageError(
                    f"{option} is too long: {n_tokens} tokens, and Whisper takes {MOST_PROMPT}", hint="shorten it"
                )

    def transcribe(
        self,
        samples: NDArray[np.float32],
        listening: Listening | None = None,
        heard: Heard | None = None,
        *,
        stop: threading.Event | None = None,
        on_progress: Callable[[float], None] = lambda seconds: None,
    ) -> Iterator[Segment]:
        """Segments of (n_samples,) mono samples at 16,000 Hz as they are found; `heard` is filled meanwhile.

        `on_progress` is told how many seconds of the sound are done. After `stop` is set no further segment comes.
        """
        listening, heard = listening or Listening(), heard or Heard()
        self.check(listening)
        start = 0
        while start < len(samples) and not (stop and stop.is_set()):
            end = span_end(samples, start)
            for segment in self._span(samples[start:end], start / SAMPLE_RATE, listening, heard, first=start == 0):
                if stop and stop.is_set():
                    return
                yield segment
                on_progress(segment.end)
            start = end
            on_progress(start / SAMPLE_RATE)

    def _span(
        self, samples: NDArray[np.float32], offset: float, listening: Listening, heard: Heard, *, first: bool
    ) -> Iterator[Segment]:
        self._ctranslate2.set_random_seed(SEED)
        options: dict[str, Any] = {
            "language": listening.language or heard.language,
            "task": "translate" if listening.translate else "transcribe",
            "word_timestamps": listening.word_timestamps,
            "hotwords": listening.hotwords,
            "initial_prompt": listening.prompt if first or listening.batch > 1 else None,
            "vad_filter": listening.vad,
            "condition_on_previous_text": False,
        }
        try:
            if listening.batch > 1:
                from faster_whisper import BatchedInferencePipeline

                found, info = BatchedInferencePipeline(self._model).transcribe(
                    samples, batch_size=listening.batch, without_timestamps=False, **options
                )
            else:
                found, info = self._model.transcribe(samples, **options)
            heard.speech_seconds += info.duration_after_vad
            if info.duration_after_vad and heard.language is None:  # of silence, a language can only be guessed
                heard.language = info.language
                heard.language_confidence = None if listening.language else float(info.language_probability)
            for segment in found:
                yield _segment(segment, offset)
        except (RuntimeError, ValueError, MemoryError) as error:
            told = _run_error(error, self.name)
            if told is None:
                raise
            raise told from error

    def _devices(self, wanted: str) -> tuple[str, ...]:
        if wanted != "auto":
            return (wanted,)
        return ("cuda", "cpu") if self._ctranslate2.get_cuda_device_count() > 0 else ("cpu",)

    def _compute_type(self, device: str, wanted: str) -> str:
        try:
            supported: set[str] = self._ctranslate2.get_supported_compute_types(device)
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"there is no device `{device}` for speech", hint="--speech-device cpu, or none"
            ) from error
        if wanted == "auto":
            return next((kind for kind in COMPUTE_TYPES[device] if kind in supported), "float32")
        if wanted not in supported:
            raise UsageError(
                f"--compute-type {wanted} cannot be had on this machine's {device}",
                hint=f"it has {', '.join(sorted(supported))}",
            )
        return wanted


def span_end(samples: NDArray[np.float32], start: int) -> int:
    """Where a span that begins at `start` ends: at the end of all, or in the middle of the quietest place before it."""
    if len(samples) - start <= SPAN + SEARCH:
        return len(samples)
    end = start + SPAN
    searched = samples[end - SEARCH : end]  # (SEARCH,)
    energy = np.square(searched).reshape(-1, QUIET).sum(axis=1)  # (SEARCH / QUIET,)
    return int(end - SEARCH + energy.argmin() * QUIET + QUIET // 2)


def _segment(found: Any, offset: float) -> Segment:
    words = None
    if found.words is not None:
        words = tuple(
            Word(round(word.start + offset, 3), round(word.end + offset, 3), word.word, float(word.probability))
            for word in found.words
        )
    return Segment(
        start=round(found.start + offset, 3),
        end=round(found.end + offset, 3),
        text=found.text.strip(),
        confidence=float(np.exp(min(0.0, found.avg_logprob))),
        words=words,
    )


def _load_error(error: Exception, name: str, device: str) -> Exception:
    if _is_out_of_memory(error):
        return ResourceError(f"not enough memory for the speech model `{name}`", hint="choose a smaller --speech-model")
    if device == "cuda":
        return ModelError(
            f"the GPU cannot run the speech model `{name}`: {error}",
            hint="faster-whisper needs cuBLAS and cuDNN for CUDA 12; --speech-device cpu does without",
        )
    return ModelError(f"cannot load the speech model `{name}`: {error}", hint="is it whole? fetch it again")


def _run_error(error: Exception, name: str) -> Exception | None:
    if _is_out_of_memory(error):
        return ResourceError(f"`{name}` ran out of memory", hint="a smaller --batch, or a smaller --speech-model")
    return None


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "bad_alloc" in str(error)
