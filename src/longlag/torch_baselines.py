"""PyTorch's networks as baselines: a sweep's trials, `longlag.torch_baselines:gru` and `:irnn`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch  # pyright: ignore[reportMissingImports]  # an extra
from torch import Tensor, nn  # pyright: ignore[reportMissingImports]

from longlag.sweeps import trial
from longlag.torch import TorchEngine

INPUT_SCALE = 0.1  # standard deviation of the ReLU network's initial input weights


class Recurrent(nn.Module):
    """A layer of recurrent units (B, T, 2) -> (B, T, H), read at a sequence's last step."""

    units: nn.GRU | nn.RNN
    read: nn.Linear

    def __init__(self, units: nn.GRU | nn.RNN, output_bias: float) -> None:
        super().__init__()
        self.units, self.read = units, nn.Linear(units.hidden_size, 1)
        nn.init.constant_(self.read.bias, output_bias)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        states, _ = self.units(inputs)
        return self.read(states[torch.arange(len(lengths)), lengths - 1])[:, 0]


def gated(hidden: int) -> nn.GRU:
    """PyTorch's GRU (Cho et al. 2014) as it initialises itself."""
    return nn.GRU(2, hidden, batch_first=True)


def identity(hidden: int) -> nn.RNN:
    """A ReLU network that starts at the identity, biases 0 (Le, Jaitly & Hinton 2015, section 2).

    Their input weights have standard deviation 0.001, from which Adam was still at chance after
    60,000 sequences of T = 30 (one seed, rate 0.001); hence 0.1.
    """
    units = nn.RNN(2, hidden, nonlinearity="relu", batch_first=True)
    for name, parameter in units.named_parameters():
        if name.startswith("weight_hh"):
            nn.init.eye_(parameter)
        elif name.startswith("weight_ih"):
            nn.init.normal_(parameter, std=INPUT_SCALE)
        else:
            nn.init.zeros_(parameter)
    return units


def gru(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """A trial of a GRU with `hidden` units; returns what `longlag.sweeps.trial.train` does."""
    return _train(gated, settings, seed)


def irnn(settings: Mapping[str, Any], seed: int, engine: str) -> dict[str, Any]:
    """A trial of a ReLU network with `hidden` units; returns what `sweeps.trial.train` does."""
    return _train(identity, settings, seed)


def _train(
    units: Callable[[int], nn.GRU | nn.RNN], settings: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    recipe, fresh = trial.asked(settings)
    start = time.perf_counter()  # apart from the seconds that importing PyTorch takes
    torch.set_num_threads(1)  # in a worker, one of as many as there are cores
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = Recurrent(units(recipe.hidden), recipe.output_bias)
    outcome = trial.carry_out(trial.WatchedForeign(recipe, seed, TorchEngine(module)), fresh)
    versions = {**trial.versions(), "torch": torch.__version__}
    return {**outcome, "seconds": time.perf_counter() - start, "versions": versions}
