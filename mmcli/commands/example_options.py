"""`--example` and `--examples`: what a model is shown before it is asked, in every command that asks about pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmcli.commands.option_groups import Group
from mmcli.commands.options import ANSWER
from mmcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mmcli.commands.answer_form import AnswerForm
    from mmcli.jobs.examples import Example, GivenExample
    from mmcli.models import Model, WantedModel
    from mmcli.runtime.reporter import Reporter


@dataclass(frozen=True)
class ExampleOptions(Group):
    """Pictures with their answers."""

    example: Annotated[
        list[str] | None,
        typer.Option(
            "--example",
            metavar="FILE=ANSWER",
            rich_help_panel=ANSWER,
            help="Show the model a picture and its answer first. The answer stands behind the last =; with @, it "
            "is read from a file. Can be repeated.",
        ),
    ] = None
    examples: Annotated[
        Path | None,
        typer.Option(
            "--examples",
            metavar="DIR",
            rich_help_panel=ANSWER,
            help="The same with all pictures of a folder. Each has its answer beside it: a.txt or a.json.",
        ),
    ] = None

    @property
    def are_given(self) -> bool:
        return bool(self.example) or self.examples is not None

    def named(self, check: Callable[[str], str] = str.strip, *, labels: bool = False) -> tuple[GivenExample, ...]:
        """The examples with answers as `check` gives them back; nothing is decoded. Errors as from jobs.examples."""
        if not self.are_given:
            return ()
        from mmcli.jobs import examples

        return examples.checked(examples.find(self.example or (), self.examples, labels=labels), check)


def loaded(named: tuple[GivenExample, ...], max_megapixels: float) -> tuple[Example, ...]:
    """The examples' pictures, decoded."""
    if not named:
        return ()
    from mmcli.jobs import examples

    return examples.load(named, max_megapixels=max_megapixels)


def values(shape: AnswerForm | None) -> Callable[[str], str]:
    """What checks an answer against the form that is wanted, and writes it as an answer would be written."""
    import json

    from mmcli.extraction.answer_schema import AnswerSchema

    def check(answer: str) -> str:
        if isinstance(shape, AnswerSchema):
            try:
                json.loads(answer)
            except ValueError as error:
                raise UsageError("its answer is not JSON", hint="--example 'a.jpg={\"n\": 1}' is one") from error
            return json.dumps(shape.read(answer), ensure_ascii=False)
        if shape is not None:
            shape.read(answer)
        return answer.strip()

    return check


def warn(named: tuple[GivenExample, ...], model: Model | WantedModel, reporter: Reporter) -> None:
    """Say where examples are known to do a model more harm than good."""
    from mmcli.models import Model

    advice = model.advice if isinstance(model, Model) else model.entry.advice if model.entry is not None else None
    if named and advice is not None and not advice.examples:
        reporter.warning(f"`{model.name}` was trained on one picture at a time: examples may confuse it")
