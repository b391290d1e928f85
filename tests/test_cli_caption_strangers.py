"""`mmcli caption` among links, pipes, devices, damaged rows and other runs: nothing ends it, and nothing is lost."""

from __future__ import annotations

import gc
import io
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image as Pillow

from mmcli import media
from mmcli.engine import Answer, Seen, Usage
from mmcli.errors import InputError, MmcliError
from mmcli.jobs.inputs import LONGEST, split
from mmcli.jobs.result_cache import Results
from mmcli.outputs import xmp
from mmcli.outputs.sidecars import SidecarPlan, Sidecars
from tests import captioning
from tests.captioning import Caption, lines
from tests.conftest import TIMEOUT, Completed, Random, Run, draw

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links, pipes and modes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """p/a.png and p/b.png, which show the same."""
    (tmp_path / "p").mkdir()
    shutil.copy(draw(tmp_path / "p" / "a.png", "red circle", "blue square"), tmp_path / "p" / "b.png")
    return tmp_path / "p"


def failed(done: Completed) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


# what is read


def test_a_link_that_leads_nowhere_is_one_error_and_the_others_go_on(caption: Caption, folder: Path) -> None:
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "through.png").symlink_to("a.png/b.png")
    done = caption("p")
    assert (done.status, [name for name, _ in lines(done)]) == (7, ["p/a.png", "p/b.png"])
    assert len(failed(done)) == 4 and all(f"`p/{name}.png`" in done.stderr for name in ("loop", "gone", "through"))
    assert "bug" not in done.stderr


def test_a_link_into_a_folder_that_refuses_is_one_error_too(
    folder: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "shut").mkdir()
    shutil.copy(folder / "a.png", tmp_path / "shut")
    (folder / "shut.png").symlink_to("../shut/a.png")
    (tmp_path / "shut").chmod(0)
    command = [sys.executable, "-m", "mmcli", "caption", "-m", "starter", "p", "shut/deep/c.png", "--sidecar", "txt"]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root reads everything")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    try:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    finally:
        (tmp_path / "shut").chmod(0o700)
    assert done.returncode == 7
    assert [line.partition("\t")[0] for line in done.stdout.splitlines()] == ["p/a.png", "p/b.png"]
    assert "`p/shut.png` cannot be read: permission denied" in done.stderr and "bug" not in done.stderr


def test_folders_may_be_nested_deeper_than_python_calls(caption: Caption, ask: Run, tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=handle)
        below = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    picture = draw(tmp_path / "one.png", "green triangle")
    with open(os.open("x.png", os.O_WRONLY | os.O_CREAT, dir_fd=handle), "wb") as file:
        file.write(picture.read_bytes())
    os.close(handle)
    try:
        done = caption("d", "-r")
        assert (done.status, done.stdout.count("\n")) == (0, 1)
        assert "triangle" in ask("d", "-r", "What is this?", "--no-history").words
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # pytest's own way is recursion


def test_a_folder_of_nothing_but_a_link_to_itself_holds_no_pictures(ask: Run, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "loop").symlink_to("loop")
    done = ask("p", "What is this?")
    assert (done.status, "the folder `p` holds no pictures" in done.stderr) == (3, True)


# sidecars


@pytest.mark.parametrize("target", ["../empty", "../new", "../null", "/proc/self/mem"])
def test_no_sidecar_is_written_through_a_link_out_of_its_folder(
    caption: Caption, folder: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "empty").touch()
    if target == "../null":
        try:
            os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes devices")
    (folder / "a.txt").symlink_to(target)
    done = caption("p", "--sidecar", "txt", "--overwrite")
    assert (done.status, [name for name, _ in lines(done)]) == (7, ["p/b.png"])
    assert f"`p/a.txt` is a link out of its folder, to `{target}`" in done.stderr
    assert (folder / "a.txt").is_symlink() and (tmp_path / "empty").read_bytes() == b""
    assert not (tmp_path / "new").exists()
    assert target != "../null" or stat.S_ISCHR((tmp_path / "null").lstat().st_mode)


def test_a_sidecar_that_is_a_pipe_is_refused_at_once(caption: Caption, folder: Path) -> None:
    os.mkfifo(folder / "a.txt")
    done = caption("p/a.png", "--sidecar", "txt")
    assert (done.status, "`p/a.txt` is a pipe, not a file" in done.stderr) == (3, True)
    assert sorted(os.listdir(folder)) == ["a.png", "a.txt", "b.png"]


