"""Chat templates of the common model families, as data: for a GGUF that carries none.

The names are those of llama.cpp's `--chat-template`, and so are the words around each turn (llama-chat.cpp and the
models' own templates). Knows no models: what a vocabulary holds is asked of the caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

EOS = "\0"  # in the data below: the text of the model's own end token


class Around(NamedTuple):
    """What stands before and behind the words of one turn."""

    before: str
    behind: str = ""


class Form(NamedTuple):
    """One form. A vocabulary that has every one of `marks` as a token of its own is of this form."""

    name: str
    user: Around
    assistant: Around
    ask: str  # what asks for the next answer
    system: Around | None = None  # None: there is no place for a system prompt
    user_after_system: Around | None = None  # where the system prompt stands inside of the first question's turn
    marks: tuple[str, ...] = ()  # none: only its name chooses it
    stop: tuple[str, ...] = ()  # texts that end an answer, where the vocabulary has no token that does
    start: str = ""  # before the first turn

    @property
    def source(self) -> str:
        """The form as a Jinja template."""
        user = _jinja(self.user)
        if self.user_after_system is not None:
            follows = "loop.index0 and messages[loop.index0 - 1]['role'] == 'system'"
            user = f"{{% if {follows} %}}{_jinja(self.user_after_system)}{{% else %}}{user}{{% endif %}}"
        system = f"{{% elif message['role'] == 'system' %}}{_jinja(self.system)}" if self.system is not None else ""
        return (
            f"{_literal(self.start)}{{% for message in messages %}}"
            f"{{% if message['role'] == 'user' %}}{user}"
            f"{{% elif message['role'] == 'assistant' %}}{_jinja(self.assistant)}"
            f"{system}{{% endif %}}{{% endfor %}}"
            f"{{% if add_generation_prompt %}}{_literal(self.ask)}{{% endif %}}"
        )


def _jinja(turn: Around) -> str:
    return f"{_literal(turn.before)}{{{{ message['content'] }}}}{_literal(turn.behind)}"


def _literal(text: str) -> str:
    parts = (f"{{{{ {json.dumps(part, ensure_ascii=False)} }}}}" if part else "" for part in text.split(EOS))
    return "{{ eos_token }}".join(parts)


def _alike(name: str, before: str, between: str, behind: str, *marks: str, assistant: str = "assistant") -> Form:
    """A form that writes all turns in one way, each with the name of its role."""
    system, user, said = (Around(f"{before}{role}{between}", behind) for role in ("system", "user", assistant))
    stop = (behind.strip(),) if EOS not in behind and behind.strip() else ()
    return Form(name, user, said, said.before, system, marks=marks, stop=stop)


def _marked(
    name: str, user: Around, assistant: Around, *marks: str, system: Around | None, ask: str | None = None
) -> Form:
    """A form with words of its own for each role."""
    return Form(name, user, assistant, assistant.before if ask is None else ask, system, marks=marks)


_DEEPSEEK_END = "<｜end▁of▁sentence｜>"
# Those with more marks stand before those with fewer: `<|im_start|>` is ChatML, but with `<|im_sep|>` beside it Phi 4.
_ALL = (
    _alike("gemma4", "<|turn>", "\n", "<turn|>\n", "<|turn>", "<turn|>", assistant="model"),
    Form(
        "gemma",
        Around("<start_of_turn>user\n", "<end_of_turn>\n"),
        Around("<start_of_turn>model\n", "<end_of_turn>\n"),
        "<start_of_turn>model\n",
        marks=("<start_of_turn>", "<end_of_turn>"),
        stop=("<end_of_turn>",),
    ),
    _alike("phi4", "<|im_start|>", "<|im_sep|>", "<|im_end|>", "<|im_start|>", "<|im_sep|>", "<|im_end|>"),
    Form(
        "smolvlm",
        Around("User: ", "<end_of_utterance>\n"),
        Around("Assistant: ", "<end_of_utterance>\n"),
        "Assistant:",
        Around("System: ", "<end_of_utterance>\n"),
        marks=("<end_of_utterance>",),
        stop=("<end_of_utterance>",),
        start="<|im_start|>",
    ),
    _marked(
        "kimi-k2",
        Around("<|im_user|>user<|im_middle|>", "<|im_end|>"),
        Around("<|im_assistant|>assistant<|im_middle|>", "<|im_end|>"),
        *("<|im_user|>", "<|im_assistant|>", "<|im_middle|>"),
        system=Around("<|im_system|>system<|im_middle|>", "<|im_end|>"),
    ),
    _alike("chatml", "<|im_start|>", "\n", "<|im_end|>\n", "<|im_start|>", "<|im_end|>"),
    _alike("llama4", "<|header_start|>", "<|header_end|>\n\n", "<|eot|>", "<|header_start|>", "<|header_end|>"),
    _alike("llama3", "<|start_header_id|>", "<|end_header_id|>\n\n", "<|eot_id|>", "<|start_header_id|>", "<|eot_id|>"),
    _marked(
        "mistral-v7-tekken",
        Around("[INST]", "[/INST]"),
        Around("", EOS),
        *("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[INST]", "[/INST]"),
        system=Around("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
    ),
    _marked("mistral-v3-tekken", Around("[INST]", "[/INST]"), Around("", EOS), "[INST]", "<SPECIAL_999>", system=None),
    _marked("mistral-v3", Around("[INST] ", "[/INST]"), Around(" ", EOS), "[INST]", "[/INST]", system=None, ask=""),
    _marked(
        "command-r",
        Around("<|START_OF_TURN_TOKEN|><|USER_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        Around("<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        *("<|START_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>"),
        system=Around("<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    ),
    _marked(
        "deepseek3",
        Around("<｜User｜>"),
        Around("<｜Assistant｜>", _DEEPSEEK_END),
        *("<｜User｜>", "<｜Assistant｜>"),
        system=Around("", "\n\n"),
    ),
    _alike(
        "granite", "<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>\n", "<|start_of_role|>", "<|end_of_role|>"
    ),
    Form(
        "gpt-oss",
        Around("<|start|>user<|message|>", "<|end|>"),
        Around("<|start|>assistant<|channel|>final<|message|>", "<|end|>"),
        "<|start|>assistant",
        Around("<|start|>system<|message|>", "<|end|>"),
        marks=("<|start|>", "<|channel|>", "<|message|>"),
    ),
    Form(
        "chatglm4",
        Around("<|user|>\n"),
        Around("<|assistant|>\n"),
        "<|assistant|>\n",
        Around("<|system|>\n"),
        marks=("[gMASK]", "<sop>", "<|user|>", "<|assistant|>"),
        start="[gMASK]<sop>",
    ),
    _alike("phi3", "<|", "|>\n", "<|end|>\n", "<|user|>", "<|assistant|>", "<|end|>"),
    _alike("zephyr", "<|", "|>\n", f"{EOS}\n", "<|user|>", "<|assistant|>"),
    _marked(
        "exaone4",
        Around("[|user|]", "\n"),
        Around("[|assistant|]", "[|endofturn|]\n"),
        *("[|user|]", "[|assistant|]", "[|endofturn|]"),
        system=Around("[|system|]", "[|endofturn|]\n"),
    ),
    _marked(
        "openchat",
        Around("GPT4 Correct User: ", "<|end_of_turn|>"),
        Around("GPT4 Correct Assistant: ", "<|end_of_turn|>"),
        "<|end_of_turn|>",
        system=Around("", "<|end_of_turn|>"),
        ask="GPT4 Correct Assistant:",
    ),
    Form(
        "llama2",
        Around("[INST] ", " [/INST]"),
        Around("", EOS),
        "",
        Around("[INST] <<SYS>>\n", "\n<</SYS>>\n\n"),
        user_after_system=Around("", " [/INST]"),
    ),
    Form("moondream", Around("\n\nQuestion: "), Around("\n\nAnswer: "), "\n\nAnswer:", stop=("\n\nQuestion:",)),
    Form(  # LLaVA 1.5 was trained on this form (Vicuna v1.1): github.com/haotian-liu/LLaVA, conversation.py
        "vicuna",
        Around("USER: ", "\n"),
        Around("ASSISTANT: ", f"{EOS}\n"),
        "ASSISTANT:",
        Around("", "\n\n"),
        stop=("USER:",),
    ),
)
FORMS = {form.name: form for form in _ALL}
MARKS = frozenset(mark for form in _ALL for mark in form.marks)
CHATML, VICUNA = FORMS["chatml"], FORMS["vicuna"]


NONE = "none"  # no form: the words as they are, which a base model goes on with
_RAW = (
    "{% for message in messages %}{{ message['content'] }}{% if not loop.last %}{{ '\\n\\n' }}{% endif %}{% endfor %}"
)


class ChosenTemplate(NamedTuple):
    """The template that a model is asked with."""

    source: str
    stop: tuple[str, ...] = ()
    name: str = ""  # of a form or a file; empty where the template is the model's own
    why: str = ""  # a form was taken, where nobody chose it


def named(name: str) -> ChosenTemplate | None:
    """The template that `--template NAME` means; None where no form has this name."""
    if name == NONE:
        return ChosenTemplate(_RAW, name=NONE)
    form = FORMS.get(name)
    return None if form is None else ChosenTemplate(form.source, form.stop, name)


def choose(own: str | None, is_token: Callable[[str], bool]) -> ChosenTemplate:
    """The template of a model that carries `own`, or none; `is_token` says whether its vocabulary has such a token."""
    if own is not None and own.strip():
        return named(own.strip()) or ChosenTemplate(own)  # some old files name a form instead
    for form in _ALL:
        if form.marks and all(map(is_token, form.marks)):
            return ChosenTemplate(form.source, form.stop, form.name, f"its vocabulary has `{form.marks[0]}`")
    return ChosenTemplate(VICUNA.source, VICUNA.stop, VICUNA.name, "its vocabulary matches no other form")
