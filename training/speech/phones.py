"""The sounds espeak-ng's English accents are made of, as labels for each 20 ms of speech. Training only."""

from __future__ import annotations

PAUSE, OTHER = 0, 1
SYMBOLS = (
    "n t s k ɪ ə ð ɹ z d l ɛ w p m ʌ aɪ iː ɒ b ɡ f uː ɐ eɪ əl a j ŋ tʃ v h æ ɜː ʃ aʊ ɑː dʒ eə ʊ ɔː ɚ oʊ i əʊ θ r ɔ "
    "ɑːɹ eː ɛɹ oː ᵻ iə ɾ æʊ e ʍ ɔɪ ʉ ɔːɹ ɜ ei aː ʌʉ əu ɪɹ ʌʊ ʉː əɹ əɪ ɑə oːɹ aɪə ɛə t̪ ʌɹ ɔə o ʊɹ oə ʊə"
).split()
LABELS = {"": PAUSE, **{symbol: i for i, symbol in enumerate(SYMBOLS, start=2)}}
COUNT = 2 + len(SYMBOLS)


def label(symbol: str) -> int:
    return LABELS.get(symbol, OTHER)
