"""`mmcli ask --speak` as a person runs it: the answer on stdout, and out of the loudspeaker."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmcli.speech.echo import resembles
from tests.conftest import PICTURES, TIMEOUT, Random, Run
from tests.loudness import heard_in, seconds_of_sound
from tests.speaking import needs_espeak
from tests.virtual_microphone import VirtualMicrophone, needs_microphone

QUESTION = (PICTURES / "shapes.png", "What is in this picture?")


@needs_espeak
@needs_microphone
def test_an_answer_is_written_and_said(
    ask: Run, loudspeaker: VirtualMicrophone, tmp_path: Path, speech_model: Path
) -> None:
    from mmcli.speech.transcriber import Transcriber

    with loudspeaker.recording(tmp_path / "played.raw") as path:
        done = ask(*QUESTION, "--speak", "-v", "--voice", "en-us", env=loudspeaker.env)
    assert done.status == 0 and {"circle", "square", "star"} <= done.words
    assert "spoken by espeak-ng en-us (22050 Hz) through" in done.stderr
    assert "ALSA" not in done.stderr
    heard = " ".join(one.text for one in Transcriber(speech_model, threads=1).transcribe(heard_in(path)))
    assert resembles(heard, done.stdout) >= 0.6, heard


@needs_espeak
@needs_microphone
def test_a_setting_makes_a_person_s_answers_audible_and_no_script_s(
    ask: Run, loudspeaker: VirtualMicrophone, tmp_path: Path
) -> None:
    env = loudspeaker.env | {"MMCLI_SPEAK": "1", "MMCLI_VOICE": "de"}
    for arguments, is_said in (
        ((), True),
        (("--json",), False),
        (("--json", "--speak"), True),
        (("--no-speak",), False),
    ):
        with loudspeaker.recording(tmp_path / f"{len(arguments)}{is_said}.raw") as path:
            done = ask(*QUESTION, *arguments, env=env)
        assert done.status == 0, done.stderr
        assert (seconds_of_sound(heard_in(path)) > 0.5) == is_said, arguments
        if "--json" in arguments:
            assert json.loads(done.stdout)["answer"]


@needs_espeak
@needs_microphone
def test_ctrl_c_silences_at_once(
    parrot: Random, environment: dict[str, str], loudspeaker: VirtualMicrophone, tmp_path: Path
) -> None:
    """A model that would say its word for ever: Ctrl-C ends the answer and the voice."""
    command = [
        sys.executable,
        "-m",
        "mmcli",
        "ask",
        *parrot.options,
        "--no-loop-guard",
        "--max-tokens",
        "3000",
        "--speak",
    ]
    with loudspeaker.recording(tmp_path / "played.raw") as path:
        process = subprocess.Popen(
            [*command, PICTURES / "shapes.png", "What?"],
            env=environment | loudspeaker.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2400):
            if seconds_of_sound(heard_in(path)) > 0.2:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=TIMEOUT)
        size = path.stat().st_size
    assert process.returncode == 130, told
    assert out.startswith(b"w2e w2e")
    assert seconds_of_sound(heard_in(path)[size // 2 :]) < 0.2, "it speaks on"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--speak", "--output-device", "nowhere"), 9, "no loudspeaker has `nowhere` in its name"),
        (("--speak", "--voice", "nobody"), 2, "has no voice `nobody`"),
        (("--voice", "de"), 2, "add --speak"),
        (("--output-device", "0"), 2, "add --speak"),
    ],
)
@needs_espeak
@needs_microphone
def test_a_bad_wish_is_told_before_anything_is_asked(
    ask: Run, loudspeaker: VirtualMicrophone, arguments: tuple[str, ...], status: int, told: str
) -> None:
    done = ask(*QUESTION, *arguments, env=loudspeaker.env)
    assert (done.status, done.stdout) == (status, "")
    assert told in done.stderr and "Traceback" not in done.stderr


@needs_espeak
@needs_microphone
def test_without_a_loudspeaker_nothing_is_asked(ask: Run, tmp_path: Path) -> None:
    done = ask(*QUESTION, "--speak", env={"XDG_RUNTIME_DIR": str(tmp_path), "PULSE_SERVER": f"unix:{tmp_path}/none"})
    assert (done.status, done.stdout) == (9, "")
    assert "ALSA" not in done.stderr and "hint:" in done.stderr


NO_SOUND = "answers are not spoken: there is no loudspeaker on this machine"


@needs_microphone
def test_a_setting_without_a_loudspeaker_is_a_warning_and_the_answer_comes(
    mmcli: Run, tmp_path: Path, home: Path
) -> None:
    """As over ssh, with the settings of the machine at home."""
    env = {"XDG_RUNTIME_DIR": str(tmp_path), "PULSE_SERVER": f"unix:{tmp_path}/none"}
    command = ("-m", "starter", "--temperature", "0")
    done = mmcli("ask", *QUESTION, *command, env=env | {"MMCLI_SPEAK": "1"})
    assert (done.status, done.stderr) == (0, f"warning: {NO_SOUND} (MMCLI_SPEAK sets --speak)\n")
    assert "circle" in done.words
    config = home / "config" / "mmcli" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("\nspeak = true\n")
    done = mmcli("chat", QUESTION[0], *command, stdin=f"{QUESTION[1]}\n{QUESTION[1]}\n".encode(), env=env)
    assert (done.status, done.stderr) == (0, f"warning: {NO_SOUND} (line 2 of `{config}` sets --speak)\n")
    assert done.stdout.count("circle") == 2
    for typed in (("--speak",), ("--output-device", "0"), ("--voice", "de")):
        done = mmcli("ask", *QUESTION, *command, *typed, env=env)
        assert (done.status, done.stdout) == (9, ""), typed
    assert mmcli("ask", *QUESTION, *command, "--no-speak", env=env).stderr == ""


@needs_espeak
@needs_microphone
def test_a_setting_s_voice_that_cannot_be_had_is_a_warning_too(ask: Run, loudspeaker: VirtualMicrophone) -> None:
    for variable, told in (("MMCLI_VOICE", "has no voice `nobody`"), ("MMCLI_VOICE_MODEL", "no model named `nobody`")):
        done = ask(*QUESTION, env=loudspeaker.env | {"MMCLI_SPEAK": "1", variable: "nobody"})
        assert done.status == 0 and "circle" in done.words
        assert done.stderr.startswith("warning: answers are not spoken: ") and told in done.stderr
        assert len(done.stderr.splitlines()) == 1


@needs_espeak
@needs_microphone
@pytest.mark.parametrize("command", ["ask", "chat"])
def test_a_setting_s_loudspeaker_that_goes_away_costs_a_warning_once(
    loudspeaker: VirtualMicrophone, environment: dict[str, str], command: str
) -> None:
    code = """
