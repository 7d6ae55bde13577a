"""Bring your own network: a task's data, and training by the same protocol, for PyTorch.

`longlag.networks.torch` says what a module is given and must answer; `longlag.judge` scores one.
Needs the extra: pip install 'longlag[torch]'.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from longlag import checks
from longlag.learning.recipe import Recipe, as_recipe
from longlag.learning.rules import Minibatch
from longlag.learning.streams import stream
from longlag.learning.training import Run, Training, begin, ignore
from longlag.networks.torch import TorchModule, awake, check_module, torch
from longlag.progress import heard, of_training
from longlag.tasks.task import Batch, Task

if TYPE_CHECKING:
    from torch import Tensor, nn  # pyright: ignore[reportMissingImports]  # an extra

DATASET_STREAM = 5  # spawn key of a dataset's batches: apart from every trial's streams


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
    loader that would collate them into batches of batches raises a ValueError.
    Batch k depends on the task, the seed and k alone, and the workers of a loader share the
    batches out among them, so that the same batches come in the same order whatever the number of
    workers. Every iteration starts again at the first.

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
            batch = draw(self.batch_size, stream(self.seed, DATASET_STREAM, k))
            yield _as_tensors(batch)


def train_torch(
    module: nn.Module,
    recipe: Recipe | str,
    seed: int = 0,
    *,
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
            running statistics, are not averaged.
        recipe: from `longlag.recipe`.
        seed: 0 .. 2**63 - 1. Also of what the module draws itself, such as dropout, on the CPU.
        progress, callback: as in `longlag.train`.

    Returns:
        The run; `run.network.module` has the weights that were judged (their average, where the
        recipe has one).

    Raises:
        ValueError: no such module or recipe, a seed that is not allowed, answers that have
            another shape or no gradient, or answers that depend on more than the sequence.
    """
    checks.function("callback", callback)
    own = TorchModule(module=module)
    made = replace(as_recipe(recipe), network=own)
    task, rule = made.task, made.rule
    if not isinstance(rule, Minibatch):
        raise ValueError(f"recipe {made.name} learns on-line, not in batches")
    if isinstance(rule, Minibatch) and rule.draw_order == "published":
        task = task.at_length(task.max_length)  # a batch has one length, and no padding
    check_module(awake(own.module), task)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(checks.whole("seed", seed, 0, 2**63 - 1))
        training = begin(made, seed, engine="numpy")
        with heard(progress, of_training) as observe:
            run = training.to_end(observe, callback)
    run.network.load()
    return run
