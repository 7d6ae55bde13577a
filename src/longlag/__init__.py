"""longlag: tasks, networks and statistics for long-time-lag learning.

Tasks are in `tasks`, networks in `networks`, recipes and training in `learning`. The names below
are the public surface.
"""

import importlib
from typing import TYPE_CHECKING, Any

from longlag import interop, movement, notebook
from longlag.judging import evaluate, judge
from longlag.learning.recipe import RECIPES, Recipe, recipe
from longlag.learning.training import History, Run
from longlag.runs.directory import load
from longlag.studies import compare, study
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.registry import TASKS, task
from longlag.tasks.score import Score, score
from longlag.tasks.task import Batch, Task
from longlag.training import train
from longlag.version import __version__ as __version__

if TYPE_CHECKING:
    from longlag.jax_training import train_jax as train_jax
    from longlag.torch import train_torch as train_torch

__all__ = [
    "RECIPES",
    "TASKS",
    "Batch",
    "History",
    "MarkedPairs",
    "Recipe",
    "Run",
    "Score",
    "Task",
    "compare",
    "evaluate",
    "interop",
    "judge",
    "load",
    "movement",
    "recipe",
    "score",
    "study",
    "task",
    "train",
]


notebook.attach()


def __getattr__(name: str) -> Any:
    """What needs an extra, imported on first use: `torch`, `train_torch`, `train_jax`.

    Raises:
        ImportError: the framework is not installed.
    """
    if name in ("torch", "train_torch"):
        module = importlib.import_module("longlag.torch")
        return module if name == "torch" else module.train_torch
    if name == "train_jax":
        return importlib.import_module("longlag.jax_training").train_jax
    raise AttributeError(f"module 'longlag' has no attribute {name!r}")
