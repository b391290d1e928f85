"""Which pages go to the model when not all of them have room."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mmcli import documents as chosen
from mmcli import media
from mmcli.chat import parts
from mmcli.documents.choose import ranked
from mmcli.engine import Message
from mmcli.errors import ContextFull
from mmcli.media import Medium, PagesWanted, Source, Wanted, locator
from mmcli.media.pages import PagedDocument
from tests import documents
from tests.scripted_engine import ScriptedEngine

FILLER = "river house stone apple market window garden silver morning paper letter winter bridge".split()


def pages(n: int, **words: str) -> list[str]:
    """Texts of twelve words; `p7="zebra"` puts a word on page 7."""
    return [
        " ".join([*(FILLER[(i * 5 + j) % len(FILLER)] for j in range(12)), words.get(f"p{i}", "")])
        for i in range(1, n + 1)
    ]


def load(texts: Sequence[str], name: str = "a.pdf", choice: str | None = None, at_once: int = 4) -> PagedDocument:
    wanted = PagesWanted(None if choice is None else locator.pages(choice), "only", at_once=at_once)
    document = media.load(Source(name, data=documents.pdf(*texts)), wanted=Wanted(pages=wanted))
    assert isinstance(document, PagedDocument)
    return document


def fit(media_: Sequence[Medium], question: str, n_ctx: int, for_answer: int = 20) -> chosen.Fitted:
    def as_messages(new: Sequence[Medium]) -> list[Message]:
        return [Message("user", parts(new, question))]

    return chosen.fitted(media_, question, ScriptedEngine("Yes.", n_ctx=n_ctx), as_messages, for_answer=for_answer)


def numbers(fitted: chosen.Fitted) -> list[tuple[int, ...]]:
    return [medium.numbers for medium in fitted.media if isinstance(medium, PagedDocument)]


def test_the_page_with_the_words_comes_first_then_its_neighbours() -> None:
    assert ranked(pages(20, p7="zebra"), "Which page names the zebras?") == [6, 7, 5]
    assert ranked(pages(20), "quagga") == []
    assert ranked([], "zebra") == [] and ranked(["zebra"], '" OR * NEAR(') == []


def test_words_are_found_in_scripts_without_spaces() -> None:
    texts = ["東京の天気は晴れです", "大阪の売上高は増加した", "京都の寺"]
    assert ranked(texts, "売上高はいくらですか")[0] == 1


def test_accents_and_case_do_not_matter() -> None:
    assert ranked(["Der Gewinn", "LE RÉSULTAT NET", "x"], "resultat")[0] == 1


def test_all_pages_go_where_they_fit() -> None:
    fitted = fit([load(pages(10))], "Where is the zebra?", 4000)
    assert numbers(fitted) == [tuple(range(1, 11))] and not fitted.notes


def test_the_pages_with_the_words_go_where_not_all_fit_and_that_is_told() -> None:
    fitted = fit([load(pages(60, p37="zebra"))], "Where is the zebra?", 300)
    (found,) = numbers(fitted)
    assert found == (1, 36, 37, 38)
    assert fitted.notes == (
        "4 of 60 pages were read, chosen by the words of the question: 1, 36-38"
        " (--pages chooses, --every-page reads all)",
    )


def test_what_is_open_already_is_chosen_from_too() -> None:
    fitted = fit([load(pages(12, p9="zebra"), at_once=99)], "Where is the zebra?", 100)
    assert 9 in numbers(fitted)[0] and len(numbers(fitted)[0]) < 12 and fitted.notes


def test_without_words_of_the_question_pages_are_spread_and_that_is_told() -> None:
    fitted = fit([load(pages(64))], "Summarize!", 400)
    (found,) = numbers(fitted)
    assert found[0] == 1 and found[-1] > 32
    assert "spread evenly, as no page has its words" in fitted.notes[0]


def test_named_pages_that_do_not_fit_are_an_error_with_three_numbers() -> None:
    with pytest.raises(ContextFull) as caught:
        fit([load(pages(60), choice="1-60")], "Where is the zebra?", 300)
    assert caught.value.status == 6
    assert "60 pages of a.pdf take at least 1,4" in caught.value.message and "context's 300" in caught.value.message


def test_several_documents_share_the_room() -> None:
    fitted = fit([load(pages(30, p20="zebra")), load(pages(30), "b.pdf")], "Where is the zebra?", 300)
    assert 20 in numbers(fitted)[0] and numbers(fitted)[1] == (1,)
    assert fitted.notes[0].startswith("a.pdf: ") and fitted.notes[1].startswith("b.pdf: 1 of 30 pages")


def test_named_pages_stay_beside_chosen_ones() -> None:
    fitted = fit([load(pages(3), "b.pdf", choice="2-3"), load(pages(60, p37="zebra"))], "zebra", 400)
    assert numbers(fitted)[0] == (2, 3) and 37 in numbers(fitted)[1]


def test_where_no_page_has_room_the_numbers_are_those_of_the_smallest() -> None:
    with pytest.raises(ContextFull) as caught:
        fit([load([" ".join(FILLER * 20)] * 3)], "Where is the zebra?", 120)
    assert "no page of a.pdf has room" in caught.value.message and "120" in caught.value.message
    assert "--text never" in (caught.value.hint or "")
