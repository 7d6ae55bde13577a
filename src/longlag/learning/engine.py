"""What computes a training: the native kernel or the numpy reference.

Both have the interface `Engine`, which is all that training and evaluation use. The reference
computes any network, the kernel those that it supports.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

import numpy as np

from longlag import checks
from longlag.kernel import load_kernel
from longlag.learning.native import NativeEngine
from longlag.learning.optimizers import can_learn_from, clip_by_global_norm
from longlag.learning.recipe import Recipe
from longlag.learning.rules import (
    Learned,
    Learner,
    Minibatch,
    MinibatchLearner,
    OnLine,
    OnlineLearner,
    ShareObserver,
)
from longlag.networks.network import flatten
from longlag.tasks.drawn import Drawn
from longlag.tasks.task import Batch, beside

Choice = Literal["auto", "native", "numpy"]
CHOICE = "the native kernel, or the numpy reference; auto: the kernel where it supports the recipe"


class Engine(Protocol):
    """The interface between a training and what computes it.

    lanes: trials that one instruction computes side by side; groups of so many are the fastest.
    most: sequences of a trial in a call, at most, so that no call takes long.
    """

    name: str
    isa: str | None
    lanes: int
    most: int

    def threads_used(self, recipe: Recipe) -> int:
        """How many threads a training takes."""
        ...

    def predict(self, network: Any, inputs: np.ndarray | Drawn, lengths: np.ndarray) -> np.ndarray:
        """Answers of a network with its weights, in the shape of the task's targets."""
        ...

    def learn(
        self,
        recipe: Recipe,
        learners: Sequence[Any],
        data: Sequence[Batch],
        observe: ShareObserver | None = None,
    ) -> list[Learned]:
        """Trains every learner on its piece of data, in place.

        Args:
            learners: of this recipe; on-line the pieces are all equally long.
            data: for each its piece: inputs (n, B, T, D) in batches, (n, T, D) on-line.
            observe: for batches, called now and then with the share of a piece that is done.
        """
        ...


