"""The first question on a machine without a model, typed on a terminal; and what a list of models says there."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from mmcli.models import catalogue
from tests import random_llava
from tests.hub import Hub

pytestmark = pytest.mark.skipif(not hasattr(pexpect, "spawn"), reason="pseudo-terminals need a Unix")

REPO = "tests/Tiny-GGUF"
Typed = Callable[..., pexpect.spawn]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with Hub() as running:
        running.add(REPO, *random_llava.write(tmp_path / "files", "tiny"))
        yield running


@pytest.fixture
def typed(tmp_path: Path, home: Path, environment: dict[str, str], hub: Hub) -> Iterator[Typed]:
    """Run mmcli on a terminal; the catalogue's defaults are tiny models of the local Hub."""
    sizes = [len(data) for data in hub.repos[REPO].files.values()]
    path = home / "config" / "mmcli" / "models.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "".join(
            f'["{name}"]\nabout = "one to begin with"\nrepo = "{REPO}"\nlicence = "MIT"\nsees = true\ndefault = true\n'
            f'weights = {{ file = "tiny.gguf", bytes = {sizes[0]} }}\n'
            f'projector = {{ file = "tiny-mmproj.gguf", bytes = {sizes[1]} }}\n'
            for name, entry in catalogue.load().items()
            if entry.default
        )
    )
    running: list[pexpect.spawn] = []

    def typed(*arguments: str, columns: int = 100, env: dict[str, str] | None = None) -> pexpect.spawn:
        child = pexpect.spawn(
            sys.executable,
            ["-m", "mmcli", *arguments],
            cwd=str(tmp_path),
            env=environment | hub.environment(tmp_path / "hf") | {"TERM": "xterm-256color"} | (env or {}),
            dimensions=(50, columns),
            timeout=60,
            encoding="utf-8",
        )
        running.append(child)
        return child

    yield typed
    for child in running:
        child.close(force=True)


def ended(child: pexpect.spawn) -> tuple[int | None, str]:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus, child.before


def test_the_offer_says_why_it_is_made_and_a_yes_goes_on_to_the_answer(typed: Typed, hub: Hub, two: Path) -> None:
    child = typed("ask", str(two), "What is this?", "--max-tokens", "3")
    child.expect_exact("[Y/n] ")
    said = " ".join(child.before.split())
    for word in ("no model was chosen", "-m starter", "one to begin with", "0.4 MB on the disk", "licence: MIT?"):
        assert word in said
    assert hub.sent == 0
    child.sendline("y")
    status, text = ended(child)
    assert (status, "error" in text) == (0, False)
    answer = [line for line in text.splitlines()[1:] if line.strip() and "note:" not in line]
    assert answer, text
    hub.log.clear()
    status, text = ended(typed("ask", str(two), "And this?", "--max-tokens", "3"))
    assert (status, "no model was chosen" in text, hub.log) == (0, False, [])


def test_a_missing_picture_is_told_before_a_model_is_offered(typed: Typed, hub: Hub) -> None:
    status, text = ended(typed("ask", "missing.png", "What is this?"))
    assert (status, "no file named `missing.png`" in text, "[Y/n]" in text) == (3, True, False)
    assert hub.sent == 0


def test_a_no_fetches_nothing_and_names_what_else_there_is(typed: Typed, hub: Hub) -> None:
    child = typed("ask", "What?")
    child.expect_exact("[Y/n] ")
    child.sendline("n")
    status, text = ended(child)
    assert (status, hub.sent) == (4, 0)
    assert "was not downloaded" in text and "-m starter" in text and "mmcli models" in text


@pytest.mark.parametrize("command", ["ask", "chat"])
def test_the_way_without_a_download_is_told_before_the_hub_is_asked(typed: Typed, hub: Hub, command: str) -> None:
    child = typed(
        command, *(["What?"] if command == "ask" else []), columns=80, env={"HF_ENDPOINT": "http://127.0.0.1:9"}
    )
    status, text = ended(child)  # nobody answers there
    assert (status, hub.log) == (5, [])
    said = " ".join(text.split())
    assert said.index("add -m starter") < said.index("`mmcli pull ") < said.index("error:")
    assert f"It downloads 0.4 MB from {REPO} on the Hugging Face Hub, licence MIT" in said
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", text).split("error:")[0].splitlines())) <= 80


def test_ctrl_c_at_the_question_ends_it_and_leaves_a_clean_line(typed: Typed, hub: Hub) -> None:
    child = typed("ask", "What?")
    child.expect_exact("[Y/n] ")
    child.sendintr()
    status, text = ended(child)
    assert (status, hub.sent) == (130, 0)
    assert text.endswith("\r\n") and "Traceback" not in text


def test_the_variable_consents_and_nothing_is_asked(typed: Typed) -> None:
    status, text = ended(typed("ask", "What?", "--max-tokens", "2", env={"MMCLI_YES": "1"}))
    assert (status, "[Y/n]" in text) == (0, False)


def test_ctrl_c_in_a_pull_keeps_what_came_and_the_next_one_goes_on(typed: Typed, hub: Hub, tmp_path: Path) -> None:
    hub.faults.bytes_per_second = 60_000
    child = typed("pull", REPO, "--no-check", columns=60)
    child.expect_exact("[Y/n] ")
    child.sendline("")
    child.expect(r"MB/s  \d+ s left")  # fits into 60 columns
    child.sendintr()
    status, text = ended(child)
    assert status == 130 and "the same command continues" in text
    (part,) = (tmp_path / "hf").glob("**/*.incomplete")
    assert part.stat().st_size > 0
    hub.faults.bytes_per_second = None
    child = typed("pull", REPO, "--no-check")
    child.expect_exact("left to download")
    child.expect_exact("[Y/n] ")
    child.sendline("")
    assert ended(child)[0] == 0


@pytest.mark.parametrize(
    ("columns", "shown", "missing"),
    [
        (60, ["NAME", "SIZE", "FITS", "ABOUT"], "needs, abilities, licence"),
        (80, ["NAME", "SIZE", "NEEDS", "FITS", "ABILITIES", "ABOUT"], "licence"),
        (220, ["NAME", "SIZE", "NEEDS", "FITS", "ABILITIES", "LICENCE", "ABOUT"], None),
    ],
)
def test_the_list_keeps_what_helps_to_choose_and_names_the_rest(
    typed: Typed, columns: int, shown: list[str], missing: str | None
) -> None:
    status, text = ended(typed("models", columns=columns))
    head = next(line for line in text.splitlines() if line.startswith("NAME"))
    assert (status, head.split()) == (0, " ".join(shown).split())
    said = " ".join(text.split())
    assert (missing is None) == ("too narrow" not in said)
    assert missing is None or f"this terminal is too narrow for {missing}; see `mmcli show NAME`" in said
