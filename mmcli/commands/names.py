"""Handles unknown commands and options: aliases, habits from other tools, typing errors, and the right hints."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Container, Iterable, Mapping, Sequence

from mmcli.errors import UsageError
from mmcli.suggestions import N_SUGGESTIONS, nearest

# Other names of commands: they do the same.
ALIASES: Mapping[str, str] = {"ls": "models", "list": "models", "logs": "history"}

# What other tools call it, and the command that does it here. {0} is the word after it, {rest} all words after it.
HABITS: Mapping[str, str] = {
    **dict.fromkeys(("download", "get", "install", "fetch", "add"), "mmcli pull {rest}"),
    **dict.fromkeys(("remove", "delete", "uninstall", "del"), "mmcli rm {rest}"),
    **dict.fromkeys(("info", "inspect", "details"), "mmcli show {rest}"),
    **dict.fromkeys(("settings", "set", "options"), "mmcli config {rest}"),
    **dict.fromkeys(("talk", "repl", "interactive"), "mmcli chat {rest}"),
    **dict.fromkeys(("prompt", "query", "describe", "see", "look", "complete", "generate"), "mmcli ask {rest}"),
    **dict.fromkeys(("captions", "tag", "label"), "mmcli caption {rest}"),
    **dict.fromkeys(("listen", "hear", "record", "stt", "whisper", "subtitles"), "mmcli transcribe {rest}"),
    **dict.fromkeys(("say", "speak", "tts"), "mmcli ask {rest} --speak"),
    **dict.fromkeys(("continue", "resume"), "mmcli chat -c {rest}"),
    **dict.fromkeys(("conversations", "sessions", "log"), "mmcli history {rest}"),
    **dict.fromkeys(("check", "test", "diagnose", "status"), "mmcli doctor {rest}"),
    "search": "mmcli find {rest}",
    "man": "mmcli help --man",
    "microphones": "mmcli devices",
}
# The same for options: what it may be called here. The first one that the command has is meant.
OPTION_HABITS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("--top-p", "--top-k", "--min-p", "--creativity"), ("--temperature",)),
    **dict.fromkeys(("--num-predict", "--n-predict", "--max-new-tokens", "--length"), ("--max-tokens",)),
    **dict.fromkeys(("--n-gpu-layers", "--ngl", "--gpu"), ("--gpu-layers",)),
    **dict.fromkeys(("--image", "--images", "--file", "--media", "--audio"), ("--attach",)),
    **dict.fromkeys(("--num-ctx", "--context-size", "--n-ctx", "--context"), ("--ctx-size",)),
    **dict.fromkeys(("--system-prompt", "--sys"), ("--system",)),
    **dict.fromkeys(("--tts", "--aloud", "--say", "--read-aloud"), ("--speak",)),
    **dict.fromkeys(("--resume", "--cid", "--conversation"), ("--continue",)),
    **dict.fromkeys(("--no-log", "--no-save", "--incognito", "--private"), ("--no-history",)),
    **dict.fromkeys(("--reasoning", "--thinking"), ("--think",)),
    **dict.fromkeys(("--force", "--assume-yes"), ("--overwrite", "--yes")),
    **dict.fromkeys(("-l", "--language", "--lang"), ("--answer-language", "--spoken-language")),
    **dict.fromkeys(("--microphone", "--input"), ("--input-device", "--mic")),
    "--silent": ("--quiet",),
    "--output-format": ("--format",),
    "--output-dir": ("--output",),
    "--initial-prompt": ("--prompt",),
}


def unknown_command(words: Sequence[str], known: Iterable[str], path: str, settings: Container[str] = ()) -> UsageError:
    """The error for `mmcli aks photo.jpg`, with the one exact next step where there is one.

    `settings` are the names that `mmcli config get` knows.
    """
    word, *rest = words
    below = path.removeprefix("mmcli").strip()
    message = f"unknown command `{f'{below} {word}'.strip()}`"
    if below:
        close = nearest(word, known)
        if below == "history" and re.fullmatch(r"[2-9][2-9a-z]{3,5}", word) and not rest:  # an ID
            return UsageError(message, hint=f"to see a conversation: `mmcli history show {word}`")
        if below == "history" and (rest or not close):
            return UsageError(message, hint=f"to find words: `mmcli history search {shlex.join(words)}`")
        if below == "config" and word.lstrip("-").replace("-", "_") in settings:
            return UsageError(
                message, hint=f"`mmcli config get {word}` shows it; `mmcli config set {word} VALUE` sets it"
            )
        hint = f"did you mean `{path} {close[0]}`?" if close else f"see `{path} --help`"
        return UsageError(message, hint=hint)
    if word == "run":
        return UsageError(message, hint=_run(rest))
    if word.lower() in HABITS:
        return UsageError(message, hint=f"that is `{HABITS[word.lower()].format(rest=shlex.join(rest)).strip()}`")
    if " " in word:  # a question, with what it is about behind it
        return UsageError(message, hint=f"to ask it: mmcli ask {shlex.join([*rest, word])}")
    if os.path.exists(word) or re.search(r"\.\w{2,5}$", word):
        return UsageError(
            message, hint=f"to ask about it: mmcli ask {shlex.join(words) if rest else f'{word} QUESTION'}"
        )
    if close := nearest(word, [*known, *ALIASES]):
        return UsageError(message, hint=f"did you mean `mmcli {close[0]}`? see `mmcli --help`")
    return UsageError(message, hint='see `mmcli --help`, or ask: mmcli ask photo.jpg "What is this?"')


def _run(rest: Sequence[str]) -> str:
    """Ollama's `run MODEL` and `run MODEL "question"` in our words."""
    if not rest:
        return '`mmcli chat -m NAME` talks with a model, `mmcli ask "What?" -m NAME` asks it once'
    model, *question = rest
    if question:
        return f"that is `mmcli ask {shlex.join(question)} -m {shlex.quote(model)}`"
    return f"that is `mmcli chat -m {shlex.quote(model)}`"


def unknown_option(word: str, known: Sequence[str], path: str, elsewhere: Sequence[str]) -> UsageError:
    """The error for an option that the command `path` does not have; `elsewhere` are commands that do."""
    message = f"unknown option `{word}` for `{path}`" if path != "mmcli" else f"unknown option `{word}`"
    see = f"see `{path} --help`"
    habits = OPTION_HABITS.get(word.lower().replace("_", "-"), ())
    if habit := next((name for name in habits if name in known), None):
        return UsageError(message, hint=f"did you mean {habit}? {see}")
    if word in ("-l", "--language", "--lang") and "--system" in known:
        return UsageError(message, hint='for answers in another language: --system "Answer in German."')
    if close := nearest(word, [name for name in known if name.startswith("--")]):
        return UsageError(message, hint=f"did you mean {' or '.join(close)}? {see}")
    if path == "mmcli" and elsewhere:
        return UsageError(message, hint=f"options follow the command: `mmcli {elsewhere[0]} {word}`")
    if elsewhere:
        of = ", ".join(f"`mmcli {command}`" for command in elsewhere[:N_SUGGESTIONS])
        return UsageError(message, hint=f"{word} is an option of {of}; {see}")
    return UsageError(message, hint=see)
