"""A document of several parts: one medium of a talk, several for the model."""

from __future__ import annotations

import numpy as np

from mmcli.chat import Conversation, parts
from mmcli.engine import Message, Sampling
from mmcli.media import Document, DocumentPart, Image, Locator, Receipt, Text
from tests.scripted_engine import TOKENS, ScriptedEngine


def _page(number: int, *, words: str = "") -> DocumentPart:
    locator = Locator(pages=((number, number),))
    receipt = Receipt("a.pdf", "image", "0" * 64, 10, "PDF", locator=str(locator))
    pixels = np.full((8, 8, 3), number, np.uint8)
    return DocumentPart(locator, Image(pixels, f"page {number}", receipt), words)


def _document(*pages: DocumentPart) -> Document:
    return Document(Receipt("a.pdf", "document", "0" * 64, 10, "PDF"), pages)


def test_a_document_goes_to_the_model_in_its_own_order() -> None:
    text = Text("words", "a.txt", "words", Receipt("a.txt", "text", "1" * 64, 5, "text/plain"))
    document = _document(_page(1, words="first page"), DocumentPart(None, None, "a blank page"), _page(3))
    found = parts([text, document], "What is it?")
    kinds = [part if isinstance(part, str) else type(part).__name__ for part in found]
    assert kinds == ["first page", "Image", "a blank page", "Image", "Text", "What is it?"]


def test_it_is_one_medium_of_the_talk() -> None:
    engine, talk = ScriptedEngine("A cat."), Conversation()
    document = _document(_page(1), _page(2))
    assert talk.stage(document) == 1
    *_, last = talk.ask(engine, "What is it?", Sampling())
    assert last.answer is not None
    assert [seen.receipt.locator for seen in last.answer.seen] == ["page=1", "page=2"]
    assert talk.drop(1) is document
    assert [message.media for message in talk.messages()] == [(), ()]


def test_its_id_is_that_of_all_of_it() -> None:
    ids = {
        _document(_page(1), _page(2)).id,
        _document(_page(2), _page(1)).id,
        _document(_page(1)).id,
        _document(_page(1, words="heading"), _page(2)).id,
    }
    assert len(ids) == 4
    assert _document(_page(1), _page(2)).id in ids


def test_its_tokens_are_counted() -> None:
    document = _document(_page(1, words="first page"), _page(2))
    engine = ScriptedEngine("A cat.")
    assert engine.count([Message("user", parts([document], "What is it?"))]) == 2 + 2 * TOKENS + 3
