"""minGRU, a GRU whose gate and candidate see the input alone (Feng et al. 2024, section 3.1).

https://arxiv.org/abs/2410.01201:

    z_t = sigmoid(W_z x_t),   h~_t = g(W_h x_t),   h_t = (1 - z_t) h_{t-1} + z_t h~_t

With g(x) = x + 0.5 for x >= 0 and sigmoid(x) below, it is the form that they compute in log space
(appendix B); h_0 = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from longlag.networks.cells.scan import scan
from longlag.networks.cells.stacked import Stacked
from longlag.networks.torch import Tensor, nn, torch


def g(x: Tensor) -> Tensor:
    """The candidates' activation, which is positive."""
    return torch.where(x >= 0, x + 0.5, x.sigmoid())


class MinGRULayer(nn.Module):
    """One layer: (B, T, D) to (B, T, H)."""

    gate: nn.Linear
    candidate: nn.Linear

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gate, self.candidate = nn.Linear(inputs, hidden), nn.Linear(inputs, hidden)

    def forward(self, x: Tensor) -> Tensor:
        z = self.gate(x).sigmoid()
        return scan(1 - z, z * g(self.candidate(x)))


@dataclass(frozen=True, kw_only=True)
class MinGRU(Stacked):
    """The minGRU of Feng et al. 2024, in layers."""

    @property
    def name(self) -> str:
        return "mingru"

    def layer(self, inputs: int) -> nn.Module:
        return MinGRULayer(inputs, self.hidden)
