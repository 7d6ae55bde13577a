"""Bring your own network: the task's data, and training by the same protocol, for PyTorch.

A module that is trained or judged here has

    forward(inputs, lengths) -> answers

with inputs (B, T, 2): value and marker of every step, zeros after the end of a sequence; lengths
(B,) int64, each from 1 to T; answers (B,), one number a sequence, read at its *own* last step,
`lengths - 1`. Both tensors are on the device of the module's first real parameter; inputs have its
type. B may be 1. In evaluation mode a module must answer each sequence by itself: one that takes
time first, reads padding or mixes sequences is refused before any work (`networks.checking`).

Needs the extra: pip install 'longlag[torch]'. `longlag.judge` scores a module.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import numpy as np

try:
    import torch  # pyright: ignore[reportMissingImports]  # an extra
    from torch import Tensor, nn  # pyright: ignore[reportMissingImports]
    from torch.utils.data import (  # pyright: ignore[reportMissingImports]
        IterableDataset,
        get_worker_info,
    )
    from torch.utils.data._utils.collate import (  # pyright: ignore[reportMissingImports]
        default_collate_fn_map,
    )
except ImportError as _missing:
    raise ImportError("longlag.torch needs PyTorch: pip install 'longlag[torch]'") from _missing

from longlag import checks
from longlag.foreign import ForeignTraining
from longlag.learning.engine import Learner, descend
from longlag.learning.recipe import Recipe, Settings, check_seed, recipe
from longlag.learning.steps import History, StoppedBy
from longlag.networks.checking import check_answers, check_form
from longlag.tasks import marked_pairs as tasks
from longlag.tasks.marked_pairs import Batch
from longlag.tasks.score import Score

DATASET_STREAM = 5  # spawn key of a dataset's batches: apart from every trial's streams


class TorchBatch(NamedTuple):
    """B sequences: inputs (B, T, 2) float32, zeros after the end; lengths (B,) int64;
    targets (B,) float32."""

    inputs: Tensor
    lengths: Tensor
    targets: Tensor


def _refuse_to_collate(batches: Any, *, collate_fn_map: Any = None) -> NoReturn:
    raise ValueError(
        "the items of longlag.torch.MarkedPairs are whole batches already: give its DataLoader "
        "batch_size=None"
    )


# PyTorch's way to extend `default_collate`, which a loader with a batch_size applies to items.
default_collate_fn_map[TorchBatch] = _refuse_to_collate


class MarkedPairs(IterableDataset[TorchBatch]):
    """Batches of the task without end, each a `TorchBatch` (inputs, lengths, targets).

    Batches are made already: `DataLoader(MarkedPairs(...), batch_size=None, num_workers=...)`. A
    loader that would collate them into batches of batches raises a ValueError.
    Batch k depends on the task, the seed and k alone, and the workers of a loader share the
    batches out among them, so that the same batches come in the same order whatever the number of
    workers. Every iteration starts again at the first.

    Args:
        task: a `longlag.MarkedPairs`, or a recipe, whose task it is; that of `robust` where not
            given.
        seed: 0 .. 2**63 - 1; processes that should see different data need different ones.
        batch_size: B; the recipe's, or 32 with a bare task, where not given.
        batches: how many; None: no end.

    Raises:
        ValueError: an argument that is not allowed.
    """

    task: tasks.MarkedPairs
    batch_size: int
    batches: int | None
    seed: int

    def __init__(
        self,
        task: tasks.MarkedPairs | Settings | None = None,
        seed: int = 0,
        *,
        batch_size: int | None = None,
        batches: int | None = None,
    ) -> None:
        super().__init__()
        task = recipe("robust") if task is None else task
        if not isinstance(task, (tasks.MarkedPairs, Settings)):
            raise ValueError(f"task must be a MarkedPairs or a recipe, not {task!r}")
        self.task = task.task if isinstance(task, Settings) else task
        if batch_size is None:
            batch_size = task.batch_size if isinstance(task, Recipe) else 32
        self.batch_size = checks.whole("batch_size", batch_size, 1)
        self.batches = None if batches is None else checks.whole("batches", batches, 1)
        self.seed = check_seed(seed)
        self._in_order = isinstance(task, Recipe) and task.draw_order == "published"

    def __iter__(self) -> Iterator[TorchBatch]:
        worker = get_worker_info()
        first, every = (0, 1) if worker is None else (worker.id, worker.num_workers)
        numbers = itertools.count() if self.batches is None else range(self.batches)
        for k in itertools.islice(numbers, first, None, every):
            stream = np.random.SeedSequence(self.seed, spawn_key=(DATASET_STREAM, k))
            draw = self.task.sample_in_order if self._in_order else self.task.sample
            batch = draw(self.batch_size, np.random.default_rng(stream))
            yield TorchBatch(*map(torch.from_numpy, batch))


@dataclass(frozen=True)
class TorchRun:
    """A finished training of a module.

    module: with the weights that were judged (their average, where the recipe has one); history,
    score, stopped_by: as in `longlag.Run`.
    """

    recipe: Recipe
    seed: int
    module: nn.Module
    history: History
    score: Score
    stopped_by: StoppedBy

    @property
    def iterations(self) -> int:
        """Batches trained on."""
        return len(self.history.train_losses)

    @property
    def sequences(self) -> int:
        """Training sequences seen."""
        return self.iterations * self.recipe.batch_size


def train_torch(module: nn.Module, recipe: Recipe, seed: int = 0) -> TorchRun:
    """Trains a module by a recipe's protocol: what `longlag.train` does, with another network.

    The same are: the training sequences, the loss (mean squared error), clipping, the optimiser
    and its settings, the averaging of weights, the tests and the rules by which it stops. What a
    recipe says of the network (cells, gates, output, initial biases) plays no part; the module
    brings its own initial weights. Batch by batch the data are those of `longlag.train` with the
    same recipe and seed.

    Args:
        module: see `longlag.torch`. It is copied and stays as it is; what has
            `requires_grad=False` is not trained. Parameters are kept in float32. All its parts are
            trained in training mode and tested in evaluation mode; buffers, such as BatchNorm's
            running statistics, are not averaged.
        recipe: of the kind that learns in batches, from `longlag.recipe`.
        seed: 0 .. 2**63 - 1. Also of what the module draws itself, such as dropout, on the CPU.

    Raises:
        ValueError: no such module or recipe, a seed that is not allowed, answers that have
            another shape or no gradient, or answers that depend on more than the sequence.
    """
    if not isinstance(recipe, Settings):
        raise ValueError(f"recipe must be one from longlag.recipe(name), not {recipe!r}")
    engine = TorchEngine(module)
    training = ForeignTraining(recipe, check_seed(seed), engine)
    task = recipe.task
    if recipe.draw_order == "published":  # a batch has one length, and no padding
        task = task.at_length(task.max_length)
    check_module(_awake(engine.module), task)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        while training.stopped_by is None or training.score is None:
            training.advance()
    engine.load(training.learner.judged)
    history = History(np.array(training.losses), training.test_curve, training.elapsed)
    return TorchRun(recipe, seed, engine.module, history, training.score, training.stopped_by)


def answers(module: nn.Module, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """A module's answers (B,), in evaluation mode and without gradients."""
    was = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            return _forward(module, inputs, lengths).cpu().double().numpy()
    finally:
        for part, training in was:
            part.training = training


