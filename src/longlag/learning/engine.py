"""Who does the arithmetic: the native kernel, or the numpy reference.

Both stand behind one small interface, `Engine`; training and evaluation know nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np

from longlag import checks
from longlag.kernel import load_kernel
from longlag.learning.optimizers import Adam, GradientDescent, Optimizer, clip_by_global_norm
from longlag.learning.recipe import AnyRecipe, Network, OnlineRecipe, Recipe
from longlag.networks.lstm import LSTM, check_lengths, flatten
from longlag.networks.lstm1997 import LSTM1997
from longlag.tasks.marked_pairs import Batch

Choice = Literal["auto", "native", "numpy"]
# (inputs (B, T, 2), lengths (B,), targets (B,)) to the loss and its gradient (P,).
Gradient = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[float, np.ndarray]]
LARGEST_SQUARE = float(np.finfo(np.float32).max)  # Adam's second moment must be a float32 too


@dataclass
class Learner:
    """What an iteration changes: parameters (P,), their moving average or None, the moments."""

    parameters: np.ndarray
    average: np.ndarray | None
    optimizer: Optimizer

    @classmethod
    def start(cls, recipe: Recipe, network: LSTM) -> Learner:
        """Before the first iteration, at the network's parameters."""
        return cls.at(flatten(network.parameters), recipe)

    @classmethod
    def at(cls, parameters: np.ndarray, recipe: Recipe) -> Learner:
        """Before the first iteration, at any initial parameters (P,), which it will change."""
        if recipe.optimizer == "adam":
            optimizer = Adam(len(parameters), recipe.beta1, recipe.beta2, recipe.epsilon)
        else:
            optimizer = GradientDescent()
        average = parameters.copy() if recipe.average_decay > 0 else None
        return cls(parameters, average, optimizer)

    @property
    def judged(self) -> np.ndarray:
        """The parameters that are judged: the averaged ones where there are any."""
        return self.parameters if self.average is None else self.average

    def network(self, recipe: Recipe) -> LSTM:
        """The network as it is judged."""
        return recipe.network_of(self.judged.copy())


