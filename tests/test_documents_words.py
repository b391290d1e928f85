"""`--ocr`: the words of pages that have no text of their own, read by the embedded reader and kept."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from PIL import Image

from mmcli import config, media
from mmcli.documents import ocr
from mmcli.errors import ModelError
from mmcli.models import Model
from mmcli.runtime import page_words
from mmcli.runtime.reporter import Silent
from tests import documents
from tests.conftest import Run

TEXT = "The net result was 4.2 million euros. Costs fell by three percent in the year before."


def scanned(data: bytes) -> bytes:
    """The first page of a PDF as a PDF of its picture alone."""
    page = pypdfium2.PdfDocument(data)[0]
    out = io.BytesIO()
    page.render(scale=2).to_pil().convert("RGB").save(out, "PDF", resolution=144)
    return out.getvalue()


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    (tmp_path / "scan.pdf").write_bytes(scanned(documents.pdf(TEXT)))
    (tmp_path / "born.pdf").write_bytes(documents.pdf(TEXT))
    return tmp_path / "scan.pdf"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is read in this process is kept here."""
    monkeypatch.setattr(config, "cache_dir", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def model(name: str = "m") -> Model:
    return Model(name, Path("m.gguf"), None, sees=True, hears=False, media_newline=False)


def test_a_scans_words_stand_beside_its_picture(mmcli: Run, scan: Path) -> None:
    ask = ("ask", scan, "What is this?", "-m", "starter", "--json")
    (receipt,) = mmcli(*ask).json["receipts"]
    assert (receipt["text"], receipt["sent_size"] is not None) == ("read", True)
    assert receipt["characters"] >= 60
    (receipt,) = mmcli(*ask, "--ocr", "never").json["receipts"]
    assert (receipt["text"], receipt["characters"]) == ("absent", 0)
    told = mmcli("ask", scan, "What is this?", "-m", "starter", "-v").stderr
    assert "with the text read off it" in " ".join(told.split())


def test_pages_with_text_of_their_own_are_read_on_request_only(mmcli: Run, scan: Path) -> None:
    ask = ("ask", "born.pdf", "What is this?", "-m", "starter", "--json")
    assert mmcli(*ask).json["receipts"][0]["text"] == "used"
    assert mmcli(*ask, "--ocr", "always").json["receipts"][0]["text"] == "read"


def test_a_scan_is_text_for_a_model_that_does_not_see(mmcli: Run, scan: Path) -> None:
    ask = ("ask", scan, "What is this?", "-m", "starter", "--text", "only")
    done = mmcli(*ask, "--json")
    (receipt,) = done.json["receipts"]
    assert (receipt["kind"], receipt["text"]) == ("text", "read")
    refused = mmcli(*ask, "--ocr", "never")
    assert (refused.status, refused.stdout) == (3, "") and "has no text" in refused.stderr


def test_what_was_read_is_kept(scan: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = page_words.fitted(media.Wanted(), "auto", model(), Silent())
    (source,) = media.find([str(scan)])
    first = media.load(source, wanted=wanted)
    assert isinstance(first, media.Document) and "4.2 million euros" in first.parts[0].words

    def nobody(threads: int) -> None:
        raise AssertionError("it was read again")

    monkeypatch.setattr(ocr, "PageReader", nobody)
    again = media.load(source, wanted=page_words.fitted(media.Wanted(), "auto", model(), Silent()))
    assert isinstance(again, media.Document) and again.parts[0].words == first.parts[0].words
    (kept,) = (cache / page_words.KEPT).rglob("*.z")
    assert kept.stat().st_mode & 0o077 == 0
    kept.write_bytes(b"damaged")
    with pytest.raises(AssertionError, match="read again"):
        media.load(source, wanted=page_words.fitted(media.Wanted(), "auto", model(), Silent()))


def test_a_drawing_has_no_words() -> None:
    drawing = np.asarray(Image.radial_gradient("L").convert("RGB").resize((800, 800)))
    assert page_words.PageWords(Silent())(drawing) == ""


def test_without_the_reader_auto_does_nothing_and_always_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise ModelError("reading pages without a model needs `mmcli[ocr]`, which is not installed")

    monkeypatch.setattr(ocr, "_files", missing)
    reader = page_words.fitted(media.Wanted(), "auto", model(), Silent()).pages.reader
    assert reader is not None and reader(np.zeros((8, 8, 3), np.uint8)) == ""
    with pytest.raises(ModelError, match=r"mmcli\[ocr\]"):
        page_words.fitted(media.Wanted(), "always", model(), Silent())


def test_a_model_that_reads_pages_itself_is_shown_them_alone() -> None:
    assert page_words.fitted(media.Wanted(), "auto", model("glm-ocr"), Silent()).pages.reader is None
    assert page_words.fitted(media.Wanted(), "always", model("glm-ocr"), Silent()).pages.reader is not None