def check_module(module: nn.Module, task: tasks.MarkedPairs) -> None:
    """Refuses a module that does not answer each sequence by itself, in evaluation mode.

    See `longlag.networks.checking`. What it does in training mode is not looked at: there dropout
    draws, and BatchNorm mixes the sequences of a batch. The module's buffers and the random
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
            check_answers(lambda inputs, lengths: answers(module, inputs, lengths), task)
        finally:
            for part, name, buffer, was in buffers:
                if not torch.equal(buffer, was):
                    buffer.data.copy_(was)
                setattr(part, name, buffer)


def _awake(module: nn.Module) -> nn.Module:
    """A copy in which nothing that is trained is all zeros.

    A read-out or a gate that starts at zero hides from the check what lies behind it.
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


class TorchEngine:
    """A copy of a module, as who does the arithmetic of a training; see `longlag.learning.engine`.

    Parameters outside are one vector (P,), float32, of all that can be trained, in the module's
    order; a network is such a vector.
    """

    name = "torch"
    isa: str | None = None
    module: nn.Module
    trainable: list[nn.Parameter]

    def __init__(self, module: nn.Module) -> None:
        if not isinstance(module, nn.Module):
            raise ValueError(f"module must be a PyTorch module, not {module!r}")
        self.module = copy.deepcopy(module)
        self.trainable = [p for p in self.module.parameters() if p.requires_grad]
        if any(isinstance(p, nn.parameter.UninitializedParameter) for p in self.trainable):
            raise ValueError("module has lazy parameters: call it once on a batch before training")
        if any(p.is_complex() for p in self.trainable):
            raise ValueError("module has complex parameters: keep their two parts as real ones")
        if not self.trainable:
            raise ValueError("module has no parameters that can be trained")

    def parameters(self) -> np.ndarray:
        """The vector (P,) as it stands."""
        return self._vector([p.detach() for p in self.trainable])

    def load(self, vector: np.ndarray) -> None:
        """Puts a vector (P,) into the module."""
        parts = torch.from_numpy(vector).split([p.numel() for p in self.trainable])
        with torch.no_grad():
            for parameter, part in zip(self.trainable, parts, strict=True):
                parameter.copy_(part.view_as(parameter))

    def predict(self, network: np.ndarray, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """See `engine.Engine`."""
        self.load(network)
        return answers(self.module, inputs, lengths)

    def learn(self, learner: Learner, recipe: Recipe, data: Batch) -> tuple[np.ndarray, int]:
        """See `engine.Engine`."""
        self.module.train()

        def gradient(
            inputs: np.ndarray, lengths: np.ndarray, targets: np.ndarray
        ) -> tuple[float, np.ndarray]:
            self.load(learner.parameters)
            given = _forward(self.module, inputs, lengths)
            if not given.requires_grad:
                raise ValueError("module must give answers with a gradient, not detached ones")
            wanted = torch.from_numpy(targets).to(given)
            loss = nn.functional.mse_loss(given, wanted)
            parts = torch.autograd.grad(loss, self.trainable, allow_unused=True)
            filled = (
                torch.zeros_like(p) if part is None else part
                for p, part in zip(self.trainable, parts, strict=True)
            )
            return loss.item(), self._vector(filled)

        return descend(gradient, learner, recipe, data)

    @staticmethod
    def _vector(parts: Any) -> np.ndarray:
        return torch.cat([part.flatten().cpu().float() for part in parts]).numpy()


def _forward(module: nn.Module, inputs: np.ndarray, lengths: np.ndarray) -> Tensor:
    """What a module answers, refused where it is not (B,)."""
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    # Copies: a module may write into what it is given.
    x = torch.tensor(inputs, dtype=like.dtype, device=like.device)
    given = module(x, torch.tensor(lengths, device=like.device))
    check_form(given, *inputs.shape[:2])
    if not isinstance(given, Tensor):
        raise ValueError(f"module must answer with a tensor, not with a {type(given).__name__}")
    return given
