"""Success rates with exact intervals, a panel a length, a line a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from longlag.figures import style

COLOURS = (style.TEST, style.MARK, style.NETWORK_LIGHT, style.NETWORK)
SPREAD = 0.6  # of a line's height: how far apart its first and last points lie


@dataclass(frozen=True)
class Line:
    """A case: its name, a remark, and a rate with its interval by variant."""

    label: str
    note: str
    points: Mapping[str, tuple[float, tuple[float, float]]]


@dataclass(frozen=True)
class Panel:
    """Cases that belong together."""

    title: str
    lines: Sequence[Line]


@style.styled
def draw(panels: Sequence[Panel], title: str, subtitle: str, notes: str) -> Figure:
    """Dots with bars; `notes` heads the remarks to the right of each panel."""
    height = 1.75 + 0.46 * len(panels[0].lines)
    fig = style.figure(height, title, subtitle)
    edges = style.place(fig, 0.95, 0.82, 7.4, height - 0.95)
    grid = fig.add_gridspec(1, len(panels), wspace=0.28, **edges)
    for k, panel in enumerate(panels):
        ax = fig.add_subplot(grid[0, k])
        ax.set_label(panel.title)
        _panel(ax, panel, notes)
        if k:
            ax.tick_params(labelleft=False)
    variants = list(panels[0].lines[0].points)
    handles = [
        Line2D([], [], color=COLOURS[k], marker="o", markersize=5, lw=1.6)
        for k in range(len(variants))
    ]
    style.legend(fig, 0.85, 0.05, handles=handles, labels=variants, ncols=len(variants))
    return fig


def _panel(ax: Axes, panel: Panel, notes: str) -> None:
    ax.set_title(panel.title)
    beside = ax.get_yaxis_transform()
    for row, line in enumerate(panel.lines):
        for k, (rate, (low, high)) in enumerate(line.points.values()):
            y = row + SPREAD * (k / (len(line.points) - 1) - 0.5)
            ax.plot((low, high), (y, y), color=COLOURS[k], lw=1.6)
            ax.plot(rate, y, "o", color=COLOURS[k], markersize=5, clip_on=False)
        ax.text(1.05, row, line.note, transform=beside, va="center", color=style.MUTED)
    ax.text(1.05, -0.75, notes, transform=beside, va="center", color=style.MUTED, size=style.SMALL)
    ax.set_ylim(len(panel.lines) - 0.5, -0.5)
    ax.set_yticks(range(len(panel.lines)), [line.label for line in panel.lines])
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(-0.02, 1.02)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="x")
