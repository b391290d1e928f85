"""The pipelines that docs/captioning.md gives to copy, run as they are written there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests import captioning
from tests.conftest import TIMEOUT

PAGE = Path(__file__).parents[1] / "docs" / "captioning.md"
TOOLS = ("fd", "jq", "exiftool")  # not everybody has them


def blocks() -> list[str]:
    section = PAGE.read_text("utf-8").partition("\n## Pipelines to copy\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)


def needed(block: str) -> list[str]:
    """The tools a pipeline asks for."""
    return [tool for tool in TOOLS if re.search(rf"(^|\| ){tool} ", block, re.M)]


def test_the_page_has_pipelines_and_some_need_nothing_else() -> None:
    assert len(blocks()) >= 8
    assert {tool for block in blocks() for tool in needed(block)} == set(TOOLS)
    assert sum(not needed(block) for block in blocks()) >= 5


@pytest.fixture
def folder(tmp_path: Path, home: Path) -> Path:
    """Every folder that the page speaks of, with pictures in it."""
    captioning.many(tmp_path / "dataset", 2)
    for place in ("photos", "photos/2024", "site/img"):
        for path in captioning.many(tmp_path / place, 2):
            Image.open(path).save(path.with_suffix(".jpg"))
    for path in captioning.many(home / "Pictures", 2):
        Image.open(path).save(path.with_suffix(".jpg"))
    (tmp_path / "site" / "img" / "000.png").rename(tmp_path / "site" / "img" / 'a "b" & c.png')
    return tmp_path


@pytest.fixture
def shell(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a shell that finds `mmcli`, and the starter as its model."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "mmcli").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mmcli "$@"\n')
    (programs / "mmcli").chmod(0o755)
    if found := shutil.which("fdfind"):  # Debian's name for it
        (programs / "fd").symlink_to(found)
    root = str(Path(__file__).parents[1])
    path = os.pathsep.join((str(programs), environment["PATH"]))
    return environment | {"PATH": path, "MMCLI_MODEL": "starter", "PYTHONPATH": root}


@pytest.mark.skipif(shutil.which("bash") is None, reason="the page is written for bash and its relatives")
@pytest.mark.parametrize("block", blocks(), ids=lambda block: re.sub(r"\W+", "-", block.splitlines()[0])[:40])
def test_a_pipeline_works_as_it_is_written(block: str, folder: Path, shell: dict[str, str]) -> None:
    for tool in needed(block):
        if shutil.which(tool, path=shell["PATH"]) is None:
            pytest.skip(f"{tool} is not installed")
    if block.startswith("exiftool"):
        subprocess.run(["mmcli", "caption", "photos", "-r", "--sidecar", "xmp"], cwd=folder, env=shell, check=True)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", block],
        cwd=folder,
        env=shell,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower() and "not found" not in done.stderr
    written = {
        path.suffix: path for path in sorted(folder.rglob("*.*")) if path.suffix in (".jsonl", ".csv", ".txt", ".xmp")
    }
    told = done.stdout + "".join(path.read_text("utf-8") for path in written.values())
    assert re.search("circle|square|shapes|colors|text", told), told
    if "@html" in block:
        assert 'src="site/img/a &quot;b&quot; &amp; c.png"' in done.stdout
    if "this-run" in block:
        again = subprocess.run(
            ["bash", "-c", block], cwd=folder, env=shell, capture_output=True, text=True, timeout=TIMEOUT
        )
        assert (again.returncode, (folder / "this-run").exists()) == (3, True)  # nothing is new
