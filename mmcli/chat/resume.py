"""Records a conversation in the history, and continues one, media included. For every command that answers."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.conversations import LAST
from mmcli.errors import InputError, MmcliError

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from mmcli import media
    from mmcli.chat import Turn
    from mmcli.engine import Message
    from mmcli.history import Recorder, Shown, Store, Talk
    from mmcli.media import Locator, Medium, Receipt, Wanted
    from mmcli.models import Model
    from mmcli.runtime.reporter import Reporter


@dataclass(frozen=True)
class Setup:
    """Who answers, and under which system prompt."""

    model: str | None
    mmproj: Path | None
    system: str | None


@dataclass(frozen=True)
class Past:
    """What a talk holds so far."""

    turns: tuple[Turn, ...] = ()
    unanswered: tuple[Medium, ...] = ()  # shown with a question that got no answer: they belong to the next one
    n_left_out: int = 0  # of the oldest turns: the context was full
    n_unanswered: int = 0  # turns at the end that got no answer

    @property
    def messages(self) -> list[Message]:
        """The turns, ready for the engine."""
        from mmcli.chat import Conversation

        conversation = Conversation()
        conversation.turns += self.turns
        conversation.n_left_out = self.n_left_out
        return conversation.messages()


def recorder(wanted: bool, keep_media: bool, reporter: Reporter) -> Recorder:
    """What writes the talk down. Its trouble is a warning and never costs the answer."""
    from mmcli.history import Recorder

    return Recorder(wanted=wanted, keep_media=keep_media, on_trouble=reporter.warning)


def typed_lines() -> Path:
    """The lines typed in chats before, for the arrow keys and Ctrl-R."""
    from mmcli import config

    return config.data_dir() / "typed"


def talk(name: str | None) -> Talk | None:
    """The talk that --continue means; None without it. InputError where there is none."""
    if name is None:
        return None
    from mmcli.history import Store

    with Store(create=False) as store:
        return store.load(None if name == LAST else name)


def setup(
    typed: Container[str], talk: Talk | None, model: str | None, mmproj: Path | None, system: str | None
) -> Setup:
    """A talk goes on with its own model and system prompt, unless others were `typed`: names of parameters."""
    if talk is None:
        return Setup(model, mmproj, system)

    if "model" not in typed:
        model = talk.model
        if "mmproj" not in typed:
            mmproj = Path(talk.mmproj) if talk.mmproj else None
    return Setup(model, mmproj, system if "system" in typed else talk.system)


def begin(
    recorder: Recorder, kind: str, talk: Talk | None, model: Model, setup: Setup, *, n_unanswered: int = 0
) -> None:
    """Tell the recorder whose turn comes next, and how many it stands for that got no answer, media included."""
    name, mmproj = reference(model, setup.mmproj)
    if talk is None:
        recorder.begin(kind, name, setup.system, mmproj=mmproj)
    else:
        recorder.go_on(talk.id, kind, name, setup.system, mmproj=mmproj, n_unanswered=n_unanswered)


def reference(model: Model, mmproj: Path | None) -> tuple[str, str | None]:
    """What -m and --mmproj take to find a model again: files are written down by their whole path."""
    is_file = model.name == model.weights.name
    name = os.path.abspath(model.weights) if is_file else model.name
    return name, os.path.abspath(mmproj) if mmproj else None


def past(talk: Talk | None, max_megapixels: float, reporter: Reporter, wanted: Wanted | None = None) -> Past:
    """The talk's turns, their media loaded again; InputError where one is not what it was.

    A turn without an answer is left out, but for its media: whoever asks again means them still.
    """
    if talk is None:
        return Past()
    from mmcli.chat import Turn
    from mmcli.history import Store

    turns: list[Turn] = []
    unanswered: list[Medium] = []
    places: list[tuple[int, int]] = []  # of those
    n_unanswered = 0
    with Store(create=False) as store:
        for turn in talk.live:
            shown = {place: each for place, each in enumerate(turn.shown) if not each.is_dropped}
            inputs = [_again(each, talk, store, max_megapixels, reporter, wanted) for each in shown.values()]
            places += [(turn.number, place) for place in shown]
            if not turn.said:
                unanswered += inputs
                n_unanswered += 1
                continue
            media = (*unanswered, *inputs)
            turns.append(Turn(turn.question, media, turn.said, turn.finish_reason, turn.answer, tuple(places)))
            unanswered, places, n_unanswered = [], [], 0
    return Past(tuple(turns), tuple(unanswered), min(talk.n_left_out, len(turns)), n_unanswered)


def kinds(messages: Sequence[Message]) -> set[str]:
    """The kinds of media in a conversation; a film's moments are pictures."""
    from mmcli.media import Clip

    parts = [part for message in messages for part in message.parts if not isinstance(part, str)]
    return {"image" if isinstance(part, Clip) else part.receipt.kind for part in parts}


