"""What moving data costs a training step: against length and size, and in its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from longlag.figures import style

COLOURS = {
    "bptt": style.NETWORK,
    "bptt-fused": "#009e73",
    "bptt-each": style.TEST,
    "1997": style.MARK,
    "1997-sums": style.PAPER,
}
NAMES = {
    "bptt": "LSTM, reference's order",
    "bptt-fused": "LSTM, fused, 16 at a time",
    "bptt-each": "LSTM, fused, one at a time",
    "1997": "1997, forward traces",
    "1997-sums": "1997, sums backwards",
}
PART_COLOURS = (style.NETWORK, style.TEST, style.PAPER, style.MARK, style.FAINT)
Series = Mapping[str, Sequence[Any]]  # by algorithm, of studies.movement.cases.Measured


@style.styled
def against_length(lengths: Sequence[int], series: Series) -> Figure:
    """Cost of a training step on one sequence of T steps, and the same for each step."""
    fig = style.figure(
        3.9,
        "A training step's data movement against sequence length",
        "one sequence, scalars of 4 bytes; LSTM of 8 cells with BPTT and Adam, "
        "1997 network of 4 cells",
    )
    left, right = _pair(fig)
    for name, measured in series.items():
        if name == "bptt-each":  # with one sequence, the same as bptt-fused
            continue
        costs = np.array([m.cost() for m in measured], dtype=float)
        look: dict[str, Any] = {"color": COLOURS[name], "marker": "o", "ms": 3, "lw": 1.4}
        left.plot(lengths, costs, label=_name(name), **look)
        right.plot(lengths, costs / lengths / 1e3, **look)
    _logarithmic(left, lengths, "T, steps")
    left.set_yscale("log")
    left.set_title("cost of a training step")
    left.legend(loc="lower right")
    _logarithmic(right, lengths, "T, steps")
    right.set_ylim(0, None)
    right.set_title("the same for each of its T steps, in thousands")
    return fig


def _name(algorithm: str) -> str:
    return "LSTM, fused" if algorithm == "bptt-fused" else NAMES[algorithm]


@style.styled
def parts(measured: Sequence[Any]) -> Figure:
    """Training steps at T = 30 in their phases, and by what is read; for each sequence."""
    fig = style.figure(
        3.6,
        "Where the cost arises",
        "a training step at T = 30, for each sequence of its batch, 4-byte scalars, in millions",
    )
    grid = fig.add_gridspec(1, 2, wspace=0.08, **style.place(fig, 2.15, 0.75, 8.15, 2.75))
    labels = [f"{NAMES[m.case.algorithm]}, B = {m.case.batch}" for m in measured]
    of_phase = ("forward", "backward", "update")
    of_kind = ("weights", "moments", "inputs", "kept for the way back", "other")
    for n, (names, attribute) in enumerate(((of_phase, "phases"), (of_kind, "kinds"))):
        ax = fig.add_subplot(grid[n])
        values = np.array([getattr(m, attribute)[1] / m.case.batch / 1e6 for m in measured])
        _bars(ax, labels if n == 0 else [""] * len(labels), names, values)
        ax.set_title(("by phase", "by what is read")[n])
    return fig


def _bars(ax: Axes, labels: Sequence[str], names: Sequence[str], values: np.ndarray) -> None:
    """Stacked bars, the first one on top; values (bars, parts)."""
    places = np.arange(len(labels))
    before = np.zeros(len(labels))
    for name, colour, part in zip(names, PART_COLOURS, values.T, strict=False):
        ax.barh(places, part, 0.62, left=before, color=colour, label=name)
        before += part
    ax.set_yticks(places, labels)
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.grid(axis="x")
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=3, columnspacing=1, handlelength=1
    )


@style.styled
def against_size(by_hidden: Series, by_batch: Series) -> Figure:
    """Cost of a training step at T = 30 for each sequence, against cells and batch."""
    fig = style.figure(
        3.7,
        "Data movement against cells and batch",
        "cost of a training step at T = 30 for each sequence of its batch, scalars of 4 bytes",
    )
    left, right = _pair(fig)
    for name, measured in by_hidden.items():
        if name != "bptt-each":
            _line(left, name, [m.case.hidden for m in measured], measured, _name(name))
    for name, measured in by_batch.items():
        _line(right, name, [m.case.batch for m in measured], measured, NAMES[name])
    _logarithmic(left, [m.case.hidden for m in by_hidden["bptt"]], "H, cells")
    _logarithmic(right, [m.case.batch for m in by_batch["bptt"]], "B, sequences in a batch")
    left.set_yscale("log")
    left.set_title("one sequence, in millions")
    right.set_title("8 cells, in millions")
    left.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    right.set_ylim(0, None)
    left.legend(loc="upper left")
    right.legend(loc="lower right")
    return fig


def _line(ax: Axes, name: str, x: Sequence[int], measured: Sequence[Any], label: str) -> None:
    costs = [m.cost() / m.case.batch / 1e6 for m in measured]
    ax.plot(x, costs, color=COLOURS[name], marker="o", ms=3, lw=1.4, label=label)


@style.styled
def dropping(lengths: Sequence[int], series: Series) -> Figure:
    """Cost for each step of the sequence, with liveness and with nothing ever dropped."""
    fig = style.figure(
        3.4,
        "What dropping dead values does to the growth with T",
        "cost of a training step for each step of its one sequence, in thousands; 4-byte scalars",
    )
    for ax, (name, measured) in zip(_pair(fig), series.items(), strict=True):
        steps = np.array(lengths) * 1e3
        live = np.array([m.cost() for m in measured]) / steps
        undropped = np.array([m.undropped[1] for m in measured]) / steps
        ax.plot(lengths, undropped, "o--", color=style.MUTED, ms=3, lw=1.2, label="nothing dropped")
        ax.plot(lengths, live, "o-", color=COLOURS[name], ms=3, lw=1.4, label="with liveness")
        _logarithmic(ax, lengths, "T, steps")
        ax.set_ylim(0, None)
        ax.set_title("LSTM, BPTT (reference's order)" if name == "bptt" else NAMES[name])
        ax.legend(loc="lower right")
    return fig


def _pair(fig: Figure) -> tuple[Axes, Axes]:
    edges = style.place(fig, 0.55, 0.5, 8.15, fig.get_figheight() - 0.95)
    grid = fig.add_gridspec(1, 2, wspace=0.2, **edges)
    return fig.add_subplot(grid[0]), fig.add_subplot(grid[1])


def _logarithmic(ax: Axes, ticks: Sequence[int], label: str) -> None:
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", which="minor", length=0)
    ax.set_xlabel(label)
    ax.grid(axis="y")
