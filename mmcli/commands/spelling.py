"""Old names of options, variables and settings: each still works in this release, with a note.

`--language` meant the language of captions in one command and that of sounds in another, `--device` a microphone or a
GPU. Today a name means one thing. Delete a line here to end an old name.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of config.toml, and of the variables with MMCLI_ before them: the old name and the new one.
SETTINGS = {"context": "facts", "language": "answer_language", "speaker": "voice_model"}
_SPEAKER = {"--speaker": "--voice-model"}
# By command: an option's old name and its new one.
OPTIONS: dict[str, dict[str, str]] = {
    "ask": _SPEAKER | {"--extract": "--extract-code"},
    "chat": _SPEAKER,
    "voice": _SPEAKER | {"--device": "--input-device"},
    "caption": {"--language": "--answer-language", "--context": "--facts"},
    "transcribe": {"--device": "--speech-device", "--prompt": "--speech-prompt"},
}


@dataclass(frozen=True)
class _Given:
    """An old name that was used, and the setting that it set."""

    shown: str
    name: str
    new: str  # the new name, as it stands in the same place
    spoken: str = ""  # the same for what is spoken, which the old name meant too


_options: list[str] = []  # notes on options of this command line
_given: list[_Given] = []
renamed_variables: dict[str, str] = {}  # a variable's new name, and the old one that set it


def take_variables(environment: MutableMapping[str, str]) -> None:
    """Let variables under their old names set the new ones, where those are not set."""
    for old, name in SETTINGS.items():
        before, now = f"MMCLI_{old.upper()}", f"MMCLI_{name.upper()}"
        if environment.get(before):
            if not environment.get(now):
                environment[now] = environment[before]
                renamed_variables[now] = before
            _given.append(_Given(before, name, now, "MMCLI_SPOKEN_LANGUAGE"))


def took_keys(keys: dict[str, str], file: str) -> None:
    """Remember which old names config.toml has: `keys` are a setting's name of today and its key there."""
    for name, key in keys.items():
        if SETTINGS.get(key.replace("-", "_")) == name:
            _given.append(_Given(f"`{key}` in `{file}`", name, f"`{name.replace('_', '-')}`", "`spoken-language`"))


def notes(params: Container[str]) -> list[str]:
    """A note for each old name that was used and matters to a command with these parameters."""
    found = list(_options)
    for given in _given:
        if given.name in params:
            found.append(f"{given.shown} is now {given.new}; the old name will go away after this release")
        elif given.name == "answer_language" and "spoken_language" in params:
            found.append(
                f"{given.shown} is now {given.new}, the language of captions; it no longer sets the spoken language: "
                f"{given.spoken} does, or else it is detected"
            )
    return found


def other_meaning(key: str) -> str:
    """What an old key meant beside the setting that it is now, for the end of a note."""
    return "; the language of sounds is `spoken-language`" if key == "language" else ""


def forget() -> None:
    """Another command line begins."""
    _options.clear()
    _given.clear()
    renamed_variables.clear()


def valued(params: Sequence[Any]) -> dict[str, int]:
    """The options, long and short, that are followed by values, and by how many; not -c: its value is optional."""
    options = [param for param in params if param.param_type_name == "option" and "-c" not in param.opts]
    return {name: param.nargs for param in options if not param.is_flag and not param.count for name in param.opts}


def values_after(arg: str, with_value: Mapping[str, int]) -> int:
    """How many of the arguments after this one are its values: `--model x`, `-m x`, `-qm x`, but not `-mx`."""
    if arg.startswith("--"):
        return with_value.get(arg, 0) if "=" not in arg else 0
    if not arg.startswith("-"):
        return 0
    for place, letter in enumerate(arg[1:], start=1):
        if n_values := with_value.get(f"-{letter}"):
            return n_values if place == len(arg) - 1 else n_values - 1
        if letter == "c":
            return 0
    return 0


def translated(command: str, params: Sequence[Any], args: list[str]) -> list[str]:
    """A command's arguments with the options under their names of today; each old one is noted."""
    old, with_value = OPTIONS.get(command, {}), valued(params)
    out: list[str] = []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg == "--":
            return [*out, arg, *rest]
        name, equals, value = arg.partition("=")
        if new := old.get(name):
            _options.append(
                f"`{name}` of `mmcli {command}` is now `{new}`; the old name will go away after this release"
            )
            name, arg = new, new + equals + value
        out.append(arg)
        n_values = 0 if equals else values_after(name, with_value)
        out += rest[:n_values]  # whatever they look like, they are values
        del rest[:n_values]
    return out
