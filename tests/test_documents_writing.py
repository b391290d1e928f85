"""What models write of a page → Markdown: DocTags, dots.ocr's JSON, fences; numbers that a page does not have."""

from __future__ import annotations

import json

import pytest

from mmcli.documents import rendering, writing

DOCTAGS = """<doctag><page_header><loc_1><loc_2><loc_3><loc_4>Annual report</page_header>
<title><loc_10>Results &amp; outlook</title>
<section_header_level_1>Income</section_header_level_1>
<text><loc_5>The year was <bold>good</bold>.</text>
<unordered_list><list_item>• first</list_item><list_item>second</list_item>
<ordered_list><list_item>1. inner</list_item><list_item>other</list_item></ordered_list></unordered_list>
<otsl><loc_1><caption>Table 1</caption><ched>Item<ched>Price<nl><fcel>Apples<fcel>3.50<nl></otsl>
<formula>E = mc^2</formula>
<code><_Python_>print("```")</code>
<picture><caption>A photo</caption></picture>
</doctag>"""


def test_doctags_become_markdown() -> None:
    assert writing.as_markdown("doctags", DOCTAGS).split("\n\n") == [
        "Annual report",
        "# Results & outlook",
        "## Income",
        "The year was good .",
        "- first\n- second\n   1. inner\n   2. other",
        "Table 1",
        "| Item | Price |\n| --- | --- |\n| Apples | 3.50 |",
        "$$\nE = mc^2\n$$",
        '````python\nprint("```")\n````',
        "A photo",
    ]


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("just words", "just words"),
        ("<text>cut of", "cut of"),
        ("<text>one<text>two</text>", "one\n\ntwo"),
        ("<doctag></doctag>", ""),
        ("<otsl><nl><nl></otsl>", ""),
        ("</list_item></unordered_list><text>x</text>", "x"),
    ],
)
def test_doctags_that_are_not_whole(text: str, markdown: str) -> None:
    assert writing.as_markdown("doctags", text) == markdown


LAYOUT = [
    {"bbox": [1, 2, 3, 4], "category": "Title", "text": "# Report"},
    {"bbox": [1, 2, 3, 4], "category": "Section-header", "text": "Income"},
    {"bbox": [1, 2, 3, 4], "category": "Text", "text": "It {was} good."},
    {"bbox": [1, 2, 3, 4], "category": "Picture"},
    {"bbox": [1, 2, 3, 4], "category": "Formula", "text": "a^2"},
    {"bbox": [1, 2, 3, 4], "category": "Table", "text": "<table><tr><td>1</td></tr></table>"},
]


def test_layout_json_becomes_markdown_and_what_is_none_stays() -> None:
    wanted = "# Report\n\n## Income\n\nIt {was} good.\n\n$$\na^2\n$$\n\n<table><tr><td>1</td></tr></table>"
    text = json.dumps(LAYOUT)
    assert writing.as_markdown("layout-json", text) == wanted
    assert writing.as_markdown("layout-json", f"```json\n{text}\n```") == wanted
    assert writing.as_markdown("layout-json", text[: text.index('{"bbox": [1, 2, 3, 4], "category": "Formula"')]) == (
        "# Report\n\n## Income\n\nIt {was} good."
    )
    for other in ("The text alone.", "[1, 2]", '{"a": 1}', "[" * 5000):
        assert writing.as_markdown("layout-json", other) == other


def test_a_fence_around_all_of_it_is_no_part_of_it() -> None:
    assert writing.as_markdown("markdown", "```markdown\n# A\n\nb\n```") == "# A\n\nb"
    assert writing.as_markdown("markdown", "# A\n```\nx\n```") == "# A\n```\nx\n```"


def test_numbers_are_compared_without_what_groups_their_digits() -> None:
    layer = "Total 1,234.50 in 2024, page 7"
    assert writing.strange_numbers("Total 1,234.50 in 2024; 7", layer) == []
    assert writing.strange_numbers("Total 1.284,50 and 1.284,50 in 2025", layer) == ["1.284,50", "2025"]


def test_markdown_as_plain_text() -> None:
    text = (
        "# A **b**\n\n| a | b \\| c |\n| --- | --- |\n| 1 | 2 |\n\n\\# no\n<table><tr><td>x</td><td>y</td></tr></table>"
    )
    assert rendering.plain(text) == "A b\n\na\tb | c\n1\t2\n\n# no\nx\ty\n"
