"""Test curves of many seeds, a panel a recipe and length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from longlag.figures import style

TARGET = 0.030
COLUMNS = 2
PANEL = 2.35  # inches
TOP, BOTTOM = 0.16, 4e-5  # of the panels' common axis


@dataclass(frozen=True)
class Curve:
    """A seed: test MSE by training sequences, and whether the strict rule was met."""

    sequences: Sequence[int]
    mse: Sequence[float]
    solved: bool


@dataclass(frozen=True)
class Panel:
    """All seeds of a recipe at a length."""

    title: str
    curves: Sequence[Curve]
    chance: float


@style.styled
def draw(panels: Sequence[Panel], title: str) -> Figure:
    """A line a seed, in one colour if it was solved and in another if not."""
    rows = -(-len(panels) // COLUMNS)
    height = 1.15 + PANEL * rows
    subtitle = "test MSE of every seed; a dot where it meets the strict rule, a cross where not"
    fig = style.figure(height, title, subtitle)
    edges = style.place(fig, 0.72, 0.55, 8.1, height - 0.95)
    grid = fig.add_gridspec(rows, COLUMNS, hspace=0.42, wspace=0.14, **edges)
    axes: list[Axes] = []
    for k, panel in enumerate(panels):
        share = axes[0] if axes else None
        ax = fig.add_subplot(grid[k // COLUMNS, k % COLUMNS], sharex=share, sharey=share)
        ax.set_label(panel.title)
        _panel(ax, panel)
        if k % COLUMNS:
            ax.tick_params(labelleft=False)
        else:
            ax.set_ylabel("test MSE")
        if k + COLUMNS >= len(panels):
            ax.set_xlabel("training sequences")
        axes.append(ax)
    axes[0].set_ylim(BOTTOM, TOP)
    last = max(curve.sequences[-1] for panel in panels for curve in panel.curves)
    axes[0].set_xlim(250, 1.3 * last)
    return fig


def _panel(ax: Axes, panel: Panel) -> None:
    solved = sum(curve.solved for curve in panel.curves)
    ax.set_title(f"{panel.title}: {solved} of {len(panel.curves)} solved")
    for curve in sorted(panel.curves, key=lambda curve: curve.solved):
        if not curve.sequences:
            continue
        colour = style.NETWORK if curve.solved else style.MARK
        ax.plot(curve.sequences, curve.mse, color=colour, lw=0.9, alpha=0.55)
        mark = "o" if curve.solved else "x"
        ax.plot(curve.sequences[-1:], curve.mse[-1:], mark, color=colour, markersize=3.2)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    ax.axhline(panel.chance, color=style.MUTED, lw=0.8, ls=(0, (4, 2)))
    ax.axhline(TARGET, color=style.MUTED, lw=0.8, ls=(0, (1, 1.5)))
    for y, words in ((panel.chance, "chance"), (TARGET, "0.030")):
        place = ax.get_yaxis_transform()
        side = "bottom" if y > TARGET else "top"
        ax.text(0.01, y, words, transform=place, color=style.MUTED, size=style.SMALL, va=side)
    ax.grid(axis="y")
