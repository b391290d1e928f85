"""Transcribes sounds: load the speech model where it runs best, listen, let Ctrl-C end it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Protocol

from mmcli.errors import InputError, MmcliError, ModelError, UsageError

if TYPE_CHECKING:
    from mmcli.engine import Message, Part
    from mmcli.media import Audio, Medium, Text
    from mmcli.models import Model, SpeechModel, WantedModel
    from mmcli.runtime.reporter import OnProgress, Reporter
    from mmcli.speech.journal import Journal
    from mmcli.speech.transcriber import Heard, Listening, Transcriber
    from mmcli.speech.transcript import Segment, Transcript

TIMED_FROM = 60.0  # seconds: in a longer sound, people ask when something was said
SHORTEST = 0.1  # seconds of sound that a model is given
KEPT = "transcripts"  # in the cache folder: what was heard of sounds that are not done
MOST_PARTS = 5  # of speech without words that are named in a note


@dataclass(frozen=True)
class Machine:
    """How to use this machine for speech, as the options say it."""

    device: str = "auto"
    compute_type: str = "auto"
    threads: int | None = None


def code(language: str | None) -> str | None:
    """The code of a language that --spoken-language names, by code or by name; UsageError where Whisper knows none."""
    from mmcli import languages

    if language is None or not language.strip():
        return None
    found = languages.code(language)
    if found is None:
        raise UsageError(
            f"`{language}` is not a language that Whisper knows",
            hint="a code or a name, such as `de` or `German`; without it the language is detected",
        )
    return found


class Sink(Protocol):
    """Where a transcript goes while it grows."""

    def begin(self, transcript: Transcript) -> None: ...

    def segment(self, transcript: Transcript, segment: Segment) -> None: ...

    def end(self, transcript: Transcript) -> None: ...


def load(
    model: SpeechModel, machine: Machine, reporter: Reporter, on_progress: Callable[[str, int, int], None] | None = None
) -> Transcriber:
    """The model, ready to listen."""
    from mmcli.engine import hardware as here
    from mmcli.speech.transcriber import Transcriber

    if on_progress is not None:
        on_progress("load", 0, 0)
    return Transcriber(
        model.folder,
        name=model.name,
        device=machine.device,
        compute_type=machine.compute_type,
        threads=machine.threads or here.cores(),
        on_notice=reporter.notice,
    )


def new(transcriber: Transcriber, listening: Listening, source: str) -> Transcript:
    """An empty transcript that says how it will be made."""
    from mmcli.speech.transcript import Transcript

    return Transcript(
        source,
        transcriber.name,
        transcriber.device,
        transcriber.compute_type,
        language=listening.language,
        translated=listening.translate,
    )


def listen(
    transcriber: Transcriber,
    sound: Audio,
    listening: Listening,
    sink: Sink,
    stop: threading.Event,
    progress: OnProgress,
    journal: Journal | None = None,
) -> Transcript:
    """Write down one sound; what was heard before an interruption or an error is in the sink too.

    A `journal` keeps it for another run, and what it kept from the one before is not heard again.
    """
    from mmcli.speech.transcriber import Heard

    receipt, heard = sound.receipt, journal.heard if journal is not None else Heard()
    transcript = new(transcriber, listening, receipt.source)
    transcript.sha256, transcript.seconds, transcript.notes = receipt.sha256, receipt.seconds, receipt.notes
    transcript.start = sound.time(0.0)
    if receipt.locator is not None:  # of a part, its end on the file's clock
        transcript.seconds = sound.time(len(sound.samples) / sound.sample_rate)
    n_milliseconds, label = round(1000 * len(sound.samples) / sound.sample_rate), f"listening to {receipt.source}"
    covered: list[tuple[int, int]] = []  # samples

    def report(seconds: float) -> None:
        progress(label, round(1000 * seconds), n_milliseconds)

    def take(segment: Segment) -> None:
        covered.append((round(segment.start * sound.sample_rate), round(segment.end * sound.sample_rate)))
        transcript.segments.append(cleaned(_on_clock(segment, sound)))
        _take(transcript, heard)
        sink.segment(transcript, transcript.segments[-1])

    report(heard.end)
    sink.begin(transcript)
    transcript.ending, is_written = "failed", False
    try:
        for segment in journal.segments if journal is not None else ():
            take(segment)
        for segment in transcriber.transcribe(sound.samples, listening, heard, stop=stop, on_progress=report):
            if journal is not None:
                journal.segment(segment, heard)
            take(segment)
        transcript.ending = "interrupted" if stop.is_set() else "stop"
        if transcript.ending == "stop":
            transcript.notes += _without_words(sound, heard, covered)
        _take(transcript, heard)
        sink.end(transcript)
        is_written = True
    except MmcliError:
        if transcript.ending == "failed":
            _take(transcript, heard)
            sink.end(transcript)
        raise
    finally:
        if journal is not None:
            journal.close(heard, done=is_written and transcript.ending == "stop")
    return transcript


def journal(transcriber: Transcriber, sound: Audio, listening: Listening, reporter: Reporter) -> Journal:
    """What another run of the same command heard of this sound, and where this one keeps what it hears."""
    from mmcli import config
    from mmcli.speech.journal import Journal, name_of

    name = name_of(sound.id, transcriber.identity, asdict(listening))
    return Journal(config.cache_dir() / KEPT, name, on_warning=reporter.warning)


def _without_words(sound: Audio, heard: Heard, covered: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Notes on speech that was found in a sound and gave no words."""
    from mmcli.media.clock import in_words
    from mmcli.speech.spans import unheard

    def time(sample: int) -> str:
        return in_words(sound.time(sample / sound.sample_rate))

    parts = [f"{time(first)}–{time(behind)}" for first, behind in unheard(sound.samples, heard.speech, covered)]
    if not parts:
        return ()
    more = f" and {len(parts) - MOST_PARTS} more times" if len(parts) > MOST_PARTS else ""
    return (f"speech at {', '.join(parts[:MOST_PARTS])}{more} gave no words",)


