"""The embedded reader: real networks on pictures with words, whichever way up; silent, offline, or a clear error."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from mmcli.documents import ocr
from mmcli.media import pdf
from tests import documents
from tests.sheets import LINES, sheet


@cache
def reader() -> ocr.PageReader:
    return ocr.PageReader(2)


def said(page: ocr.ReadPage) -> list[str]:
    return [line.text for line in sorted(page.lines, key=lambda line: line.box[1])]


def test_words_are_read_with_their_places_and_how_sure_they_are() -> None:
    page = reader().read(sheet(*LINES))
    assert said(page) == list(LINES)
    assert page.turned == 0 and page.size == (800, 360)
    for at, line in enumerate(sorted(page.lines, key=lambda line: line.box[1])):
        left, top, right, bottom = line.box
        assert 40 <= left <= 62 and 45 + 80 * at <= top < bottom <= 125 + 80 * at and right < 700
        assert line.confidence > 0.9 and [word.text for word in line.words] == line.text.split()
        ends = [edge for word in line.words for edge in (word.start, word.end)]
        assert ends == sorted(ends) and 0 <= ends[0] and ends[-1] <= 1


@pytest.mark.parametrize("quarters", [1, 2])
def test_a_page_that_lies_on_its_side_or_its_head_is_turned(quarters: int) -> None:
    page = reader().read(np.ascontiguousarray(np.rot90(sheet(*LINES), quarters)))
    assert said(page) == list(LINES)
    assert page.turned == quarters and page.size == (800, 360)


def test_light_letters_on_a_dark_ground_and_accents_are_read() -> None:
    assert said(reader().read(sheet("Closed on Sundays", ink="white", ground="navy"))) == ["Closed on Sundays"]
    with pdf.opened(documents.pdf("Größe 5 für Köln, señor"), shown="`a.pdf`") as file:
        assert said(reader().read(file.page(1).pixels)) == ["Größe 5 für Köln, señor"]


def test_nothing_is_read_where_there_is_nothing() -> None:
    assert reader().read(np.full((300, 200, 3), 255, np.uint8)).lines == ()
    assert reader().read(np.zeros((1, 1, 3), np.uint8)).lines == ()
    assert reader().read(np.full((9, 4000, 3), 200, np.uint8)).lines == ()


def test_a_stopped_reader_reads_no_further() -> None:
    assert reader().read(sheet(*LINES), stopped=lambda: True).lines == ()


def test_a_real_scan_is_read() -> None:
    found = [path for path in documents.real_files() if path.name == "lincoln_letter.pdf"]
    if not found:
        pytest.skip("no ../shared/data")
    with pdf.opened(found[0].read_bytes(), shown="`lincoln_letter.pdf`") as file:
        text = " ".join(said(reader().read(file.page(1, 1280).pixels)))
    assert "Washington City" in text and "Abraham" in text  # a handwritten letter


PROGRAM = """
import socket, sys, numpy as np
def no(*args, **kwargs): raise AssertionError("a connection")
socket.socket.connect = socket.getaddrinfo = no
from mmcli.documents import ocr
ocr.PageReader(1).read(np.full((64, 256, 3), 255, np.uint8))
assert "rapidocr" not in sys.modules and "requests" not in sys.modules
"""


def test_it_prints_nothing_and_connects_to_nothing(environment: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_the_extra_one_sentence_names_it(environment: dict[str, str]) -> None:
    code = """
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "rapidocr" else real(name, *more)
from mmcli.documents import ocr
from mmcli.errors import ModelError
assert not ocr.is_installed()
try: ocr.PageReader(1)
except ModelError as error: print(error.message, "|", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "mmcli[ocr]" in done.stdout and "pip install 'mmcli[ocr]'" in done.stdout.split("|")[1]
