"""longlag's native kernel on-line, 16 trials side by side, as `longlag study` uses it.

A trial draws its data within the time measured.
The variant `drawn` is the kernel alone: its data are drawn and laid out beforehand.
"""

from __future__ import annotations

from longlag.bench.cases import Case
from longlag.learning import engine as engines
from longlag.learning.native import LANES
from longlag.learning.side_by_side import side_by_side
from longlag.learning.training import begin

from .data import Train


def prepare(case: Case, threads: int = 1, variant: str = "") -> Train:
    """Training, block by block of every trial.

    Raises:
        ValueError: there is no kernel.
    """
    engines.choose("native")
    return alone(case) if variant == "drawn" else with_data(case, threads)


def with_data(case: Case, threads: int) -> Train:
    """Trials as a study has them; every block of data is new."""
    trials = [begin(case.recipe, seed, engine="native") for seed in range(LANES)]
    rounds = side_by_side(trials, threads)

    def train(iterations: int) -> None:
        for _ in range(0, iterations, case.block):
            next(rounds)
            if any(trial.stopped_by for trial in trials):
                raise RuntimeError("the training diverged")

    return train


def alone(case: Case) -> Train:
    """The kernel on the first block of every trial, again and again."""
    recipe, engine = case.recipe, engines.choose("native")
    learners = [recipe.learner(seed) for seed in range(LANES)]
    drawn = [learner.draw(0, engine.most) for learner in learners]

    def train(iterations: int) -> None:
        for _ in range(0, iterations, case.block):
            learned = engine.learn(recipe, learners, drawn)
            if any(one.updates < len(drawn[0].lengths) for one in learned):
                raise RuntimeError("the training diverged")

    return train
