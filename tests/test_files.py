"""files.py: whole or not at all, whatever lies where a file is to be written."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mmcli import files
from mmcli.errors import InputError, ResourceError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links, pipes and modes")
LIMIT = 1000  # bytes


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, in memory."""
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root may mount")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def parts(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(files.PART)]


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files.write(path, b"one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask()
    path.chmod(0o640)
    before = path.stat().st_ino
    files.write(path, b"two")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o640)
    assert path.stat().st_ino != before and os.listdir(tmp_path) == ["a.txt"]
    files.write(tmp_path / "b", b"", mode=0o600)
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("target", ["../out/real", "../out/new", "/dev/null", "loop", "..", "../in/sub/x"])
def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, target: str) -> None:
    for name in ("in/sub", "out"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "out" / "real").write_bytes(b"precious")
    link = tmp_path / "in" / "loop"
    link.symlink_to(target)
    for call in (
        lambda: files.write(link, b"x"),
        lambda: files.update(link, lambda before: b"x", max_bytes=LIMIT),
        lambda: files.read(link, max_bytes=LIMIT),
    ):
        with pytest.raises(InputError, match="link"):
            call()
    assert link.is_symlink() and os.listdir(tmp_path / "out") == ["real"]
    assert (tmp_path / "out" / "real").read_bytes() == b"precious"


def test_a_link_inside_the_folder_and_one_that_a_user_placed_are_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").symlink_to("b")
    (tmp_path / "in" / "b").symlink_to(tmp_path / "in" / "c")
    files.write(tmp_path / "in" / "a", b"x")
    assert (tmp_path / "in" / "c").read_bytes() == b"x" and (tmp_path / "in" / "a").is_symlink()
    assert files.read(tmp_path / "in" / "a", max_bytes=LIMIT) == b"x"
    (tmp_path / "placed").symlink_to("in/d")
    files.write(tmp_path / "placed", b"y", follow=True)
    assert (tmp_path / "in" / "d").read_bytes() == b"y" and (tmp_path / "placed").is_symlink()


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "device"])
def test_what_is_no_file_is_neither_read_nor_replaced(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("a.txt")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.fspath(path))
    else:
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes devices")
    before = path.lstat().st_ino
    for call in (lambda: files.write(path, b"x"), lambda: files.read(path, max_bytes=LIMIT)):
        with pytest.raises(InputError, match=f"`a.txt` is a {kind}, not a file"):
            call()
    assert path.lstat().st_ino == before and os.listdir() == ["a.txt"]


def test_another_name_of_the_same_file_keeps_what_it_held(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"precious")
    os.link(tmp_path / "kept", tmp_path / "a.txt")
    files.write(tmp_path / "a.txt", b"x")
    assert (tmp_path / "kept").read_bytes() == b"precious"


def test_what_is_read_has_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert files.read(path, max_bytes=LIMIT) is None and files.read(path / "b" / "c", max_bytes=LIMIT) is None
    path.write_bytes(b"x" * LIMIT)
    assert files.read(path, max_bytes=LIMIT) == b"x" * LIMIT
    with path.open("ab") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on disk
    with pytest.raises(InputError, match="has more than"):
        files.read(path, max_bytes=LIMIT)
    if os.path.exists("/proc/self/mem"):
        with pytest.raises(InputError, match="cannot read `/proc/self/mem`"):
            files.read(Path("/proc/self/mem"), max_bytes=LIMIT)  # a regular file of 0 bytes, by its own account


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300, "a/b/c", "file/b"])
def test_a_name_that_cannot_be_is_an_input_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError):
        files.write(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == ["file"]


def test_the_longest_name_that_can_be_is_written(tmp_path: Path) -> None:
    files.write(tmp_path / ("ä" * 127), b"x")
    assert os.listdir(tmp_path) == ["ä" * 127]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "64k") as small:
        files.write(small / "a", b"old")
        for call in (
            lambda: files.write(small / "a", b"x" * 100_000),
            lambda: files.update(small / "a", lambda before: b"x" * 100_000, max_bytes=LIMIT),
        ):
            with pytest.raises(ResourceError, match=r"cannot write `.*/small/a`: No space left on device"):
                call()
        assert (os.listdir(small), (small / "a").read_bytes()) == (["a"], b"old")


def test_a_place_that_is_read_only_is_named(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "64k") as small:
        files.write(small / "a", b"old")
        subprocess.run(["mount", "-o", "remount,ro", small], check=True)
        with pytest.raises(InputError, match=r"cannot write `.*/small/a`: Read-only file system"):
            files.write(small / "a", b"new")
        assert (small / "a").read_bytes() == b"old"


def test_a_file_that_is_mounted_in_place_is_not_lost(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "64k") as small:
        (small / "a").write_bytes(b"mounted over")
        place = tmp_path / "place"
        place.write_bytes(b"below")
        subprocess.run(["mount", "--bind", small / "a", place], check=True)
        try:
            with pytest.raises(InputError, match="cannot write `.*/place`: Device or resource busy"):
                files.write(place, b"new")
            assert place.read_bytes() == b"mounted over" and not parts(tmp_path)
        finally:
            subprocess.run(["umount", place], check=True)