def _on_clock(segment: Segment, sound: Audio) -> Segment:
    """The segment at the times that it has in the file, not in the samples."""
    words = segment.words
    if words is not None:
        words = tuple(
            replace(word, start=round(sound.time(word.start), 3), end=round(sound.time(word.end), 3)) for word in words
        )
    start, end = round(sound.time(segment.start), 3), round(sound.time(segment.end), 3)
    return replace(segment, start=start, end=end, words=words)


def writer(model: Model | WantedModel, name: str | None, *, yes: bool, reporter: Reporter) -> SpeechModel:
    """The speech model that writes down sounds for a model that cannot hear; ModelError where there is none."""
    from mmcli import models
    from mmcli.models import speech
    from mmcli.runtime import model_fetch

    found = models.find_speech(name)
    if isinstance(found, models.WantedSpeech) and not (yes or reporter.can_ask()):
        starter = "; `--speech-model starter` knows a few hundred English words" if speech.has_starter() else ""
        raise ModelError(
            f"`{model.name}` cannot hear, and no speech model was downloaded yet to transcribe for it",
            hint=f"`mmcli pull {found.name}` downloads one ({model_fetch.size(found.name)}); or choose a model with "
            f"audio{starter}",
        )
    return model_fetch.speech(name, yes=yes, reporter=reporter)


def require_length(medium: Medium) -> None:
    """InputError for a sound in which no model could hear anything: the encoders want a few frames at least."""
    from mmcli.media import Audio

    if isinstance(medium, Audio) and len(medium.samples) < SHORTEST * medium.sample_rate:
        milliseconds = 1000 * len(medium.samples) / medium.sample_rate
        raise InputError(
            f"`{medium.receipt.source}` is too short to be heard: {milliseconds:.3g} of at least"
            f" {1000 * SHORTEST:.0f} milliseconds",
            hint="is it the right file?",
        )


def as_heard(messages: list[Message], writer: SpeechModel | None, model: str, reporter: Reporter) -> list[Message]:
    """The messages as `model` gets them: its sounds as they are, or what `writer` hears in them; receipts say which.

    InputError where nothing is said in a sound that had to be written down: nobody can answer about nothing.
    """
    from mmcli.media import Audio

    if not any(isinstance(part, Audio) for message in messages for part in message.parts):
        return messages
    if writer is not None:
        return _written(messages, writer, model, reporter)

    def told(part: Part) -> Part:
        if not isinstance(part, Audio):
            return part
        require_length(part)
        return replace(part, receipt=replace(part.receipt, heard_as="sound", heard_by=model))

    return [replace(message, parts=tuple(map(told, message.parts))) for message in messages]