def test_what_lies_under_the_name_of_a_scratch_file_is_left_alone(caption: Caption, folder: Path) -> None:
    (folder / "kept").write_text("precious")
    os.link(folder / "kept", folder / ".a.txt.mmcli-part")
    os.mkfifo(folder / ".b.txt.mmcli-part")
    done = caption("p", "--sidecar", "txt")
    assert (done.status, done.stderr) == (0, "note: left out of the folder `p`: 1 × no extension\n")
    assert (folder / "kept").read_text() == "precious"
    assert (folder / "a.txt").read_bytes() == (folder / "b.txt").read_bytes() != b""


def test_links_in_the_folder_of_sidecars_do_not_lead_out_of_it(caption: Caption, folder: Path, tmp_path: Path) -> None:
    for name in ("out", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "out" / "p").symlink_to("../elsewhere")
    done = caption("p", "--sidecar", "txt", "-o", "out")
    assert (done.status, done.stdout, os.listdir(tmp_path / "elsewhere")) == (7, "", [])
    assert "`out/p` leads out of `out`" in done.stderr


def test_a_walked_folder_that_becomes_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "p" / "sub").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    draw(tmp_path / "p" / "sub" / "a.png", "red circle")
    (source,) = media.each(str(tmp_path / "p"), recursive=True)
    assert source.path is not None and source.within == tmp_path / "p"
    sidecars = Sidecars(SidecarPlan(("txt",)), results := Results(None))
    assert sidecars.obstacle(source.path, source.within) is None
    (tmp_path / "p" / "sub").rename(tmp_path / "p" / "was")
    (tmp_path / "p" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="leads out of"):
        sidecars.write(source.path, "a caption", {}, source.within)
    assert os.listdir(tmp_path / "elsewhere") == []
    results.close()


def test_overwrite_spares_pictures_and_the_list_of_names(caption: Caption, folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "a.png", folder / "a.txt")  # a picture, whatever its name says
    (folder / "b.txt").write_text("p/a.png\np/b.png\np/a.txt\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    done = caption("--from-file", "p/b.txt", "--sidecar", "txt", "--overwrite")
    assert done.status == 7
    assert "`p/a.txt` is a picture, not a sidecar" in done.stderr
    assert "`p/b.txt` is the list of names itself" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_runs_on_one_folder_do_not_disturb_each_other(
    folder: Path, tmp_path: Path, environment: dict[str, str], at_once: int = 4
) -> None:
    captioning.many(folder, 4)
    command = [sys.executable, "-m", "mmcli", "caption", "p", "-m", "starter", "--sidecar", "txt", "--sidecar", "xmp"]
    how = {"cwd": tmp_path, "env": environment, "stdin": subprocess.DEVNULL}
    running = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **how)  # type: ignore[call-overload]
        for _ in range(at_once)
    ]
    ends = [(process.communicate(timeout=TIMEOUT)[1], process.returncode) for process in running]
    assert ends == [(b"", 0)] * at_once
    for picture in folder.glob("*.png"):
        assert picture.with_suffix(".txt").read_text().endswith("\n")
        ET.parse(picture.with_name(picture.name + ".xmp"))
    assert not list(folder.glob(".*"))
    (row,) = sqlite3.connect(next(tmp_path.rglob("captions.db"))).execute("SELECT count(*) FROM results")
    assert row[0] == 5  # a.png and b.png are one


# XMP


def test_an_xmp_nested_without_end_is_one_error(caption: Caption, folder: Path) -> None:
    begin, end = xmp.with_description(None, "x", model="", date="").split(b"<dc:description>")
    for name, depth in (("a", 3000), ("b", 30)):
        nested = b"<mmcli:x>" * depth + b"</mmcli:x>" * depth
        (folder / f"{name}.png.xmp").write_bytes(begin + nested + b"<dc:description>" + end)
    done = caption("p", "--sidecar", "xmp")
    assert (done.status, [name for name, _ in lines(done)]) == (7, ["p/b.png"])
    assert "`p/a.png.xmp` is not XMP that mmcli can change" in done.stderr and "nested" in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_an_xmp_with_entities_is_refused_in_any_encoding(encoding: str) -> None:
    text = '<!DOCTYPE x [<!ENTITY a "b">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&a;</x:xmpmeta>'
    with pytest.raises(InputError, match="document type"):
        xmp.is_human(text.encode(encoding), shown="it")


