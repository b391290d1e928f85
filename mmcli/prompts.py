"""Reads and writes saved prompts: TOML files in the config folder, with variables to fill in. Prints nothing.

    prompt = "Translate into $language: $input"
    system = "You are a careful translator."
    [variables]
    language = "German"

`$input` is what is asked or piped in, `$$` a dollar sign. Every key may be missing, but not both prompt and system.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmcli import files, tomlfile
from mmcli.errors import InputError, UsageError

INPUT = "input"
_NAME = re.compile(r"\w[\w.-]{0,99}")
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|(?P<bare>[A-Za-z_]\w*)|\{(?P<braced>[A-Za-z_]\w*)\})", re.ASCII)
_KINDS: Mapping[str, tuple[type, ...]] = {
    "prompt": (str,),
    "system": (str,),
    "model": (str,),
    "temperature": (int, float),
    "max_tokens": (int,),
    "extract": (bool,),
    "variables": (dict,),
}
_WORDS = {str: "a text", int: "a whole number", bool: "true or false", dict: "a table"}


@dataclass(frozen=True)
class SavedPrompt:
    """What is kept under a name; None: nobody said."""

    name: str
    prompt: str | None = None
    system: str | None = None
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    extract: bool = False  # print the first code block only
    variables: dict[str, str] = field(default_factory=dict)  # values where the command line gives none

    @property
    def names(self) -> list[str]:
        """The variables to fill in, `input` among them, in the order in which they come first."""
        found = _VARIABLE.finditer(f"{self.prompt or ''}\n{self.system or ''}")
        return list(dict.fromkeys(name for match in found if (name := match["bare"] or match["braced"])))

    @property
    def wants_input(self) -> bool:
        """Whether it says nothing without a text of the moment."""
        return INPUT in self.names or not (self.prompt or "").strip()

    def filled(self, words: str, given: Mapping[str, str]) -> tuple[str, str | None]:
        """The question and the system prompt, with `words` as the input; UsageError where a value is missing.

        Words that the prompt has no place for come after it.
        """
        values = self.variables | dict(given) | {INPUT: words}
        if missing := [f"${name}" for name in self.names if name not in values]:
            raise UsageError(
                f"the prompt `{self.name}` needs a value for {', '.join(missing)}",
                hint=" ".join(f"-p {name[1:]} VALUE" for name in missing),
            )
        if unknown := [name for name in given if name not in self.names]:
            known = ", ".join(name for name in self.names if name != INPUT)
            raise UsageError(
                f"the prompt `{self.name}` has no variable `{unknown[0]}`",
                hint=f"it has: {known}" if known else f"`mmcli prompts show {self.name}` shows it",
            )
        question = _filled(self.prompt or "", values).strip()
        if words and INPUT not in self.names:
            question = f"{question}\n\n{words}".strip()
        return question, None if self.system is None else _filled(self.system, values)


def folder() -> Path:
    """Where the prompts are: `MMCLI_PROMPTS_DIR`, or `prompts` in the user's config folder."""
    named = os.environ.get("MMCLI_PROMPTS_DIR")
    if named:
        return Path(os.path.expanduser(named))
    import platformdirs

    return Path(platformdirs.user_config_dir("mmcli", appauthor=False)) / "prompts"


def file(name: str) -> Path:
    """The file of a prompt; UsageError for a name that a prompt cannot have."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"`{name}` cannot be a prompt's name", hint="letters, digits, and - _ . between them: receipt-total"
        )
    return folder() / f"{name}.toml"


def names() -> list[str]:
    """Of all prompts there are, sorted."""
    try:
        found = [path.stem for path in folder().iterdir() if path.suffix == ".toml" and _NAME.fullmatch(path.stem)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"the folder `{folder()}` cannot be listed: {error.strerror}") from error
    return sorted(found)


def text(name: str) -> str:
    """A prompt's file as it is; InputError where there is none, with the name that was meant."""
    try:
        return tomlfile.read(file(name))
    except FileNotFoundError as error:
        raise missing(name) from error


def missing(name: str) -> InputError:
    """The error for a name that no prompt has."""
    import difflib

    known = names()
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"there are: {', '.join(known)}" if known else None
    return InputError(f"there is no prompt `{name}`", hint=hint or "--save NAME saves one")


def load(name: str) -> SavedPrompt:
    """The prompt of that name; InputError where there is none, UsageError where its file is not valid."""
    return parse(name, text(name))


def parse(name: str, content: str) -> SavedPrompt:
    """A prompt from its file's content; UsageError, with the line, where it is not valid."""
    shown, edit = f"`{file(name)}`", f"fix it with `mmcli prompts edit {name}`"
    values: dict[str, Any] = {}
    for key, value in tomlfile.parse(content, shown, hint=edit).items():
        place, kinds = f"line {tomlfile.line_of(content, key)} of {shown}", _KINDS.get(key.replace("-", "_"))
        if kinds is None:
            raise UsageError(f"{place} sets the unknown key `{key}`", hint=f"it has: {', '.join(_KINDS)}")
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise UsageError(f"{place} sets `{key}`, which takes {_WORDS.get(kinds[0], 'a number')}", hint=edit)
        values[key.replace("-", "_")] = value
    variables = {key: str(value) for key, value in values.pop("variables", {}).items()}
    found = SavedPrompt(name, **values, variables=variables)
    if not (found.prompt or found.system or "").strip():
        raise UsageError(f"{shown} holds neither a prompt nor a system prompt", hint=edit)
    if not 0 <= (found.temperature or 0) <= 5 or (found.max_tokens is not None and found.max_tokens < 1):
        raise UsageError(f"{shown}: temperature is from 0 to 5, max_tokens at least 1", hint=edit)
    return found


def save(prompt: SavedPrompt) -> Path:
    """Write a prompt's file, in place of one of that name; where it is."""
    place = file(prompt.name)
    try:
        data = written(prompt).encode()
    except UnicodeEncodeError as error:
        raise UsageError("the prompt holds bytes that are not UTF-8") from error
    files.make_folder(place.parent)
    files.write(place, data, follow=True)
    return place


def remove(name: str) -> None:
    """Remove a prompt's file; InputError where there is none."""
    try:
        file(name).unlink()
    except FileNotFoundError as error:
        raise missing(name) from error
    except OSError as error:
        raise InputError(f"cannot remove `{file(name)}`: {error.strerror}") from error


def written(prompt: SavedPrompt) -> str:
    """A prompt as TOML."""
    import tomlkit

    document = tomlkit.document()
    for key in _KINDS:
        value = getattr(prompt, key)
        if key != "variables" and value is not None and value is not False:
            is_long = isinstance(value, str) and "\n" in value and value.replace("\n", "").isprintable()
            document.add(key, tomlkit.string(value, multiline=True) if is_long else value)
    if prompt.variables:
        table = tomlkit.table()
        for name, value in prompt.variables.items():
            table.add(name, value)
        document.add("variables", table)
    return tomlkit.dumps(document)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda match: "$" if match["dollar"] else values[match["bare"] or match["braced"]], template)
