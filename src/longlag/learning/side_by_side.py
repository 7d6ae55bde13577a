"""Many trainings of one recipe side by side: a lane of the kernel each.

In a round every unfinished training learns from its next piece of data, in groups of as many as the
engine has lanes. The lane of a finished training goes to the next one that waits. While the kernel
learns from one piece of data, other threads draw the next. The result of a training is determined
by its recipe and seed: it has the same bits whatever runs beside it, with any number of threads,
and after interruptions.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

from longlag import checks
from longlag.learning.engine import Engine, choose
from longlag.learning.recipe import Recipe
from longlag.learning.rules import OnlineLearner
from longlag.learning.streams import check_seed
from longlag.learning.training import Run, Training


def side_by_side(trainings: Sequence[Training], threads: int = 1) -> Generator[None, None, None]:
    """Runs trainings of one recipe and engine to their ends; yields after every round.

    Args:
        trainings: may have begun already.
        threads: of the kernel and the drawing of data together.

    Raises:
        ValueError: a number of threads that is not allowed.
    """
    threads = checks.whole("threads", threads, 1, 1024)
    with ThreadPoolExecutor(threads) as pool:
        while left := [one for one in trainings if one.stopped_by is None]:
            # Threads beyond the number of groups would do nothing.
            _round(left[: threads * left[0].engine.lanes], pool)
            yield


class Trials:
    """On-line trials of a recipe, a seed each, that learn side by side.

    Args:
        recipe: of rule `online` and stop `recent` or `fresh`.
        seeds: a trial each.
        engine: as in `longlag.train`.
        threads: of the kernel and the drawing of data together.

    Raises:
        ValueError: a seed or a number of threads that is not allowed.
    """

    def __init__(
        self, recipe: Recipe, seeds: Sequence[int], engine: str = "auto", threads: int = 1
    ) -> None:
        self.recipe: Recipe = recipe
        self.seeds: list[int] = [check_seed(seed) for seed in seeds]
        self.threads: int = checks.whole("threads", threads, 1, 1024)
        self.engine: Engine = choose(engine, recipe=recipe)
        self.trainings: list[Training] = [
            Training(recipe, seed, self.engine) for seed in self.seeds
        ]

    @property
    def left(self) -> int:
        """How many are still to learn."""
        return sum(one.stopped_by is None for one in self.trainings)

    def rounds(self) -> Generator[None, None, None]:
        """Runs every trial to its end; yields after every round."""
        return side_by_side(self.trainings, self.threads)

    def runs(self) -> list[Run]:
        """The finished trials."""
        return [one.run() for one in self.trainings]


def _round(trainings: Sequence[Training], pool: ThreadPoolExecutor) -> None:
    groups = _groups(trainings)
    learned = [pool.submit(_learn, group) for group in groups]
    ahead = [
        pool.submit(one.learner.draw_ahead, one.iteration)
        for one in trainings
        if isinstance(one.learner, OnlineLearner)
    ]
    for done in (*learned, *ahead):
        done.result()


def _groups(trainings: Sequence[Training]) -> list[list[Training]]:
    """Groups that learn together: the trials of a group have equally many sequences before them."""
    lanes, most = trainings[0].engine.lanes, trainings[0].engine.most
    if lanes == 1 or not isinstance(trainings[0].learner, OnlineLearner):
        return [[one] for one in trainings]
    alike: dict[int, list[Training]] = {}
    for one in trainings:
        alike.setdefault(one.learner.ahead(one.iteration, most), []).append(one)
    return [group[k : k + lanes] for group in alike.values() for k in range(0, len(group), lanes)]


def _learn(group: Sequence[Training]) -> None:
    """Trains a group on its next pieces of data."""
    first = group[0]
    if not isinstance(first.learner, OnlineLearner):
        first.advance()  # it is alone
        return
    start = time.perf_counter()
    pieces = [next(one.pieces()) for one in group]
    learned = first.engine.learn(first.recipe, [one.learner for one in group], pieces)
    for one, what, piece in zip(group, learned, pieces, strict=True):
        one.note(what, piece)
        one.look()
    share = (time.perf_counter() - start) / len(group)
    for one in group:
        one.elapsed += share
