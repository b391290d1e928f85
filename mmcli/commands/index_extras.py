"""What `mmcli index` hands to the library beside vectors: words in pictures, words that are said, captions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcli.errors import InputError

if TYPE_CHECKING:
    from mmcli.library.pieces import Spoken
    from mmcli.runtime.reporter import Reporter
    from mmcli.speech.transcriber import Transcriber
    from mmcli.speech.transcript import Segment, Transcript

LONGEST = 20.0  # seconds of one piece of speech


def reader() -> Callable[[Any], str]:
    """Reads the words of a picture (height, width, 3); the embedded reader is loaded by the first one."""
    lock = threading.Lock()  # it computes with all threads, for one picture at a time
    loaded: list[Any] = []

    def read(pixels: Any) -> str:
        from mmcli.documents.ocr import PageReader
        from mmcli.engine import hardware

        with lock:
            if not loaded:
                loaded.append(PageReader(hardware.cores()))
            return "\n".join(line.text for line in loaded[0].read(pixels).lines)

    return read


def captions() -> dict[str, str]:
    """The captions that `mmcli caption` has made, by the SHA-256 (hex) of a file's bytes."""
    from mmcli import config
    from mmcli.commands.batch_run import RESULTS
    from mmcli.jobs.result_cache import Results

    path = config.cache_dir() / RESULTS
    if not path.exists():
        return {}
    results = Results(path)
    try:
        return results.texts()
    finally:
        results.close()


def transcriber(name: str | None, yes: bool, reporter: Reporter, stop: threading.Event) -> Callable[[Path], Spoken]:
    """Puts into words what is said in a file. The speech model is found now, and loaded by the first sound."""
    from mmcli.runtime import model_fetch, transcription

    model = model_fetch.speech(name, yes=yes, reporter=reporter)
    lock = threading.Lock()
    loaded: list[Transcriber] = []

    def transcribe(path: Path) -> Spoken:
        from mmcli import media
        from mmcli.speech.transcriber import Listening
        from mmcli.speech.transcribing import listen

        try:
            sound = media.load(media.Source(str(path), path), kinds=frozenset({"audio"}))
        except InputError as error:
            if "no sound" in error.message or "no audio" in error.message:
                return []
            raise
        assert isinstance(sound, media.Audio)
        with lock:
            if not loaded:
                loaded.append(transcription.load(model, transcription.SpeechMachine(), reporter))
            heard = listen(loaded[0], sound, Listening(), _Unwritten(), stop, lambda phase, done, total: None)
        return _joined(heard.segments)

    return transcribe


def _joined(segments: list[Segment]) -> Spoken:
    """Segments that follow each other as one, up to some seconds: short ones say too little to be found."""
    found: list[tuple[float, float, str]] = []
    for segment in segments:
        text = segment.text.strip()
        if found and segment.end - found[-1][0] <= LONGEST:
            found[-1] = (found[-1][0], segment.end, f"{found[-1][2]} {text}")
        elif text:
            found.append((segment.start, segment.end, text))
    return found


class _Unwritten:
    def begin(self, transcript: Transcript) -> None:
        pass

    def segment(self, transcript: Transcript, segment: Segment) -> None:
        pass

    def end(self, transcript: Transcript) -> None:
        pass
