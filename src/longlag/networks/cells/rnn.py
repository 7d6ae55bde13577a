"""The simple recurrent network of Elman 1990 (https://doi.org/10.1207/s15516709cog1402_1).

It is PyTorch's `nn.RNN` with tanh units, h_t = tanh(W x_t + U h_{t-1} + b), as it initialises
itself: its gradients shrink with every step, which is what gated cells are for.
"""

from __future__ import annotations

from dataclasses import dataclass

from longlag.networks.torch import TorchRecurrent, nn


@dataclass(frozen=True, kw_only=True)
class TorchRNN(TorchRecurrent):
    """PyTorch's simple recurrent network with tanh units, as it initialises itself."""

    @property
    def name(self) -> str:
        return "torch-rnn"

    def units(self, inputs: int) -> nn.RNN:
        return nn.RNN(inputs, self.hidden, batch_first=True)
