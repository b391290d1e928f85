"""A genuine Whisper, computed on the few positions that hold sound. Knows tensors; nothing of files or words.

faster-whisper always shows the encoder 1500 positions, of which a sentence fills a hundred. What is empty is cheap to
stand in for: the positions after the 10 s window share one learned position vector, so they are equal in every layer,
and attention to n equal keys is attention to one with log n added to its logit. Of the empty positions inside
the window a few are drawn at random, each standing for as many as it takes.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.speech.config import POSITIONS, PROMPT_POSITIONS, WINDOW, Config


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's fixed positions: (length, width)."""
    rates = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, memory: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, n, width) looking at (batch, m, width); `bias` is added to the logits. Also the weights."""
        batch, n, width = x.shape
        split = (batch, -1, self.heads, width // self.heads)
        q = (self.query(x) * (width // self.heads) ** -0.5).view(split).transpose(1, 2)
        k = self.key(memory).view(split).transpose(1, 2)
        v = self.value(memory).view(split).transpose(1, 2)
        weights = (q @ k.transpose(-1, -2) + bias.to(q.dtype)).softmax(-1).to(v.dtype)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, n, width)), weights


class Mlp(nn.Module):
    def __init__(self, width: int, ff: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, ff)
        self.down = nn.Linear(ff, width)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(x)))


class EncoderBlock(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads)
        self.mlp_norm = nn.LayerNorm(config.width)
        self.mlp = Mlp(config.width, config.ff)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        y = self.attention_norm(x)
        x = x + self.attention(y, y, bias)[0]
        return x + self.mlp(self.mlp_norm(x))


class DecoderBlock(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads)
        self.cross_norm = nn.LayerNorm(config.width)
        self.cross = Attention(config.width, config.heads)
        self.mlp_norm = nn.LayerNorm(config.width)
        self.mlp = Mlp(config.width, config.ff)

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        y = self.attention_norm(x)
        x = x + self.attention(y, y, mask)[0]
        seen, weights = self.cross(self.cross_norm(x), memory, bias)
        x = x + seen
        return x + self.mlp(self.mlp_norm(x)), weights


class Encoder(nn.Module):
    positions: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(config.mels, config.width, 3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, 3, stride=2, padding=1)
        self.register_buffer("positions", sinusoids(WINDOW, config.width))
        self.padding = nn.Parameter(torch.randn(config.width) * 0.5)
        self.blocks = nn.ModuleList(EncoderBlock(config) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(config.width)
        self.phone_layer = config.phone_layer

    def convolved(self, mel: Tensor) -> Tensor:
        """(batch, frames, mels) to (batch, frames / 2, width), as two matrix products."""
        x = F.pad(mel, (0, 0, 1, 1)).unfold(1, 3, 1).flatten(2)
        x = F.gelu(F.linear(x, self.conv1.weight.flatten(1), self.conv1.bias))
        x = F.pad(x, (0, 0, 1, 1)).unfold(1, 3, 2).flatten(2)
        return F.gelu(F.linear(x, self.conv2.weight.flatten(1), self.conv2.bias))

    def silent(self) -> Tensor:
        """What the convolutions make of padding, far from any sound: (width,)."""
        return self.convolved(torch.zeros(1, 6, self.conv1.in_channels))[0, 1]

    def forward(self, mel: Tensor, empty: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode `mel` (batch, 2 T, mels), followed by nothing; its last three frames must be zero.

        `empty` are some of the positions T to WINDOW, to stand for all of them. Returns (batch, T + len(empty) + 1,
        width), the same after `phone_layer` blocks, and the bias that attention to them needs.
        """
        x = self.convolved(mel)
        batch, n, width = x.shape
        rest = torch.cat([self.positions[empty], self.padding[None]]) + self.silent()
        x = torch.cat([x + self.positions[:n], rest.to(x.dtype).expand(batch, -1, -1)], dim=1)
        bias = torch.zeros(n + len(empty) + 1)
        if len(empty):
            bias[n:-1] = math.log((WINDOW - n) / len(empty))
        bias[-1] = math.log(POSITIONS - WINDOW)
        middle = x
        for i, block in enumerate(self.blocks, start=1):
            x = block(x, bias)
            if i == self.phone_layer:
                middle = x
        return self.norm(x), middle, bias

    def all_positions(self) -> Tensor:
        """(1500, width): the position table to export."""
        return torch.cat([self.positions, self.padding.expand(POSITIONS - WINDOW, -1)])

    def whole(self, mel: Tensor) -> Tensor:
        """The same on all 3000 frames, (batch, 3000, mels) to (batch, 1500, width): what runs in the end."""
        x = self.convolved(mel) + self.all_positions()
        for block in self.blocks:
            x = block(x, torch.zeros(POSITIONS))
        return self.norm(x)


class Decoder(nn.Module):
    """`capitals` are (capital, small) IDs: a word's capital form is its small one plus a shared vector."""

    def __init__(self, config: Config, vocabulary: int, capitals: list[tuple[int, int]]) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(vocabulary, config.width) * 0.05)
        self.capital = nn.Parameter(torch.zeros(config.width))
        base, flags = torch.arange(vocabulary), torch.zeros(vocabulary, 1)
        for capital, small in capitals:
            base[capital], flags[capital] = small, 1.0
        self.register_buffer("base", base)
        self.register_buffer("flags", flags)
        self.positions = nn.Parameter(torch.randn(PROMPT_POSITIONS, config.width) * 0.02)
        self.blocks = nn.ModuleList(DecoderBlock(config) for _ in range(config.decoder_layers))
        self.norm = nn.LayerNorm(config.width)

    def table(self) -> Tensor:
        """(vocabulary, width): the embedding to export, tied to the output."""
        return self.embedding[self.base] + self.flags * self.capital

    def forward(self, ids: Tensor, memory: Tensor, bias: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (batch, n, vocabulary) for IDs (batch, n), and every block's cross-attention weights."""
        n = ids.shape[1]
        table = self.table()
        x = table[ids] + self.positions[:n]
        mask = torch.full((n, n), float("-inf")).triu(1)
        weights = []
        for block in self.blocks:
            x, seen = block(x, mask, memory, bias)
            weights.append(seen)
        return F.linear(self.norm(x), table), weights


class SpeechModel(nn.Module):
    """Encoder and decoder, and two heads for training that are not exported."""

    def __init__(
        self, config: Config, vocabulary: int, capitals: list[tuple[int, int]], words: int, phones: int
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config, vocabulary, capitals)
        self.word_head = nn.Linear(config.width, words)
        self.phone_norm = nn.LayerNorm(config.width)
        self.phone_head = nn.Linear(config.width, phones)

    def compile_blocks(self) -> None:
        for block in (*self.encoder.blocks, *self.decoder.blocks):
            block.compile(dynamic=False)
