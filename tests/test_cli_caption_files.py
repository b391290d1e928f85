"""What `mmcli caption` writes: sidecars, new names, and the way back. Nobody's words or files are ever lost."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mmcli.outputs import renames, xmp
from tests import captioning
from tests.captioning import Caption, lines
from tests.conftest import TIMEOUT, Run, draw

XMP = xmp.with_description(None, "x", model="", date="")


def exiftool(*arguments: str | Path) -> Any:
    """What exiftool, which knows nothing of us, reads or writes."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    done = subprocess.run(["exiftool", *map(str, arguments)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)[0] if "-json" in arguments else None


def description(path: Path) -> Any:
    return exiftool("-json", "-XMP-dc:Description", path).get("Description")


# sidecars


def test_sidecars_stand_beside_their_pictures(caption: Caption, two: Path, tmp_path: Path) -> None:
    done = caption("two.png", "--sidecar", "txt", "--sidecar", "json", "--sidecar", "xmp", "--jsonl")
    assert (done.status, done.stderr) == (0, "")
    said = json.loads(done.stdout)
    assert said["sidecars"] == ["two.txt", "two.png.json", "two.png.xmp"]
    assert (tmp_path / "two.txt").read_text() == said["caption"] + "\n"
    told = json.loads((tmp_path / "two.png.json").read_text())
    assert (told["generator"], told["caption"], told["model"]["name"]) == ("mmcli", said["caption"], "starter")
    read = exiftool("-json", "-G1", tmp_path / "two.png.xmp")
    assert read["XMP-dc:Description"] == said["caption"]
    assert (read["XMP-mmcli:Model"], read["XMP-mmcli:MachineMade"]) == ("starter", True)
    assert read["XMP-mmcli:Date"].startswith("20")


def test_tags_become_keywords(caption: Caption, two: Path, tmp_path: Path) -> None:
    sidecar = tmp_path / "two.png.xmp"
    exiftool("-q", "-XMP-dc:Subject=mine", "-XMP-dc:Description=my words", "-o", sidecar, two)
    run = ("two.png", "--sidecar", "xmp", "--style", "tags", "--jsonl")
    said = json.loads(caption(*run).stdout)["caption"]
    read = exiftool("-json", "-G1", sidecar)
    assert read["XMP-dc:Subject"] == ["mine", *said.split(", ")]
    assert (read["XMP-dc:Description"], read["XMP-mmcli:TagsModel"]) == ("my words", "starter")
    # a tag that somebody took away does not come back by itself
    exiftool("-q", "-overwrite_original", "-XMP-dc:Subject=mine", sidecar)
    assert "kept" in json.loads(caption(*run).stdout)
    assert exiftool("-json", "-G1", sidecar)["XMP-dc:Subject"] == "mine"
    assert caption(*run, "--overwrite").status == 0
    assert exiftool("-json", "-G1", sidecar)["XMP-dc:Subject"] == ["mine", *said.split(", ")]


def test_sidecars_mirror_the_tree_in_a_folder(caption: Caption, tmp_path: Path) -> None:
    for name in ("a/one.png", "a/b/one.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        draw(tmp_path / name, "red circle")
    done = caption("a", "-r", "--sidecar", "txt", "--sidecar", "xmp", "--sidecar-name", "stem", "-o", "out")
    assert (done.status, done.stderr) == (0, "")
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("out/**/*") if path.is_file()}
    assert written == {"out/a/one.txt", "out/a/one.xmp", "out/a/b/one.txt", "out/a/b/one.xmp"}
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"one.png", "b"}


def test_a_second_run_touches_no_sidecar(caption: Caption, two: Path, tmp_path: Path) -> None:
    kinds = ("--sidecar", "txt", "--sidecar", "json", "--sidecar", "xmp")
    caption("two.png", *kinds)
    before = {path.name: (path.stat().st_ino, path.read_bytes()) for path in tmp_path.glob("two.*")}
    assert caption("two.png", *kinds).status == 0
    assert {path.name: (path.stat().st_ino, path.read_bytes()) for path in tmp_path.glob("two.*")} == before
    # what a shell's * names the second time is no error either
    done = caption(*sorted(path.name for path in tmp_path.glob("two.*")), *kinds)
    assert (done.status, done.stderr) == (0, "note: 3 left as they are; -v shows why\n")


def test_new_words_of_ours_replace_old_ones(caption: Caption, two: Path, tmp_path: Path) -> None:
    caption("two.png", "--sidecar", "txt", "--sidecar", "xmp")
    caption("two.png", "--sidecar", "txt", "--sidecar", "xmp", "--prompt", "How many shapes are there?")
    assert "2" in (tmp_path / "two.txt").read_text()
    assert "2" in description(tmp_path / "two.png.xmp")


