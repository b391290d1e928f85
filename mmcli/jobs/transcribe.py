"""The transcribe task: sounds are read one ahead and heard one after the other, each into its sink and its journal.

The journals are what another run continues from; there is no result cache.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Protocol

from mmcli import media
from mmcli.errors import InputError, NetworkError, ResourceError
from mmcli.jobs.inputs import Named
from mmcli.jobs.task import Done, Items, ReadAhead
from mmcli.media.clock import in_words
from mmcli.speech import transcribing
from mmcli.speech.journal import Journal
from mmcli.speech.transcriber import Listening, Transcriber
from mmcli.speech.transcript import Transcript

MAX_BYTES = 4 << 30  # of a file: whole films
MAX_DOWNLOAD_BYTES = 1 << 30
MAX_SECONDS = 12 * 3600.0  # takes 3 GB of memory


@dataclass(frozen=True)
class TranscribeTask:
    """How sounds are read and heard."""

    listening: Listening
    damaged_ok: bool = False  # take what is there of a damaged sound

    def load(self, source: media.Source, data: bytes, stop: threading.Event) -> media.Audio:
        sound = media.load(
            replace(source, data=data),
            kinds=frozenset({"audio"}),
            max_bytes=MAX_BYTES,
            max_seconds=MAX_SECONDS,
            damaged_ok=self.damaged_ok,
            stop=stop,
        )
        assert isinstance(sound, media.Audio)
        return sound


class TranscriptSink(transcribing.Sink, Protocol):
    """Where one transcript goes."""

    def close(self) -> None:
        """Nothing more comes of this one, whether it is whole or not."""
        ...


@dataclass(frozen=True)
class Sound:
    """A sound that waits to be heard, or was."""

    named: Named
    audio: media.Audio | None
    key: str | None = None  # each has a transcript of its own

    def released(self) -> Sound:
        return replace(self, audio=None)


@dataclass(frozen=True)
class Transcribed:
    """A transcript, whole or interrupted, and the journal that it can be continued from."""

    transcript: Transcript
    format: str  # of the sound's file
    seconds: float  # that it took to hear it
    journal: Journal


class TranscribeWorker:
    """The task with a speech model, which is loaded for the first sound that could be read.

    At most two sounds are in memory (an hour of sound takes 230 MB): the one that is heard and the next. What is heard
    goes to the sinks from the computing thread, so a sound begins only when all before it were handed out.
    """

    read_ahead = ReadAhead(readers=1, ready=1, window=2, in_turn=True)
    seconds_before = None

    def __init__(
        self,
        task: TranscribeTask,
        open_transcriber: Callable[[], Transcriber],
        open_journal: Callable[[Transcriber, media.Audio], Journal],
        open_sink: Callable[[int], TranscriptSink],  # by the input's index
        *,
        on_progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
        on_notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._task, self._open_transcriber = task, open_transcriber
        self._open_journal, self._open_sink = open_journal, open_sink
        self._on_progress, self._on_notice = on_progress, on_notice
        self._stop = threading.Event()
        self._being_read: str | None = None
        self._is_listening = False

    def stop(self) -> None:
        self._stop.set()

    # reading

    def fetch(self, source: media.Source, stop: threading.Event) -> bytes:
        self._being_read = source.name
        self._show_reading()
        return media.read(source, max_bytes=MAX_BYTES, max_download_bytes=MAX_DOWNLOAD_BYTES, stop=stop)

    def open(self, named: Named, data: bytes, stop: threading.Event) -> Sound:
        audio = self._task.load(named.source, data, stop)
        self._being_read = None
        return Sound(named, audio)

    def known(self, item: Sound) -> None:
        return None

    def share(self, item: Sound, done: Sound, *, is_first: bool) -> Transcribed:
        raise AssertionError("no two sounds have one key")

    def _show_reading(self) -> None:
        if self._being_read is not None and not self._is_listening and not self._stop.is_set():
            self._on_progress(f"reading {self._being_read}", 0, 0)

    # listening

    def compute(self, items: Items[Sound]) -> Generator[Done[Sound, Transcribed]]:
        transcriber: Transcriber | None = None
        for item in items:
            self._is_listening = True
            done = Done[Sound, Transcribed](item.released())
            try:
                if transcriber is None:
                    transcriber = self._open_transcriber()
                    transcriber.check(self._task.listening)
                done = replace(done, result=self._transcribe(transcriber, item))
            except (InputError, NetworkError, ResourceError) as error:
                if self._stop.is_set():
                    return
                done = replace(done, error=error)
            del item  # its samples: once this is handed out, the one after the next is read
            yield done
            self._is_listening = False
            self._show_reading()

    def _transcribe(self, transcriber: Transcriber, item: Sound) -> Transcribed:
        audio, listening = item.audio, self._task.listening
        assert audio is not None
        sink = self._open_sink(item.named.index)
        try:
            journal = self._open_journal(transcriber, audio)
            if journal.segments:
                at = in_words(audio.time(journal.heard.end))
                self._on_notice(f"{audio.receipt.source}: continuing at {at}, where an earlier run ended")
            started = time.perf_counter()
            transcript = transcribing.listen(
                transcriber, audio, listening, sink, self._stop, self._on_progress, journal
            )
            return Transcribed(transcript, audio.receipt.format, time.perf_counter() - started, journal)
        finally:
            sink.close()
