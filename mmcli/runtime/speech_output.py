"""Says an answer aloud: which voice, through which loudspeaker, and what Ctrl-C does to it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmcli.errors import MmcliError, ModelError, UsageError

if TYPE_CHECKING:
    from mmcli.engine import Piece
    from mmcli.media import Audio
    from mmcli.models import Model, WantedModel
    from mmcli.runtime.model_loader import Machine
    from mmcli.runtime.reporter import Reporter
    from mmcli.speech.playback import Aloud
    from mmcli.speech.speaker import Speaker

SYSTEM = "system"
MOST_SECONDS = 60.0  # of a reference voice; 5 to 15 are enough, and libmtmd takes 30 at most


@dataclass(frozen=True)
class Wishes:
    """What was asked of the voice."""

    speak: bool = False
    voice_model: str | None = None  # a model's name, or SYSTEM
    voice: str | None = None
    output_device: str | None = None
    setting: str | None = None  # what set `speak`, a variable or config.toml, where nothing of this was typed

    @property
    def recording(self) -> str | None:
        """The file whose voice is wanted, where `voice` is one and not a name."""
        return self.voice if self.voice and _is_file(self.voice) else None


class Voice:
    """Says an answer while it is written; where nothing is to be said, it does nothing.

    Trouble with the loudspeaker never costs the answer: it is written to its end, and then `finish` raises it. With
    `on_trouble` it is handed to that instead, once, and nothing is said any more.
    """

    def __init__(self, aloud: Aloud | None = None, on_trouble: Callable[[MmcliError], None] | None = None) -> None:
        self._aloud, self._on_trouble = aloud, on_trouble
        self._trouble: MmcliError | None = None
        self._is_silenced = False

    def told(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """The same pieces; what is not reasoning is said meanwhile."""
        if self._aloud is None:
            yield from pieces
            return
        self._is_silenced, self._trouble = False, None
        for piece in pieces:
            if piece.kind == "answer" and piece.text and not (self._trouble or self._is_silenced):
                try:
                    self._aloud.add(piece.text)
                except MmcliError as error:
                    self._trouble = error
            yield piece

    @property
    def is_wanted(self) -> bool:
        """Whether answers are said at all."""
        return self._aloud is not None

    @property
    def first_sound(self) -> float | None:
        """When the first sound of the last answer left the loudspeaker, by the monotonic clock."""
        return self._aloud.first_sound if self._aloud is not None else None

    def saying(self, now: float, seconds: float) -> str:
        """What was being said in the `seconds` before `now`, on the monotonic clock."""
        return self._aloud.saying(now, seconds) if self._aloud is not None else ""

    def finish(self) -> None:
        """Wait until all is said; what went wrong with it is raised now."""
        try:
            if self._trouble is not None:
                raise self._trouble
            if self._aloud is not None and not self._is_silenced:
                self._aloud.finish()
        except MmcliError as error:
            if self._on_trouble is None:
                raise
            self._aloud = self._trouble = None
            self._on_trouble(error)

    def stop(self) -> None:
        """Be silent at once, until the next answer."""
        if self._aloud is not None:
            self._is_silenced = True
            self._aloud.stop()


def finish(voice: Voice, reporter: Reporter) -> None:
    """Wait until the answer is said, if it is to be, and show on a terminal why nothing else happens."""

    if voice.is_wanted:
        with reporter.progress() as progress:
            progress("speaking; Ctrl-C ends it", 0, -1)
            voice.finish()


@contextmanager
def opened(wishes: Wishes, machine: Machine, *, yes: bool, reporter: Reporter) -> Iterator[Voice]:
    """The voice that was asked for, at its loudspeaker; an error, before anything takes long, where that cannot be.

    Where only a setting asks for it, that is a warning, and the answers are shown as if it did not.
    """
    if not wishes.speak:
        yield Voice()
        return

    def warn(error: MmcliError) -> None:
        reporter.warning(f"answers are not spoken: {error.message} ({wishes.setting} sets --speak)")

    with reporter.no_chatter(), contextlib.ExitStack() as stack:
        try:
            voice = _open(wishes, machine, stack, None if wishes.setting is None else warn, yes=yes, reporter=reporter)
        except MmcliError as error:
            if wishes.setting is None:
                raise
            warn(error)
            voice = Voice()
        yield voice


def _open(
    wishes: Wishes,
    machine: Machine,
    stack: contextlib.ExitStack,
    on_trouble: Callable[[MmcliError], None] | None,
    *,
    yes: bool,
    reporter: Reporter,
) -> Voice:
    from mmcli.speech import devices
    from mmcli.speech.playback import Aloud

    device = devices.choose(wishes.output_device, "output")
    speaker = choose(wishes, machine, yes=yes, reporter=reporter)
    stack.callback(speaker.close)
    aloud = stack.enter_context(Aloud(speaker, device))
    reporter.detail(f"spoken by {speaker.name} ({speaker.sample_rate} Hz) through {device.name}")
    return Voice(aloud, on_trouble)


def choose(wishes: Wishes, machine: Machine, *, yes: bool, reporter: Reporter) -> Speaker:
    """Who speaks: the model that was asked for, or one that is here and can; else the system's own voice."""
    from mmcli import models
    from mmcli.speech.speaker import system_voice

    has_name = wishes.voice is not None and wishes.recording is None
    found: Model | WantedModel | None = None
    if wishes.voice_model not in (None, SYSTEM):
        found = models.find_speaker(wishes.voice_model)
    elif wishes.voice_model is None and not has_name:  # a name can only be a voice of the system's
        found = models.find_speaker(has_voice=wishes.recording is not None)
    if found is not None:
        return _talker(found, wishes, machine, yes=yes, reporter=reporter)
    if wishes.recording:
        raise ModelError(
            f"the system's voice cannot sound like `{wishes.recording}`: that takes a model that speaks",
            hint="`mmcli pull pocket-tts-en` downloads one; without --voice the system speaks as it can",
        )
    return system_voice(wishes.voice)