# within


def test_no_link_leads_out_of_a_folder_that_bounds_the_path(tmp_path: Path) -> None:
    for name in ("top/real", "other"):
        (tmp_path / name).mkdir(parents=True)
    top = tmp_path / "top"
    (top / "away").symlink_to("../other")
    (top / "here").symlink_to("real")
    (tmp_path / "placed").symlink_to("top")  # the folder itself may be a link: the user named it

    def write(path: Path, within: Path) -> None:
        files.make_folder(path.parent, within=within)
        files.update(path, lambda before: b"x", max_bytes=LIMIT, within=within)

    for below in ("away/a", "away/deeper/a", "../other/a"):
        with pytest.raises(InputError, match="leads out of"):
            write(top / below, top)
        with pytest.raises(InputError, match="leads out of"):
            files.read(top / below, max_bytes=LIMIT, within=top)
    assert os.listdir(tmp_path / "other") == []
    write(tmp_path / "placed" / "here" / "new" / "a", tmp_path / "placed")
    assert (top / "real" / "new" / "a").read_bytes() == b"x"


def test_a_link_that_takes_a_folder_s_place_at_the_last_moment_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("top/in", "other"):
        (tmp_path / name).mkdir(parents=True)
    real = os.path.realpath

    def then_swapped(path: object) -> str:
        found = real(path)  # type: ignore[call-overload]
        if found.endswith("/in"):
            os.rename(found, found + "-was")
            os.symlink(tmp_path / "other", found)
        return str(found)

    monkeypatch.setattr(os.path, "realpath", then_swapped)
    with pytest.raises(InputError):
        files.update(tmp_path / "top/in/a", lambda before: b"x", max_bytes=LIMIT, within=tmp_path / "top")
    assert os.listdir(tmp_path / "other") == []


# others at the same time


def test_what_another_program_writes_meanwhile_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1")
    seen = []

    def change(before: bytes | None) -> bytes:
        assert before is not None
        if not seen:
            path.write_bytes(b"somebody's 2")
        seen.append(before)
        return before + b" and ours"

    assert files.update(path, change, max_bytes=LIMIT)
    assert (seen, path.read_bytes()) == ([b"1", b"somebody's 2"], b"somebody's 2 and ours")
    assert not files.update(path, lambda before: before or b"", max_bytes=LIMIT)


def test_a_file_that_never_holds_still_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def change(before: bytes | None) -> bytes:
        path.write_bytes((before or b"") + b"x")
        return b"ours"

    with pytest.raises(InputError, match="another program keeps changing it"):
        files.update(path, change, max_bytes=LIMIT)
    assert path.read_bytes() == b"x" * files.TRIES and not parts(tmp_path)


def _add(path: Path, letter: str, n: int) -> None:
    for _ in range(n):
        files.update(path, lambda before: (before or b"") + letter.encode() * 1000, max_bytes=1 << 20)


def test_processes_that_change_one_file_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path, start = tmp_path / "a", multiprocessing.get_context("spawn")
    workers = [start.Process(target=_add, args=(path, letter, 5)) for letter in "abcd"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    data = path.read_bytes()
    assert {letter: data.count(letter.encode() * 1000) for letter in "abcd"} == dict.fromkeys("abcd", 5)
    assert os.listdir(tmp_path) == ["a"]


def test_what_a_killed_process_left_goes_and_what_another_still_writes_stays(tmp_path: Path) -> None:
    left, held, linked = (f".a.{number:016x}{files.PART}" for number in range(3))
    for name in (left, held, linked):
        (tmp_path / name).write_bytes(b"half")
    os.link(tmp_path / linked, tmp_path / "other-name")
    (tmp_path / f".mine{files.PART}").write_bytes(b"not a name of ours")
    os.mkfifo(tmp_path / f".a.{9:016x}{files.PART}")
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import fcntl; f = open({held!r}); fcntl.flock(f, 2); print(flush=True); input()"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline()
        files.write(tmp_path / "a", b"x")
        assert not (tmp_path / left).exists()
        assert (
            (tmp_path / held).exists() and (tmp_path / linked).exists() and (tmp_path / f".mine{files.PART}").exists()
        )
    finally:
        holder.communicate(b"\n")


# folders


def test_a_private_folder_is_private_with_all_that_is_made_above_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    files.private_folder(tmp_path / "a" / "b" / "c")
    for folder in ("a", "a/b", "a/b/c"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700
    (tmp_path / "a").chmod(0o755)
    files.private_folder(tmp_path / "a")  # a folder that is there is its owner's
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
    (tmp_path / "file").touch()
    for name in ("file", "file/a"):
        with pytest.raises(OSError):
            files.private_folder(tmp_path / name)
