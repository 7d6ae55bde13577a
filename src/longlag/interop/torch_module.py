"""The network as a PyTorch module.

    run = longlag.interop.read("robust.pt")
    module = longlag.interop.torch_module.from_run(run)

or, without longlag's reader,

    module = LSTMModule(hidden=8, output="linear")
    module.load_state_dict(torch.load("robust.pt", weights_only=True))

Its state_dict has

    lstm.weight_ih_l0   (4H, 2)    PyTorch's gate order: input, forget, candidate, output
    lstm.weight_hh_l0   (4H, H)
    lstm.bias_ih_l0     (4H,)      the whole bias
    lstm.bias_hh_l0     (4H,)      zero, and not trained: two biases learn twice as fast as one
    linear.weight       (1, H)
    linear.bias         (1,)
    _extra_state        the metadata of an exported run, a dict of texts; empty otherwise
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from longlag.interop.metadata import FORGET_GATE, modern
from longlag.learning.training import Run
from longlag.networks.network import Output


class LSTMModule(nn.Module):
    """The forget-gate LSTM of `longlag.networks.lstm`: `nn.LSTM` and a linear read-out.

    Args:
        hidden: H, memory cells.
        output: `linear` or `sigmoid`.
        forget_gate: False fixes the forget gate at 1, which `nn.LSTM` cannot: the steps are then
            taken one by one, and the gate's rows stay in place, unused.

    A new module has PyTorch's own initial weights.
    """

    hidden: int
    output: Output
    forget_gate: bool
    metadata: dict[str, str]
    lstm: nn.LSTM
    linear: nn.Linear

    def __init__(self, hidden: int, output: Output = "linear", forget_gate: bool = True) -> None:
        super().__init__()
        self.hidden, self.output, self.forget_gate = hidden, output, forget_gate
        self.metadata = {}
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, 1)
        *_, bias_hh = self.lstm.all_weights[0]
        nn.init.zeros_(bias_hh).requires_grad_(False)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Answers (B,), each read at its sequence's last step.

        Args:
            inputs: (B, T, 2) float32.
            lengths: (B,) whole numbers from 1 to T; T where not given.
        """
        states = self.lstm(inputs)[0] if self.forget_gate else self._carousel(inputs)  # (B, T, H)
        if lengths is None:
            last = states[:, -1]
        else:
            last = states[torch.arange(len(inputs), device=inputs.device), lengths - 1]
        answers = self.linear(last)[:, 0]
        return torch.sigmoid(answers) if self.output == "sigmoid" else answers

    def _carousel(self, inputs: Tensor) -> Tensor:
        """Hidden states (B, T, H) with the forget gate at 1."""
        weight_ih, weight_hh, bias, _ = self.lstm.all_weights[0]
        states = []
        cell = hidden = inputs.new_zeros(len(inputs), self.hidden)
        from_inputs = inputs @ weight_ih.T + bias  # (B, T, 4H)
        for z in from_inputs.unbind(1):
            i, _, g, o = (z + hidden @ weight_hh.T).chunk(4, dim=1)
            cell = cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            states.append(hidden)
        return torch.stack(states, dim=1)

    def get_extra_state(self) -> dict[str, str]:
        return self.metadata

    def set_extra_state(self, state: Any) -> None:
        """Takes an exported run's metadata.

        Raises:
            ValueError: the run's network is of another variant than this module.
        """
        ours = {"output": self.output, "forget_gate": FORGET_GATE[self.forget_gate]}
        for name, value in ours.items():
            if state and state.get(name) != value:
                raise ValueError(f"this module's {name} is {value}, the file's {state.get(name)}")
        self.metadata = dict(state)


def from_run(run: Run) -> LSTMModule:
    """A run's network as a module, its weights to the bit."""
    network = modern(run)
    module = LSTMModule(network.hidden, network.output, network.forget_gate)
    Wx, Wh, b, Wy, by = (torch.tensor(array) for array in network.parameters)
    weight_ih, weight_hh, bias, _ = module.lstm.all_weights[0]
    with torch.no_grad():
        weight_ih.copy_(reordered(Wx.T))
        weight_hh.copy_(reordered(Wh.T))
        bias.copy_(reordered(b))
        module.linear.weight.copy_(Wy.T)
        module.linear.bias.copy_(by)
    return module


def reordered(rows: Tensor) -> Tensor:
    """Gate rows i, f, o, g in PyTorch's order i, f, g, o; done twice, as they were."""
    i, f, third, fourth = rows.chunk(4)
    return torch.cat([i, f, fourth, third])
