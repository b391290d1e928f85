"""Tables on terminals of every width: what is left out, what is shortened, what stays whole."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from mmcli.terminal import columns

COLUMNS = ("name", "size_gb", "licence", "about")
SPARE = ("licence", "about", "size_gb")
ROWS = [
    ["qwen3-vl-2b", "1.552", "Apache-2.0", "reads 图像 of every kind, and says what is in them"],
    ["b", "-", "-", "x"],
]


@pytest.mark.parametrize("width", [12, 20, 30, 46, 60, 79, 80, 81, 200])
def test_no_line_is_wider_than_the_terminal_and_every_row_is_there(width: int) -> None:
    lines = columns.fitted(COLUMNS, {"": ROWS}, width, SPARE)
    assert [line.split()[0] for line in lines] == ["NAME", "qwen3-vl-2b", "b"]
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (200, ["NAME", "SIZE GB", "LICENCE", "ABOUT"]),
        (60, ["NAME", "SIZE GB", "LICENCE", "ABOUT"]),
        (50, ["NAME", "SIZE GB", "ABOUT"]),
        (30, ["NAME", "SIZE GB"]),
        (15, ["NAME"]),
    ],
)
def test_what_matters_least_goes_first(width: int, head: list[str]) -> None:
    lines = columns.fitted(COLUMNS, {"": ROWS}, width, SPARE)
    assert [word.strip() for word in lines[0].split("  ") if word] == head
    assert ("…" in lines[1]) == (width in (60, 50))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_long_name_stands_on_a_line_of_its_own_and_takes_no_other_column_its_room(width: int) -> None:
    name = "a-stranger-s-model-図-with-a-name-of-more-than-seventy-cells-and-more-q8-0"
    rows = [*ROWS, [name, "9.999", "MIT", "x"]]
    assert columns.left_out(COLUMNS, {"": rows}, width, SPARE) == columns.left_out(COLUMNS, {"": ROWS}, width, SPARE)
    lines = columns.fitted(COLUMNS, {"": rows}, width, SPARE)
    assert lines[:3] == columns.fitted(COLUMNS, {"": ROWS}, width, SPARE)
    assert lines[3] == name and lines[4].split()[0] == "9.999"
    assert lines[4].index("9.999") == lines[0].index("SIZE GB")


def test_what_is_left_out_can_be_told() -> None:
    assert columns.left_out(COLUMNS, {"": ROWS}, 200, SPARE) == []
    assert columns.left_out(COLUMNS, {"": ROWS}, 30, SPARE) == ["licence", "about"]


def test_sections_share_their_columns_and_empty_ones_are_left_out() -> None:
    lines = columns.fitted(("name", "here"), {"": [["a", "yes"]], "none": [], "of others": [["long", "no"]]}, 80)
    assert lines == ["NAME  HERE", "a     yes", "", "of others", "long  no"]


def test_a_table_of_paths_that_is_too_wide_is_told_row_by_row_with_whole_paths() -> None:
    path = "/somewhere/" + "x" * 100
    rows = [["a", path], ["b", path]]
    told = ["name     a", f"weights  {path}", "", "name     b", f"weights  {path}"]
    assert columns.fitted(("name", "weights"), {"": rows}, 80) == told
    assert len(columns.fitted(("name", "weights"), {"": rows}, 200)) == 3
