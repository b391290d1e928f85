"""How many of olmocr-bench's rules hold for what `mmcli read` makes of its pages: `python -m tests.bench.reading`.

Each page is read in four ways in one run: its painted text, the embedded reader on the rendered page, `pdftotext
-layout` (poppler), and rapidocr's own program on the same pixels, its lines in its own order. The rules are those of
allenai/olmocr (olmocr/bench/tests.py): a text is there, is absent, comes before another, or stands beside another in a
table. Those of formulas need a renderer and are counted apart.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmcli.documents import layout, ocr, tables
from mmcli.engine import hardware
from mmcli.media import pdf
from tests import documents

BENCH = next((path.parent for path in documents.real_files() if path.parent.name == "olmocr-bench"), Path("none"))
SIDE = 1920
KINDS = ("present", "order", "table", "absent")
Rule = dict[str, Any]


def rules(folder: Path = BENCH) -> list[Rule]:
    """Those whose file is here."""
    lines = (folder / "dataset.jsonl").read_text("utf-8").splitlines()
    found = [json.loads(line) for line in lines if line.strip()]
    for rule in found:
        rule["pdf"] = Path(rule["pdf"]).name
    return [rule for rule in found if (folder / rule["pdf"]).is_file()]


def holds(rule: Rule, markdown: str) -> bool:
    """Whether one rule holds for a page's Markdown."""
    if rule["type"] == "table":
        return any(_stands(rule, rows) for rows in tables.of_markdown(markdown))
    text = _normal(markdown)
    limit = int(rule.get("max_diffs", 0))
    if rule["type"] == "order":
        before, after = (list(_places(_normal(rule[name]), text, limit)) for name in ("before", "after"))
        return bool(before and after) and min(before) < max(after)
    wanted = _normal(rule["text"])
    if not rule.get("case_sensitive", True):
        wanted, text = wanted.lower(), text.lower()
    if rule.get("first_n") or rule.get("last_n"):
        n, m = rule.get("first_n") or 0, rule.get("last_n") or 0
        text = f"{text[:n]} {text[-m:] if m else ''}"
    is_there = any(True for _ in _places(wanted, text, limit))
    return is_there == (rule["type"] == "present")


def _normal(text: str) -> str:
    """As the bench compares: no marks of emphasis, one space for any, plain quotation marks and dashes."""
    text = re.sub(r"<br\s*/?>", " ", text)
    text = re.sub(r"(\*\*|__)(.*?)\1", r"\2", text)
    text = unicodedata.normalize("NFC", text)
    for letters, plain in (("‘’‚‛", "'"), ("“”„", '"'), ("–—‑‒−", "-")):
        text = re.sub(f"[{letters}]", plain, text)
    return " ".join(text.replace("…", "...").replace("|", " ").split())


def _places(wanted: str, text: str, limit: int) -> Iterator[int]:
    """Where `wanted` ends in the text with at most `limit` letters changed (Sellers' algorithm)."""
    letters = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    costs = np.zeros(len(letters) + 1, np.int32)
    steps = np.arange(len(letters) + 1)
    for letter in np.frombuffer(wanted.encode("utf-32-le"), np.uint32):
        changed = costs[:-1] + (letters != letter)
        best = np.concatenate(([costs[0] + 1], np.minimum(changed, costs[1:] + 1)))
        costs = np.minimum.accumulate(best - steps) + steps
    return iter(np.flatnonzero(costs[1:] <= limit).tolist())


def _stands(rule: Rule, rows: tables.Rows) -> bool:
    """Whether a cell with that text has that neighbour or heading."""
    for y, x in np.ndindex(len(rows), len(rows[0])):
        if not _alike(rule["cell"], rows[y][x]):
            continue
        column, row = [other[x] for other in rows], rows[y]
        seen = {
            "up": [column[y - 1]] if y else [],
            "down": column[y + 1 : y + 2],
            "left": [row[x - 1]] if x else [],
            "right": list(row[x + 1 : x + 2]),
            "top_heading": column[:y],
            "left_heading": list(row[:x]),
        }
        wanted = [(side, rule[side]) for side in seen if rule.get(side)]
        if all(any(_alike(text, other) for other in seen[side]) for side, text in wanted):
            return True
    return False


def _alike(wanted: str, cell: str) -> bool:
    return bool(list(_places(_normal(wanted), _normal(cell), max(0, len(wanted) // 8))))


# four ways of reading


def ways() -> dict[str, Callable[[Path, int, pdf.PdfPage], str]]:
    """Each by its name: a file, a page's number, and the page → Markdown or text."""
    reader = ocr.PageReader(hardware.cores())

    def painted(path: Path, number: int, page: pdf.PdfPage) -> str:
        seen = [stretch for line in page.lines if line.is_painted for stretch in line.stretches]
        return layout.markdown(layout.blocks(seen, touching=""))

    def ppocr(path: Path, number: int, page: pdf.PdfPage) -> str:
        return layout.markdown(layout.blocks(reader.read(page.pixels).lines))

    def pdftotext(path: Path, number: int, page: pdf.PdfPage) -> str:
        pages = ["-f", str(number), "-l", str(number)]
        return subprocess.run(["pdftotext", "-layout", *pages, path, "-"], capture_output=True, text=True).stdout

    found = {"painted text": painted, "ppocr": ppocr}
    if shutil.which("pdftotext"):
        found["pdftotext -layout"] = pdftotext
    found["rapidocr"] = _rapidocr()
    return found


def _rapidocr() -> Callable[[Path, int, pdf.PdfPage], str]:
    from rapidocr import RapidOCR

    engine = RapidOCR(params={"Global.log_level": "critical"})

    def read(path: Path, number: int, page: pdf.PdfPage) -> str:
        return "\n".join(engine(page.pixels[:, :, ::-1].copy()).txts or ())

    return read


def main(names: Sequence[str]) -> None:
    """Count, and print a line a way; `names`: only these ways."""
    wanted = [rule for rule in rules() if rule["type"] in KINDS]
    found = {name: way for name, way in ways().items() if not names or name in names}
    n_held, seconds = {name: Counter[str]() for name in found}, Counter[str]()
    for name, number in sorted({(rule["pdf"], rule["page"]) for rule in wanted}):
        path = BENCH / name
        with pdf.opened(path.read_bytes(), shown=name) as file:
            page = file.page(number, SIDE)
        for way, read in found.items():
            since = time.perf_counter()
            text = read(path, number, page)
            seconds[way] += time.perf_counter() - since
            here = [rule for rule in wanted if (rule["pdf"], rule["page"]) == (name, number)]
            n_held[way].update(rule["type"] for rule in here if holds(rule, text))
    totals = Counter(rule["type"] for rule in wanted)
    print(f"{'':20}", *(f"{kind:>12}" for kind in KINDS), f"{'seconds':>10}")
    for way in found:
        print(f"{way:20}", *(f"{n_held[way][kind]:>6} of {totals[kind]:>2}" for kind in KINDS), f"{seconds[way]:10.1f}")
    n_formulas = sum(rule["type"] == "math" for rule in rules())
    print(f"{n_formulas} rules of formulas were left out")


if __name__ == "__main__":
    main(sys.argv[1:])
