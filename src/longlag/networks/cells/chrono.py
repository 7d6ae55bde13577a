"""The LSTM with chrono initialisation (Tallec & Ollivier 2018, section 3).

https://arxiv.org/abs/1804.11188. For dependencies of up to T_max steps the biases start at

    b_f ~ log(U(1, T_max - 1)),   b_i = -b_f

so that a cell forgets over a time drawn from that range. T_max is the task's longest sequence, as
theirs is; all else is PyTorch's `nn.LSTM`.
"""

from __future__ import annotations

from dataclasses import dataclass

from longlag.networks.cells.lstm import TorchLSTM
from longlag.networks.torch import Recurrent, nn, torch
from longlag.tasks.task import Task


@dataclass(frozen=True, kw_only=True)
class ChronoLSTM(TorchLSTM):
    """PyTorch's LSTM, whose gates start open over the lags of the task."""

    @property
    def name(self) -> str:
        return "chrono-lstm"

    def built(self, task: Task) -> nn.Module:
        units, H = self.units(task.inputs), self.hidden
        longest = max(3, task.max_length)
        with torch.no_grad():
            *_, ours, other = units.all_weights[0]
            forget = torch.empty(H).uniform_(1, longest - 1).log()
            ours[: 2 * H] = torch.cat([-forget, forget])  # gates stand in the order i, f, g, o
            other[: 2 * H] = 0
        return Recurrent(units, H, task, self.output_bias)
