"""Models that speak as a person uses them: found, fetched, shown, refused as models that answer, and heard."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PICTURES, TIMEOUT, Run
from tests.hub import COMMIT, Hub
from tests.loudness import heard_in, seconds_of_sound
from tests.random_speakers import write_pocket, write_qwen
from tests.speaking import needs_espeak, say
from tests.virtual_microphone import VirtualMicrophone, needs_microphone

QUESTION = (PICTURES / "shapes.png", "What is in this picture?", "-m", "starter", "--temp", "0", "--threads", "1")
ENTRIES = f"""
[my-pocket]
about = "mine"
repo = "tests/Pocket-GGUF"
revision = "{COMMIT}"
licence = "CC-BY-4.0"
weights = {{ file = "pocket.gguf" }}
projector = {{ file = "pocket-mmproj.gguf" }}
speaks = true
needs_voice = true

[my-qwen]
about = "mine"
repo = "tests/Qwen-GGUF"
revision = "{COMMIT}"
licence = "Apache-2.0"
weights = {{ file = "qwen.gguf" }}
projector = {{ file = "qwen-mmproj.gguf" }}
speaks = true
"""


@pytest.fixture(scope="module")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """It ends at once: each sentence is five frames of noise, 0.4 s."""
    return write_pocket(tmp_path_factory.mktemp("pocket"), ends_at_once=True)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_qwen(tmp_path_factory.mktemp("qwen"))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return say(tmp_path / "me.wav", "this is my voice")


@pytest.mark.parametrize(
    "command",
    [
        ("ask", "Hello", "-m"),
        ("ask", PICTURES / "shapes.png", "What?", "-m"),
        ("chat", "-m"),
        ("caption", PICTURES / "shapes.png", "-m"),
    ],
    ids=lambda command: " ".join(map(str, command[:1] + command[2:-1])),
)
def test_a_model_that_speaks_answers_nothing(
    mmcli: Run, pocket: tuple[Path, Path], command: tuple[str | Path, ...]
) -> None:
    for name in (pocket[0], "qwen3-tts-1.7b"):
        done = mmcli(*command, name)
        assert (done.status, done.stdout) == (4, "")
        assert "reads text aloud; it can neither see nor answer" in done.stderr and "--voice-model" in done.stderr


def test_the_list_and_show_tell_that_it_speaks(mmcli: Run, pocket: tuple[Path, Path]) -> None:
    rows = {row["name"]: row for row in mmcli("models", "--json").json}
    assert rows["pocket-tts-en"]["abilities"] == rows["qwen3-tts-1.7b"]["abilities"] == "speaks"
    assert rows["pocket-tts-en"]["licence"].startswith("CC-BY-4.0"), "which wants its makers named"
    shown = mmcli("show", pocket[0], "--json").json
    assert (shown["abilities"], shown["projector_type"]) == (["speaks"], "pockettts_gen")
    assert mmcli("show", "qwen3-tts").stdout.count("speaks") == 1


@needs_espeak
@needs_microphone
def test_one_that_was_fetched_speaks_from_then_on(
    mmcli: Run,
    home: Path,
    tmp_path: Path,
    pocket: tuple[Path, Path],
    qwen: tuple[Path, Path],
    recording: Path,
    loudspeaker: VirtualMicrophone,
) -> None:
    own = home / "config" / "mmcli" / "models.toml"
    own.parent.mkdir(parents=True)
    own.write_text(ENTRIES)
    with Hub() as hub:
        hub.add("tests/Pocket-GGUF", *pocket)
        hub.add("tests/Qwen-GGUF", *qwen)
        env = hub.environment(tmp_path / "hf") | loudspeaker.env

        def speak(*arguments: str | Path) -> str:
            done = mmcli("ask", *QUESTION, "--speak", "-v", *arguments, env=env)
            assert done.status == 0 and "circle" in done.stdout, done.stderr
            return next(line for line in done.stderr.splitlines() if line.startswith("note: spoken by"))

        assert "espeak-ng" in speak()
        missing = mmcli("ask", *QUESTION, "--speak", "--voice-model", "my-pocket", "--voice", recording, env=env)
        assert (missing.status, "mmcli pull my-pocket" in missing.stderr) == (4, True)
        assert mmcli("pull", "my-pocket", "--quiet", env=env).status == 0
        assert "espeak-ng" in speak(), "it needs a recording"
        assert "espeak-ng" in speak("--voice", "de"), "a name is a voice of the system's"
        with loudspeaker.recording(tmp_path / "played.raw") as path:
            assert "my-pocket (24000 Hz)" in speak("--voice", recording)
        assert seconds_of_sound(heard_in(path)) > 0.2, "noise, but of the model"
        assert "my-pocket" in mmcli("rm", "my-pocket", "--yes", env=env).stdout


@needs_espeak
@needs_microphone
@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--voice-model", "POCKET"), 2, "needs a recording of the voice"),
        (("--voice-model", "POCKET", "--voice", "de"), 2, "does not take voices by name, and there is no file `de`"),
        (("--voice-model", "POCKET", "--voice", "none.wav"), 3, "no file named `none.wav`"),
        (("--voice-model", "POCKET", "--voice", str(PICTURES / "shapes.png")), 3, "is a picture, not a sound"),
        (("--voice-model", "pocket-tts"), 2, "needs a recording"),
        (("--voice-model", "qwen3-tts"), 4, "mmcli pull qwen3-tts-1.7b"),
        (("--voice-model", "starter"), 4, "`starter` cannot speak"),
        (("--voice-model", "qwen3-vl-2b"), 4, "cannot speak"),
        (("--voice-model", "nobody"), 4, "no model named `nobody`"),
        (("--voice", "me.wav"), 4, "that takes a model that speaks"),
        (("--voice-model", "system", "--voice", "me.wav"), 4, "that takes a model that speaks"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_speak_so_is_told_before_anything_is_asked(
    mmcli: Run,
    pocket: tuple[Path, Path],
    recording: Path,
    loudspeaker: VirtualMicrophone,
    arguments: tuple[str, ...],
    status: int,
    told: str,
) -> None:
    given = [str(pocket[0]) if argument == "POCKET" else argument for argument in arguments]
    done = mmcli("ask", *QUESTION, "--speak", *given, env=loudspeaker.env)
    assert (done.status, done.stdout) == (status, ""), done.stderr
    assert told in done.stderr and ("hint:" in done.stderr or status == 3)


@needs_espeak
@needs_microphone
def test_a_model_by_its_file_is_heard(
    environment: dict[str, str],
    qwen: tuple[Path, Path],
    recording: Path,
    loudspeaker: VirtualMicrophone,
    tmp_path: Path,
) -> None:
    """Qwen's, whose random weights hardly ever come to an end: a minute of sound, so it is stopped by a limit here."""
    code = """
import sys
from mmcli.engine.local import tts
tts.Talker.__init__.__kwdefaults__["most_seconds"] = 2.0
from mmcli import main
sys.exit(main.run(sys.argv[1:]))
"""
    with loudspeaker.recording(tmp_path / "played.raw") as path:
        command = [
            sys.executable,
            "-c",
            code,
            "ask",
            *QUESTION,
            "--speak",
            "--voice-model",
            qwen[0],
            "--voice",
            recording,
        ]
        done = subprocess.run(
            list(map(str, command)), env=environment | loudspeaker.env, capture_output=True, text=True, timeout=TIMEOUT
        )
    assert done.returncode == 0 and "circle" in done.stdout, done.stderr
    assert 0.5 < seconds_of_sound(heard_in(path)) < 3
