"""PyTorch's networks as parts of a recipe: any module; those with a name are in `cells`.

A module has

    forward(inputs, lengths) -> answers

with inputs (B, T, D), zeros after the end of a sequence, or symbols (B, T); lengths (B,) int64,
each from 1 to T; answers in the shape of the task's targets, read at a sequence's *own* last step,
`lengths - 1`. Tensors are on the device of the module's first real parameter; real inputs have its
type. B may be 1. In evaluation mode a module must answer each sequence by itself: one that takes
time first, reads padding or mixes sequences is refused before any work (`networks.checking`).

Needs the extra: pip install 'longlag[torch]'.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

try:
    import torch  # pyright: ignore[reportMissingImports]  # an extra
    from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
except ImportError as _missing:
    raise ImportError("longlag.torch needs PyTorch: pip install 'longlag[torch]'") from _missing

from longlag import checks
from longlag.networks.checking import check_answers, check_form
from longlag.networks.network import Network, Opaque, Shapes, counted, live_steps, views
from longlag.settings import setting
from longlag.tasks.task import Task


class TorchModel(Opaque):
    """A module with weights (P,) of all that can be trained, in the module's order."""

    module: nn.Module

    def __init__(self, module: nn.Module, weights: np.ndarray, task: Task) -> None:
        self.module, self._weights, self._task = module, weights, task
        self._trainable = trainable(module)

    @property
    def parameters(self) -> tuple[np.ndarray, ...]:
        """The weights, in the order of `Network.shapes`."""
        return tuple(views(self._weights, [tuple(p.shape) for p in self._trainable.values()]))

    def load(self) -> nn.Module:
        """The module, with the weights put in."""
        with torch.no_grad():
            for parameter, part in zip(self._trainable.values(), self.parameters, strict=True):
                parameter.copy_(torch.from_numpy(part))
        return self.module

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Answers, in evaluation mode and without gradients."""
        given = np.full(len(inputs), inputs.shape[1]) if lengths is None else lengths
        return answers(self.load(), inputs, given, self._task)

    def gradient(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> tuple[float, list[np.ndarray]]:
        """The mean squared error of a batch and its gradient, by autograd, in training mode."""
        self.load().train()
        given = forward(self.module, inputs, lengths, self._task)
        if not given.requires_grad:
            raise ValueError("module must give answers with a gradient, not detached ones")
        wanted = torch.from_numpy(targets).to(given)
        if given.ndim > 1 and given.shape[:2] == inputs.shape[:2]:  # answers at every step
            live = torch.from_numpy(live_steps(lengths, given.shape[1], counted)).to(given.device)
            given, wanted = given[live], wanted[live]
        loss = nn.functional.mse_loss(given, wanted)
        parts = torch.autograd.grad(loss, list(self._trainable.values()), allow_unused=True)
        filled = (
            torch.zeros_like(p) if part is None else part
            for p, part in zip(self._trainable.values(), parts, strict=True)
        )
        return loss.item(), [part.cpu().float().numpy() for part in filled]


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """All of a module's parameters that can be trained, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def answers(module: nn.Module, inputs: np.ndarray, lengths: np.ndarray, task: Task) -> np.ndarray:
    """A module's answers, float64, in evaluation mode and without gradients."""
    was = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            return forward(module, inputs, lengths, task).cpu().double().numpy()
    finally:
        for part, training in was:
            part.training = training


def check_module(module: nn.Module, task: Task) -> None:
    """Refuses a module that does not answer each sequence by itself, in evaluation mode.

    See `longlag.networks.checking`. Training mode is not checked: there dropout draws, and
    BatchNorm mixes the sequences of a batch. The module's buffers and the random
    numbers on the CPU stay as they are.

    Raises:
        ValueError: its answers to a few sequences change, or have another shape.
    """
    buffers = [
        (part, name, buffer, buffer.clone())
        for part in module.modules()
        for name, buffer in part.named_buffers(recurse=False)
        if not nn.parameter.is_lazy(buffer)
    ]
    with torch.random.fork_rng(devices=[]):
        try:
            check_answers(lambda inputs, lengths: answers(module, inputs, lengths, task), task)
        finally:
            for part, name, buffer, was in buffers:
                if not torch.equal(buffer, was):
                    buffer.data.copy_(was)
                setattr(part, name, buffer)


def awake(module: nn.Module) -> nn.Module:
    """A copy whose trained tensors are not all zeros.

    Behind a read-out or a gate that starts at zero the check would see no change.
    """
    module = copy.deepcopy(module)
    numbers = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad and not parameter.any():
                width = parameter.shape[-1] if parameter.ndim else 1
                noise = 2 * torch.rand(parameter.shape, generator=numbers) - 1
                parameter.copy_(noise / width**0.5)
    return module


