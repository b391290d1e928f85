"""Transcripts as txt, srt, vtt, tsv, md, json and jsonl. Makes strings; knows no files and no terminal.

Every format but json is written piece by piece: `begin`, a `segment` for each as it is found, `end`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from mmcli.speech.words import Segment, Transcript

_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~])")


class Format:
    """One way to write transcripts down; `separate` ones cannot hold more than one sound."""

    separate = False

    def begin(self, transcript: Transcript) -> str:
        return ""

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        """The last of `transcript.segments` as text."""
        raise NotImplementedError

    def end(self, transcript: Transcript) -> str:
        return ""


class Txt(Format):
    def segment(self, transcript: Transcript, segment: Segment) -> str:
        return f"{segment.text}\n"


class Srt(Format):
    separate = True

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        times = f"{clock(segment.start, ',')} --> {clock(segment.end, ',')}"
        return f"{len(transcript.segments)}\n{times}\n{_cue(segment.text)}\n\n"


class Vtt(Format):
    separate = True

    def begin(self, transcript: Transcript) -> str:
        return "WEBVTT\n\n"

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        text = _cue(segment.text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"{clock(segment.start)} --> {clock(segment.end)}\n{text}\n\n"


class Tsv(Format):
    """Whole milliseconds, as Whisper's own."""

    separate = True

    def begin(self, transcript: Transcript) -> str:
        return "start\tend\ttext\n"

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        return f"{round(1000 * segment.start)}\t{round(1000 * segment.end)}\t{segment.text}\n"


class Md(Format):
    def begin(self, transcript: Transcript) -> str:
        return f"# {_escaped(transcript.source)}\n\n"

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        return f"**{clock(segment.start).split('.')[0]}** {_escaped(segment.text)}\n\n"


class Jsonl(Format):
    def segment(self, transcript: Transcript, segment: Segment) -> str:
        return dumps({"source": transcript.source, **segment_json(segment)}) + "\n"


class Json(Format):
    """One object; it is written when all is known."""

    def end(self, transcript: Transcript) -> str:
        return dumps(transcript_json(transcript)) + "\n"

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        return ""


FORMATS: dict[str, Callable[[], Format]] = {
    "txt": Txt,
    "srt": Srt,
    "vtt": Vtt,
    "json": Json,
    "jsonl": Jsonl,
    "tsv": Tsv,
    "md": Md,
}


def segment_json(segment: Segment) -> dict[str, Any]:
    told: dict[str, Any] = {
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "confidence": round(segment.confidence, 3),
    }
    if segment.language is not None:
        told["language"] = segment.language
    if segment.words is not None:
        told["words"] = [
            {"start": word.start, "end": word.end, "word": word.text, "confidence": round(word.confidence, 3)}
            for word in segment.words
        ]
    return told


def transcript_json(transcript: Transcript) -> dict[str, Any]:
    """Everything of one transcript, in the order people ask for it."""
    confidence = transcript.language_confidence
    return {
        "source": transcript.source,
        "text": transcript.text,
        "language": transcript.language,
        "language_confidence": None if confidence is None else round(confidence, 3),
        "translated": transcript.translated,
        "start": round(transcript.start, 3),
        "seconds": None if transcript.seconds is None else round(transcript.seconds, 3),
        "speech_seconds": round(transcript.speech_seconds, 3),
        "finish_reason": transcript.ending,
        "model": transcript.model,
        "device": transcript.device,
        "compute_type": transcript.compute_type,
        "sha256": transcript.sha256,
        "notes": list(transcript.notes),
        "segments": [segment_json(segment) for segment in transcript.segments],
    }


def clock(seconds: float, point: str = ".") -> str:
    """`01:02:03.456`, hours included."""
    milliseconds = round(1000 * seconds)
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{rest:03}"


def dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _cue(text: str) -> str:
    """A cue's text must not hold what separates times."""
    return text.replace("-->", "→")


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
