"""Answers held to a JSON schema: always valid, the same alone and in company, after the reasoning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import fastjsonschema
import pytest

from mmcli import engine
from mmcli.engine import Answer, Sampling, grammar
from mmcli.engine.grammar import GrammarVocabulary
from mmcli.engine.local import mtmd
from mmcli.engine.local.detokenizer import Detokenizer, LoopGuard
from mmcli.engine.local.engine import LocalEngine
from mmcli.engine.local.loaded_model import Options
from mmcli.engine.local.shape import Shape
from mmcli.errors import UsageError
from mmcli.extraction import answer_schema
from tests.conftest import Random
from tests.engines import STARTER, answer, picture, user

FIELDS = "shape circle|square|star, colour str ..12, n int 1..9, tags[..3] str ..5, price float 0..10, seen bool, x?"


@pytest.fixture(scope="module")
def starter() -> Iterator[LocalEngine]:
    with engine.load(STARTER / "starter.gguf", STARTER / "starter-mmproj.gguf") as running:
        yield running


def shaped(fields: str, **more: Any) -> Sampling:
    return Sampling(**{"temperature": 0, "max_tokens": 400, "schema": answer_schema.find(fields).text, **more})


def question() -> engine.Message:
    return user(picture("red", "blue"), "What is in this picture?")


# valid


def test_every_answer_of_random_weights_keeps_to_its_schema(tiny: Random) -> None:
    schema = answer_schema.find(FIELDS)
    check = fastjsonschema.compile(dict(schema.wanted))
    sampling = shaped(FIELDS, temperature=2.0, top_k=0, top_p=1.0, min_p=0.0)
    found = []
    with engine.load(tiny.weights, tiny.projector, Options(threads=1)) as running:
        for _, piece in running.generate_many([[user("What?")]] * 60, sampling):
            if piece.answer is not None:
                found.append(piece.answer)
    assert len(found) == 60
    for each in found:
        assert each.finish_reason == "stop"
        check(json.loads(each.text))
        assert each.usage.forced_tokens > 10
    assert len({each.text for each in found}) > 50


@pytest.mark.parametrize(
    ("schema", "longest"),
    [
        ({"type": "string"}, 202),
        ({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 90}, 400),
        ({"type": "number"}, 30),
        ({"type": "integer"}, 20),
        ({"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2}, 500),
        ({"type": "string", "format": "date"}, 12),
        ({"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^[a-c]{2,4}$"}]}, 6),
    ],
)
def test_everything_has_an_end(tiny: Random, schema: dict[str, Any], longest: int) -> None:
    bounded = answer_schema.AnswerSchema(schema)
    sampling = Sampling(temperature=2, top_k=0, top_p=1, min_p=0, max_tokens=1000, schema=bounded.text)
    with engine.load(tiny.weights, tiny.projector, Options(threads=1)) as running:
        for _, piece in running.generate_many([[user("What?")]] * 8, sampling):
            if piece.answer is not None:
                assert piece.answer.finish_reason == "stop"
                bounded.read(piece.answer.text)
                assert len(piece.answer.text) <= longest + 6 * piece.answer.text.count("\\")


def test_alone_and_in_company_the_words_are_the_same(starter: LocalEngine) -> None:
    questions = [question(), user(picture("green"), "What is this?"), user("How many?")]
    sampling = shaped(FIELDS, temperature=1.0, seed=7)
    alone = [answer(starter, each, sampling=sampling).text for each in questions]
    together: dict[int, Answer] = {}
    for index, piece in starter.generate_many([[each] for each in questions] * 2, sampling):
        if piece.answer is not None:
            together[index] = piece.answer
    assert [together[i].text for i in range(6)] == alone * 2


def test_what_is_forced_needs_no_step(starter: LocalEngine) -> None:
    told = answer(starter, question(), sampling=shaped("shape circle|square, n int 1..9"))
    value = json.loads(told.text)
    assert (value["shape"] in ("circle", "square"), 1 <= value["n"] <= 9) == (True, True)
    assert told.usage.forced_tokens > told.usage.completion_tokens / 2


def test_an_answer_that_is_cut_off_says_so(starter: LocalEngine) -> None:
    told = answer(starter, question(), sampling=shaped(FIELDS, max_tokens=5))
    assert (told.finish_reason, told.usage.completion_tokens) == ("length", 5)


def test_a_context_that_is_full_cuts_it_too(tiny: Random) -> None:
    with engine.load(tiny.weights, tiny.projector, Options(n_ctx=256)) as running:
        told = answer(running, user("word " * 30), sampling=shaped("x str 200..", temperature=1, seed=1))
    assert (told.finish_reason, told.n_past) == ("length", 256)


def test_the_next_question_without_a_schema_is_free_again(starter: LocalEngine) -> None:
    before = answer(starter, question(), sampling=Sampling(temperature=0)).text
    answer(starter, question(), sampling=shaped(FIELDS))
    assert answer(starter, question(), sampling=Sampling(temperature=0)).text == before


# what cannot be kept to


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        ({"type": "object", "not": {}}, "`not` is not supported"),
        ({"if": {}, "then": {}}, "`if`, `then` are not supported"),
        ({"type": "array", "uniqueItems": True}, "`uniqueItems`"),
        ({"type": "string", "format": "iri"}, "`iri`"),
        ({"type": "arry"}, "`arry` is not a `type`"),
        ({"$ref": "http://example.com/a.json"}, "`$ref`"),
        ({"type": "integer", "minimum": 5, "maximum": 1}, "minimum (5) is greater"),
    ],
)
def test_a_schema_that_cannot_be_kept_to_is_refused(schema: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        grammar.compiled(schema)
    assert named in caught.value.message


# reasoning


@pytest.fixture
def weights() -> Iterator[mtmd.Weights]:
    header = mtmd.Weights.header(STARTER / "starter.gguf")
    yield header
    header.close()


def shape_of(weights: mtmd.Weights, reader: Detokenizer, *, think: bool) -> Shape:
    vocabulary = GrammarVocabulary(weights)
    return Shape(weights, reader, lambda: vocabulary.matcher('{"type": "boolean"}'), think=think)


def may_come(shape: Shape, weights: mtmd.Weights, text: str) -> bool:
    return shape._allows(weights.tokenize(text, special=False)[0])


def test_reasoning_comes_first_where_it_is_wanted(weights: mtmd.Weights) -> None:
    reader = Detokenizer()
    shape = shape_of(weights, reader, think=True)
    assert may_come(shape, weights, "<think>") and may_come(shape, weights, "true")
    assert not may_come(shape, weights, "what")
    assert shape.forced(9) == []
    reader.feed(b"<think>it is")
    assert may_come(shape, weights, "what")
    reader.feed(b" red</think>")
    assert may_come(shape, weights, "true") and not may_come(shape, weights, "what")


def test_without_reasoning_the_answer_begins_at_once(weights: mtmd.Weights) -> None:
    shape = shape_of(weights, Detokenizer(), think=False)
    assert may_come(shape, weights, "true") and not may_come(shape, weights, "<think>")


def test_reasoning_that_the_prompt_has_begun_goes_on(weights: mtmd.Weights) -> None:
    reader = Detokenizer(open_reasoning="</think>")
    shape = shape_of(weights, reader, think=False)
    assert may_come(shape, weights, "what") and shape.forced(9) == []
    reader.feed(b"hm</think>")
    assert not may_come(shape, weights, "what")


# loops


def test_equal_records_are_no_loop_and_a_string_that_repeats_itself_is() -> None:
    guard = LoopGuard()
    for _ in range(60):
        for token, text in enumerate(('{"', "a", '":', " 1", "}", ", ")):
            guard.follow_json(text)
            assert not guard.looping(token)
    guard.follow_json('"')
    assert any([guard.follow_json("la ") or guard.looping(99) for _ in range(200)])
