"""How sure a model was of each value that it gave: read from the probabilities of the value's tokens.

They are the model's own, before the schema and the temperature had their say: what a schema leaves of the choices would
hide the doubt. They are not calibrated; a model may be sure and wrong.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from mmcli.engine import Answer

VALUE = "value"  # what an answer that is no object is called


@dataclass(frozen=True)
class Confidence:
    """Of one value: the probability of all its tokens together, the least likely one, and how often the schema refused
    what the model had chosen.
    """

    p: float
    low: str  # text
    low_p: float
    overruled: int

    @property
    def record(self) -> dict[str, Any]:
        return {"p": round(self.p, 6), "low": self.low, "low_p": round(self.low_p, 6), "overruled": self.overruled}


def of(answer: Answer) -> Mapping[str, Confidence]:
    """Of each field of the answer's object, or of the whole value; empty where nothing is known of them."""
    if not answer.chances:
        return {}
    try:
        json.loads(answer.text)
    except ValueError:  # it was cut off
        return {}
    data = answer.text.encode()
    # White space before the answer is not shown; its tokens come first.
    at = len(data) - sum(n_bytes for n_bytes, _, _ in answer.chances)
    tokens = []
    for n_bytes, log_prob, overruled in answer.chances:
        tokens.append((at, at + n_bytes, log_prob, overruled))
        at += n_bytes
    found = {}
    for name, start, end in _values(answer.text):
        first, last = len(answer.text[:start].encode()), len(answer.text[:end].encode())
        own = [token for token in tokens if token[0] < last and token[1] > first]
        if not own:
            continue
        low = min(own, key=lambda token: token[2])
        text = data[max(0, low[0]) : low[1]].decode("utf-8", "replace")
        p = math.exp(sum(token[2] for token in own))
        found[name] = Confidence(p, text, math.exp(low[2]), sum(token[3] for token in own))
    return found


def _values(text: str) -> Iterator[tuple[str, int, int]]:
    """Each field's name, and where its value stands in the text."""
    decoder = json.JSONDecoder()
    at = _skip(text, 0)
    if not text.startswith("{", at):
        yield VALUE, at, decoder.raw_decode(text, at)[1]
        return
    at = _skip(text, at + 1)
    while text.startswith('"', at):
        name, at = scanstring(text, at + 1)
        at = _skip(text, _skip(text, at) + 1)  # the colon
        _, end = decoder.raw_decode(text, at)
        yield name, at, end
        at = _skip(text, end)
        if text.startswith(",", at):
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
