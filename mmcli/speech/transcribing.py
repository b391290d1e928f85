"""One sound to its transcript: into a sink while it grows, and into a journal from which another run can continue."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from mmcli.errors import MmcliError

if TYPE_CHECKING:
    from mmcli.media import Audio
    from mmcli.speech.journal import Journal
    from mmcli.speech.transcriber import Heard, Listening, Transcriber
    from mmcli.speech.transcript import Segment, Transcript

MOST_PARTS = 5  # of speech without words that are named in a note

OnProgress: TypeAlias = Callable[[str, int, int], None]  # (phase, done, total)


class Sink(Protocol):
    """Where a transcript goes while it grows."""

    def begin(self, transcript: Transcript) -> None: ...

    def segment(self, transcript: Transcript, segment: Segment) -> None: ...

    def end(self, transcript: Transcript) -> None: ...


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
