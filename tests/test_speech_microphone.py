"""The microphone without hardware and without a fake: espeak-ng speaks into PulseAudio, PortAudio records it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import TIMEOUT, Run, clean_environment
from tests.speaking import SENTENCES, needs_espeak, talk
from tests.virtual_microphone import VirtualMicrophone, needs_microphone, virtual_microphone

Start = Callable[..., "subprocess.Popen[bytes]"]
SPOKEN = SENTENCES[:2]
CHATTER = re.compile(r"ALSA|pcm|jack|PaUtil|Expression", re.IGNORECASE)

# Records through speech.microphone until two utterances ended, and writes down what they are like.
RECORD = """
import json, sys, threading
from pathlib import Path
from mmcli.speech import devices
from mmcli.speech.microphone import Microphone
from mmcli.speech.transcriber import Transcriber
from mmcli.speech.utterances import Utterances
from mmcli.speech.vad import Detector
rate, channels, model = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
transcriber, utterances, found = Transcriber(model, threads=1), Utterances(Detector()), []
with Microphone(devices.choose(None, "input"), rate=rate, channels=channels) as microphone:
    print("recording", flush=True)
    for block in microphone:
        assert block.ndim == 1 and block.dtype == "float32"
        found += utterances.feed(block)
        if len(found) == 2:
            break
