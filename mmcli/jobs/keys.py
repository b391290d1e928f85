"""Names of results that are cached: everything but the input that could change an answer, in one word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from mmcli import schema
from mmcli.engine import Sampling

# Of the sampling, what every key has always held; see schema.named.
KEYED = tuple("temperature max_tokens seed top_p top_k min_p repeat_penalty stop think loop_guard".split())


def whole(words: Sequence[object], sampling: Sampling) -> str:
    """The key of what is asked in these `words`."""
    return _digest([*words, schema.named(sampling, KEYED)])


def base(words: Sequence[object], sampling: Sampling) -> str:
    """The same without the limit, which changes only those answers that it cuts."""
    named = schema.named(sampling, KEYED)
    del named["max_tokens"]
    return _digest([*words, named])


def _digest(words: Sequence[object]) -> str:
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
