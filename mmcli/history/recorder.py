"""Writes a conversation down while it happens. A failure here is reported once and costs no answer."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli.engine.messages import Piece, Sampling
from mmcli.errors import MmcliError
from mmcli.media.types import Medium

if TYPE_CHECKING:
    from mmcli.history.store import Store

INTERVAL = 1.0  # seconds between two times that a growing answer is written down
IMPATIENT = 0.05  # seconds that an answer waits, at most, for another process to have written


class Recorder:
    """Records one talk after another, for `ask`, `chat` and `voice`:

        with Recorder(on_trouble=…, wanted=history, keep_media=keep_media) as recorder:
            recorder.begin("chat", "starter", system)            # or: recorder.go_on(talk_id)
            medium = media.load(source, on_data=recorder.collect)
            recorder.question("What is this?", [medium])
            for piece in recorder.keep(engine.generate(…)): …
            recorder.take_back()                                 # /undo, and /retry before it asks again
            recorder.drop(medium)                                # /drop, of what a question showed
            recorder.leave_out(2)                                # the context was full

    A talk gets its id, `talk`, with its first question: one without any leaves no trace. No method raises an
    MmcliError of its own; the first trouble goes to `on_trouble` as a sentence, and nothing is recorded from then on.
    """

    def __init__(
        self,
        *,
        on_trouble: Callable[[str], None],
        wanted: bool = True,
        keep_media: bool = False,
        place: Path | None = None,
        interval: float = INTERVAL,
    ) -> None:
        self._on_trouble, self._wanted, self._keep_media = on_trouble, wanted, keep_media
        self._place, self._interval = place, interval
        self._store: Store | None = None
        self._collected: dict[str, bytes] = {}
        self._turn: int | None = None  # the one that is being answered
        self._n_unanswered = 0  # turns at the talk's end whose media the next question shows again
        self._kind, self._model = "ask", ""
        self._mmproj: str | None = None
        self._system: str | None = None
        self._said, self._thought = "", ""
        self._is_behind = False  # something was said that is not written down yet
        self.talk: str | None = None

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def open(self) -> None:
        """Open the history now, while a model loads: at the first question it would keep the answer waiting.

        Trouble with it waits for that question: there may be none.
        """
        with contextlib.suppress(MmcliError):
            self._opened()

    def close(self) -> None:
        """Write down what is left, and let go of the file."""
        self._catch_up()
        if self._store is not None:
            self._store.close()
        self._store = None
        self._wanted = False

    # what is talked about

    def begin(self, kind: str, model: str, system: str | None = None, *, mmproj: str | None = None) -> None:
        """The next question begins a new talk (as after /clear). `model` is what `-m` takes to find it again."""
        self._kind, self._model, self._system, self._mmproj = kind, model, system, mmproj
        self.talk, self._n_unanswered = None, 0

    def go_on(
        self,
        talk: str,
        kind: str,
        model: str,
        system: str | None = None,
        *,
        mmproj: str | None = None,
        n_unanswered: int = 0,
    ) -> None:
        """The next question belongs to a talk that is in the history; it is asked with this model and system.

        `n_unanswered` turns at its end got no answer, and the next question stands for them, media included.
        """
        self.begin(kind, model, system, mmproj=mmproj)
        self.talk, self._n_unanswered = talk, n_unanswered
        self.change(model=model, system=system, mmproj=mmproj)

    def change(self, *, model: str, system: str | None, mmproj: str | None = None) -> None:
        """From the next question on, another model or system prompt (/model, /system)."""
        self._model, self._system, self._mmproj = model, system, mmproj
        if self.talk is not None:
            with self._safely() as store:
                if store is not None:
                    store.change(self.talk, model=model, mmproj=mmproj, system=system)

    def collect(self, data: bytes, *, always: bool = False) -> None:
        """Remember a medium's bytes for --keep-media, until a question shows it: `media.load(…, on_data=…)`.

        `always`: also without --keep-media, because the medium lies nowhere else (the clipboard, the screen).
        """
        if (self._keep_media or always) and self._wanted:
            self._collected[hashlib.sha256(data).hexdigest()] = data

    # one turn

    def question(
        self,
        text: str,
        media: Sequence[Medium] = (),
        sampling: Sampling | None = None,
        *,
        heard_by: str | None = None,
    ) -> int | None:
        """Write down a question, before it is answered; the turn's number, None where nothing is kept.

        `media`: what is new in it, not what the talk showed before.
        `heard_by`: the speech model that wrote it down, where it was spoken.
        """
        self._catch_up()
        self._turn, self._said, self._thought = None, "", ""
        with self._safely() as store:
            if store is None:
                return None
            if self.talk is None:
                self.talk = store.start(self._kind, self._model, self._system, mmproj=self._mmproj)
            if self._n_unanswered:
                store.take_back(self.talk, self._n_unanswered)
                self._n_unanswered = 0
            hashes = {medium.receipt.sha256 for medium in media}
            kept = {sha256: data for sha256, data in self._collected.items() if sha256 in hashes}
            self._turn = store.ask(self.talk, text, media, sampling=sampling, kept=kept, heard_by=heard_by)
            for sha256 in kept:
                del self._collected[sha256]
        return self._turn

    def keep(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """Pass an answer on, piece by piece, and write it down meanwhile; what comes with its end, too."""
        written = time.monotonic()
        try:
            for piece in pieces:
                if piece.kind == "reasoning":
                    self._thought += piece.text
                else:
                    self._said += piece.text
                self._is_behind = True
                if piece.answer is not None:
                    self._finish(piece)
                elif time.monotonic() - written >= self._interval:
                    self._catch_up(IMPATIENT)
                    written = time.monotonic()
                yield piece
        except MmcliError as error:
            self._catch_up()
            with self._safely() as store:
                if store is not None and self._turn is not None:
                    store.fail(self._turn, error.message)
            raise
        finally:
            self._catch_up()  # the reader went away, or Ctrl-C came between two pieces

    def take_back(self, n_turns: int = 1) -> None:
        """The last turns no longer belong to the talk; the history shows them as taken back."""
        if self.talk is not None:
            with self._safely() as store:
                if store is not None:
                    store.take_back(self.talk, n_turns)

    def drop(self, turn: int, place: int) -> None:
        """The medium at that place of a turn's question, counted from 0, is no longer in the talk."""
        with self._safely() as store:
            if store is not None:
                store.drop(turn, place)

    def leave_out(self, n_turns: int) -> None:
        """So many of the oldest turns go to the model no more."""
        if self.talk is not None:
            with self._safely() as store:
                if store is not None:
                    store.leave_out(self.talk, n_turns)

    @property
    def keeps(self) -> bool:
        """Whether what is said now can be found again."""
        return self._wanted

    def _finish(self, piece: Piece) -> None:
        self._is_behind = False
        if self._turn is None or piece.answer is None:
            return
        with self._safely() as store:
            if store is not None:
                store.finish(self._turn, piece.answer)

    def _catch_up(self, patience: float | None = None) -> None:
        if not self._is_behind or self._turn is None:
            return
        with self._safely() as store:
            if store is not None:
                self._is_behind = not store.say(self._turn, self._said, self._thought, patience=patience)

    @contextlib.contextmanager
    def _safely(self) -> Iterator[Store | None]:
        """The store, opened when it is needed first; None where nothing is to be recorded (any more)."""
        try:
            self._opened()
        except MmcliError as error:
            self._give_up(error)
        try:
            yield self._store
        except MmcliError as error:
            self._give_up(error)

    def _opened(self) -> None:
        if self._wanted and self._store is None:
            from mmcli.history.store import Store  # SQLite: what fails before there is something to keep goes without

            self._store = Store(self._place)

    def _give_up(self, error: MmcliError) -> None:
        self._wanted = False
        if self._store is not None:
            self._store.close()
        self._store = None
        self._on_trouble(f"this conversation is not saved: {error.message}")
