"""Holds one conversation: its turns, its media, and the messages that go to the model next.

Turns are the truth. When the context is full, the oldest are no longer sent, but they stay here, and so do their media.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from mmcli import documents
from mmcli.engine.messages import Answer, FinishReason, Message, OnProgress, Part, Piece, Sampling
from mmcli.engine.protocol import Engine
from mmcli.errors import ContextFull, UsageError
from mmcli.media.types import Document, Text

if TYPE_CHECKING:
    from mmcli.media.types import Medium
    from mmcli.media.wanted import Wanted
    from mmcli.runtime.reporter import Reporter

ROOM_FOR_ANSWER = 256  # tokens that a question leaves free, or an eighth of a small context


class TalkRecorder(Protocol):
    """Writes a talk down while it happens; never fails."""

    def question(
        self,
        text: str,
        media: Sequence[Medium] = (),
        sampling: Sampling | None = None,
        *,
        heard_by: str | None = None,
    ) -> int | None: ...

    def keep(self, pieces: Iterator[Piece]) -> Iterator[Piece]: ...

    def take_back(self, n_turns: int = 1) -> None: ...

    def drop(self, turn: int, place: int) -> None: ...

    def leave_out(self, n_turns: int) -> None: ...


class TalkSources(Protocol):
    """Where each question of a talk is looked up first."""

    def more(self, question: str, load: Callable[..., Medium], wanted: Wanted, screen: Reporter) -> list[Medium]: ...

    def held(self, sampling: Sampling) -> Sampling: ...

    def tell(self, answer: Answer, screen: Reporter) -> None: ...

    def forget(self) -> None: ...


@dataclass(frozen=True)
class Turn:
    """A question with the media it brought, and what was said to it."""

    words: str
    media: tuple[Medium, ...] = ()
    said: str = ""
    finish_reason: FinishReason = "interrupted"
    answer: Answer | None = None  # with receipts and usage; None: from a file or the history
    recorded: tuple[tuple[int, int], ...] = ()  # of each medium, in what turn of the history it is, and at which place
    asked: str = ""  # the words as the model gets them, where that is more than what was typed


def parts(media: Sequence[Medium], words: str) -> tuple[Part, ...]:
    """Pictures, sounds and documents first, as models were trained; then the texts; then the words."""
    shown: list[Part] = []
    for medium in media:
        if isinstance(medium, Document):
            shown += medium.content
        elif not isinstance(medium, Text):
            shown.append(medium)
    said = (words,) if words or not shown else ()  # some models are shown a page and asked nothing
    return (*shown, *(medium for medium in media if isinstance(medium, Text)), *said)


def _unchanged(messages: list[Message]) -> list[Message]:
    """For a model that takes every medium as it is."""
    return messages


def _nothing(text: str) -> None:
    """Nobody listens."""


class Conversation:
    """What was said and what will be asked. `on_notice` gets a sentence when turns are left out.

    `as_heard` makes what the model gets of the messages: what is said in their sounds, where it cannot hear.
    """

    def __init__(
        self,
        system: str | None = None,
        *,
        recorder: TalkRecorder | None = None,
        on_notice: Callable[[str], None] = _nothing,
    ) -> None:
        self.system = system
        self.turns: list[Turn] = []
        self.staged: list[Medium] = []  # go with the next question
        self.n_left_out = 0  # of the oldest turns: the model does not get their words any more
        self.as_heard: Callable[[list[Message]], list[Message]] = _unchanged
        self._recorder, self._on_notice = recorder, on_notice

    # what it is about

    @property
    def media(self) -> list[Medium]:
        """All media in the order of their numbers: first those of the turns, then those that are staged."""
        return [*(medium for turn in self.turns for medium in turn.media), *self.staged]

    def stage(self, medium: Medium) -> int:
        """Put a medium with the next question; its number."""
        self.staged.append(medium)
        return len(self.media)

    def find(self, number: int) -> Medium:
        """The medium of that number, from 1 on; UsageError where there is none."""
        media = self.media
        if not 1 <= number <= len(media):
            known = f"there are {len(media)}" if len(media) != 1 else "there is one"
            raise UsageError(f"there is no file {number}: {known if media else 'none was attached'}", hint="see /media")
        return media[number - 1]

    def drop(self, number: int) -> Medium:
        """Take a medium out, of what is staged or of what was said: the model does not get it any more."""
        medium = self.find(number)
        for i, turn in enumerate(self.turns):
            if number <= len(turn.media):
                if self._recorder is not None and turn.recorded:
                    self._recorder.drop(*turn.recorded[number - 1])
                rest, places = list(turn.media), list(turn.recorded)
                del rest[number - 1], places[number - 1 : number]
                self.turns[i] = replace(turn, media=tuple(rest), recorded=tuple(places))
                return medium
            number -= len(turn.media)
        return self.staged.pop(number - 1)

    # what is said

    def ask(
        self,
        engine: Engine,
        words: str,
        sampling: Sampling,
        on_progress: OnProgress | None = None,
        *,
        heard_by: str | None = None,
        asked: str = "",
    ) -> Iterator[Piece]:
        """Ask with all that is staged, and pass the answer on while it comes. `heard_by`: who wrote spoken words down.

        `asked`: the words as the model gets them, where that is more.

        What was said stays, whatever ends it. Where nothing was said, the question is not part of the talk, its media
        are staged as before, and an error is raised again: ContextFull where not even the question alone has room.
        """
        turn = Turn(words, tuple(self.staged), asked=asked)
        if self._recorder is not None:
            if (kept := self._recorder.question(words, turn.media, sampling, heard_by=heard_by)) is not None:
                turn = replace(turn, recorded=tuple((kept, place) for place in range(len(turn.media))))
        left_out = self.n_left_out
        said: list[str] = []
        try:
            for piece in self._recorded(self._fitting(engine, turn, sampling, on_progress)):
                if piece.kind == "answer":
                    said.append(piece.text)
                if piece.answer is not None:
                    turn = replace(turn, finish_reason=piece.answer.finish_reason, answer=piece.answer)
                yield piece
        finally:
            turn = replace(turn, said="".join(said))
            if turn.said or turn.finish_reason != "interrupted":
                self.turns.append(turn)
                if self._recorder is not None and self.n_left_out != left_out:
                    self._recorder.leave_out(self.n_left_out)
                self.staged.clear()
            else:
                self.n_left_out = left_out
                if self._recorder is not None:
                    self._recorder.take_back()

    def undo(self) -> Turn:
        """Take back the last turn: its media are staged again, before those that were; UsageError without turns."""
        if not self.turns:
            raise UsageError("nothing was asked yet")
        turn = self.turns.pop()
        self.n_left_out = min(self.n_left_out, len(self.turns))
        self.staged[:0] = turn.media
        if self._recorder is not None:
            self._recorder.take_back()
            self._recorder.leave_out(self.n_left_out)
        return turn

    def clear(self) -> None:
        """Begin anew: nothing said, nothing staged. The system prompt stays."""
        self.turns, self.staged, self.n_left_out = [], [], 0

    @property
    def n_past(self) -> int:
        """Tokens that the last answer left in the context, as far as that is known."""
        last = self.turns[-1].answer if self.turns else None
        return last.n_past if last else 0

    # what the model gets

    def messages(self, turn: Turn | None = None) -> list[Message]:
        """The talk as the model gets it, with `turn`'s question at its end."""
        sent = [*self.turns[self.n_left_out :], *([turn] if turn else [])]
        stay = [medium for old in self.turns[: self.n_left_out] for medium in old.media]
        messages = [Message("system", (self.system,))] if self.system else []
        for each in sent:
            messages.append(Message("user", parts((*stay, *each.media), each.asked or each.words)))
            stay = []
            if each is not turn:
                messages.append(Message("assistant", (each.said,)))
        return self.as_heard(messages)

    def expected(self) -> list[Message]:
        """What the model will get with the next question, whose words nobody knows yet: up to the last medium."""
        return self.messages(Turn("?", tuple(documents.opened(self.staged))))

    def _fitting(
        self, engine: Engine, turn: Turn, sampling: Sampling, on_progress: OnProgress | None
    ) -> Iterator[Piece]:
        """The answer; where the context is full, without the oldest turns."""
        before = self.n_left_out
        least = min(sampling.max_tokens, ROOM_FOR_ANSWER, max(1, engine.n_ctx_limit // 8))
        while True:
            pieces = engine.generate(self.messages(turn), sampling, on_progress, least=least)
            try:
                first = next(pieces)  # all that can fail for want of room fails before it
                break
            except ContextFull as error:
                n_sent = len(self.turns) - self.n_left_out
                if not n_sent:
                    hint = "/drop N removes a file; a larger --ctx-size makes room"
                    raise ContextFull(error.message, hint=hint if self.media else error.hint) from error
                self.n_left_out += max(1, n_sent // 4)  # a quarter at once: what comes next is quick again
        if self.n_left_out > before:
            self._on_notice(_left_out(self.n_left_out - before, bool(self.media)))
        yield first
        yield from pieces

    def _recorded(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        return pieces if self._recorder is None else self._recorder.keep(pieces)


def _left_out(n_turns: int, has_media: bool) -> str:
    which = "the oldest question and its answer are" if n_turns == 1 else f"the {n_turns} oldest questions are"
    return f"the context is full: {which} left out from now on" + ("; all files stay" if has_media else "")
