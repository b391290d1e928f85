"""The network: a CLIP-style encoder, an MLP projector and a llama decoder. Knows nothing of pictures' contents or text.

Layouts are chosen so that llama.cpp computes exactly the same: no class token, pre and post layer norm,
tanh-GELU, every block used (`feature_layer`), RoPE in rotate-half order (export permutes it).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import AUX_HEADS, IMAGE_ID, Config


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Plain attention; in bf16 on a CPU its backward is far faster than scaled_dot_product_attention's."""
    if q.dtype == torch.float32:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    scores = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).float()
    if bias is not None:
        scores = scores + bias
    return scores.softmax(-1).to(v.dtype) @ v


def split_heads(x: Tensor, heads: int) -> Tensor:
    batch, length, width = x.shape
    return x.view(batch, length, heads, width // heads).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    batch, heads, length, width = x.shape
    return x.transpose(1, 2).reshape(batch, length, heads * width)


class VisionBlock(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width, self.heads = config.vision_width, config.vision_heads
        self.ln1 = nn.LayerNorm(width, eps=config.eps)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.ln2 = nn.LayerNorm(width, eps=config.eps)
        self.up, self.down = nn.Linear(width, config.vision_ff), nn.Linear(config.vision_ff, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln1(x)
        q, k, v = (split_heads(part(y), self.heads) for part in (self.q, self.k, self.v))
        x = x + self.o(join_heads(attend(q, k, v)))
        return x + self.down(F.gelu(self.up(self.ln2(x)), approximate="tanh"))


class Encoder(nn.Module):
    """(batch, height, width, 3) float pixels in -1..1 -> (batch, image_tokens, vision_width)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.vision_width
        self.patch = nn.Linear(3 * config.patch_size**2, width)
        self.position = nn.Parameter(sincos_2d(config.grid, width))
        self.pre = nn.LayerNorm(width, eps=config.eps)
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.vision_layers))
        self.post = nn.LayerNorm(width, eps=config.eps)

    def forward(self, pixels: Tensor) -> Tensor:
        grid, size = self.config.grid, self.config.patch_size
        x = pixels.view(-1, grid, size, grid, size, 3).permute(0, 1, 3, 5, 2, 4)  # as conv weights: C, h, w
        x = self.patch(x.reshape(-1, grid * grid, 3 * size * size)) + self.position
        x = self.pre(x)
        for block in self.blocks:
            x = block(x)
        return self.post(x)


def sincos_2d(grid: int, width: int, rms: float = 0.45) -> Tensor:
    """A position table loud enough to survive `pre`: N(0, 0.02) is drowned by the patch signal."""
    cells = torch.arange(grid).float() + 0.5
    half = width // 2
    frequencies = torch.linspace(0.5, grid / 2, half // 2)
    angles = cells[:, None] * frequencies[None] * (2 * math.pi / (2 * grid))
    code = torch.cat((angles.sin(), angles.cos()), -1)  # (grid, width / 2)
    table = torch.cat((code[None].expand(grid, grid, half), code[:, None].expand(grid, grid, half)), -1)
    table = table.reshape(grid * grid, width)
    table = table - table.mean(0)
    rotation = torch.linalg.qr(torch.randn(width, width))[0]  # spread it over all directions
    table = table @ rotation
    return table * (rms / table.pow(2).mean().sqrt())


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight).to(x.dtype)


class DecoderBlock(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.norm1, self.norm2 = RMSNorm(width, config.eps), RMSNorm(width, config.eps)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(width, config.ff, bias=False) for _ in range(2))
        self.down = nn.Linear(config.ff, width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor) -> Tensor:
        y = self.norm1(x)
        q, k = (rotate(split_heads(part(y), self.heads), cos, sin) for part in (self.q, self.k))
        x = x + self.o(join_heads(attend(q, k, split_heads(self.v(y), self.heads), bias)))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


class StarterModel(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.mm0 = nn.Linear(config.vision_width, config.width)
        self.mm2 = nn.Linear(config.width, config.width)
        self.embed = nn.Embedding(config.vocab, config.width)  # tied: also the output layer
        self.blocks = nn.ModuleList(DecoderBlock(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.width, config.eps)
        self.aux = nn.Linear(config.vision_width, sum(AUX_HEADS.values()))  # training only, not exported
        head_width = config.width // config.heads
        powers = torch.arange(0, head_width, 2).float() / head_width
        self.register_buffer("frequencies", config.rope_theta**-powers, persistent=False)
        self.initialise()

    def initialise(self) -> None:
        nn.init.normal_(self.embed.weight, std=0.05)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                out = name.endswith((".o", ".down"))
                std = 0.7 / math.sqrt(module.in_features)
                nn.init.normal_(module.weight, std=std / math.sqrt(2 * self.config.layers) if out else std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def image(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels -> (embeddings for the decoder, encoder features for the training-only heads)."""
        features = self.encoder(pixels)
        return self.mm2(F.gelu(self.mm0(features), approximate="tanh")), features

    def inputs(self, ids: Tensor, image_embeddings: Tensor | None) -> Tensor:
        """(batch, length) token IDs -> embeddings, pictures' patches filled in reading order at IMAGE_ID."""
        x = self.embed(ids.clamp(min=0))
        if image_embeddings is None:
            return x
        place = (ids == IMAGE_ID)[..., None].expand_as(x)
        return x.to(image_embeddings.dtype).masked_scatter(place, image_embeddings)

    def decode(self, x: Tensor, positions: Tensor, mask: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Run the decoder; `mask` (batch, 1, length, length) says who sees whom, `wanted` picks positions."""
        angles = positions[..., None].float() * self.frequencies
        cos, sin = (part[:, None].to(x.dtype) for part in (angles.cos(), angles.sin()))
        bias = torch.zeros(mask.shape).masked_fill_(~mask, -1e9)
        for block in self.blocks:
            x = block(x, cos, sin, bias)
        if wanted is not None:
            x = x[wanted]
        return F.linear(self.norm(x), self.embed.weight)

    def aux_loss(self, features: Tensor, labels: Tensor, nothing_weight: float = 0.15) -> Tensor:
        """Cross-entropy of the dense heads; labels (batch, heads, image_tokens)."""
        scores = self.aux(features).float().split(list(AUX_HEADS.values()), -1)
        total = torch.zeros(())
        for i, (score, classes) in enumerate(zip(scores, AUX_HEADS.values(), strict=True)):
            weight = torch.ones(classes)
            weight[0] = nothing_weight if classes != AUX_HEADS["kind"] else 1.0
            total = total + F.cross_entropy(score.reshape(-1, classes), labels[:, i].reshape(-1), weight=weight)
        return total


def normalise(pixels: Tensor) -> Tensor:
    """uint8 0..255 -> float -1..1, as the projector file's mean and std of 0.5 say."""
    return pixels.float() / 127.5 - 1.0
