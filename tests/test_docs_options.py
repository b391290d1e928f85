"""The generated pages list the program's options and settings, and no other page has a table of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mmcli.commands.pages import Option
from tests import option_tables

ROOT = Path(__file__).parents[1]
HAND_WRITTEN = [
    page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if page not in option_tables.PAGES
]


@pytest.mark.parametrize("page", option_tables.PAGES, ids=lambda page: page.name)
def test_a_generated_page_is_what_the_program_has_today(page: Path) -> None:
    assert page.read_text("utf-8") == option_tables.PAGES[page](), "python -m tests.tables writes it"


def test_the_options_page_has_every_option_of_every_command() -> None:
    sections = dict(re.findall(r"^## (mmcli .*?)\n(.*?)(?=^## |\Z)", option_tables.options_page(), re.M | re.S))
    for page in option_tables.every_page()[1:]:
        rows = re.findall(r"^\| (`-.*?) \| ", sections[page.path], re.M)
        options = [option for option in page.options if option.name not in ("--help", "--help-all", "--offline")]
        assert len(rows) == len(options)
        for option in options:
            assert any(all(f"`{name}" in row for name in (*option.names, *option.off)) for row in rows), option.name


def test_the_settings_table_has_every_setting_once() -> None:
    text = option_tables.CONFIGURATION.read_text("utf-8").partition("## Every setting")[2].partition("\n## ")[0]
    keys = re.findall(r"^\| `([a-z-]+)` \| `MMCLI_", text, re.M)
    wanted = {option.setting for page in option_tables.every_page() for option in page.options if option.setting}
    assert len(keys) == len(wanted) and set(keys) == wanted


def test_a_row_escapes_what_a_table_would_take_for_its_own() -> None:
    option = Option(("--talk",), (), "auto|hold", "When", "Or | never.", limits="1 to 5", variable="MMCLI_TALK")
    page = option_tables.every_page()[1]
    assert option_tables.row(page, option) == (
        r"| `--talk auto\|hold` | `MMCLI_TALK` |  | When. Or \| never. From 1 to 5. "
        "([more](voice.md#toggle-and-hold)) |"
    )


def test_every_link_of_an_option_belongs_to_an_option() -> None:
    pages = option_tables.every_page()
    names = {option.name for page in pages for option in page.options}
    assert set(option_tables.MORE) <= names
    assert set(option_tables.MORE_OF) <= {f"{page.path} {option.name}" for page in pages for option in page.options}


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=lambda page: page.name)
def test_no_other_page_has_a_table_of_options(page: Path) -> None:
    rows = re.findall(r"^\| `-{1,2}[a-z].*$", page.read_text("utf-8"), re.M)
    assert len(rows) < 3, rows
