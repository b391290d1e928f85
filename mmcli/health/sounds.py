"""Checks the speech model, the voice, the loudspeaker and the clipboard."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcli import models
from mmcli.errors import MmcliError, ModelError
from mmcli.health import probe_process
from mmcli.health.findings import Finding
from mmcli.media import capture

if TYPE_CHECKING:
    from mmcli.health.probe_process import Ended

INSTALL = "Debian, Ubuntu: apt install libportaudio2; Fedora: dnf install portaudio; macOS: brew install portaudio"
SECONDS = 600  # for loading a speech model and hearing a sentence, on a slow machine
LIKE = 0.6  # how like what was said the words must be that were heard


def devices(probe: Ended) -> Iterator[Finding]:
    """The microphones and loudspeakers that their child told."""
    for check, kind, use in (("microphone", "microphones", "recorded"), ("loudspeaker", "loudspeakers", "played")):
        yield _device(probe, check, kind, use)


def _device(probe: Ended, check: str, kind: str, use: str) -> Finding:
    told = {key: value for key, value in probe.merged().items() if key in ("missing", "reason", kind)}
    if probe.crash is not None:
        message = f"looking for {kind} crashed or failed: {probe.sentence()}"
        return Finding(check, "warning", message, f"reinstall PortAudio ({INSTALL})", {"crash": probe.crash})
    if told.get("missing") == "sounddevice":
        return Finding(check, "warning", "the package sounddevice is not installed", "pip install sounddevice", told)
    if told.get("missing") == "portaudio":
        return Finding(check, "warning", f"PortAudio is missing, so nothing can be {use}", INSTALL, told)
    names = told.get(kind, [])
    if not names:
        reason = f": {told['reason']}" if "reason" in told else ""
        remedy = "plug one in, and check that this user may use it (the group `audio`, PulseAudio or PipeWire)"
        return Finding(check, "warning", f"no {check} found{reason}", remedy, told)
    return Finding(check, "ok", ", ".join(map(str, names)), facts=told)


def voice(name: str | None = None) -> Finding:
    """Who would say answers aloud: the model called `name`, or the system's voice (`system`), or what is here."""
    from mmcli.speech.speaker import system_voice

    try:
        found = models.find_speaker(name) if name != "system" else None
        if isinstance(found, models.WantedModel):
            raise ModelError(
                f"`{found.name}` is not on this machine yet", hint=f"`mmcli pull {found.name}` downloads it"
            )
        if found is not None:
            return Finding("voice", "ok", f"the model `{found.name}`", facts={"model": found.name})
        speaker = system_voice()
    except MmcliError as error:
        return Finding("voice", "warning", error.message, error.hint or "`mmcli models` lists models that speak")
    speaker.close()
    return Finding("voice", "ok", f"{speaker.name}, the system's own", facts={"system": speaker.name})


def clipboard() -> Finding:
    """Which program gives the picture that was copied."""
    tools = capture.clipboard_tools()
    facts = {"tools": [tool.program for tool in tools]}
    if not tools:
        message = "there is none: neither WAYLAND_DISPLAY nor DISPLAY is set, as over ssh"
        return Finding("clipboard", "ok", message, facts=facts)
    here = [tool.program for tool in tools if shutil.which(tool.program)]
    if not here:
        names = " or ".join(f"`{tool.program}`" for tool in tools)
        return Finding("clipboard", "warning", f"{names} is missing", f"install {tools[0].package}", facts)
    return Finding("clipboard", "ok", f"pictures come from `{here[0]}`", facts=facts)


def speech_model() -> Finding:
    """Which speech model is taken where nobody chooses one."""
    from mmcli.models import speech

    try:
        found = models.find_speech()
    except MmcliError as error:
        return Finding("speech model", "problem", error.message, error.hint, status=error.status)
    if isinstance(found, models.SpeechModel):
        facts = {"name": found.name, "folder": str(found.folder)}
        return Finding("speech model", "ok", f"`{found.name}`: `{found.folder}`", facts=facts)
    built_in = ", except the starter's own" if speech.has_starter() else ""
    message = f"none is here yet{built_in}: `mmcli pull {found.name}` downloads one"
    return Finding("speech model", "ok", message, facts={"name": None})


def examine_speech(name: str) -> Iterator[Finding]:
    """Load the speech model called `name`, and let it hear a sentence of the system's voice."""
    try:
        found = models.find_speech(name)
        if not isinstance(found, models.SpeechModel):
            raise ModelError(
                f"`{found.name}` is not on this machine yet", hint=f"`mmcli pull {found.name}` downloads it"
            )
    except MmcliError as error:
        yield Finding("speech model", "problem", error.message, error.hint, status=error.status)
        return
    request = json.dumps({"folder": str(Path(found.folder).absolute()), "name": found.name})
    yield judge(
        found.name, probe_process.run(probe_process.program("mmcli.health.listening", request), seconds=SECONDS)
    )


def judge(name: str, heard: Ended) -> Finding:
    """What the child that listened told, as a finding."""
    told: dict[str, Any] = heard.merged()
    if "error" in told:
        return Finding("speech model", "problem", told["error"], told.get("hint"), status=told.get("status", 4))
    if heard.crash is not None:
        message = f"`{name}` crashed or failed: {heard.sentence()}"
        return Finding("speech model", "problem", message, "download its files again, or try --speech-device cpu")
    facts = {key: told.get(key) for key in ("device", "compute_type", "languages", "said", "heard", "likeness")}
    knows = f"{told['languages']} languages" if told["languages"] > 1 else "English only"
    how = f"on {told['device']} as {told['compute_type']}, {knows}"
    if told.get("said") is None:
        return Finding(
            "speech model", "ok", f"`{name}` loads ({how}); there is no voice here to test it with", facts=facts
        )
    if told["likeness"] < LIKE:
        message = f"`{name}` ({how}) was given `{told['said']}` and heard `{told['heard']}`"
        return Finding(
            "speech model", "warning", message, "download it again, or use a larger one: `mmcli models`", facts
        )
    return Finding("speech model", "ok", f"`{name}` ({how}) heard `{told['heard']}`", facts=facts)
