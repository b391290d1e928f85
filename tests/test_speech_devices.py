"""Which device is meant; and machines without a device or without PortAudio."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmcli.errors import AudioDeviceError
from mmcli.speech.devices import Device, choose
from tests.conftest import Run
from tests.virtual_microphone import needs_microphone

HEADSET = Device(2, "USB Headset Pro", 1, 2, 48_000, "Windows WASAPI", False, False)
MACHINE = [
    Device(0, "Built-in Microphone", 2, 0, 44_100, "Windows WASAPI", True, False),
    Device(1, "USB Headset Pro", 1, 2, 44_100, "MME", False, False),  # Windows shows each one several times
    HEADSET,
    Device(3, "Built-in Speakers", 0, 2, 48_000, "Windows WASAPI", False, True),
    Device(4, "USB Webcam", 1, 0, 16_000, "Windows WASAPI", False, False),
]


@pytest.mark.parametrize(
    ("wanted", "kind", "number"),
    [
        (None, "input", 0),
        ("", "input", 0),
        (None, "output", 3),
        ("headset", "input", 2),
        ("HEADSET", "output", 2),
        ("1", "input", 1),
        (" webcam ", "input", 4),
        ("built-in", "output", 3),
    ],
)
def test_a_device_is_meant_by_its_number_or_part_of_its_name(wanted: str | None, kind: str, number: int) -> None:
    assert choose(wanted, kind, MACHINE).number == number  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wanted", "message", "hint"),
    [
        ("usb", "may be one of 2 microphones", "`USB Headset Pro` (2), `USB Webcam` (4)"),
        ("3", "has the number 3", "mmcli devices"),
        ("speakers", "no microphone has `speakers`", "mmcli devices"),
        ("USB Webcan", "no microphone has", "did you mean `USB Webcam`?"),
    ],
)
def test_what_cannot_be_meant_is_told(wanted: str, message: str, hint: str) -> None:
    with pytest.raises(AudioDeviceError, match=message) as caught:
        choose(wanted, "input", MACHINE)
    assert hint in str(caught.value.hint)


def test_a_machine_without_any_is_told_what_to_look_at() -> None:
    with pytest.raises(AudioDeviceError, match="there is no microphone"):
        choose(None, "input", [MACHINE[3]])


@needs_microphone
@pytest.mark.parametrize("command", [("transcribe", "--mic"), ("devices", "--test")])
def test_no_device_is_status_9_without_chatter(mmcli: Run, speech_model: Path, command: tuple[str, ...]) -> None:
    """Without a PulseAudio to lead to, PortAudio finds nothing on a machine like this one; else this tests nothing."""
    if mmcli("devices", "--json").json:
        pytest.skip("this machine has sound devices of its own")
    model = ("-m", str(speech_model)) if command[0] == "transcribe" else ()
    done = mmcli(*command, *model)
    assert (done.status, done.stdout) == (9, "")
    assert done.stderr.splitlines()[0] == "error: there is no microphone on this machine"
    assert "ALSA" not in done.stderr and len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("command", [("transcribe", "--mic"), ("devices",), ("devices", "--test")])
def test_a_machine_without_portaudio_is_told_how_to_have_it(
    mmcli: Run, tmp_path: Path, speech_model: Path, command: tuple[str, ...]
) -> None:
    """The library cannot be taken off the machine for a test: a module stands in that fails as sounddevice does."""
    stand_in = tmp_path / "stand_in"
    stand_in.mkdir()
    (stand_in / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    root = str(Path(__file__).parents[1])
    model = ("-m", str(speech_model)) if command[0] == "transcribe" else ()
    done = mmcli(*command, *model, env={"PYTHONPATH": f"{stand_in}:{root}"})
    assert (done.status, done.stdout) == (9, "")
    assert "PortAudio is not installed" in done.stderr and "hint: " in done.stderr


@needs_microphone
def test_portaudio_does_not_bring_threads_that_spin(environment: dict[str, str], tmp_path: Path) -> None:
    """ALSA's plugins load libgomp, which reads its settings once: a model beside the sound would take all CPUs."""
    code = """
import os
from mmcli.speech import devices
devices.portaudio()
print(os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"] in ("100", "400"))
"""
    unset = {name: value for name, value in environment.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=unset, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "passive True\n"
