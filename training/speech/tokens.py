"""The tokenizer: byte-level BPE in which every word of the lexicon, small or capital, is one token.

IDs are in Whisper's order: text, `<|endoftext|>`, the other specials, `<|notimestamps|>`, then the timestamps, which
are in the vocabulary but not in tokenizer.json, as in every converted Whisper.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from training.speech import sentences

SPECIALS = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|startoflm|>",
    "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
TIMESTAMPS = 501  # 0.00 to 10.00 s, the window
TIMESTAMP_STEP = 0.02  # seconds
PIECE = re.compile(r"'[a-z]+|[A-Za-z]+|[,.?]")


def pieces(word: str) -> list[str]:
    """A word as the GPT-2 pattern cuts it, with its leading space: `what's` gives ` what` and `'s`."""
    first, *rest = PIECE.findall(word)
    return [f"Ġ{first}", *rest]


def build() -> Tokenizer:
    """One merge for every further letter of every word: no training, always the same."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: i for i, symbol in enumerate(alphabet)}
    merges = []
    wanted = {p for word in sentences.lexicon() for p in (*pieces(word), *pieces(word[0].upper() + word[1:]))}
    for piece in sorted(wanted):
        for end in range(2, len(piece) + 1):
            prefix, letter = piece[: end - 1], piece[end - 1]
            if piece[:end] not in vocabulary:
                vocabulary[piece[:end]] = len(vocabulary)
                merges.append((prefix, letter))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return tokenizer


class Tokens:
    """IDs for training and export."""

    def __init__(self) -> None:
        self.tokenizer = build()
        self.end, self.start, self.english, _, _, _, self.previous, self.nothing, self.no_timestamps = (
            self.tokenizer.token_to_id(name) for name in SPECIALS
        )
        self.first_timestamp = self.no_timestamps + 1
        self.count = self.first_timestamp + TIMESTAMPS

    def encode(self, text: str) -> list[int]:
        """Text as Whisper writes it: with a space before its first word."""
        return list(self.tokenizer.encode(f" {text}", add_special_tokens=False).ids)

    def decode(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode([i for i in ids if i < self.end])).strip()

    def timestamp(self, seconds: float) -> int:
        """The token of a time, on a grid of 0.1 s: what can be heard, not what could be written."""
        return self.first_timestamp + round(seconds * 10) * round(0.1 / TIMESTAMP_STEP)

    def places(self, text: str) -> list[int]:
        """For each token of the text, which of its words it belongs to; punctuation to the word before."""
        found, word = [], -1
        for token in self.encode(text):
            piece = self.tokenizer.id_to_token(token)
            word += piece.startswith("Ġ")
            found.append(word)
        return found

    def capitals(self) -> list[tuple[int, int]]:
        """(capital, small) IDs of the same word, for every word."""
        id_of = self.tokenizer.token_to_id
        pairs = []
        for word in sentences.lexicon():
            small, capital = pieces(word)[0], pieces(word[0].upper() + word[1:])[0]
            if small != capital:
                pairs.append((id_of(capital), id_of(small)))
        return sorted(set(pairs))

    def vocabulary(self) -> list[str]:
        """Every token's text in order of its ID, timestamps included."""
        texts = [self.tokenizer.id_to_token(i) for i in range(self.first_timestamp)]
        return texts + [f"<|{i * TIMESTAMP_STEP:.2f}|>" for i in range(TIMESTAMPS)]

    def save(self, path: Path) -> None:
        content = json.loads(self.tokenizer.to_str())
        path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), "utf-8")


@cache
def tokens() -> Tokens:
    return Tokens()
