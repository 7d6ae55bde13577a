"""PyTorch's networks as parts of a recipe: any module; those with a name are in `cells`.

A module has

    forward(inputs, lengths) -> answers

with inputs (B, T, D), zeros after the end of a sequence, or symbols (B, T); lengths (B,) int64,
each from 1 to T; answers in the shape of the task's targets, read at a sequence's *own* last step,
`lengths - 1`. Tensors are on the device of the module's first real parameter; real inputs have its
type. B may be 1. Where it also has

    titles: dict[str, str]                   what its states are, in words, by name
    states(inputs, lengths) -> dict          of tensors (B, T, ·), by the same names

figures and animations show them: the name `cell`, or else `hidden`, is what it carries along, and
names of gates end in `_gate`.

In evaluation mode a module must answer each sequence by itself, and at every step by those up to
it: one that takes time first, mixes sequences, reads padding or reads the future is refused before
any work (`networks.checking`).

Needs the extra: pip install 'longlag[torch]'.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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
from longlag.networks.network import (
    Inside,
    Network,
    Offered,
    Shapes,
    counted,
    live_steps,
    views,
    without_zeros,
)
from longlag.settings import setting
from longlag.tasks.task import Task

# On a CPU so many sequences of up to so many steps, or less than twice as many, are answered at
# once: then what the layers pass on stays in its caches, and needs little memory.
AT_ONCE, STEPS_AT_ONCE = 64, 512

_GENERATOR = threading.RLock()


@contextmanager
def apart() -> Iterator[None]:
    """PyTorch's generator stays as it is, and belongs to one thread: it is the process's."""
    with _GENERATOR, torch.random.fork_rng(devices=[]):
        yield


class TorchModel(Offered):
    """A module with weights (P,) of all that can be trained, in the module's order.

    Args:
        module: the module, or a function that gives the one which computes in the calling thread
            for other models, too.
    """

    def __init__(
        self, module: nn.Module | Callable[[], nn.Module], weights: np.ndarray, task: Task
    ) -> None:
        self._given, self._weights, self._task = module, weights, task

    @property
    def parameters(self) -> tuple[np.ndarray, ...]:
        """The weights, in the order of `Network.shapes`."""
        return self._parts(trainable(self.offers).values())

    def _parts(self, trained: Iterable[Tensor]) -> tuple[np.ndarray, ...]:
        return tuple(views(self._weights, [tuple(p.shape) for p in trained]))

    @property
    def module(self) -> nn.Module:
        """The module, with the weights put in; no other model's."""
        if not isinstance(self._given, nn.Module):
            self._given = copy.deepcopy(self._given())
        return self._filled()

    def _filled(self) -> nn.Module:
        """The module, shared or not, with the weights put in."""
        module: nn.Module = self.offers
        with torch.no_grad():
            trained = trainable(module).values()
            for parameter, part in zip(trained, self._parts(trained), strict=True):
                parameter.copy_(torch.from_numpy(part))
        return module

    @property
    def offers(self) -> Any:
        """The module."""
        return self._given if isinstance(self._given, nn.Module) else self._given()

    def found(self, inputs: np.ndarray, lengths: np.ndarray) -> Any:
        """The states that the module offers, in evaluation mode."""
        with evaluating(self._filled()) as module:
            offered: Any = module
            return offered.states(*as_tensors(module, inputs, lengths))

    def array(self, found: Any) -> np.ndarray:
        """A tensor of them, or what can be one."""
        return as_arrays({"state": torch.as_tensor(found)})["state"]

    def predict(self, inputs: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Answers, in evaluation mode and without gradients."""
        given = np.full(len(inputs), inputs.shape[1]) if lengths is None else lengths
        return answers(self._filled(), inputs, given, self._task)

    def gradient(
        self,
        inputs: np.ndarray,
        lengths: np.ndarray,
        targets: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> tuple[float, list[np.ndarray]]:
        """The mean squared error of a batch and its gradient, by autograd, in training mode."""
        module = self._filled().train()
        given = forward(module, inputs, lengths, self._task)
        if not given.requires_grad:
            raise ValueError("module must give answers with a gradient, not detached ones")
        wanted = torch.from_numpy(targets).to(given)
        if self._task.answered == "every":
            live = torch.from_numpy(live_steps(lengths, given.shape[1], counted)).to(given.device)
            given, wanted = given[live], wanted[live]
        loss = nn.functional.mse_loss(given, wanted)
        trained = list(trainable(module).values())
        parts = torch.autograd.grad(loss, trained, allow_unused=True)
        filled = (
            torch.zeros_like(p) if part is None else part
            for p, part in zip(trained, parts, strict=True)
        )
        return loss.item(), [part.to_dense().cpu().float().numpy() for part in filled]


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """All of a module's parameters that can be trained, by name."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def answers(module: nn.Module, inputs: np.ndarray, lengths: np.ndarray, task: Task) -> np.ndarray:
    """A module's answers, float64, in evaluation mode and without gradients."""
    B, T = inputs.shape[:2]
    on_cpu = all(p.device.type == "cpu" for p in module.parameters())
    most = AT_ONCE * max(1, STEPS_AT_ONCE // T) if on_cpu else B
    ends = range(most, B - most + 1, most)  # the last part takes the rest
    parts = zip(np.split(inputs, ends), np.split(lengths, ends), strict=True)
    with evaluating(module):
        given = [forward(module, x, n, task).cpu().double().numpy() for x, n in parts]
    return np.concatenate(given)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """The module in evaluation mode and without gradients; then its parts are as they were."""
    was = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield module
    finally:
        for part, training in was:
            part.training = training


def check_module(module: nn.Module, task: Task) -> None:
    """Refuses a module that does not answer each sequence by itself, in evaluation mode, or that
    reads the future.

    See `longlag.networks.checking`. Training mode is not checked: there dropout draws, and
    BatchNorm mixes the sequences of a batch. The module's buffers and the random numbers on the CPU
    stay as they are.

    Raises:
        ValueError: its answers to a few sequences change, or have another shape.
    """
    buffers = [
        (part, name, buffer, buffer.clone())
        for part in module.modules()
        for name, buffer in part.named_buffers(recurse=False)
        if not nn.parameter.is_lazy(buffer)
    ]
    with apart():
        try:
            check_answers(lambda inputs, lengths: answers(module, inputs, lengths, task), task)
        finally:
            for part, name, buffer, was in buffers:
                if not torch.equal(buffer, was):
                    buffer.data.copy_(was)
                setattr(part, name, buffer)


def check_to_train(module: nn.Module, task: Task) -> None:
    """As `check_module`, of a copy whose trained tensors are not all zeros."""
    own = trainable(module).values()
    weights = without_zeros(vector(own), [tuple(p.shape) for p in own])
    check_module(TorchModel(copy.deepcopy(module), weights, task).module, task)


def check_parameters(module: nn.Module) -> None:
    """Raises a ValueError where a module has nothing that can be trained, or in another form."""
    own = trainable(module).values()
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in own):
        raise ValueError("module has lazy parameters: call it once on a batch before training")
    if any(p.is_complex() for p in own):
        raise ValueError("module has complex parameters: keep their two parts as real ones")
    if not own:
        raise ValueError("module has no parameters that can be trained")


def forward(module: nn.Module, inputs: np.ndarray, lengths: np.ndarray, task: Task) -> Tensor:
    """A module's answers, refused where they do not have the shape of the task's answers."""
    given = module(*as_tensors(module, inputs, lengths))
    if hasattr(given, "dtype") and not isinstance(given, Tensor):
        raise ValueError(f"module must answer with a tensor, not with a {type(given).__name__}")
    check_form(given, task, *inputs.shape[:2])
    return given


def as_tensors(module: nn.Module, inputs: np.ndarray, lengths: np.ndarray) -> tuple[Tensor, Tensor]:
    """Inputs and lengths as a module is given them: copies, into which it may write."""
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    symbols = np.issubdtype(inputs.dtype, np.integer)
    x = torch.tensor(inputs, dtype=torch.int64 if symbols else like.dtype, device=like.device)
    return x, torch.tensor(lengths, device=like.device)


class TorchInside(Inside):
    """What a module draws while it learns, such as dropout, on the CPU; and what it keeps.

    Args:
        seed: of the numbers drawn.
        kept: buffers and parameters that are not trained, by name.
    """

    def __init__(self, seed: int, kept: Mapping[str, Tensor]) -> None:
        self._numbers = torch.Generator().manual_seed(seed).get_state()
        self._kept = kept

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with apart():
            torch.set_rng_state(self._numbers)
            try:
                yield
            finally:
                self._numbers = torch.get_rng_state()

    def marked(self) -> Callable[[], None]:
        numbers, kept = self._numbers, {name: t.clone() for name, t in self._kept.items()}

        def put_back() -> None:
            self._numbers = numbers
            for name, tensor in kept.items():
                self._kept[name].data.copy_(tensor)

        return put_back

    def state(self) -> dict[str, np.ndarray]:
        kept = {f"{KEPT}{name}": array for name, array in as_arrays(self._kept).items()}
        return {"numbers": self._numbers.numpy().copy(), **kept}

    def restore(self, state: Mapping[str, Any]) -> None:
        numbers = checks.array("numbers", state["numbers"], np.uint8, self._numbers.shape)
        self._numbers = torch.from_numpy(numbers.copy())
        put_arrays(self._kept, {name: state[f"{KEPT}{name}"] for name in self._kept})


KEPT = "kept_"  # before the names of what a module keeps, in a state


def untrained(module: nn.Module) -> dict[str, Tensor]:
    """A module's buffers, and its parameters that are not trained, by name."""
    fixed = {name: p for name, p in module.named_parameters() if not p.requires_grad}
    return {**dict(module.named_buffers()), **fixed}


def as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Tensors as arrays; numpy has no bfloat16, whose values are float32's."""
    wide = {n: t.float() if t.dtype == torch.bfloat16 else t for n, t in tensors.items()}
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in wide.items()}


