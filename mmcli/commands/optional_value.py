"""`-c` alone, `-c ID`, `-c=ID`, `-cID`, `--continue=ID`: an option whose value is optional. Knows no history.

A word after `-c` is a talk's id only if it can be nothing else: it looks like one, there is no file of that name, and
enough other words are there (a question, for `ask`). So a question or a medium after a bare `-c` stays what it is.
What is attached to the option is always an id.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from mmcli.commands import spelling
from mmcli.conversations import LAST

OPTIONS = ("-c", "--continue")

F = TypeVar("F", bound=Callable[..., int | None])


def is_id(word: str) -> bool:
    """Whether a word has the form of a whole id."""
    return re.fullmatch(r"[2-9][2-9a-z]{5}", word.lower()) is not None


def _may_be_id(word: str) -> bool:
    """Whether a word that stands apart from `-c` may be the beginning of an id."""
    return re.fullmatch(r"[2-9][2-9a-z]{2,5}", word.lower()) is not None and not os.path.lexists(word)


def with_optional_id(n_words: int) -> Callable[[F], F]:
    """For a command with a `ContinueOpt` that needs `n_words` arguments beside it."""

    def mark(function: F) -> F:
        function.rewrite = lambda params, args: _attach(params, args, n_words)  # type: ignore[attr-defined]
        return function

    return mark


def _attach(params: Sequence[Any], args: list[str], n_words: int) -> list[str]:
    """The same arguments with each `-c`'s value attached to it, `last` where it has none."""
    with_value = spelling.valued(params)
    out: list[str] = []
    words: list[int] = []  # places in `out` of arguments that belong to no option
    bare: int | None = None  # place of a `-c` without a value
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg == "--":
            words += range(len(out) + 1, len(out) + 1 + len(rest))
            out += ["--", *rest]
            break
        before, name, value = _split(arg, with_value)
        if name is None:
            if n_values := spelling.values_after(arg, with_value):
                out += [arg, *rest[:n_values]]
                del rest[:n_values]
            else:
                if not arg.startswith("-") or arg == "-":
                    words.append(len(out))
                out.append(arg)
            continue
        if before:
            out.append(before)
        if value is None:
            bare = len(out)
        out.append(f"--continue={value or LAST}")
    after = None if bare is None else bare + 1
    if after in words and len(words) > n_words and _may_be_id(out[after]):
        out[after - 1] = f"--continue={out.pop(after)}"
    return out


def _split(arg: str, with_value: Mapping[str, int]) -> tuple[str, str | None, str | None]:
    """`-qc4k2` → ("-q", "-c", "4k2"); an argument without -c in it is (…, None, …)."""
    if arg.startswith("--"):
        name, equals, value = arg.partition("=")
        return ("", name, value if equals else None) if name in OPTIONS else ("", None, None)
    if not re.match(r"-[A-Za-z]", arg):
        return "", None, None
    for i, letter in enumerate(arg[1:], start=1):
        if letter == "c":
            return (arg[:i] if i > 1 else ""), "-c", (arg[i + 1 :].removeprefix("=") or None)
        if f"-{letter}" in with_value:  # the rest of it, or the next argument, is this one's value
            return arg, None, (arg[i + 1 :] or None)
    return "", None, None
