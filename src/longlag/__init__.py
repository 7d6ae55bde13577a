"""longlag: a laboratory for long-time-lag learning.

The task, the networks and the training are in `tasks`, `networks`, `training`; settings in
`recipes`. The names below are the public surface.
"""

from longlag import interop, movement
from longlag.criteria import Score, score
from longlag.recipes import RECIPES, Recipe, recipe
from longlag.runs import load
from longlag.studies import study
from longlag.tasks import Batch, MarkedPairs
from longlag.training import History, Run, evaluate, train

__version__ = "0.1.0"

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
    "load",
    "movement",
    "recipe",
    "score",
    "study",
    "train",
]
