"""Groups of a ledger's trials: a number of each against a setting, a line a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from longlag.figures import style
from longlag.figures.cells import APART, line, look

FAR = 8.0  # numbers that are so many times apart stand on a logarithmic axis
MARGIN = 0.07  # of the axis, to the left of its first value and to the right of its last one
KEY = 0.17  # inches: a row of the legend
LEFT, RIGHT = 0.75, 8.0  # inches: the panel


@dataclass(frozen=True)
class Point:
    """Where a group stands: x, y, and the ends of y's interval or range."""

    x: float | str
    y: float
    ends: tuple[float, float]


@style.styled
def draw(
    lines: Mapping[str, Sequence[Point]], title: str, subtitle: str, names: tuple[str, str]
) -> Figure:
    """Dots with bars, joined; `names` are those of the axes.

    Positive numbers that are far apart stand on a logarithmic axis, words in their order. Markers
    lie a little beside each other, and lines above each other, so that equal ones are all seen.
    """
    across = style.legend_columns(lines)
    keys = -(-len(lines) // across) if len(lines) > 1 else 0
    at, words = _places([p.x for points in lines.values() for p in points])
    below = 0.62 + KEY * keys + 0.08 * (keys > 0) + 0.13 * max(word.count("\n") for word in words)
    height = 3.2 + below
    fig = style.figure(height, title, subtitle)
    ax = style.panel(fig, LEFT, below, RIGHT, height - 0.75)
    gap = _across(ax, list(at.values()), words)
    handles = []
    for k, points in enumerate(lines.values()):
        own = sorted((at[p.x], p.y, *p.ends) for p in points)
        line(ax, own, look(k), (k, len(lines)), min(0.6 * gap, APART * len(lines)))
        handles.append(Line2D([], [], lw=1.3, **look(k)))
    if names[1] == "solved":
        ax.set_ylim(-0.03, 1.03)
        ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    ax.grid(axis="y")
    if keys:
        style.legend(fig, 0.65, 0.05, handles=handles, labels=list(lines), ncols=across)
    return fig


def _places(given: Sequence[float | str]) -> tuple[dict[float | str, float], list[str]]:
    """Where each value stands on the axis, in order, and the word below it."""
    values = list(dict.fromkeys(given))
    if all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in values):
        values = sorted(values)  # type: ignore[type-var]
        return {x: float(x) for x in values}, [f"{x:g}" for x in values]
    letters = int(style.POINTS * (RIGHT - LEFT) / len(values) / style.LETTER) - 1
    words = [style.wrapped(str(x), max(6, letters)) for x in values]
    return {x: k for k, x in enumerate(values)}, words


def _across(ax: Axes, at: Sequence[float], words: Sequence[str]) -> float:
    """The horizontal axis, its ticks at the values; returns the points between the nearest two."""
    logarithmic = at[0] > 0 and at[-1] >= FAR * at[0]
    if logarithmic:
        ax.set_xscale("log")
    places = np.log(at) if logarithmic else np.asarray(at)
    span = places[-1] - places[0] or 1.0
    ends = places[0] - MARGIN * span, places[-1] + MARGIN * span
    ax.set_xlim(*np.exp(ends) if logarithmic else ends)
    points = style.POINTS * (RIGHT - LEFT) * (places - ends[0]) / (ends[1] - ends[0])
    room = style.LETTER * max(len(line) for word in words for line in word.split("\n")) + 4
    kept: list[int] = []
    for k, place in enumerate(points):
        if not kept or place - points[kept[-1]] >= room:
            kept.append(k)
    ax.xaxis.set_major_locator(FixedLocator([at[k] for k in kept]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks([at[k] for k in kept], [words[k] for k in kept])
    return float(np.min(np.diff(points), initial=points[-1]))
