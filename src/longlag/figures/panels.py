"""Panels that more than one figure has: a sequence over time, states over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colorbar import Colorbar
from matplotlib.image import AxesImage
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from longlag.figures import style
from longlag.tasks.task import Drawing, Role


def time_axis(ax: Axes, steps: int) -> None:
    """Time runs from the first to the last step, each a unit wide."""
    ax.set_xlim(-0.5, steps - 0.5)
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))


def sequence(ax: Axes, shown: Drawing, steps: int) -> None:
    """A sequence as bars, in the colours of their roles; a hidden mark is outlined.

    Args:
        ax: the panel.
        shown: the sequence, at most `steps` long.
        steps: length of the time axis.
    """
    values, low = shown.values, shown.low
    top = low + (1.16 if low == 0 else 1.15) * (shown.high - low)
    wide = max(0.72, steps / 220)  # never too thin to be seen
    ends, marks = (np.asarray(shown.roles.get(role, []), int) for role in ("end", "mark"))
    plain = np.setdiff1d(np.arange(len(values)), [*ends, *marks])
    for chosen, width, colour in (
        (plain, 0.72, style.FAINT),
        (ends, wide, style.INK),
        (marks, wide, style.MARK),
    ):
        ax.add_collection(_bars(chosen, values[chosen], width, colour), autolim=False)
    for chosen, colour in ((marks, style.MARK), (ends, style.INK)):
        _tops(ax, chosen, top, colour, shown.letters)
    if "hidden" in shown.roles:
        _hidden_mark(ax, low, top, 1.5 * wide)
    if low < 0:
        ax.axhline(0, color=style.MUTED, linewidth=0.6)
    ax.set_ylim(low, top)
    ax.set_yticks([low, (low + shown.high) / 2, shown.high])
    ax.spines["left"].set_bounds(low, shown.high)
    time_axis(ax, steps)


def _tops(ax: Axes, at: np.ndarray, top: float, colour: str, letters: Mapping[int, str]) -> None:
    """Letters or triangles above the marked steps."""
    named = [p for p in at.tolist() if p in letters]
    for p in named:
        look = {"ha": "center", "va": "center", "color": colour, "size": style.SMALL}
        ax.text(p, top, letters[p], weight="bold", **look)
    rest = [p for p in at.tolist() if p not in letters]
    ax.plot(rest, [top] * len(rest), "v", color=colour, markersize=4.5, clip_on=False)


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


def sequence_legend(drawings: Iterable[Drawing]) -> list[Patch]:
    """Legend entries of `sequence`, for all roles that occur."""
    words = {role: text for drawing in drawings for role, text in drawing.legend.items()}
    looks: dict[Role, dict[str, Any]] = {
        "plain": {"color": style.FAINT},
        "mark": {"color": style.MARK},
        "end": {"color": style.INK},
        "hidden": {"facecolor": "white", "edgecolor": style.MARK, "linestyle": (0, (2, 1))},
    }
    return [Patch(**look, label=words[role]) for role, look in looks.items() if role in words]


def block_size(network: Any) -> int | None:
    """Cells of each block that shares its gates; None where every cell has its own."""
    return getattr(network, "block_size", None)


def colour_norm(*states: np.ndarray) -> colors.AsinhNorm:
    """The colour scale of states: symmetric about zero, up to the largest of them all.

    It is linear up to about the root mean square of the last states given and logarithmic beyond,
    so that one cell much larger than the others leaves them visible. Of `n` values none exceeds √n
    times their root mean square: where little is to be compressed, little is.
    """
    largest = max(float(np.max(_finite(s), initial=0)) for s in states)
    limit = max(largest, 1e-3)
    shares = _finite(states[-1]) / limit  # whose squares do not overflow
    width = float(np.sqrt(np.sum(shares**2) / max(1, shares.size))) or 1.0
    return colors.AsinhNorm(limit * width, -limit, limit)


def _finite(values: np.ndarray) -> np.ndarray:
    """Magnitudes of the finite values."""
    return np.abs(values[np.isfinite(values)], dtype=float)


def heat_map(
    ax: Axes, bar: Axes, values: np.ndarray, norm: colors.AsinhNorm, block_size: int | None = None
) -> AxesImage:
    """States (T, H) over time, a row a cell.

    Args:
        ax: the panel.
        bar: the axes of the colour bar, apart from the panel, so that the panel keeps its place.
        values: states of each cell.
        norm: their colour scale.
        block_size: cells of each block that shares its gates, where there are such blocks.
    """
    steps, cells = values.shape
    image = ax.imshow(
        values.T,
        cmap=style.heat_colours(),
        norm=norm,
        aspect="auto",
        interpolation="nearest",  # no cell runs into its neighbour
        extent=(-0.5, steps - 0.5, cells + 0.5, 0.5),
    )
    for row in range(1, cells if cells <= 16 else 0):
        ax.axhline(row + 0.5, color="white", linewidth=0.8)
    ax.set_yticks(cell_ticks(cells))
    ax.set_ylabel("cell")
    if block_size is not None:
        _blocks(ax, cells, block_size)
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)
    ticks = colour_ticks(norm)
    colour_bar = Colorbar(bar, image, ticks=ticks)
    colour_bar.set_ticklabels([f"{tick:g}".replace("-", "−") for tick in ticks])
    colour_bar.minorticks_off()
    colour_bar.outline.set_visible(False)  # type: ignore[operator]
    return image


def _blocks(ax: Axes, cells: int, block_size: int) -> None:
    """A gap between blocks; a cell is named by its block and its number in it."""
    for row in range(block_size, cells, block_size):
        ax.axhline(row + 0.5, color="white", linewidth=5)
    rows = range(cells) if cells <= 10 else range(0, cells, block_size)
    names = [f"{row // block_size + 1}.{row % block_size + 1}" for row in rows]
    ax.set_yticks([row + 1 for row in rows], names)
    ax.set_ylabel("block.cell")


def colour_ticks(norm: colors.AsinhNorm) -> list[float]:
    """Round numbers on a symmetric colour scale: zero, one near each half, one near each end."""
    bounds = np.asarray(norm.inverse([0.675, 0.825, 0.92, 1.0]), dtype=float)
    near, far = _roundest(*bounds[:2]), _roundest(*bounds[2:])
    return [-far, -near, 0.0, near, far]


def _roundest(low: float, high: float) -> float:
    """The number from low to high, both positive, that is a multiple of the largest 1, 2 or 5
    times a power of ten.
    """
    exponent = int(np.floor(np.log10(high)))
    while True:
        for step in (5, 2, 1):
            multiple = step * 10.0**exponent
            number = np.floor(high / multiple) * multiple
            if number >= low:
                return float(number)
        exponent -= 1


def cell_ticks(cells: int) -> list[int]:
    """Numbers of the cells that are named on an axis: all of a few, some of many."""
    if cells <= 10:
        return list(range(1, cells + 1))
    step = max(1, round(cells / 4))
    return [1, *range(step, cells + 1, step)]


def mark_lines(ax: Axes, shown: Drawing, colour: str = style.MARK) -> None:
    """Light vertical lines at the marks."""
    for position in (*shown.roles.get("mark", ()), *shown.roles.get("hidden", ())):
        ax.axvline(position, color=colour, linewidth=0.9, alpha=0.55, zorder=1.5)
