"""Sizes of the speech model. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

FRAMES = 3000  # 10 ms each: what faster-whisper always shows the encoder
POSITIONS = FRAMES // 2  # the second convolution halves them
WINDOW = 500  # positions, 10 s: what may hold sound; the rest is always padding
PROMPT_POSITIONS = 448  # the decoder's, as faster-whisper needs them


@dataclass(frozen=True)
class Config:
    """Sizes; `heads` divide the width."""

    mels: int = 80
    width: int = 160
    heads: int = 4
    ff: int = 640
    encoder_layers: int = 4
    decoder_layers: int = 3
    phone_layer: int = 2  # after so many encoder layers, phones are told from each other (training only)