@pytest.mark.parametrize(("kind", "name"), [("txt", "two.txt"), ("json", "two.png.json"), ("xmp", "two.png.xmp")])
def test_a_person_s_words_are_replaced_only_when_asked(
    caption: Caption,
    two: Path,
    tmp_path: Path,
    kind: str,
    name: str,
) -> None:
    human = {
        "txt": b"mine\n",
        "json": b'{"caption": "mine"}',
        "xmp": xmp.with_description(None, "x", model="", date=""),
    }
    (tmp_path / name).write_bytes(human[kind].replace(b">x<", b">mine<"))
    before = (tmp_path / name).read_bytes()
    done = caption("two.png", "--sidecar", kind, "-v")
    assert done.status == 0
    assert done.stdout == ""
    assert f"`{name}` was not written by mmcli" in done.stderr
    assert (tmp_path / name).read_bytes() == before
    assert caption("two.png", "--sidecar", kind, "--overwrite").status == 0
    assert b"mine" not in (tmp_path / name).read_bytes()
    assert caption("two.png", "--sidecar", kind).stderr == ""  # now they are ours


def test_what_a_person_changed_in_our_sidecar_is_theirs(caption: Caption, two: Path, tmp_path: Path) -> None:
    caption("two.png", "--sidecar", "xmp", "--sidecar", "txt")
    (tmp_path / "two.txt").write_text("better words\n")
    exiftool("-q", "-overwrite_original", "-XMP-dc:Description=better words", tmp_path / "two.png.xmp")
    caption("two.png", "--sidecar", "xmp", "--sidecar", "txt", "--prompt", "How many shapes are there?")
    assert (tmp_path / "two.txt").read_text() == "better words\n"
    assert description(tmp_path / "two.png.xmp") == "better words"


def test_all_else_in_an_xmp_sidecar_stays(caption: Caption, two: Path, tmp_path: Path) -> None:
    sidecar = tmp_path / "two.png.xmp"
    given = {
        "-XMP-dc:Subject=red": ("Subject", ["red", "blue"]),
        "-XMP-dc:Subject=blue": None,
        "-XMP-dc:Title=A & <B>": ("Title", "A & <B>"),
        "-XMP-dc:Description-de=Ein Kreis": ("Description-de", "Ein Kreis"),
        "-XMP-xmp:Rating=4": ("Rating", 4),
        "-XMP-crs:ToneCurve=0, 0": ("ToneCurve", "0, 0"),
        "-XMP-lr:HierarchicalSubject=a|b": ("HierarchicalSubject", "a|b"),
        "-XMP-photoshop:Instructions=one\ntwo\tü": ("Instructions", "one\ntwo\tü"),
    }
    exiftool("-q", *given, sidecar)
    # a description in German stands there: that is a person's, too
    caption("two.png", "--sidecar", "xmp")
    assert "mmcli" not in sidecar.read_text()
    caption("two.png", "--sidecar", "xmp", "--overwrite")
    read = exiftool("-json", sidecar)
    for name, value in filter(None, given.values()):
        assert read[name] == value
    assert "circle" in read["Description"]


