"""PyTorch: nn.LSTM and nn.Linear eager, or (variant `compile`) the same steps under torch.compile.

Eager, nn.LSTM runs in oneDNN's fused layer, forward and backward. torch.compile cannot trace that
layer, so the steps are written out for it, in one graph (`fullgraph`), which takes a minute to
compile at T = 30 and therefore is only timed there. Adam is the fused one.

Symbols are one-hot vectors, made beforehand, or (variant `embedding`) rows of an nn.Embedding of H
numbers each.
"""

# pyright: reportMissingImports=false
# (PyTorch is optional.)

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle

import torch
from torch import nn

from longlag.learning.recipe import Recipe
from longlag.tasks.task import Batch, Task, one_hot

from .data import Train, batches, each, hidden_of


class Network(nn.Module):
    """An LSTM that answers at each sequence's own last step."""

    def __init__(self, task: Task, hidden: int, embedding: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(task.inputs, hidden) if embedding else nn.Identity()
        self.lstm = nn.LSTM(hidden if embedding else task.inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, task.outputs)

    def forward(self, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Answers (B,) or (B, K) for padded inputs (B, T, D), or symbols (B, T); lengths (B,)."""
        states, _ = self.lstm(self.embedding(inputs))
        last = states[torch.arange(len(lengths)), lengths - 1]
        return self.head(last).squeeze(1)


class WrittenOut(nn.Module):
    """The same network, a step after another."""

    def __init__(self, task: Task, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.inputs = nn.Linear(task.inputs, 4 * hidden)
        self.states = nn.Linear(hidden, 4 * hidden, bias=False)
        self.head = nn.Linear(hidden, task.outputs)

    def forward(self, inputs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Answers as `Network` gives them."""
        h = c = inputs.new_zeros(len(inputs), self.hidden)
        states = []
        for x in self.inputs(inputs).unbind(1):
            i, f, g, o = (x + self.states(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            states.append(h)
        last = torch.stack(states, 1)[torch.arange(len(lengths)), lengths - 1]
        return self.head(last).squeeze(1)


def tensors(
    task: Task, drawn: Sequence[Batch], embedding: bool = False
) -> list[tuple[torch.Tensor, ...]]:
    """Inputs as the network takes them, lengths and targets."""
    dense = task.symbols and not embedding
    return [
        tuple(map(torch.from_numpy, (one_hot(x, task.inputs) if dense else x, *rest)))
        for x, *rest in drawn
    ]


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
    task, embedding = recipe.task, variant == "embedding"
    if variant == "compile":
        network = WrittenOut(task, hidden_of(recipe))
        model = torch.compile(network, fullgraph=True)
    else:
        network = model = Network(task, hidden_of(recipe), embedding)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3, fused=True)
    data = tensors(task, batches(recipe), embedding)
    return each(partial(update, network, model, optimizer), cycle(data))
