"""Samples -> timed text, with a Whisper model in CTranslate2's form. Knows faster_whisper; knows no files of sound.

A long sound is listened to in spans of some minutes, cut where it is quietest: so the first words come soon, and the
features of a whole day need not fit into memory. A span does not depend on what was heard before it (Whisper can be
told, and then repeats itself for ever once it went wrong), but for the language.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcli import hubenv, languages, telemetry
from mmcli.errors import ModelError, ResourceError, UsageError
from mmcli.speech.spans import SAMPLE_RATE, Part, Unit, speech, speech_in_windows, units, windows
from mmcli.speech.transcript import Segment, Stopped, Word

SPAN = 15 * 60 * SAMPLE_RATE  # samples listened to at once
SEARCH = 30 * SAMPLE_RATE  # samples before a span's end in which its quietest place is looked for
QUIET = SAMPLE_RATE // 5  # samples: the place is that long
SHORTEST = 0.02  # seconds that a word or a segment takes: Whisper's own times are no finer
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
    vad: bool = True  # leave out what is not speech
    batch: int = 1  # windows that go through the model at once
    multilingual: bool = False  # the language is heard again in each part of the sound


@dataclass(frozen=True)
class Mark:
    """Up to where a sound has been heard, such that another run can go on from there."""

    span: int = 0  # the sample at which the present span begins
    unit: int = 0  # … and in it, the part in one language
    done: int = 0  # frames of its speech; with --batch, windows
    word_end: float = 0.0  # seconds into its speech: where the last word of these ended


@dataclass
class Heard:
    """What becomes known while a sound is listened to."""

    language: str | None = None
    language_confidence: float | None = None
    speech: list[Part] = field(default_factory=list)  # samples
    mark: Mark = Mark()
    end: float = 0.0  # seconds: where the last segment ended
    languages: dict[str, int] = field(default_factory=dict)  # of how many samples of speech, where there are several

    @property
    def speech_seconds(self) -> float:
        return sum(behind - first for first, behind in self.speech) / SAMPLE_RATE

    def takes(self, parts: Sequence[Part]) -> bool:
        """These are speech; False where that is known already."""
        is_new = not self.speech or self.speech[-1][1] <= parts[0][0]
        if is_new:
            self.speech += parts
        return is_new

    def counts(self, unit: Unit, n_samples: int) -> None:
        """So much is spoken in the language of a part: that of the whole is the one that is spoken most."""
        assert unit.language is not None and unit.sure is not None
        self.languages[unit.language] = self.languages.get(unit.language, 0) + n_samples
        if self.languages[unit.language] == max(self.languages.values()):
            self.language, self.language_confidence = unit.language, unit.sure


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
        self._folder = folder
        missing = [file for file in FILES if not (folder / file).is_file()]
        if missing:
            raise ModelError(
                f"`{folder}` is not a speech model: it has no {missing[0]}",
                hint="a speech model is a folder with a Whisper model in CTranslate2's form",
            )
        # Imported here, for it takes half a second; and its C++ half would write to the terminal.
        hubenv.prepare()  # it imports huggingface_hub
        telemetry.forbid_onnxruntime()
        import ctranslate2

        from mmcli.speech.windows import Windows, WindowsAtOnce

        ctranslate2.set_log_level(logging.CRITICAL)
        logging.getLogger("faster_whisper").setLevel(logging.ERROR)
        self._ctranslate2 = ctranslate2
        self._model: Any = None
        for place in self._devices(device):
            self.device, self.compute_type = place, self._compute_type(place, compute_type)
            try:
                self._model = self._load(Windows, folder, threads)
                self._model.before_each = lambda: ctranslate2.set_random_seed(SEED)
                self._at_once = WindowsAtOnce(self._model)
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
    def identity(self) -> list[Any]:
        """All of the model and its libraries that decides about the words."""
        import faster_whisper

        files = [(self._folder / file).stat() for file in FILES]
        return [
            str(self._folder.resolve()),
            [(file.st_size, file.st_mtime_ns) for file in files],
            [faster_whisper.__version__, self._ctranslate2.__version__, self.device, self.compute_type, SPAN, SEARCH],
        ]

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
        if listening.multilingual and listening.language:
            raise UsageError(
                "--multilingual detects the languages, and --language names one", hint="leave one of them out"
            )
        if listening.language and listening.language not in self.languages:
            knows = "understands English only, not" if len(self.languages) == 1 else "does not know the language"
            raise ModelError(
                f"`{self.name}` {knows} `{listening.language}` (--spoken-language)",
                hint="choose another --speech-model, which knows many languages",
            )
        if listening.multilingual and len(self.languages) == 1:
            raise ModelError(
                f"`{self.name}` understands English only, so it cannot tell languages apart",
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

        What `heard` says is done already is not heard again. `on_progress` gets how many seconds of the sound are
        done. After `stop` is set no further segment comes.
        """
        listening, heard = listening or Listening(), heard or Heard()
        self.check(listening)
        self._model.stop = stop
        try:
            while heard.mark.span < len(samples) and not (stop and stop.is_set()):
                end = span_end(samples, heard.mark.span)
                for unit in self._units(samples, end, listening, heard):
                    for segment in self._unit(samples, unit, listening, heard, stop):
                        if stop and stop.is_set():
                            return
                        heard.end = segment.end
                        yield segment
                        on_progress(segment.end)
                    heard.mark = Mark(heard.mark.span, unit.end)
                heard.mark = Mark(end, end)
                on_progress(end / SAMPLE_RATE)
        except Stopped:
            return
        except (RuntimeError, ValueError, MemoryError) as error:
            told = _run_error(error, self.name)
            if told is None:
                raise
            raise told from error

    def _units(self, samples: NDArray[np.float32], end: int, listening: Listening, heard: Heard) -> Iterator[Unit]:
        """The span that the mark stands in, cut where its language changes, from the mark on."""
        start = heard.mark.unit
        if not listening.multilingual:
            yield Unit(start, end, listening.language or heard.language)
            return
        for unit in units(samples[start:end], self._window, self._language_of):
            yield Unit(start + unit.start, start + unit.end, unit.language, unit.sure)

    @property
    def _window(self) -> float:
        """Seconds that the model hears at once."""
        return float(self._model.feature_extractor.chunk_length)

    def _language_of(self, samples: NDArray[np.float32]) -> tuple[str, float]:
        language, sure, _ = self._model.detect_language(audio=samples)
        return str(language), float(sure)

    def _unit(
        self,
        samples: NDArray[np.float32],
        unit: Unit,
        listening: Listening,
        heard: Heard,
        stop: threading.Event | None,
    ) -> Iterator[Segment]:
        """Hear a part of the sound from the mark on; what is not speech is left out, and put back into the times."""
        sound, done = samples[unit.start : unit.end], heard.mark.done
        at_once = listening.batch > 1
        parts = [(0, len(sound))]
        if listening.vad:
            parts = speech_in_windows(sound, self._window) if at_once else speech(sound)
        if not parts or not len(sound):
            return
        is_new = heard.takes([(unit.start + first, unit.start + behind) for first, behind in parts])
        spoken = np.concatenate([sound[first:behind] for first, behind in parts])
        options: dict[str, Any] = {
            "language": unit.language,
            "task": "translate" if listening.translate else "transcribe",
            "word_timestamps": listening.word_timestamps,
            "hotwords": listening.hotwords,
            "initial_prompt": listening.prompt if at_once or unit.start + done == 0 else None,
        }
        if at_once:
            model, whole = self._at_once, windows(parts, self._window)
            if done >= len(whole):
                return
            found, info = model.hear(spoken, whole, done, stop, batch_size=listening.batch, **options)
        else:
            model = self._model
            found, info = model.hear(
                spoken, done, heard.mark.word_end, stop, condition_on_previous_text=False, **options
            )
        if is_new and unit.sure is not None:
            heard.counts(unit, len(spoken))
        elif heard.language is None:
            heard.language = info.language
            heard.language_confidence = None if listening.language else float(info.language_probability)
        within = _Within(parts, unit.start / SAMPLE_RATE, heard.end)
        try:
            for segment, sure in found:
                heard.mark = Mark(heard.mark.span, unit.start, model.done, self._model.word_end)
                yield within.segment(segment, sure, unit.language if listening.multilingual else None)
        except Stopped:
            heard.mark = Mark(heard.mark.span, unit.start, model.done, self._model.word_end)
            raise

    def _devices(self, wanted: str) -> tuple[str, ...]:
        if wanted != "auto":
            return (wanted,)
        return ("cuda", "cpu") if self._ctranslate2.get_cuda_device_count() > 0 else ("cpu",)

    def _compute_type(self, device: str, wanted: str) -> str:
        try:
            supported: set[str] = self._ctranslate2.get_supported_compute_types(device)
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"there is no device `{device}` for speech", hint="use --speech-device cpu, or leave it out"
            ) from error
        if wanted == "auto":
            return next((kind for kind in COMPUTE_TYPES[device] if kind in supported), "float32")
        if wanted not in supported:
            raise UsageError(
                f"--compute-type {wanted} is not available on this machine's {device}",
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


class _Within:
    """Puts segments of speech back into the sound that it was taken out of: in order, and within it."""

    def __init__(self, parts: Sequence[Part], offset: float, before: float) -> None:
        """`parts` in samples; seconds at which they begin to count, and at which the segment before ended."""
        self._chunks = [{"start": first, "end": behind} for first, behind in parts]
        self._seconds = sum(behind - first for first, behind in parts) / SAMPLE_RATE
        self._offset, self._end = offset, offset + parts[-1][1] / SAMPLE_RATE
        self._before = before

    def segment(self, found: Any, sure: float, language: str | None) -> Segment:
        from faster_whisper.transcribe import restore_speech_timestamps

        for timed in (found, *(found.words or ())):  # Whisper's times may lie behind the end of what it heard
            timed.start, timed.end = min(timed.start, self._seconds), min(timed.end, self._seconds)
        (found,) = restore_speech_timestamps([found], self._chunks, SAMPLE_RATE)
        start, end = self._between(found.start, found.end, self._before)
        self._before = end
        words, before = None, start
        if found.words is not None:
            words = []
            for word in found.words:
                first, behind = self._between(word.start, word.end, before)
                before = behind
                words.append(Word(first, behind, word.word, float(word.probability)))
        return Segment(start, end, found.text.strip(), sure, tuple(words) if words is not None else None, language)

    def _between(self, start: float, end: float, before: float) -> tuple[float, float]:
        """Times in the whole sound: not before what came before, and never of no length."""
        start = max(before, min(start + self._offset, self._end - SHORTEST))
        end = max(start + SHORTEST, min(end + self._offset, self._end))
        return round(float(start), 3), round(float(end), 3)


def _load_error(error: Exception, name: str, device: str) -> Exception:
    if _is_out_of_memory(error):
        return ResourceError(f"not enough memory for the speech model `{name}`", hint="choose a smaller --speech-model")
    if device == "cuda":
        return ModelError(
            f"the GPU cannot run the speech model `{name}`: {error}",
            hint="faster-whisper needs cuBLAS and cuDNN for CUDA 12; --speech-device cpu needs neither",
        )
    return ModelError(f"cannot load the speech model `{name}`: {error}", hint="it may be incomplete: download it again")


def _run_error(error: Exception, name: str) -> Exception | None:
    if _is_out_of_memory(error):
        return ResourceError(f"`{name}` ran out of memory", hint="a smaller --batch, or a smaller --speech-model")
    return None


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "bad_alloc" in str(error)
