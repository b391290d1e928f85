"""Uses and saves prompts for `mmcli ask`. Knows the command line and the prompts; asks nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mmcli import prompts
from mmcli.commands import origins
from mmcli.commands.typed_line import Line
from mmcli.errors import UsageError

if TYPE_CHECKING:
    import typer

    from mmcli.chat.resume import Setup
    from mmcli.commands.option_groups import AnswerOptions
    from mmcli.prompts import SavedPrompt
    from mmcli.terminal import Style


def chosen(name: str | None, given: Mapping[str, str], save: str | None) -> SavedPrompt | None:
    """The prompt that -t names; UsageError for options that make no sense together."""
    if name is not None and save is not None:
        raise UsageError("-t uses a prompt and --save saves one", hint="give one of them")
    if given and name is None and save is None:
        raise UsageError("-p fills in a saved prompt, and none is named", hint="-t NAME names it")
    return None if name is None else prompts.load(name)


def needs_input(prompt: SavedPrompt, line: Line, files: Sequence[str]) -> UsageError:
    """The error where a prompt has a place for a text, and there is none."""
    return UsageError(
        f"the prompt `{prompt.name}` needs a text, its $input: give one, or pipe one in",
        hint=line.with_words(*files, "TEXT"),
    )


def answer(ctx: typer.Context, prompt: SavedPrompt, options: AnswerOptions) -> AnswerOptions:
    """The options with the saved prompt's temperature and length where these were not typed."""
    if prompt.temperature is not None and not origins.is_typed(ctx, "temperature"):
        options = replace(options, temperature=prompt.temperature)
    if prompt.max_tokens is not None and not origins.is_typed(ctx, "max_tokens"):
        options = replace(options, max_tokens=prompt.max_tokens)
    return options


def setup(ctx: typer.Context, prompt: SavedPrompt | None, system: str | None, before: Setup) -> Setup:
    """Who answers, and under which system prompt: what is typed counts most, then the saved prompt."""
    if prompt is None:
        return before
    if prompt.model is not None and not origins.is_typed(ctx, "model"):
        before = replace(before, model=prompt.model, mmproj=before.mmproj if origins.is_typed(ctx, "mmproj") else None)
    if system is not None and not origins.is_typed(ctx, "system"):
        before = replace(before, system=system)
    return before


def save(
    ctx: typer.Context, name: str, files: Sequence[str], question: str, given: Mapping[str, str], style: Style
) -> None:
    """Keep what was typed under a name, and ask nothing. A prompt of that name is replaced only after a yes."""
    from mmcli import terminal
    from mmcli.commands import typed_line

    if files:
        raise UsageError(
            f"a prompt is saved without files: `{files[0]}`",
            hint=typed_line.of(ctx).with_words(*filter(None, [question])),
        )
    options: dict[str, Any] = {
        option: ctx.params[option]
        for option in ("system", "model", "temperature", "max_tokens", "extract")
        if origins.is_typed(ctx, option)
    }
    kept = prompts.SavedPrompt(name, question or None, variables=dict(given), **options)
    if not (question or kept.system or "").strip():
        raise UsageError("there is nothing to save", hint="mmcli ask 'Translate: $input' --save NAME, or --system")
    for variable in given:
        if variable not in kept.names or variable == prompts.INPUT:
            hint = "in single quotes a shell leaves `$` alone"
            raise UsageError(f"the prompt has no variable `${variable}`", hint=hint)
    if prompts.file(name).exists() and not ctx.params["yes"]:
        if not terminal.can_ask(style):
            raise UsageError(
                f"there is a prompt `{name}` already", hint="--yes replaces it; `mmcli prompts edit` changes it"
            )
        if not terminal.confirm(f"Replace the prompt {name}?", default=False):
            terminal.notice("nothing was saved", style)
            return
    prompts.save(kept)
    text = " TEXT" if prompts.INPUT in kept.names else ""
    terminal.notice(f"saved; to use it: mmcli ask{text} -t {name}", style)
