"""Bring your own network: a task's data, and training by the same protocol, for PyTorch.

`longlag.networks.torch` says what a module is given and must answer; `longlag.judge` scores one.
Needs the extra: pip install 'longlag[torch]'.
"""

from __future__ import annotations

import copy
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from longlag import checks
from longlag.learning.recipe import Recipe, as_recipe
from longlag.learning.rules import MADE, Minibatch
from longlag.learning.streams import DATASET, stream
from longlag.learning.training import Run, Training, begin, ignore
from longlag.networks.network import views
from longlag.networks.torch import TorchModule, TorchNetwork, nn, torch
from longlag.progress import heard, of_training
from longlag.runs import session
from longlag.tasks.task import Batch, Task

if TYPE_CHECKING:
    from torch import Tensor  # pyright: ignore[reportMissingImports]  # an extra


class TorchBatch(NamedTuple):
    """B sequences: inputs (B, T, D) float32 or symbols (B, T) int64, zeros after the end; lengths
    (B,) int64; targets float32."""

    inputs: Tensor
    lengths: Tensor
    targets: Tensor


class JudgedTorchBatch(NamedTuple):
    """The same of a task whose batches have more: `truth` and `counted`, as those of
    `longlag.tasks.task.Batch`; None where a task has but one of them."""

    inputs: Tensor
    lengths: Tensor
    targets: Tensor
    truth: Tensor | None
    counted: Tensor | None


def _refuse_to_collate(batches: Any, *, collate_fn_map: Any = None) -> NoReturn:
    raise ValueError(
        "the items of longlag.torch.Sequences are whole batches already: give its DataLoader "
        "batch_size=None"
    )


# PyTorch's way to extend `default_collate`, which a loader with a batch_size applies to items.
_collate = torch.utils.data._utils.collate  # pyright: ignore[reportAttributeAccessIssue]
_collate.default_collate_fn_map.update(
    dict.fromkeys((TorchBatch, JudgedTorchBatch), _refuse_to_collate)
)


def _as_tensors(batch: Batch) -> TorchBatch | JudgedTorchBatch:
    tensors = TorchBatch(*map(torch.from_numpy, batch))
    beside = (batch.truth, batch.counted)
    if all(array is None for array in beside):
        return tensors
    return JudgedTorchBatch(*tensors, *(None if a is None else torch.from_numpy(a) for a in beside))


class Sequences(torch.utils.data.IterableDataset[TorchBatch | JudgedTorchBatch]):
    """Batches of a task without end, each a `TorchBatch` (inputs, lengths, targets).

    Of a task that judges answers by more than the targets, such as copy memory or the embedded
    Reber grammar, each is a `JudgedTorchBatch` (inputs, lengths, targets, truth, counted).

    Batches are made already: `DataLoader(Sequences(...), batch_size=None, num_workers=...)`. A
    loader that would collate them into batches of batches raises a ValueError. Batch k depends on
    the task, the seed and k alone, and the workers of a loader share the batches out among them, so
    that the same batches come in the same order whatever the number of workers. Every iteration
    starts again at the first.

    Args:
        task: from `longlag.task`, or a recipe or its name, whose task it is; that of `robust`
            where not given.
        seed: 0 .. 2**63 - 1; processes that should see different data need different ones.
        batch_size: B; the recipe's, or 32 with a bare task, where not given.
        batches: how many; None: no end.

    Raises:
        ValueError: an argument that is not allowed.
    """

    task: Task
    batch_size: int
    batches: int | None
    seed: int

    def __init__(
        self,
        task: Task | Recipe | str | None = None,
        seed: int = 0,
        *,
        batch_size: int | None = None,
        batches: int | None = None,
    ) -> None:
        super().__init__()
        given = "robust" if task is None else task
        given = as_recipe(given) if isinstance(given, str) else given
        if not isinstance(given, (Task, Recipe)):
            raise ValueError(
                f"task must be a task, a recipe or its name, not {checks.shown(given)}"
            )
        rule = given.rule if isinstance(given, Recipe) else None
        self.task = given.task if isinstance(given, Recipe) else given
        if batch_size is None:
            batch_size = rule.batch_size if isinstance(rule, Minibatch) else 32
        self.batch_size = checks.whole("batch_size", batch_size, 1)
        self.batches = None if batches is None else checks.whole("batches", batches, 1)
        self.seed = checks.whole("seed", seed, 0, 2**63 - 1)
        self._in_order = isinstance(rule, Minibatch) and rule.draw_order == "published"

    def __iter__(self) -> Iterator[TorchBatch | JudgedTorchBatch]:
        worker = torch.utils.data.get_worker_info()
        first, every = (0, 1) if worker is None else (worker.id, worker.num_workers)
        numbers = itertools.count() if self.batches is None else range(self.batches)
        for k in itertools.islice(numbers, first, None, every):
            draw = self.task.sample_in_order if self._in_order else self.task.sample
            batch = draw(self.batch_size, stream(self.seed, DATASET, k))
            yield _as_tensors(batch)


