"""`mmcli caption --keywords-from`: tags that a list allows; and the note that ends a run on a terminal."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mmcli.errors import InputError
from mmcli.jobs.vocabulary import Vocabulary, load
from tests.conftest import Run, draw
from tests.terminals import Terminal

ASK = ("--prompt", "What is in this picture?", "--keywords-from", "list.txt")


def test_tags_are_only_those_of_the_list(caption: Run, two: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("Circle\nRED; sea, squares\n\n")
    done = caption("two.png", *ASK, "--sidecar", "xmp")
    assert done.stdout == "two.png\tRED, Circle, squares\n"
    told = subprocess.run(["exiftool", "-s3", "-Subject", "two.png.xmp"], cwd=tmp_path, capture_output=True, text=True)
    assert told.stdout == "RED, Circle, squares\n"


def test_a_picture_that_no_keyword_fits_is_left_as_it_is(caption: Run, two: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("sea\nmountain\n")
    done = caption("two.png", *ASK, "--sidecar", "xmp", "-v")
    assert done.status == 0
    assert done.stdout == ""
    assert "no keyword of the list is in the answer" in done.stderr
    assert not (tmp_path / "two.png.xmp").exists()


@pytest.mark.parametrize(
    ("content", "arguments", "status", "said"),
    [
        (b"\n , \n", (), 3, "holds no keywords"),
        (b"\xff\xfea\x00", (), 3, "not UTF-8"),
        (None, (), 3, "no file named"),
        (b"sea", ("--style", "short"), 2, "leave out --style"),
    ],
)
def test_a_list_that_is_none_is_told_at_once(
    mmcli: Run, two: Path, tmp_path: Path, content: bytes | None, arguments: tuple[str, ...], status: int, said: str
) -> None:
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    done = mmcli("caption", "two.png", "-m", "nothing.gguf", "--keywords-from", "list.txt", *arguments)
    assert done.status == status
    assert said in done.stderr


def test_words_are_compared_without_case_hyphens_and_plural() -> None:
    words = Vocabulary(("Hot dog", "New-York", "tree", "Straße", "boxes"))
    assert words.only("hot-dog, NEW YORK, trees, box, STRASSE, dog") == "Hot dog, New-York, tree, boxes, Straße"
    assert words.only("1. Tree\n2. tree\n- hot dogs") == "tree, Hot dog"
    assert words.only("I can see a tall tree and a hot dog.") == "tree, Hot dog"  # a sentence instead of tags
    assert words.only("treehouse, dogs") == ""


def test_a_list_may_come_from_another_program(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeffAnimals\r\n\tCat\r\n\tDog\r\n\tcat\r\n".encode())
    assert load(path).words == ("Animals", "Cat", "Dog")
    with pytest.raises(InputError, match="is a folder"):
        load(tmp_path)


# the last note


def note(run: Terminal) -> str:
    assert run.end() == 0
    notes = re.findall(r"note: (.*?)$", run.flat, re.MULTILINE)
    assert len(notes) == 1, run.text
    return re.sub(r" in \d+ s", " in N s", notes[0])


def test_a_run_ends_with_one_note_on_a_terminal(environment: dict[str, str], two: Path, one: Path) -> None:
    draw(two.parent / "three.png", "blue circle")
    line = ["caption", "two.png", "one.png", "-m", "starter", "--sidecar", "txt"]
    first = note(Terminal(line, environment, two.parent, columns=200))
    assert first == "2 captions in N s; 2 sidecars written"
    again = note(Terminal([*line, "three.png"], environment, two.parent, columns=200))
    assert again == "3 captions (1 new, 2 known) in N s; 1 sidecar written, 2 unchanged"
    (two.parent / "two.txt").write_text("mine")
    third = note(Terminal(line, environment, two.parent, columns=200))
    assert third == "1 caption (known) in N s; 0 sidecars written, 1 unchanged; 1 left as it is; -v shows why"


def test_a_pipe_and_quiet_get_no_such_note(caption: Run, environment: dict[str, str], two: Path, one: Path) -> None:
    assert caption("two.png", "one.png").stderr == ""
    quiet = Terminal(["caption", "two.png", "one.png", "-m", "starter", "-q"], environment, two.parent)
    assert quiet.end() == 0
    assert "note:" not in quiet.text
