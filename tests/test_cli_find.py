"""`mmcli index` and `mmcli find` as programs, with the built-in embedding model on drawn scenes."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import films
from tests.conftest import PICTURES, Run, draw
from tests.documents import pdf

COLOURS = ("red", "blue", "green", "yellow", "purple")
FORMS = ("circle", "square", "triangle")


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """Thirty pictures of one shape each, and what it is in their names' numbers, not in words."""
    (tmp_path / "T").mkdir()
    for place, (colour, form) in enumerate((c, f) for c in COLOURS for f in FORMS for _ in range(2)):
        draw(tmp_path / "T" / f"{place:02d}.png", f"{colour} {form}", size=(230 + 16 * (place % 2), 240))
    return tmp_path / "T"


def numbers(colour: str | None, form: str) -> set[str]:
    """The names of the pictures that show it."""
    every = [(c, f) for c in COLOURS for f in FORMS for _ in range(2)]
    return {f"{place:02d}.png" for place, (c, f) in enumerate(every) if c == (colour or c) and f == form}


def found(text: str) -> list[str]:
    return [os.path.basename(line) for line in text.splitlines()]


def test_what_was_indexed_is_found_by_what_it_shows(mmcli: Run, scenes: Path) -> None:
    done = mmcli("index", scenes, "-m", "starter")
    assert (done.status, done.stdout) == (0, "30 files, 30 new, 0 moved, 0 gone, 0 failed\n")
    assert "starter on CPU" in done.stderr and "30 embedded in" in done.stderr
    for colour in ("red", "blue", "green"):
        top = found(mmcli("find", colour, "circle", "-n", "2", "--files").stdout)
        assert set(top) == numbers(colour, "circle")
    rows = [line.split("\t") for line in mmcli("find", "blue", "square", "-n", "3").stdout.splitlines()]
    assert all(len(row) == 3 and float(row[1]) for row in rows)


def test_the_second_time_nothing_is_computed(mmcli: Run, scenes: Path) -> None:
    mmcli("index", scenes, "-m", "starter")
    again = mmcli("index")
    assert (again.stdout, again.stderr) == ("30 files, 0 new, 0 moved, 0 gone, 0 failed\n", "")
    first = mmcli("find", "red", "circle")
    assert mmcli("find", "red", "circle").stdout == first.stdout


