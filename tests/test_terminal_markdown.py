"""A streamed Markdown answer ends up as the whole would have been shown, and comes word by word."""

import io
import random

import pytest
from rich.console import Console

from mmcli.terminal import inline
from mmcli.terminal.markdown import MarkdownStream
from tests.markdown_documents import (
    DOCUMENT,
    DOCUMENTS,
    LONG_LIST,
    LONG_LISTING,
    console,
    shown,
    streamed,
    whole,
)


@pytest.mark.parametrize("width", [20, 40, 80])
@pytest.mark.parametrize("step", [1, 3, 7, 50])
@pytest.mark.parametrize("text", DOCUMENTS, ids=["all", "list", "listing", "numbers"])
def test_streamed_in_pieces_it_looks_as_if_rendered_at_once(text: str, step: int, width: int) -> None:
    assert streamed(text, step, width) == whole(text, width)


@pytest.mark.parametrize("seed", range(60))
def test_lines_thrown_together_at_random_look_the_same_in_pieces(seed: int) -> None:
    # Left out, as both need what comes later: links defined below their use, and tables without outer bars.
    lines = [line for line in DOCUMENT.splitlines() if "[ref]" not in line]
    lines += [
        "",
        "",
        "  - b",
        "2) y",
        "> > q",
        "```",
        "~~~",
        "     five",
        "*em",
        "b**",
        "`c",
        "[a",
        "---",
        "===",
        "-",
        "1.",
    ]
    lines += ["| a | b |", "|---|---|", "<div>", "#", "\\", "\t tab", "长" * 30, "x" * 100]
    pick = random.Random(seed)
    text = "\n".join(pick.choice(lines) for _ in range(pick.randint(1, 12)))
    expected = [line for line in whole(text, 40).splitlines() if line.strip()]
    for step in (1, 3, 50):
        assert [line for line in streamed(text, step, 40).splitlines() if line.strip()] == expected


def test_the_rendering_is_what_a_person_expects() -> None:
    assert whole(DOCUMENT[DOCUMENT.index("Steps") : DOCUMENT.index("- loose")], 60) == (
        "Steps:\n"
        "1. First item\n"
        "2. Second item, which is so much longer than the others that\n"
        "   it has to be wrapped somewhere, at 80 columns too\n"
        "\n"
        "   and a second paragraph\n"
        "3. Third\n"
        "   ◦ nested a\n"
        "   ◦ nested b\n"
        "     ▪ deep c\n"
        "       def f(x):\n"
        "\n"
        "           return x ** 2  # list[int]\n"
        "   ◦ nested c\n"
        "4. Fourth\n"
    )
    assert whole("| Name | Age |\n|:--|--:|\n| 李雷 | 7 |\n| Ann | 42 |\n") == (
        "Name   Age\n──────────\n李雷     7\nAnn     42\n"
    )
    assert whole("> quoted\n> lines\n>\n> - item\n") == "│ quoted\n│ lines\n│\n│ • item\n"


def test_words_arrive_while_the_paragraph_is_being_written() -> None:
    on = console()
    stream = MarkdownStream(on)
    stream.feed("Hello wor")
    assert shown(on) == "Hello"
    stream.feed("ld, this is **bo")
    assert shown(on) == "Hello world, this is"
    stream.feed("ld** text")
    assert shown(on) == "Hello world, this is bold"
    stream.close()
    assert shown(on) == "Hello world, this is bold text\n"


def test_chinese_arrives_without_spaces() -> None:
    on = console()
    stream = MarkdownStream(on)
    stream.feed("这是一个")
    assert shown(on) == "这是一"


def test_a_long_listing_and_a_long_list_do_not_wait_for_their_end() -> None:
    on = console()
    stream = MarkdownStream(on)
    stream.feed(LONG_LISTING[: LONG_LISTING.index("x50")])
    assert shown(on).splitlines() == [f"x{i} = {i}" for i in range(50)]
    on = console()
    stream = MarkdownStream(on)
    stream.feed(LONG_LIST[: LONG_LIST.index("- item 50")])
    assert [line[:9].strip() for line in shown(on).splitlines()[:49]] == [f"• item {i}" for i in range(49)]


