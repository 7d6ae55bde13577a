"""Causal self-attention, the control that has no recurrence (Vaswani et al. 2017).

https://arxiv.org/abs/1706.03762. A linear encoder, sinusoidal positions (their section 3.5), and
blocks of multi-head attention and a feed-forward layer, each with the normalisation before it
(Xiong et al. 2020) and a residual connection. A step attends to itself and to earlier steps, so
that padding behind a sequence's end is never read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from longlag.networks.torch import Tensor, TorchRecurrent, nn, torch
from longlag.settings import setting

WAVELENGTHS = 10_000.0  # from 2π to so many times 2π, as in section 3.5
HEAD = 8  # units of a head, about


def positions(steps: int, hidden: int) -> Tensor:
    """Sines and cosines (T, H) of the steps' numbers."""
    half = (hidden + 1) // 2
    rates = torch.exp(-math.log(WAVELENGTHS) * torch.arange(half) / half)
    angles = torch.arange(steps)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :hidden]


class Block(nn.Module):
    """Attention and a feed-forward layer: (B, T, H) to (B, T, H)."""

    heads: int
    norm_attention: nn.LayerNorm
    norm_feed_forward: nn.LayerNorm
    qkv: nn.Linear
    projection: nn.Linear
    expansion: nn.Linear
    contraction: nn.Linear

    def __init__(self, hidden: int) -> None:
        super().__init__()
        most = max(1, hidden // HEAD)
        self.heads = next(n for n in range(most, 0, -1) if hidden % n == 0)
        self.norm_attention, self.norm_feed_forward = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.projection = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.expansion = nn.Linear(hidden, 4 * hidden)
        self.contraction = nn.Linear(4 * hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        B, T, H = x.shape
        packed = self.qkv(self.norm_attention(x)).view(B, T, 3, self.heads, H // self.heads)
        q, k, v = packed.permute(2, 0, 3, 1, 4)  # (B, heads, T, H / heads) each
        attended = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.projection(attended.transpose(1, 2).reshape(B, T, H))
        return x + self.contraction(nn.functional.gelu(self.expansion(self.norm_feed_forward(x))))


class Blocks(nn.Module):
    """A linear encoder with positions, and blocks: (B, T, D) to (B, T, H)."""

    encoder: nn.Linear
    blocks: nn.Sequential
    norm: nn.LayerNorm

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(inputs, hidden)
        self.blocks = nn.Sequential(*(Block(hidden) for _ in range(layers)))
        self.norm = nn.LayerNorm(hidden)

    def forward(self, x: Tensor) -> Tensor:
        encoded = self.encoder(x)
        return self.norm(self.blocks(encoded + positions(*encoded.shape[1:]).to(encoded)))


@dataclass(frozen=True, kw_only=True)
class Attention(TorchRecurrent):
    """A small causal transformer."""

    layers: int = setting(2, "layers, one above the other", 1, 16)

    @property
    def name(self) -> str:
        return "attention"

    def units(self, inputs: int) -> nn.Module:
        return Blocks(inputs, self.hidden, self.layers)