import sys
from mmcli.speech import playback, devices
gone = devices.portaudio().PortAudioError("gone")
def broken(self, block):
    raise gone
playback.Aloud._write = broken
from mmcli import main
sys.exit(main.run(sys.argv[1:]))
"""
    words = [str(QUESTION[0])] if command == "chat" else [*map(str, QUESTION)]
    done = subprocess.run(
        [sys.executable, "-c", code, command, "-m", "starter", "--temperature", "0", *words],
        env=environment | loudspeaker.env | {"MMCLI_SPEAK": "1"},
        input=f"{QUESTION[1]}\n" * 2 if command == "chat" else "",
        capture_output=True,
        timeout=TIMEOUT,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("circle") == (2 if command == "chat" else 1)
    assert done.stderr.count("warning: answers are not spoken: ") == 1 and "went away" in done.stderr


@needs_espeak
@needs_microphone
def test_a_loudspeaker_that_goes_away_does_not_cost_the_answer(
    ask: Run, loudspeaker: VirtualMicrophone, environment: dict[str, str], tmp_path: Path
) -> None:
    code = """
import sys
from mmcli.speech import playback
def broken(self, block):
    raise self_error
from mmcli.speech import devices
self_error = devices.portaudio().PortAudioError("gone")
playback.Aloud._write = broken
from mmcli import main
sys.exit(main.run(sys.argv[1:]))
"""
    command = [sys.executable, "-c", code, "ask", "-m", "starter", "--temperature", "0", *map(str, QUESTION), "--speak"]
    done = subprocess.run(command, env=environment | loudspeaker.env, capture_output=True, timeout=TIMEOUT, text=True)
    assert done.returncode == 9, done.stderr
    assert "circle" in done.stdout and "went away" in done.stderr
