"""Conversations → prompts, also where a template has no place for a system prompt. Knows no Jinja and no tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mmcli.engine.local.template import Prompt, Template, Unfit
from mmcli.engine.messages import Message

FOLDED = "the model's chat template has no place for a system prompt: it was put before the first question"


class Prompts:
    """A template, asked in the way that loses nothing; `on_notice` is called once where that is not its own way."""

    def __init__(self, template: Template, on_notice: Callable[[str], None]) -> None:
        self._template, self._on_notice = template, on_notice
        self._folds = False  # the template has no place for a system prompt
        self._is_told = False

    def render(self, messages: Sequence[Message], *, think: bool = False, ahead: bool = False) -> Prompt:
        """The prompt that asks for the next answer; Unfit where there is none that holds all that was said.

        `ahead`: it will be rendered again when the question is asked, and what is to be reported is reported then.
        """
        folded = _folded(messages)
        if folded is None:
            return self._template.render(messages, think=think)
        if not self._folds:
            try:
                return self._template.render(messages, think=think)
            except Unfit as error:
                try:
                    prompt = self._template.render(folded, think=think)
                except Unfit:
                    raise error from None
                self._folds = True
        else:
            prompt = self._template.render(folded, think=think)
        if not ahead and not self._is_told:
            self._is_told = True
            self._on_notice(FOLDED)
        return prompt


def _folded(messages: Sequence[Message]) -> list[Message] | None:
    """The messages with the system prompt at the beginning of the first question; None where one of them is missing."""
    first = next((i for i, message in enumerate(messages) if message.role == "user"), None)
    system = [part for message in messages if message.role == "system" for part in message.parts]
    if first is None or not system:
        return None
    question = messages[first]
    words = "\n\n".join(str(part).strip() for part in system)
    if question.parts and question.parts[0] in question.media:
        words += "\n\n"  # texts are set apart from each other, but not from media
    rest = [message for message in (*messages[:first], *messages[first + 1 :]) if message.role != "system"]
    return [replace(question, parts=(words, *question.parts)), *rest]
