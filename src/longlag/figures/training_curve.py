"""How the error fell: batch by batch, smoothed, and on fresh sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, StrMethodFormatter
from numpy.typing import ArrayLike

from longlag.figures import curves, style
from longlag.learning.stopping import Points
from longlag.learning.training import Run
from longlag.tasks.marked_pairs import TABLE8, MarkedPairs, Published

PAPER_DASHES = ((0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
HEIGHT = 4.7  # inches
STOP_HEIGHTS = (1.12, 1.055)  # of the words about stopping points, in heights of the panel


@style.styled
def draw(run: Run) -> Figure:
    """The training curve of a run, with the chance level of its rules."""
    fig = style.figure(HEIGHT, headline(run), style.describe(run))
    ax = style.panel(fig, 0.72, 0.98, 7.6, 3.75)
    ax.set_label("curve")
    curves.error_axis(ax, run, tuple(stop.rmse**2 for stop, _ in paper_stops(run)))
    paper = _paper(ax, run)
    entries = [*_curves(ax, run), _chance(ax, run)]
    _stops(ax, run)
    _axes(ax, run)
    look = {"ncols": 4, "handlelength": 1.9, "columnspacing": 1.6}
    for handles, bottom in ((entries, 0.26 if paper else 0.1), (paper, 0.05)):
        style.legend(fig, 0.62, bottom, handles=handles, **look)
    return fig


def headline(run: Run) -> str:
    """What the curve shows, in one line."""
    chance, mse = run.recipe.task.tested.chance_mse, run.score.mse
    if run.stopped_by == "diverged" or not np.isfinite(mse):
        what = "sequences" if run.stops else "iterations"
        return f"Training diverged after {run.iterations:,} {what}"
    if mse > 2 * chance:
        return f"Worse than chance: test MSE {style.number(mse)}, chance {style.number(chance)}"
    if mse > 0.8 * chance:
        return f"At chance: test MSE {style.number(mse)}, chance {style.number(chance)}"
    times = f"{chance / mse:.0f}" if chance > 3 * mse else f"{chance / mse:.1f}"
    return (
        f"Test MSE falls to {style.number(mse)} (RMSE {style.number(np.sqrt(mse))}), "
        f"{times} times below chance"
    )


def paper_stops(run: Run) -> list[tuple[Published, str]]:
    """The paper's two results and what the lines at them are called, where a run is on the paper's
    own task."""
    if run.recipe.task.tested != MarkedPairs():  # the lengths are the paper's
        return []
    names = ("paper, first stop", "second stop")
    return [
        (stop, f"{name}: {stop.rmse} (read as RMSE), {stop.sequences:,} sequences")
        for stop, name in zip(TABLE8, names, strict=True)
    ]


def _curves(ax: Axes, run: Run) -> list[Line2D]:
    """The three curves; returns the legend's entries."""
    at, losses = curves.finite_losses(run)
    if len(at) == 0:
        style.note(ax, "no batch was learned from")
        return []
    window = curves.smoothing_window(len(losses))
    smoothed = curves.smooth(losses, window)
    few: dict[str, Any] = {"marker": "o", "markersize": 3.5} if len(at) < 20 else {}
    batch, several = loss_names(run, window)
    lines = [
        *ax.plot(*curves.thin(at, losses), color=style.NETWORK_LIGHT, lw=0.7, label=batch),
        *ax.plot(
            *curves.thin(at, smoothed),
            color=style.NETWORK,
            lw=1.9,
            **few,
            label=several,
        ),
    ]
    tested, tests = curves.finite_tests(run)
    if len(tested) > 0:
        dots: dict[str, Any] = {"color": style.TEST, "markeredgecolor": style.INK, "clip_on": False}
        dots |= {"markersize": 5.5 if len(tested) <= 20 else 3.8, "markeredgewidth": 0.7}
        lines += ax.plot(tested, tests, "o", label=curves.name_of_tests(run), **dots)
    return lines[1:] if window == 1 else lines


