"""Cells as a user would write them, good ones and bad ones."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class Mine(nn.Module):
    """A GRU that answers at every step."""

    def __init__(self, D: int, K: int, size: int) -> None:
        super().__init__()
        self.cells = nn.GRU(D, size, batch_first=True)
        self.read = nn.Linear(size, K)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        return self.read(self.cells(inputs)[0])


class Drops(Mine):
    """The same with dropout, and its states to be looked at."""

    titles: ClassVar[dict[str, str]] = {"hidden": "States of the GRU"}

    def forward(self, inputs: Any, lengths: Any) -> Any:
        states = self.states(inputs, lengths)["hidden"]
        return self.read(nn.functional.dropout(states, 0.3, self.training))

    def states(self, inputs: Any, lengths: Any) -> dict[str, Any]:
        return {"hidden": self.cells(inputs)[0]}


class PartlyFixed(Mine):
    """The same, with a random projection and first weights that are not trained."""

    def __init__(self, D: int, K: int, size: int) -> None:
        super().__init__(size, K, size)
        self.register_buffer("projection", torch.randn(D, size))
        self.cells.weight_ih_l0.requires_grad_(False)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        return super().forward(inputs @ self.projection, lengths)


class Double(Mine):
    """The same in float64."""

    def __init__(self, D: int, K: int, size: int) -> None:
        super().__init__(D, K, size)
        self.double()


class Unlucky(Mine):
    """It fails in training where a weight is positive, as with half of the seeds."""

    def forward(self, inputs: Any, lengths: Any) -> Any:
        if torch.is_grad_enabled() and self.read.weight[0, 0] > 0:
            raise RuntimeError("bad start")
        return super().forward(inputs, lengths)


class AtTheEnd(Mine):
    """The same, read at each sequence's last step."""

    def forward(self, inputs: Any, lengths: Any) -> Any:
        return super().forward(inputs, lengths)[range(len(lengths)), lengths - 1]


class Mixes(Mine):
    def forward(self, inputs: Any, lengths: Any) -> Any:
        return super().forward(inputs - inputs.mean(0), lengths)


class MixesInTraining(Mine):
    def forward(self, inputs: Any, lengths: Any) -> Any:
        given = inputs - inputs.mean(0) if self.training else inputs
        return super().forward(given, lengths)


class Complex(Mine):
    def __init__(self, D: int, K: int, size: int) -> None:
        super().__init__(D, K, size)
        self.turned = nn.Parameter(torch.zeros(size, dtype=torch.complex64))


class Empty(nn.Module):
    def __init__(self, D: int, K: int, size: int) -> None:
        super().__init__()

    def forward(self, inputs: Any, lengths: Any) -> Any:
        return inputs[:, :, 0]


class Exits(Mine):
    def __init__(self, D: int, K: int, size: int) -> None:
        raise SystemExit(3)


class Layer(nn.GRU):
    """A layer of PyTorch's, which takes (D, H, layers) and answers with its states."""


class Numpy(Mine):
    """It answers with an array."""

    def forward(self, inputs: Any, lengths: Any) -> Any:
        return super().forward(inputs, lengths).detach().numpy()


class Wide(Mine):
    """It answers with more numbers than it is asked for."""

    def __init__(self, D: int, K: int, size: int) -> None:
        super().__init__(D, K + 30, size)


class Prints(Mine):
    """It tells what it does."""

    def forward(self, inputs: Any, lengths: Any) -> Any:
        print("hello from a cell")
        return super().forward(inputs, lengths)


class Pads(Mine):
    def forward(self, inputs: Any, lengths: Any) -> Any:
        return super().forward(inputs, lengths)[:, -1]


class BothWays(Mine):
    """Reads each sequence backwards, too, from its own end."""

    def __init__(self, D: int, K: int, size: int) -> None:
        super().__init__(D, K, size)
        self.cells = nn.GRU(D, size, batch_first=True, bidirectional=True)
        self.read = nn.Linear(2 * size, K)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        T = inputs.shape[1]
        states, _ = pad_packed_sequence(self.cells(packed)[0], batch_first=True, total_length=T)
        return self.read(states)


class Remembers(Mine):
    def __init__(self, D: int, K: int, size: int) -> None:
        super().__init__(D, K, size)
        self.norm = nn.BatchNorm1d(K)

    def forward(self, inputs: Any, lengths: Any) -> Any:
        return self.norm(super().forward(inputs, lengths).transpose(1, 2)).transpose(1, 2)


class Carries(Mine):
    """Goes on from where the batch before ended."""

    h: Any = None

    def forward(self, inputs: Any, lengths: Any) -> Any:
        known = self.h is not None and self.h.shape[1] == len(inputs)
        states, h = self.cells(inputs, self.h if known else None)
        self.h = h.detach()
        return self.read(states)


class OtherArguments(Mine):
    def __init__(self, width: int) -> None:
        super().__init__(2, 1, width)


class InputsAlone(nn.Linear):
    """Takes no lengths."""

    def __init__(self, D: int, K: int, size: int) -> None:
        super().__init__(D, K)


class Plain:
    """No module of PyTorch's."""

    def __init__(self, D: int, K: int, size: int) -> None:
        self.D = D


class NaN(Mine):
    def forward(self, inputs: Any, lengths: Any) -> Any:
        return super().forward(inputs, lengths) * float("nan")


def made(D: int, K: int, size: int) -> nn.Module:
    return Mine(D, K, size)


NOTHING = 3
