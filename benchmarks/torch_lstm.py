"""PyTorch: nn.LSTM and nn.Linear, eager or (variant `compile`) under torch.compile.

Compiled, it must be in one graph: torch.compile would otherwise step over an nn.LSTM that it does
not support, without a word, and the eager network would be timed a second time.
"""

# pyright: reportMissingImports=false
# (PyTorch is optional.)

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle

import torch
from torch import nn

from longlag.learning.recipe import Recipe

from .data import Train, batches, each, hidden_of


class Network(nn.Module):
    """An LSTM that answers at each sequence's own last step."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Answers (B,) for padded inputs (B, T, 2) and lengths (B,)."""
        states, _ = self.lstm(inputs)
        last = states[torch.arange(len(lengths)), lengths - 1]
        return self.head(last).squeeze(1)


def update(
    network: nn.Module,
    model: Callable[..., torch.Tensor],
    optimizer: torch.optim.Optimizer,
    inputs: torch.Tensor,
    lengths: torch.Tensor,
    targets: torch.Tensor,
) -> torch.Tensor:
    """One iteration: the loss before it. model: the network, compiled or not."""
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(model(inputs, lengths), targets)
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return loss.detach()


def prepare(recipe: Recipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = Network(hidden_of(recipe))
    model = torch.compile(network, fullgraph=True) if variant == "compile" else network
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    data = [tuple(map(torch.from_numpy, batch)) for batch in batches(recipe)]
    return each(partial(update, network, model, optimizer), cycle(data))
