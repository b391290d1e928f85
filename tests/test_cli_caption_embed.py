"""`mmcli caption --embed`: captions in the pictures' own files, and nothing else changed; exiftool is the judge."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from mmcli.outputs import deltas
from tests.conftest import Run
from tests.pictures import exif

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")

FORMATS = ("jpg", "png", "tif", "webp", "heic", "avif")
SAID = "I see a red circle and a blue square."


def read(path: Path, *tags: str) -> dict[str, object]:
    done = subprocess.run(
        ["exiftool", "-j", "-struct", *(f"-{tag}" for tag in tags), str(path)], capture_output=True, check=True
    )
    (told,) = json.loads(done.stdout)
    return {key: value for key, value in told.items() if key != "SourceFile"}


def write(path: Path, *options: str) -> None:
    subprocess.run(["exiftool", "-q", "-overwrite_original", *options, str(path)], check=True)


@pytest.fixture
def photos(two: Path) -> Path:
    """A folder with the same picture in every format that takes a caption."""
    folder = two.parent / "photos"
    folder.mkdir()
    pillow_heif.register_heif_opener()
    picture = Image.open(two).convert("RGB")
    for suffix in FORMATS:
        picture.save(folder / f"a.{suffix}", quality=95, exif=exif(orientation=1))
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_every_format_takes_its_caption_and_gives_it_back(caption: Run, mmcli: Run, photos: Path) -> None:
    before = digests(photos)
    pixels = {path.name: np.asarray(Image.open(path)) for path in photos.iterdir()}
    facts = {path.name: read(path, "EXIF:all") for path in photos.iterdir()}
    done = caption("photos", "--embed", "--jsonl")
    assert done.status == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["embedded"] for record in records] == [True] * len(FORMATS)
    for record in records:
        path = photos.parent / record["path"]
        told = read(path, "XMP-dc:Description", "IPTC:Caption-Abstract")
        assert set(told.values()) == {record["caption"]}
        assert ("Caption-Abstract" in told) == (path.suffix in (".jpg", ".tif"))
        assert np.array_equal(np.asarray(Image.open(path)), pixels[path.name])
        assert (
            read(path, "EXIF:all").items()
            >= {
                key: value for key, value in facts[path.name].items() if "Offset" not in key and "Strip" not in key
            }.items()
        )
    # a second run has nothing to write, and computes nothing
    embedded = digests(photos)
    again = caption("photos", "--embed", "--jsonl")
    assert all(json.loads(line)["cached"] and "embedded" not in json.loads(line) for line in again.stdout.splitlines())
    assert digests(photos) == embedded
    # and all of it is taken back, byte for byte
    assert mmcli("undo").status == 0
    assert digests(photos) == before
    assert mmcli("undo").status == 3


def test_tags_become_keywords_beside_those_of_a_person(caption: Run, mmcli: Run, photos: Path, tmp_path: Path) -> None:
    path = photos / "a.jpg"
    write(path, "-IPTC:Keywords=holiday", "-XMP-dc:Subject=holiday")
    (tmp_path / "list.txt").write_text("circle\nsquare\n")
    tags = ("--prompt", "What is in this picture?", "--keywords-from", "list.txt")
    assert caption(path, "--embed", *tags).status == 0
    assert read(path, "XMP-dc:Subject", "IPTC:Keywords") == {
        "Subject": ["holiday", "circle", "square"],
        "Keywords": ["holiday", "circle", "square"],
    }
    (tmp_path / "list.txt").write_text("red\n")  # another run's tags take the place of ours, and of ours alone
    assert caption(path, "--embed", *tags).status == 0
    assert read(path, "XMP-dc:Subject", "IPTC:Keywords") == {
        "Subject": ["holiday", "red"],
        "Keywords": ["holiday", "red"],
    }


@pytest.mark.parametrize("tag", ["XMP-dc:Description", "IPTC:Caption-Abstract", "EXIF:ImageDescription"])
def test_a_person_s_description_stays_unless_it_is_said_otherwise(
    caption: Run, mmcli: Run, photos: Path, tag: str
) -> None:
    path = photos / "a.jpg"
    write(path, f"-{tag}=Grandma's garden")
    before = path.read_bytes()
    done = caption(path, "--embed", "-v")
    assert done.status == 0
    assert "a description that mmcli did not write" in done.stderr
    assert path.read_bytes() == before
    assert caption(path, "--embed", "--overwrite").status == 0
    assert read(path, "XMP-dc:Description")["Description"] != "Grandma's garden"
    assert mmcli("undo").status == 0
    assert path.read_bytes() == before


def test_what_takes_no_caption_is_an_error_line_and_stays(caption: Run, two: Path, tmp_path: Path) -> None:
    Image.open(two).save(tmp_path / "a.gif")
    before = (tmp_path / "a.gif").read_bytes()
    done = caption("a.gif", "--embed")
    assert done.status == 3
    assert "takes no caption" in done.stderr
    assert (tmp_path / "a.gif").read_bytes() == before
    piped = caption("--embed", stdin=two.read_bytes())
    assert piped.status == 3
    assert "--embed" in piped.stderr


def test_a_picture_that_has_changed_since_is_not_undone(caption: Run, mmcli: Run, photos: Path) -> None:
    path, other = photos / "a.jpg", photos / "a.png"
    original = other.read_bytes()
    assert caption(path, other, "--embed").status == 0
    write(path, "-Artist=somebody")
    mine = path.read_bytes()
    done = mmcli("undo")
    assert done.status == 7
    assert "has changed since" in done.stderr
    assert path.read_bytes() == mine
    assert other.read_bytes() == original


def test_a_name_given_and_a_caption_embedded_are_undone_together(caption: Run, mmcli: Run, photos: Path) -> None:
    before = digests(photos)
    assert caption("photos", "--embed", "--rename", "--yes").status == 0
    assert digests(photos).keys() != before.keys()
    assert mmcli("undo").status == 0
    assert digests(photos) == before


def test_a_dry_run_writes_nothing(caption: Run, mmcli: Run, photos: Path) -> None:
    before = digests(photos)
    assert "into its file" in caption("photos", "--embed", "--dry-run").stdout
    assert digests(photos) == before
    assert mmcli("undo").status == 3


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('for last; do :; done; printf nonsense > "$last"', "stays as it is"),  # a file that is no picture any more
        ("exit 0", "did not write the caption"),  # nothing was written
        ("echo 'Error: no good - x' >&2; exit 1", "no good"),
        ('for last; do :; done; head -c 400 "$last" > x; mv x "$last"', "stays as it is"),  # cut short
    ],
)
def test_an_exiftool_that_does_harm_harms_no_picture(
    caption: Run, mmcli: Run, photos: Path, tmp_path: Path, script: str, said: str
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "exiftool").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "exiftool").chmod(0o755)
    before = digests(photos)
    done = caption(photos / "a.jpg", "--embed", env={"PATH": f"{programs}:{os.environ['PATH']}"})
    assert done.status == 3
    assert said in done.stderr
    assert digests(photos) == before
    assert mmcli("undo").status == 3


def test_without_exiftool_it_says_what_to_install(mmcli: Run, two: Path, tmp_path: Path) -> None:
    done = mmcli("caption", "two.png", "--embed", "-m", "nothing.gguf", env={"PATH": str(tmp_path)})
    assert done.status == 2
    assert "libimage-exiftool-perl" in done.stderr


# the bytes that undo keeps


def test_a_delta_gives_the_old_bytes_back_in_little_room() -> None:
    random = np.random.default_rng(7)
    body = random.bytes(300_000)
    old, new = b"RIFF\x01\x02" + body + b"old end", b"RIFF\x05\x06" + random.bytes(900) + body + b"new metadata"
    made = deltas.of_json(json.loads(json.dumps(deltas.delta(old, new).json())))
    assert made.apply(new) == old
    assert sum(len(step) for step in made.steps if isinstance(step, bytes)) < 1000
    with pytest.raises(ValueError, match="others"):
        made.apply(new + b"!")


@pytest.mark.parametrize("seed", range(60))
def test_any_two_files_have_a_delta(seed: int) -> None:
    random = np.random.default_rng(seed)
    parts = [random.bytes(int(random.integers(0, 3000))) for _ in range(4)]
    old = b"".join(parts[int(place)] for place in random.integers(0, 4, int(random.integers(0, 6))))
    new = b"".join(parts[int(place)] for place in random.integers(0, 4, int(random.integers(0, 6))))
    assert deltas.delta(old, new).apply(new) == old
