"""Panels that more than one figure has: a sequence over time, states over time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colorbar import Colorbar
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text

from longlag.figures import style
from longlag.tasks import Kind, Sequence


def time_axis(ax: Axes, steps: int) -> None:
    """Time runs from the first to the last step, each a unit wide."""
    ax.set_xlim(-0.5, steps - 0.5)


def sequence(ax: Axes, shown: Sequence, kind: Kind, steps: int) -> None:
    """Values as bars: marked ones in colour, sentinels black; a hidden mark is outlined.

    Args:
        ax: the panel.
        shown: the sequence, at most `steps` long.
        kind: multiplication (values from 0 to 1) or adding (from -1 to 1).
        steps: length of the time axis.
    """
    values = shown.inputs[:, 0]
    positions = np.arange(len(values))
    ends, marks = [0, len(values) - 1], [p for p in shown.marks if p > 0]
    plain = np.setdiff1d(positions, [*ends, *marks])
    wide = max(0.72, steps / 220)  # never too thin to be seen
    for chosen, width, colour in (
        (plain, 0.72, style.FAINT),
        (ends, wide, style.INK),
        (marks, wide, style.MARK),
    ):
        ax.add_collection(_bars(np.asarray(chosen), values[chosen], width, colour), autolim=False)
    low = -1 if kind == "adding" else 0
    top = 1.16 if kind == "multiplication" else 1.3
    ax.plot(marks, [top] * len(marks), "v", color=style.MARK, markersize=4.5, clip_on=False)
    ax.plot(ends, [top] * 2, "v", color=style.INK, markersize=4.5, clip_on=False)
    if 0 in shown.marks:
        _hidden_mark(ax, low, top, max(1.6, wide * 1.6))
    if low < 0:
        ax.axhline(0, color=style.MUTED, linewidth=0.6)
    ax.set_ylim(low, top)
    ax.set_yticks([low, 0.5, 1] if low == 0 else [-1, 0, 1])
    ax.spines["left"].set_bounds(low, 1)
    time_axis(ax, steps)


def _hidden_mark(ax: Axes, low: float, top: float, width: float) -> None:
    """A dashed outline around the first step, and a hollow triangle above it."""
    dashes = (0, (2, 1))
    outline = Rectangle((-width / 2, low), width, 1 - low, fill=False, edgecolor=style.MARK)
    outline.set(linestyle=dashes, linewidth=1.2, clip_on=False)
    ax.add_patch(outline)
    (triangle,) = ax.plot([0], [top], "v", color=style.MARK, markersize=4.5, clip_on=False)
    triangle.set_markerfacecolor("white")


def _bars(at: np.ndarray, values: np.ndarray, width: float, colour: str) -> PolyCollection:
    """Bars from zero to their values, as one artist: there may be many thousand."""
    left, right, zero = at - width / 2, at + width / 2, np.zeros_like(values)
    corners = [(left, zero), (left, values), (right, values), (right, zero)]
    outlines = np.moveaxis(np.array(corners), 2, 0)  # (bars, 4 corners, x and y)
    return PolyCollection(list(outlines), facecolors=colour, linewidths=0)


def titles(ax: Axes, left: str, right: str, colour: str = style.NETWORK) -> tuple[Text, Text]:
    """Titles of a panel that shows a sequence, clear of its triangles."""
    pad = 9
    return ax.set_title(left, pad=pad), ax.set_title(right, loc="right", pad=pad, color=colour)


def sequence_legend(hidden: bool, kind: Kind) -> list[Patch | Line2D]:
    """Legend entries of `sequence`."""
    entries: list[Patch | Line2D] = [
        Patch(color=style.FAINT, label="value (marker 0)"),
        Patch(color=style.MARK, label="marked value (+1)"),
        Patch(color=style.INK, label="sentinel (−1)"),
    ]
    if hidden:
        neutral = 1 if kind == "multiplication" else 0
        look = {"facecolor": "white", "edgecolor": style.MARK, "linestyle": (0, (2, 1))}
        entries.append(Patch(**look, label=f"hidden mark: seen as a sentinel, counts as {neutral}"))
    return entries


def colour_limit(values: np.ndarray) -> float:
    """Where a colour scale ends: at the largest value, unless it towers over nine in ten."""
    finite = np.abs(values[np.isfinite(values)])
    if not finite.size:
        return 1.0
    return max(min(float(finite.max()), 2 * float(np.quantile(finite, 0.9))), 1e-3)


def is_beyond(values: np.ndarray, limit: float) -> bool:
    """Whether some finite values lie beyond the colour scale."""
    return bool(np.any(np.abs(values[np.isfinite(values)]) > limit * 1.001))


def heat_map(ax: Axes, bar: Axes, values: np.ndarray, limit: float, beyond: bool) -> AxesImage:
    """States (T, H) over time, a row a cell, on a colour scale symmetric about zero.

    Args:
        ax: the panel.
        bar: the axes of the colour bar, apart from the panel, so that the panel keeps its place.
        values: states of each cell.
        limit: end of the colour scale.
        beyond: whether some values lie beyond it; the colour bar then ends in arrows.
    """
    steps, cells = values.shape
    image = ax.imshow(
        values.T,
        cmap=style.heat_colours(),
        vmin=-limit,
        vmax=limit,
        aspect="auto",
        interpolation="nearest",  # no cell runs into its neighbour
        extent=(-0.5, steps - 0.5, cells + 0.5, 0.5),
    )
    for row in range(1, cells if cells <= 16 else 0):
        ax.axhline(row + 0.5, color="white", linewidth=0.8)
    ax.set_yticks(cell_ticks(cells))
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)
    colour_bar = Colorbar(bar, image, extend="both" if beyond else "neither")
    colour_bar.outline.set_visible(False)  # type: ignore[operator]
    return image


def cell_ticks(cells: int) -> list[int]:
    """Numbers of the cells that are named on an axis: all of a few, some of many."""
    if cells <= 10:
        return list(range(1, cells + 1))
    step = max(1, round(cells / 4))
    return [1, *range(step, cells + 1, step)]


def mark_lines(ax: Axes, shown: Sequence, colour: str = style.MARK) -> None:
    """Light vertical lines at the two marks."""
    for position in shown.marks:
        ax.axvline(position, color=colour, linewidth=0.9, alpha=0.55, zorder=1.5)