texts = [" ".join(one.text for one in transcriber.transcribe(utterance.samples)) for utterance in found]
told = [microphone.rate, microphone.channels, microphone.overflows, [one.seconds for one in found], texts]
print(json.dumps(told))
"""


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str], speech_model: Path) -> Start:
    """Start `mmcli transcribe --mic …` at that microphone."""

    def run(microphone: VirtualMicrophone, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mmcli", "transcribe", "--mic", "-m", str(speech_model), "--threads", "1"]
        return subprocess.Popen(
            [*command, *arguments],
            cwd=tmp_path,
            env=environment | microphone.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    return run


def heard(text: str, sentence: str) -> bool:
    wanted = set(sentence.split())
    return len(wanted & set(text.lower().split())) >= 0.6 * len(wanted)


def lines(text: bytes) -> list[str]:
    return [line for line in text.decode().splitlines() if line]


pytestmark = [needs_espeak, needs_microphone]


@pytest.mark.parametrize("rate", [16_000, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_said_comes_through_at_every_rate(
    tmp_path: Path, home: Path, speech_model: Path, rate: int, channels: int
) -> None:
    sound = talk(tmp_path / "talk.wav", SPOKEN, pause=1.5)
    with virtual_microphone(rate, channels) as microphone:
        command = [sys.executable, "-c", RECORD, str(rate), str(channels), str(speech_model)]
        env = clean_environment(home) | microphone.env
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None and process.stdout.readline() == b"recording\n"
            microphone.wait_for_listener()
            microphone.play(sound).wait(TIMEOUT)
            told = json.loads(process.stdout.readline())
    assert told[:3] == [rate, channels, 0]
    assert all(1.0 < seconds < 4.0 for seconds in told[3])
    assert all(heard(text, sentence) for text, sentence in zip(told[4], SPOKEN, strict=True)), told[4]


def test_utterances_are_written_down_as_they_end_until_silence(
    start: Start, microphone: VirtualMicrophone, tmp_path: Path
) -> None:
    process = start(microphone, "--until-silence", "2", "-f", "jsonl")
    microphone.wait_for_listener()
    player = microphone.play(talk(tmp_path / "talk.wav", SPOKEN, pause=1.5))
    out, told = process.communicate(timeout=TIMEOUT)
    player.wait(TIMEOUT)
    assert process.returncode == 0, told
    said = [json.loads(line) for line in lines(out)]
    assert [heard(one["text"], sentence) for one, sentence in zip(said, SPOKEN, strict=True)] == [True, True]
    assert said[0]["end"] <= said[1]["start"], "times count from the beginning of the recording"
    assert not CHATTER.search(told.decode())


def test_ctrl_c_ends_the_recording_and_what_was_being_said_is_kept(
    start: Start, microphone: VirtualMicrophone, tmp_path: Path
) -> None:
    process = start(microphone, "-o", "said.srt")
    microphone.wait_for_listener()
    microphone.play(talk(tmp_path / "talk.wav", SPOKEN, pause=1.5)).wait(TIMEOUT)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (0, b""), told
    text = (tmp_path / "said.srt").read_text()
    assert text.startswith("1\n00:00:"), told
    assert any(heard(text, sentence) for sentence in SPOKEN), text  # a busy machine may lose some of what it plays


def test_a_microphone_that_goes_away_is_status_9_and_what_was_said_is_kept(
    start: Start, microphone: VirtualMicrophone, tmp_path: Path
) -> None:
    process = start(microphone)
    assert process.stdout is not None
    microphone.wait_for_listener()
    player = microphone.play(talk(tmp_path / "talk.wav", SPOKEN, pause=1.5, repeat=5))
    first = process.stdout.readline().decode()
    microphone.unplug()
    _, told = process.communicate(timeout=TIMEOUT)
    player.wait(TIMEOUT)
    assert process.returncode == 9, told
    assert first.strip(), told  # not which words: a busy machine may lose some of what it plays
    assert "went away" in told.decode() and not CHATTER.search(told.decode())


def test_devices_are_listed_by_name_and_number(mmcli: Run, microphone: VirtualMicrophone) -> None:
    found = mmcli("devices", "--json", env=microphone.env).json
    (default,) = [one for one in found if one["default"] == "input, output"]
    assert default["inputs"] > 0 and default["outputs"] > 0 and default["system"] == "ALSA"
    assert [one["number"] for one in found] == list(range(len(found)))
    page = (Path(__file__).parents[1] / "docs" / "transcribing.md").read_text("utf-8")
    assert all(f"`{key}`" in page for key in default)
    plain = mmcli("devices", env=microphone.env)
    assert (plain.status, plain.stderr) == (0, "")
    assert f"{default['number']}\t{default['name']}\t" in plain.stdout


def test_a_test_tells_how_loud_it_is_and_whether_somebody_speaks(
    mmcli: Run, environment: dict[str, str], microphone: VirtualMicrophone, tmp_path: Path
) -> None:
    sound = talk(tmp_path / "talk.wav", SPOKEN, pause=0.3, repeat=5)
    command = [sys.executable, "-m", "mmcli", "devices", "PULSE", "--test", "--seconds", "4", "--json"]
    with subprocess.Popen(command, env=environment | microphone.env, stdout=subprocess.PIPE) as process:
        microphone.wait_for_listener()
        player = microphone.play(sound)
        assert process.stdout is not None
        told = json.loads(process.stdout.read())
    player.kill()
    player.wait()
    assert told["name"] == "pulse" and told["seconds"] >= 4
    assert told["speech_seconds"] > 0.5 and -40 < told["loudest_db"] <= 0
    quiet = mmcli("devices", "--test", "--seconds", "0.5", env=microphone.env)
    assert "0.0 s of it speech; loudest -90 dB" in quiet.stdout


def test_a_device_is_chosen_by_part_of_its_name_or_its_number(mmcli: Run, microphone: VirtualMicrophone) -> None:
    for name, status, told in [
        ("PUL", 0, "pulse"),
        ("0", 0, "pulse"),
        ("77", 9, "has the number 77"),
        ("pulze", 9, "did you mean `pulse`?"),
        ("headset", 9, "mmcli devices"),
        ("l", 9, "which one: `pulse` (0), `default` (1)?"),
    ]:
        done = mmcli("devices", name, "--test", "--seconds", "0.5", env=microphone.env)
        assert done.status == status, done.stderr
        assert told in done.stdout + done.stderr


def test_a_microphone_that_gives_digital_silence_is_told_once(start: Start, microphone: VirtualMicrophone) -> None:
    process = start(microphone)
    assert process.stderr is not None
    microphone.wait_for_listener()
    told = b""
    while b"digital silence" not in told:
        line = process.stderr.readline()
        assert line, told
        told += line
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (0, b"")
    assert b"digital silence" not in rest


HANGING = """
import threading
from mmcli.speech import devices
devices.PATIENCE = 0.2
portaudio = devices.portaudio()
portaudio._terminate = threading.Event().wait  # as where a stream is open in a sound system that has died
done = []
devices.end(lambda: done.append(1), lambda: done.append(2))
assert done == [1, 2]
devices.end(lambda: done.append(3), threading.Event().wait, lambda: done.append(4))
assert done == [1, 2, 3]
print("ended")
"""


def test_a_device_that_never_stops_is_left_behind(home: Path) -> None:
    """The seam is the sound system's death in the midst of a call, which comes once in some fifty tries."""
    done = subprocess.run(
        [sys.executable, "-c", HANGING], env=clean_environment(home), capture_output=True, timeout=TIMEOUT
    )
    assert (done.returncode, done.stdout) == (0, b"ended\n"), done.stderr
