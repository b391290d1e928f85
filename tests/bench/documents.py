"""Pages of a PDF as pictures beside pdftoppm, and what their text costs, in turns.

    python -m tests.bench.documents [--pdf FILE] [--runs 5]

Without --pdf, the real ones of MMCLI_TEST_DATA or ../shared/data are taken. The bars: rasterising at 200 dpi into RGB
in memory takes at most 0.40 of the CPU time that `pdftoppm -r 200` takes; text, its places, the search for ink below it
and the look for blank pages at most 35 ms a page. pdftoppm (poppler-utils) is left out where it is not installed.

The CPU time is that of a process that has PDFium and numpy loaded, as mmcli has while it reads pages; those of whole
processes are shown, too: loading both takes as long as ten pages.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.measure import COMPILED, Ratios, machine, run
from tests.documents import real_files

DPI = 200
RASTER_BAR = 0.40  # of pdftoppm's CPU seconds
TEXT_BAR = 35.0  # ms a page
NAMES = ("tracemonkey.pdf", "multicolumn.pdf", "pdflatex-outline.pdf")  # born digital, of several pages


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pdf", type=Path, action="append", help="a file; can be repeated")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--child", choices=("raster", "pages"), help=argparse.SUPPRESS)
    given = options.parse_args()
    files: list[Path] = given.pdf or [path for path in real_files() if path.name in NAMES]
    if not files:
        sys.exit("no PDF here: --pdf FILE, or MMCLI_TEST_DATA=FOLDER")
    if given.child:
        print(json.dumps(_work(files[0], given.child)))
        return
    print(machine())
    if shutil.which("pdftoppm") is None:
        print("pdftoppm is not installed: apt install poppler-utils")
    ratios = Ratios()
    for _ in range(given.runs):
        for path in files:
            _round(path, ratios)
    ratios.show()


def _round(path: Path, ratios: Ratios) -> None:
    raster, pages = (_child(path, what) for what in ("raster", "pages"))
    text = 1e3 * (pages["seconds"] - pages["raster"]) / pages["pages"]
    ratios.add(f"{path.name}: text, ink and blank, ms a page", text, most=TEXT_BAR)
    if shutil.which("pdftoppm") is not None:
        with tempfile.TemporaryDirectory() as folder:
            peer = run(["pdftoppm", "-r", str(DPI), str(path), f"{folder}/page"])
        ratios.add(f"{path.name}: CPU at {DPI} dpi / pdftoppm", raster["seconds"] / peer.cpu, most=RASTER_BAR)
        ratios.add(f"{path.name}: whole process / pdftoppm", raster["process"] / peer.cpu)


def _child(path: Path, what: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.documents", "--pdf", str(path), "--child", what]
    done = run(command, COMPILED)
    found: dict[str, float] = json.loads(done.out)
    return found | {"process": done.cpu}


def _work(path: Path, what: str) -> dict[str, float]:
    """CPU seconds of all pages of a file, without Python's start; for pages also those of rasterising them alone."""
    from mmcli.media import pdf

    data = path.read_bytes()
    with pdf.opened(data, shown=path.name) as file:
        numbers = range(1, file.n_pages + 1)
        sides = [round(max(file.size(number)) / 72 * DPI) if what == "raster" else pdf.SIDE for number in numbers]
        file.page(1, 100)  # what is loaded once
        begin = time.process_time()
        for number, side in zip(numbers, sides, strict=True):
            file.picture(number, side)
        raster = time.process_time() - begin
        if what == "raster":
            return {"seconds": raster, "pages": file.n_pages}
        begin = time.process_time()
        for number, side in zip(numbers, sides, strict=True):
            file.page(number, side)
        return {"seconds": time.process_time() - begin, "raster": raster, "pages": file.n_pages}


if __name__ == "__main__":
    main()