def test_an_xmp_of_a_hundred_thousand_parts_takes_no_square_of_time() -> None:
    properties = "".join(f"<rdf:li>word {i}</rdf:li>" for i in range(50_000))
    begin = xmp.with_tags(None, ["own"], model="m", date="").decode()
    many = begin.replace("<rdf:li>own</rdf:li>", properties)
    many = many.replace("</rdf:RDF>", "<rdf:Description/>" * 50_000 + "</rdf:RDF>")
    new = xmp.with_tags(many.encode(), ["word 7", "new"], model="m", date="")
    assert new.count(b"word 7<") == 2 and new.count(b"<rdf:Description") == 1
    with pytest.raises(InputError, match="namespaces"):
        spaces = "".join(f' xmlns:n{i}="urn:{i}"' for i in range(5000))
        xmp.is_human(f"<x:xmpmeta xmlns:x='adobe:ns:meta/'{spaces}/>".encode(), shown="it")


def test_two_threads_keep_their_documents_prefixes() -> None:
    """ElementTree has one table of prefixes for the whole process."""

    def document(uri: str) -> bytes:
        return xmp.with_description(None, "x", model="", date="").replace(
            b"<dc:description>", f'<lr:note xmlns:lr="{uri}">1</lr:note><dc:description>'.encode()
        )

    wrong: list[bytes] = []

    def work(uri: str) -> None:
        before = document(uri)
        for i in range(300):
            new = xmp.with_description(before, f"words {i}", model="m", date="")
            if f'xmlns:lr="{uri}"'.encode() not in new:
                wrong.append(new)

    threads = [threading.Thread(target=work, args=(f"urn:{n}",)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# lists


def test_a_list_that_is_none_is_an_error_at_once(caption: Caption, folder: Path) -> None:
    done = caption(stdin=b"a" * 20_000_000)
    assert (done.status, done.stdout) == (3, "")
    assert "the list holds a name of more than 64 kB, which begins with `aaa" in done.stderr
    done = caption(stdin=b"p/a.png\n" + b"a" * 200_000)
    assert (done.status, [name for name, _ in lines(done)]) == (7, ["p/a.png"])


def test_a_list_may_name_a_file_like_an_option_and_what_can_be_none(caption: Caption, folder: Path) -> None:
    shutil.copy(folder / "a.png", folder.parent / "-")
    (folder.parent / "list").write_bytes(b"-\np/a\0b.png\np/a\0b.txt\np\n-0\np/a.png\n")
    done = caption("--from-file", "list", "--sidecar", "txt")
    assert (done.status, [name for name, _ in lines(done)]) == (7, ["-", "p/a.png"])
    assert (
        "it contains a NUL character" in done.stderr and "`p` is a folder" in done.stderr and "bug" not in done.stderr
    )


def test_what_mmcli_makes_first_is_for_this_user_alone(caption: Caption, folder: Path, home: Path) -> None:
    assert caption("p", "--rename", "--yes").status == 0
    made = [path for path in home.rglob("*") if path.is_dir() and "mmcli" in path.parts]
    assert len(made) >= 2 and {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}


def test_a_long_block_without_a_separator_is_read_once() -> None:
    class Counted(bytes):
        """Bytes that tell how often they were joined to others."""

        joined = 0

        def __add__(self, other: bytes) -> bytes:
            Counted.joined += 1
            return super().__add__(other)

        __radd__ = __add__

    def blocks() -> Iterator[bytes]:
        for _ in range(LONGEST // 100):
            yield Counted(b"a" * 100)

    (names,) = split(blocks(), b"\n")
    assert names == ["a" * LONGEST] and Counted.joined == 0
    with pytest.raises(InputError, match="without ever ending a name"):
        list(split((b"\0" * 65_536 for _ in range(1000)), b"\0"))


# what waits


def test_an_error_that_waits_for_its_turn_holds_no_pixels(tmp_path: Path) -> None:
    picture = draw(tmp_path / "a.png", "red circle", size=(900, 900))
    held: list[MmcliError] = []
    for number in range(10):
        try:
            media.load(media.Source("a.png", data=picture.read_bytes()[:-300] + b"%d" % number))
        except MmcliError as error:
            held.append(error)
    gc.collect()
    assert len(held) == 10
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Pillow.Image) and thing.size == (900, 900)]
    for error in held:
        assert error.released() is error
        assert error.__traceback__ is error.__cause__ is error.__context__ is None


@pytest.mark.slow
def test_damaged_pictures_behind_a_slow_one_take_no_more_memory_than_whole_ones(
    tmp_path: Path, environment: dict[str, str], parrot: Random
) -> None:
    buffer = io.BytesIO()
    Pillow.effect_noise((6000, 4000), 20).convert("RGB").save(buffer, "JPEG", quality=50)
    peaks = {}
    for name, n, n_bytes in (("whole", 6, None), ("damaged", 40, buffer.tell() * 9 // 10)):
        (tmp_path / name).mkdir()
        draw(tmp_path / name / "000.png", "red circle")
        for number in range(1, n):
            (tmp_path / name / f"{number:03}.jpg").write_bytes(buffer.getvalue()[:n_bytes] + b"%d" % number)
        program = (
            "import resource, subprocess, sys\n"
            "subprocess.run([sys.executable, '-m', 'mmcli', 'caption', *sys.argv[1:]], stdout=-3, stderr=-3)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
        )
        command = [sys.executable, "-c", program, name, *parrot.options, "--max-tokens", "8"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=600, check=True)
        peaks[name] = int(done.stdout)
    assert peaks["damaged"] <= 1.2 * peaks["whole"]


# rows


def answer() -> Answer:
    receipt = media.Receipt("a.png", "image", "0" * 64, 9, "PNG", (4, 2), (4, 2), notes=("flat",))
    seen = Seen(receipt, "pixels", 64, 64, "encoded")
    return Answer("a circle", "", "stop", (seen,), Usage(10, 0, 4), "starter", "w", "p", "CPU", 256, 14, 0)


@pytest.mark.parametrize(
    ("query", "is_lost"),
    [
        ("UPDATE results SET answer = '{'", True),
        ("UPDATE results SET answer = '[]'", True),
        ("UPDATE results SET answer = NULL", True),
        ("UPDATE results SET answer = x'ff80'", True),
        ("UPDATE results SET answer = CAST(x'7bff80' AS TEXT)", True),
        (f"UPDATE results SET answer = '{'[' * 100_000}'", True),
        ("UPDATE results SET answer = json_set(answer, '$.text', 5)", True),
        ("UPDATE results SET answer = json_set(answer, '$.finish_reason', 'tired')", True),
        ("UPDATE results SET answer = json_set(answer, '$.usage.seconds', json('[1]'))", True),
        ("UPDATE results SET answer = json_remove(answer, '$.seen')", True),
        ("UPDATE results SET answer = json_set(answer, '$.of_a_later_version', 1)", False),
        ("UPDATE results SET answer = json_set(answer, '$.usage.of_a_later_version', json('{}'))", False),
        ("UPDATE results SET answer = json_remove(answer, '$.usage.n_encodes')", False),
    ],
)
def test_a_result_that_cannot_be_read_counts_as_absent(tmp_path: Path, query: str, is_lost: bool) -> None:
    store = damaged(tmp_path, query)
    found = store.load("key", answer().seen[0].receipt)
    assert (found is None) == is_lost
    assert found is None or found.text == "a circle"
    store.save("key", "setup", answer(), 1.0)  # which is what its absence leads to
    assert store.load("key", answer().seen[0].receipt) is not None
    store.close()


@pytest.mark.parametrize(
    ("query", "is_lost"),
    [
        ("UPDATE pictures SET receipt = '{}'", True),
        ("UPDATE pictures SET receipt = json_set(receipt, '$.source_size', json('[1]'))", True),
        ("UPDATE pictures SET receipt = json_set(receipt, '$.notes', 'flat')", True),
        ("UPDATE pictures SET media_id = NULL", True),
        ("UPDATE pictures SET media_id = x'ff'", True),
        ("UPDATE pictures SET receipt = json_set(receipt, '$.of_a_later_version', 1)", False),
        ("UPDATE pictures SET receipt = json_remove(receipt, '$.notes')", False),
    ],
)
def test_a_picture_s_row_that_cannot_be_read_counts_as_absent(tmp_path: Path, query: str, is_lost: bool) -> None:
    store = damaged(tmp_path, query)
    assert (store.seen_before("0" * 64) is None) == is_lost
    store.close()


def test_what_else_a_damaged_cache_says_ends_nothing(tmp_path: Path) -> None:
    for query in ("UPDATE results SET seconds = 'long'", "UPDATE results SET seconds = 9e999", "DELETE FROM results"):
        store = damaged(tmp_path, query)
        assert store.seconds("setup") in (None, 2.0)
        store.close()
    for query in ("UPDATE sidecars SET path = 'no literal'", "UPDATE sidecars SET digest = x'00', picture = 3"):
        store = damaged(tmp_path, query)
        assert not store.is_ours(tmp_path / "a.txt", b"x")
        assert store.of_picture(tmp_path / "a.png") == []
        store.close()


def damaged(folder: Path, query: str) -> Results:
    """A cache that holds one result, one picture and one sidecar, of which something was changed behind its back."""
    path = folder / "captions.db"
    path.unlink(missing_ok=True)
    warnings: list[str] = []
    store = Results(path)
    store.save("key", "setup", answer(), 2.0)
    store.wrote(folder / "a.txt", folder / "a.png", b"x")
    store.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(query)
    store = Results(path, on_warning=warnings.append)
    assert warnings == []
    return store
