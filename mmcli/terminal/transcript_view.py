"""Shows transcripts as they come: lines on stdout while progress runs, unsure words dim; levels.

Knows terminals; the shape of words is all it knows of speech.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmcli.sanitize import clean, json_safe, one_line, without_surrogates
from mmcli.terminal import streams
from mmcli.terminal.keyboard import PROMPT
from mmcli.terminal.progress_line import out_of_the_way

if TYPE_CHECKING:
    from mmcli.speech.transcript import Segment, Transcript
    from mmcli.terminal.style import Style

UNSURE = 0.5  # confidence under which a word is dim
ORDINARY = re.compile(
    r"Hz → |^the sound of a video$|^the sound begins at "
)  # notes of a receipt that say nothing about the words
_is_led_away = False  # descriptor 2, already: inside one another, the inner ones do nothing


def said(text: str) -> None:
    """A piece of a transcript on stdout, at once. It is clean already, newlines and all."""
    if text:
        with out_of_the_way():
            streams.write(without_surrogates(text), sys.stdout)


def said_json(document: str) -> None:
    """The same for lines of JSON."""
    said(json_safe(document))


def said_segment(segment: Segment) -> None:
    """One segment as a line, on a terminal with what the model was unsure of dim."""
    if not streams.is_terminal(sys.stdout):
        said(f"{segment.text}\n")
        return
    from rich.text import Text

    words = [(word.text, word.confidence) for word in segment.words or ()] or [(segment.text, segment.confidence)]
    line = Text()
    for text, confidence in words:
        line.append(clean(text, newlines=False), "dim" if confidence < UNSURE else "")
    line = line[len(line.plain) - len(line.plain.lstrip()) :]
    with out_of_the_way():
        streams.put(line, sys.stdout, 2)
        sys.stdout.flush()


def heard(transcript: Transcript, kind: str, seconds: float, style: Style, summary: str = "") -> None:
    """With --verbose, what was listened to, how, and how fast; else only what was noteworthy about the sound."""
    from mmcli.terminal.output import beside, notice

    name, length = one_line(transcript.source), transcript.seconds or 0.0
    if not style.verbose:
        notes = [note for note in transcript.notes if not ORDINARY.search(note)]
        if not transcript.segments and transcript.ending == "stop":
            notes.append("no speech was heard in it")
        if notes:
            notice(f"{name}: {'; '.join(notes)}", style)
        return
    if style.json:
        return
    sure = transcript.language_confidence
    language = f"language {transcript.language}" + (f" ({sure:.0%} sure)" if sure is not None else "")
    speed = f" ({length / seconds:.1f} x real time)" if seconds > 0 else ""
    facts = [
        f"{kind} {length:.1f} s",
        f"{transcript.speech_seconds:.1f} s of it speech",
        language if transcript.language else "no language",
        f"{len(transcript.segments)} segments",
        f"{transcript.model} on {transcript.device} as {transcript.compute_type}",
        f"in {seconds:.2f} s{speed}",
        *([summary] if summary else []),
        *transcript.notes,
    ]
    beside(f"{name}: {', '.join(map(one_line, facts))}")


def heard_words(text: str) -> None:
    """A turn that was spoken, where a typed one would stand; for a user."""
    from rich.text import Text

    with out_of_the_way():
        streams.write("\n", sys.stderr)
        streams.put(Text(f"{PROMPT}{one_line(text)}"), sys.stderr, len(PROMPT))


@contextmanager
def no_chatter(style: Style) -> Iterator[None]:
    """While inside, what native libraries write to descriptor 2 is lost, and what mmcli says on stderr is not.

    ALSA, JACK and PortAudio write there whenever they like, from threads of their own; so it is the descriptor that is
    led away, for as long as they live, and Python's stderr that moves to another one. With --debug all is shown.
    """
    global _is_led_away
    if style.debug or sys.stderr is None or _is_led_away:
        yield
        return
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError):  # closed: nobody would see the chatter either
        yield
        return
    before = sys.stderr
    sys.stderr = streams.unfailing(kept, before)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    _is_led_away = True
    try:
        yield
    finally:
        _is_led_away = False
        moved, sys.stderr = sys.stderr, before
        with contextlib.suppress(OSError, ValueError):
            moved.flush()
        os.dup2(kept, 2)
        with contextlib.suppress(OSError, ValueError):
            moved.close()
        os.close(kept)
