"""`python -m tests.bench.find`: index and find on towers of random weights, the size of CLIP ViT-B/32.

A library of 100,000 synthetic vectors is written straight into a library's tables; the queries run as programs. With
`--rclip VENV`, rclip (PyPI) runs the same two ONNX files beside it. Figures are CPU seconds (user and system) and the
largest memory of each process; the ratios count, as other programs may be running.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mmcli.embed import space as spaces
from mmcli.library import query as queries
from mmcli.library.fusion import spread
from mmcli.library.query import Query
from mmcli.library.store import Library
from mmcli.library.vectors import best, scores
from tests import towers
from tests.bench import measure

APART = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
use = resource.getrusage(resource.RUSAGE_CHILDREN)
sys.stderr.write(f"\\n{use.ru_utime + use.ru_stime} {use.ru_maxrss / 1024}")
sys.exit(status)
"""


def run(command: list[str], environment: dict[str, str]) -> tuple[float, float, float, str]:
    """(CPU seconds, wall seconds, largest resident MB, stdout) of a process."""
    done = measure.run([sys.executable, "-c", APART, *command], environment)  # what forks has its memory counted, too
    cpu, memory = done.err.rsplit("\n", 1)[1].split()
    return float(cpu), done.seconds, float(memory), done.out


def fill(library: Library, model: spaces.TowerSpace, n: int, root: Path) -> None:
    """Rows of random vectors under names that are no files."""
    stored = library.space(model)
    rng = np.random.default_rng(0)
    with library.writing():
        library.add_root(os.fsencode(root), 0, recursive=True)
        (made,) = library.roots()
        for at in range(0, n, 10_000):
            rows = rng.normal(size=(min(10_000, n - at), model.dim)).astype(np.float32)
            library.vectors(stored).append(rows / np.linalg.norm(rows, axis=1, keepdims=True), at)
            numbers = range(at, at + len(rows))
            with library.transaction() as db:
                db.executemany(
                    "INSERT INTO contents (id, sha256, kind, taken) VALUES (?, ?, 'image', ?)",
                    ((i + 1, i.to_bytes(32, "big"), f"20{i % 20 + 10:02d}-07-14T12:00:00") for i in numbers),
                )
                db.executemany(
                    "INSERT INTO pieces (id, content, kind) VALUES (?, ?, 'picture')", ((i + 1, i + 1) for i in numbers)
                )
                db.executemany(
                    "INSERT INTO files (root, path, size, mtime_ns, inode, content, state)"
                    " VALUES (?, ?, 1, 1, ?, ?, 'here')",
                    ((made.id, f"IMG_{i:06d}.jpg".encode(), i, i + 1) for i in numbers),
                )
                db.executemany("INSERT INTO vectors VALUES (?, ?, ?)", ((stored.id, i + 1, i) for i in numbers))


