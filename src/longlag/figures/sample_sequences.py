"""What the network sees, and what it answers: five sequences it has never met."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from longlag.figures import examples, panels, style
from longlag.learning.training import Run
from longlag.tasks.task import Sequence, Task


@style.styled
def draw(run: Run) -> Figure:
    """Five held-out sequences, each with its target and the network's answer."""
    sequences = examples.five_sequences(run)
    task = run.recipe.task
    given = examples.answers(run.network, task, sequences)
    drawings = [task.drawing(sequence) for sequence in sequences]
    steps = max(len(s.inputs) for s in sequences)

    right = task.correct(given, task.batch(sequences))
    title = f"Answer {task.asks}: {right.sum()} of 5 within {task.tolerance:g}"
    fig = style.figure(7.0, title, style.describe(run))
    grid = fig.add_gridspec(5, 1, hspace=0.78, **style.place(fig, 0.55, 0.78, 8.12, 6.08))
    axes: list[Axes] = []
    for row, (sequence, answer) in enumerate(zip(sequences, given, strict=True)):
        ax = fig.add_subplot(grid[row], sharex=axes[0] if axes else None)
        axes.append(ax)
        ax.set_label(f"sequence {row + 1}")
        panels.sequence(ax, drawings[row], steps)
        ax.tick_params(labelbottom=row == 4)
        verdict, colour = _verdict(task, sequence, answer, bool(right[row]))
        panels.titles(ax, task.explain(sequence), verdict, colour)
    axes[2].set_ylabel("value")
    axes[-1].set_xlabel("step")
    look = {"ncols": 4, "handlelength": 1.1, "columnspacing": 1.8}
    style.legend(fig, 0.45, 0.06, handles=panels.sequence_legend(drawings), **look)
    return fig


def _verdict(task: Task, sequence: Sequence, answer: np.ndarray, good: bool) -> tuple[str, str]:
    """The answer and its error in words, and their colour."""
    error = float(np.max(np.abs(answer - sequence.target)))
    off = f"off by {error:.3f}" if error < 1e4 else "far off"
    return (
        f"{style.answer(task.say(answer))}, {off}  {'✓' if good else '✗'}",
        style.NETWORK if good else style.MARK,
    )