def loss_names(run: Run, window: int) -> tuple[str, str]:
    """What the light curve is, and the heavy one, in words."""
    recipe = run.recipe
    if recipe.rule.loss_every > 1:
        every = recipe.rule.loss_every
        return f"mean of {every:,} sequences", f"mean of {every * window:,} sequences"
    several = "one batch" if window == 1 else f"mean of {window} batches"
    return f"one batch ({recipe.batch_size} sequences)", several


def _stops(ax: Axes, run: Run) -> None:
    """On-line, where the stopping points were reached: lines that rise to words above the panel."""
    rule, up = run.recipe.stop, ax.get_xaxis_transform()
    if not isinstance(rule, Points):
        return
    for s, (stop, height) in enumerate(zip(run.stops, STOP_HEIGHTS, strict=False)):
        if not stop.reached:
            continue
        at = [stop.sequences] * 2
        ax.plot(at, [0, height], color=style.TEST, lw=1.1, zorder=2.4, transform=up, clip_on=False)
        left = stop.sequences > run.iterations / 2  # on which side of the line there is room
        ax.annotate(
            f"{rule.words(s)} after {stop.sequences:,}",
            (stop.sequences, height),
            xycoords=up,
            xytext=(-4 if left else 4, 1),
            textcoords="offset points",
            ha="right" if left else "left",
            va="top",
            size=style.SMALL,
            color=style.MUTED,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )


def _chance(ax: Axes, run: Run) -> Line2D:
    chance = curves.chance_line(ax, run)
    by = run.recipe.task.rules_name
    label = f"chance {style.number(chance)}" + (f" ({by} rules)" if by else "")
    return Line2D([], [], label=label, **curves.CHANCE_LOOK)


def _paper(ax: Axes, run: Run) -> list[Line2D]:
    """The paper's two results as lines; returns the legend's entries."""
    lines = []
    stops = paper_stops(run)
    for (stop, text), dashes in zip(stops, PAPER_DASHES, strict=False):
        look: dict[str, Any] = {"color": style.PAPER, "linewidth": 1.3, "linestyle": dashes}
        ax.axhline(stop.rmse**2, zorder=2.5, **look)
        lines.append(Line2D([], [], label=text, **look))
    if run.stops:  # on-line, sequences are as comparable as errors
        at = [stop.sequences for stop, _ in stops], [stop.rmse**2 for stop, _ in stops]
        ax.plot(*at, "D", color=style.PAPER, markersize=4.5, zorder=2.7)
    return lines


def _axes(ax: Axes, run: Run) -> None:
    """Iterations below, sequences above where they differ; MSE left, RMSE right."""
    marks = [stop.sequences for stop, _ in paper_stops(run)] if run.stops else []
    near = (1.01 * at for at in marks if at < 1.1 * run.iterations)
    ax.set_xlim(0, max(1, run.iterations, *near))
    ax.set_xlabel("training sequences" if run.stops else "iterations")
    ax.set_ylabel("mean squared error")
    ax.xaxis.set_major_locator(_counts())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if not run.stops:
        _sequences_above(ax, run.recipe.batch_size)
    right = ax.secondary_yaxis("right", functions=(_root, _square))
    right.set_ylabel("its root (RMSE)", labelpad=4)
    right.yaxis.set_major_locator(curves.readable_log_ticks(*np.sqrt(ax.get_ylim())))
    right.yaxis.set_minor_locator(NullLocator())
    right.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    right.spines["right"].set_visible(True)


def _sequences_above(ax: Axes, batch_size: int) -> None:
    above = ax.secondary_xaxis("top", functions=(_times(batch_size), _times(1 / batch_size)))
    above.set_xlabel("training sequences", labelpad=4)
    above.xaxis.set_major_locator(_counts())
    above.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    above.spines["top"].set_visible(True)


def _counts() -> MaxNLocator:
    """Ticks at whole round numbers."""
    return MaxNLocator(8, integer=True, steps=[1, 2, 5, 10])


def _times(factor: float) -> Callable[[ArrayLike], ArrayLike]:
    return lambda x: np.asarray(x) * factor


def _root(mse: ArrayLike) -> ArrayLike:
    return np.sqrt(np.maximum(mse, 0))


def _square(rmse: ArrayLike) -> ArrayLike:
    return np.square(rmse)
