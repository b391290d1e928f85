"""Office files as texts with tables: spreadsheets, Word documents, long CSV files; damaged, locked and huge ones."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mmcli import media
from mmcli.errors import InputError
from mmcli.media import office
from tests import documents
from tests.conftest import Run

SPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def zipped(**entries: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    return out.getvalue()


def xlsx(*sheets: tuple[str, list[list[object]]], hidden: str = "") -> bytes:
    """A workbook of texts and numbers."""

    def cell(value: object) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    entries = {}
    listed = relations = types = ""
    for at, (name, rows) in enumerate(sheets, 1):
        state = ' state="hidden"' if name == hidden else ""
        listed += f'<sheet name="{name}" sheetId="{at}" r:id="r{at}"{state}/>'
        relations += f'<Relationship Id="r{at}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{at}.xml"/>'
        data = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
        entries[f"xl/worksheets/sheet{at}.xml"] = f"<worksheet {SPACE}><sheetData>{data}</sheetData></worksheet>"
        types += f'<Override PartName="/xl/worksheets/sheet{at}.xml" ContentType="x"/>'
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    package = "http://schemas.openxmlformats.org/package/2006"
    return zipped(
        **{
            "[Content_Types].xml": f'{head}<Types xmlns="{package}/content-types">{types}</Types>',
            "_rels/.rels": f'{head}<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
            f'Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'{head}<workbook {SPACE} xmlns:r="{RELATIONS}"><sheets>{listed}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'{head}<Relationships xmlns="{package}/relationships">{relations}'
            "</Relationships>",
            **entries,
        }
    )


PRICES: list[list[object]] = [["Item", "Price"], ["Apples", 3.5], ["Pears | ripe", 4]]


def text_of(data: bytes, name: str = "a.xlsx", **how: int) -> media.Text:
    text = media.load(media.Source(name, data=data), **how)  # type: ignore[arg-type]
    assert isinstance(text, media.Text)
    return text


def refusal(data: bytes, name: str = "a.xlsx") -> InputError:
    with pytest.raises(InputError) as caught:
        text_of(data, name)
    return caught.value


def test_each_sheet_is_a_table_and_hidden_ones_are_left_out() -> None:
    text = text_of(xlsx(("Prices", PRICES), ("Secret", PRICES), ("Empty", []), hidden="Secret"), "whatever.dat")
    assert text.text == "## Prices\n\n| Item | Price |\n| --- | --- |\n| Apples | 3.5 |\n| Pears \\| ripe | 4 |"
    assert text.receipt.kind == "text" and text.receipt.notes == ("1 hidden sheet left out",)
    assert text.rendered.startswith("whatever.dat:\n```")


def test_rows_that_do_not_fit_are_left_out_and_counted() -> None:
    rows: list[list[object]] = [["n"], *([number] for number in range(5000))]
    text = text_of(xlsx(("Many", rows)), max_text_bytes=10_000)
    assert len(text.text) < 10_100 and "| 0 |" in text.text
    (note,) = text.receipt.notes
    n_left = 5001 - (text.text.count("\n") - 2)
    assert note == f"{n_left:,} of 5,001 rows of `Many` left out: the text would be too long"


def test_a_long_csv_file_is_a_table_with_its_header() -> None:
    lines = ["name;value", *(f"n{number};{number}" for number in range(50_000))]
    text = text_of("\n".join(lines).encode(), "long.csv", max_text_bytes=100_000)
    assert text.text.startswith("| name | value |\n| --- | --- |\n| n0 | 0 |\n")
    assert text.receipt.notes[0].endswith("of 50,000 rows left out: the text would be too long")
    short = text_of(b"a,b\n1,2\n", "short.csv")
    assert short.text == "a,b\n1,2\n" and short.receipt.notes == ()


@pytest.mark.parametrize("name", ["word_tables", "docx_rich_cells", "unit_test_headers", "docx_list_resumed_numbering"])
def test_real_word_documents(name: str) -> None:
    folder = [path.parents[2] / "office" for path in documents.real_files()]
    if not folder or not (folder[0] / f"{name}.docx").exists():
        pytest.skip("no ../shared/data")
    text = text_of((folder[0] / f"{name}.docx").read_bytes(), f"{name}.docx").text
    if name in ("word_tables", "docx_rich_cells"):
        assert "| --- |" in text
    else:
        assert "# " in text or "1. " in text
    assert "<" not in text and "\n\n\n" not in text


def test_damaged_huge_and_foreign_files_get_a_sentence() -> None:
    whole = xlsx(("Prices", PRICES))
    assert "is damaged" in refusal(whole[: len(whole) // 2]).message
    broken = zipped(**{"xl/workbook.xml": "<nothing"})
    assert "is damaged" in refusal(broken).message
    assert "is damaged" in refusal(zipped(**{"word/document.xml": "<nothing"}), "a.docx").message
    bomb = zipped(**{"xl/workbook.xml": "x", "xl/a": "\0" * (office.MAX_UNPACKED + 1)})
    assert len(bomb) < 1_000_000 and "unpacks to" in refusal(bomb).message
    slides = refusal(zipped(**{"ppt/presentation.xml": "x"}), "a.pptx")
    assert slides.hint == "make a PDF of it: `soffice --headless --convert-to pdf a.pptx`"
    odt = zipped(mimetype="application/vnd.oasis.opendocument.text")
    assert "--convert-to pdf a.odt" in (refusal(odt, "a.odt").hint or "")
    assert "a ZIP archive" in refusal(zipped(a="b"), "a.zip").message
    assert "soffice" in (refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "a.doc").hint or "")


def test_without_the_extra_the_error_names_it(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(xlsx(("Prices", PRICES)))
    code = """
import importlib.util
importlib.util.find_spec = lambda name, *more: None
from mmcli import media
from mmcli.errors import InputError
try: media.load(media.named("a.xlsx"))
except InputError as error: print(error.message, "|", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "needs `mmcli[office]`" in done.stdout and "pip install 'mmcli[office]'" in done.stdout


def test_ask_and_read_take_them(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(xlsx(("Prices", PRICES)))
    done = mmcli("read", "a.xlsx", "--tables", "out")
    assert done.status == 0 and "| Apples | 3.5 |" in done.stdout
    assert (tmp_path / "out" / "a-table-1.csv").read_text() == "Item,Price\nApples,3.5\nPears | ripe,4\n"
    asked = mmcli("ask", "a.xlsx", "What do apples cost?", "-m", "starter", "--debug")
    assert "| Apples | 3.5 |" in asked.stderr
    long = "\n".join(["a,b", *(f"{number},{'y' * 90}" for number in range(20_000))])
    (tmp_path / "long.csv").write_text(long)
    assert "rows left out" in mmcli("ask", "long.csv", "What?", "-m", "starter").stderr
