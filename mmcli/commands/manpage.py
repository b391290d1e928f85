"""The man page mmcli.1, made of the help pages. Knows roff; prints nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mmcli import __version__
from mmcli.commands.pages import Option, Page

STATUSES = (
    ("0", "done"),
    ("1", "a bug in mmcli; --debug shows the traceback"),
    ("2", "wrong usage"),
    ("3", "an input is missing, unreadable, or of an unknown format"),
    ("4", "a model is missing, broken, or lacks the ability or projector it needs"),
    ("5", "network, download, authorization"),
    ("6", "not enough memory, disk or context"),
    ("7", "a batch finished, but some files failed"),
    ("8", "the answer fell into a loop"),
    ("9", "audio device"),
    ("130", "interrupted"),
    ("141", "the reader of the output closed it"),
)
FILES = (
    ("MMCLI_CONFIG", "the settings file, config.toml; `mmcli config path` prints where it is"),
    ("MMCLI_CACHE_DIR", "the folder for what can be computed again"),
    ("MMCLI_DATA_DIR", "the folder for conversations"),
    ("MMCLI_PROMPTS_DIR", "the folder for saved prompts"),
    ("MMCLI_GRAPHICS", "how pictures are drawn in the terminal: kitty, iterm, sixel or blocks"),
    ("HF_HOME, HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE", "as in every program that uses the Hugging Face Hub"),
    ("NO_COLOR", "no colors"),
)


def lines(pages: Sequence[Page]) -> list[str]:
    """The man page of the program whose own page comes first."""
    top, *rest = pages
    return list(_all(top, rest))


def _all(top: Page, rest: Sequence[Page]) -> Iterator[str]:
    yield f'.TH MMCLI 1 "" "mmcli {__version__}" "User Commands"'
    yield from (".SH NAME", f"mmcli \\- {_plain(top.about[0].lower() + top.about[1:])}")
    yield from (".SH SYNOPSIS", ".B mmcli", ".I COMMAND", "[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]")
    yield from (".SH DESCRIPTION", _plain(top.about) + ".")
    yield "It proves what the model saw, or it fails with a precise exit status."
    yield from (".SH COMMANDS",)
    for page in rest:
        yield from _command(page)
    yield from (".SH GLOBAL OPTIONS",)
    for option in top.options:
        yield from _option(option)
    yield from (".SH EXIT STATUS", *_list(STATUSES))
    yield ".SH ENVIRONMENT"
    yield "Most options have a variable, named in brackets. An option counts more than its variable,"
    yield "a variable more than the settings file."
    yield from _list(FILES)
    yield from (".SH EXAMPLES", *_examples(top.examples))


def _command(page: Page) -> Iterator[str]:
    yield f".SS {_plain(page.usage)}"
    yield _plain(page.about) + "."
    for paragraph in filter(None, page.more.split("\n\n")):
        yield from (".PP", _plain(paragraph))
    for argument in page.arguments:
        yield from (".TP", f"\\fI{_plain(argument.name)}\\fR", _plain(argument.about) + ".")
    for option in page.options:
        if not option.name.startswith("--help"):
            yield from _option(option)
    yield from _examples(page.examples)


def _option(option: Option) -> Iterator[str]:
    names = ", ".join(f"\\fB{_plain(name)}\\fR" for name in (*option.names, *option.off))
    yield from (".TP", names + (f" \\fI{_plain(option.value)}\\fR" if option.value else ""))
    facts = [f"{option.about}.", option.more]
    facts += [f"{option.limits[0].upper()}{option.limits[1:]}."] if option.limits else []
    facts += [f"Default: {option.default}."] if option.default else []
    facts += [f"[{option.variable}]"] if option.variable else []
    yield _plain(" ".join(filter(None, facts)))


def _examples(examples: Sequence[str]) -> Iterator[str]:
    if examples:
        yield from (".PP", ".nf", ".RS", *map(_plain, examples), ".RE", ".fi")


def _list(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, about in pairs:
        yield from (".TP", f"\\fB{_plain(name)}\\fR", _plain(about))


def _plain(text: str) -> str:
    """The text as roff shows it: nothing in it is a command, and a hyphen can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("'", "\\(aq").replace("`", "\\(ga")
    return re.sub(r"^\.", r"\\&.", text)
