"""What is judged on fresh sequences: a run by `evaluate`, any model by `judge`.

A plain callable needs nothing but numpy; PyTorch's part is in `longlag.torch`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from longlag import checks
from longlag import words as report
from longlag.learning import engine as engines
from longlag.learning.judging import Predict, ignore, on_fresh
from longlag.learning.recipe import RECIPES, Recipe, recipe
from longlag.learning.training import Run, check_run
from longlag.networks.checking import check_answers, check_form
from longlag.progress import heard, of_sequences
from longlag.runs import directory as runs
from longlag.tasks.score import Score
from longlag.tasks.task import Task

if TYPE_CHECKING:
    from torch import nn  # pyright: ignore[reportMissingImports]  # an extra


def evaluate(
    run: Run | str | os.PathLike[str],
    n: int = 2560,
    seed: int = 0,
    *,
    task: Task | Recipe | Run | str | os.PathLike[str] | None = None,
    engine: str = "auto",
    threads: int = 1,
    progress: bool = False,
    callback: Callable[[int], None] = ignore,
) -> Score:
    """Scores a run on n fresh sequences.

    The sequences depend on the task, n and the seed alone, so that runs can be compared on the
    same ones; no training or test set has seen them.

    Args:
        run: a run, or its directory.
        n: sequences.
        seed: 0 .. 2**63 - 1.
        task: as in `judge`; the recipe's own where not given.
        engine, threads: as in `longlag.train`.
        progress: show it on standard error, as the command does: a bar on a terminal or in a
            notebook, where it takes more than a second.
        callback: called with the number of sequences answered so far, now and then and at the end.

    Raises:
        ValueError: an argument that is not allowed.
    """
    judged = runs.load(run) if isinstance(run, (str, os.PathLike)) else check_run(run)
    chosen = engines.choose(engine, threads, judged.recipe)
    where = task_of(judged if task is None else task)
    _check_sizes(judged.recipe.task, where)
    with heard(progress, partial(of_sequences, n), callback) as observe:
        return on_fresh(
            lambda inputs, lengths: chosen.predict(judged.network, inputs, lengths),
            where,
            n,
            seed,
            observe,
        )


def judge(
    predict: Callable[[np.ndarray, np.ndarray], Any] | nn.Module,
    task: Task | Recipe | Run | str | os.PathLike[str] | None = None,
    n: int = 2560,
    seed: int = 0,
    *,
    batch_size: int = 512,
    show: bool = False,
) -> Score:
    """Scores any model on n fresh sequences, the same that `longlag evaluate` draws.

    Before that it shows the model a few sequences, eight at most in a call, and refuses one that
    does not answer each by itself, or that reads the future (`longlag.networks.checking`).

    Args:
        predict: a callable that takes inputs (B, T, D) float32 or symbols (B, T) int64, with zeros
            after the end of a sequence, and lengths (B,) int64, and gives answers in the shape of
            the task's targets; or a PyTorch module of that kind (`longlag.torch` says what its
            `forward` takes), judged in evaluation mode.
        task: a task, a recipe or its name, a run or its directory; that of the recipe `robust`
            where not given.
        n: sequences; with the task and the seed, it determines every one of them.
        seed: 0 .. 2**63 - 1.
        batch_size: B, sequences that are given to the model at a time, at most.
        show: print the score card, beside chance and the paper.

    Raises:
        ValueError: an argument that is not allowed, answers of another shape, or answers that
            depend on more than the sequence.
    """
    where = task_of("robust" if task is None else task)
    checks.whole("batch_size", batch_size, 1)
    checks.flag("show", show)
    answer = _model(predict, where)
    judged = on_fresh(_in_batches(answer, batch_size), where, n, seed)
    if show:
        print(report.scores(where, judged))
    return judged


def _check_sizes(own: Task, other: Task) -> None:
    """Refuses a task whose inputs or outputs are not those of the run's own."""
    if (own.inputs, own.outputs) != (other.inputs, other.outputs):
        raise ValueError(
            f"task must have {own.inputs} inputs and {own.outputs} outputs, as the run's own, "
            f"{own.name}; {other.name} has {other.inputs} and {other.outputs}"
        )


def task_of(task: Any) -> Task:
    """The task, or the one on which a recipe's runs are tested.

    Args:
        task: a task, a recipe or its name, a run or its directory.

    Raises:
        ValueError: something else.
    """
    if isinstance(task, str) and task in RECIPES:
        task = recipe(task)
    if isinstance(task, (str, os.PathLike)):
        task = _directory(task)
    if isinstance(task, Run):
        task = task.recipe
    if isinstance(task, Recipe):
        task = task.task.tested
    if not isinstance(task, Task):
        raise ValueError(
            "task must be a task, a recipe or its name, or a run or its directory, "
            f"not {checks.shown(task)}"
        )
    return task


def _directory(path: str | os.PathLike[str]) -> Run:
    if not checks.path("task", path).is_dir():
        hint = checks.nearest(path, RECIPES)
        raise ValueError(f"task must be a recipe's name or a run's directory, not {path!r}{hint}")
    return runs.load(path)


def _model(predict: Any, task: Task) -> Predict:
    """What gives a model's answers, after a look at how it comes to them."""
    loaded = sys.modules.get("torch")  # a module of PyTorch's cannot exist without it
    if loaded is not None and isinstance(predict, loaded.nn.Module):
        from longlag.networks.torch import answers, check_module

        check_module(predict, task)
        return lambda inputs, lengths: answers(predict, inputs, lengths, task)
    if isinstance(predict, type) or not callable(predict):
        kind = (
            f"the class {predict.__name__}" if isinstance(predict, type) else type(predict).__name__
        )
        raise ValueError(
            "predict must be a callable, such as run.network.predict, or a PyTorch module, "
            f"not {kind}"
        )
    answer = _as_arrays(predict, task)
    check_answers(answer, task)
    return answer


def _in_batches(answer: Predict, batch_size: int) -> Predict:
    """Asks for batch_size answers at a time."""

    def ask(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        starts = range(0, len(lengths), batch_size)
        parts = [slice(start, start + batch_size) for start in starts]
        return np.concatenate([answer(np.asarray(inputs[part]), lengths[part]) for part in parts])

    return ask


def _as_arrays(predict: Callable[[np.ndarray, np.ndarray], Any], task: Task) -> Predict:
    """A callable's answers as an array, float64, refused where they have another form."""

    def answer(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        given, form = predict(inputs, lengths), (task, *inputs.shape[:2])
        try:
            array = np.asarray(given)
        except Exception as error:  # a ragged list, a tensor with a gradient or on a GPU
            check_form(given, *form)
            kind = type(given).__name__
            raise ValueError(f"the model's answers, a {kind}, are no array: {error}") from error
        parts = isinstance(given, tuple) and array.shape != task.answers_shape(*inputs.shape[:2])
        check_form(given if parts or array.dtype == object else array, *form)
        return array.astype(np.float64)

    return answer
