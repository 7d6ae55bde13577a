"""longlag: a laboratory for long-time-lag learning.

The task, the networks and the training are in `tasks`, `networks`, `training`; settings in
`recipes`. The names below are the public surface.
"""

import importlib
from typing import TYPE_CHECKING, Any

from longlag import interop, movement
from longlag.judging import evaluate, judge
from longlag.learning.recipe import RECIPES, Recipe, recipe
from longlag.learning.steps import History, Run
from longlag.learning.training import train
from longlag.runs.directory import load
from longlag.studies import study
from longlag.tasks.marked_pairs import Batch, MarkedPairs
from longlag.tasks.score import Score, score
from longlag.version import __version__ as __version__

if TYPE_CHECKING:
    from longlag.torch import train_torch as train_torch

__all__ = [
    "RECIPES",
    "Batch",
    "History",
    "MarkedPairs",
    "Recipe",
    "Run",
    "Score",
    "evaluate",
    "interop",
    "judge",
    "load",
    "movement",
    "recipe",
    "score",
    "study",
    "train",
]


def __getattr__(name: str) -> Any:
    """PyTorch's part, imported when it is asked for: `torch` and `train_torch`.

    Raises:
        ImportError: PyTorch is not installed.
    """
    if name in ("torch", "train_torch"):
        module = importlib.import_module("longlag.torch")
        return module if name == "torch" else module.train_torch
    raise AttributeError(f"module 'longlag' has no attribute {name!r}")
