"""Sounds in a conversation whose model cannot hear: transcribed once each, and given to it as words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mmcli import media, models
from mmcli.runtime import films, transcription

if TYPE_CHECKING:
    from mmcli.engine import Message, Part
    from mmcli.media import Audio, Medium, Text
    from mmcli.media.wanted import FilmSound
    from mmcli.models import Model, SpeechModel
    from mmcli.runtime.reporter import Reporter


class SoundsInWords:
    """What is said in the sounds of one conversation, and the speech model that transcribes them."""

    def __init__(self, speech_model: str | SpeechModel | None, reporter: Reporter, *, yes: bool) -> None:
        """`speech_model` None: the default one; `yes`: it may be downloaded without asking."""
        self._speech_model, self._reporter, self._yes = speech_model, reporter, yes
        self._words: dict[tuple[str, str], Text] = {}  # by a sound's media ID and its name

    @property
    def can_write_down(self) -> bool:
        """Whether a speech model was chosen, or is here."""
        return self._speech_model is not None or isinstance(models.find_speech(), models.SpeechModel)

    def require(self, model: Model, loaded: Sequence[Medium]) -> None:
        """ModelError unless the model can take these media; sounds that it cannot hear are transcribed for it.

        InputError for a sound that is too short for one that hears.
        """
        model.require(sight=any(medium.receipt.kind in ("image", "video") for medium in loaded), hearing=False)
        if model.hears:
            for medium in loaded:
                transcription.require_length(medium)
            return
        sounds = [sound for medium in loaded for sound in _sounds_of(medium) if _key(sound) not in self._words]
        if not sounds:
            return
        if not isinstance(self._speech_model, models.SpeechModel):
            self._speech_model = transcription.writer(model, self._speech_model, yes=self._yes, reporter=self._reporter)
        texts = transcription.write_down(sounds, self._speech_model, model.name, self._reporter)
        self._words |= {_key(sound): text for sound, text in zip(sounds, texts, strict=True)}

    def of_film(self, model: Model, medium: Medium, sound: FilmSound) -> Medium:
        """A film with what is said in it, as far as anybody here can tell; anything else as it is."""
        (settled,) = films.with_sounds([medium], model, self._speech_model, sound, self._reporter, yes=self._yes)
        return settled

    def as_heard(self, model: Model, messages: list[Message]) -> list[Message]:
        """The messages as the model gets them: its sounds, or what was written down of them."""
        if model.hears:
            return messages

        def in_words(part: Part) -> Part:
            return self._words[_key(part)] if isinstance(part, media.Audio) else part

        return [replace(message, parts=tuple(map(in_words, message.parts))) for message in messages]


def _sounds_of(medium: Medium) -> list[Audio]:
    """The sounds that are parts of a conversation because of it: of a film there may be several."""
    parts = medium.content if isinstance(medium, media.Document) else (medium,)
    return [part for part in parts if isinstance(part, media.Audio)]


def _key(sound: Audio) -> tuple[str, str]:
    return sound.id, sound.receipt.source
