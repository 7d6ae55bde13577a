"""The gated recurrent unit of Cho et al. 2014 (https://arxiv.org/abs/1406.1078).

It is PyTorch's `nn.GRU`, whose reset gate acts on the recurrent product, as it initialises itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from longlag.networks.torch import TorchRecurrent, nn


@dataclass(frozen=True, kw_only=True)
class TorchGRU(TorchRecurrent):
    """PyTorch's GRU (Cho et al. 2014) as it initialises itself."""

    @property
    def name(self) -> str:
        return "torch-gru"

    def units(self, inputs: int) -> nn.GRU:
        return nn.GRU(inputs, self.hidden, batch_first=True)
