"""One `mmcli chat` from its first line to its end: who types, what is asked, which model answers.

The conversation is mmcli.talk's; the screen and the keys are mmcli.terminal's. Here they meet;
what is typed after a slash is in slash.py.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmcli import errors, interrupts, media, talk, terminal
from mmcli.commands import running, slash
from mmcli.errors import MmcliError

if TYPE_CHECKING:
    from mmcli.engine.local import LocalEngine
    from mmcli.media import Medium, Source
    from mmcli.models import Model
    from mmcli.terminal import Style


class Session:
    """What a chat is made of; the commands of slash.py work on it."""

    def __init__(
        self,
        model: Model,
        machine: running.Machine,
        wishes: Mapping[str, Any],
        style: Style,
        *,
        system: str | None = None,
        max_megapixels: float = 100.0,
        yes: bool = False,
    ) -> None:
        self.model, self.style, self.yes = model, style, yes
        self.talk = talk.Conversation(system, on_notice=self.note)
        self.pending = ""  # stands at the next prompt
        self.saved: Path | None = None  # where /save wrote this talk
        self.is_over = False
        self._machine, self._wishes, self._max_megapixels = machine, wishes, max_megapixels
        self._loading = running.Loading(model, machine, style)
        self._close = ExitStack()
        self._status = 0
        hooks = terminal.Hooks(
            complete=self._complete,
            status=self._facts,
            is_open=talk.is_open,
            dropped=self._dropped,
            paste_picture=self._paste_picture,
        )
        self._keyboard = terminal.open_keyboard(hooks, _history_file())

    def __enter__(self) -> Session:
        if not self.style.debug:  # two threads' debug lines would mix
            self._loading.on_end = self._keyboard.refresh
            self._loading.start()  # while the first question is typed
        return self

    def __exit__(self, *exc: object) -> None:
        self._loading.give_up()
        self._close.close()

    # the loop

    def run(self) -> int:
        """Answer until the end of the input, /quit or Ctrl-C at the prompt; the exit status.

        A person is told what went wrong, and goes on. In a pipe nobody could mend it: there an error ends the chat.
        """
        if self.is_person:
            self._greet()
        while not self.is_over:
            try:
                default, self.pending = self.pending, ""
                text = self._keyboard.read(default)
            except EOFError:
                break
            except KeyboardInterrupt:
                return errors.INTERRUPTED
            try:
                self.take(text)
            except MmcliError as error:
                if not self.is_person:
                    raise
                terminal.error(error, self.style)
        return 0 if self.is_person else self._status

    @property
    def is_person(self) -> bool:
        return self._keyboard.is_person

    def take(self, text: str) -> None:
        """Do what one message asks for."""
        line = talk.read(text, slash.NAMES)
        if isinstance(line, talk.Command):
            slash.run(self, line.name, line.argument)
        elif isinstance(line, talk.Attach):
            self.attach(line.paths)
            if line.words:
                self.ask(line.words)
        elif isinstance(line, talk.Question):
            paths, words = ((), line.words) if talk.is_quoted(text) else talk.files_in(line.words)
            self.attach(paths)
            self.ask(words)

    # what is asked

    def ask(self, words: str) -> None:
        """One question and its answer. The first Ctrl-C ends the answer; what was said stays in the talk."""
        engine = self.engine()
        self.pending = words  # until there is an answer
        with terminal.progress(self.style) as progress, interrupts.two_steps(self._loading.stop):
            self._loading.begin(progress)
            pieces = self.talk.ask(engine, words, self.sampling, progress, n_ctx_limit=engine.n_ctx_limit)
            answer = terminal.answer(pieces, self.style, progress, tell_media=False)
        self.pending = words if answer.finish_reason == "interrupted" and not answer.text else ""
        terminal.receipts(answer, self.style)
        self._status = running.status(answer) or self._status
        if answer.finish_reason == "interrupted":
            self.is_over = not self.is_person
            if self.pending:
                self.note("nothing was said: your question is back at the prompt, its media are staged")

    def attach(self, names: Sequence[str], *, recursive: bool = False) -> None:
        """Stage files, addresses and folders: all of them, or none where one is no good."""
        self.stage(media.find(names, recursive=recursive, kinds=self._kinds()))

    def stage(self, sources: Sequence[Source]) -> None:
        """Stage what the model can take of these sources: all or none; each is told."""
        loaded = [media.load(source, max_megapixels=self._max_megapixels) for source in sources]
        require(self.model, loaded)
        for medium in loaded:
            number = self.talk.stage(medium)
            if self.is_person:
                self.note(f"staged as {number}: {slash.described(medium)}")
            for remark in medium.receipt.notes:
                self.note(f"{medium.receipt.source}: {remark}")

    def load_again(self, told: Mapping[str, Any]) -> Medium:
        """A medium of a saved talk."""
        if told["place"] is not None:
            (source,) = media.find([told["place"]])
        else:
            source = media.Source(told["source"], data=base64.b64decode(told["data"]))
        return media.load(source, max_megapixels=self._max_megapixels)

    def take_up(self, system: str | None, turns: Sequence[talk.Turn], staged: Sequence[Medium]) -> None:
        """Go on with another talk; ModelError, and nothing is changed, where the model cannot take its media."""
        require(self.model, [*(medium for turn in turns for medium in turn.media), *staged])
        self.talk.clear()
        self.talk.system = system
        self.talk.turns += turns
        self.talk.staged += staged

    def note(self, text: str) -> None:
        terminal.notice(text, self.style)

    # which model answers

    @property
    def sampling(self) -> Any:
        return running.sampling(self.model, **self._wishes)

    def engine(self) -> LocalEngine:
        """The model, loaded; waited for where it is still on its way."""
        with terminal.progress(self.style) as progress, interrupts.two_steps(self._loading.stop):
            self._loading.on_progress = progress
            return self._loading.engine()

    def change_model(self, model: Model) -> None:
        """Let another model go on with the talk; ModelError, and the one before stays, where it cannot."""
        require(model, self.talk.media)
        before = self.model
        self._load(model)
        try:
            self.engine()
        except MmcliError:
            self._load(before)
            raise

    def _load(self, model: Model) -> None:
        """One model at a time is in memory."""
        self._loading.give_up()
        self.model, self._loading = model, running.Loading(model, self._machine, self.style)

    def _kinds(self) -> frozenset[str]:
        """What to look for in a folder."""
        able = {"image": self.model.sees, "audio": self.model.hears}
        return frozenset(kind for kind, can in able.items() if can) or frozenset(able)

    # what the screen shows

    def _greet(self) -> None:
        if not self.style.quiet:
            terminal.aside(slash.banner(self.model, self._machine.ctx_size), "bold")

    def _facts(self) -> list[str]:
        """The status line."""
        engine = self._loading.loaded
        used = f"{self.talk.n_past}/{engine.n_ctx_limit} tokens" if engine else "loading"
        staged = ", ".join(map(slash.named, self.talk.staged))
        return [self.model.name, used, f"staged: {staged}" if staged else ""]

    def _complete(self, text: str) -> Any:
        return talk.candidates(text, slash.words(self))

    def _dropped(self, text: str) -> Callable[[], None] | None:
        """What is pasted and only names files by their whole paths is staged at once instead of inserted."""
        paths = talk.dropped(text)
        return (lambda: self._told(lambda: self.attach(paths))) if paths else None

    def _paste_picture(self) -> None:
        self._told(lambda: slash.run(self, "paste", ""))

    def _told(self, action: Callable[[], None]) -> None:
        """Do something while a message is typed; what goes wrong is told above the line."""
        try:
            action()
        except MmcliError as error:
            terminal.error(error, self.style)


def require(model: Model, loaded: Sequence[Medium]) -> None:
    """ModelError unless the model can take these media."""
    kinds = {medium.receipt.kind for medium in loaded}
    model.require(sight="image" in kinds, hearing="audio" in kinds)


def _history_file() -> Path:
    """The lines typed before, for the arrow keys and Ctrl-R."""
    from mmcli import config

    return config.data_dir() / "typed"
