"""Transcripts as files: each format holds what other programs expect of it, whatever was said."""

from __future__ import annotations

import json
import re

from mmcli.speech.formats import FORMATS, clock
from mmcli.speech.transcript import Segment, Transcript, Word

NASTY = "a --> b <i>&amp;</i> *c*"


def written(name: str, *texts: str, words: bool = False) -> str:
    """A transcript with these texts, a second each, in a format."""
    transcript = Transcript("talk [1].mp3", "tiny", "cpu", "int8", language="en", seconds=3661.5)
    form = FORMATS[name]()
    out = form.begin(transcript)
    for i, text in enumerate(texts):
        timed = (Word(i + 0.1, i + 0.5, f" {text}", 0.25),) if words else None
        segment = Segment(3600.0 * i + 1.2345, 3600.0 * i + 2, text, 0.87654, timed)
        transcript.segments.append(segment)
        out += form.segment(transcript, segment)
    return out + form.end(transcript)


def test_every_format_is_whole_with_nothing_in_it() -> None:
    assert {name: written(name) for name in FORMATS if name not in ("json", "ass")} == {
        "txt": "",
        "lrc": "",
        "srt": "",
        "vtt": "WEBVTT\n\n",
        "jsonl": "",
        "tsv": "start\tend\ttext\n",
        "md": "# talk \\[1\\].mp3\n\n",
    }
    assert json.loads(written("json"))["segments"] == []
    assert written("ass").endswith("Effect, Text\n")


def test_txt_has_a_line_for_each_segment() -> None:
    assert written("txt", "one", "two") == "one\ntwo\n"


def test_srt_numbers_its_cues_and_has_a_comma_before_the_milliseconds() -> None:
    assert written("srt", "one", "two") == (
        "1\n00:00:01,234 --> 00:00:02,000\none\n\n2\n01:00:01,234 --> 01:00:02,000\ntwo\n\n"
    )


def test_vtt_escapes_what_would_be_a_tag() -> None:
    told = written("vtt", NASTY)
    assert told.startswith("WEBVTT\n\n00:00:01.234 --> 00:00:02.000\n")
    assert "<i>" not in told and "&lt;i&gt;&amp;amp;" in told


def test_no_text_can_pass_for_the_times_of_a_cue() -> None:
    for name in ("srt", "vtt"):
        assert written(name, NASTY).count("-->") == 1


def test_tsv_has_whole_milliseconds() -> None:
    assert written("tsv", "one").splitlines()[1] == "1234\t2000\tone"


def test_md_escapes_what_would_be_marks() -> None:
    assert written("md", NASTY).endswith("**00:00:01** a --\\> b \\<i\\>&amp;\\</i\\> \\*c\\*\n\n")


def test_jsonl_tells_the_source_in_every_line() -> None:
    lines = [json.loads(line) for line in written("jsonl", "one", "two").splitlines()]
    assert [(line["source"], line["text"], line["confidence"]) for line in lines] == [
        ("talk [1].mp3", "one", 0.877),
        ("talk [1].mp3", "two", 0.877),
    ]


def test_json_tells_all() -> None:
    told = json.loads(written("json", "one", "two", words=True))
    assert told["text"] == "one two"
    assert (told["language"], told["seconds"], told["model"], told["finish_reason"]) == ("en", 3661.5, "tiny", "stop")
    assert told["segments"][0]["words"] == [{"start": 0.1, "end": 0.5, "word": " one", "confidence": 0.25}]


def test_a_clock_rounds_to_milliseconds_and_has_hours() -> None:
    assert clock(0) == "00:00:00.000"
    assert clock(59.9996) == "00:01:00.000"
    assert re.fullmatch(r"\d+:\d\d:\d\d\.\d{3}", clock(360_000.5))