def put_arrays(into: Mapping[str, Tensor], arrays: Mapping[str, np.ndarray]) -> None:
    """Puts arrays into tensors of the same names.

    Raises:
        ValueError: other names, shapes or types.
    """
    if set(into) != set(arrays):
        raise ValueError(f"it holds {', '.join(arrays)}, not {', '.join(into)}")
    for name, like in as_arrays(into).items():
        array = checks.array(name, arrays[name], like.dtype, like.shape)
        into[name].data.copy_(torch.from_numpy(array))


# -- parts of a recipe ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TorchNetwork(Network):
    """What PyTorch's networks have in common."""

    def built(self, task: Task) -> nn.Module:
        """A new module for a task, with the initial weights that it draws itself."""
        raise NotImplementedError

    @property
    def maker(self) -> object:
        """What makes modules, where its name alone does not say it: a file may be imported anew."""
        return None

    def shapes(self, task: Task) -> Shapes:
        prototype = _prototype(self, task, self.maker)
        return {name: tuple(p.shape) for name, p in trainable(prototype).items()}

    def start(self, task: Task, rng: np.random.Generator) -> np.ndarray:
        with apart():
            torch.default_generator.manual_seed(int(rng.integers(2**63 - 1)))
            return vector(trainable(self.built(task)).values())

    def of(self, weights: np.ndarray, task: Task) -> TorchModel:
        maker = self.maker
        return TorchModel(lambda: _in_use(self, task, maker, threading.get_ident()), weights, task)

    def placed(self, module: nn.Module) -> nn.Module:
        """A new module, where it will compute."""
        return module

    def inside(self, seed: int) -> Inside:
        return TorchInside(seed, {})


