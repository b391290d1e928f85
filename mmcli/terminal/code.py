"""Extracts the code blocks of an answer. Knows Markdown; prints nothing."""

from __future__ import annotations


def first_block(text: str) -> str | None:
    """What the first fenced code block of a Markdown text holds, without its fences; None where there is none.

    A block that the end of the text cuts off counts.
    """
    if "```" not in text and "~~~" not in text:
        return None
    from markdown_it import MarkdownIt

    blocks = [token.content for token in MarkdownIt("commonmark").parse(text) if token.type == "fence"]
    return blocks[0] if blocks else None
