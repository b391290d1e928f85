"""Citations: pages that were shown, quotes that are on them; and a question that is asked of each page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from mmcli import media
from mmcli.chat import parts
from mmcli.documents import cite
from mmcli.documents.cite import Citation, ShownPage
from mmcli.documents.each import NOTHING, EachPage
from mmcli.engine import Message, Sampling, grammar
from mmcli.errors import OutputError
from mmcli.media import Medium, PagesWanted, Source, Wanted
from mmcli.media.pages import PagedDocument
from tests import documents, scripted
from tests.conftest import Run
from tests.scripted_engine import ScriptedEngine

PAGES = [
    ShownPage("a.pdf#page=1", "The net result\nwas 4.2 million eu-\nros in the year 2025."),
    ShownPage("a.pdf#page=2", "Costs fell by -3 % to 17.9 million."),
    ShownPage("a.pdf#page=3", ""),
]


def verdicts(answer: str, shown: Sequence[ShownPage] = PAGES) -> list[tuple[str | None, str | None, bool | None]]:
    return [(found.source, found.quote, found.verified) for found in cite.checked(answer, shown)]


@pytest.mark.parametrize(
    "answer, expected",
    [
        ("It was “4.2 million euros” [a.pdf#page=1].", ("a.pdf#page=1", "4.2 million euros", True)),
        ('As it says, "The NET result was" [a.pdf#page=1]', ("a.pdf#page=1", "The NET result was", True)),
        ("«The net … year 2025» [a.pdf#page=1]", ("a.pdf#page=1", "The net … year 2025", True)),
        ("“42 million euros” [a.pdf#page=1]", ("a.pdf#page=1", "42 million euros", False)),
        ("“by 3 % to” [a.pdf#page=2]", ("a.pdf#page=2", "by 3 % to", False)),
        ("“17.9 million” [a.pdf#page=1]", ("a.pdf#page=1", "17.9 million", False)),
        ("“year 2025 … net result” [a.pdf#page=1]", ("a.pdf#page=1", "year 2025 … net result", False)),
        ("It fell [a.pdf#page=7].", ("a.pdf#page=7", None, False)),
        ("It fell [b.pdf#page=1].", ("b.pdf#page=1", None, False)),
        ("It fell [a.pdf#page=2].", ("a.pdf#page=2", None, None)),
        ("“Signed” [a.pdf#page=3]", ("a.pdf#page=3", "Signed", None)),
        ("“a” [a.pdf#page=1]", ("a.pdf#page=1", "a", False)),
        ("It says “Costs fell”.", ("a.pdf#page=2", "Costs fell", True)),
        ("It says “costs rose”.", (None, "costs rose", False)),
        ("“Costs fell” (page 2)", ("a.pdf#page=2", "Costs fell", True)),
        ("“Costs fell” [p. 9]", ("a.pdf#page=9", "Costs fell", False)),
    ],
)
def test_citations_are_checked(answer: str, expected: tuple[str | None, str | None, bool | None]) -> None:
    assert verdicts(answer) == [expected]


def test_each_page_is_checked_with_the_quotes_before_it() -> None:
    answer = "“4.2 million euros” [a.pdf#page=1], and “Costs fell” [a.pdf#page=1-2]. “Costs fell” [a.pdf#page=2]"
    assert verdicts(answer) == [
        ("a.pdf#page=1", "4.2 million euros", True),
        ("a.pdf#page=1", "Costs fell", False),
        ("a.pdf#page=2", "Costs fell", True),
    ]
    assert "but on a.pdf#page=2" in cite.checked(answer, PAGES)[1].reason


def test_a_model_may_leave_out_the_folder_and_names_may_hold_anything() -> None:
    shown = [ShownPage("docs/net [1].pdf#page=1", "Costs fell"), ShownPage("docs/b.pdf#page=1", "")]
    assert verdicts("x [b.pdf#page=1]", shown) == [("docs/b.pdf#page=1", None, None)]
    assert verdicts("x (page 1)", shown) == []  # of which?
    assert verdicts("[#page=99999999999] [a.pdf#page=1-999999999]")[0][2] is False


def test_an_answer_without_citations_has_none() -> None:
    assert cite.checked("It fell by half [1], see (2025).", PAGES) == []
    assert cite.asked_for(PAGES).count("[a.pdf#page=1]") == 1


def load(*texts: str) -> PagedDocument:
    wanted = Wanted(pages=PagesWanted(text="only", at_once=0))
    document = media.load(Source("a.pdf", data=documents.pdf(*texts)), wanted=wanted)
    assert isinstance(document, PagedDocument)
    return document


def every_page(engine: ScriptedEngine, *texts: str) -> EachPage:
    def as_messages(new: Sequence[Medium], words: str) -> list[Message]:
        return [Message("user", parts(new, words))]

    return EachPage([load(*texts)], "Where is the zebra?", engine, as_messages, Sampling())


def test_every_page_is_asked_by_itself_and_those_that_answer_make_the_answer() -> None:
    engine = ScriptedEngine(f"{NOTHING}.", "It lives here.", "not here", "On page 3 [a.pdf#page=3].")
    each = every_page(engine, "one", "", "zebra", "four")
    each.ask()
    assert each.note == "1 of 4 pages answer the question, each asked by itself: 3; 1 is blank"
    (*_, last) = each.pieces()
    assert len(engine.asked) == 4
    assert "[a.pdf#page=3] It lives here." in str(engine.asked[-1])
    assert last.answer is not None and last.answer.text == "On page 3 [a.pdf#page=3]."
    assert last.answer.usage.prompt_tokens > 40
    (found,) = each.found()
    assert isinstance(found, PagedDocument) and found.numbers == (3,)
    assert [page.source for page in each.shown] == ["a.pdf#page=1", "a.pdf#page=3", "a.pdf#page=4"]


def test_where_no_page_answers_that_is_said() -> None:
    with pytest.raises(OutputError) as caught:
        every_page(ScriptedEngine(NOTHING), "one", "two").ask()
    assert caught.value.message == "none of the 2 pages answers the question"


def test_what_many_pages_say_is_summed_up_in_steps() -> None:
    engine = ScriptedEngine("It is " + "a very long story " * 12, n_ctx=420)
    each = every_page(engine, *map(str, range(12)))
    each.ask()
    (*_, last) = each.pieces()
    assert last.answer is not None and len(engine.asked) > 13
    assert all(f"[a.pdf#page={pages}]" in str(engine.asked[-1]) for pages in ("1-4", "5-8", "9-12"))


def test_citations_are_checked_on_the_command_line(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "net.pdf").write_bytes(documents.pdf("Costs fell.", "The net result was 4.2 million euros."))
    said = ["The result:", " “4.2 million euros”", " [net.pdf#page=2].", " It was “fine”", ", they say."]
    weights = scripted.write(tmp_path, said)
    ask = ("ask", "net.pdf", "What?", "--text", "only", "--cite", "-m", weights, "--temperature", "0")
    done = mmcli(*ask)
    assert done.status == 0 and done.stdout.startswith("The result:")
    told = " ".join(done.stderr.split())
    assert "note: verified: net.pdf#page=2: “4.2 million euros” the quote is on the page" in told
    assert "warning: not verified: no page: “fine” the quote is on no page that was shown" in told
    found = mmcli(*ask, "--json").json["citations"]
    assert [(each["source"], each["quote"], each["verified"]) for each in found] == [
        ("net.pdf#page=2", "4.2 million euros", True),
        (None, "fine", False),
    ]
    assert Citation("a", None, None, "x").verified is None


def test_a_page_that_was_not_shown_cannot_be_named(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "net.pdf").write_bytes(documents.pdf("Costs fell.", "The net result."))
    weights = scripted.write(tmp_path, ["So", " it", " is", " [net.pdf#page=7]", " and", " so", " on"])
    ask = ("ask", "net.pdf", "What?", "--text", "only", "-m", weights, "--temperature", "0", "--max-tokens", "60")
    assert "[net.pdf#page=7]" in mmcli(*ask).stdout  # what it says of itself
    done = mmcli(*ask, "--cite")
    assert done.stdout.startswith("So it is") and "page=7" not in done.stdout
    assert re.sub(r"\[net\.pdf#page=[12]\]", "", done.stdout).count("[") <= 1  # the last may be cut off


def test_the_grammar_of_citations_takes_any_name() -> None:
    odd = [ShownPage('of/ä "b" \\ [c].pdf#page=12', ""), ShownPage("a.pdf#page=1", "")]
    told = cite.grammar(odd)
    assert told is not None and grammar.of_lark(told)
    assert cite.grammar([]) is None


def test_every_page_on_the_command_line(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "net.pdf").write_bytes(documents.pdf("Costs fell.", "", "The net result."))
    weights = scripted.write(tmp_path, ["It", " says", " so."])
    done = mmcli("ask", "net.pdf", "What?", "--every-page", "--text", "only", "-m", weights, "--json")
    assert [receipt["page"] for receipt in done.json["receipts"]] == [1, 3]
    assert done.json["notes"] == ["2 of 3 pages answer the question, each asked by itself: 1, 3; 1 is blank"]
    assert done.json["answer"] == "It says so."
    refused = mmcli("ask", "net.gguf", "What?", "--cite", "-m", weights)
    assert refused.status == 3
