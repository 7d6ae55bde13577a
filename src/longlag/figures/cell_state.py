"""What happens inside the network while it reads one sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from longlag.figures import examples, panels, style
from longlag.learning.training import Run

HEIGHTS = {"input": 0.85, "cell": 1.7, "hidden": 1.7, "candidate": 1.7}  # of the panels
GATE_HEIGHT = 0.7
BLOCK_COLOURS = (style.NETWORK, style.TEST, style.PAPER, style.MUTED)


@style.styled
def draw(run: Run) -> Figure:
    """Inputs, cell and hidden states, and gates of a run's network on one held-out sequence."""
    shown = examples.one_sequence(run)
    network, task, steps = run.network, run.recipe.task, len(shown.inputs)
    states = examples.states(network, shown)
    answer = task.say(examples.answers(network, task, [shown])[0])
    drawing = task.drawing(shown)
    titles = {name: title for name, title in network.titles.items() if name in states}
    maps = [name for name in titles if not name.endswith("_gate")]
    gates = [name for name in titles if name.endswith("_gate")]

    rows = ["input", *maps, *gates]
    height = 1.4 + sum(1.36 * HEIGHTS.get(name, GATE_HEIGHT) for name in rows)
    title = f"Inside the network: {task.explain(shown)}"
    fig = style.figure(height, title, style.describe(run))
    axes, bars = _grid(fig, rows, len(maps))
    panels.sequence(axes[0], drawing, steps)
    panels.titles(axes[0], f"Input: {drawing.about} (orange)", style.answer(answer))
    for ax, bar, name in zip(axes[1:], bars, maps, strict=False):
        norm = panels.colour_norm(states[name])
        panels.heat_map(ax, bar, states[name], norm, panels.block_size(network))
        ax.set_title(titles[name])
    for ax, name in zip(axes[1 + len(maps) :], gates, strict=True):
        _gate(ax, states[name], titles[name], panels.block_size(network) is not None)
    if gates:
        _remark(axes[1 + len(maps)], network)
    for ax in axes:
        panels.time_axis(ax, steps)
        panels.mark_lines(ax, drawing)
        ax.tick_params(labelbottom=ax is axes[-1])
    axes[-1].set_xlabel("step")
    return fig


def _grid(fig: Figure, names: list[str], maps: int) -> tuple[list[Axes], list[Axes]]:
    """Panels over one time axis; colour bars stand in a column of their own."""
    grid = fig.add_gridspec(
        len(names),
        2,
        height_ratios=[HEIGHTS.get(name, GATE_HEIGHT) for name in names],
        width_ratios=(1, 0.016),
        hspace=0.42,
        wspace=0.025,
        **style.place(fig, 0.62, 0.5, 7.72, fig.get_figheight() - 0.88),
    )
    axes: list[Axes] = []
    for row, name in enumerate(names):
        axes.append(fig.add_subplot(grid[row, 0], sharex=axes[0] if axes else None))
        axes[-1].set_label(name)
    bars = [fig.add_subplot(grid[row, 1], label="colour bar") for row in range(1, 1 + maps)]
    return axes, bars


def _gate(ax: Axes, gate: np.ndarray, title: str, by_block: bool) -> None:
    """A gate (T, ·): a line a block where they are few, or else the mean and the range of all."""
    at = np.arange(len(gate))
    if by_block and gate.shape[1] <= len(BLOCK_COLOURS):
        for values, colour in zip(gate.T, BLOCK_COLOURS, strict=False):
            ax.plot(at, values, color=colour, lw=1.4, clip_on=False)
    else:
        low, high = gate.min(axis=1), gate.max(axis=1)
        ax.fill_between(at, low, high, color=style.NETWORK_LIGHT, alpha=0.55, lw=0)
        ax.plot(at, gate.mean(axis=1), color=style.NETWORK, lw=1.7, clip_on=False)
    ax.set_title(title)
    ax.set_ylim(0, 1.02)
    ax.set_yticks([0, 0.5, 1])
    ax.grid(axis="y")


def _remark(ax: Axes, network: Any) -> None:
    """What the lines of the gates are, at the upper right of the first of them."""
    remark = {"weight": "normal", "color": style.MUTED, "size": style.SMALL}
    blocks = network.blocks if panels.block_size(network) else 0
    if 0 < blocks <= len(BLOCK_COLOURS):
        names = [f"block {k + 1}" for k in range(blocks)]
        look = {"loc": "lower right", "bbox_to_anchor": (1.01, 0.94), "borderpad": 0.2}
        ax.legend(ax.lines[: len(names)], names, ncols=len(names), handlelength=1.4, **look)
        return
    what = "blocks" if blocks else "cells"
    ax.set_title(f"line: mean over the {what}; shaded: their range", loc="right", **remark)
