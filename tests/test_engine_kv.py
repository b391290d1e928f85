"""Saved prefixes: what is written comes back, what is damaged does not."""

import os
import time
from pathlib import Path

import pytest

from mmcli.engine.local.kv_cells import MediaCells, PrefixRecord, PrefixStore, common_prefix, identity, n_pos, n_tokens

RECORD = PrefixRecord((1, 2, MediaCells("ab" * 32, 0, 576, 24), 3), (13,), bytearray(os.urandom(5000)))


@pytest.fixture
def store(tmp_path: Path) -> PrefixStore:
    return PrefixStore(tmp_path / "kv", max_bytes=1 << 20)


def only_file(folder: Path) -> Path:
    (path,) = (folder / "kv").iterdir()
    return path


def test_a_saved_prefix_comes_back_whole(store: PrefixStore) -> None:
    store.save("k" * 64, RECORD)
    assert store.load("k" * 64) == RECORD


def test_nobody_else_may_read_it(store: PrefixStore, tmp_path: Path) -> None:
    store.save("k" * 64, RECORD)
    assert only_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "kv").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", ["flipped", "cut", "foreign", "empty", "header"])
def test_a_damaged_or_foreign_file_is_ignored_and_removed(store: PrefixStore, tmp_path: Path, damage: str) -> None:
    store.save("k" * 64, RECORD)
    path = only_file(tmp_path)
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[-10] ^= 1
    path.write_bytes(
        {
            "flipped": data,
            "cut": data[:-1],
            "foreign": b"\x89PNG" + data,
            "empty": b"",
            "header": data[:12] + b"}" * 90,
        }[damage]
    )
    assert store.load("k" * 64) is None
    assert not path.exists()


def test_no_byte_of_a_record_may_change(store: PrefixStore, tmp_path: Path) -> None:
    """A wrong cell would fail the question each time, or answer about another picture."""
    small = PrefixRecord(RECORD.cells, RECORD.suffix, bytearray(b"state"))
    store.save("k" * 64, small)
    path = only_file(tmp_path)
    data = path.read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        path.write_bytes(changed)
        assert store.load("k" * 64) is None, place
        assert not path.exists()
    path.write_bytes(data)
    assert store.load("k" * 64) == small


def test_a_file_under_another_key_is_not_taken(store: PrefixStore, tmp_path: Path) -> None:
    store.save("k" * 64, RECORD)
    only_file(tmp_path).rename(tmp_path / "kv" / ("x" * 64 + ".kv"))
    assert store.load("x" * 64) is None


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = PrefixStore(tmp_path / "kv", max_bytes=18_000)  # three records of some 5 kB
    for i, name in enumerate("abc"):
        store.save(name, RECORD)
        when = time.time() - 100 + i
        os.utime(tmp_path / "kv" / f"{name}.kv", (when, when))
    assert store.load("a") is not None  # used: now the youngest
    store.save("d", RECORD)
    assert [name for name in "abcd" if store.load(name)] == ["a", "c", "d"]


def test_what_is_larger_than_the_whole_store_is_not_written(tmp_path: Path) -> None:
    store = PrefixStore(tmp_path / "kv", max_bytes=1000)
    store.save("k", RECORD)
    assert store.load("k") is None


def test_a_folder_that_cannot_be_written_is_told_by_oserror_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "kv").write_text("a file, not a folder")
    with pytest.raises(OSError):
        PrefixStore(tmp_path / "kv", 1 << 20).save("k", RECORD)


def test_placeholders_of_two_pictures_differ_by_their_media_ids() -> None:
    a, b = MediaCells("aa", 0, 4, 4), MediaCells("bb", 0, 4, 4)
    assert common_prefix([1, a, 5, 6], [1, b, 5, 6]) == 1
    assert common_prefix([1, a, 5, 6], [1, a, 5, 7, 8]) == 3


def test_tokens_and_positions_are_counted_apart() -> None:
    assert n_tokens(RECORD.cells) == 3 + 576
    assert n_pos(RECORD.cells) == 3 + 24  # M-RoPE: a picture advances fewer positions than it takes cells


def test_a_changed_file_has_another_identity(tmp_path: Path) -> None:
    path = tmp_path / "weights.gguf"
    path.write_bytes(os.urandom(200_000))
    before = identity(path)
    assert identity(path) == before
    with path.open("r+b") as file:
        file.seek(150_000)
        file.write(b"changed")
    assert identity(path) != before
