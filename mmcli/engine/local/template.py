"""Messages → prompt text, by a chat template. Knows no Jinja, tokens, media or models by name.

The prompt comes back as segments: the text between the media. A marker nobody can guess stands for each medium while
the template runs, so that text which looks like a marker stays text.

What was said must be in the prompt, as what was shown must be. So a conversation is rendered twice. First a marker
stands for each text, too: that shows for certain where the template puts it, whatever it does to words, or that it
leaves it out. Then the words stand there themselves, since templates look at them (they trim, or take reasoning out of
old answers). The second prompt counts, unless the template refuses these words or cuts something out of what was
asked: then the words take their markers' places in the first. A text with control tokens in it never passes through
the template; it takes its marker's place as plain words.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from mmcli.engine import forms
from mmcli.engine.messages import Message
from mmcli.errors import ModelError
from mmcli.media.types import Projected, Text

CHATML, VICUNA = forms.CHATML.source, forms.VICUNA.source
OTHER = "--template NAME chooses another template, `--template none` uses none"

PRIVATE, N_PRIVATE = 0xF0000, 0xFFFE  # letters that no text and no vocabulary has a use for
REPR = tuple(f"{quote}text{quote}:{space}{quote}" for quote in "'\"" for space in ("", " "))

Shape: TypeAlias = Literal["text", "parts"]  # what `content` is: a text, or a list with a part of type text


class TextRun(NamedTuple):
    """A stretch of text; in what a user gave, special tokens are plain words (`special` is False)."""

    text: str
    special: bool = True


Segment: TypeAlias = tuple[TextRun, ...]


@dataclass(frozen=True)
class Prompt:
    """A rendered prompt: `segments[i]` stands before medium i, the last one after all of them."""

    segments: tuple[Segment, ...]
    stop: tuple[str, ...] = ()  # strings that end an answer under a template without an end token

    @property
    def text(self) -> str:
        return "<media>".join("".join(run.text for run in segment) for segment in self.segments)


class Unfit(ModelError):
    """The template cannot take this conversation: it refuses it, or leaves something out."""


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
        stop: tuple[str, ...] = (),
        name: str = "",
    ) -> None:
        """`stop`: what ends an answer under this template; `name`: of a template that is not the model's own.

        Without a source, Vicuna's form or (`chatml`) ChatML's.
        """
        from mmcli.engine.local.limited import compiled
        from mmcli.engine.local.sandbox import Refused

        self._bos, self._eos, self._newline = bos, eos, "\n" if media_newline else ""
        self._kwargs = kwargs or {}
        self._adds_bos, self._is_special = adds_bos, is_special
        self._stop = stop
        self._called = f"the template `{name}`" if name else "the model's chat template"
        if source is None:
            form = forms.CHATML if chatml else forms.VICUNA
            source, self._stop = form.source, form.stop
        try:
            self._compiled = compiled(source)
        except Refused as error:
            raise ModelError(
                f"{self._called} cannot be read: {error}",
                hint=OTHER if name else f"try another conversion of the model; {OTHER}",
            ) from error
        self._shapes: dict[str, Shape] = {}  # role → what its content is, where that is known
        self._no_tools: list[object] | None = None  # what it is given for tools and documents, as transformers does

    def render(self, messages: Sequence[Message], *, think: bool = False) -> Prompt:
        """The prompt that asks for the next assistant turn; Unfit where the template refuses or loses something."""
        draft = _Draft(messages, self._called, self._newline, self._is_special)
        text, shapes = self._marked(draft, think)
        if text is None or not draft.is_marked_anyway:
            try:
                plain = self._run(draft.dicts(shapes, every=False), think=think)
                draft.check(plain, every=False)
                text = plain
            except Unfit:
                if text is None:
                    raise
        return Prompt(self._segments(draft, text), self._stop)

    def _marked(self, draft: _Draft, think: bool) -> tuple[str | None, dict[str, Shape]]:
        """The conversation with a marker for every text, and the shapes of content that the template takes.

        None where it refuses them so: then the words themselves must tell. _LeftOut where it loses something.
        """
        first: Unfit | None = None
        for shapes in self._possible(draft.roles):
            try:
                text = self._run(draft.dicts(shapes, every=True), think=think)
                draft.check(text, every=True)
            except Unfit as error:
                first = first or error
            else:
                self._shapes.update(shapes)
                return text, shapes
        if isinstance(first, _LeftOut):
            raise first
        return None, dict.fromkeys(draft.roles, "text")

    def _possible(self, roles: Sequence[str]) -> Iterator[dict[str, Shape]]:
        """Which shapes the content of each role may have, the likely ones first: templates differ, even by role."""
        known = {role: self._shapes[role] for role in roles if role in self._shapes}
        kinds: tuple[Shape, ...] = ("text", "parts")
        every = [dict(zip(roles, chosen, strict=True)) for chosen in itertools.product(kinds, repeat=len(roles))]
        every.sort(key=lambda shapes: len(set(shapes.values())))  # all texts, all parts, then the mixed ones
        if len(known) == len(roles):
            every = [known, *(shapes for shapes in every if shapes != known)]
        yield from every

    def _run(self, messages: list[dict[str, Any]], *, think: bool) -> str:
        """The rendered messages. Unfit where it refuses them; ModelError where it takes too much."""
        try:
            return self._run_with(messages, self._no_tools, think=think)
        except Unfit:
            if self._no_tools is not None:
                raise
            try:  # a few templates, made for tools alone, go through the list without looking whether there is one
                text = self._run_with(messages, [], think=think)
            except Unfit:
                pass
            else:
                self._no_tools = []
                return text
            raise

    def _run_with(self, messages: list[dict[str, Any]], no_tools: list[object] | None, *, think: bool) -> str:
        from mmcli.engine.local.sandbox import Refused, TooMuch

        variables = {
            "messages": messages,
            "tools": no_tools,
            "documents": no_tools,
            "add_generation_prompt": True,
            "bos_token": self._bos,
            "eos_token": self._eos,
            **self._kwargs,
            "enable_thinking": think,  # Qwen 3, SmolLM 3, GLM, Gemma 4
            "thinking": think,  # DeepSeek, Granite
        }
        contents = (message["content"] for message in messages)
        n_given = sum(len(content if isinstance(content, str) else content[0]["text"]) for content in contents)
        try:
            return self._compiled.run(variables, n_given)
        except TooMuch as error:
            raise ModelError(
                f"{self._called} takes too much: {error}",
                hint=OTHER,
            ) from error
        except Refused as error:
            hint = "this model may not accept a system prompt" if _has_system(messages) else OTHER
            raise Unfit(f"{self._called} refused these messages: {error}", hint=hint) from error

    def _segments(self, draft: _Draft, text: str) -> tuple[Segment, ...]:
        segments = [draft.runs(segment) for segment in draft.split(text)]
        if self._adds_bos and self._bos and segments[0] and segments[0][0].special:
            begin, *rest = segments[0]
            words = begin.text.lstrip()
            if words.startswith(self._bos):  # the tokenizer adds it
                words = words[len(self._bos) :]
                segments[0] = [TextRun(words), *rest] if words else rest
        return tuple(map(tuple, segments))


class _LeftOut(Unfit):
    """The template ran, and something that was given is not in what it made."""


class _Draft:
    """One conversation on its way through a template, with its media and texts under markers."""

    def __init__(
        self, messages: Sequence[Message], template: str, newline: str, is_special: Callable[[str], bool]
    ) -> None:
        """`template` is what an error calls it."""
        self._medium = f"<media {secrets.token_hex(8)} "  # then its number
        self._messages, self._template, self._newline = messages, template, newline
        self.roles = tuple(dict.fromkeys(message.role for message in messages))
        self._n_media = sum(len(message.media) for message in messages)
        self._texts: list[tuple[Message, str]] = []
        for message in messages:
            self._texts += [(message, _words(part)) for part in message.parts if not isinstance(part, Projected)]
        # A marker of a text is a number between two letters for private use that are nowhere else: so that what a
        # template may leave of one is seen, too.
        every = "".join(words for _, words in self._texts)
        self._open = _letter_outside(every)
        self._close = _letter_outside(every + self._open)
        self._controlled = {i for i, (_, words) in enumerate(self._texts) if is_special(words)}

    @property
    def is_marked_anyway(self) -> bool:
        """Whether no words pass through the template even where not every text has a marker."""
        return all(i in self._controlled or not words.strip() for i, (_, words) in enumerate(self._texts))

    def dicts(self, shapes: dict[str, Shape], *, every: bool) -> list[dict[str, Any]]:
        """The messages as a template gets them; with a marker for `every` text, or for those with control tokens."""
        media, texts = itertools.count(), itertools.count()
        out = []
        for message in self._messages:
            text, after_words = "", False
            for part in message.parts:
                if isinstance(part, Projected):
                    text, after_words = f"{text}{self._medium}{next(media)}>{self._newline}", False
                    continue
                i = next(texts)
                words = self._marker(i) if self._is_marked(i, every) else self._texts[i][1]
                text, after_words = f"{text}\n\n{words}" if after_words else text + words, True
            content = [{"type": "text", "text": text}] if shapes[message.role] == "parts" else text
            out.append({"role": message.role, "content": content})
        return out

    def check(self, text: str, *, every: bool) -> None:
        """_LeftOut unless what the template made holds every medium, once and in order, and every text.

        Of what the model said before, a template may take the reasoning out: only its marker must be there.
        """
        found = [int(number) for number, _ in self._cut(text)]
        if found != list(range(self._n_media)):
            kept = len(set(found))
            raise _LeftOut(
                f"{self._template} dropped files: {self._n_media} went in, {kept} came out"
                if kept < self._n_media
                else f"{self._template} puts {self._n_media} files into another order, or uses one of them twice",
                hint=f"its GGUF may be made for text only: try another conversion; {OTHER}",
            )
        for i, (message, words) in enumerate(self._texts):
            if self._is_marked(i, every):
                before, found_it, _ = text.partition(self._marker(i))
                is_there = bool(found_it) and not before.endswith(REPR)  # a list was printed, and not its text
            else:
                is_there = message.role == "assistant" or words.strip() in text
            if not is_there:
                raise _LeftOut(f"{self._template} leaves out {self._named(i)}", hint=OTHER)

    def split(self, text: str) -> list[str]:
        """The text between the media."""
        return [text.partition(self._medium)[0], *(behind for _, behind in self._cut(text))]

    def _cut(self, text: str) -> list[tuple[str, str]]:
        """The number of each medium in what the template made, and the text behind it."""
        parts = [part.partition(">") for part in text.split(self._medium)[1:]]
        return [(number, behind) for number, _, behind in parts if number.isdecimal()]

    def runs(self, segment: str) -> list[TextRun]:
        """A segment with the texts in their markers' places; those with control tokens are plain words."""
        begin, *rest = segment.split(self._open)
        found = [TextRun(begin)]
        for part in rest:
            number, closed, behind = part.partition(self._close)
            i = int(number) if closed and number.isdecimal() else len(self._texts)
            if i >= len(self._texts):
                raise _LeftOut(f"{self._template} cuts a text in two that must stay whole", hint=OTHER)
            found += [TextRun(self._texts[i][1], i not in self._controlled), TextRun(behind)]
        runs: list[TextRun] = []
        for run in found:
            if self._close in run.text:
                raise _LeftOut(f"{self._template} cuts a text in two that must stay whole", hint=OTHER)
            if runs and runs[-1].special == run.special:
                run = TextRun(runs.pop().text + run.text, run.special)
            if run.text:
                runs.append(run)
        return runs

    def _marker(self, i: int) -> str:
        return f"{self._open}{i}{self._close}"

    def _is_marked(self, i: int, every: bool) -> bool:
        """An empty text has no marker: templates treat an empty message in their own way."""
        return bool(self._texts[i][1].strip()) and (every or i in self._controlled)

    def _named(self, i: int) -> str:
        """Which text it is, for a user."""
        message, words = self._texts[i]
        if message.role == "system":
            return "the system prompt"
        if message.role == "assistant":
            return "what the model said before"
        of_question = [part for part in message.parts if isinstance(part, Text) and part.rendered == words]
        if of_question:
            return f"`{of_question[0].name}`"
        return "the question" if message is self._messages[-1] else "a question that was asked before"


def _letter_outside(text: str) -> str:
    """A letter for private use that is not in `text`."""
    while (letter := chr(PRIVATE + secrets.randbelow(N_PRIVATE))) in text:
        pass
    return letter


def _words(part: str | Text | Projected) -> str:
    assert not isinstance(part, Projected)
    return part if isinstance(part, str) else part.rendered


def _has_system(messages: Sequence[dict[str, Any]]) -> bool:
    return any(message["role"] == "system" for message in messages)
