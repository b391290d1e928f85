"""What goes into the engine and what comes out of it. Knows nothing of llama.cpp, templates or terminals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mmcli.errors import MmcliError
from mmcli.media.types import Projected, Receipt, Text

Role: TypeAlias = Literal["system", "user", "assistant"]
Part: TypeAlias = str | Text | Projected
FinishReason: TypeAlias = Literal["stop", "length", "interrupted", "loop"]
PieceKind: TypeAlias = Literal["answer", "reasoning"]

# on_progress(phase, done, total): phase is "encode", "prefill" or "load"; done and total count tokens (or percent)
OnProgress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Message:
    """One turn of a conversation: a role and its parts in order, words, texts and media."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def media(self) -> tuple[Projected, ...]:
        """What goes through the projector."""
        return tuple(part for part in self.parts if isinstance(part, Projected))


class First(Future[tuple[Sequence[Message], bool]]):
    """What is asked first, and whether the template may let the model think: told while the model still loads."""

    def __init__(self, *, has_media: bool = False) -> None:
        """`has_media`: it is known from the start that there will be media in it."""
        super().__init__()
        self.has_media = has_media


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; fields in the order people ask for them.

    `seed=None` draws a new one each time. A filter is off at top_k 0, top_p 1, min_p 0 or repeat_penalty 1.
    """

    temperature: float = 0.2  # 0 is greedy
    max_tokens: int = 1024
    seed: int | None = None
    top_p: float = 0.95
    top_k: int = 40
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    think: bool = False  # let a template that can think do so
    loop_guard: bool = True
    schema: str | None = None  # JSON schema, as JSON, that the answer keeps to; reasoning is left out of it
    grammar: str | None = None  # Lark, as llguidance reads it: the same for answers that are no JSON
    # DRY ("don't repeat yourself") makes the continuation of what was said before less likely; off at multiplier 0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2  # tokens that may be repeated freely
    dry_last_n: int = -1  # tokens that are looked at; -1: all of the answer
    confidence: bool = False  # tell of each token of a shaped answer how likely it was: Answer.chances
    special: bool = False  # control tokens are part of the answer's text: DocTags are made of them


# Where the KV cells of a medium came from; "ahead": computed while the question was typed; a text is part of the prompt
Origin: TypeAlias = Literal["encoded", "ahead", "memory", "disk", "text"]


@dataclass(frozen=True)
class Seen:
    """What the model really got of one medium: the engine's half of a receipt."""

    receipt: Receipt
    media_id: str
    n_tokens: int  # KV cells
    n_pos: int  # positions it advanced (differs from n_tokens under M-RoPE)
    origin: Origin


@dataclass
class Usage:
    """Tokens and seconds of one answer. Keys of `seconds`: load, restore, tokenize, encode, prefill, save, decode."""

    prompt_tokens: int = 0
    reused_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    forced_tokens: int = 0  # of the completion: the schema left no choice, so that the model was not asked
    n_encodes: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, phase: str, seconds: float) -> None:
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(phase, time.perf_counter() - started)


@dataclass(frozen=True)
class Answer:
    """How one answer ended, and the proof of what went into it. The last Piece carries it."""

    text: str
    reasoning: str
    finish_reason: FinishReason
    seen: tuple[Seen, ...]
    usage: Usage
    model: str
    weights: str | None  # identity of the weights file, hex; None where an engine elsewhere does not tell
    projector: str | None  # identity of the projector file, hex
    device: str
    n_ctx: int
    n_past: int  # tokens of n_ctx that are filled
    seed: int
    stopped_by: str = ""  # the stop text that ended it, if one did
    # Of each token of a shaped answer, where Sampling.confidence is on: its bytes in the text, the logarithm of the
    # probability that the model gave it of its own accord (0 where it had no choice), and whether the schema refused
    # another that it had chosen first.
    chances: tuple[tuple[int, float, bool], ...] = ()


@dataclass(frozen=True)
class Scores:
    """How likely a model is to answer with each of some choices, and the proof of what it was shown."""

    log_probs: tuple[float, ...]  # natural logarithm of the probability that the answer begins so, by choice
    n_tokens: tuple[int, ...]  # of each choice, at least
    seen: tuple[Seen, ...]
    usage: Usage

    @property
    def mass(self) -> float:
        """The probability of all choices together: near 0 where the model would say something else."""
        return sum(map(math.exp, self.log_probs))


@dataclass(frozen=True)
class Piece:
    """Complete UTF-8 text of new tokens; the last one of an answer has `answer` set and may be empty.

    Where many are answered at once, a request that cannot be answered ends with one empty Piece that has `error` set
    instead: why, and what helps. The others go on.
    """

    text: str
    kind: PieceKind = "answer"
    answer: Answer | None = None
    error: MmcliError | None = None