def _written(messages: list[Message], writer: SpeechModel, reader: str, reporter: Reporter) -> list[Message]:
    from mmcli.media import Audio

    sounds = [part for message in messages for part in message.parts if isinstance(part, Audio)]
    texts = iter(write_down(sounds, writer, reader, reporter))

    def in_words(part: Part) -> Part:
        return next(texts) if isinstance(part, Audio) else part

    return [replace(message, parts=tuple(map(in_words, message.parts))) for message in messages]


def write_down(sounds: Sequence[Audio], writer: SpeechModel, reader: str, reporter: Reporter) -> list[Text]:
    """What `writer` hears in each of the sounds, for the model `reader`, which cannot hear.

    InputError where nothing is said in one; the first Ctrl-C is a KeyboardInterrupt soon.
    """
    from mmcli.media.text import of_sound
    from mmcli.speech.transcriber import Listening

    stop = threading.Event()
    texts = []
    with interruptible(stop, reporter) as progress:
        transcriber = load(writer, Machine(), reporter, progress)
        for sound in sounds:
            transcript = listen(transcriber, sound, Listening(), _Nowhere(), stop, progress)
            if stop.is_set():
                raise KeyboardInterrupt
            if not transcript.segments:
                raise InputError(
                    f"no speech was heard in `{sound.receipt.source}`",
                    hint="a model with audio takes the sound itself: see `mmcli models`",
                )
            text = f"{sound.receipt.source}: `{reader}` cannot hear; it gets a transcript by {writer.name}"
            reporter.notice(text)
            receipt = replace(sound.receipt, notes=transcript.notes)
            texts.append(of_sound(receipt, _with_times(transcript), writer.name))
    return texts


def _with_times(transcript: Transcript) -> str:
    """A line for each segment; those of a longer sound begin with their time."""
    if (transcript.seconds or 0) < TIMED_FROM:
        return "\n".join(segment.text for segment in transcript.segments)
    lines = [(divmod(int(segment.start), 60), segment.text) for segment in transcript.segments]
    return "\n".join(f"[{minutes}:{seconds:02}] {text}" for (minutes, seconds), text in lines)


class _Nowhere:
    def begin(self, transcript: Transcript) -> None:
        pass

    def segment(self, transcript: Transcript, segment: Segment) -> None:
        pass

    def end(self, transcript: Transcript) -> None:
        pass


def _take(transcript: Transcript, heard: Heard) -> None:
    transcript.language = heard.language or transcript.language
    transcript.language_confidence = heard.language_confidence
    transcript.speech_seconds = heard.speech_seconds


def cleaned(segment: Segment) -> Segment:
    """The segment without anything a terminal would obey: transcripts end up in terminals, whichever file they take."""
    from mmcli.sanitize import clean

    words = segment.words
    if words is not None:
        words = tuple(replace(word, text=clean(word.text, newlines=False)) for word in words)
    return replace(segment, text=clean(segment.text, newlines=False), words=words)


def shifted(segment: Segment, seconds: float) -> Segment:
    """The segment as it lies in a longer sound, of which the one it was heard in begins at `seconds`."""
    words = segment.words
    if words is not None:
        words = tuple(
            replace(word, start=round(word.start + seconds, 3), end=round(word.end + seconds, 3)) for word in words
        )
    start, end = round(segment.start + seconds, 3), round(segment.end + seconds, 3)
    return replace(segment, start=start, end=end, words=words)


@contextmanager
def interruptible(stop: threading.Event, reporter: Reporter) -> Iterator[OnProgress]:
    """A progress line; the first Ctrl-C inside sets `stop`, the second ends the program."""
    from mmcli import signals

    with reporter.progress() as progress:

        def end() -> None:
            stop.set()
            progress("stop", 0, 0)  # one window may take a while: tell that Ctrl-C was heard

        with signals.two_steps(end):
            yield progress
