"""What several threads gain: `python -m longlag.benchmarks.threads` prints a table.

The kernel alone, its data drawn beforehand: a training's iteration with one thread beside one with
as many as there are cores, in turn. The best of the rounds is what other processes disturb least.
"""

from __future__ import annotations

import time

import numpy as np

from longlag import machine
from longlag.learning import engine as engines
from longlag.learning.recipe import Recipe, recipe
from longlag.tasks.task import Batch

HIDDEN, BATCHES, LENGTHS = (2, 8, 32, 128), (8, 32, 256), (30, 100, 1000)
ROUNDS = 7
ROUND_STEPS = 3e7  # cells times steps of a round


def microseconds(chosen: Recipe, hidden: int, threads: tuple[int, ...]) -> list[float]:
    """An iteration with each number of threads."""
    steps = chosen.batch_size * chosen.task.max_length
    n = max(1, min(200, int(ROUND_STEPS / (steps * (hidden + 8)))))
    flat = chosen.task.sample(chosen.batch_size, np.random.default_rng(0))
    data = Batch(*(np.stack([array] * n) for array in flat))
    learner = chosen.learner(0)
    rounds: dict[int, list[float]] = {count: [] for count in threads}
    for _ in range(ROUNDS):
        for count, seconds in rounds.items():
            engine = engines.choose("native", count)
            start = time.perf_counter()
            engine.learn(chosen, [learner], [data])
            seconds.append((time.perf_counter() - start) / n)
    return [1e6 * min(seconds) for seconds in rounds.values()]


def cell(chosen: Recipe, hidden: int, cores: int) -> str:
    """An entry: µs with one thread, with all that are used, and how many those are."""
    used = engines.choose("native", cores).threads_used(chosen)
    one, all_of_them = microseconds(chosen, hidden, (1, cores))
    return f"{rounded(one)} → {rounded(all_of_them)} ({used})"


def rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def main() -> None:
    """Prints the table as it is made."""
    cores = machine.cores()
    print(f"| sequences, cells | {' | '.join(f'T = {T}' for T in LENGTHS)} |")
    print("|---" * (1 + len(LENGTHS)) + "|")
    for batch in BATCHES:
        for hidden in HIDDEN:
            row = (recipe("robust", min_length=T, hidden=hidden, batch_size=batch) for T in LENGTHS)
            cells = (cell(chosen, hidden, cores) for chosen in row)
            print(f"| {batch}, {hidden} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
