"""Runs every check of `mmcli doctor` in order, one finding each. What may crash runs in a child process."""

from __future__ import annotations

import json
import platform
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcli import __version__, models
from mmcli.errors import MmcliError, ModelError
from mmcli.health import data_files, environment, native, own_build, probe_process, sounds
from mmcli.health.canary_process import BLIND, CanaryRequest
from mmcli.health.findings import Finding
from mmcli.models import gguf
from mmcli.models.sizes import GB

if TYPE_CHECKING:
    from mmcli.health.canary import Kind
    from mmcli.models import Model

OnProgress = Callable[[str, int, int], None]

STARTER_SEED = 0  # always the same card, one that it reads: here the build is on trial, not the model
STARTER_SECONDS = 300  # it takes one; but a machine may be busy
MODEL_SECONDS = 3600  # a large model on a slow machine; Ctrl-C ends it sooner
STARTER_NAME = "mmcli starter"  # general.name of the model that cannot read


def examine(
    bad_config: MmcliError | None = None, *, speech_model: str | None = None, voice_model: str | None = None
) -> Iterator[Finding]:
    """Everything about this machine and installation; `bad_config` is what is wrong with config.toml.

    `speech_model` is loaded and hears a sentence where one is named; `voice_model` is who says answers aloud.
    """
    yield Finding(
        "mmcli",
        "ok",
        f"{__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        facts={"mmcli": __version__, "python": platform.python_version(), "platform": platform.platform()},
    )
    # what is compiled
    probe = probe_process.run(probe_process.program("mmcli.engine.local.probe"))
    yield native.build(probe)
    if native.is_loaded(probe):
        built_in = models.find("starter")
        assert isinstance(built_in, models.Model)
        starter = _show_card(built_in, seed=STARTER_SEED, seconds=STARTER_SECONDS)
        yield native.computes(starter, probe.merged())
        yield native.processor(probe.merged(), computes=starter.crash is None)
        yield from native.gpus(probe.merged())
    yield from own_build.examine()
    # what is around it
    yield environment.memory()
    yield from environment.disks()
    yield environment.config_file(bad_config)
    yield from data_files.examine()
    yield from sounds.devices(probe_process.run(probe_process.program("mmcli.health.microphone"), seconds=30))
    if speech_model is None:
        yield sounds.speech_model()
    else:
        yield from sounds.examine_speech(speech_model)
    yield sounds.voice(voice_model)
    yield sounds.clipboard()
    yield environment.path()


def examine_model(
    name: str,
    mmproj: Path | None = None,
    *,
    seed: int | None = None,
    threads: int | None = None,
    gpu_layers: int | None = None,
    on_progress: OnProgress | None = None,
) -> Iterator[Finding]:
    """Show the model called `name` a card, and judge what it answers; a speech model hears a sentence instead."""
    seed = random.getrandbits(31) if seed is None else seed
    try:
        if isinstance(models.find_any(name), models.SpeechModel | models.WantedSpeech):
            yield from sounds.examine_speech(name)
            return
        model = models.find(name, mmproj)
        if not isinstance(model, models.Model):
            raise ModelError(
                f"`{model.name}` is not on this machine yet", hint=f"`mmcli pull {model.name}` downloads it"
            )
        model.require(sight=True, hearing=False)
    except MmcliError as error:
        yield Finding("model", "problem", error.message, error.hint, status=error.status)
        return
    shown = _show_card(model, seed=seed, threads=threads, gpu_layers=gpu_layers, on_progress=on_progress)
    yield from judge(model.name, shown, seed)


def judge(name: str, shown: probe_process.Ended, seed: int) -> Iterator[Finding]:
    """One finding for each question about the card, and one for the end, if it was no good one."""
    items = [fact["item"] for fact in shown.facts if "item" in fact]
    yield from (_about(item, seed) for item in items)
    told = shown.merged()
    if "error" in told:
        yield Finding("model", "problem", told["error"], told.get("hint"), status=told.get("status", 4))
    elif shown.crash is not None:
        yield Finding(
            "model",
            "problem",
            f"`{name}` crashed or failed: {shown.sentence()}",
            "run `mmcli doctor` without a model: if that works, download these files again or try another quantization",
        )
    else:
        if "memory" in told:
            yield _memory(told["memory"])
        sees = bool(items) and all(item["passed"] for item in items if item["essential"])
        again = f"(`--seed {seed}` draws this card again)"
        facts = {"name": name, "seed": seed, "sees": sees}
        if sees:
            yield Finding("model", "ok", f"`{name}` sees what it is shown {again}", facts=facts)
        else:
            message = f"`{name}` does not see what it is shown {again}"
            yield Finding("model", "problem", message, "do not trust what it says about pictures until it does", facts)


def _memory(told: dict[str, int]) -> Finding:
    """What the model took, and what of that is weights in another order than in the file."""
    message = f"it took {told['peak'] / GB:.1f} GB at most"
    if told["repacked"]:
        message += (
            f", with {told['repacked'] / GB:.1f} GB of weights copied into the layout this CPU computes fastest with"
        )
    return Finding("model memory", "ok", message, facts=told)


def _about(item: dict[str, Any], seed: int) -> Finding:
    """One question and its answer in a sentence."""
    check = f"sight: {item['item']}"
    answer = " ".join(item["answer"].split())
    answer = answer if len(answer) <= 80 else answer[:79] + "…"
    facts = {"seed": seed} | item
    if item["item"] == BLIND:
        if item["passed"]:
            return Finding(check, "ok", f"without the card it does not know: `{answer}`", facts=facts)
        message = f"shown an empty picture, it still answers `{answer}`"
        return Finding(check, "problem", message, item["meaning"], facts)
    if item["passed"]:
        return Finding(check, "ok", f"it sees `{item['expected']}`", facts=facts)
    message = f"the card shows `{item['expected']}`, it answers `{answer}`"
    return Finding(check, "problem" if item["essential"] else "warning", message, item["meaning"], facts)


def _show_card(
    model: Model,
    *,
    seed: int,
    threads: int | None = None,
    gpu_layers: int | None = None,
    seconds: float = MODEL_SECONDS,
    on_progress: OnProgress | None = None,
) -> probe_process.Ended:
    """Let a child load the model and ask it about a card it can read."""
    name = gguf.read(model.weights).text("general.name")
    kind: Kind = "shapes" if name == STARTER_NAME else "text"
    projector = str(model.projector.absolute()) if model.projector else None
    weights, newline = str(model.weights.absolute()), model.media_newline
    request = CanaryRequest(weights, projector, kind, seed, newline, threads, gpu_layers)

    def listen(fact: dict[str, Any]) -> None:
        if on_progress is not None and "progress" in fact:
            on_progress(*fact["progress"])

    command: Sequence[str] = probe_process.program("mmcli.health.canary_process", json.dumps(asdict(request)))
    return probe_process.run(command, seconds=seconds, on_fact=listen)
