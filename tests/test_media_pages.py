"""PDFs as documents: which pages are opened, what a model gets of each, what is reported of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fpdf import FPDF

from mmcli import media
from mmcli.errors import InputError, UsageError
from mmcli.media import Image, PagesWanted, Source, Text, Wanted, locator
from mmcli.media.pages import PagedDocument
from tests import documents


def square(file: FPDF) -> None:
    file.set_fill_color(0, 0, 255)
    file.rect(150, 250, 300, 300, style="F")


def opened(data: bytes, fragment: str | None = None, name: str = "a.pdf", **wanted: object) -> PagedDocument:
    part = None if fragment is None else locator.parse(fragment)
    source = Source(name if fragment is None else f"{name}#{fragment}", data=data, locator=part)
    document = media.load(source, wanted=Wanted(pages=PagesWanted(**wanted)))  # type: ignore[arg-type]
    assert isinstance(document, PagedDocument)
    return document


def refusal(data: bytes, fragment: str | None = None, **wanted: object) -> InputError:
    with pytest.raises(InputError) as caught:
        opened(data, fragment, **wanted)
    return caught.value


def test_each_page_is_a_picture_with_a_receipt_and_its_text_before_it() -> None:
    document = opened(documents.pdf(square, "Net result: 4.2 million"))
    first, words, second = document.content[1:]
    assert document.content[0] == "a.pdf, page 1:"
    assert words == "a.pdf, page 2:\n```\nNet result: 4.2 million\n```"
    assert isinstance(first, Image) and isinstance(second, Image)
    receipt = second.receipt
    assert (receipt.source, receipt.locator, receipt.page, receipt.pages) == ("a.pdf#page=2", "page=2", 2, 2)
    assert (receipt.text, receipt.characters, receipt.hidden_lines) == ("used", 23, 0)
    assert receipt.source_size == (595, 842) and receipt.sent_size == (1089, 1540)
    assert first.receipt.text == "absent"
    assert document.receipt.kind == "document" and document.receipt.locator is None
    assert document.receipt.source == "a.pdf"


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("1-3,7", [1, 2, 3, 7]),
        ("-1", [9]),
        ("-3--1", [7, 8, 9]),
        ("8-", [8, 9]),
        ("7,-3", [7]),
        ("odd", [1, 3, 5, 7, 9]),
        ("2,even", [2, 4, 6, 8]),
        ("5, 1", [5, 1]),
    ],
)
def test_pages_are_chosen_as_people_write_them(text: str, numbers: list[int]) -> None:
    assert list(locator.pages(text).numbers(9)) == numbers


@pytest.mark.parametrize("text", ["0", "", "3-1", "1,,2", "a", "-1--3", "1-0", "1.5", "9999999999", "odd-even", "--1"])
def test_what_names_no_pages_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        locator.pages(text)
    assert "--pages" in caught.value.message and caught.value.hint


def test_a_fragment_counts_more_than_the_option() -> None:
    data = documents.pdf("one", "two", "three")
    document = opened(data, "page=3,1", choice=locator.pages("2"))
    assert document.numbers == (3, 1)
    assert document.receipt.source == "a.pdf#page=3,1"
    assert opened(data, choice=locator.pages("2")).receipt.locator == "page=2"
    assert opened(data, choice=locator.pages("1-")).receipt.locator is None


def test_pages_that_are_not_there_are_named() -> None:
    data = documents.pdf("one", "two")
    assert refusal(data, "page=3").message == "`a.pdf` has 2 pages; there is no page 3"
    assert refusal(data, "page=1-900000000").message == "`a.pdf` has 2 pages; there is no page 900000000"
    assert refusal(data, choice=locator.pages("1-3")).message == "`a.pdf` has 2 pages; there is no page 3"
    assert (
        refusal(data, choice=locator.pages("1-999999999")).message == "`a.pdf` has 2 pages; there is no page 999999999"
    )
    assert refusal(data, choice=locator.pages("-3")).message == "`a.pdf` has 2 pages; there is no page -3"
    assert "even" in refusal(documents.pdf("one"), choice=locator.pages("even")).message


def test_blank_pages_are_words_for_the_model_and_a_note_for_the_user() -> None:
    document = opened(documents.pdf(square, "", square))
    assert [type(part).__name__ for part in document.content] == ["str", "Image", "str", "str", "Image"]
    assert document.content[2] == "a.pdf, page 2: this page is blank"
    assert document.receipt.notes == ("page 2 is blank",)
    assert refusal(documents.pdf("", "")).message == "`a.pdf` is blank: there is nothing on any of its 2 pages"
    assert refusal(documents.pdf("", square), "page=1").message == "`a.pdf` is blank: there is nothing on page 1"


def test_hidden_lines_are_left_out_and_reported() -> None:
    document = opened(documents.pdf(documents.nine_cases, documents.nine_cases))
    assert document.receipt.notes == ("14 lines of hidden text left out on pages 1-2",)
    for part in document.parts:
        assert [case for case in (*documents.SEEN, *documents.HIDDEN) if case in part.words] == list(documents.SEEN)
        assert part.medium is not None and part.medium.receipt.hidden_lines == 7


def test_text_only_gives_texts_and_never_gives_pictures_alone() -> None:
    data = documents.pdf("the words", square)
    only = opened(data, text="only")
    (text,) = [part for part in only.content if isinstance(part, Text)][:1]
    assert text.rendered == "a.pdf, page 1:\n```\nthe words\n```" and text.receipt.page == 1
    assert not any(isinstance(part, Image) for part in only.content)
    never = opened(data, text="never")
    assert "the words" not in str([part for part in never.content if isinstance(part, str)])
    assert [part.receipt.text for part in never.content if isinstance(part, Image)] == ["ignored", "absent"]
    assert "no text" in refusal(documents.pdf(square), text="only").message


def test_what_stands_on_a_page_cannot_end_its_fence() -> None:
    document = opened(documents.pdf("``` \nnot the end"))
    assert str(document.content[0]).startswith("a.pdf, page 1:\n````\n```")


def test_detail_decides_the_size() -> None:
    data = documents.pdf(square)
    sides = {}
    for detail in ("low", "auto", "high"):
        image = opened(data, detail=detail).content[1]
        assert isinstance(image, Image)
        sides[detail] = max(image.pixels.shape)
    assert sides == {"low": 1024, "auto": 1540, "high": 2339}


def test_long_documents_are_not_rendered_before_it_is_clear_what_is_needed() -> None:
    document = opened(documents.pdf("one", "two", "three"), at_once=2)
    assert not document.is_open and document.numbers == (1, 2, 3)
    assert list(document.book.texts()) == ["one", "two", "three"]
    again = document.book.open([3])
    assert again.numbers == (3,) and again.receipt.source == "a.pdf#page=3"


def test_passwords_are_tried_and_asked_for() -> None:
    data = documents.locked(documents.pdf("secret"), "sesame")
    asked: list[str] = []

    def typed(shown: str) -> str | None:
        asked.append(shown)
        return "wrong" if len(asked) == 1 else "sesame"

    assert "needs a password" in refusal(data).message
    assert "wrong password" in refusal(data, passwords=("a", "b")).message
    assert opened(data, passwords=("a", "sesame")).numbers == (1,)
    assert opened(data, ask_password=typed).numbers == (1,) and asked == ["`a.pdf`"] * 2
    assert "needs a password" in refusal(data, ask_password=lambda shown: None).message


def test_a_file_whose_name_holds_a_number_sign_wins(tmp_path: Path) -> None:
    name = tmp_path / "a.pdf#page=2"
    name.write_bytes(documents.pdf("one", "two", "three"))
    (source,) = media.find([str(name)])
    assert source.locator is None
    document = media.load(source)
    assert isinstance(document, PagedDocument) and document.numbers == (1, 2, 3)


def test_pages_have_no_times_or_boxes() -> None:
    assert "no time to choose from" in refusal(documents.pdf("one"), "t=3").message
    assert "no box to cut out" in refusal(documents.pdf("one"), "xywh=0,0,5,5").message


def test_equal_pages_have_equal_ids_and_others_have_not() -> None:
    first, second = (opened(documents.pdf(square, "two", square), name=name) for name in ("a.pdf", "b.pdf"))
    ids = [part.medium.id for part in first.parts if isinstance(part.medium, Image)]
    assert ids[0] == ids[2] != ids[1]
    assert ids == [part.medium.id for part in second.parts if isinstance(part.medium, Image)]


def test_a_receipt_keeps_the_name_on_one_line() -> None:
    document = opened(documents.pdf(square), name="a\n```\nb.pdf")
    assert str(document.content[0]) == "a ``` b.pdf, page 1:"
    assert replace(document.receipt, notes=()).pages == 1
