"""Figures of the study `register`: what can be read from cells and what they cause, over seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from matplotlib.transforms import Bbox

from longlag.figures import style
from longlag.studies.register.measure import ONE_FROM_PRODUCT, PRODUCT_FROM_BOTH
from longlag.studies.register.sequences import AFTER, BETWEEN, EARLIER, LATER

Measured = Mapping[str, Any]  # of studies.register.probe.measure

FIRST, SECOND, PRODUCT = style.NETWORK, style.TEST, style.MARK
COLOURS = (FIRST, SECOND, PRODUCT)
SHADES = ("#dce9f2", "#fbf0d9")  # the windows of the first and the second mark
# The points of a sequence's own time, in short; and where the most is looked at.
POINTS = ("−1", "earlier", "+1", "half-way", "−1", "later", "+1", "+2", "+4", "half-way", "end")


@dataclass(frozen=True)
class Panel:
    """Networks that differ in their seeds alone."""

    title: str
    networks: Sequence[Measured]


# -- readout --------------------------------------------------------------------------------------


@style.styled
def readout(panels: Sequence[Panel]) -> Figure:
    """R² against the step, with the marks' windows, and against a sequence's own time."""
    fig = style.figure(
        5.5,
        "What a linear map can tell from all cell states",
        "R² on held-out sequences; median and range over seeds; dotted: the same network untrained",
    )
    n = len(panels)
    grid = fig.add_gridspec(2, n, hspace=0.42, wspace=0.1, **style.place(fig, 0.5, 1.15, 8.15, 4.7))
    for k, panel in enumerate(panels):
        upper, lower = (fig.add_subplot(grid[row, k]) for row in (0, 1))
        _over_time(upper, panel, labelled=k == 0)
        _at_points(lower, panel)
        _values_axis(upper, (-0.06, 1.04), "R², by step t", first=k == 0)
        _values_axis(lower, (-0.06, 1.04), "R², by own time", first=k == 0)
    handles, _ = fig.axes[0].get_legend_handles_labels()
    names = ["x₁, below: the earlier value", "x₂, below: the later value", "x₁ x₂"]
    names += ["window of first mark", "of second mark"]
    look = {"ncols": 5, "columnspacing": 1.4, "handlelength": 1.4}
    style.legend(fig, 0.45, 0.19, handles=handles, labels=names, **look)
    words = (
        "Dashed: x₁ and x₂ held separately give R² = 6/7 for their product; the product alone "
        "gives 3/7 for each of them."
    )
    fig.text(*style.point(fig, 0.5, 0.06), words, size=style.SMALL, color=style.MUTED)
    return fig


def _values_axis(ax: Axes, limits: tuple[float, float], label: str, *, first: bool) -> None:
    """An axis that the panels of a row share, named at the first."""
    ax.set_ylim(*limits)
    ax.tick_params(labelleft=first)
    ax.grid(axis="y")
    if first:
        ax.set_ylabel(label)


def _over_time(ax: Axes, panel: Panel, labelled: bool) -> None:
    first = panel.networks[0]["time"]
    steps = np.array(first["steps"])
    for k, name in enumerate(("x1", "x2", "product")):
        _band(ax, steps, panel, ("time", "all"), k, label=name if labelled else None)
        _untrained(ax, steps, panel, "time", k)
    for (low, high), colour in zip(reversed(first["windows"]), reversed(SHADES), strict=True):
        ax.axvspan(low - 0.5, high + 0.5, color=colour, lw=0, zorder=0)
    if labelled:  # the legend's patches, in the order of the windows
        for colour, name in zip(SHADES, ("first", "second"), strict=True):
            ax.fill_between([], [], color=colour, lw=0, label=name)
    ax.axhline(PRODUCT_FROM_BOTH, color=PRODUCT, lw=0.8, ls=(0, (4, 2)))
    ax.set_title(panel.title)
    ax.set_xlim(0, steps[-1])
    ax.set_xlabel("step t")


def _at_points(ax: Axes, panel: Panel) -> None:
    at = np.arange(len(POINTS))
    for k in range(3):
        _band(ax, at, panel, ("readout", "all"), k)
        _untrained(ax, at, panel, "readout", k)
    ax.axhline(PRODUCT_FROM_BOTH, color=PRODUCT, lw=0.8, ls=(0, (4, 2)))
    ax.axhline(ONE_FROM_PRODUCT, color=FIRST, lw=0.8, ls=(0, (4, 2)))
    _points_axis(ax)


def _curves(panel: Panel, path: Sequence[str]) -> np.ndarray:
    """What stands at a path in every network's measurements, (networks, ...)."""
    found: list[Any] = list(panel.networks)
    for name in path:
        found = [one[name] for one in found]
    return np.array(found)


