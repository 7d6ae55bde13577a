"""How many trials have stopped, against the training sequences that it took them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, PercentFormatter

from longlag.figures import style

COLOURS = (style.NETWORK, style.MARK, style.TEST, style.PEER)
HEIGHT = 4.2  # inches
FAR = 4.0  # means that are so many times apart need a logarithmic axis
BELOW = 0.07  # the lines of the means lie so far apart, below the share of 0
COLUMNS, LINE = 3, 0.2  # entries of the legend beside each other; a line's height in inches
WIDEST = 2.4  # what the first of many curves is wider than the last
WORDS = 3  # curves along 0 that words name; of more the legend alone tells


@dataclass(frozen=True)
class Curve:
    """Trials at one stopping point.

    sequences: of those that reached it; budget: of a trial, at most; mean and interval: of
    sequences, restricted to the budget where some did not; paper: the paper's mean, where it has
    one.
    """

    label: str
    sequences: Sequence[int]
    trials: int
    budget: int
    mean: float
    interval: tuple[float, float]
    restricted: bool
    paper: float | None = None


@style.styled
def draw(curves: Sequence[Curve], title: str, subtitle: str) -> Figure:
    """A step a trial; a dot and a bar for our mean and its interval, a diamond for the paper's.

    Where no trial stopped within the budget, the curve runs along 0 to the budget, and words say
    so, unless there are many such curves.
    """
    more = LINE * max(0, math.ceil((len(curves) + 2) / COLUMNS) - 2)
    fig = style.figure(HEIGHT + more, title, subtitle)
    ax = style.panel(fig, 0.72, 1.0 + more, 8.0, 3.45 + more)
    ax.set_label("solved")
    start, end, logarithmic = _range(curves)
    for k, curve in enumerate(curves):
        # Where curves coincide, none hides another.
        wider = 1.6 if len(curves) <= 3 else min(0.5, WIDEST / len(curves))
        width = 1.6 + wider * (len(curves) - 1 - k)
        last = min(curve.budget, end) if curve.restricted else end  # the budget ended there
        dashes = style.DASHES[k // len(COLOURS) % len(style.DASHES)]
        _curve(
            ax,
            curve,
            {"color": COLOURS[k % len(COLOURS)], "lw": width, "ls": dashes},
            (start, last),
        )
        _means(ax, curve, COLOURS[k % len(COLOURS)], -BELOW * (k + 1))
    _unreached(ax, curves, end)
    _axes(ax, (start, end), logarithmic, len(curves))
    handles, _ = ax.get_legend_handles_labels()
    style.legend(fig, 0.62, 0.08, handles=[*handles, *_marks(curves)], ncols=COLUMNS)
    return fig


def _range(curves: Sequence[Curve]) -> tuple[float, float, bool]:
    """Both ends of the axis, and whether it is logarithmic."""
    papers = _papers(curves)
    at = [*(s for curve in curves for s in curve.sequences), *papers]
    complete = all(len(curve.sequences) == curve.trials for curve in curves)
    budgets = [curve.budget for curve in curves]
    end = 1.05 * max(at) if complete else max([*budgets, *(1.05 * paper for paper in papers)])
    logarithmic = any(paper > FAR * papers[0] for paper in papers)
    return (0.7 * min(at) if logarithmic else 0.0), end, logarithmic


def _papers(curves: Sequence[Curve]) -> list[float]:
    return [curve.paper for curve in curves if curve.paper is not None]


def _curve(ax: Axes, curve: Curve, look: dict[str, Any], ends: tuple[float, float]) -> None:
    """The share of trials, as steps."""
    at = np.sort(np.asarray(curve.sequences, dtype=np.float64))
    share = np.arange(len(at) + 1) / curve.trials
    x = np.concatenate([ends[:1], at, ends[1:]])
    label = f"{curve.label}: {len(at)} of {curve.trials} trials"
    ax.step(x, np.append(share, share[-1]), where="post", label=label, **look)


def _means(ax: Axes, curve: Curve, colour: str, below: float) -> None:
    """Our mean with its interval, and the paper's, on a line of their own below the curves."""
    ax.plot(curve.interval, (below, below), color=colour, lw=1.6)
    face = "white" if curve.restricted else colour
    ax.plot(curve.mean, below, "o", color=colour, markerfacecolor=face, markersize=5, clip_on=False)
    if curve.paper is None:
        return
    ax.plot(curve.paper, below, "D", color=style.PAPER, markeredgecolor=colour, markersize=6)
    ax.plot((curve.paper,) * 2, (below, 1), color=style.PAPER, lw=0.9, ls=(0, (1, 1.5)), zorder=1)


def _unreached(ax: Axes, curves: Sequence[Curve], end: float) -> None:
    """Says at which stopping points no trial arrived."""
    never = [k for k, curve in enumerate(curves) if not curve.sequences]
    if len(never) > WORDS:
        return
    for line, k in enumerate(reversed(never)):
        words = f"{curves[k].label}: no trial stopped within {curves[k].budget:,} sequences"
        look: dict[str, Any] = {"ha": "right", "va": "bottom", "color": COLOURS[k % len(COLOURS)]}
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        ax.text(end, 0.03 + 0.08 * line, words, bbox=box, **look)


def _marks(curves: Sequence[Curve]) -> list[Line2D]:
    """The legend's entries of the means."""
    dot: dict[str, Any] = {"color": style.MUTED, "marker": "o", "markersize": 5, "lw": 1.6}
    diamond: dict[str, Any] = {"color": style.PAPER, "marker": "D", "markersize": 6, "lw": 0}
    entries = [Line2D([], [], label="mean here, with its 95 % interval", **dot)]
    if any(curve.restricted for curve in curves):
        least = "at least: some did not stop"
        entries.append(Line2D([], [], label=least, markerfacecolor="white", **dot))
    if _papers(curves):
        entries.append(Line2D([], [], label="the paper's mean", **diamond))
    return entries


def _axes(ax: Axes, ends: tuple[float, float], logarithmic: bool, curves: int) -> None:
    if logarithmic:
        ax.set_xscale("log")
    ax.set_xlim(*ends)
    ax.set_ylim(-BELOW * (curves + 1), 1.03)
    ax.axhline(0, color=style.GRID, lw=0.7, zorder=0.5)
    ax.set_yticks(np.linspace(0, 1, 5))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.set_ylabel("trials that have stopped")
    ax.set_xlabel("training sequences")
    ax.grid(axis="y")
