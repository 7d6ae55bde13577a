"""Cells compared: their success rates against T, and a map of tasks and cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from longlag.figures import style

COLOURS = (
    *(style.NETWORK, style.MARK, style.PEER, style.TEST, style.PAPER),
    *("#56b4e9", style.INK, "#8a8f94", "#b8a400", "#6a51a3"),
)
MARKERS = "osD^vPX<>*"
ACROSS = 3  # panels beside each other
PANEL, ROW = 1.5, 0.27  # inches
DODGE = 0.05  # between the first and the last cell at a T, in its logarithm's range


@dataclass(frozen=True)
class Point:
    """How many trials of a cell were solved on a task at one T, with the rate's interval."""

    cell: str
    task: str
    T: int
    solved: int
    trials: int
    interval: tuple[float, float]

    @property
    def rate(self) -> float:
        return self.solved / self.trials


@style.styled
def draw(points: Sequence[Point], title: str, of: str = "") -> Figure:
    """A panel a task, a line a cell; below them the map; `of` says what was chosen, if anything."""
    cells, tasks = (list(dict.fromkeys(getattr(p, n) for p in points)) for n in ("cell", "task"))
    lines = list(dict.fromkeys((p.task, p.T) for p in points))
    rows = -(-len(tasks) // ACROSS)
    keys = -(-len(cells) // 5)  # rows of the legend
    below = 0.35 + ROW * len(lines) + 0.35  # the map, and the names of the cells above it
    height = 0.75 + rows * (PANEL + 0.62) + 0.22 * keys + 0.2 + below
    subtitle = f"{of}share of seeds that meet the strict rule, with exact 95 % intervals"
    fig = style.figure(height, title, subtitle)
    top = height - 0.9
    edges = style.place(fig, 0.62, top - rows * PANEL - (rows - 1) * 0.62, 8.1, top)
    across = min(ACROSS, len(tasks))
    grid = fig.add_gridspec(rows, across, wspace=0.2, hspace=0.62 / PANEL, **edges)
    looks = {
        cell: (COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]) for k, cell in enumerate(cells)
    }
    for k, task in enumerate(tasks):
        ax = fig.add_subplot(grid[k // across, k % across])
        _rates(ax, task, [p for p in points if p.task == task], looks)
        ax.tick_params(labelleft=k % across == 0)
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=4.5, lw=1.4)
        for colour, marker in looks.values()
    ]
    style.legend(fig, 0.55, below + 0.1, handles=handles, labels=cells, ncols=min(5, len(cells)))
    left, right = 2.1, min(8.1, 2.1 + 0.72 * len(cells))
    _map(style.panel(fig, left, 0.3, right, 0.3 + ROW * len(lines)), points, cells, lines)
    return fig


def _rates(
    ax: Axes, task: str, points: Sequence[Point], looks: Mapping[str, tuple[str, str]]
) -> None:
    ax.set_title(task)
    lengths = sorted({p.T for p in points})
    for k, (cell, (colour, marker)) in enumerate(looks.items()):
        own = sorted((p for p in points if p.cell == cell), key=lambda p: p.T)
        aside = 1 + DODGE * (2 * k / max(1, len(looks) - 1) - 1)
        x = [p.T * aside for p in own]
        for at, p in zip(x, own, strict=True):
            ax.plot((at, at), p.interval, color=colour, lw=1, alpha=0.45)
        look = {"color": colour, "marker": marker, "ms": 4.5, "lw": 1.4, "clip_on": False}
        ax.plot(x, [p.rate for p in own], **look)
    ax.set_xscale("log")
    ax.set_xlim(lengths[0] / 1.3, lengths[-1] * 1.3)
    ax.xaxis.set_major_locator(FixedLocator(lengths))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(lengths, [f"{T:,}" for T in lengths])
    ax.set_xlabel("T")
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y")


def _map(
    ax: Axes, points: Sequence[Point], cells: Sequence[str], lines: Sequence[tuple[str, int]]
) -> None:
    """A square a cell, task and T: solved of so many."""
    ax.set_label("map")
    colours = mpl.colormaps["Blues"]
    for p in points:
        x, y = cells.index(p.cell), lines.index((p.task, p.T))
        ax.fill([x, x + 1, x + 1, x], [y, y, y + 1, y + 1], color=colours(0.05 + 0.75 * p.rate))
        dark = p.rate > 0.6
        text = {"ha": "center", "va": "center", "size": style.SMALL}
        ax.text(
            x + 0.5, y + 0.5, f"{p.solved}/{p.trials}", color="white" if dark else style.INK, **text
        )
    ax.set_xlim(0, len(cells))
    ax.set_ylim(len(lines), 0)
    ax.set_xticks([k + 0.5 for k in range(len(cells))], cells, rotation=20, ha="left")
    ax.set_yticks([k + 0.5 for k in range(len(lines))], [f"{task}, T = {T:,}" for task, T in lines])
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.tick_params(axis="x", pad=1)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
