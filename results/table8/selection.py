"""Why fresh sequences have more errors than the window at the stop, and a check in float64.

    .venv/bin/python results/table8/selection.py

Takes the main reading's trials at both stopping points from state.npz, and counts, per 2560
sequences, errors above 0.04:

    window      over the 2000 training sequences at the stop: what the rule saw
    again       over the same 2000 sequences, all answered with the weights of the stop
    learning    over 10,000 further sequences, learned from as they come, before each update
    after       over the same, after each update
    fresh       over 25,600 fresh sequences with the weights of the stop: all of them, those with
                a mark on the first pair, and the others

and answers the study's own 2560 fresh sequences once more with the float64 reference network.
Writes selection.md and selection.csv beside itself.
"""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from longlag import files, machine, recipe
from longlag.files import write_bytes
from longlag.learning import side_by_side as online
from longlag.learning.recipe import OnlineRecipe
from longlag.learning.side_by_side import State, Trials
from longlag.statistics import bootstrap_mean
from longlag.tasks.marked_pairs import Batch

HERE = Path(__file__).resolve().parent
PER = 2560
FURTHER, FRESH = 10_000, 25_600
STREAM = 9  # spawn key of the sequences drawn here, apart from every trial's own
COLUMNS = (
    *("n_seq", "seed", "window", "again", "learning", "after", "fresh", "fresh, first marked"),
    *("fresh, others", "study", "study in float64"),
)


def wrong(answers: np.ndarray, targets: np.ndarray) -> np.ndarray:
    return np.abs(answers.astype(np.float64) - targets) > 0.04


def window(r: OnlineRecipe, seed: int, stop: int) -> Batch:
    """The `r.window` training sequences up to the stop."""
    first = stop - r.window
    blocks = range(first // r.block, (stop - 1) // r.block + 1)
    whole = [r.training_data(seed, block) for block in blocks]
    start = first - blocks[0] * r.block
    joined = (np.concatenate(arrays) for arrays in zip(*whole, strict=True))
    return Batch(*(array[start : start + r.window] for array in joined))


def on_learning(
    r: OnlineRecipe, engine: online.OnlineEngine, weights: np.ndarray, seeds: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Errors while learning goes on, before and after each update; of each trial, per sequence."""
    unstoppable = recipe(r.name, **r.settings() | {"mean_error": 1e-9})
    state = State.start(unstoppable, seeds)
    state.weights[:] = weights
    before, after = np.zeros(len(seeds)), np.zeros(len(seeds))
    draws = [np.random.default_rng([STREAM, 1, seed]) for seed in seeds]
    done = 0
    while done < FURTHER:
        batches = [r.task.sample(r.block, rng) for rng in draws]
        data = Batch(*(np.stack(arrays) for arrays in zip(*batches, strict=True)))
        for k in range(min(r.block, FURTHER - done)):
            one = Batch(*(np.ascontiguousarray(array[:, k : k + 1]) for array in data))
            answers = engine.learn(unstoppable, state, one)
            before += wrong(answers, one.targets)[:, 0]
            for n in range(len(seeds)):
                alone = Batch(*(array[n] for array in one))
                answer = engine.predict(unstoppable, state.weights[n], alone)
                after[n] += wrong(answer, alone.targets)[0]
        done += min(r.block, FURTHER - done)
    return before / FURTHER, after / FURTHER


def measure(trials: Trials, engine: online.OnlineEngine, s: int) -> list[dict[str, float]]:
    """A line a trial at stopping point number `s`."""
    r, arrays = trials.recipe, trials.arrays
    reached = np.flatnonzero(arrays.stops[:, s] >= 0)
    seeds = [trials.seeds[row] for row in reached]
    weights = arrays.stop_weights[reached, s]
    before, after = on_learning(r, engine, weights, seeds)
    lines = []
    for k, row in enumerate(reached):
        seed, vector = seeds[k], weights[k]
        seen = window(r, seed, int(arrays.stops[row, s]))
        again = wrong(engine.predict(r, vector, seen), seen.targets).mean()
        fresh = r.task.sample(FRESH, np.random.default_rng([STREAM, 2, seed]))
        bad = wrong(engine.predict(r, vector, fresh), fresh.targets)
        first = np.sum(fresh.inputs[:, :, 1] == 1, axis=1) == 1
        own = r.test_data(seed, s)
        exact = r.network_of(vector.astype(np.float64))
        answers = exact.predict(own.inputs.astype(np.float64), own.lengths)
        counts = (
            *((r.stops[s] - 1) / r.window, again, before[k], after[k], bad.mean()),
            *(bad[first].mean(), bad[~first].mean()),
            wrong(engine.predict(r, vector, own), own.targets).mean(),
            wrong(answers, own.targets).mean(),
        )
        values = (r.stops[s], seed, *(PER * share for share in counts))
        lines.append(dict(zip(COLUMNS, values, strict=True)))
    return lines


def main() -> None:
    saved = files.read_arrays(HERE / "state.npz")
    r, engine = recipe("paper"), online.choose()
    trials = Trials(r, sorted(int(seed) for seed in saved["seeds"]), engine)
    trials.restore(saved)
    lines = [line for s in range(len(r.stops)) for line in measure(trials, engine, s)]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(lines)
    write_bytes(HERE / "selection.csv", text.getvalue().encode())

    head = ("stop", "trials", *COLUMNS[2:])
    rows = [head, ("---",) * len(head)]
    for n_seq in r.stops:
        own = [line for line in lines if line["n_seq"] == n_seq]
        cells = [f"fewer than {n_seq}", str(len(own))]
        for name in COLUMNS[2:]:
            values = [line[name] for line in own]
            low, high = bootstrap_mean(values)
            cells.append(f"{np.mean(values):.1f} ({low:.1f} to {high:.1f})")
        rows.append(tuple(cells))
    differing = max(abs(line["study"] - line["study in float64"]) for line in lines)
    about = machine.environment()
    body = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    page = (
        "# Errors at the stop, counted in several ways\n\nErrors above 0.04 per 2560 sequences; "
        "means over trials with their 95 % bootstrap intervals. What the columns are stands in "
        f"`selection.py`. The paper has 139 and 14.\n\n{body}\n\nThe float64 reference's counts "
        f"on the study's fresh sequences differ from the kernel's by at most {differing:.0f}.\n\n"
        f"Command: `python results/table8/selection.py`  \nlonglag {about['longlag']}, Python "
        f"{about['python']}, numpy {about['numpy']}, {about['machine']}, "
        f"{datetime.date.today()}\n"
    )
    write_bytes(HERE / "selection.md", page.encode())
    print(page)


if __name__ == "__main__":
    main()
