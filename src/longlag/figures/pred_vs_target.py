"""Answers against targets, on 256 sequences that the network has never met."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from longlag.figures import by_class, examples, style
from longlag.learning.training import Run
from longlag.tasks.score import Score

SEQUENCES = 256


@style.styled
def draw(run: Run) -> Figure:
    """Left, the answers over the targets with y = x; right, their errors.

    Of a task whose outputs are classes, which was most active, and how often rightly.
    """
    if run.recipe.task.classes:
        return by_class.draw(run)
    task, rng = run.recipe.task.tested, examples.stream(run, "scatter")
    drawn = [task.sequence(rng) for _ in range(SEQUENCES)]
    answered = task.batch(drawn)
    given = examples.answers(run.network, task, drawn)
    with np.errstate(all="ignore"):
        result = task.score(given, answered)
    special = [task.is_special(s) for s in drawn]
    hidden = np.repeat(special, answered.targets.size // len(drawn))  # a point an output
    targets, given = task.wanted(answered).ravel(), given.ravel()

    right, band = result.n - result.wrong, f"{task.tolerance:g}"
    title = f"{right} of {result.n} answers lie within {band} of the truth"
    fig = style.figure(5.15, title, style.describe(run))
    left = style.panel(fig, 0.6, 0.9, 4.02, 4.32)
    right = style.panel(fig, 4.85, 0.9, 8.12, 4.32)
    left.set_label("answers")
    right.set_label("errors")
    _answers(left, targets, given, hidden, result, task.tolerance)
    _errors(right, targets, given, hidden, task.tolerance)
    look = {"ncols": 5, "handlelength": 1.3, "columnspacing": 1.6}
    style.legend(fig, 0.5, 0.06, handles=_legend(bool(hidden.any()), task.tolerance), **look)
    return fig


def _groups(
    targets: np.ndarray, given: np.ndarray, hidden: np.ndarray, tolerance: float
) -> list[tuple[np.ndarray, str, str]]:
    """Which points share a look: (chosen, marker, colour), those within the band first."""
    wrong = ~(np.abs(given - targets) <= tolerance)
    return [
        (chosen & (wrong == outside), marker, style.MARK if outside else style.NETWORK)
        for outside in (False, True)
        for chosen, marker in ((~hidden, "o"), (hidden, "D"))
    ]


def _points(
    ax: Axes, x: np.ndarray, y: np.ndarray, groups: list[tuple[np.ndarray, str, str]]
) -> None:
    """Points in their looks; those beyond the panel are drawn as arrows at its edge."""
    low, high = ax.get_ylim()
    for chosen, marker, colour in groups:
        face = "none" if marker == "D" else colour
        look = {"color": colour, "markerfacecolor": face, "alpha": 0.85, "linestyle": "none"}
        size = 4.2 if marker == "D" else 3.6
        inside = chosen & (y >= low) & (y <= high)
        ax.plot(x[inside], y[inside], marker, markersize=size, markeredgewidth=0.9, **look)
        for beyond, arrow, edge in ((y > high, "^", high), (y < low, "v", low)):
            ends = np.full(int(np.sum(chosen & beyond)), edge)
            ax.plot(x[chosen & beyond], ends, arrow, markersize=5, clip_on=False, **look)


def _answers(
    ax: Axes,
    targets: np.ndarray,
    given: np.ndarray,
    hidden: np.ndarray,
    result: Score,
    tolerance: float,
) -> None:
    """Answers over targets, at equal scales."""
    ends = np.array([-0.06, 1.06])
    ax.fill_between(ends, ends - tolerance, ends + tolerance, color=style.GRID, lw=0)
    ax.plot(ends, ends, color=style.MUTED, lw=0.9)
    ax.set_aspect("equal")
    ax.set_xlim(*ends)
    ax.set_ylim(*ends)
    _points(ax, targets, given, _groups(targets, given, hidden, tolerance))
    ax.set_title("Answer against target")
    ax.set_xlabel("target")
    ax.set_ylabel("network’s answer")
    ax.set_xticks(np.linspace(0, 1, 6))
    ax.set_yticks(np.linspace(0, 1, 6))
    text = (
        f"MSE {style.number(result.mse)}\nRMSE {style.number(result.rmse)}\n"
        f"{result.wrong} of {result.n} wrong"
    )
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}
    ax.text(0.04, 0.97, text, transform=ax.transAxes, va="top", linespacing=1.4, bbox=box)


def _errors(
    ax: Axes, targets: np.ndarray, given: np.ndarray, hidden: np.ndarray, tolerance: float
) -> None:
    """Errors over targets, at a scale that shows the band."""
    with np.errstate(all="ignore"):
        errors = given - targets
    finite = np.abs(errors[np.isfinite(errors)])
    limit = float(np.clip(1.08 * finite.max(), 2 * tolerance, 1.0)) if finite.size else 1.0
    ax.axhspan(-tolerance, tolerance, color=style.GRID, lw=0)
    ax.axhline(0, color=style.MUTED, lw=0.9)
    ax.set_xlim(-0.06, 1.06)
    ax.set_ylim(-limit, limit)
    _points(ax, targets, errors, _groups(targets, given, hidden, tolerance))
    if not finite.size:
        style.note(ax, "no answer is a finite number")
    ax.set_title("Error (answer − target) against target")
    ax.set_xlabel("target")
    ax.set_xticks(np.linspace(0, 1, 6))


def _legend(hidden: bool, tolerance: float) -> list[Line2D | Patch]:
    def dot(marker: str, colour: str, face: str, text: str) -> Line2D:
        return Line2D(
            [],
            [],
            marker=marker,
            color=colour,
            markerfacecolor=face,
            markersize=4.2,
            linestyle="none",
            label=text,
        )

    entries: list[Line2D | Patch] = [
        Patch(color=style.GRID, label=f"tolerance of ±{tolerance:g}"),
        dot("o", style.NETWORK, style.NETWORK, "within it"),
        dot("o", style.MARK, style.MARK, "wrong"),
    ]
    if hidden:
        entries.append(dot("D", style.INK, "none", "one mark hidden: the target is a single value"))
    return entries
