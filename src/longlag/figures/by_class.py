"""Answers that choose among classes: which is most active, and how often rightly."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from longlag.figures import examples, style
from longlag.learning.training import Run
from longlag.tasks.task import Batch, Task

SEQUENCES = 256
FEW = 12  # classes that are all named on an axis
NUMBERED = 8  # and whose shares stand in the table


@style.styled
def draw(run: Run) -> Figure:
    """Left, which output was most active for which class; right, where answers are right.

    At the right is the largest error of every sequence, by its class, where the last step is
    answered; where every one is, the share of sequences that are answered rightly at each step.
    """
    task, rng = run.recipe.task.tested, examples.stream(run, "scatter")
    drawn = [task.sequence(rng) for _ in range(SEQUENCES)]
    batch, given = task.batch(drawn), examples.answers(run.network, task, drawn)
    with np.errstate(all="ignore"):
        result = task.score(given, batch)
    title = f"{result.n - result.wrong} of {result.n} sequences are answered right"
    fig = style.figure(5.15, title, style.describe(run))
    left = style.panel(fig, 0.95, 0.9, 4.1, 4.32)
    right = style.panel(fig, 4.95, 0.9, 8.12, 4.32)
    left.set_label("classes")
    _table(left, task, *_chosen(task, batch, given))
    if task.answered == "every":
        right.set_label("steps")
        _steps(right, task, batch, given)
    else:
        right.set_label("errors")
        _errors(right, task, batch, given)
    words = f"A sequence is wrong: {task.wrong_means}"
    look = {"color": style.MUTED, "size": style.SMALL}
    fig.text(*style.point(fig, 0.62, 0.16), f"{words}. MSE {style.number(result.mse)}.", **look)
    return fig


def _chosen(task: Task, batch: Batch, given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes that were right, and the most active outputs, of every answer that is judged."""
    with np.errstate(all="ignore"):
        active = np.nan_to_num(given, nan=-np.inf).argmax(axis=-1)
    right = batch.targets.argmax(axis=-1)
    if task.answered == "last":
        return right, active
    counted = task.judged(batch)
    return right[counted], active[counted]


def _table(ax: Axes, task: Task, right: np.ndarray, active: np.ndarray) -> None:
    """A row for each class: the share of its answers by their most active output."""
    K = task.outputs
    counts = np.zeros((K, K))
    np.add.at(counts, (right, active), 1)
    asked = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, asked, out=np.full_like(counts, np.nan), where=asked > 0)
    shades = LinearSegmentedColormap.from_list("shares", ["white", style.NETWORK])
    shades = shades.with_extremes(bad=style.GRID)
    ax.imshow(shares, cmap=shades, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for row, column in np.argwhere(shares >= 0.005) if K <= NUMBERED else ():
        share = float(shares[row, column])
        look = {"ha": "center", "va": "center", "size": style.SMALL}
        colour = "white" if share > 0.5 else style.INK
        ax.text(column, row, f"{100 * share:.0f} %", color=colour, **look)
    for axis in (ax.xaxis, ax.yaxis):
        if K <= FEW:
            axis.set_ticks(range(K), task.classes)
        else:
            axis.set_major_locator(MaxNLocator(6, integer=True))
            axis.set_major_formatter(FuncFormatter(lambda k, _: _name(task, k)))
    ax.set_title(f"Most active output, by {task.what}")
    ax.set_xlabel("most active output")
    ax.set_ylabel(f"right {task.what}")
    ax.tick_params(length=0)


def _name(task: Task, k: float) -> str:
    return task.classes[int(k)] if 0 <= k < task.outputs else ""


def _steps(ax: Axes, task: Task, batch: Batch, given: np.ndarray) -> None:
    """The share of sequences whose most active output is right, at each step that is judged."""
    counted, right = task.judged(batch), examples.right_steps(batch, given)
    asked = counted.sum(axis=0)
    at = np.flatnonzero(asked)
    share = np.sum(right & counted, axis=0)[at] / asked[at]
    few = {"marker": "o", "markersize": 3.5} if len(at) <= 40 else {}
    ax.plot(at, share, color=style.NETWORK, lw=1.4, clip_on=False, **few)
    ax.set_ylim(0, 1.02)
    ax.set_xlim(-0.5, max(1, counted.shape[1] - 0.5))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.grid(axis="y")
    ax.set_title("Most active output is right, by step")
    ax.set_xlabel("step")


def _errors(ax: Axes, task: Task, batch: Batch, given: np.ndarray) -> None:
    """The largest error of each sequence, a column a class, beside the tolerance."""
    with np.errstate(all="ignore"):
        errors = np.abs(given - task.wanted(batch)).max(axis=1)
    errors = np.minimum(np.nan_to_num(errors, nan=np.inf), 1.0)
    classes = batch.targets.argmax(axis=1)
    spread = np.random.default_rng(0).uniform(-0.28, 0.28, len(errors))
    wrong = errors > task.tolerance
    ax.axhspan(0, task.tolerance, color=style.GRID, lw=0)
    for chosen, colour, label in ((~wrong, style.NETWORK, "right"), (wrong, style.MARK, "wrong")):
        look = {"color": colour, "markersize": 3.4, "alpha": 0.8, "label": label}
        ax.plot((classes + spread)[chosen], errors[chosen], "o", clip_on=False, **look)
    ax.set_xticks(range(task.outputs), task.classes)
    ax.set_xlim(-0.5, task.outputs - 0.5)
    ax.set_ylim(0, 1.02)
    ax.set_title(f"Largest error of each sequence (grey: up to {task.tolerance:g})")
    ax.set_xlabel(f"right {task.what}")