class Engine(Protocol):
    """The interface between the mathematics and whoever computes it."""

    name: str
    isa: str | None

    def predict(self, network: Any, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Answers (B,) for inputs (B, T, 2)."""
        ...

    def learn(self, learner: Learner, recipe: Recipe, data: Batch) -> tuple[np.ndarray, int]:
        """Iterates over N prepared batches: inputs (N, B, T, 2), lengths and targets (N, B).

        Changes the learner in place. Stops, without the update, at a loss that is not finite or
        a gradient whose square is not.

        Returns:
            The losses, each before its update (the offending one included), and the number of
            updates made.
        """
        ...


class NumpyEngine:
    """The reference itself."""

    name = "numpy"
    isa: str | None = None

    def predict(self, network: Network, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return network.predict(inputs, lengths)

    def learn(self, learner: Learner, recipe: Recipe, data: Batch) -> tuple[np.ndarray, int]:
        network = recipe.network_of(learner.parameters)

        def gradient(*batch: np.ndarray) -> tuple[float, np.ndarray]:
            loss, parts = network.gradient(*batch)
            return loss, flatten(parts)

        return descend(gradient, learner, recipe, data)


def descend(
    gradient: Gradient, learner: Learner, recipe: Recipe, data: Batch
) -> tuple[np.ndarray, int]:
    """`Engine.learn`, whoever computes the gradient: clip, update, average."""
    losses = []
    with np.errstate(over="ignore", invalid="ignore"):
        for batch in zip(*data, strict=True):
            loss, vector = gradient(*batch)
            losses.append(loss)
            clipped, norm = clip_by_global_norm(vector, recipe.clip)
            if not np.isfinite(loss) or not norm**2 <= LARGEST_SQUARE:
                return np.array(losses), len(losses) - 1
            learner.optimizer.update(learner.parameters, clipped, recipe.learning_rate)
            if learner.average is not None:
                decay = np.float32(recipe.average_decay)
                learner.average *= decay
                learner.average += (1 - decay) * learner.parameters
    return np.array(losses), len(losses)


class NativeEngine:
    """The C++ kernel, on the instruction set `isa`, with up to `threads` threads."""

    name = "native"

    def __init__(self, kernel: Any, isa: str, threads: int) -> None:
        self.isa: str | None = isa
        self._kernel, self._common = kernel, {"isa": isa, "threads": threads}

    def predict(self, network: Network, inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        compute = self._kernel.predict if isinstance(network, LSTM) else self._kernel.predict1997
        return compute(*self._arguments(network, inputs, lengths), **self._of(network))

    def threads_used(self, recipe: Recipe) -> int:
        """How many of its threads a training takes."""
        sizes = recipe.hidden, recipe.batch_size, recipe.task.max_length
        return self._kernel.threads_used(*sizes, self._common["threads"])

    def states(
        self, network: LSTM, inputs: np.ndarray, lengths: np.ndarray
    ) -> dict[str, np.ndarray]:
        """As `LSTM.states`, in float32."""
        return self._kernel.states(*self._arguments(network, inputs, lengths), **self._of(network))

    def learn(self, learner: Learner, recipe: Recipe, data: Batch) -> tuple[np.ndarray, int]:
        moments = learner.optimizer.moments
        unused = np.zeros_like(learner.parameters)  # plain gradient descent keeps no moments
        rates = np.full(len(data.inputs), recipe.learning_rate)
        losses, updates = self._kernel.train(
            learner.parameters,
            moments.get("first", unused),
            moments.get("second", unused),
            learner.optimizer.step,
            *data,
            rates,
            hidden=recipe.hidden,
            sigmoid_output=recipe.output == "sigmoid",
            forget_gate=recipe.forget_gate,
            optimizer=recipe.optimizer,
            beta1=recipe.beta1,
            beta2=recipe.beta2,
            epsilon=recipe.epsilon,
            clip=recipe.clip,
            average=learner.average,
            average_decay=recipe.average_decay,
            **self._common,
        )
        learner.optimizer.step += updates
        return losses, updates

    def _of(self, network: Network) -> dict[str, Any]:
        if isinstance(network, LSTM1997):
            if network.output != "sigmoid":
                raise ValueError("the kernel's LSTM of 1997 has a sigmoid output: use engine numpy")
            return {
                "blocks": network.blocks,
                "block_size": network.block_size,
                "reads_current": network.reads == "current",
                **self._common,
            }
        return {
            "hidden": network.hidden,
            "sigmoid_output": network.output == "sigmoid",
            "forget_gate": network.forget_gate,
            **self._common,
        }

    @staticmethod
    def _arguments(
        network: Network, inputs: np.ndarray, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        lengths = check_lengths(inputs, lengths)
        return (
            flatten(network.parameters).astype(np.float32),
            np.ascontiguousarray(inputs, dtype=np.float32),
            np.ascontiguousarray(lengths, dtype=np.int64),
        )


def choose(engine: str = "auto", threads: int = 1) -> Engine:
    """The engine by name: `auto` takes the native kernel where there is one.

    The environment variable LONGLAG_ISA overrides the kernel's instruction set.

    Raises:
        ValueError: an unknown name, threads below 1, `native` without a kernel, or an
            instruction set that this processor lacks.
    """
    checks.one_of("engine", engine, get_args(Choice))
    checks.whole("threads", threads, 1, 1024)
    kernel = None if engine == "numpy" else load_kernel()
    if kernel is None:
        if engine == "native":
            raise ValueError(
                "engine native is not available: the kernel was not built when longlag was "
                "installed (no C++ compiler); use numpy or auto"
            )
        return NumpyEngine()
    usable = kernel.isas()
    isa = checks.one_of("LONGLAG_ISA", os.environ.get("LONGLAG_ISA") or usable[0], usable)
    return NativeEngine(kernel, isa, threads)


def threads_used(recipe: AnyRecipe, engine: str = "auto", threads: int = 1) -> int:
    """How many of `threads` threads compute in a training: more than one only where they gain.

    One with numpy, and one for a single trial on-line.
    """
    chosen = choose(engine, threads)
    if isinstance(recipe, OnlineRecipe) or not isinstance(chosen, NativeEngine):
        return 1
    return chosen.threads_used(recipe)
