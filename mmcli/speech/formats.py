"""Writes transcripts as txt, srt, vtt, ass, lrc, tsv, md, json and jsonl. Makes strings; knows no files.

Every format but json is written piece by piece: `begin`, a `segment` for each as it is found, `end`. Subtitles are cut
into cues meanwhile, of which the last one is held back until the next segment, or the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mmcli.speech.atoms import Atom, begins_right_to_left, joined
from mmcli.speech.cues import PAUSE, Cue, Cutter, Layout
from mmcli.speech.transcript import Segment, Transcript

DEFAULT_LAYOUT = Layout()
RIGHT_TO_LEFT = "\u200f"  # a mark that is not seen
MARKS = ("\x02", "\x03")  # around a word that will be marked: no text holds them, and they have no direction
ASS_HEAD = """\
[Script Info]
ScriptType: v4.00+
WrapStyle: 0
ScaledBorderAndShadow: yes
PlayResX: 1920
PlayResY: 1080

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, Italic, Underline, \
StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,64,&H00FFFFFF,&H00A0A0A0,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,3,1,2,60,60,50,1
Style: RightToLeft,Arial,64,&H00FFFFFF,&H00A0A0A0,&H00000000,&H80000000,0,0,0,0,100,100,0,0,1,3,1,2,60,60,50,-1

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~])")


class Format:
    """One way to write a transcript down, once."""

    separate = False  # cannot hold more than one sound
    whole = False  # one object, which is written when all is known
    timed_words = False  # needs the times of words

    def __init__(self, layout: Layout = DEFAULT_LAYOUT) -> None:
        self._layout = layout

    def begin(self, transcript: Transcript) -> str:
        return ""

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        """The last of `transcript.segments` as text."""
        raise NotImplementedError

    def end(self, transcript: Transcript) -> str:
        return ""

    def summary(self) -> str:
        """What else is worth knowing about what was written."""
        return ""


class Txt(Format):
    def segment(self, transcript: Transcript, segment: Segment) -> str:
        return f"{segment.text}\n"


class Subtitles(Format):
    """A format of cues."""

    separate = True
    timed_words = True

    def __init__(self, layout: Layout = DEFAULT_LAYOUT) -> None:
        super().__init__(layout)
        self._cutter = Cutter(layout)

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        return "".join(map(self.cue, self._cutter.cut(segment)))

    def end(self, transcript: Transcript) -> str:
        return "".join(map(self.cue, self._cutter.end(transcript.seconds)))

    def cue(self, cue: Cue) -> str:
        """The next cue as text."""
        raise NotImplementedError

    def escaped(self, text: str) -> str:
        """A word, in which nothing can pass for the format's own marks."""
        return text

    def summary(self) -> str:
        fastest = self._cutter.fastest
        if fastest is None:
            return ""
        at = clock(fastest.start).split(".")[0]
        return f"{self._cutter.n_cues} cues, at most {fastest.speed:.1f} characters a second (at {at})"

    def _text(self, cue: Cue, between: str) -> str:
        """Its lines, with a mark before those that begin with a word of another direction than the cue's."""
        texts = [joined([replace(atom, text=self.escaped(atom.text)) for atom in line]) for line in cue.lines]
        if cue.right_to_left:
            texts = [text if begins_right_to_left(text) else RIGHT_TO_LEFT + text for text in texts]
        return between.join(texts)


class Srt(Subtitles):
    def __init__(self, layout: Layout = DEFAULT_LAYOUT) -> None:
        super().__init__(layout)
        self._n = 0

    def cue(self, cue: Cue) -> str:
        return "".join(
            self.timed(start, end, self._marked(cue, said)) for start, end, said in _moments(cue, self._layout)
        )

    def timed(self, start: float, end: float, text: str) -> str:
        self._n += 1
        return f"{self._n}\n{clock(start, ',')} --> {clock(end, ',')}\n{text}\n\n"

    def escaped(self, text: str) -> str:
        """A cue's text must not hold what separates times."""
        return text.replace("-->", "→")

    def _marked(self, cue: Cue, said: int | None) -> str:
        """The text with the word of that number underlined."""
        if said is None:
            return self._text(cue, "\n")
        lines, n = [], 0
        for line in cue.lines:
            lines.append(list(line))
            if n <= said < n + len(line):
                atom = line[said - n]
                lines[-1][said - n] = replace(atom, text=f"{MARKS[0]}{atom.text}{MARKS[1]}")
            n += len(line)
        marked = replace(cue, lines=tuple(map(tuple, lines)))
        return self._text(marked, "\n").replace(MARKS[0], "<u>").replace(MARKS[1], "</u>")


