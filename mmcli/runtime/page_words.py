"""The words that the embedded reader finds on pages without text of their own, kept from run to run."""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from mmcli import config, files
from mmcli.errors import MmcliError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from mmcli.documents.ocr import PageReader
    from mmcli.media import Wanted
    from mmcli.models import Model, WantedModel
    from mmcli.runtime.reporter import Reporter

OcrMode: TypeAlias = Literal["auto", "always", "never"]
KEPT = "page-words"  # in the cache folder: what was read on pages, a file each
MOST_KEPT = 4 << 20  # bytes of one page's words
SURELY = 0.8  # lines read with less confidence are drawings more often than text
LEAST_LETTERS = 12  # of a page: fewer are a logo, or noise


def fitted(wanted: Wanted, mode: OcrMode, model: Model | WantedModel, reporter: Reporter) -> Wanted:
    """The same with the reader, where this mode and this model want it.

    `auto`: where the model is no reader itself, and the reader is installed, which is looked for when there is a page.
    ModelError where `always` cannot be had.
    """
    from mmcli.models import catalogue

    entry = catalogue.load().get(model.name) if mode == "auto" else None
    if mode == "never" or (entry is not None and entry.prompts):
        return wanted
    if mode == "always":
        from mmcli.documents import ocr

        ocr.version()  # ModelError where it is not installed
    return replace(wanted, pages=replace(wanted.pages, reader=PageWords(reporter), reads_all=mode == "always"))


class PageWords:
    """Reads pages, one after the other; what it has read before it knows. The networks load with the first new page."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._reader: PageReader | None = None

    def __call__(self, pixels: NDArray[np.uint8]) -> str:
        """The words on an upright RGB picture (height, width, 3) in reading order.

        Empty where there are too few, or no reader is installed.
        """
        from mmcli.documents import ocr

        if not ocr.is_installed():
            return ""
        name = hashlib.sha256(f"{ocr.version()} {SURELY} {pixels.shape}".encode() + pixels.tobytes()).hexdigest()
        path = config.cache_dir() / KEPT / name[:2] / f"{name}.z"
        if (kept := self._kept(path)) is not None:
            return kept
        text = self._read(pixels)
        try:
            files.private_folder(path.parent)
            files.cache(path, zlib.compress(text.encode()))
        except (OSError, MmcliError) as error:
            self._reporter.debug(f"page words are not kept: {error}")
        return text

    def _kept(self, path: Path) -> str | None:
        try:
            data = files.read(path, max_bytes=MOST_KEPT)
            return None if data is None else zlib.decompress(data).decode()
        except (MmcliError, zlib.error, UnicodeDecodeError) as error:
            self._reporter.debug(f"page words cannot be read back: {error}")
            return None

    def _read(self, pixels: NDArray[np.uint8]) -> str:
        from mmcli.documents import layout, ocr
        from mmcli.engine import hardware

        with self._reporter.progress() as progress:
            progress("reading a page (--ocr never leaves it out)", 0, -1)
            if self._reader is None:
                self._reader = ocr.PageReader(hardware.cores())
            lines = [line for line in self._reader.read(pixels).lines if line.confidence >= SURELY]
        text = layout.markdown(layout.blocks(lines))
        return text if len(re.findall(r"[^\W_]", text)) >= LEAST_LETTERS else ""
