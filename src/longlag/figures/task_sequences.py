"""What a task's sequences look like, without a network."""

from __future__ import annotations

from collections.abc import Sequence as Seq

from matplotlib.axes import Axes

from longlag.figures import panels, style
from longlag.tasks.task import Sequence, Task

ROW = 1.2  # inches


@style.styled
def png(task: Task, sequences: Seq[Sequence]) -> bytes:
    """The sequences below each other, each with how its target comes about."""
    n, drawings = len(sequences), [task.drawing(one) for one in sequences]
    steps = max(len(one.inputs) for one in sequences)
    height = n * ROW + 1.6
    title = f"{task.name}: answer {task.asks}"
    fig = style.figure(height, title, task.source)
    edges = style.place(fig, 0.55, 0.78, 8.12, height - 0.92)
    grid = fig.add_gridspec(n, 1, hspace=0.78, **edges)
    axes: list[Axes] = []
    for row, (one, drawing) in enumerate(zip(sequences, drawings, strict=True)):
        ax = fig.add_subplot(grid[row], sharex=axes[0] if axes else None)
        axes.append(ax)
        panels.sequence(ax, drawing, steps)
        ax.tick_params(labelbottom=row == n - 1)
        panels.titles(ax, task.explain(one), "")
    axes[-1].set_xlabel("step")
    look = {"ncols": 4, "handlelength": 1.1, "columnspacing": 1.8}
    style.legend(fig, 0.45, 0.06, handles=panels.sequence_legend(drawings), **look)
    return style.png(fig)
