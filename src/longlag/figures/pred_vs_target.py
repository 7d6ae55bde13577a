"""Answers against targets, on 256 sequences that the network has never met."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from longlag.criteria import TOLERANCE, score
from longlag.figures import examples, style
from longlag.training import Run

SEQUENCES = 256


@style.styled
def draw(run: Run) -> Figure:
    """Left, the answers over the targets with y = x; right, their errors."""
    task, rng = run.recipe.evaluation_task, examples.stream(run, "scatter")
    drawn = [task.sequence(rng) for _ in range(SEQUENCES)]
    targets = np.array([s.target for s in drawn])
    hidden = np.array([examples.is_hidden(s) for s in drawn])
    given = examples.answers(run.network, drawn)
    with np.errstate(all="ignore"):
        result = score(given, targets)

    fig = style.figure(4.95)
    title = f"{result.n - result.wrong} of {result.n} answers lie within {TOLERANCE} of the truth"
    style.header(fig, title, style.describe(run))
    left = fig.add_subplot(fig.add_gridspec(**style.place(fig, 0.6, 0.92, 3.98, 4.3))[0])
    right = fig.add_subplot(fig.add_gridspec(**style.place(fig, 4.85, 0.92, 8.12, 3.76))[0])
    left.set_label("answers")
    right.set_label("errors")
    _answers(left, targets, given, hidden, result)
    _errors(right, targets, given, hidden)
    fig.legend(
        handles=_legend(hidden.any()),
        loc="lower left",
        bbox_to_anchor=(0.5 / style.WIDTH, 0.06 / 4.95),
        ncols=5,
        handlelength=1.3,
        columnspacing=1.6,
    )
    return fig