@functools.lru_cache(maxsize=64)
def _prototype(network: TorchNetwork, task: Task, maker: object) -> nn.Module:
    """A module of this form, whose weights do not matter; PyTorch's stream stays as it is.

    What it draws and does not train, such as a random buffer, has the same values everywhere.
    """
    with apart():
        torch.default_generator.manual_seed(0)
        return network.built(task)


@functools.lru_cache(maxsize=64)
def _in_use(network: TorchNetwork, task: Task, maker: object, thread: int) -> nn.Module:
    """The module that computes for all models of this form in a thread: a copy takes as long as a
    small step.
    """
    return network.placed(copy.deepcopy(_prototype(network, task, maker)))


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
        check_parameters(self.module)

    @property
    def name(self) -> str:
        return f"torch-module:{self.words}"

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

    def check_itself(self, task: Task) -> None:
        check_to_train(self.module, task)

    def inside(self, seed: int) -> Inside:
        return TorchInside(seed, untrained(self.module))

    def kept(self) -> dict[str, np.ndarray]:
        return as_arrays(untrained(self.module))

    def put_back(self, kept: Mapping[str, np.ndarray]) -> None:
        put_arrays(untrained(self.module), kept)


class Recurrent(nn.Module):
    """A layer over time and a linear answer, read at a sequence's last step, or at every one.

    Args:
        units: from inputs (B, T, D) to states (B, T, H), alone or first in a tuple.
        hidden: H.
    """

    titles: ClassVar[dict[str, str]] = {"hidden": "States"}

    def __init__(self, units: nn.Module, hidden: int, task: Task, output_bias: float) -> None:
        super().__init__()
        self.units: nn.Module = units
        self.read: nn.Linear = nn.Linear(hidden, task.outputs)
        self._task = (task.inputs, task.symbols, task.answered == "every", task.outputs == 1)
        nn.init.constant_(self.read.bias, output_bias)

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        _, _, every, single = self._task
        states = self._states(inputs)
        given = self.read(states if every else states[torch.arange(len(lengths)), lengths - 1])
        return given[..., 0] if single else given

    def states(self, inputs: Tensor, lengths: Tensor) -> dict[str, Tensor]:
        """The states (B, T, H)."""
        return {"hidden": self._states(inputs)}

    def _states(self, inputs: Tensor) -> Tensor:
        D, symbols, _, _ = self._task
        x = nn.functional.one_hot(inputs, D).to(self.read.weight) if symbols else inputs
        states = self.units(x)
        return states[0] if isinstance(states, tuple) else states


@dataclass(frozen=True, kw_only=True)
class TorchCell(TorchNetwork):
    """A network of a number of units, on a device of PyTorch's."""

    hidden: int = setting(8, "units", 1, 1024)
    device: str = setting("cpu", "where PyTorch or JAX computes: cpu, cuda, cuda:1, mps, gpu ...")

    @property
    def words(self) -> str:
        return counted(self.hidden, "unit")

    def placed(self, module: nn.Module) -> nn.Module:
        try:
            return module.to(self.device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(f"PyTorch has no device {self.device!r} here: {reason}") from error


@dataclass(frozen=True, kw_only=True)
class TorchRecurrent(TorchCell):
    """A layer over time and a linear answer."""

    output_bias: float = setting(0.25, "initial bias of the answer", -1e3, 1e3)

    def units(self, inputs: int) -> nn.Module:
        """The layer: from inputs (B, T, D) to states (B, T, H), alone or first in a tuple."""
        raise NotImplementedError

    def built(self, task: Task) -> nn.Module:
        return Recurrent(self.units(task.inputs), self.hidden, task, self.output_bias)
