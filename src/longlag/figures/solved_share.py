"""How many trials have stopped, against the training sequences that it took them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, PercentFormatter

from longlag.figures import style

COLOURS = (style.NETWORK, style.MARK, style.TEST)
HEIGHT = 4.2  # inches
FAR = 4.0  # means that are so many times apart need a logarithmic axis


@dataclass(frozen=True)
class Curve:
    """Trials at one stopping point.

    sequences: of those that reached it; mean and interval: of sequences, restricted to the
    budget where some did not; paper: the paper's mean.
    """

    label: str
    sequences: Sequence[int]
    trials: int
    mean: float
    interval: tuple[float, float]
    restricted: bool
    paper: float


@style.styled
def draw(curves: Sequence[Curve], title: str, budget: int, subtitle: str) -> Figure:
    """A step a trial; a dot and a bar for our mean and its interval, a diamond for the paper's."""
    fig = style.figure(HEIGHT, title, subtitle)
    ax = style.panel(fig, 0.72, 1.0, 8.0, 3.45)
    ax.set_label("solved")
    start, end, logarithmic = _range(curves, budget)
    for k, curve in enumerate(curves):
        _curve(ax, curve, COLOURS[k % len(COLOURS)], (start, end), -0.07 * (k + 1))
    _axes(ax, (start, end), logarithmic, len(curves))
    handles, labels = ax.get_legend_handles_labels()
    handles += [
        Line2D([], [], color=style.MUTED, marker="o", markersize=5, lw=1.6),
        Line2D([], [], color=style.PAPER, marker="D", markersize=6, lw=0),
    ]
    labels += ["mean here, with its 95 % interval", "the paper's mean of 10 trials"]
    style.legend(fig, 0.62, 0.08, handles=handles, labels=labels, ncols=2)
    return fig


def _range(curves: Sequence[Curve], budget: int) -> tuple[float, float, bool]:
    """Both ends of the axis, and whether it is logarithmic."""
    at = [*(s for curve in curves for s in curve.sequences), *(curve.paper for curve in curves)]
    complete = all(len(curve.sequences) == curve.trials for curve in curves)
    end = 1.05 * max(at) if complete else max(budget, 1.05 * max(curve.paper for curve in curves))
    logarithmic = any(curve.paper > FAR * curves[0].paper for curve in curves)
    return (0.7 * min(at) if logarithmic else 0.0), end, logarithmic


def _curve(ax: Axes, curve: Curve, colour: str, ends: tuple[float, float], below: float) -> None:
    """The share of trials as steps, and the two means on a line of their own below it."""
    at = np.sort(np.asarray(curve.sequences, dtype=np.float64))
    share = np.arange(len(at) + 1) / curve.trials
    x = np.concatenate([ends[:1], at, ends[1:]])
    label = f"{curve.label}: {len(at)} of {curve.trials} trials"
    ax.step(x, np.append(share, share[-1]), where="post", color=colour, lw=1.9, label=label)
    ax.plot(curve.interval, (below, below), color=colour, lw=1.6)
    face = "white" if curve.restricted else colour
    ax.plot(curve.mean, below, "o", color=colour, markerfacecolor=face, markersize=5, clip_on=False)
    ax.plot(curve.paper, below, "D", color=style.PAPER, markeredgecolor=colour, markersize=6)
    ax.plot((curve.paper,) * 2, (below, 1), color=style.PAPER, lw=0.9, ls=(0, (1, 1.5)), zorder=1)


def _axes(ax: Axes, ends: tuple[float, float], logarithmic: bool, curves: int) -> None:
    if logarithmic:
        ax.set_xscale("log")
    ax.set_xlim(*ends)
    ax.set_ylim(-0.07 * (curves + 1), 1.03)
    ax.axhline(0, color=style.GRID, lw=0.7, zorder=0.5)
    ax.set_yticks(np.linspace(0, 1, 5))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.set_ylabel("trials that have stopped")
    ax.set_xlabel("training sequences")
    ax.grid(axis="y")
