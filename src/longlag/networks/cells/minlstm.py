"""minLSTM, an LSTM whose gates and candidate see the input alone (Feng et al. 2024, section 3.2).

https://arxiv.org/abs/2410.01201:

    f_t, i_t = sigmoid(W_f x_t), sigmoid(W_i x_t),   f'_t, i'_t = f_t, i_t over (f_t + i_t)
    h_t = f'_t h_{t-1} + i'_t g(W_h x_t)

With g as in `mingru`, it is the form that they compute in log space (appendix B); h_0 = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from longlag.networks.cells.mingru import g
from longlag.networks.cells.scan import scan
from longlag.networks.cells.stacked import Stacked
from longlag.networks.torch import Tensor, nn


class MinLSTMLayer(nn.Module):
    """One layer: (B, T, D) to (B, T, H)."""

    forget: nn.Linear
    input: nn.Linear
    candidate: nn.Linear

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.forget, self.input = nn.Linear(inputs, hidden), nn.Linear(inputs, hidden)
        self.candidate = nn.Linear(inputs, hidden)

    def forward(self, x: Tensor) -> Tensor:
        logarithm = nn.functional.logsigmoid
        share = (logarithm(self.forget(x)) - logarithm(self.input(x))).sigmoid()  # f / (f + i)
        return scan(share, (1 - share) * g(self.candidate(x)))


@dataclass(frozen=True, kw_only=True)
class MinLSTM(Stacked):
    """The minLSTM of Feng et al. 2024, in layers."""

    @property
    def name(self) -> str:
        return "minlstm"

    def layer(self, inputs: int) -> nn.Module:
        return MinLSTMLayer(inputs, self.hidden)
