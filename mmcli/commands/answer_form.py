"""The form that an answer shall have: values of a schema, or a text such as CSV; found in what was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from mmcli.errors import UsageError

if TYPE_CHECKING:
    from mmcli.commands.asking_boxes import BoxesAsked
    from mmcli.engine import Answer, Sampling
    from mmcli.extraction.text_forms import FormName
    from mmcli.terminal import Screen

ANY_JSON = '{"type": ["object", "array"]}'


class AnswerForm(Protocol):
    """What both kinds of form can do."""

    def words(self, question: str) -> str:
        """The question as a model gets it."""
        ...

    def read(self, answer: str) -> Any:
        """The value of an answer, or its text in this form; OutputError where it is none."""
        ...


def find(
    schema: str | None, name: FormName | None, others: Mapping[str, bool], boxes: BoxesAsked | None = None
) -> AnswerForm | None:
    """The form that is wanted; UsageError where it cannot be kept to, or beside one of the `others`."""
    given = {"schema": schema is not None, "format": name is not None, "boxes": boxes is not None}
    wanted = [option for option, is_given in given.items() if is_given]
    if not wanted:
        return None
    for other in (*wanted[1:], *(option for option, is_given in others.items() if is_given)):
        raise UsageError(f"--{wanted[0]} and --{other} cannot be combined", hint="use one of them")
    if boxes is not None:
        return boxes
    if name is not None and name != "json":
        from mmcli.extraction.text_forms import TextForm

        return TextForm(name)
    from mmcli.extraction import answer_schema

    return answer_schema.find(schema if schema is not None else ANY_JSON)


def held(sampling: Sampling, form: AnswerForm | None, *, confidence: bool = False) -> Sampling:
    """The same, held token by token to a form that has a grammar. `confidence`: how sure each value is, is wanted."""
    from mmcli.commands.asking_boxes import BoxesAsked
    from mmcli.extraction.answer_schema import AnswerSchema

    if not isinstance(form, AnswerSchema | BoxesAsked):
        return sampling
    return replace(sampling, schema=form.text, confidence=confidence and isinstance(form, AnswerSchema))


def is_text(form: AnswerForm | None) -> bool:
    """Whether what it reads is printed as it is, not as JSON."""
    from mmcli.commands.asking_boxes import BoxesAsked
    from mmcli.extraction.text_forms import TextForm

    return isinstance(form, TextForm | BoxesAsked)


def fields(answer: Answer) -> dict[str, Any]:
    """How sure the model was of each value, for --json; empty where nobody asked."""
    from mmcli.extraction import confidence

    found = {name: one.record for name, one in confidence.of(answer).items()} if answer.chances else {}
    return {"fields": found} if found else {}


def tell(form: AnswerForm | None, screen: Screen) -> None:
    """What was changed of the answer, a note each."""
    from mmcli.extraction.text_forms import TextForm

    for note in form.notes if isinstance(form, TextForm) else ():
        screen.notice(note)