def _band(
    ax: Axes, at: np.ndarray, panel: Panel, path: Sequence[str], k: int, label: str | None = None
) -> None:
    curves = _curves(panel, path)[:, :, k]
    ax.fill_between(at, curves.min(axis=0), curves.max(axis=0), color=COLOURS[k], alpha=0.18, lw=0)
    ax.plot(at, np.median(curves, axis=0), color=COLOURS[k], lw=1.5, label=label)


def _untrained(ax: Axes, at: np.ndarray, panel: Panel, kind: str, k: int) -> None:
    curves = _curves(panel, (kind, "untrained"))[:, :, k]
    ax.plot(at, np.median(curves, axis=0), color=COLOURS[k], lw=1.0, ls=(0, (1, 1.5)))


def _points_axis(ax: Axes) -> None:
    ax.set_xticks(range(len(POINTS)), POINTS, rotation=90)
    ax.set_xlim(0, len(POINTS) - 1)
    for point in (EARLIER, LATER):
        ax.axvline(point, color=style.FAINT, lw=0.8, zorder=0)


# -- every cell -----------------------------------------------------------------------------------


def _column(table: Sequence[Sequence[Any]], k: int) -> np.ndarray:
    """Column k of a (cells, 1 or more, targets) table of single cells."""
    return np.array(table)[..., k].ravel()


def _needed(one: Measured) -> np.ndarray:
    none = one["ablation"]["none"]
    spread = none / np.sqrt(max(1e-9, 1 - one["answers"]["r2"]))  # of the targets
    return (np.array(one["ablation"]["after"]) - none) / max(1e-9, spread - none)


Values = Callable[[Measured], Any]  # a number a cell
COLUMNS: tuple[tuple[str, str, Values], ...] = (
    ("tells", "earlier value, between", lambda one: _column(one["readout"]["cells"][BETWEEN], 0)),
    ("tells", "product, after", lambda one: _column(one["readout"]["cells"][AFTER], 2)),
    ("causes", "between the marks", lambda one: one["transplants"]["cells"][BETWEEN]),
    ("causes", "after the marks", lambda one: one["transplants"]["cells"][AFTER]),
    ("is needed", "after the marks", _needed),
)


@style.styled
def cells(panels: Sequence[Panel], seeds: Sequence[Sequence[int]]) -> Figure:
    """For each cell of every network: readout, transplant and ablation."""
    row, gap = 0.135, 0.9  # inches a network; networks' height between groups
    starts = np.cumsum([0, *(len(panel.networks) + gap for panel in panels)])
    rows = starts[-1] - gap
    height = 1.75 + row * rows
    fig = style.figure(
        height,
        "Every cell of every network",
        "rows: seeds; columns: cells, in the order in which their states matter after the marks",
    )
    edges = style.place(fig, 1.2, 0.62, 8.1, height - 1.0)
    grid = fig.add_gridspec(1, len(COLUMNS), wspace=0.1, **edges)
    for c, (verb, what, values) in enumerate(COLUMNS):
        ax = fig.add_subplot(grid[c])
        for panel, start in zip(panels, starts, strict=False):
            _table(ax, panel, start, values)
        ax.set_ylim(rows, 0)
        ax.set_title(f"{verb}\n", pad=4)
        small = {"size": style.SMALL, "color": style.MUTED}
        ax.text(0, 1, what, transform=ax.transAxes, va="bottom", **small)
        ax.set_xticks([])
        ax.spines[:].set_visible(False)
        ax.tick_params(length=0, labelleft=c == 0)
        _seed_ticks(ax, panels, seeds, starts)
    bar = style.panel(fig, 1.2, 0.4, 2.9, 0.49)
    _colour_bar(bar, fig.axes[0].images[0], orientation="horizontal", ticks=[0, 0.5, 1])
    words = (
        "tells: R², one cell alone, held out.   causes: share of the distance closed by a "
        "transplant\nof it alone.   is needed: rise of the RMSE, 1 at chance, with the mean in "
        "its place."
    )
    fig.text(*style.point(fig, 3.15, 0.5), words, size=style.SMALL, color=style.MUTED, va="top")
    return fig


def _table(ax: Axes, panel: Panel, start: float, values: Values) -> None:
    """A row a network, from `start` down; a column a cell."""
    order = [np.argsort(-np.nan_to_num(n["transplants"]["cells"][AFTER])) for n in panel.networks]
    table = [np.asarray(values(n))[own] for n, own in zip(panel.networks, order, strict=True)]
    extent = (0.5, len(table[0]) + 0.5, start + len(table), start)
    look: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
    ax.imshow(np.clip(table, 0, 1), extent=extent, aspect="auto", **look)


