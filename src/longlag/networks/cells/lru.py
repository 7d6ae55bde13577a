"""The linear recurrent unit (Orvieto et al. 2023, section 3).

https://arxiv.org/abs/2303.06349. The state is complex and diagonal, and read out as a real number:

    s_t = Λ s_{t-1} + γ (B u_t),   y_t = Re(C s_t) + D u_t
    Λ = exp(-exp(ν) + i exp(θ)),   γ = sqrt(1 - |Λ|²) at the start

|Λ| starts uniform on the ring between `least` and `most`, and the phase uniform up to `phase`
(eq. 8 and lemma 3.2). As the recurrence is linear, a block has a nonlinearity behind it, GELU and a
gated linear unit, and a residual connection (their figure 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from longlag.networks.cells.scan import scan
from longlag.networks.torch import Tensor, TorchRecurrent, nn, torch
from longlag.settings import setting


class LRULayer(nn.Module):
    """The recurrence alone: (B, T, H) to (B, T, H), with N = H complex states."""

    log_nu: nn.Parameter
    log_theta: nn.Parameter
    log_gamma: nn.Parameter

    def __init__(self, hidden: int, least: float, most: float, phase: float) -> None:
        super().__init__()
        H = hidden
        radius = torch.rand(H) * (most**2 - least**2) + least**2  # |Λ|²
        self.log_nu = nn.Parameter((-0.5 * radius.log()).log())
        self.log_theta = nn.Parameter((phase * torch.rand(H)).clamp(min=1e-6).log())
        self.log_gamma = nn.Parameter(0.5 * (1 - self.coefficients().abs().detach() ** 2).log())
        # Real and imaginary parts along the last axis.
        self.B = nn.Parameter(torch.randn(H, H, 2) / math.sqrt(2 * H))
        self.C = nn.Parameter(torch.randn(H, H, 2) / math.sqrt(H))
        self.D = nn.Parameter(torch.randn(H))

    def coefficients(self) -> Tensor:
        """Λ, (H,) complex."""
        return torch.exp(torch.complex(-self.log_nu.exp(), self.log_theta.exp()))

    def forward(self, u: Tensor) -> Tensor:
        # u and y are real, so that real products with both parts of B and C will do.
        taken = nn.functional.linear(u, self.B.mT.flatten(0, 1)).unflatten(-1, (-1, 2))
        states = scan(self.coefficients(), torch.view_as_complex(taken) * self.log_gamma.exp())
        C = (self.C * self.C.new_tensor([1, -1])).flatten(1)
        return nn.functional.linear(torch.view_as_real(states).flatten(-2), C) + self.D * u


class LRUBlock(nn.Module):
    """Normalised inputs through the recurrence and the nonlinear part, added to the inputs."""

    norm: nn.LayerNorm
    recurrence: LRULayer
    gated: nn.Linear

    def __init__(self, recurrence: LRULayer, hidden: int) -> None:
        super().__init__()
        self.norm, self.recurrence = nn.LayerNorm(hidden), recurrence
        self.gated = nn.Linear(hidden, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.gelu(self.recurrence(self.norm(x)))
        return x + nn.functional.glu(self.gated(y), dim=-1)


@dataclass(frozen=True, kw_only=True)
class LRU(TorchRecurrent):
    """Blocks of linear recurrent units behind a linear encoder."""

    layers: int = setting(2, "layers, one above the other", 1, 16)
    least: float = setting(0.9, "smallest |Λ| at the start", 0, 1)
    most: float = setting(0.999, "largest |Λ| at the start", 1e-3, 0.999999)
    phase: float = setting(math.pi / 10, "largest phase of Λ at the start", 1e-3, 2 * math.pi)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.least > self.most:
            raise ValueError(f"least must be at most {self.most}, which is most, not {self.least}")

    @property
    def name(self) -> str:
        return "lru"

    def units(self, inputs: int) -> nn.Module:
        blocks = [
            LRUBlock(LRULayer(self.hidden, self.least, self.most, self.phase), self.hidden)
            for _ in range(self.layers)
        ]
        return nn.Sequential(nn.Linear(inputs, self.hidden), *blocks)