def _talker(found: Model | WantedModel, wishes: Wishes, machine: Machine, *, yes: bool, reporter: Reporter) -> Speaker:
    """The model, ready to speak, fetched if need be; what can be wrong with the voice is reported first."""
    from mmcli import models
    from mmcli.runtime import model_fetch
    from mmcli.speech.speaker import own_language, reader

    if wishes.voice and not wishes.recording:
        raise UsageError(
            f"`{found.name}` does not take voices by name, and there is no file `{wishes.voice}`",
            hint="--voice FILE.wav: 5 to 15 seconds of somebody speaking; or --voice-model system",
        )
    _require_voice(found, wishes)
    voice = _recording(wishes.recording) if wishes.recording else None
    if isinstance(found, models.WantedModel) and not (yes or reporter.can_ask()):
        raise ModelError(
            f"`{found.name}` is not on this machine yet",
            hint=f"`mmcli pull {found.name}` or --yes downloads it ({model_fetch.size(found.name)});"
            " or --voice-model system",
        )
    model = model_fetch.here(found, yes=yes, reporter=reporter)
    _require_voice(model, wishes)  # of a model from the Hub, its files tell
    from mmcli.engine.local.tts import Talker

    return Talker(
        model.weights,
        model.projector,
        name=model.name,
        voice=voice,
        language_of=lambda text: reader(text, own_language() or "en"),
        threads=machine.threads,
        gpu_layers=machine.gpu_layers,
    )


def _require_voice(found: Model | WantedModel, wishes: Wishes) -> None:
    """UsageError where the model is next to silent without a recording, and there is none."""
    from mmcli import models

    entry = found.entry if isinstance(found, models.WantedModel) else None
    needs = found.needs_voice if isinstance(found, models.Model) else bool(entry and entry.needs_voice)
    if needs and not wishes.recording:
        raise UsageError(
            f"`{found.name}` needs a recording of the voice to imitate",
            hint="--voice FILE.wav: 5 to 15 seconds of somebody who agrees to it",
        )


def _recording(path: str) -> Audio:
    """The reference voice, at the rate that models want it in."""
    from mmcli import media
    from mmcli.engine.local.tts import VOICE_RATE

    (source,) = media.find([path], kinds=frozenset({"audio"}))
    found = media.load(source, kinds=frozenset({"audio"}), sample_rate=VOICE_RATE, max_seconds=MOST_SECONDS)
    assert isinstance(found, media.Audio)
    return found


def _is_file(voice: str) -> bool:
    """Whether a voice is meant as a file: names have neither folders nor the endings of sounds."""
    from mmcli.media.sources import AUDIO_SUFFIXES

    path = os.path.expanduser(voice)
    return os.sep in voice or os.path.splitext(voice)[1].lower() in AUDIO_SUFFIXES or os.path.isfile(path)
