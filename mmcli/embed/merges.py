"""Tokens of tokenizers in Gemma's form, from tables that are compiled once and then mapped. Knows no models.

Such a tokenizer.json holds 256,000 pieces and half a million merges; reading its 34 MB takes longer than the text tower
that follows. What a text needs of it is little: the ids of its letters, and for a pair of ids its rank and the id that
it becomes. So these are written down once as sorted arrays, and `searchsorted` finds them. Any other form, and any text
that holds one of the file's special tokens, is left to Hugging Face's tokenizers, which stays the reference.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmcli import files

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAGIC = b"MMCLIBPE\x01"
_ARRAYS = (
    ("letters", "u4"),
    ("letter_ids", "i4"),
    ("pairs", "u8"),
    ("ranks", "i4"),
    ("becomes", "i4"),
    ("bytes", "i4"),
)
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BLANK = "\u2581"  # what these tokenizers write for a space


@dataclass(frozen=True)
class Tables:
    """What is kept of a tokenizer.json; the arrays are mapped from the disk.

    `letters` are code points in order and `letter_ids` their tokens; `pairs` is left << 32 | right, in order, with the
    pair's rank and the token it becomes; `bytes` are the 256 tokens that stand for letters without one.
    """

    letters: NDArray[np.uint32]
    letter_ids: NDArray[np.int32]
    pairs: NDArray[np.uint64]
    ranks: NDArray[np.int32]
    becomes: NDArray[np.int32]
    bytes: NDArray[np.int32]
    before: tuple[int, ...]  # tokens that are put before and behind every text
    behind: tuple[int, ...]
    lower: bool  # whether texts are written in small letters first
    special: tuple[str, ...]  # texts with one of these are left to the reference


class CompiledCutter:
    """Cuts texts by the tables; what they cannot do goes to the reference, which is read when it is first needed."""

    def __init__(self, tables: Tables, reference: Callable[[], Any]) -> None:
        self._tables, self._make = tables, reference
        self._reference: Any = None

    def ids(self, text: str) -> list[int]:
        if any(special in text for special in self._tables.special):
            self._reference = self._reference or self._make()
            found: list[int] = self._reference.ids(text)
            return found
        cut = _merged(self._tables, _letters(self._tables, text))
        return [*self._tables.before, *cut, *self._tables.behind]


def _letters(tables: Tables, text: str) -> list[int]:
    """The token of each letter, or those of its bytes where it has none."""
    written = (text.lower() if tables.lower else text).replace(" ", _BLANK)
    points = np.array([ord(letter) for letter in written], np.uint32)
    at = np.minimum(np.searchsorted(tables.letters, points), len(tables.letters) - 1)
    known = tables.letters[at] == points
    if known.all():
        plain: list[int] = tables.letter_ids[at].tolist()
        return plain
    out: list[int] = []
    for letter, is_known, token in zip(written, known.tolist(), tables.letter_ids[at].tolist(), strict=True):
        out += [token] if is_known else tables.bytes[list(letter.encode("utf-8", "replace"))].tolist()
    return out


def _merged(tables: Tables, ids: list[int]) -> list[int]:
    """Byte-pair encoding: the pair of lowest rank becomes one, the leftmost first, until no pair is known."""
    n = len(ids)
    before, after = list(range(-1, n - 1)), [*range(1, n), -1]
    queue: list[tuple[int, int, int]] = []  # rank, place, what it becomes

    def look(lefts: list[int]) -> None:
        keys = np.array([ids[left] << 32 | ids[after[left]] for left in lefts], np.uint64)
        at = np.minimum(np.searchsorted(tables.pairs, keys), len(tables.pairs) - 1)
        found = (tables.pairs[at] == keys).tolist()
        for left, where, is_pair in zip(lefts, at.tolist(), found, strict=True):
            if is_pair:
                heapq.heappush(queue, (int(tables.ranks[where]), left, int(tables.becomes[where])))

    if n > 1 and len(tables.pairs):
        look(list(range(n - 1)))
    expected: dict[tuple[int, int], int] = {}
    while queue:
        _, left, new = heapq.heappop(queue)
        right = after[left] if ids[left] >= 0 else -1
        if right < 0 or _becomes(tables, ids[left], ids[right], expected) != new:
            continue  # one of the two has become something else meanwhile
        ids[left], ids[right] = new, -1
        after[left] = after[right]
        if after[right] >= 0:
            before[after[right]] = left
        changed = [place for place in (before[left], left) if place >= 0 and after[place] >= 0]
        if changed:
            look(changed)
    return [token for token in ids if token >= 0]


def _becomes(tables: Tables, left: int, right: int, known: dict[tuple[int, int], int]) -> int:
    """The token that a pair becomes, -1 where it becomes none."""
    if (left, right) not in known:
        key = np.uint64(left << 32 | right)
        at = int(np.searchsorted(tables.pairs, key))
        is_pair = at < len(tables.pairs) and tables.pairs[at] == key
        known[left, right] = int(tables.becomes[at]) if is_pair else -1
    return known[left, right]


# compiling


def compiled(tokenizer: Path, digest: str, cache: Path) -> Tables | None:
    """The tables of a tokenizer.json whose SHA-256 is `digest`, compiled if need be; None where its form is another."""
    place = cache / "tokenizers" / digest
    with contextlib.suppress(OSError, ValueError):
        return _mapped(place)
    data = _compile(json.loads(tokenizer.read_bytes()))
    with contextlib.suppress(OSError):  # then it is compiled again the next time
        files.private_folder(place.parent)
        files.cache(place, data)
        return _mapped(place) if data else None
    return None


def may_be(tokenizer: Path) -> bool:
    """Whether it is worth a look: only large files cost anything."""
    return tokenizer.stat().st_size > 4_000_000


def _mapped(place: Path) -> Tables | None:
    """The tables in a file of the cache; None where it says that the form is another. ValueError: it is damaged."""
    if place.stat().st_size == 0:
        return None
    whole = np.memmap(place, np.uint8, "r")
    if bytes(whole[: len(_MAGIC)]) != _MAGIC:
        raise ValueError("not such a file")
    start = len(_MAGIC) + 4
    length = int.from_bytes(bytes(whole[len(_MAGIC) : start]), "little")
    facts = json.loads(bytes(whole[start : start + length]))
    at = start + length + -(start + length) % 8
    arrays = {}
    for name, kind in _ARRAYS:
        n_bytes = facts["sizes"][name] * np.dtype(kind).itemsize
        if at + n_bytes > len(whole):
            raise ValueError("cut off")
        arrays[name] = whole[at : at + n_bytes].view(kind)
        at += n_bytes + -n_bytes % 8
    before, behind, special = (tuple(facts[key]) for key in ("before", "behind", "special"))
    return Tables(**arrays, before=before, behind=behind, lower=facts["lower"], special=special)


def _compile(file: dict[str, Any]) -> bytes:
    """The tables as they are kept; nothing where the tokenizer has another form."""
    try:
        lower = _form(file)
        before, behind = _around(file)
    except (KeyError, TypeError, ValueError):
        return b""
    model, vocab = file["model"], file["model"]["vocab"]
    bytes_ = np.array([vocab[f"<0x{value:02X}>"] for value in range(256)], "i4")
    letters = sorted((ord(piece), token) for piece, token in vocab.items() if len(piece) == 1)
    merges = [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]
    rows: dict[int, tuple[int, int]] = {}
    for rank, (left, right) in enumerate(merges):
        rows[vocab[left] << 32 | vocab[right]] = (rank, vocab[left + right])
    keys = np.fromiter(rows, "u8", len(rows))
    order = np.argsort(keys)
    values = np.array(list(rows.values()), "i4").reshape(-1, 2)[order]
    arrays = {
        "letters": np.array([point for point, _ in letters], "u4"),
        "letter_ids": np.array([token for _, token in letters], "i4"),
        "pairs": keys[order],
        "ranks": values[:, 0],
        "becomes": values[:, 1],
        "bytes": bytes_,
    }
    special = [str(token["content"]) for token in file.get("added_tokens") or []]
    facts: dict[str, Any] = {"before": before, "behind": behind, "lower": lower, "special": special}
    facts["sizes"] = {name: len(arrays[name]) for name, _ in _ARRAYS}
    header = json.dumps(facts).encode()
    out = _MAGIC + len(header).to_bytes(4, "little") + header
    for name, kind in _ARRAYS:
        out += bytes(-len(out) % 8) + np.ascontiguousarray(arrays[name], kind).tobytes()
    return out


def _form(file: dict[str, Any]) -> bool:
    """Whether texts are made small first; ValueError where the tokenizer is not of Gemma's form."""
    model = file["model"]
    plain = not any(model.get(key) for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
    if model["type"] != "BPE" or not model.get("byte_fallback") or model.get("ignore_merges") or not plain:
        raise ValueError("another kind of model")
    steps = file.get("normalizer") or {}
    steps = steps["normalizers"] if steps.get("type") == "Sequence" else [steps]
    if steps and steps[0].get("type") == "Lowercase":
        lower, steps = True, steps[1:]
    else:
        lower = False
    if steps != [{"type": "Replace", "pattern": {"String": " "}, "content": _BLANK}]:
        raise ValueError("texts are written in another way")
    split = file.get("pre_tokenizer")
    if split is not None and (split.get("type") != "Split" or split.get("pattern") != {"String": " "}):
        raise ValueError("texts are split in another way")  # no space is left to split at
    return lower


def _around(file: dict[str, Any]) -> tuple[list[int], list[int]]:
    """The tokens that are put before and behind every text."""
    last = file.get("post_processor")
    if last is None:
        return [], []
    if last["type"] != "TemplateProcessing":
        raise ValueError("another ending")
    sides: tuple[list[int], list[int]] = ([], [])
    behind = False
    for item in last["single"]:
        if "Sequence" in item:
            behind = True
        else:
            sides[behind].extend(last["special_tokens"][item["SpecialToken"]["id"]]["ids"])
    if not behind:
        raise ValueError("no text")
    return sides
