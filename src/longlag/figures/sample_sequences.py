"""What the network sees, and what it answers: five sequences it has never met."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from longlag.figures import examples, panels, style
from longlag.learning.training import Run
from longlag.tasks.score import TOLERANCE


@style.styled
def draw(run: Run) -> Figure:
    """Five held-out sequences, each with its target and the network's answer."""
    sequences = examples.five_sequences(run)
    given = examples.answers(run.network, sequences)
    task = run.recipe.task
    steps = max(len(s.inputs) for s in sequences)

    right = sum(abs(y - s.target) <= TOLERANCE for y, s in zip(given, sequences, strict=True))
    what = "product" if task.name == "multiplication" else "scaled sum"
    title = f"Answer the {what} of the two marked values: {right} of 5 within {TOLERANCE}"
    fig = style.figure(7.0, title, style.describe(run))
    grid = fig.add_gridspec(5, 1, hspace=0.78, **style.place(fig, 0.55, 0.78, 8.12, 6.08))
    axes: list[Axes] = []
    for row, (sequence, answer) in enumerate(zip(sequences, given, strict=True)):
        ax = fig.add_subplot(grid[row], sharex=axes[0] if axes else None)
        axes.append(ax)
        ax.set_label(f"sequence {row + 1}")
        panels.sequence(ax, sequence, task.name, steps)
        ax.tick_params(labelbottom=row == 4)
        verdict, colour = _verdict(sequence.target, float(answer))
        panels.titles(ax, examples.formula(task, sequence), verdict, colour)
    axes[2].set_ylabel("value")
    axes[-1].set_xlabel("step")
    hidden = any(examples.is_hidden(s) for s in sequences)
    look = {"ncols": 4, "handlelength": 1.1, "columnspacing": 1.8}
    style.legend(fig, 0.45, 0.06, handles=panels.sequence_legend(hidden, task.name), **look)
    return fig


def _verdict(target: float, answer: float) -> tuple[str, str]:
    """The answer and its error in words, and their colour."""
    error = abs(answer - target)
    good = error <= TOLERANCE
    off = f"off by {error:.3f}" if error < 1e4 else "far off"
    return (
        f"{style.answer(answer)}, {off}  {'✓' if good else '✗'}",
        style.NETWORK if good else style.MARK,
    )