class NumpyEngine:
    """The numpy reference: one trial after another.

    Weights are float32. The gradient of a batch is computed in float64 and rounded once, so that a
    training does not depend on the order of sums and the functions of a processor's libraries.
    """

    name = "numpy"
    isa: str | None = None
    lanes = 1
    most = 16

    def threads_used(self, recipe: Recipe) -> int:
        return 1

    def predict(self, network: Any, inputs: np.ndarray | Drawn, lengths: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return network.predict(np.asarray(inputs), lengths)

    def learn(
        self,
        recipe: Recipe,
        learners: Sequence[Any],
        data: Sequence[Batch],
        observe: ShareObserver | None = None,
    ) -> list[Learned]:
        pairs = zip(learners, (piece.each(np.asarray) for piece in data), strict=True)
        with np.errstate(over="ignore", invalid="ignore"):
            if isinstance(learners[0], MinibatchLearner):
                return [descend(recipe, *pair, observe) for pair in pairs]
            return [follow(recipe, *pair) for pair in pairs]


def _gradient(recipe: Recipe, learner: Learner, batch: Batch) -> tuple[float, np.ndarray]:
    """The loss of a batch and its gradient (P,), computed in float64, rounded to float32."""
    precise = recipe.network_of(learner.weights.astype(np.float64))
    loss, parts = precise.gradient(*batch.learned)
    return loss, flatten(parts).astype(np.float32)


def descend(
    recipe: Recipe, learner: MinibatchLearner, data: Batch, observe: ShareObserver | None = None
) -> Learned:
    """Learns from one batch after another: gradient, clipping, update, average.

    Stops before the update where the loss or the gradient, once clipped, is not finite; that loss
    is among the losses.
    """
    losses, rule = [], recipe.rule
    assert isinstance(rule, Minibatch)
    for k in range(len(data.lengths)):
        with learner.inside.at_work():
            loss, vector = _gradient(recipe, learner, data.each(lambda a, k=k: a[k]))
        losses.append(loss)
        clipped, norm = clip_by_global_norm(vector, rule.clip)
        if not (np.isfinite(loss) and can_learn_from(norm, rule.clip)):
            return Learned(np.array(losses), len(losses) - 1)
        learner.optimizer.update(learner.weights, clipped, rule.learning_rate)
        if learner.average is not None:
            decay = np.float32(rule.average_decay)
            learner.average *= decay
            learner.average += (1 - decay) * learner.weights
        if observe is not None:
            observe((k + 1) / len(data.lengths))
    return Learned(np.array(losses), len(losses))


def follow(recipe: Recipe, learner: OnlineLearner, data: Batch) -> Learned:
    """Learns from one sequence after another, until the last stop or weights that are not
    finite.
    """
    losses: list[float] = []
    for k in range(len(data.lengths)):
        if learner.over or (loss := _one(recipe, learner, data, k)) is None:
            break
        losses.append(loss)
    return Learned(np.array(losses), len(losses))


def _one(recipe: Recipe, learner: OnlineLearner, data: Batch, k: int) -> float | None:
    """Learns from sequence k; None where the weights would not stay finite."""
    length, rule = data.lengths[k], recipe.rule
    assert isinstance(rule, OnLine)
    batch, every = data.each(lambda a: a[k : k + 1]), recipe.task.answered == "every"
    if every:
        batch = batch.each(lambda a: a[:, :length] if a.ndim > 1 else a)
    else:
        batch = Batch(batch.inputs[:, :length], batch.lengths, batch.targets, batch.truth)
    network = recipe.network_of(learner.weights)
    errors = network.predict(batch.inputs, batch.lengths) - recipe.task.wanted(batch)
    if every:
        errors = np.where(beside(recipe.task.judged(batch), errors.ndim), errors, 0)
    with learner.inside.at_work():
        loss, parts = network.gradient(*batch.learned)
    # The paper's error is the sum over a sequence's answers, of which `gradient` is the mean.
    step = np.float32(rule.rate * recipe.task.target_count(batch)) * flatten(parts)
    updated = learner.weights - step
    if not (np.isfinite(loss) and np.all(np.isfinite(updated))):
        return None
    learner.weights[:] = updated
    _note(learner, errors.flat[np.argmax(np.abs(errors))])
    return loss


def _note(learner: OnlineLearner, error: np.floating) -> None:
    """Adds an error to the window and checks the stopping rule."""
    ring, rule = learner.recent, learner.window
    ring[learner.seen % len(ring)] = error
    learner.seen += 1
    seen = int(learner.seen)
    learner.wrong[...] = np.sum(np.abs(ring[:seen]) > np.float32(rule.tolerance))
    if seen < len(ring) or seen % rule.check_every or learner.wrong >= rule.stops[0]:
        return
    errors = ring.astype(np.float64)
    mse, mae = float(np.mean(errors**2)), float(np.mean(np.abs(errors)))
    for s, threshold in enumerate(rule.stops):
        new = learner.stops[s] < 0 and learner.wrong < threshold
        if new and mae < rule.mean_error:
            learner.stop_here(s, mse, mae)


def choose(engine: str = "auto", threads: int = 1, recipe: Recipe | None = None) -> Engine:
    """The engine by name; `auto` is the native kernel where it is built and supports the recipe.

    The environment variable LONGLAG_ISA overrides the kernel's instruction set.

    Raises:
        ValueError: an unknown name, threads below 1, `native` without a kernel or for a recipe
            that the kernel does not support, or an instruction set that this machine does not have.
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
    if recipe is not None and (lacks := NativeEngine.lacks(recipe)):
        if engine == "native":
            raise ValueError(f"engine native has no {lacks}: use engine numpy")
        return NumpyEngine()
    usable = kernel.isas()
    isa = checks.one_of("LONGLAG_ISA", os.environ.get("LONGLAG_ISA") or usable[0], usable)
    return NativeEngine(kernel, isa, threads)
