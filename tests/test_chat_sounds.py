"""`mmcli chat` with sounds and a model that cannot hear: they are written down once, and the talk says by whom."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests import random_llava
from tests.conftest import Completed, Random, Run
from tests.speaking import needs_espeak, say, write

pytestmark = needs_espeak
SAID = "how many red circles are there"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return say(tmp_path_factory.mktemp("spoken") / "spoken.wav", SAID)


@pytest.fixture
def chat(mmcli: Run, speech_model: Path) -> Run:
    """Run `mmcli chat … -m starter` with these lines and the built-in speech model."""

    def run(*arguments: str | Path, lines: str = "What is said?\n", **how: dict[str, str]) -> Completed:
        model = () if "-m" in arguments else ("-m", "starter")
        speech = ("--temp", "0", "--speech-model", speech_model)
        return mmcli("chat", *model, *speech, *arguments, stdin=lines.encode(), **how)

    return run


def heard(text: str) -> bool:
    return len(set(SAID.split()) & set(text.lower().split())) >= 0.6 * len(SAID.split())


def prompts(done: Completed) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("prompt: ")]


@pytest.mark.parametrize("how", ["argument", "attach", "at"])
def test_a_sound_becomes_words_however_it_is_brought(chat: Run, spoken: Path, speech_model: Path, how: str) -> None:
    arguments = (spoken,) if how == "argument" else ()
    lines = {"argument": "", "attach": f"/attach {spoken}\n", "at": ""}[how]
    question = f"What is @{spoken} about?" if how == "at" else "What is said?"
    done = chat(*arguments, "--debug", "-v", lines=f"{lines}{question}\n")
    assert done.status == 0, done.stderr
    (prompt,) = prompts(done)
    assert "transcript of" in prompt and heard(prompt)
    assert f"`starter` cannot hear; it gets a transcript by {speech_model.name}" in done.stderr
    assert f"heard as: transcript, by {speech_model.name}" in done.stderr


def test_it_is_written_down_once_for_a_whole_talk(chat: Run, spoken: Path) -> None:
    done = chat(spoken, "--debug", lines="What is said?\nAnd then?\n/undo\n/retry\n")
    assert done.status == 0, done.stderr
    assert done.stderr.count("cannot hear; it gets") == 1
    assert all("transcript of" in prompt for prompt in prompts(done)) and len(prompts(done)) == 3


def test_a_kept_talk_goes_on_with_its_sounds(chat: Run, mmcli: Run, spoken: Path, speech_model: Path) -> None:
    first = mmcli("ask", spoken, "What is said?", "-m", "starter", "--speech-model", speech_model)
    assert first.status == 0, first.stderr
    done = chat("-c", "--debug", lines="And then?\n")
    assert done.status == 0, done.stderr
    assert "transcript of" in prompts(done)[0] and "And then?" in prompts(done)[0]
    (talk,) = json.loads(mmcli("history", "export", "--format", "json").stdout)
    assert [medium["kind"] for turn in talk["turns"] for medium in turn["media"]] == ["audio"]


def test_a_model_that_hears_gets_the_sound_itself_when_the_talk_goes_on_with_it(
    chat: Run, spoken: Path, tmp_path: Path
) -> None:
    hearing = Random(*random_llava.write_hearing(tmp_path / "model"))
    lines = f"What is said?\n/model {hearing.weights} {hearing.projector}\nAnd then?\n"
    done = chat(spoken, "-v", "--max-tokens", "3", lines=lines)
    assert done.status == 0, done.stderr
    receipts = [line for line in done.stderr.splitlines() if line.startswith(f"{spoken}: wav")]
    assert "heard as: transcript" in receipts[0]
    assert "heard as: transcript" not in receipts[1] and "encoded" in receipts[1]
    back = chat(*hearing.options, spoken, "--max-tokens", "3", "-v", lines="What?\n/model starter\nAnd then?\n")
    assert back.status == 0, back.stderr
    assert "`starter` cannot hear; it gets a transcript by" in back.stderr


def test_without_a_speech_model_the_next_step_is_named(mmcli: Run, spoken: Path) -> None:
    done = mmcli("chat", spoken, "-m", "starter", stdin=b"What is said?\n")
    assert (done.status, done.stdout) == (4, "")
    assert "`starter` cannot hear" in done.stderr and "mmcli pull whisper-small" in done.stderr
    assert mmcli("chat", spoken, "-m", "starter", "--speech-model", "nobody", stdin=b"Hi\n").status == 4


def test_a_sound_in_which_nothing_is_said_is_not_staged(chat: Run, tmp_path: Path) -> None:
    write(tmp_path / "silence.wav", np.zeros(48_000, np.int16), 16_000)
    done = chat("silence.wav")
    assert (done.status, done.stdout) == (3, "")
    assert "no speech was heard in `silence.wav`" in done.stderr


def test_a_folder_gives_its_sounds_too_where_they_can_be_written_down(
    chat: Run, mmcli: Run, spoken: Path, two: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    two.rename(folder / "two.png")
    (folder / "spoken.wav").write_bytes(spoken.read_bytes())
    done = chat(folder, lines="/media\n")
    assert "spoken.wav" in done.stderr and "two.png" in done.stderr and done.status == 0
    alone = mmcli("chat", folder, "-m", "starter", stdin=b"/media\n")
    assert alone.status == 0 and "spoken.wav" not in alone.stderr
