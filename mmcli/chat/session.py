"""Holds one conversation from its first line to its end: commands, questions, answers, another model.

The conversation is mmcli.chat's; the screen and the keys are mmcli.terminal's. Here they meet;
what is typed after a slash is in slash_commands.py.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mmcli import chat, documents, errors, media, signals, terminal
from mmcli.chat import in_words, resume, slash_commands
from mmcli.chat.prefetch import Preparing
from mmcli.chat.sounds_in_words import SoundsInWords
from mmcli.errors import MmcliError
from mmcli.media import capture
from mmcli.media.sources import AUDIO_SUFFIXES, IMAGE_SUFFIXES
from mmcli.runtime import films, model_loader

if TYPE_CHECKING:
    from mmcli.chat.conversation import TalkSources
    from mmcli.chat.front import Front
    from mmcli.engine import Engine, Sampling
    from mmcli.extraction.answer_schema import AnswerSchema
    from mmcli.history import Recorder, Talk
    from mmcli.media import Medium, Source, Wanted
    from mmcli.models import Model, SpeechModel
    from mmcli.terminal import Style


FEW = 3  # media that get a note each when they are staged


class Session:
    """What a chat is made of; the commands of slash_commands.py work on it."""

    def __init__(
        self,
        model: Model,
        machine: model_loader.Machine,
        choice: model_loader.Choice,
        style: Style,
        recorder: Recorder,
        front: Front,
        *,
        max_megapixels: float = 100.0,
        damaged_ok: bool = False,
        yes: bool = False,
        speech_model: str | SpeechModel | None = None,
        wanted: Wanted | None = None,
        shape: AnswerSchema | None = None,
        sources: TalkSources | None = None,
    ) -> None:
        self.model, self.style, self.yes = model, style, yes
        self.screen = terminal.Screen(style)
        self.recorder, self.front = recorder, front
        self.talk = chat.Conversation(recorder=recorder, on_notice=self.note)
        self._sounds = SoundsInWords(speech_model, self.screen, yes=yes)
        self.talk.as_heard = lambda messages: self._sounds.as_heard(self.model, messages)
        self.shape = shape  # that answers are held to
        self._sources = sources  # where each question is looked up first
        self.pending = ""  # stands at the next prompt
        self.saved: Path | None = None  # where /save wrote this talk
        self._n_saved = 0  # turns that were in it
        self.is_over = False
        self._may_end = False  # Ctrl-C was pressed at an empty prompt: the next one ends the chat
        self._machine, self._choice, self._max_megapixels = machine, choice, max_megapixels
        self._damaged_ok, self._wanted = damaged_ok, wanted or media.Wanted()
        self._loading = self._new_loading()
        self._preparing = Preparing(self._refresh)
        self._mmproj: Path | None = None  # that was chosen by its path
        self._keyboard: terminal.Keyboard | None = None
        self._status = 0
        front.join(self)

    def __enter__(self) -> Self:
        if not self.style.debug:  # two threads' debug lines would mix
            self._loading.start()  # while the first question is typed
        return self

    def __exit__(self, *exc: object) -> None:
        if self._preparing.leave():  # else the process ends, and nobody waits for an encode that nobody wants
            self._loading.give_up()

    # the loop

    def run(self, typed: Path | None, first: str = "") -> int:
        """Answer until the end of the input, /quit or Ctrl-C at the prompt; the exit status.

        `typed` keeps the lines; `first` is asked before any of them is read. A user sees what went wrong, and
        goes on. In a pipe nobody could fix it: there an error ends the chat.
        """
        hooks = terminal.Hooks(
            complete=self._complete,
            status=self._facts,
            is_open=chat.is_open,
            dropped=self._dropped,
            paste_picture=self._paste_picture,
        )
        with signals.clean_end(), self.front.open(hooks, typed) as keyboard:
            self._keyboard = keyboard
            if self.is_person:
                self._greet()
            status = self._converse(keyboard, first)
            self._part()
        return status

    def _converse(self, keyboard: terminal.Keyboard, first: str = "") -> int:
        while not self.is_over:
            self._prepare()
            try:
                default, self.pending = self.pending, ""
                text = keyboard.send(first) if first else self.front.next(keyboard, default)
            except EOFError:
                break
            except KeyboardInterrupt:
                if self._is_ended_by_ctrl_c():
                    return errors.INTERRUPTED
                continue
            self._may_end = False
            try:
                if first:
                    first = ""
                    self.ask(text)
                else:
                    self.take(text)
            except (MmcliError, KeyboardInterrupt) as error:
                if not (self.is_person or self.front.outlives(error)):
                    raise
                keyboard.hold()  # a question typed ahead may have meant what did not happen
                if isinstance(error, MmcliError):
                    terminal.error(error, self.style)
                else:
                    self.note("interrupted")
        return 0 if self.is_person else self._status

    def _is_ended_by_ctrl_c(self) -> bool:
        """Whether Ctrl-C at an empty prompt ends the chat: where media are staged, only the second one does."""
        if self._may_end or not self.is_person or not self.talk.staged:
            return True
        self._may_end = True
        self.note(f"{in_words.counted(self.talk.staged)} staged: Ctrl-C again ends the chat, /drop all removes them")
        return False

    @property
    def is_person(self) -> bool:
        """Whether somebody reads along."""
        return self._keyboard is not None and self._keyboard.is_person

    def take(self, text: str) -> None:
        """Do what one message asks for."""
        if self.front.take(text):
            return
        bare = text.strip().lower()
        if self.is_person and bare in slash_commands.BARE:  # as other programs want it; a model has no use for them
            text = f"/{bare}"
        line = chat.read(text, slash_commands.NAMES | self.front.commands.keys())
        if isinstance(line, chat.Command):
            slash_commands.run(self, line.name, line.argument)
        elif isinstance(line, chat.Attach):
            self.attach(line.paths)
            if line.words:
                self.ask(line.words)
        elif isinstance(line, chat.Question):
            paths, words = ((), line.words) if chat.is_quoted(text) else chat.files_in(line.words)
            self.attach(paths)
            self.ask(words)

    # what is asked

    def ask(self, words: str, sampling: Sampling | None = None) -> None:
        """One question and its answer. The first Ctrl-C ends the answer; what was said stays in the talk."""
        with self.front.answering():
            self._ask(words, sampling or self.sampling)

    def stop_answer(self) -> None:
        """End the answer that is being written after its current step; from any thread."""
        self._loading.stop()

    def _ask(self, words: str, sampling: Sampling) -> None:
        engine, shape = self.engine(), self.shape
        asked = shape.words(words) if shape is not None else ""
        if self._sources is not None:
            for medium in self._sources.more(words, self._load_source, self._fitted(), self.screen):
                self.talk.stage(medium)
            sampling = self._sources.held(sampling) if sampling.schema is None else sampling
        self.pending = words  # until there is an answer
        with terminal.progress(self.style) as progress:
            self._loading.begin(progress)  # first: it forgets what stopped the answer before
            with signals.two_steps(self._loading.stop):
                self._preparing.settle(progress)
                self._choose_pages(engine, words, sampling, progress)
                heard_by = self.front.heard_by
                pieces = self.talk.ask(engine, words, sampling, progress, heard_by=heard_by, asked=asked)
                answer = terminal.answer(
                    self.front.passed_on(pieces),
                    self.style,
                    progress,
                    tell_media=False,
                    read=shape.read if shape is not None else None,
                )
        self.pending = words if answer.finish_reason == "interrupted" and not answer.text else ""
        terminal.receipts(answer, self.style)
        if self._sources is not None:
            self._sources.tell(answer, self.screen)
        if answer.finish_reason == "interrupted":
            self._interrupted()
        else:
            self._status = model_loader.status(answer) or self._status

    def _choose_pages(self, engine: Engine, words: str, sampling: Sampling, progress: terminal.Progress) -> None:
        """Where not all pages of the staged documents have room, those that the question is about."""
        staged = self.talk.staged
        fitted = documents.fitted(
            staged,
            words,
            engine,
            lambda media_: self.talk.messages(chat.Turn(words, tuple(media_))),
            for_answer=documents.room_for_answer(sampling.max_tokens, engine.n_ctx_limit),
            on_progress=progress,
            ways_out="/attach FILE.pdf#page=3-5 chooses",
        )
        told = {*documents.notes(staged)}  # when they were staged
        self.talk.staged = fitted.media
        for note in (*fitted.notes, *(note for note in documents.notes(fitted.media) if note not in told)):
            self.note(note)

    def _interrupted(self) -> None:
        """Ctrl-C ended an answer, or somebody spoke."""
        if self.front.interrupted():
            return
        self._status = errors.INTERRUPTED
        self.is_over = not self.is_person
        if self._keyboard is not None:
            self._keyboard.hold()
        if self.pending:
            self.note("there was no answer: your question is back at the prompt, and its files are staged")

    def attach(self, names: Sequence[str], *, recursive: bool = False) -> None:
        """Stage files, addresses and folders: all of them, or none where one is no good."""
        found = media.find(names, recursive=recursive, kinds=self._kinds(), on_skipped=self.note)
        self.stage(found, n_named=len(names))

    def stage(self, sources: Sequence[Source], *, n_named: int | None = None) -> None:
        """Stage what the model can take of these sources: all or none. Those of a folder get one note.

        `n_named`: how many names they were found by.
        """
        if (
            self._loading.loaded is not None
            and not self.style.debug
            and any(_needs_projector(source, self.model) for source in sources)
        ):
            self._preparing.warm(self._loading.loaded)
        loaded = [self._load_medium(source) for source in sources]
        self._sounds.require(self.model, loaded)
        first = len(self.talk.media) + 1
        for medium in loaded:
            self.talk.stage(medium)
        is_folder = n_named is not None and len(loaded) > n_named
        if self.is_person:  # what the command line named is shown with the banner
            self._tell_staged(first, loaded, together=is_folder)
        remarks: dict[str, list[Medium]] = {}
        for medium in loaded:
            for remark in medium.receipt.notes:
                remarks.setdefault(remark, []).append(medium)
        for remark, found in remarks.items():
            others = f" and {len(found) - 1} more" if len(found) > 1 else ""
            self.note(f"{found[0].receipt.source}{others}: {remark}")

    def _tell_staged(self, first: int, loaded: Sequence[Medium], *, together: bool) -> None:
        """Say what was staged under the numbers from `first` on: a note for each, or one where there are many."""
        if len(loaded) > 1 and (together or len(loaded) > FEW):
            self.note(f"staged as {first}-{first + len(loaded) - 1}: {in_words.summed_up(loaded)}")
            return
        for number, medium in enumerate(loaded, first):
            self.note(f"staged as {number}: {in_words.described(medium)}")

    def _prepare(self) -> None:
        """While the next message is typed, compute what its question will begin with."""
        if self.style.debug:  # two threads' debug lines would mix
            return
        expected = self.talk.expected()
        if any(message.media for message in expected):
            self._loading.asks(expected, think=self.sampling.think)
        self._preparing.begin(self._loading, expected, self.sampling)

    def _load_medium(self, source: Source) -> Medium:
        """Decode a source; what lies nowhere is kept beside the history, or going on would miss it."""
        lies_nowhere = source.name in (capture.CLIPBOARD, capture.SCREEN)
        collect = functools.partial(self.recorder.collect, always=lies_nowhere)
        medium = media.load(
            source,
            wanted=self._fitted(),
            max_megapixels=self._max_megapixels,
            damaged_ok=self._damaged_ok,
            on_data=collect,
        )
        return self._sounds.of_film(self.model, medium, self._wanted.film.sound)

    def _load_source(self, source: Source, wanted: Wanted) -> Medium:
        """Decode a source of a library."""
        return media.load(source, wanted=wanted, max_megapixels=self._max_megapixels, on_data=self.recorder.collect)

    def _fitted(self) -> media.Wanted:
        """What is wanted of films and pages, as this model takes them."""
        return films.fitted(self._wanted, self.model, self._machine, max_tokens=self.sampling.max_tokens)

    # which talk it is

    def has_saved(self, path: Path) -> None:
        """The talk as it is now lies in that file."""
        self.saved, self._n_saved = path.absolute(), len(self.talk.turns)

    def may_lose(self) -> bool:
        """Whether this talk may go: it is in the history or in a file, or the user says so."""
        is_kept = self.recorder.keeps or len(self.talk.turns) <= (self._n_saved if self.saved else 0)
        if is_kept or not self.is_person or not terminal.can_ask(self.style):
            return True
        return terminal.confirm("this conversation is not saved (/save FILE saves it). Discard it?", default=False)

    def begin(self) -> None:
        """A new talk, under the same system prompt; the one before stays in the history."""
        self.talk.clear()
        if self._sources is not None:
            self._sources.forget()
        self.saved = None
        name, mmproj = resume.reference(self.model, self._mmproj)
        self.recorder.begin(self.front.kind, name, self.talk.system, mmproj=mmproj)

    def take_up(self, kept: Talk | None, setup: resume.Setup | None = None) -> None:
        """Go on with a talk of the history, or begin one; an error, and nothing is changed, where a medium is gone."""
        past = resume.past(kept, self._max_megapixels, self.screen, self._fitted())
        self._sounds.require(self.model, [*(medium for turn in past.turns for medium in turn.media), *past.unanswered])
        setup = setup or resume.Setup(None, self._mmproj, kept.system if kept else None)
        self.talk.clear()
        self.saved = None
        self.talk.system, self._mmproj = setup.system, setup.mmproj
        self.talk.turns += past.turns
        self.talk.n_left_out = past.n_left_out
        self.talk.staged += past.unanswered
        resume.begin(self.recorder, self.front.kind, kept, self.model, setup, n_unanswered=past.n_unanswered)

    def restore(self, document: Any) -> None:
        """Go on with a talk that was saved as JSON; an error, and nothing is changed, where a medium is gone."""
        system, turns, staged = chat.restore(document, self._load_again)
        self._sounds.require(self.model, [*(medium for turn in turns for medium in turn.media), *staged])
        self.talk.system = system
        self.begin()
        self.talk.turns += turns
        self.talk.staged += staged

    def _load_again(self, told: Mapping[str, Any]) -> Medium:
        if told["place"] is not None:
            (source,) = media.find([told["place"]])
        else:
            source = media.Source(told["source"], data=base64.b64decode(told["data"]))
        return self._load_medium(source)

    def changed(self) -> None:
        """Another model or system prompt, from the next question on."""
        name, mmproj = resume.reference(self.model, self._mmproj)
        self.recorder.change(model=name, system=self.talk.system, mmproj=mmproj)

    def note(self, text: str) -> None:
        terminal.notice(text, self.style)

    # which model answers

    @property
    def sampling(self) -> Sampling:
        wish = model_loader.sampling(self.model, self._choice)
        return wish if self.shape is None else replace(wish, schema=self.shape.text)

    def engine(self) -> Engine:
        """The model, loaded; waited for where it is still on its way."""
        with terminal.progress(self.style) as progress, signals.two_steps(self._loading.stop):
            self._loading.on_progress = progress
            try:
                return self._loading.engine()
            except KeyboardInterrupt:
                self._load(self.model)  # anew, when it is needed
                raise

    def change_model(self, model: Model, mmproj: Path | None) -> None:
        """Let another model go on with the talk; ModelError, and the one before stays, where it cannot."""
        self._sounds.require(model, self.talk.media)
        before = self.model
        self._load(model)
        try:
            self.engine()
        except MmcliError:
            self._load(before)
            raise
        self._mmproj = mmproj
        self.changed()

    def _load(self, model: Model) -> None:
        """One model at a time is in memory."""
        self._preparing.drop()
        self._preparing.settle()
        self._loading.give_up()
        self.model = model
        self._loading = self._new_loading()
        if not self.style.debug:
            self._loading.start()

    def _new_loading(self) -> model_loader.Loading:
        loading = model_loader.Loading(self.model, self._machine, self.screen, lasting=True)
        loading.on_end = self._refresh
        return loading

    def _kinds(self) -> frozenset[str]:
        """What to look for in a folder."""
        able = {
            "image": self.model.sees,
            "video": self.model.sees,
            "pdf": self._can_take_pages,
            "audio": self.model.hears or self._sounds.can_write_down,
        }
        return frozenset(kind for kind, can in able.items() if can) or frozenset(able)

    @property
    def _can_take_pages(self) -> bool:
        return self.model.sees or self._wanted.pages.text == "only"

    # what the screen shows

    def _greet(self) -> None:
        if not self.style.quiet:
            terminal.aside(in_words.banner(self.model, self._machine.ctx_size), "bold")
            if self.talk.turns:
                self.note(slash_commands.going_on(self))
                slash_commands.show_last(self)
            n_said = len(self.talk.media) - len(self.talk.staged)
            self._tell_staged(n_said + 1, self.talk.staged, together=False)
        self.front.greet()

    def _part(self) -> None:
        if self.is_person and self.recorder.talk and self.talk.turns:
            self.note(f"`mmcli {self.front.kind} -c {self.recorder.talk}` continues this conversation")

    def _facts(self) -> list[str]:
        """The status line."""
        engine = self._loading.loaded
        used = f"{self.talk.n_past}/{engine.n_ctx_limit} tokens" if engine else "loading"
        staged = ", ".join(map(in_words.named, self.talk.staged))
        ready = ", ready" if self._preparing.is_ready else ""
        if self._preparing.is_too_much and len(self.talk.turns) == self.talk.n_left_out:
            full = "the staged files do not fit the context: /drop N, or /drop all"
            return [*self.front.facts(), full, self.model.name, used]
        return [*self.front.facts(), self.model.name, used, f"staged: {staged}{ready}" if staged else ""]

    def _refresh(self) -> None:
        """The status line tells something else now; from any thread."""
        if self._keyboard is not None:
            self._keyboard.refresh()

    def _complete(self, text: str) -> Any:
        return chat.candidates(text, slash_commands.words(self))

    def _dropped(self, text: str) -> Callable[[], None] | None:
        """What is pasted and only names files by their whole paths is staged at once instead of inserted."""
        paths = chat.dropped(text)
        return (lambda: self._told(lambda: self.attach(paths))) if paths else None

    def _paste_picture(self) -> None:
        self._told(lambda: slash_commands.run(self, "paste", ""))

    def _told(self, action: Callable[[], None]) -> None:
        """Do something while a message is typed; what goes wrong is reported above the line."""
        try:
            action()
        except MmcliError as error:
            terminal.error(error, self.style)
        except KeyboardInterrupt:  # of the speech model: the line that is being typed stays
            self.note("interrupted")
        self._prepare()


def _needs_projector(source: Source, model: Model) -> bool:
    """Whether this looks like a picture, or a sound that the model hears; nothing is opened."""
    lies_nowhere = source.name in (capture.CLIPBOARD, capture.SCREEN)
    return lies_nowhere or source.suffix in IMAGE_SUFFIXES or (model.hears and source.suffix in AUDIO_SUFFIXES)