def _colour_bar(bar: Axes, shown: ScalarMappable, **look: Any) -> None:
    Colorbar(bar, shown, **look).outline.set_visible(False)  # type: ignore[operator]


def _seed_ticks(
    ax: Axes, panels: Sequence[Panel], seeds: Sequence[Sequence[int]], starts: np.ndarray
) -> None:
    """One label a group, at its middle, with its seeds."""
    ticks, labels = [], []
    for panel, found, start in zip(panels, seeds, starts, strict=False):
        ticks.append(start + len(found) / 2)
        in_a_row = list(found) == list(range(found[0], found[-1] + 1))
        span = f"{found[0]}–{found[-1]}" if in_a_row else ", ".join(map(str, found))
        labels.append(f"{panel.title}\nseeds {span}" if len(found) > 2 else panel.title)
    ax.set_yticks(ticks, labels)


# -- transplants ----------------------------------------------------------------------------------


@style.styled
def transplant(panels: Sequence[Panel]) -> Figure:
    """How far a transplant moves the answer, by its step and its cells."""
    height = 3.75
    fig = style.figure(
        height,
        "Transplants: which cells cause the answer, and from when on",
        "share of the distance to the answer with the donor's whole state; median and range over "
        "seeds, or one mark per seed",
    )
    edges = style.place(fig, 0.5, 1.2, 8.15, height - 0.9)
    grid = fig.add_gridspec(1, len(panels), wspace=0.1, **edges)
    for k, panel in enumerate(panels):
        ax = fig.add_subplot(grid[k])
        _course(ax, panel)
        ax.set_title(panel.title)
        _values_axis(ax, (-0.12, 1.06), "share closed", first=k == 0)
    handles, labels = fig.axes[0].get_legend_handles_labels()
    style.legend(fig, 0.45, 0.04, handles=handles, labels=labels, ncols=3, columnspacing=1.6)
    return fig


def _course(ax: Axes, panel: Panel) -> None:
    at = np.arange(len(POINTS))
    outside = np.array([_outside(one) for one in panel.networks])
    lines = (
        (_curves(panel, ("transplants", "between")), FIRST, "smallest set between the marks"),
        (_curves(panel, ("transplants", "after")), PRODUCT, "smallest set after them"),
        (outside, style.MUTED, "best cell outside both"),
    )
    for curves, colour, name in lines:
        low, high = np.nanmin(curves, axis=0), np.nanmax(curves, axis=0)
        ax.fill_between(at, low, high, color=colour, alpha=0.16, lw=0)
        ax.plot(at, np.nanmedian(curves, axis=0), color=colour, lw=1.5, label=name)
    for name, point in (("between", BETWEEN), ("after", AFTER)):
        shares = _curves(panel, ("sets", name, "random_mean"))
        label = "random sets of their size" if name == "after" else None
        look = {"color": style.INK, "markersize": 2.6, "alpha": 0.6, "clip_on": False}
        ax.plot([point] * len(shares), shares, "o", label=label, **look)
        lines = _curves(panel, ("sets", name, "line"))
        label = "all cells moved along one line" if name == "after" else None
        look |= {"color": style.PAPER, "alpha": 0.8, "markersize": 3.2}
        ax.plot([point] * len(lines), lines, "D", label=label, markerfacecolor="none", **look)
    _points_axis(ax)


def _outside(one: Measured) -> np.ndarray:
    """The largest share that a single cell outside both sets closes, at each point."""
    shares = np.array(one["transplants"]["cells"])
    members = {cell for name in ("between", "after") for cell in one["sets"][name]["cells"]}
    others = [k for k in range(shares.shape[1]) if k not in members]
    return shares[:, others].max(axis=1) if others else np.zeros(len(shares))


# -- the later mark -------------------------------------------------------------------------------


@style.styled
def later_mark(shown: Sequence[tuple[str, Measured]]) -> Figure:
    """What the best cell does at the later mark, a row a network, a dot a sequence."""
    height = 0.8 + 2.3 * len(shown)
    fig = style.figure(
        height,
        "What one cell does when the later mark comes",
        "the cell that carries most after the marks; a dot for each sequence, coloured by the "
        "earlier value",
    )
    edges = style.place(fig, 0.6, 0.5, 7.55, height - 1.2)
    grid = fig.add_gridspec(len(shown), 4, wspace=0.42, hspace=0.65, **edges)
    for row, (title, one) in enumerate(shown):
        _at_later_mark([fig.add_subplot(grid[row, column]) for column in range(4)], one)
        cell = f"{title}: cell {one['later']['cell'] + 1}"
        _row_title(fig, grid[row, 0].get_position(fig), cell)
    dots = fig.axes[0].collections[0]
    _colour_bar(style.panel(fig, 7.75, 0.5, 7.84, 1.7), dots, ticks=[0, 0.5, 1])
    return fig


