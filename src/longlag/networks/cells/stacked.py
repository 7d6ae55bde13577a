"""Stacks of layers, for cells whose gates do not see the past and which need more than one layer.

The first layer takes D inputs to H units; each further one adds its states to those of the layer
below, which it takes normalised (Ba et al. 2016). Feng et al. 2024 and Orvieto et al. 2023 stack
layers with such residual connections; theirs also have a feed-forward part, which is left out
here where the layer itself is not linear.
"""

from __future__ import annotations

from dataclasses import dataclass

from longlag.networks.torch import Tensor, TorchRecurrent, nn
from longlag.settings import setting


class Stack(nn.Module):
    """Layers from (B, T, H) to (B, T, H), behind a first one from (B, T, D)."""

    layers: nn.ModuleList
    norms: nn.ModuleList

    def __init__(self, layers: list[nn.Module], hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in layers[1:])

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.layers
        states = first(x)
        for layer, norm in zip(others, self.norms, strict=True):
            states = states + layer(norm(states))
        return states


@dataclass(frozen=True, kw_only=True)
class Stacked(TorchRecurrent):
    """A network of several such layers."""

    layers: int = setting(2, "layers, one above the other", 1, 16)

    def layer(self, inputs: int) -> nn.Module:
        """A layer from inputs (B, T, inputs) to states (B, T, H)."""
        raise NotImplementedError

    def units(self, inputs: int) -> nn.Module:
        sizes = [inputs, *[self.hidden] * (self.layers - 1)]
        return Stack([self.layer(size) for size in sizes], self.hidden)
