"""`mmcli devices`: microphones and loudspeakers, and whether a microphone hears."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands import options as opt
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.speech.devices import Device
    from mmcli.terminal import Style

COLUMNS = ("number", "name", "kind", "default", "inputs", "outputs", "rate", "system")


def devices(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="With --test: a number, or part of a name.", show_default=False),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Listen to a microphone and show how loud it is.")] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="N", min=0.5, max=3600, help="With --test, listen this long.")
    ] = 5.0,
    json: opt.JsonListOpt = False,
    quiet: opt.QuietOpt = False,
    debug: opt.DebugOpt = False,
) -> int | None:
    """List and test microphones and loudspeakers.

    mmcli devices
    mmcli devices --test
    mmcli devices default --test --seconds 10
    """
    from mmcli import terminal
    from mmcli.speech import devices as audio

    style = terminal.Style(json=json, quiet=quiet, debug=debug)
    if name and not test:
        raise UsageError("NAME needs --test", hint=f"mmcli devices {name} --test")
    with terminal.no_chatter(style):
        if test:
            _test(audio.choose(name, "input"), seconds, style)
            return None
        rows = [_row(device) for device in audio.devices()]
    terminal.table(COLUMNS, rows, style)
    if not rows:
        terminal.notice("PortAudio finds no microphone or loudspeaker; see `mmcli doctor`", style)
    return None


def _row(device: Device) -> tuple[object, ...]:
    kinds = [kind for kind, count in (("input", device.inputs), ("output", device.outputs)) if count]
    defaults = [kind for kind, chosen in (("input", device.default_input), ("output", device.default_output)) if chosen]
    return (
        device.number,
        device.name,
        ", ".join(kinds),
        ", ".join(defaults) or None,
        device.inputs,
        device.outputs,
        device.rate,
        device.system,
    )


def _test(device: Device, seconds: float, style: Style) -> None:
    """A level meter for some seconds of sound, then what was heard in one line."""
    from mmcli import terminal
    from mmcli.runtime import transcription
    from mmcli.speech.level import Gauge, meter
    from mmcli.speech.microphone import Microphone
    from mmcli.speech.vad import Detector

    stop, gauge = threading.Event(), Gauge(Detector())
    with (
        transcription.interruptible(stop, terminal.Screen(style)) as progress,
        Microphone(device, stop=stop) as microphone,
    ):
        terminal.notice(f"say something to {device.name} ({microphone.rate} Hz); Ctrl-C ends it", style)
        for block in microphone:
            progress(f"hearing {meter(gauge.feed(block))}", 0, -1)
            if gauge.seconds >= seconds:
                break
    if style.json:
        terminal.data(
            {
                "number": device.number,
                "name": device.name,
                "rate": microphone.rate,
                "channels": microphone.channels,
                "seconds": round(gauge.seconds, 3),
                "loudest_db": round(gauge.loudest, 1),
                "quietest_db": round(gauge.quietest, 1),
                "speech_seconds": round(gauge.speech_seconds, 2),
            }
        )
        return
    terminal.line(
        f"{device.name}: {gauge.seconds:.1f} s, {gauge.speech_seconds:.1f} s of it speech; "
        f"loudest {gauge.loudest:.0f} dB, quietest {gauge.quietest:.0f} dB"
    )
