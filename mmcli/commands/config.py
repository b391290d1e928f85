"""`mmcli config`: shows settings, and changes config.toml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mmcli import config as files
from mmcli import files as writing
from mmcli import tomlfile
from mmcli.commands import options as opt
from mmcli.commands import spelling
from mmcli.commands.completion import setting_names
from mmcli.commands.settings import DEFAULT, Setting, effective, known, load, number
from mmcli.errors import MmcliError, UsageError

SHARES = {"value": 0.3, "source": 0.3}  # of a terminal's width, at most


KeyArg = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="A long option without its dashes: max-tokens.",
        autocompletion=setting_names,
        show_default=False,
    ),
]


def config(
    ctx: typer.Context,
    everything: Annotated[
        bool, typer.Option("--all", help="Show every setting, also those left at their defaults.")
    ] = False,
    json: opt.JsonListOpt = False,
    quiet: opt.QuietOpt = False,
) -> int | None:
    """Show and change settings, such as the default model. Also shows where files live.

    mmcli config
    mmcli config --all
    mmcli config set model starter
    """
    from mmcli import terminal

    if ctx.invoked_subcommand is not None:
        return None
    root = ctx.find_root().command
    chosen = load(root).values
    rows = [(name.replace("_", "-"), *effective(setting, chosen)) for name, setting in known(root).items()]
    places = {"config.toml": files.config_file(), "cache": files.cache_dir(), "history": files.data_dir()}
    if json:
        every = [
            {"name": name, "value": value, "source": source, "variable": setting.variable, "defaults": setting.defaults}
            for (name, value, source), setting in zip(rows, known(root).values(), strict=True)
        ]
        terminal.data({"settings": every, "places": {name: str(path) for name, path in places.items()}})
        return None
    style = terminal.Style(quiet=quiet)
    chosen_rows = [row for row in rows if row[2] != DEFAULT]
    others = [row for row in rows if row[2] == DEFAULT]
    if shown := [*chosen_rows, *(others if everything else ())]:
        cells = [(name, _words(value), source) for name, value, source in shown]
        terminal.table(("setting", "value", "source"), cells, style, spare=("source",), shares=SHARES)
        terminal.line("")
    if terminal.is_screen():
        for name, path in places.items():
            terminal.fact(name, str(path))
    else:
        terminal.table(("place", "path"), [(name, str(path)) for name, path in places.items()], style)
    if not everything:
        told = f"{len(others)} other settings have" if chosen_rows else "nothing is set: all settings have"
        terminal.notice(f"{told} their defaults; `mmcli config --all` lists them", style)
    return None


def get(ctx: typer.Context, key: KeyArg, json: opt.JsonListOpt = False) -> int | None:
    """Print the value of one setting, wherever it comes from.

    mmcli config get model
    mmcli config get max-tokens --json
    """
    from mmcli import terminal

    setting = _setting(ctx, key)
    value, source = effective(setting, load(ctx.find_root().command).values)
    name = setting.name.replace("_", "-")
    if json:
        terminal.data({"name": name, "value": value, "source": source, "variable": setting.variable})
    elif value is None or value == []:
        terminal.notice(f"`{name}` is not set, and has no default", terminal.Style())
    else:
        for item in value if isinstance(value, list) else [value]:
            terminal.line(_words(item) or "")
    return None


def path() -> int | None:
    """Print where the settings file is, or would be.

    mmcli config path
    """
    from mmcli import terminal

    terminal.line(str(files.config_file()))
    return None


def set_(
    ctx: typer.Context,
    key: KeyArg,
    values: Annotated[
        list[str], typer.Argument(metavar="VALUE...", help="Its value; several for a list.", show_default=False)
    ],
) -> int | None:
    """Change one setting. The comments and the order of config.toml stay as they are.

    mmcli config set model starter
    mmcli config set max-tokens 200
    mmcli config set history false
    """
    setting = _setting(ctx, key)
    if len(values) > 1 and not setting.takes_list:
        raise UsageError(f"`{key}` takes one value, not {len(values)}", hint="put it in quotation marks")
    value = [_typed(text, setting) for text in values] if setting.takes_list else _typed(values[0], setting)
    if complaint := setting.complain(value):
        raise UsageError(f"a bad value for `{key}`: {complaint}")
    document = _document()
    there = _keys(document, setting.name)
    current = [name for name in there if name.replace("-", "_") == setting.name]
    document[current[0] if current else _today(key)] = value
    for name in there:
        if name not in current[:1]:  # an old name, or both spellings
            del document[name]
    _write(document)
    _check_again(ctx)
    _check_model(setting.name, str(value))
    return None


def unset(ctx: typer.Context, key: KeyArg) -> int | None:
    """Go back to the default of one setting.

    mmcli config unset model
    """
    from mmcli import terminal

    document = _document()
    there = _keys(document, _today(key).replace("-", "_"))
    if not there:
        _setting(ctx, key)  # a slip of the finger is reported as such
        terminal.notice(f"`{files.config_file()}` does not set `{key}`", terminal.Style())
        return None
    for name in there:
        del document[name]
    _write(document)
    _check_again(ctx)
    return None


def edit(ctx: typer.Context) -> int | None:
    """Open the settings file in your editor. $VISUAL or $EDITOR names it; the file is checked afterwards.

    mmcli config edit
    """
    from mmcli import terminal
    from mmcli.commands import editing

    file = files.config_file()

    def check() -> None:
        if file.exists():
            load(ctx.find_root().command)

    return editing.edit(file, check, terminal.Style())


def _words(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        commands: dict[str, list[str]] = {}
        for name, item in value.items():
            commands.setdefault(_words(item) or "-", []).append(name)
        return "; ".join(f"{item} ({', '.join(names)})" for item, names in commands.items())
    if isinstance(value, list):
        return " ".join(str(item) for item in value)
    return None if value is None else str(value)


def _setting(ctx: typer.Context, key: str) -> Setting:
    """The setting that a key means; UsageError where there is none, a note where the key is an old name."""
    from mmcli import terminal

    every = known(ctx.find_root().command)
    today = _today(key)
    if today != key:
        terminal.notice(f"`{key}` is now `{today}`{spelling.other_meaning(key)}", terminal.Style())
    name = today.replace("-", "_")
    if name not in every:
        named = [known for known, setting in every.items() if f"--{today}" in setting.option.opts]
        hint = f"did you mean `{named[0].replace('_', '-')}`?" if len(named) == 1 else files.closest(key, every)
        raise UsageError(f"unknown setting `{key}`", hint=hint)
    return every[name]


def _typed(text: str, setting: Setting) -> Any:
    """A word of the command line as TOML's type for this setting; what doesn't fit stays a text, and is refused."""
    wanted = setting.option.type.name
    if wanted == "boolean":
        no = ("0", "false", "f", "no", "n", "off")
        return {word: word not in no for word in (*no, "1", "true", "t", "yes", "y", "on")}.get(text.lower(), text)
    found = number(text) if wanted.startswith(("int", "float")) else None
    return text if found is None else found


def _document() -> Any:
    """config.toml with its comments, or an empty one."""
    import tomlkit

    file = files.config_file()
    text = (files.read(file) if file.exists() else None) or ""
    tomlfile.parse(text, f"`{file}`", hint=files.EDIT)  # says what is wrong better than tomlkit does
    return tomlkit.parse(text)


def _keys(document: Any, name: str) -> list[str]:
    """The keys under which the file sets a setting: `max-tokens`, `max_tokens`, or an old name."""
    found = [str(key) for key in document]
    return [key for key in found if _today(key).replace("-", "_") == name]


def _today(key: str) -> str:
    """A key by the name it has today."""
    renamed = spelling.SETTINGS.get(key.replace("-", "_"))
    return renamed.replace("_", "-") if renamed else key


def _write(document: Any) -> None:
    """Replace config.toml at once, and not a link that leads to it."""
    import tomlkit

    file = Path(os.path.realpath(files.config_file()))
    if file.exists() and not file.is_file():
        raise UsageError(f"cannot write `{file}`: it is not a regular file", hint="MMCLI_CONFIG names the file")
    writing.make_folder(file.parent)
    writing.write(file, tomlkit.dumps(document).encode())


def _check_again(ctx: typer.Context) -> None:
    """What else is wrong in the file is reported: every other command will refuse it."""
    from mmcli import terminal

    try:
        load(ctx.find_root().command)
    except UsageError as error:
        terminal.warning(f"written, but {error.message}", terminal.Style())


def _check_model(name: str, value: str) -> None:
    """A model that nobody knows is reported at once, not by the next question; it may be there by then."""
    from mmcli import models, terminal

    try:
        if name == "model":
            models.find(value)
        elif name == "speech_model":
            models.find_speech(value)
    except MmcliError as error:
        hint = f"; {error.hint}" if error.hint else ""
        terminal.warning(f"written, but {error.message}{hint}", terminal.Style())
