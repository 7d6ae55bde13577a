"""Cells compared: their success rates against T, and a map of tasks and cells."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from longlag.figures import style

COLOURS = (
    *(style.NETWORK, style.MARK, style.PEER, style.TEST, style.PAPER),
    *("#56b4e9", style.INK, "#8a8f94", "#b8a400", "#6a51a3"),
)
MARKERS = "osD^vPX<>*"
ACROSS = 3  # panels beside each other
PANEL, ROW = 1.5, 0.27  # inches
LEFT, RIGHT, WIDE = 2.1, 8.1, 0.86  # inches: the map, and a column of it at most
LEAST = 6.0  # points: the smallest letters of a cell's name
LINE, KEY = 0.125, 0.19  # inches: a line of a cell's name, a row of the legend
APART, UP = 6.0, 1.3  # points between the markers of two lines, and between equal lines, at most
UP_IN_ALL = 4.5  # points between the first and the last of equal lines


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
def draw(points: Sequence[Point], title: str, subtitle: str, known: Sequence[str] = ()) -> Figure:
    """A panel a task, a line a cell; below them the map.

    Args:
        known: cells that look the same in every figure; others take looks that are left.
    """
    cells, tasks = (list(dict.fromkeys(getattr(p, n) for p in points)) for n in ("cell", "task"))
    lines = list(dict.fromkeys((p.task, p.T) for p in points))
    rows = -(-len(tasks) // ACROSS)
    across = style.legend_columns(cells)
    wide = min(WIDE, (RIGHT - LEFT) / len(cells))
    size, names = _heads(cells, style.POINTS * wide)
    upper = 0.3 + ROW * len(lines)  # edge of the map
    below = upper + 0.2 + LINE * max(1 + name.count("\n") for name in names)
    height = 0.95 + rows * (PANEL + 0.62) + KEY * -(-len(cells) // across) + below
    fig = style.figure(height, title, subtitle)
    top = height - 0.9
    edges = style.place(fig, 0.62, top - rows * PANEL - (rows - 1) * 0.62, 8.1, top)
    columns = min(ACROSS, len(tasks))
    grid = fig.add_gridspec(rows, columns, wspace=0.2, hspace=0.62 / PANEL, **edges)
    left = (k for k in itertools.count() if k >= len(known) or known[k] not in cells)
    looks = {cell: look(known.index(cell) if cell in known else next(left)) for cell in cells}
    for k, task in enumerate(tasks):
        ax = fig.add_subplot(grid[k // columns, k % columns])
        _rates(ax, task, [p for p in points if p.task == task], looks)
        ax.tick_params(labelleft=k % columns == 0)
    handles = [Line2D([], [], lw=1.4, **own) for own in looks.values()]
    style.legend(fig, 0.55, below + 0.1, handles=handles, labels=cells, ncols=across)
    ax = style.panel(fig, LEFT, 0.3, LEFT + wide * len(cells), upper)
    _map(ax, points, cells, lines)
    ax.set_xticks([k + 0.5 for k in range(len(cells))], names, size=size)
    return fig


def _heads(cells: Sequence[str], room: float) -> tuple[float, list[str]]:
    """The cells' names in lines that fit so many points, in letters of a size that spares words
    from being broken, down to LEAST."""
    letters = max(len(word) for cell in cells for word in re.split(r"(?<=[_\-:. ])", cell))
    share = min(1.0, max(LEAST / style.SMALL, room / (letters * style.LETTER)))
    return share * style.SMALL, [
        style.wrapped(cell, int(room / (share * style.LETTER) + 1e-6)) for cell in cells
    ]


def look(k: int) -> dict[str, Any]:
    """Of the k-th line: ten colours, each with its marker; ten more have other markers, and so on,
    and are dashed, so that 100 lines differ.
    """
    n = len(COLOURS)
    marker, dashes = MARKERS[(k + k // n) % len(MARKERS)], style.DASHES[k // n % len(style.DASHES)]
    return {"color": COLOURS[k % n], "marker": marker, "ms": 4.5, "ls": dashes}


def _rates(
    ax: Axes, task: str, points: Sequence[Point], looks: Mapping[str, Mapping[str, Any]]
) -> None:
    ax.set_title(task)
    lengths = sorted({p.T for p in points})
    ax.set_xscale("log")
    margin = max(1.3, (lengths[-1] / lengths[0]) ** 0.17)
    ax.set_xlim(lengths[0] / margin, lengths[-1] * margin)
    width = style.POINTS * style.WIDTH * ax.get_position().width
    room = 0.8 * width if len(lengths) == 1 else min(0.17 * width, APART * len(looks))
    for k, (cell, own) in enumerate(looks.items()):
        found = sorted((p.T, p.rate, *p.interval) for p in points if p.cell == cell)
        if found:
            line(ax, found, own, (k, len(looks)), room)
    ax.xaxis.set_major_locator(FixedLocator(lengths))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(lengths, [f"{T:,}" for T in lengths])
    ax.set_xlabel("T")
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y")


def line(
    ax: Axes,
    points: Sequence[tuple[float, ...]],
    look: Mapping[str, Any],
    place: tuple[int, int],
    room: float,
) -> None:
    """Dots with bars, joined: the k-th of n lines that may be equal, of which all are to be seen.

    Dots and bars stand at their true heights, side by side around x in so many points of room; what
    joins them lies a little above or below.

    Args:
        points: x, y, and both ends of y's bar.
        look: as `look` gives it.
        place: k and n.
    """
    (k, n), (x, y, low, high) = place, zip(*points, strict=True)
    from_middle = k - (n - 1) / 2
    right, up = from_middle * room / n, from_middle * min(UP, UP_IN_ALL / n)
    where, colour = style.aside(ax, right), look["color"]
    joins = {"color": colour, "ls": look["ls"], "lw": 1.3}
    ax.plot(x, y, transform=style.aside(ax, right, up), clip_on=False, **joins)
    ax.vlines(x, low, high, color=colour, lw=1, alpha=0.45, transform=where)
    ax.plot(x, y, transform=where, clip_on=False, **{**look, "ls": ""})


def _map(
    ax: Axes, points: Sequence[Point], cells: Sequence[str], lines: Sequence[tuple[str, int]]
) -> None:
    """A square a cell, task and T: solved of so many, or a dash where it was not tried."""
    ax.set_label("map")
    colours = mpl.colormaps["Blues"]
    found = {(p.cell, (p.task, p.T)): p for p in points}
    text = {"ha": "center", "va": "center", "size": style.SMALL}
    for (x, cell), (y, row) in itertools.product(enumerate(cells), enumerate(lines)):
        p = found.get((cell, row))
        if p is None:
            ax.text(x + 0.5, y + 0.5, "–", color=style.MUTED, **text)
            continue
        square = colours(0.05 + 0.75 * p.rate)
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor=square, edgecolor="white", lw=1))
        ink = "white" if p.rate > 0.6 else style.INK
        ax.text(x + 0.5, y + 0.5, f"{p.solved}/{p.trials}", color=ink, **text)
    ax.set_xlim(0, len(cells))
    ax.set_ylim(len(lines), 0)
    ax.set_yticks([k + 0.5 for k in range(len(lines))], [f"{task}, T = {T:,}" for task, T in lines])
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.tick_params(axis="x", pad=1)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
