"""What the network sees, and what it answers: five sequences it has never met."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from longlag.figures import examples, panels, style
from longlag.learning.training import Run
from longlag.tasks.task import Batch, Task

WIDE = 84  # characters that have room above a panel


@style.styled
def draw(run: Run) -> Figure:
    """Five held-out sequences, each with its target and the network's answer."""
    sequences = examples.five_sequences(run)
    task = run.recipe.task
    given = examples.answers(run.network, task, sequences)
    drawings = [task.drawing(sequence) for sequence in sequences]
    steps = max(len(s.inputs) for s in sequences)

    batch = task.batch(sequences)
    right = task.correct(given, batch)
    how = "answered right" if task.answered == "every" else f"within {task.tolerance:g}"
    title = f"Answer {task.asks}: {right.sum()} of 5 {how}"
    fig = style.figure(7.0, title, style.describe(run))
    grid = fig.add_gridspec(5, 1, hspace=0.78, **style.place(fig, 0.55, 0.78, 8.12, 6.08))
    axes: list[Axes] = []
    for row, (sequence, answer) in enumerate(zip(sequences, given, strict=True)):
        ax = fig.add_subplot(grid[row], sharex=axes[0] if axes else None)
        axes.append(ax)
        ax.set_label(f"sequence {row + 1}")
        panels.sequence(ax, drawings[row], steps)
        ax.tick_params(labelbottom=row == 4)
        off = _off(task, batch.each(lambda a, row=row: a[row : row + 1]), answer[None])
        words = f"{style.answer(task.say(examples.own(task, sequence, answer)))}, "
        if len(task.explain(sequence) + words + off) > WIDE:
            words = ""
        verdict = f"{words}{off}  {'✓' if right[row] else '✗'}"
        colour = style.NETWORK if right[row] else style.MARK
        panels.titles(ax, task.explain(sequence), verdict, colour)
    axes[2].set_ylabel("value")
    axes[-1].set_xlabel("step")
    look = {"ncols": 4, "handlelength": 1.1, "columnspacing": 1.8}
    style.legend(fig, 0.45, 0.06, handles=panels.sequence_legend(drawings), **look)
    return fig


def _off(task: Task, batch: Batch, answer: np.ndarray) -> str:
    """How far an answer (1, ...) is off, in words: its largest error, or how many steps."""
    if task.answered == "every" and task.classes:
        counted = task.judged(batch)
        right = np.sum(examples.right_steps(batch, answer) & counted)
        return f"{right} of {counted.sum()} steps right"
    error = float(np.max(np.abs(answer - task.wanted(batch))))
    return f"off by {error:.3f}" if error < 1e4 else "far off"
