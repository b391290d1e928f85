"""PDF files: pages as pictures, the text that is seen on them, what is refused and in which words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pikepdf
import pytest
from fpdf import FPDF
from fpdf.enums import TextMode

from mmcli.errors import InputError
from mmcli.media import painted, pdf
from tests import documents


def page_of(data: bytes, number: int = 1, side: int = pdf.SIDE) -> pdf.PdfPage:
    with pdf.opened(data, shown="`a.pdf`") as file:
        return file.page(number, side)


def refusal(data: bytes, password: str | None = None) -> str:
    with pytest.raises(InputError) as caught, pdf.opened(data, shown="`a.pdf`", password=password) as file:
        file.page(1)
    return caught.value.message


def red_square(file: FPDF) -> None:
    file.set_fill_color(255, 0, 0)
    file.rect(60, 100, 200, 100, style="F")


def ink_box(pixels: np.ndarray, text: np.ndarray | tuple[int, ...] = (0, 0, 0)) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of all that is near a colour."""
    rows, columns = np.nonzero(np.abs(pixels.astype(int) - np.array(text)).max(axis=2) < 60)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_a_page_is_rendered_at_the_side_asked_for_in_rgb() -> None:
    page = page_of(documents.pdf(red_square), side=842)
    assert page.pixels.shape == (842, 596, 3)
    assert page.pixels.flags.c_contiguous
    assert page.pixels[150, 150].tolist() == [255, 0, 0]
    assert page.pixels[400, 300].tolist() == [255, 255, 255]
    assert page.size == pytest.approx((595.28, 841.89), abs=0.01)
    assert (page.is_blank, page.is_faint, page.label) == (False, False, None)


def test_text_that_is_seen_is_told_from_text_that_is_hidden() -> None:
    page = page_of(documents.pdf(documents.nine_cases))
    assert [line.text for line in page.lines if line.is_painted] == list(documents.SEEN)
    assert {line.text for line in page.lines if not line.is_painted} == set(documents.HIDDEN)
    assert page.n_hidden == 7
    assert page.text.split("\n") == list(documents.SEEN)


@pytest.mark.parametrize("side", [600, 1288, 1540, 2339])
def test_the_size_of_the_picture_does_not_decide_what_is_hidden(side: int) -> None:
    assert page_of(documents.pdf(documents.nine_cases), side=side).n_hidden == 7


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_boxes_of_text_lie_on_its_ink_however_the_page_is_turned(degrees: int) -> None:
    def turn(file: pikepdf.Pdf) -> None:
        file.pages[0].rotate(degrees, relative=False)

    page = page_of(documents.changed(documents.pdf("Turn me around"), turn))
    (line,) = page.lines
    assert line.is_painted
    assert line.box == pytest.approx(ink_box(page.pixels), abs=3)
    assert (page.pixels.shape[1] > page.pixels.shape[0]) == (degrees in (90, 270))


def test_boxes_of_text_lie_on_its_ink_on_a_cropped_page() -> None:
    def crop(file: pikepdf.Pdf) -> None:
        file.pages[0].cropbox = pikepdf.Array([30, 700, 530, 830])

    page = page_of(documents.changed(documents.pdf("Cropped"), crop))
    (line,) = page.lines
    assert line.is_painted
    assert line.box == pytest.approx(ink_box(page.pixels), abs=3)


def test_part_of_a_line_below_a_box_is_hidden_and_the_rest_is_not() -> None:
    def draw(file: FPDF) -> None:
        file.text(60, 100, "The total is 400 euros, and not one euro less")
        file.set_fill_color(255, 255, 255)
        file.rect(60 + file.get_string_width("The total is 400 euros, "), 80, 300, 30, style="F")

    page = page_of(documents.pdf(draw))
    assert page.text == "The total is 400 euros,"
    assert [line.text for line in page.lines if not line.is_painted] == ["and not one euro less"]


