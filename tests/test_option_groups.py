"""Groups of options: what Typer sees of them, and what a command gets."""

from __future__ import annotations

import dataclasses
import inspect
from typing import get_args

import pytest
import typer

from mmcli import main
from mmcli.commands import option_groups
from mmcli.commands.ask import ask
from mmcli.commands.chat import chat
from mmcli.commands.option_groups import AnswerOptions, Group, MachineOptions, OutputOptions
from mmcli.commands.voice import voice
from mmcli.runtime.model_loader import Choice


@pytest.mark.parametrize("kind", Group.__subclasses__(), ids=lambda kind: kind.__name__)
def test_each_field_of_a_group_is_an_option_with_a_default(kind: type[Group]) -> None:
    def command(*, group: kind) -> None: ...  # type: ignore[valid-type]

    command.__annotations__["group"] = kind
    found = option_groups.flattened(command)
    assert [parameter.name for parameter in found] == [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for parameter in found:
        assert parameter.default is not inspect.Parameter.empty
        assert any(isinstance(part, typer.models.OptionInfo) for part in get_args(parameter.annotation))


@pytest.mark.parametrize("command", [ask, chat, voice])
def test_what_was_flattened_is_collected_again(command: object) -> None:
    parameters = option_groups.flattened(command)  # type: ignore[arg-type]
    names = [parameter.name for parameter in parameters]
    assert len(set(names)) == len(names), "no two groups have an option of one name"
    values = {name: object() for name in names}
    arguments = option_groups.collected(command, values)  # type: ignore[arg-type]
    assert arguments.keys() == inspect.signature(command).parameters.keys()  # type: ignore[arg-type]
    back: dict[str, object] = {}
    for name, value in arguments.items():
        if isinstance(value, Group):
            back |= {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}  # type: ignore[arg-type]
        else:
            back[name] = value
    assert back == values


def test_a_group_s_options_are_the_same_in_every_command() -> None:
    """What `mmcli ask` calls an option, its variable and its setting, `mmcli chat` calls so too."""
    commands = main.commands()
    for kind in (AnswerOptions, MachineOptions, OutputOptions):
        for field in dataclasses.fields(kind):
            found = {
                (tuple(param.opts), param.envvar)
                for name in ("ask", "chat", "voice")
                for param in commands[name].params
                if param.name == field.name
            }
            assert len(found) == 1, field.name


def test_options_become_what_the_rooms_below_take() -> None:
    answer = AnswerOptions(temperature=0.5, stop=["a", "b"], think=True)
    assert answer.choice() == Choice(0.5, 1024, None, ("a", "b"), True, True)
    machine = MachineOptions(ctx_size=512, cache=False).machine("chatml")
    assert (machine.ctx_size, machine.cache, machine.detail) == (512, False, "auto")
    assert machine.template is not None and machine.template.name == "chatml"
    style = OutputOptions(quiet=True).style(json=True)
    assert (style.json, style.quiet, style.markdown) == (True, True, "auto")
