"""Sizes of the network and its training-only labels. Imports nothing heavy, so that evaluating needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

IMAGE_ID = -1  # stands in a row of token IDs where one patch embedding goes


@dataclass(frozen=True)
class Config:
    """Sizes; `heads` divide their width into 32."""

    image_size: int = 112  # pixels
    patch_size: int = 14  # pixels
    vision_width: int = 192
    vision_layers: int = 5
    vision_heads: int = 6
    vision_ff: int = 768  # must differ from vision_width, or llama.cpp swaps ffn_up and ffn_down
    width: int = 192
    layers: int = 6
    heads: int = 6
    ff: int = 512
    vocab: int = 1024
    rope_theta: float = 10_000.0
    eps: float = 1e-5

    @property
    def grid(self) -> int:
        return self.image_size // self.patch_size

    @property
    def image_tokens(self) -> int:
        return self.grid**2


# Training-only heads on each patch: how many classes each has (0 = nothing there).
AUX_HEADS = {
    "shape": 6,
    "color": 12,
    "rank": 7,
    "column": 9,
    "row": 9,
    "same_shape": 7,
    "same_color": 7,
    "count": 7,
    "kind": 4,
    "place": 10,  # the nine thirds of the picture
    "height": 7,  # rank from the top
    "background": 12,
}