Optimizer = Callable[[list[Any]], Any]  # of parameters, a torch.optim.Optimizer


class Descent:
    """An optimiser of PyTorch's and its schedule, which change a flat vector (P,) in place.

    Args:
        optimizer: makes it of a list of parameters, float32 on the CPU, in the network's order.
        schedule: makes of the optimiser what is stepped after every update.
        weights: (P,) float32; parameters are views of it.
        shapes: of the parameters.

    Raises:
        ValueError: no such optimiser or schedule.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedule: Callable[[Any], Any] | None,
        weights: np.ndarray,
        shapes: Iterable[tuple[int, ...]],
    ) -> None:
        self._parameters = [nn.Parameter(torch.from_numpy(part)) for part in views(weights, shapes)]
        own = optimizer(self._parameters)
        if not isinstance(own, torch.optim.Optimizer) or isinstance(own, torch.optim.LBFGS):
            raise ValueError(
                "optimizer must make an optimiser of torch.optim that needs no closure, as lambda "
                f"params: torch.optim.AdamW(params) does, not {checks.shown(own)}"
            )
        held = {id(parameter) for parameter in self._parameters}
        groups = own.param_groups
        if not all(id(parameter) in held for group in groups for parameter in group["params"]):
            raise ValueError(
                "optimizer must be made of the parameters that it is given, as lambda params: "
                "torch.optim.AdamW(params) does, not of the module's: they are copied"
            )
        self._parts = [own] if schedule is None else [own, _planned(schedule(own))]
        self._made = ", ".join(map(_in_words, self._parts))

    def update(self, parameters: np.ndarray, gradient: np.ndarray, rate: float) -> None:
        """Takes a step, of the optimiser's own size."""
        gradients = views(gradient, [tuple(p.shape) for p in self._parameters])
        for parameter, part in zip(self._parameters, gradients, strict=True):
            parameter.grad = torch.from_numpy(part)
        for part in self._parts:
            part.step()

    def marked(self) -> Callable[[], None]:
        """A function that restores the present state of both."""
        states = [copy.deepcopy(part.state_dict()) for part in self._parts]

        def put_back() -> None:
            for part, state in zip(self._parts, states, strict=True):
                part.load_state_dict(copy.deepcopy(state))

        return put_back

    def state(self) -> dict[str, Any]:
        """Their state_dicts: tensors as arrays, the rest as JSON."""
        arrays: list[np.ndarray] = []
        packed = [_packed(part.state_dict(), arrays) for part in self._parts]
        numbered = {f"{OWN}{k}": array for k, array in enumerate(arrays)}
        return numbered | {OWN: packed, MADE: self._made}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Puts back what `state` gave.

        Raises:
            LookupError, TypeError, ValueError: it is no such state.
        """
        for part, packed in zip(self._parts, state[OWN], strict=True):
            part.load_state_dict(_unpacked(packed, state))


def _planned(schedule: Any) -> Any:
    """A schedule, refused where it is none, or one that is stepped with a metric."""
    kinds = torch.optim.lr_scheduler
    if isinstance(schedule, kinds.LRScheduler) and not isinstance(
        schedule, kinds.ReduceLROnPlateau
    ):
        return schedule
    raise ValueError(
        "schedule must make a schedule of torch.optim.lr_scheduler that is stepped without a "
        f"metric, not {checks.shown(schedule)}"
    )


OWN = "optimizer_"  # before the names of an optimiser's arrays, in a state


def _in_words(part: Any) -> str:
    """An optimiser, by its groups of parameters, or a schedule, with its settings at the start; of
    a schedule of schedules theirs, too. Functions, as LambdaLR has, are not told apart."""
    groups = getattr(part, "param_groups", None) or [part.state_dict()]
    given = "; ".join(map(_settings, groups))
    parts = ", ".join(map(_in_words, getattr(part, "_schedulers", [])))
    return f"{type(part).__name__}({given}{f' of {parts}' if parts else ''})"


def _settings(held: Mapping[str, Any]) -> str:
    """What is public, and two settings that PyTorch hides."""
    hidden = "_milestones", "_schedule_phases"
    told = {k: v for k, v in held.items() if k != "params" and (k[0] != "_" or k in hidden)}
    return ", ".join(f"{k}={v!r}" for k, v in told.items() if v is not None and v is not False)


def _packed(value: Any, arrays: list[np.ndarray]) -> Any:
    """A value of a state_dict as JSON; tensors go into `arrays`, and their numbers stay."""
    if isinstance(value, torch.Tensor):
        arrays.append(value.detach().cpu().numpy().copy())
        return {"tensor": len(arrays) - 1}
    if isinstance(value, Mapping):
        return {"dict": [[_packed(k, arrays), _packed(v, arrays)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_packed(v, arrays) for v in value]}
    if isinstance(value, float):
        return {"float": repr(float(value))}  # JSON has no infinity
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise ValueError(
        f"the optimiser's state holds {checks.shown(value)}, which a checkpoint cannot hold: give "
        "no directory, or an optimiser and a schedule of numbers and tensors"
    )


def _unpacked(value: Any, state: Mapping[str, Any]) -> Any:
    """What `_packed` packed; the arrays are in `state`."""
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return torch.from_numpy(np.array(state[f"{OWN}{int(held)}"]))
    if kind == "float":
        return float(held)
    if kind == "dict":
        return {_unpacked(k, state): _unpacked(v, state) for k, v in held}
    parts = [_unpacked(v, state) for v in held]
    return tuple(parts) if kind == "tuple" else parts


def train_torch(
    module: nn.Module | str,
    recipe: Recipe | str,
    seed: int = 0,
    *,
    directory: str | os.PathLike[str] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    optimizer: Optimizer | None = None,
    schedule: Callable[[Any], Any] | None = None,
    progress: bool = False,
    callback: Callable[[Training], None] = ignore,
) -> Run:
    """Trains a module by a recipe's protocol: what `longlag.train` does, with another network.

    The same are: the training sequences, the loss (mean squared error), clipping, the optimiser
    and its settings, the averaging of weights, the tests and the rules by which it stops. The
    recipe's network plays no part; the module brings its own initial weights. Batch by batch the
    data are those of `longlag.train` with the same recipe and seed.

    Args:
        module: see `longlag.networks.torch`. It is copied and stays as it is; what has
            `requires_grad=False` is not trained. Parameters are kept in float32. All its parts are
            trained in training mode and tested in evaluation mode; buffers, such as BatchNorm's
            running statistics, are not averaged. Or the name of a network of PyTorch's, such as
            `torch-gru`, or of a cell, `module:Class`, of as many units as the recipe's network.
        recipe: from `longlag.recipe`.
        seed: 0 .. 2**63 - 1. Also of what the module draws itself, such as dropout, on the CPU.
        directory: a run directory, made where it is missing: the state is saved in it now and
            then, by Ctrl-C and other signals too, and the run at the end, for
            `longlag.load(directory, module)`; of a network by its name, for every command.
        resume: go on from the state in the directory, on the CPU to the same bits; module, recipe,
            seed, optimizer and schedule must be the same. The kinds and settings of both are
            compared, functions within a schedule (LambdaLR) are not.
        overwrite: replace any finished run, and discard an unfinished training, in the directory.
        optimizer: makes an optimiser of a list of parameters, float32 on the CPU: `lambda params:
            torch.optim.AdamW(params, lr=1e-3)`. The recipe's learning rate plays no part then, its
            limit on the gradient's norm does.
        schedule: makes of that optimiser what is stepped after every update: `lambda optimizer:
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)`.
        progress, callback: as in `longlag.train`.

    Returns:
        The run; `run.network.module` has the weights that were judged (their average, where the
        recipe has one).

    Raises:
        ValueError: no such module or recipe, a seed that is not allowed, answers that have
            another shape or no gradient, or answers that depend on more than the sequence; an
            optimiser or a schedule that is none; a directory that must not be written to.
        KeyboardInterrupt: Ctrl-C; with a directory, the state is saved in it.
    """
    made = as_recipe(recipe)
    if isinstance(module, str):
        made = made.with_settings({"network": module})
    else:
        made = replace(made, network=TorchModule(module=module))
    network = made.network
    if not isinstance(network, TorchNetwork):
        raise ValueError(f"module must be a PyTorch module or network, not network {network.name}")
    made, own = _with_optimizer(made, optimizer, schedule)
    training = begin(made, seed, engine="numpy", own=own)
    with heard(progress, of_training) as observe:
        how = {"resume": resume, "overwrite": overwrite, "observe": observe, "callback": callback}
        return session.carry_out(training, directory, **how)


def _with_optimizer(
    recipe: Recipe, optimizer: Any, schedule: Any
) -> tuple[Recipe, Callable[[np.ndarray], Descent] | None]:
    """The recipe that says that its optimiser is another, and what starts that one."""
    if not isinstance(recipe.rule, Minibatch):
        raise ValueError(f"recipe {recipe.name} learns on-line, not in batches")
    for name, given in (("optimizer", optimizer), ("schedule", schedule)):
        if given is not None and not callable(given):
            raise ValueError(f"{name} must be a function that makes one, not {checks.shown(given)}")
    if optimizer is None:
        if schedule is not None:
            raise ValueError("schedule is of an optimiser of your own: give optimizer, too")
        return recipe, None
    shapes = recipe.network.shapes(recipe.task).values()
    own = functools.partial(Descent, optimizer, schedule, shapes=shapes)
    return recipe.with_settings({"optimizer": "own"}), own
