"""The slash commands: one table, from which /help, completion and the table in docs/chat.md come."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmcli import chat, files, media, terminal
from mmcli.chat import in_words
from mmcli.errors import InputError, UsageError
from mmcli.media import capture, encode

if TYPE_CHECKING:
    from mmcli.chat.session import Session


SHOWN_TALKS = 10
LAST_LINES = 12  # of the last answer, when a talk goes on
TITLE = 60  # characters of a question in a list of talks
READABLE = (".md", ".markdown")  # what a talk is saved as to be read; else it can be loaded again
SAVED_AS = ("", ".json", *READABLE)
RETRY_TEMPERATURE = 0.7  # where the answer before was the likeliest one


@dataclass(frozen=True)
class Slash:
    """One command: what it does in a sentence, what it takes, and what runs it."""

    about: str
    run: Callable[[Session, str], None]
    takes: str = ""  # as /help shows it
    wants: chat.Wants = ""  # as completion sees it


def show_last(session: Session) -> None:
    """The last question and the beginning of its answer, dim: what the talk goes on from."""
    if session.is_person and session.talk.turns and not session.style.quiet:
        turn = session.talk.turns[-1]
        is_cut = terminal.exchange(turn.words, turn.said, look="dim", most=LAST_LINES)
        if is_cut or len(session.talk.turns) > 1:
            session.note("/talk prints all of it")


def going_on(session: Session) -> str:
    """`continuing conversation 4k2f9x, 3 questions so far`"""
    return f"continuing conversation {session.recorder.talk}, {_questions(session)} so far"


def _questions(session: Session) -> str:
    count = len(session.talk.turns)
    return "1 question" if count == 1 else f"{count} questions"


# media


def _attach(session: Session, argument: str) -> None:
    paths = chat.split(argument)
    if not paths:
        raise UsageError("which file?", hint="/attach photo.jpg")
    session.attach(paths)


def _paste(session: Session, argument: str) -> None:
    session.stage([capture.clipboard()])


def _screen(session: Session, argument: str) -> None:
    session.stage([capture.screen()])


def _media(session: Session, argument: str) -> None:
    conversation = session.talk
    if not conversation.media:
        session.note("no files; /attach PATH adds some")
        return
    n_said = sum(len(turn.media) for turn in conversation.turns)
    numbered = enumerate(conversation.media, 1)
    rows = [(str(i), in_words.described(medium) + (", staged" if i > n_said else "")) for i, medium in numbered]
    terminal.pairs(rows)


def _drop(session: Session, argument: str) -> None:
    numbers = _numbers(session, argument)
    found = [session.talk.find(number) for number in numbers]  # all are there, or nothing is dropped
    for number in reversed(numbers):
        session.talk.drop(number)
    session.note(f"dropped {in_words.described(found[0]) if len(found) == 1 else in_words.summed_up(found)}")


def _numbers(session: Session, argument: str) -> list[int]:
    """The media that `2 3`, `4-53`, `1,5-7` or `all` names, in order; without any, the only one there is."""
    n_media = len(session.talk.media)
    if argument.lower() == "all":
        if not n_media:
            raise UsageError("there are no files to drop")
        return list(range(1, n_media + 1))
    parts = re.split(r"[\s,]+", re.sub(r"\s*[-–]\s*", "-", argument))
    if len(parts) == 1 and "-" not in argument:
        return [_number(session, argument)]
    found: set[int] = set()
    for part in parts:
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        if match is None:
            raise UsageError(f"`{part}` is not a number", hint="/drop 2 3, /drop 4-53 or /drop all; /media lists them")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UsageError(f"`{part}` ends before it begins", hint=f"/drop {last}-{first}")
        session.talk.find(last)  # reported before a long list is made
        found.update(range(first, last + 1))
    return sorted(found)


def _talk(session: Session, argument: str) -> None:
    if argument:
        raise UsageError(f"/talk prints the conversation and takes nothing after it, so not `{argument}`")
    if not session.talk.turns:
        raise UsageError("nothing was asked yet")
    for turn in session.talk.turns:
        terminal.exchange(turn.words, turn.said, [in_words.described(medium) for medium in turn.media])


def _show(session: Session, argument: str) -> None:
    medium = session.talk.find(_number(session, argument))
    parts = medium.content if isinstance(medium, media.Document) else (medium,)
    pictures = [part for part in parts if isinstance(part, media.Image)]
    if not pictures:
        raise UsageError(f"`{medium.receipt.source}` is not a picture, so it cannot be shown")
    for picture in pictures:
        if not terminal.picture(picture.pixels, terminal.Style()):
            raise UsageError("there is no terminal to draw on")


def _number(session: Session, argument: str) -> int:
    """The number a user gave; without one, that of the only medium."""
    if not argument and len(session.talk.media) == 1:
        return 1
    if not argument.isdecimal():
        raise UsageError(f"`{argument}` is not a number" if argument else "which one?", hint="/media lists them")
    return int(argument)


# the model


def _model(session: Session, argument: str) -> None:
    from mmcli import models
    from mmcli.runtime import model_fetch

    if not argument:
        session.note(f"the model is {session.model.name}; here are also: {', '.join(_installed()) or 'none'}")
        return
    name, *more = chat.split(argument)
    if len(more) > 1:
        raise UsageError("/model takes a name, or weights and projector", hint="/model WEIGHTS.gguf PROJECTOR.gguf")
    mmproj = Path(os.path.expanduser(more[0])) if more else None
    found = models.find(name, mmproj)
    chosen = model_fetch.here(found, yes=session.yes, reporter=session.screen)
    session.change_model(chosen, mmproj)
    session.note(f"the conversation continues with {chosen.name}")


def _system(session: Session, argument: str) -> None:
    if argument:
        session.talk.system = None if argument == "-" else argument
        session.changed()
    told = session.talk.system
    session.note(f"the system prompt is: {told}" if told else "there is no system prompt; /system TEXT sets one")


def _schema(session: Session, argument: str) -> None:
    from mmcli.extraction import answer_schema

    if argument:
        session.shape = None if argument == "-" else answer_schema.find(argument)
    if session.shape is None:
        session.note("answers are free; /schema FIELDS makes them JSON: /schema shape, color, n int")
    else:
        session.note(f"answers are JSON of {json.dumps(session.shape.wanted, ensure_ascii=False)}")


def _installed() -> list[str]:
    from mmcli import models
    from mmcli.models import catalogue

    return [name for name in catalogue.load() if models.installed(name)]


# the talk


def _undo(session: Session, argument: str) -> None:
    turn = session.talk.undo()
    again = "; its files are staged again" if turn.media else ""
    session.note(f"taken back: {_short(turn.words)}{again}")


def _retry(session: Session, argument: str) -> None:
    wish = session.sampling
    # The same seed, or none of chance at all, would lead to the same words.
    again = replace(wish, seed=None, temperature=wish.temperature if wish.temperature > 0 else RETRY_TEMPERATURE)
    turn = session.talk.undo()
    if wish.temperature <= 0:
        session.note(f"asked again at temperature {RETRY_TEMPERATURE}: at 0 the answer would be the same")
    elif wish.seed is not None:
        session.note(f"asked again with a seed other than {wish.seed}, which would give the same answer")
    session.ask(turn.words, again)


def _edit(session: Session, argument: str) -> None:
    if argument:
        session.talk.undo()
        session.ask(argument)
    elif not session.is_person:
        raise UsageError("/edit needs the new question here", hint="/edit What is on the left?")
    else:
        session.pending = session.talk.undo().words


def _clear(session: Session, argument: str) -> None:
    if not session.may_lose():
        return
    session.begin()
    session.note("a new conversation starts")


def _save(session: Session, argument: str) -> None:
    path = Path(os.path.expanduser(_one_path(argument))) if argument else session.saved
    if path is None:
        raise UsageError("into which file?", hint="/save talk.json, or talk.md to read it")
    if path.suffix.lower() not in SAVED_AS:
        raise UsageError(
            f"a conversation cannot be saved as a `{path.suffix}` file", hint="/save talk.json, or talk.md to read it"
        )
    if path.exists() and path.absolute() != session.saved:
        raise UsageError(f"`{path}` already exists", hint="choose another name, or remove it")
    name = session.model.name
    if path.suffix.lower() in READABLE:
        text = chat.markdown(session.talk, name)
    else:
        text = json.dumps(chat.dump(session.talk, name, encode.pack), ensure_ascii=False, indent=1) + "\n"
    files.write(path, text.encode("utf-8", "replace"), follow=True)
    session.has_saved(path)
    session.note(f"saved {_questions(session)} with the answers as {path}")


def _load(session: Session, argument: str) -> None:
    path = Path(os.path.expanduser(_one_path(argument)))
    try:
        document = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read `{path}`: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"`{path}` is not a conversation that mmcli saved", hint="/save FILE.json makes one"
        ) from error
    if not session.may_lose():
        return
    session.restore(document)
    session.has_saved(path)
    session.note(f"loaded {_questions(session)} with the answers; the conversation continues with {session.model.name}")


def _copy(session: Session, argument: str) -> None:
    if not session.talk.turns:
        raise UsageError("nothing was asked yet")
    session.note(f"copied the last answer, by {terminal.copy(session.talk.turns[-1].said)}")


def _history(session: Session, argument: str) -> None:
    from mmcli.chat import resume
    from mmcli.history import Store

    if argument:
        kept = resume.talk(argument)
        if not session.may_lose():
            return
        session.take_up(kept)
        session.note(going_on(session))
        show_last(session)
        return
    with Store(create=False) as store:
        found = store.talks(SHOWN_TALKS)
    if not found:
        session.note("nothing is kept yet")
        return
    here = session.recorder.talk
    rows = [(one.id, f"{terminal.when(one.changed)}  {terminal.flat(one.title, TITLE)}") for one in found]
    terminal.pairs([(name + (" (this one)" if name == here else ""), about) for name, about in rows])


def _help(session: Session, argument: str) -> None:
    table = _table(session)
    if argument:
        name = _known(session, argument.removeprefix("/"))
        terminal.pairs([(_usage(name, table[name]), table[name].about)])
        return
    terminal.pairs([(_usage(name, command), command.about) for name, command in table.items()])
    if session.is_person:
        terminal.aside("")
        terminal.pairs([*KEYS, *session.front.keys])


def _quit(session: Session, argument: str) -> None:
    session.is_over = True


# the table

TABLE: dict[str, Slash] = {
    "help": Slash("all commands and keys, or one command", _help, "[COMMAND]", "command"),
    "attach": Slash("stage files, folders or addresses: they go with the next message", _attach, "PATH…", "paths"),
    "paste": Slash("stage the picture in the clipboard (also Ctrl-V)", _paste),
    "screen": Slash("stage a picture of the screen", _screen),
    "media": Slash("the files of this conversation, numbered", _media),
    "drop": Slash("remove files from the conversation: 2, 2 3, 4-53 or all", _drop, "N…", "number"),
    "show": Slash("draw a picture in the terminal", _show, "N", "number"),
    "model": Slash("switch to another model, or show which one this is", _model, "[NAME]", "model"),
    "system": Slash("set the system prompt, show it, or remove it (-)", _system, "[TEXT]"),
    "schema": Slash("answers as JSON of a shape (`shape, n int`, or a file); - takes it back", _schema, "[FIELDS]"),
    "talk": Slash("print the whole conversation", _talk),
    "undo": Slash("take back the last question and its answer", _undo),
    "retry": Slash("ask the last question again", _retry),
    "edit": Slash("change the last question, and ask it again", _edit, "[TEXT]"),
    "clear": Slash("start a new conversation", _clear),
    "save": Slash("write this conversation to a file: .json to load it again, .md to read it", _save, "[FILE]", "file"),
    "load": Slash("continue a saved conversation", _load, "FILE", "file"),
    "copy": Slash("copy the last answer to the clipboard", _copy),
    "history": Slash("the last conversations, or continue one of them", _history, "[ID]"),
    "quit": Slash("end the chat", _quit),
}
ALIASES = {"exit": "quit", "bye": "quit", "?": "help", "image": "attach", "images": "media", "regen": "retry"}
NAMES = frozenset((*TABLE, *ALIASES))
COSTLY = frozenset(("quit", "clear", "drop", "undo", "load"))  # never suggested: a wrong guess would cost something
VOICE_ONLY = frozenset(("mute", "listen", "speak"))
BARE = frozenset(("help", "quit", "exit"))  # a user who types nothing but this means the command
KEYS = [
    ("Enter", "sends"),
    ("Alt-Enter", 'a new line; a message between """ and """ has many, and nothing in it is a command'),
    ("@path", "in a message: attaches the file"),
    ("Tab", "completes commands, paths and model names"),
    ("Ctrl-R, ↑", "search and walk through what was typed before"),
    ("Ctrl-G", "opens $EDITOR"),
    ("Ctrl-V", "stages the picture in the clipboard"),
    (
        "Ctrl-C",
        "stops the answer; at the prompt it clears the line; at an empty prompt it ends the chat (press it twice if "
        "files are staged)",
    ),
    ("Ctrl-D", "ends the chat"),
]


def run(session: Session, name: str, argument: str) -> None:
    """Do what `/name argument` says; UsageError with the closest name where there is no such command."""
    _table(session)[_known(session, name)].run(session, argument)


def usages() -> list[tuple[str, str, str]]:
    """Name, help and usage of each command of every chat, for a search through the help."""
    return [(name, one.about, _usage(name, one)) for name, one in TABLE.items()]


def words(session: Session) -> chat.Words:
    """What completion is to know."""
    commands = {name: (command.about, command.wants) for name, command in _table(session).items()}
    return chat.Words(commands, _installed, lambda: len(session.talk.media))


def _table(session: Session) -> Mapping[str, Slash]:
    """The commands of this session."""
    return {**TABLE, **session.front.commands}


def _known(session: Session, name: str) -> str:
    """The name of the command that was typed; UsageError with a near one where there is one that costs nothing."""
    from mmcli.suggestions import nearest

    name = name.lower()
    table = _table(session)
    if name in table or name in ALIASES:
        return ALIASES.get(name, name)
    hint = '/help lists them; between """ it is a message'
    if name in VOICE_ONLY:
        hint = "it is a command of `mmcli voice`"
    elif (close := nearest(name, [*table, *ALIASES])) and ALIASES.get(close[0], close[0]) not in COSTLY:
        hint = f"did you mean /{close[0]}?"
    raise UsageError(f"there is no command `/{name}`", hint=hint)


def _usage(name: str, command: Slash) -> str:
    return f"/{name} {command.takes}".strip()


def _one_path(argument: str) -> str:
    """A path that may stand bare, spaces and all."""
    found = chat.split(argument)
    if not found:
        raise UsageError("which file?")
    return found[0] if len(found) == 1 else argument


def _short(text: str, longest: int = 60) -> str:
    return text if len(text) <= longest else text[:longest] + "…"