def _again(
    shown: Shown, talk: Talk, store: Store, max_megapixels: float, reporter: Reporter, wanted: Wanted | None
) -> Medium:
    """A medium of the talk as it was: from where it lay, or from the kept copy. InputError says what became of it."""
    from mmcli import media

    name = shown.receipt.source
    wanted = _as_before(wanted, shown.receipt)
    if shown.text is not None:
        return media.load(media.Source(name, data=shown.text.encode()))
    kept = store.kept(shown.receipt.sha256)
    trouble = "it was piped in, and no copy was kept"
    try:
        for source in _sources(shown, kept):
            medium = media.load(  # it was taken as it is
                source, wanted=wanted, max_megapixels=max_megapixels, damaged_ok=True
            )
            if _is_same(medium, shown):
                return medium
            trouble = f"{media.quoted(shown.path or name)} has changed since"
    except MmcliError as error:
        trouble = error.message
    if kept is not None:
        reporter.notice(f"{trouble}; continuing with the copy that was kept")
        copy = media.Source(name, data=kept.read_bytes(), locator=_part(shown))
        return media.load(copy, wanted=wanted, max_megapixels=max_megapixels, damaged_ok=True)
    raise InputError(
        f"conversation `{talk.id}` is about {media.quoted(name)}, and {trouble}",
        hint="leave out -c to ask about the file as it is now; --keep-media saves copies",
    )


def _as_before(wanted: Wanted | None, receipt: Receipt) -> Wanted:
    """What is wanted now, but for what was shown before: the same pages and moments again, whatever options say."""
    from mmcli.media import Wanted
    from mmcli.runtime import films

    wanted = wanted or Wanted()
    if receipt.kind == "video":
        return replace(wanted, film=films.again(receipt, wanted.film))
    return replace(wanted, pages=replace(wanted.pages, choice=None, at_once=None))


def _sources(shown: Shown, kept: Path | None) -> list[media.Source]:
    """Where the medium lay; an address is not asked again if there is a copy."""
    from mmcli import media

    name, part = shown.receipt.source, _part(shown)
    if kept is not None and shown.path is None:
        return [media.Source(name, data=kept.read_bytes(), locator=part)]
    if shown.url:
        return [media.Source(name, url=shown.url, locator=part)]
    if shown.path is None:
        return []
    # under the name it had, so that a text's fence is headed by the same words
    return [replace(source, name=name, locator=part) for source in media.find([shown.path])]


def _part(shown: Shown) -> Locator | None:
    """The part of the source that was shown; None: all of it."""
    from mmcli.media import locator

    return None if shown.receipt.locator is None else locator.parse(shown.receipt.locator)


def _is_same(medium: Medium, shown: Shown) -> bool:
    """The same bytes, or other bytes with the same pixels or samples (a new tag in a photo)."""
    from mmcli.media import Text

    if medium.receipt.sha256 == shown.receipt.sha256:
        return True
    return not isinstance(medium, Text) and medium.id == shown.media_id