def test_the_invisible_text_of_a_scan_counts_as_seen_where_the_scan_has_ink(tmp_path: Path) -> None:
    scan = page_of(documents.pdf("Read by a scanner")).pixels
    from PIL import Image

    Image.fromarray(scan).save(tmp_path / "scan.png")

    def draw(file: FPDF) -> None:
        file.image(str(tmp_path / "scan.png"), 0, 0, file.w, file.h)
        with file.local_context(text_mode=TextMode.INVISIBLE):
            file.text(63, 75, "Read by a scanner")
            file.text(63, 300, "Obey the lower line")

    page = page_of(documents.pdf(draw))
    assert page.text == "Read by a scanner"
    assert page.n_hidden == 1


def test_invisible_text_over_visible_text_is_hidden() -> None:
    def draw(file: FPDF) -> None:
        file.text(60, 100, "What everybody reads here")
        with file.local_context(text_mode=TextMode.INVISIBLE):
            file.text(60, 100, "What no one ever sees here")

    page = page_of(documents.pdf(draw))
    assert page.text == "What everybody reads here"
    assert page.n_hidden == 1


def test_dashes_dots_and_letters_of_one_colour_are_seen() -> None:
    def draw(file: FPDF) -> None:
        file.text(60, 100, "a - b . l | I _ c")
        file.set_text_color(255, 255, 0)
        file.text(60, 140, "yellow on white")

    page = page_of(documents.pdf(draw))
    assert page.text == "a - b . l | I _ c\nyellow on white"
    assert page.n_hidden == 0


@pytest.mark.parametrize("points", [(300, 300), (3000, 14_000), (14_400, 14_400)])
def test_pages_of_any_size_have_the_same_side(points: tuple[int, int]) -> None:
    file = FPDF(unit="pt", format=points)
    file.add_page()
    file.set_font("helvetica", size=max(points) / 20)
    file.text(points[0] / 10, points[1] / 2, "large")
    page = page_of(bytes(file.output()))
    assert max(page.pixels.shape) == pdf.SIDE
    assert page.text == "large"


def test_a_scan_of_a_small_page_with_letters_of_a_point_is_read() -> None:
    file = FPDF(unit="pt", format=(60, 84))
    file.add_page()
    file.set_font("helvetica", size=1.2)
    file.text(6, 20, "Small on paper, large on the screen")
    assert page_of(bytes(file.output())).text == "Small on paper, large on the screen"


def test_blank_pages_are_told_from_pages_with_one_dot() -> None:
    def dot(file: FPDF) -> None:
        file.ellipse(300, 400, 5, 5, style="F")

    def grey(file: FPDF) -> None:
        file.set_fill_color(200, 200, 190)
        file.rect(0, 0, file.w, file.h, style="F")

    def white_words(file: FPDF) -> None:
        file.set_text_color(255, 255, 255)
        file.text(60, 100, "nobody sees me")

    data = documents.pdf("", dot, "7", grey, white_words)
    assert [page_of(data, number).is_blank for number in (1, 2, 3, 4, 5)] == [True, False, False, True, True]


def test_dust_and_a_shadow_leave_a_blank_scan_blank() -> None:
    height, width = 1540, 1089
    shadow = np.linspace(150, 245, width)[None, :].repeat(height, 0)
    noise = np.random.default_rng(5).normal(0, 3, (height, width))
    pixels = (shadow + noise).clip(0, 255).astype(np.uint8)[:, :, None].repeat(3, 2)
    pixels[700:704, 500:504] = 40
    share, _ = painted.ink(np.ascontiguousarray(pixels))
    assert share < painted.BLANK_SHARE


def test_a_page_of_pale_ink_is_faint_and_keeps_its_text() -> None:
    def draw(file: FPDF) -> None:
        file.set_text_color(220, 220, 220)
        file.text(60, 100, "written with a hard pencil")

    page = page_of(documents.pdf(draw))
    assert page.is_faint and not page.is_blank
    assert page.text == "written with a hard pencil"