def test_a_query_that_was_asked_before_loads_no_model(
    mmcli: Run, scenes: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    mmcli("index", scenes, "-m", "starter")
    mmcli("find", "red", "circle")
    code = "import sys; from mmcli import main; main.run(sys.argv[1:])"
    for words in (["find", "red", "circle"], ["find", "circle", "--words-only"], ["index"]):
        script = f"import sys\nsys.argv = ['mmcli', *{words!r}]\n{code}\nprint('onnxruntime' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "False", words


def test_names_that_are_no_text_come_out_as_they_are(mmcli: Run, scenes: Path) -> None:
    (scenes / "b").mkdir()
    (scenes / "00.png").rename(scenes / "b" / "ü\ncd.png")
    mmcli("index", scenes, "-m", "starter")
    shown = mmcli("find", "--in", scenes / "b", "-l").stdout
    assert shown == f"{scenes}/b/ü\\ncd.png\n"
    assert mmcli("find", "--in", scenes / "b", "--print0").stdout == f"{scenes}/b/ü\ncd.png\0"


def test_one_damaged_file_is_status_7_and_the_others_are_taken_in(mmcli: Run, scenes: Path) -> None:
    Image.open(scenes / "01.png").convert("RGB").save(scenes / "ok.jpg")
    (scenes / "broken.jpg").write_bytes((scenes / "ok.jpg").read_bytes()[:900])
    for new in (31, 0):
        done = mmcli("index", scenes, "-m", "starter")
        assert done.status == 7
        assert done.stdout == f"32 files, {new} new, 0 moved, 0 gone, 1 failed\n"
        assert len([line for line in done.stderr.splitlines() if "broken.jpg" in line]) == 1
    assert mmcli("index", "--json").json["errors"][0]["message"].count("broken.jpg") == 1


def test_pages_and_moments_are_found_by_themselves(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "M").mkdir()
    (tmp_path / "M" / "two.pdf").write_bytes(pdf("the first page", "quarterly figures of the red bicycle"))
    films.make(tmp_path / "M" / "film.mp4", seconds=12)
    assert mmcli("index", tmp_path / "M", "-m", "starter").status == 0
    row = mmcli("find", "quarterly", "figures", "--words-only").stdout.rstrip("\n").split("\t")
    assert row[0] == f"{tmp_path}/M/two.pdf#page=2" and row[1] == "-" and "quarterly figures" in row[2]
    assert mmcli("find", '"figures of"', "--words-only", "--sources").stdout == f"{tmp_path}/M/two.pdf#page=2\n"
    moments = mmcli("find", "--kind", "moment", "-n", "0", "--sources").stdout.splitlines()
    assert moments and all(line.startswith(f"{tmp_path}/M/film.mp4#t=") for line in moments)


def test_a_source_is_one_that_ask_takes(mmcli: Run, scenes: Path) -> None:
    mmcli("index", scenes, "-m", "starter")
    source = mmcli("find", "--like", scenes / "00.png", "-n", "1", "--sources").stdout.strip()
    assert source == str(scenes / "00.png")
    assert "red" in mmcli("ask", source, "What color is the circle?", "-m", "starter").stdout


def test_json_has_the_parts(mmcli: Run, scenes: Path) -> None:
    mmcli("index", scenes, "-m", "starter")
    told = mmcli("find", "red", "circle", "-n", "2", "--json").json
    assert [each["rank"] for each in told] == [1, 2]
    assert told[0]["parts"]["vector_rank"] == 1 and told[0]["kind"] == "picture"
    lines = mmcli("find", "red", "circle", "-n", "2", "--jsonl").stdout.splitlines()
    assert [json.loads(line)["path"] for line in lines] == [each["path"] for each in told]


def test_a_page_of_results_holds_its_pictures_and_nothing_from_elsewhere(
    mmcli: Run, scenes: Path, tmp_path: Path
) -> None:
    mmcli("index", scenes, "-m", "starter")
    assert mmcli("find", "circle", "-n", "3", "--html", tmp_path / "out.html").status == 0
    page = (tmp_path / "out.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    assert "<script" not in page and "http" not in page.replace("https://", "http")
    assert page.count('href="file://') == 3


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((), 2, "nothing to look for was named"),
        (("--on", "someday"), 2, "--on: `someday` is no date"),
        (("x", "--since", "2024-07-14", "--until", "2024-07-13"), 2, "is later than"),
        (("x", "--files", "--json"), 2, "cannot be combined"),
        (("x", "--kind", "smell"), 2, "`smell` is none"),
        (("x", "--near", "here"), 2, "is no position"),
        (("--not", "x"), 2, "needs something that is looked for"),
        (("x", "--index", ".."), 2, "is no name of a library"),
        (("red", "circle"), 3, "there is no library `default` yet"),
    ],
)
def test_bad_queries_are_one_sentence(mmcli: Run, arguments: tuple[str, ...], status: int, told: str) -> None:
    done = mmcli("find", *arguments)
    assert (done.status, done.stdout) == (status, "") and told in done.stderr


def test_what_index_refuses(mmcli: Run, scenes: Path, tmp_path: Path) -> None:
    assert mmcli("index", tmp_path / "no-such-folder", "-m", "starter").status == 3
    assert mmcli("index").status == 3
    assert mmcli("index", scenes, "-m", "no-such-model").status == 4
    assert mmcli("index", "--list", "--check").status == 2
    assert mmcli("index", "--repair").status == 2


def test_a_dry_run_stores_nothing(mmcli: Run, scenes: Path) -> None:
    mmcli("index", PICTURES, "-m", "starter")
    done = mmcli("index", scenes, "--dry-run")
    assert done.stdout == "30 files, 30 new, 0 moved, 0 gone, 0 failed\n"
    assert str(scenes) not in mmcli("index", "--list").stdout


def test_a_root_is_listed_and_forgotten(mmcli: Run, scenes: Path) -> None:
    mmcli("index", scenes, "-m", "starter")
    path, n, _, state = mmcli("index", "--list").stdout.strip().split("\t")
    assert (path, n, state) == (str(scenes), "30", "online")
    scenes.rename(scenes.with_name("T2"))
    assert mmcli("index", "--list").stdout.strip().endswith("offline")
    done = mmcli("index")
    assert done.status == 0 and "is offline: kept 30 files" in done.stderr
    assert mmcli("index", "--forget", scenes).stdout == "30 files forgotten\n"
    assert mmcli("index", "--forget", scenes).status == 3
    assert mmcli("find", "circle").stdout == ""


def test_a_lone_negation_is_told(mmcli: Run, scenes: Path) -> None:
    mmcli("index", scenes, "-m", "starter")
    assert "--not" in mmcli("find", "circle", "without", "red").stderr
    kept = found(mmcli("find", "circle", "--not", "red", "-n", "5", "--files").stdout)
    assert kept and not set(kept) & numbers("red", "circle")