@pytest.mark.parametrize("data", [b"no xml", b"<a/>", b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', b"\xff\xfe\0\0"])
def test_a_sidecar_that_is_no_xmp_is_left_alone(caption: Caption, two: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "two.png.xmp").write_bytes(data)
    done = caption("two.png", "--sidecar", "xmp")
    assert done.status == 3
    what = "XMP that mmcli can change" if b"DOCTYPE" in data else "valid XMP"
    assert f"`two.png.xmp` is not {what}" in done.stderr
    assert (tmp_path / "two.png.xmp").read_bytes() == data


def test_two_pictures_of_one_stem_do_not_share_a_sidecar(caption: Caption, two: Path, tmp_path: Path) -> None:
    Image.open(two).rotate(180).save(tmp_path / "two.bmp")
    done = caption("two.png", "two.bmp", "--sidecar", "txt")
    assert done.status == 7
    assert "`two.txt` is the sidecar of another picture" in done.stderr
    assert [path for path, _ in lines(done)] == ["two.png"]
    assert caption("two.png", "two.bmp", "--sidecar", "txt", "--sidecar-name", "full").status == 0


def test_a_disk_that_is_full_leaves_nothing_half_written(
    two: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "two.png.json").write_text('{"generator": "mmcli"}')

    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        [sys.executable, "-m", "mmcli", "caption", "two.png", "-m", "starter", "--sidecar", "json"],
        cwd=tmp_path,
        env=environment,
        preexec_fn=no_large_files,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 6
    assert "error: cannot write `two.png.json`: File too large" in done.stderr
    assert (tmp_path / "two.png.json").read_text() == '{"generator": "mmcli"}'
    assert not list(tmp_path.glob(".*"))


def test_a_folder_that_refuses_is_told_before_the_work(caption: Caption, tmp_path: Path) -> None:
    if not os.path.isdir("/proc/self"):
        pytest.skip("no /proc here")
    draw(tmp_path / "one.png", "red circle")
    done = caption("one.png", "--sidecar", "txt", "-o", "/proc/self/x")
    assert done.status == 3
    assert "cannot write" in done.stderr


# names


def test_names_are_shown_first_and_given_with_yes(caption: Caption, mmcli: Run, two: Path, tmp_path: Path) -> None:
    shutil.copy(two, tmp_path / "copy.PNG")
    (tmp_path / "two.txt").write_text("mine\n")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    done = caption("two.png", "copy.PNG", "--rename")
    assert done.status == 0
    assert "nothing was renamed" in done.stderr
    (_, first), (_, second) = proposed = lines(done)
    assert first.startswith("red-circle") and first.endswith(".png")
    assert second == first.removesuffix(".png") + "-2.PNG"
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before

    given = caption("two.png", "copy.PNG", "--rename", "--yes")
    assert (given.status, given.stderr, lines(given)) == (0, "", proposed)
    stem = first.removesuffix(".png")
    assert {path.name for path in tmp_path.glob("*.*")} == {first, second, f"{stem}.txt"}
    again = caption(first, second, "--rename", "--yes")
    assert lines(again) == [(first, first), (second, second)]

    assert len(mmcli("undo", "--dry-run").stdout.splitlines()) == 3
    undone = mmcli("undo")
    assert (undone.status, len(lines(undone))) == (0, 3)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before
    assert mmcli("undo").status == 3


def test_yes_in_the_settings_does_not_rename(caption: Caption, two: Path, tmp_path: Path) -> None:
    assert caption("two.png", "--rename", env={"MMCLI_YES": "1"}).status == 0
    assert two.exists()


def test_no_name_is_taken_twice_and_nothing_is_overwritten(caption: Caption, two: Path, tmp_path: Path) -> None:
    name = lines(caption("two.png", "--rename"))[0][1]
    (tmp_path / name).write_bytes(b"in the way")
    given = lines(caption("two.png", "--rename", "--yes"))[0][1]
    assert given != name
    assert (tmp_path / name).read_bytes() == b"in the way"
    assert (tmp_path / given).exists()


def test_undo_overwrites_nothing_and_can_be_tried_again(
    caption: Caption, mmcli: Run, two: Path, tmp_path: Path
) -> None:
    data = two.read_bytes()
    caption("two.png", "--rename", "--yes")
    two.write_bytes(b"new")
    done = mmcli("undo")
    assert done.status == 7
    assert "exists again" in done.stderr
    assert two.read_bytes() == b"new"
    two.unlink()
    assert mmcli("undo").status == 0
    assert two.read_bytes() == data


def test_a_rename_killed_between_its_two_steps_is_undone(tmp_path: Path) -> None:
    old, new = tmp_path / "old.png", tmp_path / "new.png"
    old.write_bytes(b"x")
    journal = renames.RenameJournal(tmp_path / "journals")
    journal.apply(renames.Move(old, new))
    journal.close()
    os.link(new, old)  # as if the old name had not been taken away
    path = renames.last(tmp_path / "journals")
    assert path is not None
    path.write_text(path.read_text() + '{"old": "/half', "ascii")  # and the next line not been written whole
    assert [reason for _, reason in renames.undo(path)] == [None]
    assert (old.exists(), new.exists()) == (True, False)
    assert renames.last(tmp_path / "journals") is None


# killed


@pytest.mark.slow
def test_killed_at_random_moments_every_caption_is_there_once_and_whole(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    n = 48
    captioning.many(tmp_path / "whole", n)
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")

    def command(folder: str) -> list[str]:
        sidecars = ("--sidecar", "txt", "--sidecar", "xmp")
        return [sys.executable, "-m", "mmcli", "caption", "-m", "starter", *sidecars, folder, "--jsonl"]

    def begin(folder: str, output: Path) -> subprocess.Popen[bytes]:
        with output.open("wb") as file:
            return subprocess.Popen(command(folder), cwd=tmp_path, env=environment, stdout=file, stderr=file)

    rng = random.Random(20)
    computed: list[str] = []
    for i in range(20):
        process = begin("killed", tmp_path / f"out-{i}")
        wait = rng.uniform(0.3, 2.2)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for line in (tmp_path / f"out-{i}").read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and not (record := json.loads(line))["cached"]:
                computed.append(record["path"])
        assert all(path.read_text().endswith("\n") for path in (tmp_path / "killed").glob("[!.]*.txt"))
    assert len(computed) == len(set(computed))  # what was told once is never computed again
    last = begin("killed", tmp_path / "last")
    assert last.wait(TIMEOUT) == 0
    undisturbed = subprocess.run(
        [*command("whole"), "--no-cache"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    said = [json.loads(line) for line in (tmp_path / "last").read_bytes().splitlines()]
    meant = [json.loads(line) for line in undisturbed.stdout.splitlines()]
    assert [Path(record["path"]).name for record in said] == [f"{i:03}.png" for i in range(n)]
    assert [record["caption"] for record in said] == [record["caption"] for record in meant]
    for record in said:
        place = tmp_path / record["path"]
        assert place.with_suffix(".txt").read_text() == record["caption"] + "\n"
        assert f">{record['caption']}<" in place.with_name(place.name + ".xmp").read_text()
    assert not list((tmp_path / "killed").glob(".*.mmcli-part")), "what a kill left was taken again, and is gone"


@pytest.mark.parametrize("at_once", [True, False])
def test_sidecars_in_another_folder_follow_new_names_and_come_back(
    caption: Caption, mmcli: Run, two: Path, tmp_path: Path, at_once: bool
) -> None:
    photos = tmp_path / "photos" / "2024"
    photos.mkdir(parents=True)
    shutil.move(two, photos / "IMG_1.png")
    written = ("--sidecar", "txt", "--sidecar", "xmp", "-o", "caps")
    if not at_once:
        assert caption("photos", "-r", *written).status == 0
    done = caption("photos", "-r", "--style", "short", "--rename", "--yes", "--json", *(written if at_once else ()))
    assert done.status == 0
    (record,) = done.json
    stem = Path(record["renamed"]).stem
    assert stem != "IMG_1"
    caps = tmp_path / "caps" / "photos" / "2024"
    assert {path.name for path in caps.iterdir()} == {f"{stem}.txt", f"{stem}.png.xmp"}
    assert [(tmp_path / name).exists() for name in record.get("sidecars", ())] == [True, True] * at_once
    # they are mmcli's own under the new name too: a second run replaces them without being asked
    again = caption("photos", "-r", "--style", "detailed", *written)
    assert (again.status, "not written by mmcli" in again.stderr) == (0, False)
    assert {path.name for path in caps.iterdir()} == {f"{stem}.txt", f"{stem}.png.xmp"}
    assert len(lines(mmcli("undo"))) == 3
    assert {path.name for path in caps.iterdir()} == {"IMG_1.txt", "IMG_1.png.xmp"}
    assert [path.name for path in photos.iterdir()] == ["IMG_1.png"]
    assert caption("photos", "-r", "--style", "short", "--rename", "--yes").status == 0  # and away again
    assert {path.name for path in caps.iterdir()} == {f"{stem}.txt", f"{stem}.png.xmp"}


def test_a_name_that_is_taken_in_the_other_folder_keeps_everything_as_it_is(
    caption: Caption, two: Path, tmp_path: Path
) -> None:
    assert caption("two.png", "--sidecar", "txt", "-o", "caps").status == 0
    (name,) = [Path(new).stem for _, new in lines(caption("two.png", "--style", "short", "--rename"))]
    (tmp_path / "caps" / f"{name}.txt").write_text("somebody's words")
    done = caption("two.png", "--style", "short", "--rename", "--yes")
    assert (done.status, "already exists" in done.stderr) == (3, True)
    assert two.exists() and (tmp_path / "caps" / "two.txt").exists()
    assert (tmp_path / "caps" / f"{name}.txt").read_text() == "somebody's words"


# files that vanish


@pytest.mark.parametrize("kind", ["removed", "replaced by a folder", "cut short"])
def test_a_picture_that_vanishes_after_it_was_listed_is_one_error_and_the_others_go_on(
    kind: str, two: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """No picture is read more than job.WINDOW before the line that is being written, and nobody reads these lines."""
    names = [f"{'./' * 300}{number:03}.png" for number in range(400)]  # 140 such lines fill a pipe
    for name in names:
        shutil.copy(two, tmp_path / name)
    command = [sys.executable, "-m", "mmcli", "caption", "-m", "starter", "--from-file", "list.txt"]
    (tmp_path / "list.txt").write_text("".join(f"{name}\n" for name in names))
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdout is not None and process.stdout.read(1) == b"."  # it runs; the list is read by now
        last = tmp_path / names[-1]
        if kind == "cut short":
            last.write_bytes(two.read_bytes()[:300])
        else:
            last.unlink()
            if kind == "replaced by a folder":
                last.mkdir()
        out, told = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 7
    assert (b"." + out).count(b"\n") == len(names) - 1
    errors = [line for line in told.decode().splitlines() if line.startswith("error: ")]
    assert len(errors) == 2 and "399.png" in errors[0] and "1 of 400 pictures failed" in errors[1]
    assert "Traceback" not in told.decode()
