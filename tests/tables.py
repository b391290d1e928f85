"""The generated tables of the documentation: `python -m tests.tables` writes them all.

Here are those of models in README.md and docs/models.md, made from models.toml; tests/option_tables.py has the options.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mmcli.models import Entry, catalogue, memory
from tests import option_tables

ROOT = Path(__file__).parents[1]
FEW = ("smolvlm-500m", "qwen3-vl-2b", "qwen3-vl-4b", "gemma-4-e4b", "glm-ocr")  # the README's
TABLES = {
    ROOT / "README.md": (("name", "download", "memory", "licence", "about"), FEW),
    ROOT / "docs" / "models.md": (("name", "download", "memory", "takes", "licence", "about"), None),
}


def rewritten(page: Path) -> str:
    """The page's text with its table of models as models.toml has it now."""
    columns, names = TABLES[page]
    head = f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n"
    text = page.read_text("utf-8")
    assert text.count(head) == 1, f"{page.name} has no table that begins {head!r}"
    entries = catalogue.load()
    table = "".join(row(name, entries[name], columns) for name in names or entries)
    return re.sub(rf"{re.escape(head)}(?:\|.*\n)*", lambda found: head + table, text)


def row(name: str, entry: Entry, columns: Sequence[str]) -> str:
    needs = memory.of_entry(entry)
    unknown = "built in" if entry.builtin else "not verified"
    cells = {
        "name": f"`{name}`",
        "download": f"{entry.n_bytes / 1e9:.2f} GB" if entry.n_bytes else unknown,
        "memory": f"{needs.total(needs.n_ctx) / 1e9:.1f} GB" if needs else "0.2 GB" if entry.builtin else "-",
        "takes": ", ".join(entry.abilities),
        "licence": entry.licence,
        "about": entry.about,
    }
    return f"| {' | '.join(cells[column] for column in columns)} |\n"


if __name__ == "__main__":
    for page in TABLES:
        page.write_text(rewritten(page), "utf-8")
    for page, made in option_tables.PAGES.items():
        page.write_text(made(), "utf-8")
