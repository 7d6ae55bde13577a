"""Learning curves: as numbers, as CSV, as lines on a logarithmic axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from longlag.figures import style
from longlag.learning.training import Run

CHANCE_LOOK: dict[str, Any] = {
    "color": style.INK,
    "linestyle": (0, (4, 2.5)),
    "linewidth": 1.1,
}
MOST_POINTS = 3000  # a line of more points is thinned to the extremes of its bins


def csv(run: Run) -> str:
    """The curves as text: iteration, sequences, train_mse, test_mse (empty where there is none).

    train_mse is that of the iteration's batch before its update (on-line: the mean of 1000
    sequences up to this one), test_mse that on fresh sequences after it; numbers are written so
    that they read back exactly.
    """
    history = run.history
    tests = dict(history.test_curve)
    losses = dict(zip(run.loss_iterations.tolist(), history.train_losses.tolist(), strict=True))
    lines = ["iteration,sequences,train_mse,test_mse"]
    for iteration in sorted({*losses, *tests}):
        values = (repr(float(v[iteration])) if iteration in v else "" for v in (losses, tests))
        lines.append(",".join(map(str, (iteration, iteration * run.recipe.batch_size, *values))))
    return "\n".join(lines) + "\n"


def smooth(losses: np.ndarray, window: int) -> np.ndarray:
    """Mean over a centred window, of which half is left at either end; (n,) as given."""
    if len(losses) == 0:
        return losses
    ones = np.ones(min(window, len(losses)))
    return np.convolve(losses, ones, "same") / np.convolve(np.ones(len(losses)), ones, "same")


def smoothing_window(n: int) -> int:
    """Losses that a smoothed curve of n losses takes together: a fiftieth, odd, at most 1001."""
    return 2 * min(n // 100, 500) + 1


def thin(x: np.ndarray, y: np.ndarray, most: int = MOST_POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most about `most` points of a line: the least and the greatest of each bin, in order."""
    if len(x) <= most:
        return x, y
    bins = np.array_split(np.arange(len(x)), most // 2)
    keep = np.unique([pick for b in bins for pick in (b[np.argmin(y[b])], b[np.argmax(y[b])])])
    return x[keep], y[keep]


def finite_losses(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Iterations and their training losses, as far as a logarithmic axis can show them."""
    losses = np.asarray(run.history.train_losses, dtype=np.float64)
    at = run.loss_iterations
    good = np.isfinite(losses) & (losses > 0)
    return at[good], losses[good]


def finite_tests(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Iterations and test errors of the checkpoints, as far as they can be shown."""
    points = np.array(run.history.test_curve, dtype=np.float64).reshape(-1, 2)
    points = points[np.isfinite(points[:, 1]) & (points[:, 1] > 0)]
    return points[:, 0], points[:, 1]


def name_of_tests(run: Run) -> str:
    """What a test is of, in a legend: averaged weights may lag far behind the latest batches."""
    if run.averaged:
        return "test (averaged weights)"
    return f"test ({run.recipe.stop.test_size:,} fresh sequences)"


def error_axis(ax: Axes, run: Run, also: tuple[float, ...] = ()) -> None:
    """A logarithmic axis that holds both curves, the chance level and `also`."""
    _, losses = finite_losses(run)
    _, tests = finite_tests(run)
    chance = run.recipe.task.tested.chance_mse
    bulk = np.quantile(losses, [0.002, 0.998]) if len(losses) else np.array([])
    shown = np.concatenate([bulk, tests, [chance], also])
    ax.set_yscale("log")
    ax.set_ylim(shown.min() / 1.6, shown.max() * 1.8)
    low, high = ax.get_ylim()
    if high < 100 * low:  # powers of ten alone would be too few
        ax.yaxis.set_major_locator(readable_log_ticks(low, high))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y")


def chance_line(ax: Axes, run: Run) -> float:
    """Draws the chance level of the rules in use, dashed, and returns it."""
    chance = run.recipe.task.tested.chance_mse
    ax.axhline(chance, zorder=2.6, **CHANCE_LOOK)
    return chance


def readable_log_ticks(low: float, high: float) -> LogLocator:
    """Ticks at 1, 2 and 5 times the powers of ten, where there is room for them."""
    return LogLocator(subs=(1, 2, 5) if high < 1e4 * low else (1,), numticks=9)
