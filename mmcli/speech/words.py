"""What hearing gives: segments of timed words, and what is known of the whole. Knows no recogniser and no formats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Ending: TypeAlias = Literal["stop", "interrupted", "failed"]


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


@dataclass
class Transcript:
    """All that was heard in one sound, and how; `segments` grow while it is listened to."""

    source: str  # as the person named it
    model: str
    device: str  # "cpu" | "cuda"
    compute_type: str  # CTranslate2's word
    language: str | None = None  # code; None while nothing was heard
    language_confidence: float | None = None  # 0 … 1; None where the person said which language it is
    translated: bool = False
    sha256: str | None = None  # of the source's bytes, hex; None for a microphone
    seconds: float | None = None  # length of the sound
    speech_seconds: float = 0.0  # of which held speech, as the voice activity detector says
    ending: Ending = "stop"
    segments: list[Segment] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)
