"""Messages → prompt text, by the GGUF's own chat template. Knows Jinja; knows no tokens, media or models by name.

The prompt comes back as segments: the text between the media. A marker nobody can guess stands for each medium while
the template runs, so that text which looks like a marker stays text.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from mmcli.engine.messages import Message
from mmcli.errors import ModelError
from mmcli.media.types import Audio, Image

# LLaVA 1.5 was trained on this form (Vicuna v1.1): github.com/haotian-liu/LLaVA, conversation.py
VICUNA = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'USER: ' + message['content'] + '\n' }}"
    "{% else %}{{ 'ASSISTANT: ' + message['content'] + eos_token + '\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class Run(NamedTuple):
    """A stretch of text; in what a person gave, special tokens are plain words (`special` is False)."""

    text: str
    special: bool = True


Segment: TypeAlias = tuple[Run, ...]


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt: `segments[i]` stands before medium i, the last one after all of them."""

    segments: tuple[Segment, ...]
    stop: tuple[str, ...] = ()  # strings that end an answer under a template without an end token

    @property
    def text(self) -> str:
        return "<media>".join("".join(run.text for run in segment) for segment in self.segments)


def fallback(chatml: bool) -> tuple[str, tuple[str, ...]]:
    """A template and its stop strings for a GGUF without one: ChatML where the vocabulary has it, else Vicuna."""
    return (CHATML, ("<|im_end|>",)) if chatml else (VICUNA, ("USER:",))


class Template:
    """One compiled chat template."""

    def __init__(
        self,
        source: str | None,
        *,
        bos: str,
        eos: str,
        adds_bos: bool = True,
        is_special: Callable[[str], bool] = lambda text: False,
        chatml: bool = False,
        media_newline: bool = False,
        kwargs: dict[str, object] | None = None,
    ) -> None:
        self._bos, self._eos, self._newline = bos, eos, "\n" if media_newline else ""
        self._kwargs = kwargs or {}
        self._adds_bos, self._is_special = adds_bos, is_special
        self._stop: tuple[str, ...] = ()
        if source is None:
            source, self._stop = fallback(chatml)
        self._template = _compile(source)
        self._typed = not self._takes_strings()

    def _takes_strings(self) -> bool:
        """Whether `content` may be a plain string; some templates only walk lists of parts."""
        probe = "probe" + secrets.token_hex(4)
        try:
            return probe in self._run([{"role": "user", "content": probe}], think=False)
        except ModelError:
            return False

    def render(self, messages: Sequence[Message], *, think: bool = False) -> Prompt:
        """The prompt that asks for the next assistant turn; raises ModelError where the template refuses."""
        marker, guard = (f"<{kind} {secrets.token_hex(8)}>" for kind in ("media", "text"))
        n_media = sum(len(message.media) for message in messages)
        text = self._run([self._dict(message, marker, guard) for message in messages], think=think)
        segments = text.split(marker)
        if len(segments) != n_media + 1:
            raise ModelError(
                f"the model's chat template dropped media: {n_media} went in, {len(segments) - 1} came out",
                hint="its GGUF may be made for text only; try another conversion of the model",
            )
        if self._adds_bos and self._bos and segments[0].startswith(self._bos):
            segments[0] = segments[0][len(self._bos) :]  # the tokenizer adds it again
        # Between two guards stands what a person gave; outside of them what the template wrote.
        runs = [tuple(Run(run, i % 2 == 0) for i, run in enumerate(segment.split(guard))) for segment in segments]
        return Prompt(tuple(tuple(run for run in segment if run.text) for segment in runs), self._stop)

    def _dict(self, message: Message, marker: str, guard: str) -> dict[str, Any]:
        text, after_words = "", False
        for part in message.parts:
            if isinstance(part, Image | Audio):
                text, after_words = text + marker + self._newline, False
                continue
            words = part if isinstance(part, str) else part.rendered
            # A text that holds `<|im_end|>` could end the turn and begin another: then it is tokenized apart, as words.
            words = f"{guard}{words}{guard}" if self._is_special(words) else words
            text, after_words = f"{text}\n\n{words}" if after_words else text + words, True
        return {"role": message.role, "content": [{"type": "text", "text": text}] if self._typed else text}

    def _run(self, messages: list[dict[str, Any]], *, think: bool) -> str:
        from jinja2 import TemplateError
        from jinja2.exceptions import SecurityError

        variables = {
            "messages": messages,
            "add_generation_prompt": True,
            "bos_token": self._bos,
            "eos_token": self._eos,
            **self._kwargs,
            "enable_thinking": think,  # Qwen 3, SmolLM 3, GLM, Gemma 4
            "thinking": think,  # DeepSeek, Granite
        }
        try:
            return str(self._template.render(**variables))
        except SecurityError as error:
            raise ModelError(f"the model's chat template tried something forbidden: {error}") from error
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            roles = {message["role"] for message in messages}
            hint = "this model may take no system prompt" if "system" in roles else None
            raise ModelError(f"the model's chat template refused these messages: {error}", hint=hint) from error


def _compile(source: str) -> Any:
    from jinja2 import TemplateError, nodes
    from jinja2.exceptions import TemplateRuntimeError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}…{% endgeneration %}` marks training targets; for a prompt it means its body."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True))

    def raise_exception(message: str) -> None:
        raise TemplateRuntimeError(message)

    def tojson(value: object, ensure_ascii: bool = False, indent: int | None = None, **kwargs: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **kwargs)

    # The settings transformers renders templates with: the authors tested theirs under these.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    try:
        return environment.from_string(source)
    except TemplateError as error:
        raise ModelError(
            f"the model's chat template cannot be read: {error}", hint="try another conversion of the model"
        ) from error
