"""What a folder leaves out is told in one note, whichever command reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmcli import media
from mmcli.media import folders
from tests.conftest import Run, draw


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def skipped(folder: Path, recursive: bool = False, kind: str = "image") -> list[str]:
    """What `find` tells; `each` must tell the same."""
    told: list[list[str]] = [[], []]
    media.find([str(folder)], recursive=recursive, kinds=frozenset({kind}), on_skipped=told[0].append)
    list(media.each(str(folder), recursive=recursive, kinds=frozenset({kind}), on_skipped=told[1].append))
    assert told[0] == told[1]
    return [sentence.replace(str(folder), "F") for sentence in told[0]]


def test_a_folder_of_pictures_alone_has_nothing_to_tell(tmp_path: Path) -> None:
    assert skipped(fill(tmp_path, "a.jpg", "b.CR3", ".hidden", ".thumbnails/a.jpg")) == []


def test_what_is_left_out_is_counted_by_extension(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg", "b.MP4", "c.mp4", "d.pdf", "README", "e.mp3", "f.docx", "g.xlsx")
    assert skipped(tmp_path) == ["left out of the folder `F`: 2 × .mp4, 1 × .docx, 1 × .mp3, 1 × .pdf, 2 other files"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes need a Unix")
def test_a_pipe_with_a_picture_s_name_is_left_out_and_counted(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "b.jpg")
    assert skipped(tmp_path) == ["left out of the folder `F`: 1 × pipe, socket or device"]


def test_folders_below_are_counted_or_walked(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg", "b/c.jpg", "b/d.pdf", "e/f.pdf")
    assert skipped(tmp_path) == ["left out of the folder `F`: 2 sub-folders (`-r` takes what is in them)"]
    assert skipped(tmp_path, recursive=True) == ["left out of the folder `F`: 2 × .pdf"]


def test_captions_beside_their_pictures_are_not_counted(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg", "a.txt", "a.jpg.xmp", "a.jpg.json", "b/c.png", "b/c.txt", "b/a.txt", "other.txt")
    assert skipped(tmp_path, recursive=True) == ["left out of the folder `F`: 2 × .txt"]
    fill(tmp_path, "s.mp3", "s.srt")
    assert skipped(tmp_path, recursive=True, kind="audio") == [
        "left out of the folder `F`: 4 × .txt, 1 × .jpg, 1 × .json, 1 × .png, 1 other file"
    ]


def test_nothing_left_out_is_no_sentence() -> None:
    assert folders.Skipped().sentence("x") is None


@pytest.mark.parametrize(("options", "told"), [((), True), (("-q",), False)])
def test_ask_and_caption_tell_it_once(ask: Run, caption: Run, tmp_path: Path, options: tuple[str], told: bool) -> None:
    draw(fill(tmp_path / "f", "b.zip", "c/d.png") / "a.png", "red circle")
    sentence = "left out of the folder `f`: 1 × .zip, 1 sub-folder (`-r` takes what is in them)"
    for done in (ask("f", "What is this?", *options), caption("f", *options)):
        assert done.status == 0 and done.stderr.count(sentence) == told


def test_transcribe_tells_it(mmcli: Run, tmp_path: Path, speech_model: Path) -> None:
    from tests.pictures import wav

    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.wav").write_bytes(wav(0.5))
    fill(tmp_path / "f", "b.jpg")
    done = mmcli("transcribe", "f", "--model", speech_model)
    assert "left out of the folder `f`: 1 × .jpg" in done.stderr, done.stderr
