"""The only file that knows Typer from the inside: commands that show our help and name our errors. Prints nothing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, ClassVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from mmcli.commands import names, origins, pages, spelling, typed_line
from mmcli.commands.pages import HelpMark, Page
from mmcli.errors import MmcliError, UsageError

build: Callable[[typer.Typer], Any] = get_command
VALUES = {"int": "N", "float": "NUMBER", "path": "FILE"}  # by how a type's name begins
COMPLAINTS = {  # Typer's, and what we say instead
    r"Got unexpected extra argument\(s\) \((.*)\)": r"too many arguments: `\1`",
    r"Missing argument '(.*?)'": r"missing argument \1",
    r"Option '(.*)' requires an argument": r"`\1` needs a value",
    r"Option '(.*)' does not take a value": r"`\1` takes no value",
}
BAD_VALUES = {  # what Typer says is wrong with a value, and what we say
    r"'(.*)' is not a valid float(?: range)?": r"`\1` is not a number",
    r"'(.*)' is not a valid int(?:eger)?(?: range)?": r"`\1` is not a whole number",
    r"'(.*)' is not a valid boolean.*": r"`\1` is neither true nor false",
    r"'(.*)' is not one of (.*)": r"`\1` is not one of \2",
    r"(\S+?)(?:\.0)? is not in the range (\S+?)(?:\.0)?<=x<=(\S+?)(?:\.0)?": r"`\1` is not in the range \2 to \3",
    r"(\S+?)(?:\.0)? is not in the range x>=(\S+?)(?:\.0)?": r"`\1` is too small: it must be \2 or more",
    r"(\S+?)(?:\.0)? is not in the range x>(\S+?)(?:\.0)?": r"`\1` is too small: it must be more than \2",
}
LONGEST_CHOICE = 20  # characters of `low|auto|high`; a longer one needs a metavar


def _helps(is_long: bool) -> Callable[[Any, Any, bool], None]:
    def show(ctx: Any, param: Any, wanted: bool) -> None:
        if wanted and not ctx.resilient_parsing:
            from mmcli import terminal

            if is_long and ctx.parent is None:
                terminal.help_pages(every_page(ctx.command), everything=True)
            else:
                terminal.help_page(page(ctx.command, ctx.command_path), everything=is_long)
            ctx.exit()

    return show


def _help_options() -> list[Any]:
    """--help and --help-all; their own names are none of a command's, which the settings are handed down by."""
    how: dict[str, Any] = {"is_flag": True, "is_eager": True, "expose_value": False, "default": False}
    short, long = _helps(is_long=False), _helps(is_long=True)
    return [
        TyperOption(param_decls=["show_help", "-h", "--help"], help="Show this help.", callback=short, **how),
        TyperOption(param_decls=["show_all", "--help-all"], help="Show every option.", callback=long, **how),
    ]


class DocumentedCommand(TyperCommand):
    """A command with our help, which takes its options' old names too; its errors say where a bad value came from.

    Its function may have a `rewrite` that changes the arguments before they are parsed.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        return [*self.params, *_with_help(self)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rewrite = getattr(inspect.unwrap(self.callback), "rewrite", None) if self.callback else None
        args = spelling.translated(self.name or "", self.params, args)
        args = rewrite(self.params, args) if rewrite else args
        typed_line.remember(ctx, self.params, args)
        return _parsed(super().parse_args, ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except MmcliError as error:
            origins.add(error, ctx)
            raise


class DocumentedGroup(TyperGroup):
    """A command with commands below it."""

    aliases: ClassVar[Mapping[str, str]] = {}

    def get_params(self, ctx: Any) -> list[Any]:
        return [*self.params, *_with_help(self)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return _parsed(super().parse_args, ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name = self.aliases.get(args[0], args[0])
        if name not in self.commands:
            every = commands(ctx.find_root().command).values()
            settings = {param.name for command in every for param in command.params if param.envvar}
            raise names.unknown_command(args, list(self.commands), ctx.command_path, settings)
        return name, self.commands[name], args[1:]


class Top(DocumentedGroup):
    """mmcli itself."""

    aliases = names.ALIASES


def _with_help(command: Any) -> list[Any]:
    if not hasattr(command, "help_options"):  # the same objects each time: the parser compares them
        command.help_options = _help_options()
    return list(command.help_options)


def _parsed(parse: Callable[[Any, list[str]], list[str]], ctx: Any, args: list[str]) -> list[str]:
    try:
        return parse(ctx, args)
    except typer.TyperException as error:
        unknown = getattr(error, "option_name", None)
        if unknown is None or not hasattr(error, "possibilities"):  # an option of that name, used wrongly
            raise
        elsewhere = [
            path
            for path, command in commands(ctx.find_root().command).items()
            if any(unknown in (*param.opts, *param.secondary_opts) for param in command.params)
        ]
        known = [name for param in ctx.command.get_params(ctx) for name in (*param.opts, *param.secondary_opts)]
        raise names.unknown_option(unknown, known, ctx.command_path, elsewhere) from error


def commands(root: Any, above: str = "") -> dict[str, Any]:
    """Every command below `root` by what a user types: `ask`, `history`, `history show`."""
    found: dict[str, Any] = {}
    for name, command in getattr(root, "commands", {}).items():
        found |= {above + name: command} | commands(command, f"{above}{name} ")
    return found


def complaint(option: Any, value: Any) -> str | None:
    """What an option has against a value that does not come from the command line, if anything."""
    try:
        option.process_value(typer.Context(TyperCommand(name=option.name)), value)
    except typer.TyperException as error:
        return _reworded(clipped(str(getattr(error, "message", error)).rstrip(".")), BAD_VALUES)
    return None


def clipped(text: str) -> str:
    """A message without the middle of words that are hundreds of characters long."""
    return re.sub(r"(\S{40})\S{160,}(\S{10})", r"\1…\2", text)


def usage_error(error: typer.TyperException, path: str) -> UsageError:
    """Typer's own complaint about the command `path` in our words, with a hint where to look."""
    context, param = getattr(error, "ctx", None), getattr(error, "param", None)
    path = context.command_path if context is not None else path
    if isinstance(error, typer.BadParameter) and isinstance(param, TyperOption) and context is not None:
        message = (
            f"a bad value for `{origins.name_of(context, param)}`: {_reworded(error.message.rstrip('.'), BAD_VALUES)}"
        )
    else:
        message = _reworded(error.format_message().rstrip("."), COMPLAINTS)
    return UsageError(clipped(f"{message[0].lower()}{message[1:]}"), hint=f"see `{path} --help`")


