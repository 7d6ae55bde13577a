"""PyTorch on-line: autograd through one sequence at a time, every recurrent input detached.

Detaching what units receive from units is the paper's truncation: errors flow back along the cell
states alone.
"""

# pyright: reportMissingImports=false
# (PyTorch is optional.)

from __future__ import annotations

from functools import partial
from itertools import cycle

import torch
from torch import nn

from longlag.learning.recipe import Recipe
from longlag.learning.rules import OnLine
from longlag.networks.lstm1997 import BlockLSTM, Weights, unflatten

from .data import Train, each, sequences


class Network(nn.Module):
    """The LSTM of 1997; the answer reads the last step's cells."""

    def __init__(self, weights: Weights, blocks: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.tensor(weights.W))
        self.Wk = nn.Parameter(torch.tensor(weights.Wk))
        self.blocks = blocks
        self.cells = len(weights.Wk) - 1

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """The answer for one sequence (L, 2)."""
        B, C = self.blocks, self.cells
        one = torch.ones(1)
        units, state, hidden = (
            torch.zeros(C + 2 * B),
            torch.zeros(B, C // B),
            torch.zeros(B, C // B),
        )
        for x in inputs:
            f = torch.sigmoid(self.W @ torch.cat((x, units.detach(), one)))
            g, y_in, y_out = 4 * f[:C] - 2, f[C : C + B], f[C + B :]
            state = state + y_in[:, None] * g.view(B, -1)
            hidden = y_out[:, None] * (2 * torch.sigmoid(state) - 1)
            units = torch.cat((hidden.view(-1), f[C:]))
        return torch.sigmoid(self.Wk[:-1] @ hidden.view(-1) + self.Wk[-1])


def update(
    network: Network, optimizer: torch.optim.Optimizer, inputs: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """One sequence, one update: the answer before it."""
    optimizer.zero_grad()
    answer = network(inputs)
    ((target - answer) ** 2).backward()
    optimizer.step()
    return answer.detach()


def prepare(recipe: Recipe, threads: int = 1, seeds: int = 1, variant: str = "") -> Train:
    torch.set_num_threads(threads)
    architecture, rule = recipe.network, recipe.rule
    assert isinstance(architecture, BlockLSTM)
    assert isinstance(rule, OnLine)
    start = unflatten(recipe.learner(0).weights, architecture.blocks, architecture.block_size)
    network = Network(start, architecture.blocks)
    optimizer = torch.optim.SGD(network.parameters(), lr=rule.rate)
    data = [(torch.from_numpy(x), torch.tensor(target)) for x, target in sequences(recipe)]
    return each(partial(update, network, optimizer), cycle(data))
