"""The tasks by name."""

from __future__ import annotations

from typing import Any

from longlag.settings import Registry
from longlag.tasks.copy import Copy
from longlag.tasks.long_lag import LongLag
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.memorization import Memorization
from longlag.tasks.permutation import Permutation
from longlag.tasks.reber import EmbeddedReber
from longlag.tasks.task import Task
from longlag.tasks.temporal_order import TemporalOrder
from longlag.tasks.two_sequence import TwoSequence
from longlag.tasks.very_long_lag import VeryLongLag
from longlag.tasks.xor import ExclusiveOr

TASKS: Registry[Task] = Registry(
    "task",
    Task,  # type: ignore[type-abstract]
    MarkedPairs("multiplication"),
    MarkedPairs("adding"),
    TemporalOrder(),
    EmbeddedReber(),
    LongLag(),
    VeryLongLag(),
    TwoSequence(),
    ExclusiveOr(),
    Permutation(),
    Memorization(),
    Copy(),
)


def task(name: str, **settings: Any) -> Task:
    """The registered task `name`, with some settings changed.

    >>> task("adding", min_length=300).max_length
    330

    Args:
        name: of a registered task, or `module:Class` of your own.
        settings: its fields; min_length alone implies max_length = 1.1 T.

    Raises:
        ValueError: an unknown task or setting (the nearest is suggested), or a value out of range.
    """
    return TASKS[name].with_settings(settings)