def _reworded(message: str, table: Mapping[str, str]) -> str:
    for pattern, words in table.items():
        message = re.sub(f"^{pattern}$", words, message, flags=re.DOTALL)
    return message


# help pages


def page(command: Any, path: str) -> Page:
    """The help page of a command that is typed as `path`."""
    about, more, examples = pages.described(command.help or "")
    marks = _marks(command)
    params = [*command.params, *_with_help(command)]
    return Page(
        path=path,
        about=about,
        more=more,
        examples=examples,
        arguments=tuple(_argument(param) for param in params if isinstance(param, TyperArgument)),
        options=tuple(
            _option(param, marks.get(param.name or "") is HelpMark.RARE)
            for param in params
            if isinstance(param, TyperOption) and not param.hidden
        ),
        commands=tuple(_entries(command)),
    )


def every_page(root: Any) -> Iterator[Page]:
    """The pages of mmcli itself and of every command, in the order of the lists."""
    yield page(root, "mmcli")
    for path, command in commands(root).items():
        yield page(command, f"mmcli {path}")


def _entries(command: Any) -> Iterator[pages.CommandEntry]:
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield pages.CommandEntry(name, pages.described(below.help or "")[0], below.rich_help_panel or "")


def _marks(command: Any) -> dict[str, HelpMark]:
    """The marks that stand beside the options in the annotations of the command's function."""
    if command.callback is None:
        return {}
    found = {}
    for name, parameter in inspect.signature(command.callback, eval_str=True).parameters.items():
        for item in getattr(parameter.annotation, "__metadata__", ()):
            if isinstance(item, HelpMark):
                found[name] = item
    return found


def _argument(param: TyperArgument) -> pages.Argument:
    name = param.metavar or (param.name or "").upper()
    return pages.Argument(name, pages.split(param.help or "")[0])


def _option(param: TyperOption, is_rare: bool) -> pages.Option:
    about, more = pages.split(param.help or "")
    choices = getattr(param.type, "choices", None)
    value = "" if param.is_flag else _value(param)
    if choices and value != "|".join(choices):
        more = " ".join(filter(None, [more, f"One of {', '.join(choices)}."]))
    variable = param.envvar if isinstance(param.envvar, str) else ""
    return pages.Option(
        names=tuple(sorted(param.opts, key=lambda name: name.startswith("--"))),
        off=tuple(param.secondary_opts),
        value=value,
        about=about,
        more=more,
        default=_default(param),
        limits=_limits(param.type),
        variable=variable,
        setting=(param.name or "").replace("_", "-") if variable else "",
        panel=param.rich_help_panel or "",
        is_rare=is_rare,
    )


def _value(param: TyperOption) -> str:
    if param.metavar:
        return param.metavar
    choices = "|".join(getattr(param.type, "choices", ()))
    if choices:
        assert len(choices) <= LONGEST_CHOICE, f"{param.name}: give the values a metavar"
        return choices
    return next((value for kind, value in VALUES.items() if param.type.name.startswith(kind)), "TEXT")


def _default(param: TyperOption) -> str:
    """What counts where nobody says anything: as the option words it, else its value."""
    if isinstance(param.show_default, str):
        return param.show_default
    value = param.default
    if not param.show_default or value is None or value is False:
        return ""
    if value is True:
        return "on"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value.value if isinstance(value, Enum) else value)


def _limits(kind: Any) -> str:
    """`1 to 512`, `at least 1`, or nothing."""
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is not None and most is not None:
        return f"{least:g} to {most:.10g}"
    return f"at least {least:g}" if least is not None else f"at most {most:g}" if most is not None else ""
