"""Keeps answers to a JSON schema, token by token: which token may come next, and which must. Knows llguidance alone.

A check of one token takes microseconds and a mask of the whole vocabulary up to some milliseconds, so a token is chosen
freely first, and the mask is made only where the grammar refuses it (as llama.cpp's own sampler does). Where only one
text can follow, its tokens are taken without asking the model.
"""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from mmcli.errors import OutputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# One style of white space, the one that models write: no loops of blanks, and more that only one text can follow.
STYLE: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
SPECIAL = b"\xff"  # llguidance: what begins so is no text
_KEYS = re.compile(r"Unimplemented keys: \[(.*)\]")


def compiled(schema: Mapping[str, Any]) -> str:
    """A JSON schema as llguidance reads it; UsageError that names the keyword that cannot be kept to."""
    from llguidance import LLMatcher

    try:
        grammar: str = LLMatcher.grammar_from_json_schema(dict(schema), overrides=STYLE)
    except ValueError as error:
        raise UsageError(f"the schema is not a JSON schema: {error}") from error
    is_wrong, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    if is_wrong:
        raise UsageError(f"the schema cannot be kept to: {_why(messages)}", hint="leave that out of the schema")
    return grammar


def _why(messages: Sequence[str]) -> str:
    """llguidance's complaint in one clause, with what it is about in backticks."""
    told = " ".join(" ".join(messages).split())
    if (found := _KEYS.search(told)) is not None:
        keys = ", ".join(f"`{key}`" for key in re.findall(r'"([^"]*)"', found[1]))
        return f"{keys} {'is' if keys.count('`') == 2 else 'are'} not supported"
    if (found := re.search(r"Unknown format: (\S+)", told)) is not None:
        return f"the `format` `{found[1]}` is not supported"
    if (found := re.search(r"Invalid type: (\S+)", told)) is not None:
        return f"`{found[1]}` is not a `type`"
    if "not present in a registry" in told:
        return "`$ref` leads outside of the schema"
    return told[:200]


def of_lark(text: str) -> str:
    """A grammar written in llguidance's form of Lark, as llguidance reads it; UsageError where it is none."""
    from llguidance import LLMatcher

    grammar: str = LLMatcher.grammar_from_lark(text)
    is_wrong, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    if is_wrong:
        raise UsageError(f"the grammar cannot be kept to: {_why(messages)}")
    return grammar


@functools.lru_cache(maxsize=8)
def _compiled_text(schema: str) -> str:
    """The same of a schema as JSON: each of many answers asks for it."""
    return compiled(json.loads(schema))


class NativeVocabulary(Protocol):
    """What is asked of llama.cpp's vocabulary."""

    @property
    def vocab(self) -> Any:
        """The native handle."""
        ...

    @property
    def tokenize_address(self) -> int:
        """Where `llama_tokenize` lies in this process."""
        ...

    @property
    def end(self) -> int:
        """The token that ends an answer."""
        ...

    def pieces(self, mark: bytes) -> list[bytes]:
        """The bytes of every token, those of control tokens behind `mark`."""
        ...


class GrammarVocabulary:
    """A model's vocabulary as llguidance wants it, made once, in a thread: that takes up to two seconds.

    `start` begins; `matcher` waits for it. `of_weights` says what is needed of it, and must live as long as this.
    """

    def __init__(self, of_weights: NativeVocabulary) -> None:
        self._weights = of_weights
        self._tokenizer: Any = None
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin now, beside what else there is to compute."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._make, name="vocabulary", daemon=True)
            self._thread.start()

    def matcher(self, schema: str | None, lark: str | None = None) -> Matcher:
        """What holds one answer to a schema, given as JSON, or to a grammar; UsageError as from `compiled`."""
        self.start()
        grammar = _compiled_text(schema) if schema is not None else of_lark(lark or "")
        self.join()
        if self._error is not None:
            raise self._error
        return Matcher(self._tokenizer, grammar)

    def join(self) -> None:
        """Wait until nothing reads llama.cpp's vocabulary any more."""
        if self._thread is not None:
            self._thread.join()

    def _make(self) -> None:
        from llguidance import LLTokenizer

        weights = self._weights
        try:
            # As llguidance.llamacpp does, which wants all of llama_cpp imported. Without slices it is made in a third
            # of the time, and masks are rare.
            self._tokenizer = LLTokenizer.from_llamacpp(  # type: ignore[attr-defined]
                tokens=weights.pieces(SPECIAL),
                vocab_ptr=weights.vocab,
                tokenize_fptr=weights.tokenize_address,
                eos_token=weights.end,
                slices=[],
            )
        except BaseException as error:  # raised where it is waited for
            self._error = error


class Matcher:
    """Where one answer stands in its grammar."""

    def __init__(self, tokenizer: Any, grammar: str) -> None:
        from llguidance import LLMatcher

        self._matcher = LLMatcher(tokenizer, grammar, log_level=0)
        self._check()

    def allows(self, token: int) -> bool:
        """Whether this token may come next."""
        return bool(self._matcher.validate_tokens([token]) == 1)

    def mask(self, n_vocab: int) -> NDArray[np.bool_]:
        """(n_vocab,): which tokens may come next."""
        import numpy as np

        bits = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
        self._check()
        found = np.zeros(n_vocab, np.bool_)
        found[: len(bits)] = bits[:n_vocab]
        return found

    def accept(self, token: int) -> None:
        """The answer goes on with this token, which is allowed."""
        self._matcher.consume_token(token)
        self._check()

    def forced(self, most: int) -> list[int]:
        """At most so many tokens that must come next, now accepted; empty where there is a choice."""
        if most <= 0 or self._matcher.is_stopped():
            return []
        tokens: list[int] = self._matcher.compute_ff_tokens()[:most]
        if tokens:
            self._matcher.consume_tokens(tokens)
            self._check()
        return tokens

    @property
    def may_end(self) -> bool:
        """Whether the answer is whole as it is."""
        return bool(self._matcher.is_accepting())

    @property
    def is_done(self) -> bool:
        """Whether nothing more can come."""
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise OutputError(f"the answer cannot be kept to the schema: {_why([self._matcher.get_error()])}")


MakeMatcher = Callable[[], Matcher]
