"""Why fresh sequences have more errors than the window at the stop, and a check in float64.

    .venv/bin/python results/table8/selection.py

Takes the main reading's trials at both stopping points from ledger.sqlite, and counts, per 2560
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
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longlag import recipe
from longlag.files import write_bytes
from longlag.learning.engine import Engine
from longlag.learning.recipe import Recipe
from longlag.learning.side_by_side import Trials
from longlag.learning.stopping import Recent
from longlag.learning.training import Training
from longlag.statistics import bootstrap_mean
from longlag.studies.page import markdown, written_by
from longlag.sweeps import slices
from longlag.sweeps.ledger import Ledger
from longlag.tasks.task import Batch

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


def window(one: Training, stop: int, size: int) -> Batch:
    """The `size` training sequences up to the stop."""
    learner, first = one.recipe.learner(one.seed), stop - size
    pieces = []
    while first < stop:
        pieces.append(learner.draw(first, stop - first))
        first += len(pieces[-1].lengths)
    return Batch(*(np.concatenate(arrays) for arrays in zip(*pieces, strict=True)))


def on_learning(
    r: Recipe, engine: Engine, weights: Sequence[np.ndarray], seeds: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Errors while learning goes on, before and after each update; of each trial, per sequence."""
    unstoppable = r.with_settings({"mean_error": 1e-9})
    learners = [unstoppable.learner(seed) for seed in seeds]
    for learner, vector in zip(learners, weights, strict=True):
        learner.weights[:] = vector
    before, after = np.zeros(len(seeds)), np.zeros(len(seeds))
    draws = [np.random.default_rng([STREAM, 1, seed]) for seed in seeds]
    done, block = 0, learners[0].block
    while done < FURTHER:
        batches = [r.task.sample(block, rng) for rng in draws]
        for k in range(min(block, FURTHER - done)):
            ones = [Batch(*(array[k : k + 1] for array in batch)) for batch in batches]
            learned = engine.learn(unstoppable, learners, ones)
            before += [np.sqrt(one.losses[0]) > 0.04 for one in learned]
            for n, alone in enumerate(ones):
                network = unstoppable.network_of(learners[n].weights)
                answer = engine.predict(network, alone.inputs, alone.lengths)
                after[n] += wrong(answer, alone.targets)[0]
        done += min(block, FURTHER - done)
    return before / FURTHER, after / FURTHER


def measure(trials: Trials, s: int) -> list[dict[str, float]]:
    """A line a trial at stopping point number `s`."""
    r, engine = trials.recipe, trials.engine
    assert isinstance(r.stop, Recent)
    reached = [one for one in trials.trainings if one.learner.stops[s] >= 0]
    weights = [one.learner.stop_weights[s] for one in reached]
    before, after = on_learning(r, engine, weights, [one.seed for one in reached])
    lines = []
    for k, (one, vector) in enumerate(zip(reached, weights, strict=True)):
        network = r.network_of(vector)

        def off(batch: Batch, network: Any = network) -> np.ndarray:
            return wrong(engine.predict(network, batch.inputs, batch.lengths), batch.targets)

        seen = window(one, int(one.learner.stops[s]), r.stop.window)
        fresh = r.task.sample(FRESH, np.random.default_rng([STREAM, 2, one.seed]))
        bad = off(fresh)
        first = np.sum(fresh.inputs[:, :, 1] == 1, axis=1) == 1
        own = r.task.sample(r.stop.test_size, one.learner.test_stream(s))
        exact = r.network_of(vector.astype(np.float64))
        answers = exact.predict(own.inputs.astype(np.float64), own.lengths)
        counts = (
            *((r.stop.stops[s] - 1) / r.stop.window, off(seen).mean(), before[k], after[k]),
            *(bad.mean(), bad[first].mean(), bad[~first].mean()),
            *(off(own).mean(), wrong(answers, own.targets).mean()),
        )
        values = (r.stop.stops[s], one.seed, *(PER * share for share in counts))
        lines.append(dict(zip(COLUMNS, values, strict=True)))
    return lines


def main() -> None:
    r = recipe("paper")
    assert isinstance(r.stop, Recent)
    with Ledger.read(HERE / "ledger.sqlite") as ledger:
        rows = [row for row in ledger.rows() if r.settings().items() <= row["settings"].items()]
    rows.sort(key=lambda row: row["seed"])
    trials = Trials(r, [row["seed"] for row in rows])
    for training, row in zip(trials.trainings, rows, strict=True):
        slices.restore(training, row["state"])
    lines = [line for s in range(len(r.stop.stops)) for line in measure(trials, s)]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(lines)
    write_bytes(HERE / "selection.csv", text.getvalue().encode())

    head = ("stop", "trials", *COLUMNS[2:])
    rows = [head]
    for n_seq in r.stop.stops:
        own = [line for line in lines if line["n_seq"] == n_seq]
        cells = [f"fewer than {n_seq}", str(len(own))]
        for name in COLUMNS[2:]:
            values = [line[name] for line in own]
            low, high = bootstrap_mean(values)
            cells.append(f"{np.mean(values):.1f} ({low:.1f} to {high:.1f})")
        rows.append(tuple(cells))
    differing = max(abs(line["study"] - line["study in float64"]) for line in lines)
    page = (
        "# Errors at the stop, counted in several ways\n\nErrors above 0.04 per 2560 sequences; "
        "means over trials with their 95 % bootstrap intervals. What the columns are stands in "
        f"`selection.py`. The paper has 139 and 14.\n\n{markdown(rows)}\n\nThe float64 "
        "reference's counts on the study's fresh sequences differ from the kernel's by at most "
        f"{differing:.0f}.\n\n" + written_by("python results/table8/selection.py")
    )
    write_bytes(HERE / "selection.md", page.encode())
    print(page)


if __name__ == "__main__":
    main()
