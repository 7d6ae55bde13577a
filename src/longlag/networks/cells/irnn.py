"""The ReLU network that starts at the identity (Le, Jaitly & Hinton 2015, section 2).

https://arxiv.org/abs/1504.00941. Their input weights have standard deviation 0.001, from which Adam
was still at chance after 60,000 sequences of T = 30 (one seed, rate 0.001); hence 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from longlag.networks.torch import TorchRecurrent, nn

INPUT_SCALE = 0.1  # standard deviation of the initial input weights


@dataclass(frozen=True, kw_only=True)
class IdentityRNN(TorchRecurrent):
    """A ReLU network whose recurrent weights start at the identity, biases 0."""

    @property
    def name(self) -> str:
        return "torch-irnn"

    def units(self, inputs: int) -> nn.RNN:
        units = nn.RNN(inputs, self.hidden, nonlinearity="relu", batch_first=True)
        for name, parameter in units.named_parameters():
            if name.startswith("weight_hh"):
                nn.init.eye_(parameter)
            elif name.startswith("weight_ih"):
                nn.init.normal_(parameter, std=INPUT_SCALE)
            else:
                nn.init.zeros_(parameter)
        return units
