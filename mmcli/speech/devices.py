"""Lists microphones and loudspeakers, and finds the one that a name means. Alone starts PortAudio; records nothing.

PortAudio, ALSA and JACK write what they like to descriptor 2: callers keep it from the terminal (terminal.no_chatter).
"""

from __future__ import annotations

import atexit
import difflib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from mmcli.engine import hardware
from mmcli.errors import AudioDeviceError

PATIENCE = 5.0  # seconds that a device may take to stop
Kind = Literal["input", "output"]
INSTALL = {
    "linux": "on Debian and Ubuntu: `apt install libportaudio2`; on Fedora: `dnf install portaudio`",
    "darwin": "`brew install portaudio`",
}
ALLOW = {
    "linux": "is PulseAudio or PipeWire running (`pactl info`), and are you in the group `audio`?",
    "darwin": "System Settings > Privacy & Security > Microphone: allow your terminal, then restart it",
    "win32": "Settings > Privacy & security > Microphone: let desktop apps use it",
}
PLAY = {
    "linux": ALLOW["linux"],
    "darwin": "System Settings > Sound > Output: choose one that is there",
    "win32": "Settings > System > Sound > Output: choose one that is there",
}
REMEDY = {"input": ALLOW, "output": PLAY}
A_KIND = {"input": "microphone", "output": "loudspeaker"}


@dataclass(frozen=True)
class Device:
    """One thing PortAudio can record from, or play to, or both."""

    number: int  # PortAudio's
    name: str
    inputs: int  # channels it records
    outputs: int  # channels it plays
    rate: int  # Hz, its own
    system: str  # "ALSA", "Core Audio", "Windows WASAPI" …
    default_input: bool
    default_output: bool

    def can(self, kind: Kind) -> bool:
        return (self.inputs if kind == "input" else self.outputs) > 0

    def is_default(self, kind: Kind) -> bool:
        return self.default_input if kind == "input" else self.default_output


def portaudio() -> Any:
    """The sounddevice module, with PortAudio started; AudioDeviceError where that fails."""
    # ALSA's plugins load libgomp, which reads once how long threads spin: a model beside the sound would be ruined.
    hardware.calm_threads(lasting=True)
    try:
        import sounddevice
    except ImportError as error:
        raise AudioDeviceError("the Python package sounddevice is missing", hint="pip install sounddevice") from error
    except OSError as error:  # "PortAudio library not found"
        raise AudioDeviceError("PortAudio is not installed", hint=_for_this_machine(INSTALL)) from error
    except Exception as error:  # PortAudioError: its class cannot be imported then
        raise AudioDeviceError(f"PortAudio cannot start: {error}", hint=_for_this_machine(ALLOW)) from error
    return sounddevice


def devices() -> list[Device]:
    """All there are, in PortAudio's order; possibly none. PortAudio looks only once, when it is started."""
    sounddevice = portaudio()
    try:
        systems = [system["name"] for system in sounddevice.query_hostapis()]
        default_input, default_output = sounddevice.default.device
        return [
            Device(
                number=number,
                name=" ".join(str(found["name"]).split()),
                inputs=int(found["max_input_channels"]),
                outputs=int(found["max_output_channels"]),
                rate=int(found["default_samplerate"]),
                system=systems[found["hostapi"]],
                default_input=number == default_input,
                default_output=number == default_output,
            )
            for number, found in enumerate(sounddevice.query_devices())
        ]
    except sounddevice.PortAudioError as error:
        raise AudioDeviceError(f"PortAudio cannot list the devices: {error}", hint=_for_this_machine(ALLOW)) from error


def choose(wanted: str | None, kind: Kind, among: list[Device] | None = None) -> Device:
    """The device with that number, that name, or that part of a name; the default one where nobody chose."""
    able = [device for device in (devices() if among is None else among) if device.can(kind)]
    if not able:
        raise AudioDeviceError(f"there is no {A_KIND[kind]} on this machine", hint=_for_this_machine(REMEDY[kind]))
    if not (wanted or "").strip():
        return next((device for device in able if device.is_default(kind)), able[0])
    name = str(wanted).strip().casefold()
    if name.isdecimal():
        for device in able:
            if device.number == int(name):
                return device
        raise AudioDeviceError(f"no {A_KIND[kind]} has the number {name}", hint="`mmcli devices` lists them")
    exact = [device for device in able if device.name.casefold() == name]
    close = exact or [device for device in able if name in device.name.casefold()]
    # Windows shows each device once for each of its sound systems: the default's system is the one to take.
    systems = {device.system for device in able if device.is_default(kind)}
    close = [device for device in close if device.system in systems] or close
    if len({device.name for device in close}) > 1:
        names = ", ".join(f"`{device.name}` ({device.number})" for device in close)
        raise AudioDeviceError(f"`{wanted}` may be one of {len(close)} {A_KIND[kind]}s", hint=f"which one: {names}?")
    if close:
        return close[0]
    nearest = difflib.get_close_matches(name, [device.name.casefold() for device in able], n=1, cutoff=0.5)
    named = next((device.name for device in able if nearest and device.name.casefold() == nearest[0]), None)
    hint = f"did you mean `{named}`?" if named else "`mmcli devices` lists them"
    raise AudioDeviceError(f"no {A_KIND[kind]} has `{wanted}` in its name", hint=hint)


def refused(device: Device, error: Exception, kind: Kind = "input") -> AudioDeviceError:
    """PortAudio would not open the device: busy, gone, or not allowed."""
    reason = str(error).split("[PaErrorCode")[0].strip().removesuffix(":")
    return AudioDeviceError(f"cannot open `{device.name}`: {reason}", hint=_for_this_machine(REMEDY[kind]))


def is_portaudio(error: BaseException) -> bool:
    """Whether PortAudio raised it, once it is started."""
    return isinstance(error, portaudio().PortAudioError)


def end(*steps: Callable[[], object]) -> None:
    """Take steps that stop or close a stream. In a dead device the sound system may wait for ever: then they are left
    behind in their thread, and PortAudio is not shut down as Python ends, which would wait for them.
    """
    ending = threading.Thread(target=lambda: [step() for step in steps], name="closing the device", daemon=True)
    ending.start()
    ending.join(PATIENCE)
    if ending.is_alive():
        leave_open()


def leave_open() -> None:
    """A stream hangs in a dead device: do not wait for it at the end of this process."""
    atexit.unregister(portaudio()._exit_handler)


def mute_hint() -> str:
    """Why a microphone may be open and give nothing but zeros."""
    return "is it muted?" if sys.platform == "linux" else _for_this_machine(ALLOW)


def remedy() -> str:
    """What to do on this platform where a device cannot be used."""
    return _for_this_machine(ALLOW)


def _for_this_machine(hints: dict[str, str]) -> str:
    return hints.get(sys.platform, hints["linux"])
