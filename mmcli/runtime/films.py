"""What every front end needs to show films: how a model takes them, how many frames fit, what is said in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, cast

from mmcli.errors import InputError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from mmcli.media import Audio, FilmWanted, Medium, Receipt, Wanted
    from mmcli.media.film import FilmDocument
    from mmcli.media.wanted import FilmSound
    from mmcli.models import Model, SpeechModel, WantedModel
    from mmcli.runtime.model_loader import Machine
    from mmcli.runtime.reporter import Reporter

MOST_ON_CPU = (
    4096  # tokens of all frames together, where a CPU computes them: about a minute and a half of prefill at 1B
)
FOR_WORDS = 512  # tokens of the context that question, stamps and template may take
KEPT = "film-words"  # in the cache folder: what was heard in films
MOST_KEPT = 8 << 20  # bytes of one film's words


def fitted(
    wanted: Wanted, model: Model | WantedModel, machine: Machine, *, n_films: int = 1, max_tokens: int = 1024
) -> Wanted:
    """The same with the model's own way of taking films, and the tokens that there are for each of `n_films`.

    Reckoned with the headers of its files, before anything is decoded or loaded.
    """
    from mmcli.media.wanted import FilmRecipe
    from mmcli.models import Model, catalogue, film_habits, gguf

    header = gguf.read(model.projector) if isinstance(model, Model) and model.projector is not None else None
    entry = catalogue.load().get(model.name)
    habits = film_habits.of(header, entry.film if entry is not None else None)
    tokens = habits.tokens
    if tokens is not None and machine.detail == "low":
        tokens = min(tokens, 256)
    recipe = FilmRecipe(**{**asdict(habits), "tokens": tokens})
    room = _room(model, machine, max_tokens) // max(1, n_films)
    return replace(wanted, film=replace(wanted.film, recipe=recipe, room=room))


def _room(model: Model | WantedModel, machine: Machine, max_tokens: int) -> int:
    """Tokens that the frames of all films may take together."""
    from mmcli.engine import hardware
    from mmcli.models import Model

    limit = machine.ctx_size
    if limit is None and isinstance(model, Model) and (needs := model.needs()) is not None:
        limit = needs.largest(hardware.free_memory())
    if limit is None:
        return MOST_ON_CPU
    answer = min(max_tokens, limit // 4)
    words = min(FOR_WORDS, limit // 4)
    return max(0, min(MOST_ON_CPU, limit - answer - words))


def again(receipt: Receipt, wanted: FilmWanted) -> FilmWanted:
    """What gives the same frames and words once more as the receipt of a film tells; stamped as is `wanted` now."""
    recipe = replace(wanted.recipe, pairs=receipt.pairs is not None)
    sound = cast("FilmSound", "off" if receipt.sound in (None, "none") else receipt.sound)
    return replace(
        wanted, recipe=recipe, times=receipt.times, spoken=receipt.spoken, sound=sound, size=receipt.sent_size
    )


def with_sounds(
    media: Sequence[Medium],
    model: Model | WantedModel,
    speech_model: str | SpeechModel | None,
    sound: str,
    reporter: Reporter,
    *,
    yes: bool = False,
) -> list[Medium]:
    """The media with what is said in the films among them; whatever is left out is told.

    `sound` is FilmWanted's. ModelError where the model should hear and cannot.
    """

    def settled(medium: Medium) -> Medium:
        if medium.receipt.kind != "video":
            return medium
        from mmcli.media.film import FilmDocument

        if not isinstance(medium, FilmDocument) or medium.sound is None:
            return medium
        return _settled(medium, model, speech_model, sound, reporter, yes=yes)

    return list(map(settled, media))


def _settled(
    film: FilmDocument,
    model: Model | WantedModel,
    speech_model: str | SpeechModel | None,
    sound: str,
    reporter: Reporter,
    *,
    yes: bool,
) -> FilmDocument:
    from mmcli.media import film as films

    assert film.sound is not None
    name = film.receipt.source
    if sound == "heard" and not model.hears:
        raise ModelError(
            f"`{model.name}` cannot hear the sound of `{name}`",
            hint="without --hear it gets what is said in it as a transcript",
        )
    if sound == "subtitles":
        return films.without_sound(film, "no subtitles are in it, so that nothing of its sound is known", "off")
    try:
        if sound == "heard":
            return films.with_sound(film, film.sound())
        writer = _writer(model, speech_model, reporter, yes=yes, is_wanted=sound == "transcript")
        if writer is None:
            why = (
                "what is said in it was left out: there is no speech model on this machine (`mmcli pull whisper-small`)"
            )
            return films.without_sound(film, why)
        spoken = _words(film, writer, reporter)
    except InputError as error:
        return films.without_sound(film, f"its sound was left out: {error.message}")
    if not spoken:
        return films.without_sound(film, f"{writer.name} heard no speech in it")
    n_words = sum(len(words.split()) for _, words in spoken)
    reporter.notice(f"{name}: what is said in it stands between the frames, by {writer.name} ({n_words} words)")
    return films.with_words(film, spoken, "transcript")


def _writer(
    model: Model | WantedModel,
    speech_model: str | SpeechModel | None,
    reporter: Reporter,
    *,
    yes: bool,
    is_wanted: bool,
) -> SpeechModel | None:
    """The speech model: one that was chosen, or one that is here; None where there is none, and nobody insists."""
    from mmcli import models
    from mmcli.runtime import transcription

    if isinstance(speech_model, models.SpeechModel):
        return speech_model
    if speech_model is not None or is_wanted:
        return transcription.writer(model, speech_model, yes=yes, reporter=reporter)
    found = models.find_speech()
    return found if isinstance(found, models.SpeechModel) else None


def _words(film: FilmDocument, writer: SpeechModel, reporter: Reporter) -> tuple[tuple[float, str], ...]:
    """(second, words) of each sentence, heard now or by an earlier run; empty where nothing is said."""
    from mmcli import config, files

    place = config.cache_dir() / KEPT / f"{_key(film.receipt, writer)}.json"
    known = files.read(place, max_bytes=MOST_KEPT) if place.is_file() else None
    if known is not None:
        try:
            return tuple((float(second), str(words)) for second, words in json.loads(known))
        except (ValueError, TypeError):
            pass  # damaged: it is heard again
    assert film.sound is not None
    spoken = _heard(film.sound(), writer, reporter)
    files.private_folder(place.parent)
    files.write(place, json.dumps(spoken).encode(), mode=0o600)
    return spoken


def _heard(sound: Audio, writer: SpeechModel, reporter: Reporter) -> tuple[tuple[float, str], ...]:
    from mmcli.runtime import transcription

    (transcript,) = transcription.heard([sound], writer, reporter)
    return tuple((round(segment.start, 2), segment.text.strip()) for segment in transcript.segments)


def _key(receipt: Receipt, writer: SpeechModel) -> str:
    """A name for what this speech model hears in this part of this film."""
    weights: list[tuple[str, int]] = sorted((path.name, path.stat().st_size) for path in _files(writer.folder))
    facts = [receipt.sha256, receipt.locator, writer.name, weights]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]
