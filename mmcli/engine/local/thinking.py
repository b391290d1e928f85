"""The markers of reasoning and answer in each model family, as data. Knows no models by name, and no tokens.

Read in llama.cpp's common/chat.cpp and common/parsers, and in the models' own templates. A `*` in a mark stands for the
rest of a header, up to HEADER characters.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

HEADER = 200  # characters


class Family(NamedTuple):
    """The marks of one family. None of them is shown."""

    opening: tuple[str, ...]  # of reasoning
    closing: tuple[str, ...]
    answer: tuple[str, ...] = ()  # of the answer, where it has one
    end: tuple[str, ...] = ()  # of the answer
    between: tuple[str, ...] = ()  # stand between one part and the next


def _pair(opening: str, closing: str, **more: tuple[str, ...]) -> Family:
    return Family((opening,), (closing,), **more)


FAMILIES = (
    _pair("<think>", "</think>"),  # DeepSeek, Qwen, GLM, SmolLM, Nemotron, MiniMax, ...
    _pair("<thinking>", "</thinking>"),
    _pair("<thought>", "</thought>"),
    _pair("<seed:think>", "</seed:think>"),
    _pair("<mm:think>", "</mm:think>"),
    _pair("<think:opensource>", "</think:opensource>"),
    _pair("[THINK]", "[/THINK]"),  # Magistral, Ministral
    _pair("◁think▷", "◁/think▷"),  # Kimi-VL
    _pair("<|channel>thought", "<channel|>"),  # Gemma 4
    _pair("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    _pair(  # Command
        "<|START_THINKING|>",
        "<|END_THINKING|>",
        answer=("<|START_RESPONSE|>", "<|START_TEXT|>"),
        end=("<|END_RESPONSE|>", "<|END_TEXT|>"),
    ),
    _pair(  # Kimi K3
        "<|open|>think<|sep|>",
        "<|close|>think<|sep|>",
        answer=("<|open|>response<|sep|>",),
        end=("<|close|>response<|sep|>",),
        between=("<|close|>message<|sep|>",),
    ),
    _pair("<|think|>", "<|end|>", answer=("<|content|>",), end=("<|end|>",), between=("<|begin|>assistant",)),  # Solar
    Family(  # gpt-oss (harmony): channels; what goes to a tool is not an answer either
        opening=("<|channel|>analysis*<|message|>", "<|channel|>commentary*<|message|>"),
        closing=("<|end|>", "<|call|>"),
        answer=("<|channel|>final*<|message|>",),
        end=("<|end|>", "<|return|>"),
        between=("<|start|>assistant",),
    ),
    Family(  # recipients instead of channels
        opening=("to=self<|message|>",),
        closing=("<|eom|>",),
        answer=("to=user<|message|>", "<|message|>"),
        end=("<|eom|>", "<|eot|>"),
        between=("<|start|>assistant",),
    ),
    _pair("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]", end=("[END FINAL RESPONSE]",)),  # Apriel
    _pair("Here is my thought process:", "Here is my response:"),  # Granite 3.2
)


@functools.lru_cache(maxsize=256)
def is_part_of_a_mark(text: str) -> bool:
    """Whether a control token of this text can stand in one of the marks."""
    return bool(text) and any(text in mark for family in FAMILIES for marks in family for mark in marks)


def match(text: str, mark: str) -> int:
    """How many characters of `text` the mark takes that stands at its beginning; 0 for none, -1 while it may be one."""
    head, star, tail = mark.partition("*")
    if not text.startswith(head):
        return -1 if head.startswith(text) else 0
    if not star:
        return len(head)
    at = text.find(tail, len(head), len(head) + HEADER + len(tail))
    if at >= 0:
        return at + len(tail)
    return -1 if len(text) < len(head) + HEADER + len(tail) else 0


class Opened(NamedTuple):
    """What a prompt has already begun: the reasoning of a family, or its answer."""

    family: Family
    is_reasoning: bool


def opened_by(prompt: str) -> Opened | None:
    """What the end of a prompt has begun; None where the model begins by itself."""
    end = prompt.rstrip()
    for family in FAMILIES:
        for marks, is_reasoning in ((family.opening, True), (family.answer, False)):
            if any(end.endswith(mark.replace("*", "")) for mark in marks):
                return Opened(family, is_reasoning)
    return None