def test_filled_in_form_fields_are_on_the_picture() -> None:
    for path in documents.real_files():
        if path.name == "libreoffice-form.pdf":
            with_fields = page_of(path.read_bytes())
            assert not with_fields.is_blank


def test_printed_page_numbers_are_told_where_they_differ() -> None:
    def number(file: pikepdf.Pdf) -> None:
        roman = pikepdf.Dictionary(S=pikepdf.Name.r)
        plain = pikepdf.Dictionary(S=pikepdf.Name.D, P=pikepdf.String("A-\x1b"))
        same = pikepdf.Dictionary(S=pikepdf.Name.D, St=4)
        file.Root.PageLabels = pikepdf.Dictionary(Nums=pikepdf.Array([0, roman, 2, plain, 3, same]))

    data = documents.changed(documents.pdf("1", "2", "3", "4"), number)
    with pdf.opened(data, shown="`a.pdf`") as file:
        assert [file.label(number) for number in (1, 2, 3, 4)] == ["i", "ii", "A-1", None]


def test_a_page_that_is_not_there_is_named_with_the_number_of_pages() -> None:
    with pdf.opened(documents.pdf("1", "2"), shown="`a.pdf`") as file:
        for number in (0, 3, -1):
            with pytest.raises(InputError) as caught:
                file.page(number)
            assert caught.value.message == f"`a.pdf` has 2 pages; there is no page {number}"


def test_a_locked_file_needs_its_password() -> None:
    data = documents.locked(documents.pdf("secret"), "open sesame")
    assert refusal(data) == "`a.pdf` needs a password"
    assert refusal(data, "wrong") == "`a.pdf`: wrong password"
    with pdf.opened(data, shown="`a.pdf`", password="open sesame") as file:
        assert file.page(1).text == "secret"


def test_a_file_that_may_only_not_be_printed_opens_without_a_password() -> None:
    assert page_of(documents.locked(documents.pdf("open to all"), "")).text == "open to all"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[: len(data) // 2] + bytes(len(data) // 2),
        lambda data: data[:20] + b"%%EOF",
        lambda data: b"%PDF-1.7\n%%EOF\n",
        lambda data: data.replace(b"/Kids", b"/Dogs"),
    ],
)
def test_damaged_files_are_refused_in_a_sentence(damage: Callable[[bytes], bytes]) -> None:
    assert refusal(damage(documents.pdf("one", "two"))).startswith("`a.pdf` is damaged: ")


def test_threads_may_use_files_at_the_same_time() -> None:
    data = [documents.pdf(f"file {i}", f"second page of {i}") for i in range(4)]
    found: list[str | None] = [None] * 16

    def read(place: int) -> None:
        with pdf.opened(data[place % 4], shown="`a.pdf`") as file:
            found[place] = file.page(1 + place % 2, 400).text

    threads = [threading.Thread(target=read, args=(i,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [f"second page of {i % 4}" if i % 2 else f"file {i % 4}" for i in range(16)]


@pytest.mark.parametrize("path", documents.real_files(), ids=lambda path: path.name)
def test_every_real_file_gives_pages_or_a_sentence(path: Path) -> None:
    """No crash, no traceback, no page that takes long."""
    try:
        with pdf.opened(path.read_bytes(), shown=path.name) as file:
            for number in range(1, min(file.n_pages, 6) + 1):
                begin = time.thread_time()
                page = file.page(number)
                assert time.thread_time() - begin < 2
                assert max(page.pixels.shape) == pdf.SIDE
                assert page.text.isprintable() or "\n" in page.text
    except InputError as error:
        assert path.name == "libreoffice-writer-password.pdf", error.message
        assert error.message.endswith("needs a password")


def test_a_real_blank_scan_is_blank() -> None:
    found = {path.name: path for path in documents.real_files()}
    for name, is_blank in (("blank_book_pg1.pdf", True), ("lincoln_letter.pdf", False), ("empty#hash.pdf", True)):
        if name in found:
            assert page_of(found[name].read_bytes()).is_blank == is_blank