def forward(module: nn.Module, inputs: np.ndarray, lengths: np.ndarray, task: Task) -> Tensor:
    """A module's answers, refused where they do not have the shape of the task's answers."""
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    symbols = np.issubdtype(inputs.dtype, np.integer)
    # Copies: a module may write into what it is given.
    x = torch.tensor(inputs, dtype=torch.int64 if symbols else like.dtype, device=like.device)
    given = module(x, torch.tensor(lengths, device=like.device))
    check_form(given, task, *inputs.shape[:2])
    if not isinstance(given, Tensor):
        raise ValueError(f"module must answer with a tensor, not with a {type(given).__name__}")
    return given


# -- parts of a recipe ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TorchNetwork(Network):
    """What PyTorch's networks have in common."""

    def built(self, task: Task) -> nn.Module:
        """A new module for a task, with the initial weights that it draws itself."""
        raise NotImplementedError

    def shapes(self, task: Task) -> Shapes:
        return {name: tuple(p.shape) for name, p in trainable(_prototype(self, task)).items()}

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(rng.integers(2**63 - 1)))
            return vector(trainable(self.built(task)).values())

    def of(self, weights: np.ndarray, task: Task) -> TorchModel:
        return TorchModel(copy.deepcopy(_prototype(self, task)), weights, task)


@functools.cache
def _prototype(network: TorchNetwork, task: Task) -> nn.Module:
    """A module of this form, whose weights do not matter; PyTorch's stream stays as it is."""
    with torch.random.fork_rng(devices=[]):
        return network.built(task)


def vector(parts: Iterable[Tensor]) -> np.ndarray:
    """Tensors as one new vector (P,), float32."""
    return torch.cat([part.detach().flatten().cpu().float() for part in parts]).numpy()


@dataclass(frozen=True, kw_only=True)
class TorchModule(TorchNetwork):
    """A module of the user's, of which it holds a copy; it starts at the module's own weights.

    Raises:
        ValueError: it is no module, or has nothing that can be trained.
    """

    can_be_named: ClassVar[bool] = False

    module: Any = field(repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.module, nn.Module):
            raise ValueError(f"module must be a PyTorch module, not {checks.shown(self.module)}")
        object.__setattr__(self, "module", copy.deepcopy(self.module))
        own = trainable(self.module).values()
        if any(isinstance(p, nn.parameter.UninitializedParameter) for p in own):
            raise ValueError("module has lazy parameters: call it once on a batch before training")
        if any(p.is_complex() for p in own):
            raise ValueError("module has complex parameters: keep their two parts as real ones")
        if not own:
            raise ValueError("module has no parameters that can be trained")

    @property
    def name(self) -> str:
        return "torch-module"

    @property
    def words(self) -> str:
        return type(self.module).__name__

    def shapes(self, task: Task) -> Shapes:
        return {name: tuple(p.shape) for name, p in trainable(self.module).items()}

    def of(self, weights: np.ndarray, task: Task) -> TorchModel:
        """The copy itself, since its buffers change in training."""
        return TorchModel(self.module, weights, task)

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        return vector(trainable(self.module).values())


class Recurrent(nn.Module):
    """A layer over time and a linear answer, read at a sequence's last step, or at every one.

    Args:
        units: from inputs (B, T, D) to states (B, T, H), alone or first in a tuple.
        hidden: H.
    """

    def __init__(self, units: nn.Module, hidden: int, task: Task, output_bias: float) -> None:
        super().__init__()
        self.units: nn.Module = units
        self.read: nn.Linear = nn.Linear(hidden, task.outputs)
        self._task = (task.inputs, task.symbols, task.answered == "every", task.outputs == 1)
        nn.init.constant_(self.read.bias, output_bias)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        D, symbols, every, single = self._task
        x = nn.functional.one_hot(inputs, D).to(self.read.weight) if symbols else inputs
        states = self.units(x)
        states = states[0] if isinstance(states, tuple) else states
        given = self.read(states if every else states[torch.arange(len(lengths)), lengths - 1])
        return given[..., 0] if single else given


@dataclass(frozen=True, kw_only=True)
class TorchCell(TorchNetwork):
    """A network of a number of units, on a device of PyTorch's."""

    hidden: int = setting(8, "units", 1, 1024)
    device: str = setting("cpu", "where PyTorch or JAX computes: cpu, cuda, cuda:1, mps, gpu ...")

    @property
    def words(self) -> str:
        return counted(self.hidden, "unit")

    def of(self, weights: np.ndarray, task: Task) -> TorchModel:
        model = super().of(weights, task)
        try:
            model.module.to(self.device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"PyTorch has no device {self.device!r} here: {reason}") from error
        return model


@dataclass(frozen=True, kw_only=True)
class TorchRecurrent(TorchCell):
    """A layer over time and a linear answer."""

    output_bias: float = setting(0.25, "initial bias of the answer", -1e3, 1e3)

    def units(self, inputs: int) -> nn.Module:
        """The layer: from inputs (B, T, D) to states (B, T, H), alone or first in a tuple."""
        raise NotImplementedError

    def built(self, task: Task) -> nn.Module:
        return Recurrent(self.units(task.inputs), self.hidden, task, self.output_bias)
