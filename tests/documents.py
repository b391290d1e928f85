"""PDF files made in tests, and where real ones are."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pikepdf
from fpdf import FPDF
from fpdf.enums import TextMode

ROOT = Path(__file__).parents[1]
SEEN = ("CASE1 plain text", "CASE9 white on a black bar")
HIDDEN = (
    "CASE2 white on white",
    "CASE3 the colour of its ground",
    "CASE4 below a later box",
    "CASE5 neither filled nor stroked",
    "CASE6 letters of 0.4 points",
    "CASE7 grey of 7 percent",
    "CASE8 beside the page",
)


def real_files() -> list[Path]:
    """The PDFs of MMCLI_TEST_DATA or of ../shared/data; none where there are none."""
    named = os.environ.get("MMCLI_TEST_DATA")
    above = (folder / "shared" / "data" for folder in ROOT.parents)
    for folder in (*([Path(named).absolute()] if named else []), *above):
        if found := sorted((folder / "pdf").rglob("*.pdf")):
            return found
    return []


def pdf(*pages: Callable[[FPDF], object] | str) -> bytes:
    """A PDF of A4 pages in points: each a text, or a function that draws on the page."""
    file = FPDF(unit="pt", format="A4")
    file.set_auto_page_break(False)
    for page in pages:
        file.add_page()
        file.set_font("helvetica", size=14)
        if isinstance(page, str):
            file.set_xy(60, 60)
            file.multi_cell(470, 20, page)
        else:
            page(file)
    return bytes(file.output())


def nine_cases(file: FPDF) -> None:
    """Draw two lines that are seen and seven that are not, as people hide them."""
    lines = {text[:5]: text for text in (*SEEN, *HIDDEN)}
    file.text(60, 100, lines["CASE1"])
    file.set_text_color(255, 255, 255)
    file.text(60, 140, lines["CASE2"])
    file.set_fill_color(30, 80, 160)
    file.rect(50, 160, 400, 30, style="F")
    file.set_text_color(30, 80, 160)
    file.text(60, 180, lines["CASE3"])
    file.set_text_color(0, 0, 0)
    file.text(60, 220, lines["CASE4"])
    file.set_fill_color(200, 200, 200)
    file.rect(50, 200, 400, 30, style="F")
    with file.local_context(text_mode=TextMode.INVISIBLE):
        file.text(60, 260, lines["CASE5"])
    file.set_font_size(0.4)
    file.text(60, 300, lines["CASE6"])
    file.set_font_size(14)
    file.set_text_color(237, 237, 237)
    file.text(60, 340, lines["CASE7"])
    file.set_text_color(0, 0, 0)
    file.text(-400, 380, lines["CASE8"])
    file.set_fill_color(0, 0, 0)
    file.rect(50, 400, 400, 30, style="F")
    file.set_text_color(255, 255, 255)
    file.text(60, 420, lines["CASE9"])
    file.set_text_color(0, 0, 0)


def changed(data: bytes, change: Callable[[pikepdf.Pdf], object]) -> bytes:
    """A PDF after `change` was done to it."""
    with pikepdf.open(io.BytesIO(data)) as file:
        change(file)
        out = io.BytesIO()
        file.save(out)
        return out.getvalue()


def locked(data: bytes, password: str, owner: str = "owner") -> bytes:
    """A PDF that opens with a password alone; with an empty one, only what may be done with it is limited."""
    with pikepdf.open(io.BytesIO(data)) as file:
        out = io.BytesIO()
        file.save(out, encryption=pikepdf.Encryption(user=password, owner=owner))
        return out.getvalue()
