"""docs/chat.svg shows what a chat shows today, and nothing in it is fetched."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("pexpect", reason="needs a pseudo-terminal")
pytest.importorskip("termios", reason="needs a pseudo-terminal")

from tests import screenshot  # noqa: E402
from tests.screenshot import Cell  # noqa: E402

COMMITTED = screenshot.CHAT.read_text("utf-8")


def test_the_picture_shows_the_same_words_as_a_chat_today(environment: dict[str, str]) -> None:
    fresh = screenshot.chat(environment)
    assert screenshot.text_of(COMMITTED) == screenshot.text_of(fresh), "python -m tests.screenshot writes it"
    assert {">"} | {f"> {question}" for question in screenshot.QUESTIONS} <= set(screenshot.text_of(fresh).splitlines())
    assert "<rect" in fresh.partition("<text")[2]  # the picture itself


def test_the_picture_fetches_nothing_and_runs_nothing() -> None:
    assert re.findall(r"https?:[^\"]*", COMMITTED) == [screenshot.SVG]
    assert not re.search(r"<(script|image|style|foreignObject|use)\b|href|url\(|@import|\bon\w+=", COMMITTED)
    assert len(COMMITTED) < 60_000


def test_the_pages_show_the_picture() -> None:
    for page in ("README.md", "docs/chat.md", "docs/tutorial.md"):
        assert "chat.svg)" in (screenshot.ROOT / page).read_text("utf-8"), page


def test_words_come_back_from_the_picture_at_their_columns_and_half_blocks_become_two_colors() -> None:
    def row(text: str, **how: object) -> list[Cell]:
        looks = {"color": "#111111", "under": "#222222", "is_bold": False} | how
        return [Cell(char, **looks) for char in text.ljust(screenshot.COLUMNS)]  # type: ignore[arg-type]

    svg = screenshot.drawn([row("a <b> & c"), row(""), row("▀▀ after"), row(">"), row(""), row("status")], "t")
    assert screenshot.text_of(svg).splitlines() == ["a <b> & c", "   after", ">", "status"]
    assert re.findall(r'<rect x.*?fill="(.*?)"', svg) == ["#111111", "#222222"]
