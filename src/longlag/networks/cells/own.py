"""A cell of the user's as a part of a recipe: a PyTorch module class, or a function that makes one.

It is made by `cell(D, K, size)`, and takes inputs (B, T, D) float32, zeros after the end of a
sequence, and lengths (B,) int64; symbols come as vectors of which one number is 1. It answers at
every step, (B, T, K), or at each sequence's own last step, (B, K); where K is 1 that axis may be
left out. Where a task asks at the last step alone, answers at every step are read there.

Parameters that are trained start from the trial's seed. What a cell draws and does not train,
buffers and parameters without `requires_grad`, has the same values in all trials.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from longlag import checks
from longlag.networks.checking import in_form
from longlag.networks.torch import (
    Tensor,
    TorchCell,
    apart,
    as_tensors,
    check_parameters,
    check_to_train,
    nn,
    torch,
)
from longlag.settings import imported
from longlag.tasks.task import Task


class Answering(nn.Module):
    """A cell, and its answers in the form that the task has."""

    def __init__(self, cell: nn.Module, task: Task) -> None:
        super().__init__()
        self.cell = cell
        self._task = task

    @property
    def titles(self) -> Mapping[str, str]:
        """Those of the cell, where it offers states."""
        return getattr(self.cell, "titles", {}) if hasattr(self.cell, "states") else {}

    def states(self, inputs: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """What the cell offers."""
        cell: Any = self.cell
        return cell.states(self._real(inputs), lengths)

    def _real(self, inputs: Tensor) -> Tensor:
        if not self._task.symbols:
            return inputs
        like = next((p for p in self.parameters() if p.is_floating_point()), torch.empty(0))
        return nn.functional.one_hot(inputs, self._task.inputs).to(like)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Any:
        task = self._task
        given = self.cell(self._real(inputs), lengths)
        if not isinstance(given, Tensor):
            return given  # it is refused, with a reason
        last = (torch.arange(len(lengths)), lengths - 1)
        return in_form(given, task, inputs.shape[:2], last)


@dataclass(frozen=True, kw_only=True)
class OwnCell(TorchCell):
    """A cell by its name: `module:Class`, or `module:function`."""

    where: str = field(default="")

    @property
    def name(self) -> str:
        return self.where

    @property
    def maker(self) -> object:
        return imported(self.where)

    def built(self, task: Task) -> nn.Module:
        make = imported(self.where)
        try:
            cell = make(task.inputs, task.outputs, self.hidden)
        except TypeError as error:
            name = getattr(make, "__name__", self.where)
            raise ValueError(
                f"cell {self.where} must be made by {name}(D, K, size), three whole numbers: "
                f"{error}"
            ) from error
        if not isinstance(cell, nn.Module):
            shown = checks.shown(cell)
            raise ValueError(f"cell {self.where} must make a PyTorch module, not {shown}")
        if type(cell).forward in (nn.RNN.forward, nn.LSTM.forward, nn.GRU.forward):
            raise ValueError(
                f"cell {self.where} is a layer of PyTorch's, which takes no lengths and gives no "
                "answers: put it into a module of your own with an nn.Linear, or compare longlag's "
                "gru, rnn and torch-lstm"
            )
        try:
            inspect.signature(cell.forward).bind("inputs", "lengths")
        except TypeError as error:
            raise ValueError(
                f"cell {self.where} must be called by forward(inputs, lengths): {error}"
            ) from error
        return Answering(cell, task)

    def check_itself(self, task: Task) -> None:
        """Refuses a cell whose answer to a sequence depends on others, before or beside it, or on
        what comes later.

        Raises:
            ValueError: it mixes sequences, in training or in evaluation mode, reads padding or the
                future, gives answers of another shape, changes a buffer in training, or has no
                parameters that can be trained.
        """
        with apart():
            torch.default_generator.manual_seed(0)
            module = self.built(task)
        check_parameters(module)
        check_to_train(module, task)
        before = {name: buffer.clone() for name, buffer in module.named_buffers()}
        batch = task.sample(4, np.random.default_rng(0))
        shown = as_tensors(module, *batch[:2])
        with apart(), torch.no_grad():
            module.train()(*shown)
        for name, buffer in module.named_buffers():
            if not torch.equal(buffer, before[name]):
                raise ValueError(
                    f"the model changes {name.removeprefix('cell.')} in training, which a trial "
                    "does not keep: use LayerNorm in the place of BatchNorm"
                )
        _check_apart_in_training(module, *as_tensors(module, *batch[:2]))


def _check_apart_in_training(module: nn.Module, inputs: Tensor, lengths: Tensor) -> None:
    """Raises a ValueError where the first answer changes with the other sequences."""
    others = inputs.clone()
    others[1:] = inputs[1:].flip(1)
    first = []
    for batch in (inputs, others):
        with apart(), torch.no_grad():
            torch.default_generator.manual_seed(0)  # the same dropout
            first.append(module.train()(batch, lengths)[0])
    if not torch.allclose(*first, rtol=1e-4, atol=1e-5, equal_nan=True):
        raise ValueError("the model mixes the sequences of a batch in training mode")
