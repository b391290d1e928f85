"""A microphone without hardware: a PulseAudio whose loudspeaker is recorded from, and real PortAudio hears it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = {
    "pulseaudio": "pulseaudio",
    "pactl": "pulseaudio-utils",
    "pacat": "pulseaudio-utils",
    "parecord": "pulseaudio-utils",
}
PLUGIN = "99-pulse.conf"  # what leads ALSA, and so PortAudio, to PulseAudio
PLACES = ("/etc/alsa/conf.d", "/usr/share/alsa/alsa.conf.d")


def _missing() -> list[str]:
    packages = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not find_library("portaudio"):
        packages.append("libportaudio2")
    if not any(Path(place, PLUGIN).exists() for place in PLACES):
        packages.append("libasound2-plugins")
    if not importlib.util.find_spec("sounddevice"):
        packages.append("sounddevice (from PyPI)")
    return sorted(set(packages))


needs_microphone = pytest.mark.skipif(
    bool(_missing()), reason=f"no virtual microphone without {', '.join(_missing())}: `apt install` has them"
)


@dataclass
class VirtualMicrophone:
    """What mmcli must be told to hear it, and the hands to play and to pull the plug."""

    folder: Path
    daemon: subprocess.Popen[bytes]
    silence: subprocess.Popen[bytes]

    @property
    def env(self) -> dict[str, str]:
        return {"XDG_RUNTIME_DIR": str(self.folder), "PULSE_SERVER": f"unix:{self.folder}/pulse/native"}

    def play(self, path: Path) -> subprocess.Popen[bytes]:
        """Play a WAV file into it."""
        return subprocess.Popen(["paplay", "--device=virtual", path], env=os.environ | self.env)

    def speak_elsewhere(self) -> None:
        """From now on, the system's loudspeaker is one that the microphone does not hear."""
        for arguments in (
            ["load-module", "module-null-sink", "sink_name=elsewhere"],
            ["set-default-sink", "elsewhere"],
        ):
            subprocess.run(["pactl", *arguments], env=os.environ | self.env, check=True, capture_output=True)

    def wait_for_listener(self) -> None:
        """Wait until somebody records: what is played before is lost."""
        for _ in range(2400):
            told = subprocess.run(
                ["pactl", "list", "short", "source-outputs"], env=os.environ | self.env, capture_output=True
            )
            if told.stdout.strip():
                return
            time.sleep(0.05)
        raise AssertionError("nobody opened the microphone")

    @contextlib.contextmanager
    def recording(self, path: Path) -> Iterator[Path]:
        """Write down what its loudspeaker plays meanwhile: raw 16-bit samples, mono, 16,000 Hz."""
        form = ["--raw", "--format=s16le", "--rate=16000", "--channels=1", "--latency-msec=20"]
        recorder = subprocess.Popen(["parecord", *form, path], env=os.environ | self.env)
        try:
            for _ in range(600):  # the first samples come late, and what is played before them is lost
                if path.exists() and path.stat().st_size > 0:
                    break
                time.sleep(0.02)
            yield path
            time.sleep(0.3)  # what the device was given last
        finally:
            recorder.terminate()
            recorder.wait()

    def unplug(self) -> None:
        """It goes away, as when a cable is pulled."""
        self.daemon.kill()
        self.daemon.wait()


@contextlib.contextmanager
def virtual_microphone(rate: int = 48_000, channels: int = 2) -> Iterator[VirtualMicrophone]:
    """Start one whose own rate is `rate` Hz."""
    folder = Path(tempfile.mkdtemp(prefix="mic"))  # not pytest's: a socket's path may have 107 characters only
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "XDG_"))}
    env |= {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    sink = f"module-null-sink sink_name=virtual rate={rate} channels={channels}"
    command = ["pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit", "-n"]
    daemon = subprocess.Popen(
        [*command, "-L", "module-native-protocol-unix", "-L", sink],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    silence = None
    try:
        for arguments in (["set-default-sink", "virtual"], ["set-default-source", "virtual.monitor"]):
            for _ in range(200):
                if subprocess.run(["pactl", *arguments], env=env, capture_output=True).returncode == 0:
                    break
                time.sleep(0.05)
            else:
                raise AssertionError("PulseAudio does not start")
        # An idle sink's monitor gives nothing for almost two seconds: silence keeps it awake.
        with open("/dev/zero", "rb") as zeros:
            quiet = ["pacat", "--latency-msec=20", f"--rate={rate}", "--raw", "--format=s16le"]
            silence = subprocess.Popen(quiet, env=env, stdin=zeros, stderr=subprocess.DEVNULL)
        yield VirtualMicrophone(folder, daemon, silence)
    finally:
        for process in (silence, daemon):
            if process is not None:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)
