"""Sequences that each of several tasks takes, beside a published number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from longlag.figures import style

ROW = 0.25  # inches


@dataclass(frozen=True)
class Line:
    """A task: its name, the sequences of each solved seed, what is published, how many solved."""

    label: str
    sequences: Sequence[float]
    published: float | None
    solved: str


@style.styled
def draw(lines: Sequence[Line], title: str) -> Figure:
    """Seeds as small dots, their median as a large one, the published number as a diamond."""
    height = 1.75 + ROW * len(lines)
    subtitle = "training sequences until the criterion of each task's paper is met"
    fig = style.figure(height, title, subtitle)
    edges = style.place(fig, 2.35, 0.95, 7.4, height - 0.8)
    ax = fig.add_subplot(fig.add_gridspec(1, 1, **edges)[0, 0])
    beside = ax.get_yaxis_transform()
    for k, line in enumerate(lines):
        if line.sequences:
            seeds = {"color": style.NETWORK, "ms": 3, "mfc": "none", "mew": 0.7, "alpha": 0.6}
            ax.plot(line.sequences, [k] * len(line.sequences), "o", **seeds)
            ax.plot(np.median(line.sequences), k, "o", color=style.NETWORK, ms=6, mec="white")
        if line.published:
            ax.plot(line.published, k, "D", color=style.PAPER, ms=5)
        ax.text(1.02, k, line.solved, transform=beside, va="center", color=style.MUTED)
    head = {"color": style.MUTED, "size": style.SMALL, "va": "center"}
    ax.text(1.02, -0.9, "solved", transform=beside, **head)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    ax.set_ylim(len(lines) - 0.5, -0.5)
    ax.set_yticks(range(len(lines)), [line.label for line in lines])
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel("training sequences")
    handles = [
        Line2D([], [], color=style.NETWORK, marker="o", ls="none", mec="white", ms=6),
        Line2D([], [], color=style.PAPER, marker="D", ls="none", ms=5),
    ]
    labels = ["robust: median, small: each seed", "the paper's network: mean"]
    style.legend(fig, 2.35, 0.05, handles=handles, labels=labels, ncols=2)
    return fig
