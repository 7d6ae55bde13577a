"""The LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

It is PyTorch's `nn.LSTM` as it initialises itself: all weights and both biases uniform in
± sqrt(1/H), so that every gate starts half open.
"""

from __future__ import annotations

from dataclasses import dataclass

from longlag.networks.torch import TorchRecurrent, nn


@dataclass(frozen=True, kw_only=True)
class TorchLSTM(TorchRecurrent):
    """PyTorch's LSTM as it initialises itself."""

    @property
    def name(self) -> str:
        return "torch-lstm"

    def units(self, inputs: int) -> nn.LSTM:
        return nn.LSTM(inputs, self.hidden, batch_first=True)
