"""minGRU, a GRU whose gate and candidate see the input alone (Feng et al. 2024, section 3.1).

https://arxiv.org/abs/2410.01201:

    z_t = sigmoid(W_z x_t),   h~_t = g(W_h x_t),   h_t = (1 - z_t) h_{t-1} + z_t h~_t

It is their parallel form in log space (appendix B), in which candidates are made positive by
g(x) = x + 0.5 for x >= 0, and sigmoid(x) below; h_0 = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from longlag.networks.cells.scan import log_scan
from longlag.networks.cells.stacked import Stacked
from longlag.networks.torch import Tensor, nn, torch


def log_g(x: Tensor) -> Tensor:
    """log g(x), of the candidates."""
    return torch.where(x >= 0, (nn.functional.relu(x) + 0.5).log(), -nn.functional.softplus(-x))


class MinGRULayer(nn.Module):
    """One layer: (B, T, D) to (B, T, H)."""

    gate: nn.Linear
    candidate: nn.Linear

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.gate, self.candidate = nn.Linear(inputs, hidden), nn.Linear(inputs, hidden)

    def forward(self, x: Tensor) -> Tensor:
        z = self.gate(x)
        log_keep, log_take = -nn.functional.softplus(z), -nn.functional.softplus(-z)
        return log_scan(log_keep, log_take + log_g(self.candidate(x)))


@dataclass(frozen=True, kw_only=True)
class MinGRU(Stacked):
    """The minGRU of Feng et al. 2024, in layers."""

    @property
    def name(self) -> str:
        return "mingru"

    def layer(self, inputs: int) -> nn.Module:
        return MinGRULayer(inputs, self.hidden)