def test_killed_runs_lose_nothing(mmcli: Run, environment: dict[str, str], tmp_path: Path) -> None:
    """Killed at random, again and again, the library is whole, and has the vectors of an undisturbed one."""
    folder = tmp_path / "many"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for place in range(300):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / f"{place:03d}.png")
    chance = random.Random(3)
    command = [sys.executable, "-m", "mmcli", "index", str(folder), "-m", "starter", "--index", "killed"]
    for _ in range(6):
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=-3, stderr=-3)
        time.sleep(chance.uniform(0.3, 2.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert mmcli("index", folder, "-m", "starter", "--index", "killed").status == 0
    assert mmcli("index", "--check", "--index", "killed").stdout == "clean\n"
    assert mmcli("index", folder, "-m", "starter", "--index", "calm").status == 0
    for words in (["red", "circle"], ["a", "star"], ["blue"]):
        killed, calm = (
            mmcli("find", *words, "-n", "50", "--json", "--index", name).json for name in ("killed", "calm")
        )
        assert [(each["path"], each["parts"]["cosine"]) for each in killed] == [
            (each["path"], each["parts"]["cosine"]) for each in calm
        ]


def test_a_model_that_sees_confirms_what_was_found(mmcli: Run) -> None:
    mmcli("index", PICTURES, "-m", "starter")
    verify = ("--verify", "9", "--verify-model", "starter")
    done = mmcli("find", "red", "circle", *verify, "--files")
    assert set(found(done.stdout)) == {"IMG_0001.jpg", "phone.jpg", "shapes.png", "shapes-2.png"}
    assert done.stderr.strip().endswith("5 more that starter does not confirm")
    rows = [line.split("\t") for line in mmcli("find", "yellow", "star", *verify).stdout.splitlines()]
    assert {os.path.basename(row[0]) for row in rows} >= {"IMG_0003.jpg", "phone.jpg"}
    assert all(float(row[1]) > 0.9 for row in rows)
    assert mmcli("find", "--like", PICTURES / "shapes.png", *verify).status == 3


def test_captions_are_taken_over(mmcli: Run) -> None:
    mmcli("index", PICTURES, "-m", "starter")
    assert mmcli("find", "purple", "cross", "--words-only").stdout == ""
    mmcli("caption", PICTURES, "-m", "starter")
    assert mmcli("index").status == 0
    row = mmcli("find", "purple", "cross", "--words-only").stdout.split("\t")
    assert row[0].endswith("positions.png") and "a purple cross" in row[2]


def test_words_in_pictures_are_read(mmcli: Run) -> None:
    assert mmcli("index", PICTURES / "words.png", "-m", "starter", "--ocr").status == 0
    text = mmcli("read", PICTURES / "words.png").stdout.split()
    word = max((word.strip("*#.,") for word in text), key=len)
    assert mmcli("find", word, "--words-only", "-l").stdout == f"{PICTURES / 'words.png'}\n"


def test_libraries_of_two_machines_merge(mmcli: Run, scenes: Path, tmp_path: Path) -> None:
    mmcli("index", PICTURES, "-m", "starter")
    mmcli("index", scenes, "-m", "starter", "--index", f"{tmp_path}/other")
    assert mmcli("index", "--merge", f"{tmp_path}/other").stdout == "30 contents, 30 files, 30 vectors\n"
    assert mmcli("index", "--merge", f"{tmp_path}/other").stdout == "0 contents, 0 files, 0 vectors\n"
    assert mmcli("index", "--check").stdout == "clean\n"
    assert len(mmcli("find", "--in", scenes, "-n", "0", "-l").stdout.splitlines()) == 30


def test_a_model_in_a_folder_is_found_again(mmcli: Run, scenes: Path, tmp_path: Path) -> None:
    from tests import towers

    towers.write_folder(tmp_path / "model")
    assert mmcli("index", scenes, "-m", "./model").status == 0
    assert len(mmcli("find", "anything", "-n", "3", "-l").stdout.splitlines()) == 3
    assert mmcli("index").stdout.startswith("30 files, 0 new")


@pytest.mark.skipif(sys.platform == "win32", reason="has no RLIMIT_FSIZE")
def test_a_full_disk_is_status_6_and_the_same_command_goes_on(
    mmcli: Run, environment: dict[str, str], scenes: Path, tmp_path: Path
) -> None:
    mmcli("index", PICTURES, "-m", "starter")
    for room in (0, 12_000):  # bytes that a file may have: less than the database takes, or its log

        def fill(room: int = room) -> None:
            import resource

            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

        done = subprocess.run(
            [sys.executable, "-m", "mmcli", "index", str(scenes)],
            env=environment,
            cwd=tmp_path,
            preexec_fn=fill,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 6, done.stderr
    assert mmcli("index", "--check").stdout == "clean\n"
    assert mmcli("index", scenes).status == 0
    assert len(mmcli("find", "--in", scenes, "-n", "0", "-l").stdout.splitlines()) == 30


def test_what_is_said_is_found_where_it_is_said(mmcli: Run, tmp_path: Path) -> None:
    (tmp_path / "S").mkdir()
    shutil.copy(PICTURES.parent / "sounds" / "question.ogg", tmp_path / "S")
    shutil.copy(PICTURES / "shapes.png", tmp_path / "S")
    assert mmcli("index", tmp_path / "S", "-m", "starter", "--speech", "--speech-model", "starter").status == 0
    row = mmcli("find", "picture", "--words-only").stdout.rstrip("\n").split("\t")
    assert row[0].startswith(f"{tmp_path}/S/question.ogg#t=0,") and "What is in this picture?" in row[2]
    again = mmcli("index")  # without --speech, what was taken in with it stays
    assert again.stdout == "2 files, 0 new, 0 moved, 0 gone, 0 failed\n"
    assert mmcli("find", "picture", "--words-only", "--sources").stdout.strip() == row[0]


def test_what_changed_or_is_gone_is_never_named_as_the_same(mmcli: Run, tmp_path: Path) -> None:
    """Somebody may remove what `--same` names."""
    folder = tmp_path / "dup"
    folder.mkdir()
    draw(folder / "1.png", "red circle")
    for name in ("2.png", "3.png", "4.png"):
        (folder / name).write_bytes((folder / "1.png").read_bytes())
    os.symlink(folder, tmp_path / "again")
    assert mmcli("index", folder, tmp_path / "again", "-m", "starter").status == 0
    assert len(mmcli("find", "--same", "-l").stdout.splitlines()) == 3  # each once, though there are two ways to it
    (folder / "1.png").unlink()
    draw(folder / "2.png", "blue square")
    done = mmcli("find", "--same", "--print0")
    assert done.stdout.count("\0") == 1 and done.stdout.rstrip("\0").endswith("4.png")  # 3.png stays
    assert "left out: gone or changed" in done.stderr


@pytest.mark.parametrize(
    "more", [("--in", "x"), ("-n", "3"), ("--sources",), ("--html", "a.html"), ("--since", "2024")]
)
def test_same_says_what_it_does_not_take(mmcli: Run, scenes: Path, more: tuple[str, ...]) -> None:
    assert mmcli("index", scenes, "-m", "starter").status == 0
    done = mmcli("find", "--same", *more)
    assert (done.status, done.stdout) == (2, "")


def test_what_is_gone_is_not_found_and_a_picture_is_not_overwritten(mmcli: Run, scenes: Path) -> None:
    assert mmcli("index", scenes, "-m", "starter").status == 0
    (first,) = mmcli("find", "red", "circle", "-n", "1", "-l").stdout.splitlines()
    before = Path(first).read_bytes()
    done = mmcli("find", "red", "circle", "--html", first)
    assert (done.status, Path(first).read_bytes()) == (2, before)
    Path(first).unlink()
    assert first not in mmcli("find", "red", "circle", "-n", "30", "-l").stdout.splitlines()
    assert mmcli("find", "red", "circle", "-n", "2", "--sources", "--print0").stdout.count("\0") == 2
    scenes.rename(scenes.with_name("elsewhere"))  # the whole folder: offline, and kept
    assert len(mmcli("find", "red", "circle", "-n", "3", "-l").stdout.splitlines()) == 3


@pytest.mark.parametrize("arguments", [(b"q\xff",), (b"red", b"--and", b"q\xff"), (b"red", b"--camera", b"q\xff")])
def test_arguments_that_are_no_utf_8_are_no_bug(mmcli: Run, scenes: Path, arguments: tuple[bytes, ...]) -> None:
    assert mmcli("index", scenes, "-m", "starter").status == 0
    done = mmcli("find", *map(os.fsdecode, arguments), "-n", "1")
    assert done.status == 0, done.stderr


@pytest.mark.parametrize(
    "arguments", [("red", "--min", "nan"), ("red", "--and", "0:blue"), ("red", "--within", "5km"), ('""',)]
)
def test_what_means_nothing_is_refused(mmcli: Run, scenes: Path, arguments: tuple[str, ...]) -> None:
    assert mmcli("index", scenes, "-m", "starter").status == 0
    done = mmcli("find", *arguments)
    assert (done.status, done.stdout) == (2, "")


def test_a_text_file_is_no_root(mmcli: Run, scenes: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert mmcli("index", scenes, "-m", "starter").status == 0
    assert mmcli("index", tmp_path / "notes.txt").status == 3
    assert mmcli("index").status == 0
