"""Transcripts as data: segments of timed words, and facts about the whole. Knows no recogniser and no formats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["stop", "interrupted", "failed"]


class Stopped(Exception):
    """The end was asked for while a sound was listened to."""


@dataclass(frozen=True)
class Word:
    """One word with the time it was said at; seconds from the beginning of the sound."""

    start: float
    end: float
    text: str  # as it stands in the text, mostly with a space in front
    confidence: float  # 0 … 1


@dataclass(frozen=True)
class Segment:
    """Some words said in one go, as Whisper times them; seconds from the beginning of the sound."""

    start: float
    end: float
    text: str
    confidence: float  # 0 … 1: the mean probability of its tokens
    words: tuple[Word, ...] | None = None  # where word timestamps were asked for
    language: str | None = None  # code, where a sound may hold several


@dataclass
class Transcript:
    """All that was heard in one sound, and how; `segments` grow while it is listened to."""

    source: str  # as the user named it
    model: str
    device: str  # "cpu" | "cuda"
    compute_type: str  # CTranslate2's word
    language: str | None = None  # code; None while nothing was heard
    language_confidence: float | None = None  # 0 … 1; None where the user said which language it is
    translated: bool = False
    sha256: str | None = None  # of the source's bytes, hex; None for a microphone
    start: float = 0.0  # where the sound begins on the file's own clock, in seconds
    seconds: float | None = None  # … and where it ends: its length, if it begins at 0
    speech_seconds: float = 0.0  # of which held speech, as the voice activity detector says
    ending: Ending = "stop"
    segments: list[Segment] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)
