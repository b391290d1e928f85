"""Reads what the user types, one message at a time. Knows keys and screens; no commands, no media, no models.

On a terminal it is prompt_toolkit: history, search, completion, an editor, many pasted lines as one message. On a dumb
terminal, and in a pipe, it is a line at a time without a single escape code.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from mmcli import files
from mmcli.sanitize import clean, one_line
from mmcli.terminal import streams, typeahead

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent

PROMPT, MORE = "> ", ". "  # before a message, and before each of its other lines


class Completion(Protocol):
    """What may stand before the cursor instead of the last `back` characters."""

    @property
    def text(self) -> str: ...
    @property
    def back(self) -> int: ...
    @property
    def shown(self) -> str: ...
    @property
    def about(self) -> str: ...


@dataclass(frozen=True)
class Hooks:
    """What the keyboard asks and tells its owner while a message is typed."""

    complete: Callable[[str], Iterable[Completion]]  # of the text before the cursor
    status: Callable[[], Sequence[str]]  # of the bottom line, the most important first
    is_open: Callable[[str], bool]  # whether Enter only begins another line
    dropped: Callable[[str], Callable[[], None] | None]  # what to do with a paste instead of inserting it
    paste_picture: Callable[[], None]  # Ctrl-V


class Keyboard(Protocol):
    """Where messages come from. `is_person`: somebody reads along and can fix what went wrong.

    Between its `with` and its end, what is typed while nobody reads is not echoed, and comes with the next `read`.
    """

    is_person: bool

    def __enter__(self) -> Keyboard: ...

    def __exit__(self, *exc: object) -> None: ...

    def read(self, default: str = "") -> str:
        """The next message; EOFError at the end, KeyboardInterrupt when Ctrl-C was pressed on an empty line."""

    def send(self, text: str) -> str:
        """A message that was given on the command line, shown as if it had been typed here and sent."""

    def hold(self) -> None:
        """Something went otherwise than expected: what was typed ahead waits at the next prompt, and sends nothing."""

    def refresh(self) -> None:
        """What the status line tells has changed; from any thread."""


def open_keyboard(
    hooks: Hooks,
    history: Path | None,
    *,
    prompt: Callable[[Hooks, Path | None], TerminalPrompt] | None = None,
    lines: Callable[[IO[str] | None, Callable[[str], bool]], LineReader] | None = None,
) -> Keyboard:
    """The best keyboard there is: prompt_toolkit on a terminal, plain lines elsewhere; `history` is its file.

    `prompt` and `lines` make the two, where they are to be able to do more.
    """
    prompt, lines = prompt or TerminalPrompt, lines or LineReader
    seen = [stream for stream in (sys.stdout, sys.stderr) if streams.is_terminal(stream)]
    if sys.stdin is None or not streams.is_terminal(sys.stdin) or not seen:
        return lines(None, hooks.is_open)
    if os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
        return lines(sys.stderr if streams.is_terminal(sys.stderr) else sys.stdout, hooks.is_open)
    return prompt(hooks, history)


class LineReader:
    """A line is a message, but for those between triple quotes. `prompt`: where a user sees that it is their turn."""

    def __init__(self, prompt: IO[str] | None, is_open: Callable[[str], bool]) -> None:
        self._prompt, self._is_open = prompt, is_open
        self.is_person = prompt is not None

    def __enter__(self) -> LineReader:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def send(self, text: str) -> str:
        if self._prompt is not None:
            streams.write(f"{PROMPT}{clean(text)}\n", self._prompt)
        return text

    def hold(self) -> None:
        pass

    def read(self, default: str = "") -> str:
        text = self._line(f"[{one_line(default)}] {PROMPT}" if default else PROMPT)
        while self._is_open(text):
            try:
                text += "\n" + self._line(MORE)
            except EOFError:  # what was begun is a message too
                break
        return text.strip() or default

    def refresh(self) -> None:
        pass

    def _line(self, prompt: str) -> str:
        if self._prompt is not None:
            streams.write(prompt, self._prompt)
        line = sys.stdin.readline() if sys.stdin is not None else ""
        if not line:
            if self._prompt is not None:
                streams.write("\n", self._prompt)
            raise EOFError
        return line.rstrip("\r\n")


class TerminalPrompt:
    """A line editor with everything that people's fingers know."""

    is_person = True

    def __init__(self, hooks: Hooks, history: Path | None) -> None:
        from prompt_toolkit import PromptSession
        from prompt_toolkit.enums import EditingMode
        from prompt_toolkit.filters import Condition
        from prompt_toolkit.output import create_output
        from prompt_toolkit.styles import Style

        self._hooks = hooks
        self._session: PromptSession[str] = PromptSession(
            message="\n" + PROMPT,  # a blank line between what was said and what is typed
            multiline=True,  # what is pasted or comes from the editor may have lines; Enter sends all the same
            prompt_continuation=lambda width, line, wrapped: " " * width if wrapped else MORE,
            search_ignore_case=True,
            editing_mode=EditingMode.EMACS,
            history=_history(history),
            completer=_completer(hooks.complete),
            complete_while_typing=Condition(self._is_command),
            bottom_toolbar=self._status,
            key_bindings=self._keys(),
            enable_suspend=True,
            tempfile_suffix=".md",
            style=Style.from_dict({"bottom-toolbar": "noreverse ansibrightblack"}),
            output=create_output(always_prefer_tty=True),
        )
        # Without an answer to where the cursor is there is no status line: no reason to complain on every start.
        self._session.app.renderer.cpr_not_supported_callback = None
        self._close = contextlib.ExitStack()
        self._ahead: typeahead.TypeAhead | None = None
        self._is_held = False

    def __enter__(self) -> TerminalPrompt:
        self._ahead = self._close.enter_context(typeahead.kept())
        return self

    def __exit__(self, *exc: object) -> None:
        self._close.close()

    def read(self, default: str = "") -> str:
        with self._reading():
            if self._ahead is not None:
                self._type(self._ahead.take(), held=self._is_held)
                self._is_held = False
            return self._session.prompt(default=default)

    def send(self, text: str) -> str:
        with self._reading():
            return self._session.prompt(default=text, accept_default=True)

    def hold(self) -> None:
        self._is_held = True

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """While inside, the keys are the line editor's alone: of two readers one would wait for ever."""
        if self._ahead is None:
            yield
            return
        self._ahead.stop()
        try:
            yield
        finally:
            self._ahead.begin()

    def _type(self, text: str, *, held: bool) -> None:
        """Let the next prompt begin with these keys."""
        from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
        from prompt_toolkit.input.vt100_parser import Vt100Parser

        source = self._session.app.input
        keys: list[KeyPress] = get_typeahead(source)  # what came after an Enter that was typed ahead
        parser = Vt100Parser(keys.append)
        parser.feed(text)
        parser.flush()
        store_typeahead(source, _unsent(keys) if held else keys)

    def refresh(self) -> None:
        app = self._session.app
        loop = app.loop
        if loop is not None:  # invalidate() itself may find the loop gone, if the prompt ends at this moment
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(app.invalidate)

    def _is_command(self) -> bool:
        document = self._session.default_buffer.document
        return document.text.startswith("/") and not any(char.isspace() for char in document.text)

    def _status(self) -> str:
        columns = self._session.app.output.get_size().columns
        return fitted(self._hooks.status(), columns)

    def _keys(self) -> KeyBindings:
        from prompt_toolkit.application import run_in_terminal
        from prompt_toolkit.filters import has_selection, is_searching
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.keys import Keys

        keys, is_typing = KeyBindings(), ~is_searching

        @keys.add("enter", filter=is_typing)
        def send(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if buffer.complete_state and buffer.complete_state.current_completion:
                buffer.complete_state = None  # take what the menu shows
            elif self._hooks.is_open(buffer.text):
                buffer.newline(copy_margin=False)
            else:
                buffer.validate_and_handle()

        @keys.add("escape", "enter", filter=is_typing)
        def newline(event: KeyPressEvent) -> None:
            event.current_buffer.newline(copy_margin=False)

        @keys.add("c-c", filter=is_typing & ~has_selection)
        def abandon(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            else:
                event.app.exit(exception=KeyboardInterrupt)

        @keys.add("c-g", filter=is_typing & ~has_selection)
        def edit(event: KeyPressEvent) -> None:
            event.current_buffer.open_in_editor()

        @keys.add("c-v")
        def picture(event: KeyPressEvent) -> None:
            run_in_terminal(self._hooks.paste_picture)

        @keys.add(Keys.BracketedPaste)
        def paste(event: KeyPressEvent) -> None:
            text = event.data.replace("\r\n", "\n").replace("\r", "\n")
            todo = self._hooks.dropped(text)
            if todo is None:
                event.current_buffer.insert_text(text)
            else:
                run_in_terminal(todo)

        return keys


def _unsent(keys: Sequence[KeyPress]) -> list[KeyPress]:
    """Keys without those that would send a message or end the chat: an Enter among them is a new line."""
    from prompt_toolkit.key_binding import KeyPress
    from prompt_toolkit.keys import Keys

    enter = (Keys.ControlM, Keys.ControlJ)
    kept = [press for press in keys if press.key != Keys.ControlD]
    while kept and kept[-1].key in enter:
        kept.pop()
    told: list[KeyPress] = []
    for press in kept:
        told += [KeyPress(Keys.Escape, "\x1b"), press] if press.key in enter else [press]
    return told


def fitted(parts: Sequence[str], columns: int) -> str:
    """Facts on one line of at most `columns` cells; the last ones go first where room is short."""
    from rich.cells import cell_len, set_cell_size

    line = "  ".join(one_line(part) for part in parts if part)
    # The last cell stays free: some terminals wrap when it is written.
    return line if cell_len(line) < columns else set_cell_size(line, max(columns - 2, 0)) + "…"


def _completer(complete: Callable[[str], Iterable[Completion]]) -> Completer:
    from prompt_toolkit.completion import Completer, Completion
    from prompt_toolkit.document import Document

    class Candidates(Completer):
        def get_completions(self, document: Document, complete_event: Any) -> Iterator[Completion]:
            for one in complete(document.text_before_cursor):
                shown, about = clean(one.shown, newlines=False), one_line(one.about)
                yield Completion(one.text, start_position=-one.back, display=shown, display_meta=about)

    return Candidates()


def _history(path: Path | None) -> History:
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    class Kept(FileHistory):
        """What was typed, in a file that only its owner reads; where it cannot be written, it is forgotten."""

        def store_string(self, string: str) -> None:
            try:
                super().store_string(string)
            except OSError:
                pass

    if path is None:
        return InMemoryHistory()
    try:
        files.private_folder(path.parent)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except OSError:
        return InMemoryHistory()
    return Kept(str(path))
