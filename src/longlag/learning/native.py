"""The C++ kernel as an engine: which recipes and networks it supports, and its arguments."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from longlag.learning.optimizers import Adam, WithMoments
from longlag.learning.recipe import Recipe
from longlag.learning.rules import (
    ONLINE_BLOCK,
    Learned,
    Minibatch,
    MinibatchLearner,
    OnLine,
    OnlineLearner,
    ShareObserver,
)
from longlag.networks.lstm import LSTM, ForgetGateLSTM
from longlag.networks.lstm1997 import LSTM1997, BlockLSTM
from longlag.networks.network import check_lengths, flatten
from longlag.tasks.drawn import Drawn
from longlag.tasks.task import Batch, Task, counted_steps

LANES = 16  # trials that the on-line kernel takes through one instruction
LARGEST_TASK = 65536  # inputs, and outputs, that the kernel has room for


class NativeEngine:
    """The C++ kernel, on the instruction set `isa`, with `threads` threads."""

    name = "native"
    lanes = LANES
    most = ONLINE_BLOCK

    def __init__(self, kernel: Any, isa: str, threads: int) -> None:
        self.isa: str | None = isa
        self.threads = threads
        self._kernel = kernel
        self._memory = threading.local()  # inputs of a group of lanes, used again

    # -- what it has --------------------------------------------------------------------------

    @staticmethod
    def lacks(recipe: Recipe) -> str:
        """What of a recipe the kernel does not support, in words; empty where it supports all."""
        task, network, rule = recipe.task, recipe.network, recipe.rule
        if max(task.inputs, task.outputs) > LARGEST_TASK:
            return f"task of more than {LARGEST_TASK} inputs or outputs"
        pairs = ((ForgetGateLSTM, Minibatch), (BlockLSTM, OnLine))
        if not any(isinstance(network, a) and isinstance(rule, b) for a, b in pairs):
            return f"network {network.name} with rule {rule.name}"
        if type(network).of not in (ForgetGateLSTM.of, BlockLSTM.of):  # a subclass
            return f"network {network.name}"
        return ""

    @staticmethod
    def _has(model: Any) -> bool:
        """Whether the kernel computes the answers of such a network."""
        return type(model) in (LSTM, LSTM1997) and max(_sizes(model)) <= LARGEST_TASK

    def threads_used(self, recipe: Recipe) -> int:
        """How many of its threads a training uses: more than one only where that is faster."""
        network = recipe.network
        if not isinstance(network, ForgetGateLSTM) or not isinstance(recipe.rule, Minibatch):
            return 1
        task = recipe.task
        return self._kernel.threads_used(
            network.hidden,
            recipe.batch_size,
            task.max_length,
            self.threads,
            input_size=task.inputs,
            output_size=task.outputs,
            symbols=task.symbols,
            every=task.answered == "every",
        )

    # -- what it computes ---------------------------------------------------------------------

    def predict(self, network: Any, inputs: np.ndarray | Drawn, lengths: np.ndarray) -> np.ndarray:
        """Answers, as of `LSTM.predict`; of a network that the kernel lacks, the reference's."""
        if not self._has(network):
            with np.errstate(over="ignore", invalid="ignore"):
                return network.predict(np.asarray(inputs), lengths)
        compute = self._kernel.predict if isinstance(network, LSTM) else self._kernel.predict1997
        given = self._arguments(network, inputs, lengths)
        return compute(*given, **self._of(network, inputs), threads=self.threads)

    def learn(
        self,
        recipe: Recipe,
        learners: Sequence[Any],
        data: Sequence[Batch],
        observe: ShareObserver | None = None,
    ) -> list[Learned]:
        """See `engine.Engine`."""
        if isinstance(recipe.rule, OnLine):
            return self._follow(recipe, learners, data)
        pairs = zip(learners, data, strict=True)
        return [self._descend(recipe, *pair, observe) for pair in pairs]

    def _descend(
        self, recipe: Recipe, learner: MinibatchLearner, data: Batch, observe: ShareObserver | None
    ) -> Learned:
        network, rule, optimizer = recipe.network, recipe.rule, learner.optimizer
        assert isinstance(network, ForgetGateLSTM)
        assert isinstance(rule, Minibatch)
        assert isinstance(optimizer, WithMoments)
        unused = np.zeros_like(learner.weights)  # plain gradient descent keeps no moments
        losses, updates = self._kernel.train(
            learner.weights,
            optimizer.moments.get("first", unused),
            optimizer.moments.get("second", unused),
            optimizer.step,
            *_given(data),
            np.full(len(data.inputs), rule.learning_rate),
            optimizer="adam" if isinstance(optimizer, Adam) else "sgd",
            beta1=rule.beta1,
            beta2=rule.beta2,
            epsilon=rule.epsilon,
            clip=rule.clip,
            average=learner.average,
            average_decay=rule.average_decay,
            threads=self.threads,
            counted=data.counted,
            observe=observe,
            **self._of(recipe.network_of(learner.weights), data.inputs[0]),
        )
        optimizer.step += updates
        return Learned(losses, updates)

    def _follow(
        self, recipe: Recipe, learners: Sequence[OnlineLearner], data: Sequence[Batch]
    ) -> list[Learned]:
        """Up to 16 trials side by side, a lane each."""
        network, rule, window = recipe.network, recipe.rule, learners[0].window
        assert isinstance(network, BlockLSTM)
        assert isinstance(rule, OnLine)
        names = OnlineLearner.ARRAYS
        state = [np.stack([getattr(one, name) for one in learners]) for name in names]
        together = self._side_by_side(data)
        wanted, judged = _looked_at(recipe.task, data)
        answers = self._kernel.online1997(
            *state,
            *_given(together),
            thresholds=np.array(window.stops),
            tolerance=window.tolerance,
            check_every=window.check_every,
            rate=rule.rate,
            full_gradient=network.gradient == "full",
            mean_error_below=window.mean_error,
            counted=together.counted,
            wanted=wanted,
            judged=judged,
            **self._of(recipe.network_of(learners[0].weights), data[0].inputs),
        )
        for name, rows in zip(names, state, strict=True):
            for one, row in zip(learners, rows, strict=True):
                getattr(one, name)[...] = row
        return [self._learned(recipe.task, *pair) for pair in zip(answers, data, strict=True)]

    @staticmethod
    def _learned(task: Task, answers: np.ndarray, data: Batch) -> Learned:
        """What a trial learned, by its answers, which are NaN after its end."""
        n = int(np.sum(~np.isnan(answers.reshape(len(answers), -1)[:, 0])))
        learned = data.each(lambda a: a[:n])
        errors = (answers[:n] - learned.targets).astype(np.float64)
        asked = np.full(n, task.outputs)
        if task.answered == "every":
            counted = counted_steps(learned)
            asked = asked * np.sum(counted, axis=1)
            errors[~counted] = 0
        return Learned(np.sum(errors**2, axis=tuple(range(1, errors.ndim))) / asked, n)

    def _side_by_side(self, data: Sequence[Batch]) -> Batch:
        """Pieces of data as one, with an axis of trials before the others."""
        rest = (np.stack(arrays) for arrays in list(zip(*data, strict=True))[1:])
        masks = [piece.counted for piece in data if piece.counted is not None]
        counted = np.stack(masks) if masks else None
        return Batch(self._inputs([piece.inputs for piece in data]), *rest, counted=counted)

    def _inputs(self, pieces: Sequence[Any]) -> Any:
        """Inputs of several trials as one."""
        if isinstance(pieces[0], Drawn):
            return Drawn.stack(pieces)
        shape, dtype = (len(pieces), *pieces[0].shape), pieces[0].dtype
        inputs = getattr(self._memory, "inputs", None)
        if inputs is None or (inputs.shape, inputs.dtype) != (shape, dtype):
            inputs = self._memory.inputs = np.empty(shape, dtype)
        return np.stack(pieces, out=inputs)

    # -- its arguments ------------------------------------------------------------------------

    def _of(self, network: LSTM | LSTM1997, inputs: np.ndarray | Drawn) -> dict[str, Any]:
        """The kernel's settings and sizes for a network; inputs (B, T, D), or symbols (B, T)."""
        D, K = _sizes(network)
        asked = {
            "input_size": D,
            "output_size": K,
            "symbols": inputs.ndim == 2,
            "every": network.answered == "every",
            "sigmoid_output": network.output == "sigmoid",
            "isa": self.isa,
        }
        if isinstance(network, LSTM1997):
            return asked | {
                "blocks": network.blocks,
                "block_size": network.block_size,
                "reads_current": network.reads == "current",
                **vars(network.variant),
            }
        return asked | {"hidden": network.hidden, "forget_gate": network.forget_gate}

    @staticmethod
    def _arguments(
        network: LSTM | LSTM1997, inputs: np.ndarray | Drawn, lengths: np.ndarray
    ) -> tuple[Any, ...]:
        weights = flatten(network.parameters).astype(np.float32)
        if isinstance(inputs, Drawn):
            return weights, inputs.for_kernel, inputs.lengths
        lengths = check_lengths(inputs, lengths, _sizes(network)[0])
        return (
            weights,
            np.ascontiguousarray(inputs, dtype=np.int64 if inputs.ndim == 2 else np.float32),
            np.ascontiguousarray(lengths, dtype=np.int64),
        )


def _given(data: Batch) -> tuple[Any, ...]:
    """Inputs, lengths and targets as the kernel takes them."""
    inputs, lengths, targets = data
    return inputs.for_kernel if isinstance(inputs, Drawn) else inputs, lengths, targets


def _looked_at(task: Task, data: Sequence[Batch]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What a window's errors are those to, in the shape of the targets, and at which steps; None:
    the targets, where they count."""
    wanted = [task.wanted(piece) for piece in data]
    own = any(a is not piece.targets for a, piece in zip(wanted, data, strict=True))
    judged = type(task).judged is not Task.judged and task.answered == "every"
    return (
        np.stack(wanted).astype(np.float32) if own else None,
        np.stack([task.judged(piece) for piece in data]) if judged else None,
    )


def _sizes(network: LSTM | LSTM1997) -> tuple[int, int]:
    """D and K."""
    if isinstance(network, LSTM1997):
        return network.inputs, len(network.read)
    return len(network.parameters.Wx), len(network.parameters.by)
