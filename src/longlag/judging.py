"""Any model judged by the paper's rules: `judge(predict)`.

A plain callable needs nothing but numpy; PyTorch's part is in `longlag.torch`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from longlag import checks
from longlag import words as report
from longlag.learning.recipe import Recipe, Settings, recipe
from longlag.learning.training import Predict, on_fresh
from longlag.networks.checking import check_answers, check_form
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.score import Score

if TYPE_CHECKING:
    from torch import nn  # pyright: ignore[reportMissingImports]  # an extra


def judge(
    predict: Callable[[np.ndarray, np.ndarray], Any] | nn.Module,
    task: MarkedPairs | Settings | None = None,
    n: int = 2560,
    seed: int = 0,
    *,
    batch_size: int = 512,
    show: bool = False,
) -> Score:
    """Scores any model on n fresh sequences, the same that `longlag evaluate` draws.

    Before that it shows the model a few sequences in three calls of eight at most, and refuses
    one that does not answer each by itself (`longlag.networks.checking`).

    Args:
        predict: a callable that takes inputs (B, T, 2) float32, with zeros after the end of a
            sequence, and lengths (B,) int64, and gives B numbers; or a PyTorch module of that
            kind (`longlag.torch` says what its `forward` takes), judged in evaluation mode.
        task: what is asked, or a recipe that says so; that of the recipe `robust` where not given.
        n: sequences; with the task and the seed, it determines every one of them.
        seed: 0 .. 2**63 - 1.
        batch_size: B, sequences that are given to the model at a time, at most.
        show: print the score card, beside chance and the paper.

    Raises:
        ValueError: an argument that is not allowed, answers of another shape, or answers that
            depend on more than the sequence.
    """
    where = asked(recipe("robust") if task is None else task)
    checks.whole("batch_size", batch_size, 1)
    answer = _model(predict, where)
    judged = on_fresh(_in_batches(answer, batch_size), where, n, seed)
    if show:
        print(report.scores(where, judged))
    return judged


def asked(task: Any) -> MarkedPairs:
    """The task, or the one on which a recipe's runs are tested."""
    if isinstance(task, Recipe):
        return task.evaluation_task
    if isinstance(task, Settings):
        return task.task
    if not isinstance(task, MarkedPairs):
        raise ValueError(f"task must be a MarkedPairs or a recipe, not {task!r}")
    return task


def _model(predict: Any, task: MarkedPairs) -> Predict:
    """What gives a model's answers (B,), after a look at how it comes to them."""
    loaded = sys.modules.get("torch")  # a module of PyTorch's cannot exist without it
    if loaded is not None and isinstance(predict, loaded.nn.Module):
        from longlag.torch import answers, check_module

        check_module(predict, task)
        return lambda inputs, lengths: answers(predict, inputs, lengths)
    if not callable(predict):
        raise ValueError(
            "predict must be a callable, such as run.network.predict, or a PyTorch module, "
            f"not {type(predict).__name__}"
        )
    answer = _as_arrays(predict)
    check_answers(answer, task)
    return answer


def _in_batches(answer: Predict, batch_size: int) -> Predict:
    """Asks for batch_size answers at a time."""

    def ask(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        starts = range(0, len(lengths), batch_size)
        parts = [slice(start, start + batch_size) for start in starts]
        return np.concatenate([answer(inputs[part], lengths[part]) for part in parts])

    return ask


def _as_arrays(predict: Callable[[np.ndarray, np.ndarray], Any]) -> Predict:
    """A callable's answers as an array (B,) float64, refused where they have another form."""

    def answer(inputs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        given, size = predict(inputs, lengths), inputs.shape[:2]
        try:
            array = np.asarray(given)
        except Exception as error:  # a ragged list, a tensor with a gradient or on a GPU
            check_form(given, *size)
            kind = type(given).__name__
            raise ValueError(f"the model's answers, a {kind}, are no array: {error}") from error
        parts = isinstance(given, tuple) and array.shape != lengths.shape
        check_form(given if parts or array.dtype == object else array, *size)
        return array.astype(np.float64)

    return answer
