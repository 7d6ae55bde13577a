"""What happens inside the network while it reads one sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from longlag.figures import examples, panels, style
from longlag.learning.training import Run
from longlag.networks.lstm1997 import LSTM1997

GATES = {
    "input_gate": "Input gate: what is let in",
    "forget_gate": "Forget gate: what is kept",
    "output_gate": "Output gate: what is let out",
}
HEIGHTS = {"input": 0.85, "cell": 1.7, "hidden": 1.7}  # of the panels; a gate's is 0.7
BLOCK_COLOURS = (style.NETWORK, style.TEST, style.PAPER, style.MUTED)


@style.styled
def draw(run: Run) -> Figure:
    """Inputs, cell and hidden states, and gates of a run's network on one held-out sequence."""
    shown = examples.one_sequence(run)
    network, task, steps = run.network, run.recipe.task, len(shown.inputs)
    states = examples.states(network, shown)
    answer = float(examples.answers(network, [shown])[0])
    gates = [name for name in GATES if name in states]

    height = 8.6 - 0.95 * (len(GATES) - len(gates))
    title = f"Inside the network: {examples.formula(task, shown)}"
    fig = style.figure(height, title, style.describe(run))
    axes, bars = _grid(fig, [*HEIGHTS, *gates])
    panels.sequence(axes[0], shown, task.name, steps)
    panels.titles(axes[0], "Input: values, two of them marked (orange)", style.answer(answer))
    for ax, bar, (name, text) in zip(axes[1:3], bars, _states(network).items(), strict=True):
        norm = panels.colour_norm(states[name])
        panels.heat_map(ax, bar, states[name], norm, panels.block_size(network))
        ax.set_title(text)
    for ax, name in zip(axes[3:], gates, strict=True):
        _gate(ax, states[name], _name(network, name), isinstance(network, LSTM1997))
    _remark(axes[3], network)
    for ax in axes:
        panels.time_axis(ax, steps)
        panels.mark_lines(ax, shown)
        ax.tick_params(labelbottom=ax is axes[-1])
    axes[-1].set_xlabel("step")
    return fig


def _states(network: Any) -> dict[str, str]:
    """The states that are shown as heat maps, and their titles."""
    if isinstance(network, LSTM1997):
        return {
            "cell": "Cell state s of each cell",
            "hidden": "Cell output, output gate × h(s), of each cell",
        }
    return {
        "cell": "Cell state c of each cell",
        "hidden": "Hidden state h = o tanh(c) of each cell",
    }


def _name(network: Any, gate: str) -> str:
    """The title of a gate's panel."""
    if isinstance(network, LSTM1997):
        return f"{GATES[gate]}, shared by the cells of a block"
    fixed = gate == "forget_gate" and not network.forget_gate
    return f"{GATES[gate]} (fixed at 1)" if fixed else GATES[gate]


def _grid(fig: Figure, names: list[str]) -> tuple[list[Axes], list[Axes]]:
    """Panels over one time axis; colour bars stand in a column of their own."""
    grid = fig.add_gridspec(
        len(names),
        2,
        height_ratios=[HEIGHTS.get(name, 0.7) for name in names],
        width_ratios=(1, 0.016),
        hspace=0.42,
        wspace=0.025,
        **style.place(fig, 0.62, 0.5, 7.72, fig.get_figheight() - 0.88),
    )
    axes: list[Axes] = []
    for row, name in enumerate(names):
        axes.append(fig.add_subplot(grid[row, 0], sharex=axes[0] if axes else None))
        axes[-1].set_label(name)
    bars = [fig.add_subplot(grid[row, 1], label="colour bar") for row in (1, 2)]
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
    if isinstance(network, LSTM1997) and network.blocks <= len(BLOCK_COLOURS):
        names = [f"block {k + 1}" for k in range(network.blocks)]
        look = {"loc": "lower right", "bbox_to_anchor": (1.01, 0.94), "borderpad": 0.2}
        ax.legend(ax.lines[: len(names)], names, ncols=len(names), handlelength=1.4, **look)
        return
    what = "blocks" if isinstance(network, LSTM1997) else "cells"
    ax.set_title(f"line: mean over the {what}; shaded: their range", loc="right", **remark)
