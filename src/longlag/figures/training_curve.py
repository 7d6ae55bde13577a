"""How the error fell: batch by batch, smoothed, and on fresh sequences."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, StrMethodFormatter

from longlag.figures import curves, style
from longlag.tasks import MarkedPairs
from longlag.training import Run

# Table 8 of the paper. Its "MSE" column can only be a root mean squared error; see the README.
PAPER_STOPS = (
    (0.0223, "paper’s first stop: 0.0223 read as RMSE, after 482,000 sequences"),
    (0.0139, "second stop: 0.0139 read as RMSE, after 1,273,000 sequences"),
)


@style.styled
def draw(run: Run) -> Figure:
    """The training curve of a run, with the chance level of its rules."""
    fig = style.figure(4.7)
    style.header(fig, headline(run), style.describe(run))
    ax = fig.add_subplot(fig.add_gridspec(**style.place(fig, 0.72, 0.95, 7.6, 3.75))[0])
    ax.set_label("curve")
    curves.error_axis(ax, run, tuple(rmse**2 for rmse, _ in paper_stops(run)))
    _paper(ax, run)
    entries = [*_curves(ax, run), _chance(ax, run)]
    _axes(ax, run)
    fig.legend(
        handles=entries,
        loc="lower left",
        bbox_to_anchor=(0.62 / style.WIDTH, 0.06 / 4.7),
        ncols=len(entries),
        handlelength=1.8,
        columnspacing=1.6,
    )
    return fig


def headline(run: Run) -> str:
    """What the curve shows, in one line."""
    chance, mse = run.recipe.evaluation_task.chance_mse, run.score.mse
    if run.stopped_by == "diverged" or not np.isfinite(mse):
        return f"Training diverged after {run.iterations:,} iterations"
    if mse > 2 * chance:
        return f"Worse than chance: test MSE {style.number(mse)}, chance {style.number(chance)}"
    if mse > 0.8 * chance:
        return f"At chance: test MSE {style.number(mse)}, chance {style.number(chance)}"
    times = f"{chance / mse:.0f}" if chance > 3 * mse else f"{chance / mse:.1f}"
    return (
        f"Test MSE falls to {style.number(mse)} (RMSE {style.number(np.sqrt(mse))}), "
        f"{times} times below chance"
    )


def paper_stops(run: Run) -> tuple[tuple[float, str], ...]:
    """The paper's two results, where a run is on the paper's own task."""
    same = run.recipe.evaluation_task == MarkedPairs("multiplication", "paper", 100, 110)
    return PAPER_STOPS if same else ()


def _curves(ax: Axes, run: Run) -> list[Line2D]:
    """The three curves; returns the legend's entries."""
    at, losses = curves.finite_losses(run)
    if len(at) == 0:
        style.note(ax, "no batch was learned from")
        return []
    window = curves.smoothing_window(len(losses))
    smoothed = curves.smooth(losses, window)
    batch = f"one batch ({run.recipe.batch_size} sequences)"
    lines = [
        *ax.plot(*curves.thin(at, losses), color=style.NETWORK_LIGHT, lw=0.7, label=batch),
        *ax.plot(
            *curves.thin(at, smoothed),
            color=style.NETWORK,
            lw=1.9,
            label="one batch" if window == 1 else f"mean of {window} batches",
        ),
    ]
    tested, tests = curves.finite_tests(run)
    if len(tested) > 0:
        dots = {"markersize": 5.5 if len(tested) <= 20 else 3.8, "markeredgewidth": 0.7}
        label = f"test ({run.recipe.test_size:,} fresh sequences)"
        lines += ax.plot(
            tested, tests, "o", color=style.TEST, markeredgecolor=style.INK, label=label, **dots
        )
    return lines[1:] if window == 1 else lines


def _chance(ax: Axes, run: Run) -> Line2D:
    chance = curves.chance_line(ax, run)
    label = f"chance {style.number(chance)} ({run.recipe.task.rules} rules)"
    return Line2D([], [], color=style.INK, linestyle=(0, (4, 2.5)), lw=1.1, label=label)


def _paper(ax: Axes, run: Run) -> None:
    for rmse, text in paper_stops(run):
        ax.axhline(rmse**2, color=style.HIDDEN, linewidth=1.1, linestyle=(0, (1, 1.5)))
        ax.text(
            0.012,
            rmse**2 * 1.06,
            text,
            transform=ax.get_yaxis_transform(),
            size=style.SMALL,
            color="#8f3f6d",
            va="bottom",
        )


def _axes(ax: Axes, run: Run) -> None:
    """Iterations below, sequences above; MSE left, RMSE right."""
    batch = run.recipe.batch_size
    ax.set_xlim(0, max(1, run.iterations))
    ax.set_xlabel("iterations")
    ax.set_ylabel("mean squared error")
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    above = ax.secondary_xaxis("top", functions=(lambda k: k * batch, lambda n: n / batch))
    above.set_xlabel("training sequences", labelpad=4)
    above.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    above.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    right = ax.secondary_yaxis("right", functions=(_root, np.square))
    right.set_ylabel("its root (RMSE)", labelpad=4)
    right.yaxis.set_major_locator(curves.readable_log_ticks())
    right.yaxis.set_minor_locator(NullLocator())
    right.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    for spine in (above.spines["top"], right.spines["right"]):
        spine.set_visible(True)


def _root(mse: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(mse, 0))
