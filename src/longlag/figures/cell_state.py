"""What happens inside the network while it reads one sequence."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from longlag.figures import examples, panels, style
from longlag.training import Run

GATES = (
    ("input_gate", "Input gate: what is let in"),
    ("forget_gate", "Forget gate: what is kept"),
    ("output_gate", "Output gate: what is let out"),
)


@style.styled
def draw(run: Run) -> Figure:
    """Inputs, cell and hidden states, and gates of a run's network on one held-out sequence."""
    shown = examples.one_sequence(run)
    states = examples.states(run.network, shown)
    answer = float(examples.answers(run.network, [shown])[0])
    task, steps = run.recipe.task, len(shown.inputs)

    fig = style.figure(8.6)
    style.header(fig, f"Inside the network: {_target(run, shown)}", style.describe(run))
    axes, bars = _grid(fig)
    top = axes[0]
    panels.sequence(top, shown, task.kind, steps)
    panels.titles(top, "Input: values, two of them marked (red)", style.answer(answer))
    for ax, bar, name, text in (
        (axes[1], bars[0], "cell", "Cell state c of each cell"),
        (axes[2], bars[1], "hidden", "Hidden state h = o tanh(c) of each cell"),
    ):
        panels.heat_map(ax, bar, states[name], panels.colour_norm(states[name]))
        ax.set_title(text)
        ax.set_ylabel("cell")
    for ax, (name, text) in zip(axes[3:], GATES, strict=True):
        fixed = name == "forget_gate" and not run.network.forget_gate
        _gate(ax, states[name], f"{text} (fixed at 1)" if fixed else text)
    remark = {"weight": "normal", "color": style.MUTED, "size": style.SMALL}
    axes[3].set_title("line: mean over the cells; shaded: their range", loc="right", **remark)
    for ax in axes:
        panels.time_axis(ax, steps)
        panels.mark_lines(ax, shown)
        ax.tick_params(labelbottom=ax is axes[-1])
    axes[-1].set_xlabel("step")
    return fig


def _target(run: Run, shown: examples.Sequence) -> str:
    return examples.formula(run.recipe.task, shown)


def _grid(fig: Figure) -> tuple[list[Axes], list[Axes]]:
    """Six panels over one time axis; colour bars stand in a column of their own."""
    grid = fig.add_gridspec(
        6,
        2,
        height_ratios=(0.85, 1.7, 1.7, 0.7, 0.7, 0.7),
        width_ratios=(1, 0.016),
        hspace=0.42,
        wspace=0.025,
        **style.place(fig, 0.62, 0.5, 7.72, 7.72),
    )
    axes: list[Axes] = []
    for row, name in enumerate(("input", "cell", "hidden", *(gate for gate, _ in GATES))):
        axes.append(fig.add_subplot(grid[row, 0], sharex=axes[0] if axes else None))
        axes[-1].set_label(name)
    bars = [fig.add_subplot(grid[row, 1], label="colour bar") for row in (1, 2)]
    return axes, bars


def _gate(ax: Axes, gate: np.ndarray, title: str) -> None:
    """Mean over the cells of a gate (T, H), and the range of all cells."""
    at = np.arange(len(gate))
    ax.fill_between(
        at, gate.min(axis=1), gate.max(axis=1), color=style.NETWORK_LIGHT, alpha=0.55, lw=0
    )
    ax.plot(at, gate.mean(axis=1), color=style.NETWORK, lw=1.7, clip_on=False)
    ax.set_title(title)
    ax.set_ylim(0, 1.02)
    ax.set_yticks([0, 0.5, 1])
    ax.grid(axis="y")
