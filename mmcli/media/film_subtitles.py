"""The subtitles inside a film -> what is said in it, with its times. Knows PyAV; decodes no pictures and no sound."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import av

from mmcli.media.audio import OWN_ZERO
from mmcli.media.soundtrack import Abandoned
from mmcli.media.video import readable

# Codecs whose subtitles are words; others are pictures (DVD, Blu-ray).
IN_WORDS = frozenset("mov_text subrip srt ass ssa webvtt text".split())
_TAG = re.compile(r"<[^>\n]{1,80}>|\{\\[^}\n]{0,200}\}")
_FIELDS = 8  # of an ASS event as FFmpeg gives it, before its words


def read(
    content: Path | bytes, span: tuple[float, float], stop: threading.Event | None = None
) -> tuple[tuple[float, str], ...]:
    """(second, words) of the first track of subtitles that is in words, inside a span; empty where there is none."""
    found: list[tuple[float, str]] = []
    try:
        with av.open(readable(content), mode="r") as container:
            stream = next((each for each in container.streams.subtitles if _is_in_words(each)), None)
            if stream is None or stream.time_base is None:
                return ()
            zero = (
                0.0 if container.format.name.split(",")[0] in OWN_ZERO else (container.start_time or 0) / av.time_base
            )
            tick = float(stream.time_base)
            if span[0]:
                container.seek(int((span[0] + zero) * av.time_base), backward=True)
            for packet in container.demux(stream):
                if stop is not None and stop.is_set():
                    raise Abandoned
                if packet.pts is None or not packet.size:
                    continue
                second = packet.pts * tick - zero
                if second >= span[1]:
                    break
                words = _words(bytes(packet), stream.codec_context.name)
                if words and second >= span[0] - 0.5:
                    found.append((max(0.0, round(second, 3)), words))
    except av.FFmpegError:  # the film itself says what is wrong with it
        pass
    return tuple(found)


def _is_in_words(stream: av.subtitles.stream.SubtitleStream) -> bool:
    return stream.codec_context is not None and stream.codec_context.name in IN_WORDS


def _words(data: bytes, codec: str) -> str:
    """A packet's words, without marks of form."""
    if codec == "mov_text":
        data = data[2 : 2 + int.from_bytes(data[:2], "big")]
    text = data.decode("utf-8", "replace")
    if codec in ("ass", "ssa"):
        text = text.split(",", _FIELDS)[-1]
        text = text.replace(r"\N", " ").replace(r"\n", " ").replace(r"\h", " ")
    return " ".join(_TAG.sub("", text).split())
