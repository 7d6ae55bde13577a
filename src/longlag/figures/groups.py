"""Groups of a ledger's trials: a number of each against a setting, a line a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from longlag.figures import style
from longlag.figures.cells import COLOURS, MARKERS


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

    Numbers that span more than a tenfold stand on a logarithmic axis, words in their order.
    """
    keys = -(-len(lines) // 3) if len(lines) > 1 else 0
    height = 3.9 + 0.2 * keys
    fig = style.figure(height, title, subtitle)
    ax = style.panel(fig, 0.75, 0.75 + 0.2 * keys, 8.0, height - 0.75)
    values = list(dict.fromkeys(p.x for points in lines.values() for p in points))
    numbers = all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in values)
    for k, (label, points) in enumerate(lines.items()):
        own = sorted(points, key=lambda p: p.x) if numbers else points
        x = [p.x if numbers else values.index(p.x) for p in own]
        colour = COLOURS[k % len(COLOURS)]
        ax.vlines(x, [p.ends[0] for p in own], [p.ends[1] for p in own], color=colour, alpha=0.45)  # type: ignore[arg-type]
        look = {"marker": MARKERS[k % len(MARKERS)], "ms": 4.5, "lw": 1.4}
        ax.plot(x, [p.y for p in own], color=colour, label=label, **look)  # type: ignore[arg-type]
    if not numbers:
        ax.set_xticks(range(len(values)), list(map(str, values)))
    elif min(values) > 0 and max(values) > 10 * min(values):  # type: ignore[operator, type-var]
        ax.set_xscale("log")
    ax.set_xlabel(names[0])
    ax.set_ylabel(names[1])
    ax.grid(axis="y")
    if keys:
        style.legend(fig, 0.65, 0.05, handles=ax.get_lines(), ncols=3)
    return fig