def cpu(work: object, times: int = 20) -> float:
    """CPU seconds of a call, the least of some."""
    found = []
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_SELF)
        work()  # type: ignore[operator]
        after = resource.getrusage(resource.RUSAGE_SELF)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def photographs(folder: Path, n: int, size: tuple[int, int]) -> None:
    """JPEGs like those of a camera: soft waves with grain."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    width, height = size
    for place in range(n):
        small = rng.integers(0, 255, (24, 32, 3), np.uint8)
        picture = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC), np.int16)
        picture = picture + rng.integers(-6, 7, (height, width, 1), np.int16)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(folder / f"{place:03d}.jpg", quality=88)


def of_search(library: Library, model: spaces.TowerSpace) -> None:
    """Our function beside numpy's."""
    stored = library.serving()
    assert stored is not None
    matrix, vector = library.vectors(stored).rows(), model.texts(["red bicycle"])[0]
    matrix @ vector
    plain = cpu(lambda: np.argpartition(matrix @ vector, -1000)[-1000:])

    def ours() -> None:
        found = scores(matrix, vector)
        spread(found)
        best(found, 1000)

    own = cpu(ours)
    whole = cpu(lambda: queries.search(library, Query("", (), vector), 20))
    print(f"search of {len(matrix)} rows: {own * 1e3:.1f} ms, numpy {plain * 1e3:.1f} ms: {own / plain:.2f}x (bar 1.2)")
    print(f"all of a search, with names: {whole * 1e3:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=100_000)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--rclip", type=Path, help="a virtual environment with rclip")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="find-"))
    environment = (
        os.environ
        | measure.COMPILED
        | {"MMCLI_DATA_DIR": str(folder / "data"), "MMCLI_CACHE_DIR": str(folder / "cache")}
    )
    model_folder = towers.write_folder(folder / "model", towers.B32)
    model = spaces.from_folder(str(model_folder), model_folder, cache=folder / "cache" / "embed")
    mmcli = [sys.executable, "-m", "mmcli"]
    try:
        with Library(folder / "data/library/default", make=True) as library:
            fill(library, model, options.n, folder / "photos")
            of_search(library, model)
            print(f"disk: {library.n_bytes() / options.n:.0f} bytes a picture (bar {4 * model.dim + 1000})")
        first, second = (run([*mmcli, "find", "red", "bicycle", "-n", "50", "-l"], environment) for _ in range(2))
        print(f"cold query: {first[0]:.2f} CPU s, {first[1]:.2f} s, {first[2]:.0f} MB")
        print(f"the same again: {second[0]:.2f} CPU s (bar 0.3), {second[1]:.2f} s, {second[2]:.0f} MB")
        photographs(folder / "in", options.pictures, (4000, 3000))
        environment["MMCLI_INDEX"] = "photos"
        one = run([*mmcli, "index", str(folder / "in"), "-m", str(model_folder), "-q"], environment)
        each = one[0] / options.pictures
        print(f"index of {options.pictures} JPEGs of 12 MP: {each:.3f} CPU s a picture, start included")
        again = run([*mmcli, "index", "-q"], environment)
        print(f"index again: {again[0]:.2f} CPU s")
        pixels = [np.zeros((256, 256, 3), np.uint8)] * 32
        model.pictures(pixels[:1])
        print(f"the tower alone: {cpu(lambda: model.pictures(pixels), 2) / 32:.3f} CPU s a picture")
        if options.rclip is not None:
            beside(options.rclip, folder, options, environment, first, one)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def beside(
    venv: Path,
    folder: Path,
    options: argparse.Namespace,
    environment: dict[str, str],
    first: tuple[float, float, float, str],
    one: tuple[float, float, float, str],
) -> None:
    """The same with rclip on the same towers, under the names that its files have."""
    data = folder / "rclip"
    model = data / "ViT-B-32-256-datacomp_s34b_b86k"
    towers.write_pictures(_made(model / "visual.onnx"), towers.B32, 0, name="input")
    towers.write_texts(model / "textual.onnx", towers.B32, 0, name="input")
    tokenizer = _made(data / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz")
    found = next(venv.rglob("bpe_simple_vocab_16e6.txt.gz"), None)
    if found is None:
        raise SystemExit("rclip's tokenizer needs bpe_simple_vocab_16e6.txt.gz: `pip install imgsearch` has it")
    shutil.copy(found, tokenizer)
    for name in ("LICENSE", "OPENAI-CLIP-MIT.txt", "README.md", "THIRD_PARTY_NOTICES.md"):
        for place in (model, data / "tokenizer"):
            (place / name).write_text("-")
    theirs = environment | {"RCLIP_DATADIR": str(data)}
    rclip = str(venv / "bin" / "rclip")
    os.chdir(folder / "in")
    index = run([rclip, "--filepath-only", "-t", "5", "red bicycle"], theirs)
    query = run([rclip, "--filepath-only", "--no-indexing", "-t", "5", "red bicycle"], theirs)
    n = options.pictures
    print(f"rclip: index and query of {n}: {index[0] / n:.3f} CPU s a picture; query alone {query[0]:.2f} CPU s")
    ratio = one[0] / max(index[0] - query[0], 1e-9)
    print(f"index: ours is {ratio:.2f}x (bar 0.70; its share without a query, ours with its start)")
    _many(data, folder, options.n)
    cold = run([rclip, "--filepath-only", "--no-indexing", "-t", "50", "red bicycle"], theirs)
    print(f"rclip's cold query at {options.n}: {cold[0]:.2f} CPU s, {cold[1]:.2f} s, {cold[2]:.0f} MB")
    print(f"cold query: ours is {first[0] / cold[0]:.2f}x in CPU (bar 0.35; fp32 towers on both sides)")
    print(f"and {first[2] / cold[2]:.2f}x in memory (bar 0.65)")


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _many(data: Path, folder: Path, n: int) -> None:
    """As many rows in rclip's database as ours has, copies of the one that it wrote."""
    with sqlite3.connect(data / "db.sqlite3") as db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(images)") if row[1] != "id"]
        sample = dict(zip(columns, db.execute(f"SELECT {', '.join(columns)} FROM images").fetchone(), strict=True))
        rng = np.random.default_rng(0)

        def row(place: int) -> list[object]:
            vector = rng.normal(size=512).astype(np.float32)
            own = {"filepath": str(folder / "in" / f"IMG_{place:06d}.jpg")}
            own["vector"] = (vector / np.linalg.norm(vector)).tobytes()  # type: ignore[assignment]
            return [own.get(name, sample[name]) for name in columns]

        marks = ", ".join("?" * len(columns))
        db.executemany(f"INSERT INTO images ({', '.join(columns)}) VALUES ({marks})", map(row, range(n)))


if __name__ == "__main__":
    main()
