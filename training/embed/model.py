"""The two towers: the starter's image encoder, frozen, with a head of its own; and a small transformer for phrases.

Layouts are chosen so that `graph.py` can write them with plain ONNX operators.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import gguf
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.config import Config
from training.model import Encoder, attend, join_heads, split_heads

POSITIVE = 3.0  # weight of a pair that is true: its odds come out so many times too high, and the bias is corrected
SWAPPED = 0.05  # weight of telling swapped colours apart
STARTER = Path(__file__).parents[2] / "mmcli/models/starter/starter-mmproj.gguf"


@dataclass(frozen=True)
class Sizes:
    dim: int = 128  # of the common space
    patch: int = 256  # units that look at each patch
    pooled: int = 192  # of them, what is pooled over the picture
    hidden: int = 256
    vocab: int = 1024
    length: int = 32  # tokens of a phrase
    width: int = 128
    layers: int = 3
    heads: int = 4
    ff: int = 256


def frozen_encoder() -> Encoder:
    """The starter's encoder, its weights as the GGUF has them (Q8_0 and f16, as f32 again)."""
    reader = gguf.GGUFReader(STARTER)
    found = {t.name: torch.tensor(gguf.quants.dequantize(t.data, t.tensor_type).copy()) for t in reader.tensors}
    config = Config()
    encoder = Encoder(config)
    names = {"ln1": "ln1", "ln2": "ln2", "attn_q": "q", "attn_k": "k", "attn_v": "v", "attn_out": "o"}
    names |= {"ffn_up": "up", "ffn_down": "down"}
    state = {
        "patch.weight": found["v.patch_embd.weight"].reshape(config.vision_width, -1),
        "patch.bias": found["v.patch_embd.bias"],
        "position": found["v.position_embd.weight"].reshape(-1, config.vision_width),
    }
    parts = {"v.pre_ln": "pre", "v.post_ln": "post"}
    parts |= {f"v.blk.{i}.{a}": f"blocks.{i}.{b}" for i in range(config.vision_layers) for a, b in names.items()}
    state |= {
        f"{ours}.{kind}": found[f"{theirs}.{kind}"] for theirs, ours in parts.items() for kind in ("weight", "bias")
    }
    encoder.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return encoder.requires_grad_(False).eval()


class ImageHead(nn.Module):
    """(batch, patches, width) features -> (batch, dim): units on each patch, pooled softly where they speak loudest."""

    def __init__(self, sizes: Sizes, width: int = 192) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.look = nn.Linear(width, sizes.patch)
        self.unit = nn.Linear(sizes.patch, sizes.pooled)
        self.sharp = nn.Parameter(torch.full((sizes.pooled,), 2.0))
        self.up = nn.Linear(sizes.pooled, sizes.hidden)
        self.down = nn.Linear(sizes.hidden, sizes.dim)
        self.straight = nn.Linear(sizes.pooled, sizes.dim)

    def forward(self, features: Tensor) -> Tensor:
        x = self.unit(F.gelu(self.look(self.norm(features)), approximate="tanh"))  # (batch, patches, pooled)
        weight = (x * self.sharp).float().softmax(1).to(x.dtype)
        pooled = (x * weight).sum(1)
        out = self.straight(pooled) + self.down(F.gelu(self.up(pooled), approximate="tanh"))
        return F.normalize(out.float(), dim=-1)


class TextBlock(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, self.heads = sizes.width, sizes.heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, sizes.ff), nn.Linear(sizes.ff, width)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        y = self.ln1(x)
        q, k, v = (split_heads(part(y), self.heads) for part in (self.q, self.k, self.v))
        x = x + self.o(join_heads(attend(q, k, v, bias)))
        return x + self.down(F.gelu(self.up(self.ln2(x)), approximate="tanh"))


class TextTower(nn.Module):
    """(batch, length) token ids, 0 where there are no more -> (batch, dim)."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.embed = nn.Embedding(sizes.vocab, sizes.width)
        self.position = nn.Parameter(torch.randn(sizes.length, sizes.width) * 0.02)
        self.blocks = nn.ModuleList(TextBlock(sizes) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(sizes.width)
        self.out = nn.Linear(sizes.width, sizes.dim)
        nn.init.normal_(self.embed.weight, std=0.05)

    def forward(self, ids: Tensor) -> Tensor:
        real = (ids != 0).float()  # (batch, length)
        bias = (real[:, None, None] - 1) * 1e4
        x = self.embed(ids) + self.position[: ids.shape[1]]
        for block in self.blocks:
            x = block(x, bias)
        x = self.norm(x) * real[..., None]
        mean = x.sum(1) / real.sum(1, keepdim=True)
        return F.normalize(self.out(mean).float(), dim=-1)


class Towers(nn.Module):
    def __init__(self, sizes: Sizes = Sizes()) -> None:  # noqa: B008
        super().__init__()
        self.sizes = sizes
        self.head, self.text = ImageHead(sizes), TextTower(sizes)
        self.scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.bias = nn.Parameter(torch.tensor(-6.0))

    def loss(
        self, features: Tensor, ids: Tensor, truth: Tensor, swapped: tuple[Tensor, Tensor, Tensor] | None = None
    ) -> Tensor:
        """Sigmoid over every pair; truth (pictures, phrases) in 0, 1 and nan where it is not known.

        `swapped`: places of pictures, phrases that are true of them, and the same with colours swapped: their order.
        """
        seen = self.head(features)
        thirds = [part[:, : int((part != 0).sum(1).max())] for part in ids.chunk(3)]  # sorted: most are short
        texts = torch.cat([self.text(part) for part in thirds])
        logits = seen @ texts.T * self.scale.exp() + self.bias
        known = ~truth.isnan()
        each = F.binary_cross_entropy_with_logits(logits, truth.nan_to_num(), reduction="none")
        weight = (1 + (POSITIVE - 1) * truth.nan_to_num()) * known
        loss = (each * weight).sum() / weight.sum()
        if swapped is not None and len(swapped[0]):
            places, right, wrong = swapped
            told, false = self.text(torch.cat((right, wrong))).chunk(2)
            margin = (seen[places] * (told - false)).sum(1) * self.scale.exp().detach()
            loss = loss + SWAPPED * F.softplus(-margin).mean()
        return loss