def _at_later_mark(axes: Sequence[Axes], one: Measured) -> None:
    seen = {name: np.array(values) for name, values in one["later"]["example"].items()}
    seen["product"] = seen["earlier"] * seen["later"]
    panels = (
        ("earlier", "c_before", "its state before", "earlier value"),
        ("later", "forget", "its forget gate", "later value"),
        ("later", "written", "what is written, i g", "later value"),
        ("product", "c_after", "its state half-way on", "x₁ x₂"),
    )
    for ax, (x, y, what, axis) in zip(axes, panels, strict=True):
        ax.scatter(seen[x], seen[y], c=seen["earlier"], s=5, cmap="viridis", vmin=0, vmax=1)
        ax.set_title(what, weight="normal")
        ax.set_xlabel(axis)
        ax.set_xlim(-0.03, 1.03)
        ax.set_xticks([0, 0.5, 1])
        ax.grid(axis="y")


def _row_title(fig: Figure, corner: Bbox, title: str) -> None:
    """Above a row of panels, flush with their labels."""
    width, height = fig.get_size_inches()
    place = (corner.x0 - 0.4 / width, corner.y1 + 0.27 / height)
    fig.text(*place, title, weight="bold", va="bottom")


# -- the learned function -------------------------------------------------------------------------


@style.styled
def surface(shown: Sequence[tuple[str, Measured]]) -> Figure:
    """The answer over the unit square, its error, and how much it depends on all the rest."""
    height = 0.75 + 2.75 * len(shown)
    fig = style.figure(
        height,
        "The learned function",
        "mean answer over other values and marks at each pair of marked values; "
        "dashed: where x₁ x₂ is 0.1, 0.3, …",
    )
    edges = style.place(fig, 0.6, 0.45, 7.65, height - 1.2)
    grid = fig.add_gridspec(len(shown), 3, wspace=0.5, hspace=0.55, **edges)
    for row, (title, one) in enumerate(shown):
        _learned([fig.add_subplot(grid[row, column]) for column in range(3)], one)
        _row_title(fig, grid[row, 0].get_position(fig), title)
    return fig


def _learned(axes: Sequence[Axes], one: Measured) -> None:
    mean, spread = (np.array(one["surface"][name]) for name in ("mean", "spread"))
    axis = np.linspace(0, 1, len(mean))
    truth = np.outer(axis, axis)
    error = mean - truth
    limit = max(0.05, float(np.abs(error).max()))
    panels = (
        ("answer", mean, "viridis", (0.0, 1.0)),
        (f"mean error, RMS {np.sqrt(np.mean(error**2)):.3f}", error, "RdBu_r", (-limit, limit)),
        ("spread (standard deviation)", spread, "Greys", (0.0, max(0.02, float(spread.max())))),
    )
    for ax, (what, values, colours, limits) in zip(axes, panels, strict=True):
        _square(ax, values, colours, limits)
        ax.set_title(what, weight="normal")
        ax.set_xlabel("later value")
    axes[0].set_ylabel("earlier value")
    levels = np.arange(0.1, 1, 0.2)
    if crossed := [x for x in levels if mean.min() < x < mean.max()]:
        axes[0].contour(axis, axis, mean, crossed, colors="white", linewidths=1.1)
    dashes = {"linestyles": "dashed", "linewidths": 0.9}
    axes[0].contour(axis, axis, truth, levels, colors=style.INK, **dashes)


def _square(ax: Axes, values: np.ndarray, colours: str, limits: tuple[float, float]) -> None:
    half = 0.5 / (len(values) - 1)
    extent = (-half, 1 + half, -half, 1 + half)
    look: dict[str, Any] = {"cmap": colours, "vmin": limits[0], "vmax": limits[1]}
    image = ax.imshow(values, origin="lower", extent=extent, aspect="equal", **look)
    ax.xaxis.set_major_locator(MultipleLocator(0.5))
    ax.yaxis.set_major_locator(MultipleLocator(0.5))
    _colour_bar(ax.inset_axes((1.05, 0, 0.05, 1)), image)