class Vtt(Srt):
    def begin(self, transcript: Transcript) -> str:
        return "WEBVTT\n\n"

    def timed(self, start: float, end: float, text: str) -> str:
        return f"{clock(start)} --> {clock(end)}\n{text}\n\n"

    def escaped(self, text: str) -> str:
        return super().escaped(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Ass(Subtitles):
    """Advanced SubStation Alpha; words that are being said change their colour, as in karaoke."""

    def begin(self, transcript: Transcript) -> str:
        return ASS_HEAD

    def cue(self, cue: Cue) -> str:
        text, style = self._text(cue, r"\N"), "RightToLeft" if cue.right_to_left else "Default"
        if self._layout.highlight:
            text = r"\N".join("".join(self._sung(line, i, cue)) for i, line in enumerate(cue.lines))
        times = f"{_hundredths(cue.start, 1)},{_hundredths(cue.end, 1)}"
        return f"Dialogue: 0,{times},{style},,0,0,0,,{text}\n"

    def escaped(self, text: str) -> str:
        """Braces and backslashes are commands, and not all players know a way to write them otherwise."""
        return text.translate({ord("{"): "｛", ord("}"): "｝", ord("\\"): "＼"})

    def _sung(self, line: Sequence[Atom], number: int, cue: Cue) -> Iterator[str]:
        """Each word behind the hundredths of a second for which it is said; silence before it has its own."""
        words, first = cue.words, sum(map(len, cue.lines[:number]))
        for i, atom in enumerate(line):
            before = words[first + i - 1].end if first + i else cue.start
            silence = _to_hundredths(atom.start) - _to_hundredths(before)
            yield rf"{{\k{silence}}}" if silence > 0 else ""
            said = _to_hundredths(atom.end) - max(_to_hundredths(atom.start), _to_hundredths(before))
            yield rf"{{\k{said}}}" + (" " if atom.is_spaced and i else "") + self.escaped(atom.text)


class Lrc(Subtitles):
    """Lyrics: a line with the time at which it begins; an empty one where silence follows."""

    def __init__(self, layout: Layout = DEFAULT_LAYOUT) -> None:
        super().__init__(replace(layout, lines=1))
        self._end: float | None = None  # of the line that is shown

    def cue(self, cue: Cue) -> str:
        silence = "" if self._end is None or cue.start - self._end < PAUSE else self._silence()
        self._end = cue.end
        if self._layout.highlight:
            words = [
                f"{' ' if atom.is_spaced and i else ''}<{_hundredths(atom.start)}>{self.escaped(atom.text)}"
                for i, atom in enumerate(cue.words)
            ]
            return f"{silence}[{_hundredths(cue.start)}]{''.join(words)}<{_hundredths(cue.words[-1].end)}>\n"
        return f"{silence}[{_hundredths(cue.start)}]{self._text(cue, ' ')}\n"

    def end(self, transcript: Transcript) -> str:
        return super().end(transcript) + ("" if self._end is None else self._silence())

    def escaped(self, text: str) -> str:
        """Brackets hold times."""
        return text.translate({ord("["): "(", ord("]"): ")", ord("<"): "‹", ord(">"): "›"})

    def _silence(self) -> str:
        assert self._end is not None
        return f"[{_hundredths(self._end)}]\n"


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
    whole = True

    def end(self, transcript: Transcript) -> str:
        return dumps(transcript_json(transcript)) + "\n"

    def segment(self, transcript: Transcript, segment: Segment) -> str:
        return ""


FORMATS: dict[str, type[Format]] = {
    "txt": Txt,
    "srt": Srt,
    "vtt": Vtt,
    "ass": Ass,
    "lrc": Lrc,
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


def _moments(cue: Cue, layout: Layout) -> Iterator[tuple[float, float, int | None]]:
    """(start, end, number of the word that is said then), one by one if words are highlighted, else all at once."""
    at = cue.start
    for i, word in enumerate(cue.words if layout.highlight else ()):
        start, end = (round(max(time, at), 3) for time in (word.start, word.end))
        if start > at:
            yield at, start, None
        if end > start:
            yield start, end, i
        at = max(end, at)
    if cue.end > at:
        yield at, cue.end, None


def _to_hundredths(seconds: float) -> int:
    """Of a second, rounded down: what ends with the sound must not end behind it."""
    return round(1000 * seconds) // 10


def _hundredths(seconds: float, hours: int = 0) -> str:
    """`1:02:03.45` where hours have so many digits; without any, `62:03.45`."""
    whole, rest = divmod(_to_hundredths(seconds), 100)
    if hours:
        return f"{whole // 3600:0{hours}}:{whole // 60 % 60:02}:{whole % 60:02}.{rest:02}"
    return f"{whole // 60:02}:{whole % 60:02}.{rest:02}"


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
