"""The library on a small deterministic space: what is opened, what is found, and what a killed run leaves."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmcli.engine import grammar
from mmcli.errors import InputError, MmcliError, ModelError, UsageError
from mmcli.library import checking, facts, merging, near, sources
from mmcli.library import query as queries
from mmcli.library.facts import PieceFacts
from mmcli.library.indexing import Indexing
from mmcli.library.pieces import PieceMaker, difference_hash, distance, smaller
from mmcli.library.query import FoundPiece, Query
from mmcli.library.records import IndexCounts, Stat
from mmcli.library.store import Library
from mmcli.library.vectors import VectorFile, best, scores
from tests.colour_space import COLOURS, ColourSpace

NAMES = tuple(COLOURS)


def paint(path: Path, colour: str, seed: int = 0, *, taken: str | None = None, camera: str = "", at: int = 1) -> Path:
    """A picture of one colour with some noise, so that no two have the same bytes; EXIF where it is told."""
    pixels = np.full((48, 64, 3), COLOURS[colour], np.int16)
    pixels += np.random.default_rng([seed, *colour.encode()]).integers(-3, 4, pixels.shape, np.int16)
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = at
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    if camera:
        exif[0x0110] = camera
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, exif=exif)
    return path


class Shelf:
    """A library with a space, and the commands' way of using them."""

    def __init__(self, folder: Path) -> None:
        self.library, self.space = Library(folder, make=True), ColourSpace()
        self.errors: list[MmcliError] = []
        self.notes: list[str] = []

    def index(self, *roots: Path, **how: object) -> IndexCounts:
        self.errors.clear()
        self.notes.clear()
        with self.library.writing():
            for root in roots:
                self.library.add_root(os.fsencode(root), root.stat().st_dev, recursive=True)
            job = Indexing(
                self.library,
                PieceMaker(self.space.side),
                lambda: self.space,
                lambda: self.library.space(self.space),
                self.library.serving(),
                on_error=self.errors.append,
                on_note=self.notes.append,
                **how,  # type: ignore[arg-type]
            )
            return job.run(self.library.roots())

    def find(self, words: str = "", n: int = 100, **conditions: object) -> list[FoundPiece]:
        vector = self.space.texts([words])[0] if words else None
        query = Query("", (), vector, None, PieceFacts(**conditions))  # type: ignore[arg-type]
        return list(queries.search(self.library, query, n).found)

    def names(self, words: str = "", n: int = 100, **conditions: object) -> list[str]:
        return [os.path.basename(os.fsdecode(found.path)) for found in self.find(words, n, **conditions)]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path / "library" / "default")
    yield made
    made.library.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures of each colour."""
    for colour in NAMES:
        for seed in range(4):
            paint(tmp_path / "in" / colour / f"{seed}.png", colour, seed)
    return tmp_path / "in"


N = 4 * len(NAMES)


# indexing


def test_what_did_not_change_is_not_opened_again(shelf: Shelf, folder: Path) -> None:
    assert shelf.index(folder) == IndexCounts(files=N, new=N, embedded=N)
    assert shelf.index() == IndexCounts(files=N)
    assert shelf.space.n_pictures == N


def test_moved_copied_and_removed_files_cost_nothing(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    (folder / "red" / "0.png").rename(folder / "blue" / "ü\ncd.png")
    shutil.copy(folder / "red" / "1.png", folder / "copy.png")
    (folder / "red" / "2.png").unlink()
    assert shelf.index() == IndexCounts(files=N, new=1, moved=1, gone=1)
    assert shelf.space.n_pictures == N
    found = shelf.find("red", 3)
    assert {os.path.basename(each.path) for each in found} == {"ü\ncd.png".encode(), b"1.png", b"3.png"}
    assert [len(each.also) for each in found if each.path.endswith(b"1.png")] == [1]


def test_a_file_that_is_moved_to_another_disk_is_known_by_its_bytes(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    data = (folder / "red" / "0.png").read_bytes()
    (folder / "red" / "0.png").unlink()
    (folder / "elsewhere.png").write_bytes(data)  # another inode, another time
    assert shelf.index() == IndexCounts(files=N, moved=1)
    assert shelf.space.n_pictures == N


def test_a_changed_file_is_opened_again(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    paint(folder / "red" / "0.png", "blue", 77)
    assert shelf.index() == IndexCounts(files=N, new=1, embedded=1)
    assert "0.png" not in shelf.names("red", 3)


@pytest.mark.parametrize("empty", [False, True])
def test_a_disk_that_is_not_mounted_is_kept(shelf: Shelf, folder: Path, tmp_path: Path, empty: bool) -> None:
    shelf.index(folder)
    folder.rename(tmp_path / "away")
    if empty:
        folder.mkdir()
    assert shelf.index() == IndexCounts(files=N, offline=N)
    assert shelf.notes == [f"`{folder}` is offline: kept {N} files"]
    assert len(shelf.find("red", 4)) == 4
    if empty:
        folder.rmdir()
    (tmp_path / "away").rename(folder)
    assert shelf.index() == IndexCounts(files=N)


def test_a_damaged_file_is_told_and_not_opened_again(
    shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = paint(folder / "whole.jpg", "red", 99).read_bytes()
    (folder / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    assert shelf.index(folder) == IndexCounts(files=N + 2, new=N + 1, failed=1, embedded=N + 1)
    assert "broken.jpg" in shelf.errors[0].message

    def refuse(*args: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(PieceMaker, "open", refuse)
    assert shelf.index() == IndexCounts(files=N + 2, failed=1)
    monkeypatch.undo()
    assert shelf.index(retry=True).failed == 1
    (folder / "broken.jpg").write_bytes(whole)
    assert shelf.index() == IndexCounts(files=N + 2, new=1)  # the bytes of whole.jpg


def test_a_folder_that_cannot_be_listed_keeps_its_files(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    if os.geteuid() == 0:
        listing = __import__("mmcli.library.scan", fromlist=["scan"])
        known = {b"red/0.png": object(), b"blue/0.png": object()}
        rows = {path: type("Row", (), {"state": "here"})() for path in known}
        assert [path for path, _ in listing.lost(listing.RootListing(closed=[b"red"]), rows)] == [b"blue/0.png"]
        return
    (folder / "red").chmod(0)
    try:
        assert shelf.index().gone == 0
    finally:
        (folder / "red").chmod(0o755)


def test_a_stopped_run_goes_on_where_it_was(shelf: Shelf, folder: Path) -> None:
    stop = threading.Event()
    stop.set()
    first = shelf.index(folder, stop=stop)
    assert 0 < first.new < N
    second = shelf.index()
    assert first.new + second.new == N and shelf.space.n_pictures == N


def test_copies_within_a_batch_are_embedded_once(shelf: Shelf, folder: Path) -> None:
    for name in ("a.png", "b.png"):
        shutil.copy(folder / "red" / "0.png", folder / name)
    shelf.index(folder)
    assert shelf.space.n_pictures == N


# finding


def test_colours_are_found_in_order(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    found = shelf.find("red", 5)
    assert [os.path.basename(os.path.dirname(each.path)) for each in found[:4]] == [b"red"] * 4
    strengths = [each.z or 0 for each in found]
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[3] - strengths[4] > 1  # what is red lies apart from what is not


def test_not_takes_away(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    wanted = queries.combined([(1.0, shelf.space.texts(["red"])[0]), (1.0, shelf.space.texts(["blue"])[0])])
    query = Query("", (), wanted, shelf.space.texts(["red"])[0])
    found = queries.search(shelf.library, query, 4).found
    assert {os.path.basename(os.path.dirname(each.path)) for each in found} == {b"blue"}


def test_facts_filter_before_ranking(shelf: Shelf, tmp_path: Path) -> None:
    for seed in range(30):
        paint(tmp_path / "in" / f"{seed:02d}.jpg", "red", seed, taken=f"2024:07:{14 + seed % 2} 10:{seed:02d}:00")
    shelf.index(tmp_path / "in")
    for words in ("", "blue"):
        assert len(shelf.names(words, 1000, since="2024-07-14", until="2024-07-15")) == 15
    assert shelf.names("", since="2024-07-16") == []


def test_camera_place_folder_and_kind_are_facts(shelf: Shelf, tmp_path: Path) -> None:
    paint(tmp_path / "in" / "a" / "one.jpg", "red", 1, camera="Canon EOS R5")
    paint(tmp_path / "in" / "ab" / "two.jpg", "red", 2)
    shelf.index(tmp_path / "in")
    assert shelf.names("red", camera="eos r5") == ["one.jpg"]
    assert shelf.names("red", folders=(os.fsencode(tmp_path / "in" / "a"),)) == ["one.jpg"]
    assert shelf.names("red", kinds=("page",)) == []


def test_what_lies_near_is_found(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    with shelf.library.transaction() as db:  # Linz and Vienna, as EXIF would have told
        db.execute("UPDATE contents SET lat = 48.3069, lon = 14.2858 WHERE id <= 4")
        db.execute("UPDATE contents SET lat = 48.2082, lon = 16.3738 WHERE id BETWEEN 5 AND 7")
    assert len(shelf.find(near=(48.2, 16.37), within=5.0)) == 3
    assert len(shelf.find(near=(48.2, 16.37), within=200.0)) == 7
    assert shelf.find(near=(48.2, -16.37), within=5.0) == []


def test_names_are_words(shelf: Shelf, folder: Path) -> None:
    paint(folder / "summer_party" / "x.png", "black", 9)
    shelf.index(folder)
    query = Query("summer party")
    assert [os.path.basename(each.path) for each in queries.search(shelf.library, query, 5).found] == [b"x.png"]


def test_a_burst_is_one_result(shelf: Shelf, tmp_path: Path) -> None:
    for second in range(3):
        paint(tmp_path / "in" / f"{second}.jpg", "red", second, taken=f"2024:07:14 10:00:0{second}")
    paint(tmp_path / "in" / "later.jpg", "red", 9, taken="2024:07:14 10:01:00")
    shelf.index(tmp_path / "in")
    found = shelf.find("red")
    assert sorted(len(each.also) for each in found) == [0, 2]


def test_orientation_makes_no_difference(shelf: Shelf, tmp_path: Path) -> None:
    upright = np.zeros((96, 64, 3), np.uint8)
    upright[:48] = COLOURS["red"]
    upright[48:] = COLOURS["blue"]
    (tmp_path / "in").mkdir()
    Image.fromarray(upright).save(tmp_path / "in" / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(upright).copy()).save(
        tmp_path / "in" / "sideways.jpg", quality=98, subsampling=0, exif=exif
    )
    shelf.index(tmp_path / "in")
    space = shelf.library.serving()
    assert space is not None
    one, other = (
        queries.vector_of(shelf.library, space, os.fsencode(tmp_path / "in" / name))
        for name in ("upright.png", "sideways.jpg")
    )
    assert one is not None and other is not None and float(one @ other) > 0.999


def test_nothing_stands_out_where_nothing_does(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    told = [
        queries.search(shelf.library, Query(words, (), shelf.space.texts([words])[0]), 3).stands_out
        for words in ("red", " ".join(NAMES))
    ]
    assert told == [True, False]


# what is kept, and what goes wrong


def test_rows_that_no_commit_names_are_cut(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    space = shelf.library.serving()
    assert space is not None
    file = shelf.library.vectors(space)
    with open(file.path, "ab") as out:
        out.write(b"\1" * 100)  # a run was killed here
    with shelf.library.writing():
        assert file.path.stat().st_size == 64 + N * 4 * space.dim
    assert checking.check(shelf.library) == []


def test_damage_is_found_and_repaired(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    before = [(each.path, each.cosine) for each in shelf.find("red")]
    space = shelf.library.serving()
    assert space is not None
    file = shelf.library.vectors(space)
    with open(file.path, "r+b") as out:
        out.seek(64)
        out.write(b"\xff" * 4 * space.dim)
        out.truncate(64 + (N - 2) * 4 * space.dim)
    assert len(checking.check(shelf.library)) >= 2
    with shelf.library.writing():
        assert checking.repair(shelf.library) == 3
    assert shelf.index().embedded == 3
    assert checking.check(shelf.library) == []
    assert sorted((each.path, each.cosine) for each in shelf.find("red")) == sorted(before)


def test_forgetting_compacts(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    with shelf.library.writing():
        assert shelf.library.forget(os.fsencode(folder / "red")) == 4
    assert checking.check(shelf.library) == []
    space = shelf.library.serving()
    assert space is not None and shelf.library.vectors(space).n_rows == N - 4
    assert b"red" not in b"".join(path.read_bytes() for path in shelf.library.folder.iterdir() if path.is_file())
    with shelf.library.writing():
        assert shelf.library.forget(os.fsencode(folder)) == N - 4
    assert shelf.library.roots() == []


def test_a_second_writer_is_told_and_a_reader_does_not_wait(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    with Library(shelf.library.folder) as other, shelf.library.writing():
        with pytest.raises(UsageError, match=f"another mmcli \\(process {os.getpid()}\\)"), other.writing(wait=False):
            pass
        assert len(queries.search(other, Query("", (), shelf.space.texts(["red"])[0]), 4).found) == 4


def test_another_model_replaces_the_vectors_when_they_are_complete(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    old = shelf.library.serving()
    shelf.space = ColourSpace("another")
    with shelf.library.writing():
        new = shelf.library.space(shelf.space)
        assert old is not None and shelf.library.serving() is not None
        assert len(shelf.library.lacking(new)) == N
        assert shelf.library.serving().identity == old.identity  # type: ignore[union-attr]
        job = Indexing(shelf.library, PieceMaker(32), lambda: shelf.space, lambda: new, new)
        assert job.run(shelf.library.roots()) == IndexCounts(files=N, embedded=N)
        shelf.library.serve(new)
    assert [space.identity for space in shelf.library.spaces()] == [shelf.space.identity]
    assert len(list(shelf.library.folder.glob("vectors-*"))) == 1
    assert checking.check(shelf.library) == []


def test_a_machine_that_computes_otherwise_is_refused(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)

    class Elsewhere(ColourSpace):
        def canary(self) -> np.ndarray:
            return self.texts(["green"])[0]

    with pytest.raises(ModelError, match="cannot be compared"):
        shelf.library.space(Elsewhere())
    with shelf.library.writing():
        shelf.library.forget(os.fsencode(folder))
    shelf.library.space(Elsewhere())  # nothing is left that it could be compared with


def test_libraries_merge_twice_as_once(shelf: Shelf, folder: Path, tmp_path: Path) -> None:
    shelf.index(folder)
    other = Shelf(tmp_path / "library" / "other")
    paint(tmp_path / "more" / "m.png", "red", 50)
    shutil.copy(folder / "red" / "0.png", tmp_path / "more" / "copy.png")
    other.index(tmp_path / "more")
    with shelf.library.writing():
        assert merging.merge(shelf.library, other.library) == {"contents": 1, "files": 2, "vectors": 1}
        assert merging.merge(shelf.library, other.library) == {"contents": 0, "files": 0, "vectors": 0}
    assert {"m.png"} <= set(shelf.names("red", 5))
    assert checking.check(shelf.library) == []
    assert shelf.index().embedded == 0
    other.library.close()


def test_a_foreign_or_newer_database_is_left_alone(shelf: Shelf) -> None:
    shelf.library.db.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="newer mmcli"):
        Library(shelf.library.folder)


def test_a_queries_vector_is_kept(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    space = shelf.library.serving()
    assert space is not None and shelf.library.query(space, "red") is None
    vector = shelf.space.texts(["red"])[0]
    shelf.library.keep_query(space, "red", vector)
    kept = shelf.library.query(space, "red")
    assert kept is not None and kept.tobytes() == vector.tobytes()


def test_nobody_else_can_read_it(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    assert shelf.library.folder.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o077 for path in shelf.library.folder.iterdir()}
    assert {name: mode for name, mode in modes.items() if mode and name not in ("lock", "writer")} == {}


def test_sources_of_a_question_are_numbered(shelf: Shelf, folder: Path) -> None:
    shelf.index(folder)
    query = queries.Query("red", (), shelf.space.texts(["red"])[0])
    told = sources.numbered(shelf.library, sources.relevant(shelf.library, query, 3))
    assert [each.label for each in told] == [
        f"[{number}] {os.path.basename(os.fsdecode(each.found.path))}" for number, each in enumerate(told, 1)
    ]
    more = sources.numbered(shelf.library, [each.found for each in told], 7)
    assert [each.number for each in more] == list(range(7, 7 + len(told)))


def test_a_question_is_searched_for_by_what_it_is_about() -> None:
    assert sources.wanted("Which picture has a purple cross?") == "purple cross"
    assert sources.wanted("When did I buy the fridge?") == "buy fridge"
    assert sources.wanted("Wann war ich in Linz?") == "Linz"
    assert sources.wanted("What is it?") == "What is it"


def test_citations_are_numbers_of_sources() -> None:
    assert sources.cited("So [2], and so [1][2]; not [9] or [x].", 3) == [2, 1]
    assert grammar.of_lark(sources.grammar(12))


# same


def test_the_same_in_bytes_and_in_pixels(shelf: Shelf, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    pixels = np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    shutil.copy(tmp_path / "in" / "a.png", tmp_path / "in" / "b.png")
    Image.fromarray(pixels).save(tmp_path / "in" / "c.jpg", quality=85)
    Image.fromarray(pixels[::-1].copy()).save(tmp_path / "in" / "d.png")
    shelf.index(tmp_path / "in")
    told = [(os.path.basename(one), os.path.basename(other), how) for one, other, how in near.pairs(shelf.library)]
    assert told == [(b"a.png", b"b.png", "bytes"), (b"a.png", b"c.jpg", "pixels")]


# parts


def test_best_is_numpys_order() -> None:
    found = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    assert best(found, 50).tolist() == np.argsort(-found, kind="stable")[:50].tolist()
    assert best(found[:3], 50).tolist() == np.argsort(-found[:3], kind="stable").tolist()
    assert best(found[:0], 5).size == 0


def test_rows_are_scored_as_in_the_whole(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    file = VectorFile.create(tmp_path / "v.f32", bytes(32), 8)
    file.append(rows[:300], 0)
    file.append(rows[300:], 300)
    some = np.array([3, 77, 499])
    assert np.allclose(scores(file.rows(), rows[0]), rows @ rows[0], atol=1e-5)
    assert np.allclose(scores(file.rows(), rows[0], some), (rows @ rows[0])[some], atol=1e-5)
    with pytest.raises(InputError, match="not the one of its space"):
        VectorFile(tmp_path / "v.f32", bytes([1] * 32), 8)


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2024", "2024-01-01", "2025-01-01"),
        ("2024-12", "2024-12-01", "2025-01-01"),
        ("2024-2-28", "2024-02-28", "2024-02-29"),
        ("2024-07-14T23:59", "2024-07-14T23:59", "2024-07-14T24:00"),
    ],
)
def test_a_period_has_a_begin_and_an_end(text: str, begin: str, end: str) -> None:
    assert (facts.begin_of(text, "--on"), facts.end_of(text, "--on")) == (begin, end)


@pytest.mark.parametrize("text", ["", "24", "2024-13", "2024-02-30", "yesterday", "2024-01-01T25:00", "9999"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no date"):
        facts.end_of(text, "--until")


def test_distances_are_those_of_a_sphere() -> None:
    assert facts.kilometres(48.2082, 16.3738, 48.3069, 14.2858) == pytest.approx(155, abs=1)  # Vienna, Linz
    assert facts.length("300m") == pytest.approx(0.3)
    for wrong in ("far", "5 parsecs", "1.2.3"):
        with pytest.raises(UsageError):
            facts.length(wrong)


def test_hashes_of_the_same_look_are_near() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    assert distance(difference_hash(pixels), difference_hash(pixels)) == 0
    assert distance(difference_hash(pixels), difference_hash(pixels[::-1])) > 8
    assert smaller(pixels, 10).shape == (22, 40, 3)
    assert distance(0, -1) == 64


def test_stats_tell_files_apart() -> None:
    assert Stat(1, 2, 3) == Stat(1, 2, 3) != Stat(1, 2, 4)
