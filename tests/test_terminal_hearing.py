"""What is said on stdout while it is heard, and what drivers say nowhere."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mmcli import terminal
from mmcli.speech import level
from mmcli.speech.transcript import Segment, Transcript
from mmcli.terminal import Style

CHATTER = """
import os, sys
from mmcli import terminal
with terminal.no_chatter(terminal.Style(debug={debug})):
    os.write(2, b"ALSA lib pcm.c: chatter\\n")
    terminal.notice("said by mmcli", terminal.Style())
    print("also by Python", file=sys.stderr)
os.write(2, b"after\\n")
terminal.notice("at the end", terminal.Style())
"""


def stderr_of(debug: bool) -> str:
    done = subprocess.run([sys.executable, "-c", CHATTER.format(debug=debug)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr


def test_drivers_chatter_is_lost_and_what_mmcli_says_is_not() -> None:
    assert stderr_of(debug=False) == "note: said by mmcli\nalso by Python\nafter\nnote: at the end\n"


def test_with_debug_all_is_shown() -> None:
    assert "ALSA lib" in stderr_of(debug=True)


def test_a_segment_is_a_line_without_colours_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.said_segment(Segment(0, 1, "hello", 0.1))
    assert capsys.readouterr() == ("hello\n", "")


def test_json_in_a_pipe_holds_nothing_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.said_json('{"source": "a\x9bb"}\n')
    assert capsys.readouterr().out == '{"source": "a\\u009bb"}\n'


def test_notes_are_told_where_they_matter(capsys: pytest.CaptureFixture[str]) -> None:
    notes = ("2 damaged packets left out", "22050 Hz → 16000 Hz")
    heard = Transcript("a\x1b[2Jb.mp3", "tiny", "cpu", "int8", seconds=3.0, notes=notes)
    terminal.heard(heard, "mp3", 1.5, Style())
    assert capsys.readouterr().err == "note: ab.mp3: 2 damaged packets left out; no speech was heard in it\n"
    terminal.heard(heard, "mp3", 1.5, Style(quiet=True))
    assert capsys.readouterr().err == ""
    terminal.heard(heard, "mp3", 1.5, Style(verbose=True))
    told = capsys.readouterr().err
    assert told.startswith("ab.mp3: mp3 3.0 s, ") and "tiny on cpu as int8, in 1.50 s (2.0 x real time)" in told


@pytest.mark.parametrize(("decibels", "cells"), [(-90.0, 0), (-60.0, 0), (-30.0, 20), (-6.0, 36), (0.0, 40), (3.0, 40)])
def test_a_meter_is_full_at_full_scale(decibels: float, cells: int) -> None:
    bar = level.meter(decibels)
    assert bar.count("#") == cells and len(bar.split("]")[0]) == 41
