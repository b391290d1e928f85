"""What every front end needs to transcribe: load the speech model where it runs best, and let Ctrl-C end it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from mmcli.errors import InputError, ModelError, UsageError

if TYPE_CHECKING:
    from mmcli.engine import Message, Part
    from mmcli.media import Audio, Medium, Text
    from mmcli.models import Model, SpeechModel, WantedModel
    from mmcli.runtime.reporter import OnProgress, Reporter
    from mmcli.speech.journal import Journal
    from mmcli.speech.transcriber import Listening, Transcriber
    from mmcli.speech.transcript import Segment, Transcript

TIMED_FROM = 60.0  # seconds: in a longer sound, people ask when something was said
SHORTEST = 0.1  # seconds of sound that a model is given
KEPT = "transcripts"  # in the cache folder: what was heard of sounds that are not done


@dataclass(frozen=True)
class SpeechMachine:
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


def load(
    model: SpeechModel,
    machine: SpeechMachine,
    reporter: Reporter,
    on_progress: Callable[[str, int, int], None] | None = None,
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


def journal(transcriber: Transcriber, sound: Audio, listening: Listening, reporter: Reporter) -> Journal:
    """What another run of the same command heard of this sound, and where this one keeps what it hears."""
    from mmcli import config
    from mmcli.speech.journal import Journal, name_of

    name = name_of(sound.id, transcriber.identity, asdict(listening))
    return Journal(config.cache_dir() / KEPT, name, on_warning=reporter.warning)


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

    texts = []
    for sound, transcript in zip(sounds, heard(sounds, writer, reporter), strict=True):
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


def heard(sounds: Sequence[Audio], writer: SpeechModel, reporter: Reporter) -> Iterator[Transcript]:
    """What `writer` hears in each of the sounds, one after the other; the first Ctrl-C is a KeyboardInterrupt soon."""
    from mmcli.speech.transcriber import Listening
    from mmcli.speech.transcribing import listen

    stop = threading.Event()
    with interruptible(stop, reporter) as progress:
        transcriber = load(writer, SpeechMachine(), reporter, progress)
        for sound in sounds:
            transcript = listen(transcriber, sound, Listening(), _Nowhere(), stop, progress)
            if stop.is_set():
                raise KeyboardInterrupt
            yield transcript


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
