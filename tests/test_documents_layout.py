"""Lines with boxes → blocks: columns, headings, paragraphs, tables; and tables as models write them."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import pytest

from mmcli.documents import layout, tables


@dataclass(frozen=True)
class Line:
    text: str
    box: layout.Box


def line(x: float, y: float, text: str, height: float = 20) -> Line:
    """A line whose letters are half as wide as it is high."""
    return Line(text, (x, y, x + len(text) * height / 2, y + height))


def column(x: float, y: float, *texts: str) -> list[Line]:
    return [line(x, y + 26 * at, text) for at, text in enumerate(texts)]


def markdown(lines: list[Line]) -> str:
    return layout.markdown(layout.blocks(lines))


LEFT = (
    "alpha beta gamma delta eps",
    "zeta eta theta iota kappa",
    "lambda mu nu xi omicron pi",
    "rho sigma tau upsilon phi",
)
RIGHT = (
    "one two three four five si",
    "seven eight nine ten eleve",
    "twelve thirteen fourteen f",
    "sixteen seventeen eightee",
)


def test_columns_are_read_one_after_the_other_below_a_heading_that_spans_them() -> None:
    heading = line(40, 20, "A heading over both columns", 40)
    lines = [*column(40, 100, *LEFT), *column(400, 100, *RIGHT), heading]
    assert markdown(lines) == f"# A heading over both columns\n\n{' '.join(LEFT)}\n\n{' '.join(RIGHT)}"


def test_another_heading_ends_the_columns_above_it() -> None:
    middle = line(40, 250, "Something that goes from the left edge to the very right one of it")
    lines = [
        *column(40, 100, *LEFT),
        *column(400, 100, *RIGHT),
        middle,
        *column(40, 320, *RIGHT),
        *column(400, 320, *LEFT),
    ]
    places = [markdown(lines).index(text) for text in (LEFT[0], RIGHT[0], middle.text)]
    assert places == sorted(places)
    assert markdown(lines).rindex(RIGHT[0]) < markdown(lines).rindex(LEFT[0])


def test_the_order_in_which_lines_were_found_does_not_matter() -> None:
    lines = [*column(40, 100, *LEFT), *column(400, 100, *RIGHT)]
    assert markdown(lines) == markdown(lines[::-1])


def test_paragraphs_end_at_a_gap_and_an_indent_and_divided_words_are_one() -> None:
    lines = [
        *column(40, 0, "This is a long line with a divi-", "ded word and non-", "Western names, which ends here."),
        line(70, 78, "Here the next one begins, indented."),
        *column(40, 104, "And it goes on below it, as usual."),
        *column(40, 200, "Far below stands a third paragraph."),
    ]
    assert markdown(lines).split("\n\n") == [
        "This is a long line with a divided word and non- Western names, which ends here.",
        "Here the next one begins, indented. And it goes on below it, as usual.",
        "Far below stands a third paragraph.",
    ]


def test_stretches_of_one_line_are_joined_and_leaders_are_dropped() -> None:
    lines = [
        line(40, 0, "A bold"),
        line(110, 0, "word"),
        line(40, 60, "Contents"),
        line(140, 60, "........"),
        line(260, 60, "7"),
    ]
    assert markdown(lines) == "A bold word\n\nContents 7"


def test_rows_of_short_cells_are_a_table_and_cells_below_each_other_a_column() -> None:
    rows = (("Item", "Count", "Price"), ("Apples", "12", "3.50"), ("Pears", "", "4.00"), ("Plums", "7", "9.25"))
    lines = [line(60 + 200 * x, 100 + 30 * y, cell) for y, row in enumerate(rows) for x, cell in enumerate(row) if cell]
    (block,) = layout.blocks([*lines])
    assert block.rows == rows
    before, table, after = layout.blocks([line(40, 0, "Our prices are these:"), *lines, line(40, 300, "All in euros.")])
    assert (before.text, table.rows, after.text) == ("Our prices are these:", rows, "All in euros.")


def test_bullets_are_a_list_and_marks_of_markdown_are_escaped() -> None:
    assert markdown(column(40, 0, "• first", "• second", "# no heading")) == "- first\n\n- second # no heading"
    assert markdown([line(40, 0, "# no heading")]) == r"\# no heading"


def test_an_empty_page_has_no_blocks() -> None:
    assert layout.blocks([]) == [] and layout.blocks([line(0, 0, "   ")]) == []


# tables


def test_html_spans_are_repeated() -> None:
    html = """<p>x</p><table><thead><tr><th rowspan=2>Name</th><th colspan="2">Sizes &amp; more</th></tr>
    <tr><td>S<br>M</td><td>L</td></tr></thead><tr><td>A<td>1<td>2</table>"""
    assert tables.of_markdown(html) == [
        (("Name", "Sizes & more", "Sizes & more"), ("Name", "S M", "L"), ("A", "1", "2"))
    ]


def test_made_up_spans_take_no_memory() -> None:
    ((row,),) = tables.of_html("<table><tr><td colspan=999999999 rowspan=-3>x</td><td rowspan=zero>y</td></tr></table>")
    assert len(row) == 1001 and row[-1] == "y"
    many = "<table>" + "<tr><td colspan=1000 rowspan=1000>x</td></tr>" * 900 + "</table>"
    assert sum(map(len, tables.of_html(many)[0])) < 2_000_000


def test_a_table_in_a_cell_and_a_table_that_breaks_off_are_read() -> None:
    assert tables.of_html("<table><tr><td>a<table><tr><td>b</td></tr></table></td></tr></table>") == [(("a b",),)]
    assert tables.of_html("<table><tr><td>a</td><td>b") == [(("a", "b"),)]


def test_otsl_neighbours_are_repeated() -> None:
    otsl = "<otsl><loc_1><loc_2><ched>A<lcel><ched>B<nl><fcel>1<ecel><fcel>2 &amp; 3<nl><ucel><xcel><fcel>4<nl></otsl>"
    assert tables.of_markdown(otsl) == [(("A", "A", "B"), ("1", "", "2 & 3"), ("1", "1", "4"))]


def test_markdown_tables_stand_in_the_order_of_the_page() -> None:
    text = "| a | b |\n|---|---|\n| `x|y` | 1 |\n\n<table><tr><td>h</td></tr></table>\n\n|c|\n|-|\n|d \\| e|\n"
    assert [rows[0][0] for rows in tables.of_markdown(text)] == ["a", "h", "c"]
    assert tables.of_markdown(text)[2] == (("c",), ("d | e",))
    assert tables.of_markdown("no table | here") == []


@pytest.mark.parametrize("rows", [(("a", 'say "x"'), ("1,5", "two\nlines")), (("=1+1", ""),)])
def test_csv_is_that_of_rfc_4180(rows: tables.Rows) -> None:
    text = tables.as_csv(rows)
    assert text.endswith("\r\n") and tuple(map(tuple, csv.reader(io.StringIO(text, newline="")))) == rows


def test_a_table_written_as_markdown_or_html_is_the_same_when_read() -> None:
    rows = (("a|b", "c"), ("<i>", "d & e"))
    assert tables.of_markdown(tables.as_markdown(rows)) == [rows]
    assert tables.of_html(tables.as_html(rows)) == [rows]
