"""Byte-level BPE, the same as llama.cpp's `gpt2` model with the `gpt-2` splitter. Knows only strings and IDs."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""  # GPT-2's
SPECIALS = ("<pad>", "<s>", "</s>")
PAD, BOS, EOS = 0, 1, 2
FILE = Path(__file__).with_name("tokenizer.json")


@cache
def splitter() -> Any:
    """GPT-2's pattern; only the trainer needs the regex package."""
    import regex

    return regex.compile(PATTERN)


def byte_letters() -> dict[int, str]:
    """GPT-2's printable letter for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {b: chr(b) for b in plain} | {b: chr(256 + n) for n, b in enumerate(rest)}


LETTERS = byte_letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def learn(texts: Iterable[str], vocab: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Learn (tokens, merges) by joining the commonest pair again and again."""
    words = Counter("".join(LETTERS[b] for b in word.encode()) for text in texts for word in splitter().findall(text))
    parts = {word: list(word) for word in words}
    tokens = [*SPECIALS, *LETTERS.values()]
    merges: list[tuple[str, str]] = []
    while len(tokens) < vocab:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, letters in parts.items():
            for pair in zip(letters, letters[1:], strict=False):
                pairs[pair] += words[word]
        (a, b), _ = max(pairs.items(), key=lambda item: (item[1], item[0]))
        merges.append((a, b))
        if a + b not in tokens:
            tokens.append(a + b)
        parts = {word: merged(letters, a, b) for word, letters in parts.items()}
    return tokens, merges


def merged(letters: list[str], a: str, b: str) -> list[str]:
    out: list[str] = []
    i = 0
    while i < len(letters):
        pair = i + 1 < len(letters) and letters[i] == a and letters[i + 1] == b
        out.append(a + b if pair else letters[i])
        i += 2 if pair else 1
    return out


class Tokenizer:
    def __init__(self, tokens: list[str], merges: list[tuple[str, str]]) -> None:
        self.tokens, self.merges = tokens, merges
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.ranks = {pair: i for i, pair in enumerate(merges)}
        self.known: dict[str, list[int]] = {}

    def word(self, word: str) -> list[int]:
        if word not in self.known:
            letters = [LETTERS[b] for b in word.encode()]
            while len(letters) > 1:
                pair = min(zip(letters, letters[1:], strict=False), key=lambda p: self.ranks.get(p, 1 << 30))
                if pair not in self.ranks:
                    break
                letters = merged(letters, *pair)
            if len(self.known) > 50_000:
                self.known.clear()
            self.known[word] = [self.ids[letter] for letter in letters]
        return self.known[word]

    def encode(self, text: str) -> list[int]:
        return [token for word in splitter().findall(text) for token in self.word(word)]

    def decode(self, ids: Iterable[int]) -> str:
        letters = "".join(self.tokens[i] for i in ids if i >= len(SPECIALS))
        return bytes(BYTES[letter] for letter in letters).decode("utf-8", "replace")


def corpus(seed: int, n: int = 6000) -> list[str]:
    """Questions, answers and small talk to learn the pieces from."""
    from training import offtopic, pairs, pictures, questions

    rng = random.Random(f"{seed} tokenizer")
    texts: list[str] = []
    for i in range(n):
        canvas = pictures.random_canvas(rng)
        things = pictures.random_things(rng, canvas, rng.randint(1, 5))
        picture = pictures.Picture(None, "scene", things, canvas.ground_name)  # type: ignore[arg-type]
        said = questions.turns(rng, picture, 4, {})
        said.append(questions.Turn("", *offtopic.off_topic(rng)))
        skill = rng.choice(tuple(pairs.SKILLS))
        other = pictures.Picture(None, "scene", things[1:])  # type: ignore[arg-type]
        said += [t for t in (pairs.one(rng, picture, other, pairs.difference(picture, other), skill),) if t]
        texts += [f"USER: \n{t.question}\nASSISTANT: {t.answer}" for t in said]
        if i % 20 == 0:
            texts += [f" {word} {word.lower()}s" for word in (*offtopic.NOUNS, *offtopic.TOPICS)]
    return texts


def build(seed: int, vocab: int = 1024) -> Tokenizer:
    """Learn the tokenizer and write it down."""
    tokens, merges = learn(corpus(seed), vocab)
    FILE.write_text(json.dumps({"tokens": tokens, "merges": merges}, ensure_ascii=False, indent=None))
    load.cache_clear()
    return load()


@cache
def load() -> Tokenizer:
    data = json.loads(FILE.read_text())
    return Tokenizer(data["tokens"], [(a, b) for a, b in data["merges"]])
