"""The progress line: what it says, and that it is silent where it must be."""

import io

import pytest
from rich.console import Console

from mmcli import terminal
from mmcli.terminal import Progress, Style
from mmcli.terminal.progress_line import progress_line


@pytest.mark.parametrize(
    ("phase", "done", "total", "line"),
    [
        ("load", 50, 100, "loading the model  [##########----------]  50%  3 s"),
        ("encode", 0, 0, "encoding the media  3 s"),
        ("prefill", 700, 600, "reading the prompt  [####################] 100%  3 s"),
        (
            "download x",
            1_200_000_000,
            4_000_000_000,
            "[######--------------]  30%  1.2/4.0 GB  375.0 MB/s  7 s left  download x",
        ),
        (
            "listening to x",
            96_000,
            600_000,
            "[###-----------------]  16%  1:36/10:00  30.0 x real time  listening to x",
        ),
        ("listening to x", 0, 600_000, "[--------------------]   0%  0:00/10:00  3 s  listening to x"),
        ("hearing [##  ]", 0, -1, "hearing [##  ]"),
        ("a\x1b[2J\n长", 0, 0, "a\\n?  3 s"),
    ],
)
def test_the_line_says_what_is_going_on_and_how_far(phase: str, done: int, total: int, line: str) -> None:
    assert progress_line(phase, done, total, 3.2) == line


def test_a_resumed_download_counts_its_speed_from_where_it_went_on() -> None:
    line = progress_line("download x", 500_000_000, 900_000_000, 4, before=400_000_000)
    assert line == "[###########---------]  55%  500.0/900.0 MB  25.0 MB/s  16 s left  download x"


def test_the_line_never_wraps() -> None:
    file = io.StringIO()
    shown = Progress(Console(file=file, width=20, force_terminal=True))
    shown("load", 1, 2)
    shown.draw()
    shown.stop()
    assert file.getvalue().startswith("\rloading the model\x1b[K")  # with room for the terminal's ^C behind it
    assert file.getvalue().endswith("\r\x1b[K")


def test_words_that_do_not_fit_are_left_out_whole() -> None:
    file = io.StringIO()
    shown = Progress(Console(file=file, width=40, force_terminal=True))
    shown.note = "8.0 per minute  1 h left"
    shown("caption", 369, 701)
    shown.draw()
    shown.stop()
    assert "369/701\x1b[K" in file.getvalue()


def test_after_stop_nothing_is_drawn_any_more() -> None:
    file = io.StringIO()
    shown = Progress(Console(file=file, width=80, force_terminal=True))
    shown.stop()
    shown("load", 1, 2)
    shown.stop()
    assert file.getvalue() == ""


def test_without_a_terminal_progress_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress(Style()) as shown:
        shown("load", 1, 2)
        shown.draw()
    assert capsys.readouterr() == ("", "")