def test_an_emphasis_that_never_closes_does_not_hold_the_answer_forever() -> None:
    on = console()
    stream = MarkdownStream(on)
    stream.feed("A **lone mark " + "and words " * (inline.MAX_HELD // 5))
    assert shown(on).count("words") > inline.MAX_HELD // 20


def test_a_long_answer_keeps_only_its_unprinted_end() -> None:
    stream = MarkdownStream(console())
    most = 0
    for i in range(0, len(10 * DOCUMENT), 50):
        stream.feed((10 * DOCUMENT)[i : i + 50])
        most = max(most, len("".join(stream._lines)))
    assert most < len(DOCUMENT) / 3
    stream = MarkdownStream(console())
    stream.feed(LONG_LISTING[:-4] * 10)
    assert len(stream._lines) == 1


def test_square_brackets_are_never_markup_of_ours() -> None:
    for text in ("list[int]", "see [/foo]", "[red]x[/]", "[bold]x", ":smile: [link=http://a]b[/link]"):
        assert streamed(text, 1) == text + "\n"
        assert streamed(f"```\n{text}\n```", 3) == text + "\n"


def test_a_link_shows_where_it_leads_and_is_no_hyperlink() -> None:
    result = streamed("A [bank](https://evil.example) and <https://a.b>, ![cat](c.png)", 3, force_terminal=True)
    assert "bank" in result and "(https://evil.example)" in result.replace("\x1b[0m", "")
    assert result.count("https://a.b") == 1
    assert "\x1b]8" not in result


@pytest.mark.parametrize("step", [1, 3, 50])
def test_html_is_shown_as_the_text_it_is(step: int) -> None:
    assert streamed("<script>alert(1)</script>\n\na <b>bold</b> word", step) == (
        "<script>alert(1)</script>\n\na <b>bold</b> word\n"
    )


@pytest.mark.parametrize("step", [1, 2, 5, 1000])
def test_escapes_do_not_come_through_raw_or_as_entities(step: int) -> None:
    text = "a\x1b]52;c;eA==\x07b \x1b[31m**c**\x9b0m &#27;[31m &#x202e;x [l](http://a/%1b\x1b[1m)\n```\n\x1b[2J\u202ey\n```\n"
    result = streamed(text, step)
    assert result.startswith("ab c \ufffd[31m x l")
    assert not any(char in result for char in "\x1b\x9b\x07\u202e")


@pytest.mark.parametrize("seed", range(30))
def test_no_place_in_a_document_lets_an_escape_through(seed: int) -> None:
    pick = random.Random(seed)
    payloads = ["\x1b[2J", "\x1b]8;;http://evil\x1b\\", "\x9b1m", "\u202e", "&#x202e;", "\r", "\x07", "%1b[1m", "\x1b]"]
    text = DOCUMENT
    for _ in range(40):
        place = pick.randrange(len(text))
        text = text[:place] + pick.choice(payloads) + text[place:]
    for step in (1, 3, 50):
        assert not set("\x1b\x9b\u202e\r\x07\x9d") & set(streamed(text, step))


def test_deep_nesting_loses_no_words() -> None:
    assert "word" in streamed(">" * 60 + " word", 3)
    assert "word" in streamed("".join("  " * i + "- x\n" for i in range(40)) + "  " * 40 + "- word", 3, 40)


def test_without_a_terminal_there_are_no_escapes() -> None:
    assert "\x1b" not in streamed(DOCUMENT, 7)
    assert "\x1b[" in streamed(DOCUMENT, 7, force_terminal=True)


def test_a_resize_applies_from_the_next_word_on() -> None:
    on = console(80)
    stream = MarkdownStream(on)
    stream.feed("word " * 20)
    on.width = 20
    stream.feed("word " * 20)
    stream.close()
    assert shown(on).split() == ["word"] * 40
    assert all(len(line) <= 20 for line in shown(on).splitlines()[2:])


def test_a_word_longer_than_the_line_is_folded_and_loses_nothing() -> None:
    result = streamed("- see " + "x" * 50 + " **" + "长" * 20 + "** end", 3, 20)
    assert all(len(line) <= 20 for line in result.splitlines())
    assert result.count("x") == 50 and result.count("长") == 20


def test_an_encoding_without_bullets_gets_plain_ones() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace", newline="\n")
    stream = MarkdownStream(Console(file=file, width=40, _environ={}))
    stream.feed("- one\n\n> two\n\n---\n")
    stream.close()
    assert isinstance(file.buffer, io.BytesIO)
    assert file.buffer.getvalue().decode() == "* one\n\n| two\n\n" + "-" * 40 + "\n"


@pytest.mark.parametrize(
    ("text", "n_settled"),
    [
        ("one two", 3),
        ("one **two three", 3),
        ("one **two** three", 11),
        ("one **two", 3),
        ("2 * 3 and", 5),
        ("snake_case_word and", 15),
        ("`a b` c", 5),
        ("see [a b](http://c d", 3),
        ("see [a b](http://c) d", 19),
        ("see [a b] d", 9),
        (r"a \* b", 4),
        ("trailing ", 0),
        ("一二三", 2),
        ("一二。", 1),
    ],
)
def test_settled_text_ends_where_nothing_is_open(text: str, n_settled: int) -> None:
    assert inline.settled(text) == n_settled
