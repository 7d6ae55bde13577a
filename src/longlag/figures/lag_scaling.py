"""Sequences, seconds and success rate against the lag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator, PercentFormatter

from longlag.figures import style

COLOURS = (style.NETWORK, style.MARK, style.TEST, style.PEER, style.PAPER)
HEIGHT = 5.6  # inches
MOST_TICKS = 6  # that have room for their words on half of the width


@dataclass(frozen=True)
class Point:
    """A recipe at one T: rate with its interval; sequences and seconds of each solved seed."""

    T: int
    rate: float
    interval: tuple[float, float]
    sequences: Sequence[float]
    seconds: Sequence[float]


@dataclass(frozen=True)
class Series:
    """A recipe."""

    label: str
    points: Sequence[Point]


@style.styled
def draw(series: Sequence[Series], title: str) -> Figure:
    """Seeds as dots, medians joined; below, rates with exact intervals."""
    subtitle = "a dot a solved seed, lines through medians; rates of strict success"
    fig = style.figure(HEIGHT, title, subtitle)
    edges = style.place(fig, 0.85, 0.85, 8.05, HEIGHT - 0.95)
    grid = fig.add_gridspec(2, 2, height_ratios=(1.7, 1), hspace=0.42, wspace=0.3, **edges)
    upper = [fig.add_subplot(grid[0, k]) for k in range(2)]
    lower = fig.add_subplot(grid[1, :])
    for k, one in enumerate(series):
        colour = COLOURS[k % len(COLOURS)]
        shift = 1.0 + 0.06 * (k - (len(series) - 1) / 2)
        _counts(upper[0], [(p.T, p.sequences) for p in one.points], colour, shift)
        _counts(upper[1], [(p.T, p.seconds) for p in one.points], colour, shift)
        _rates(lower, one, colour, shift)
    for ax, words in zip(upper, ("training sequences", "seconds a seed"), strict=True):
        ax.set_title(f"{words} to the strict rule")
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(_plain))
        ax.yaxis.set_minor_formatter(NullFormatter())
    low, high = upper[0].get_ylim()
    upper[0].set_ylim(min(low, 1000), max(high, 100_000))
    lower.set_title("seeds that meet the strict rule")
    lower.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    lower.set_ylim(-0.04, 1.04)
    at = sorted({point.T for one in series for point in one.points})
    for ax in upper:
        _axis(ax, at, narrow=True)
    _axis(lower, at, narrow=False)
    handles, labels = lower.get_legend_handles_labels()
    style.legend(fig, 0.75, 0.04, handles=handles, labels=labels, ncols=len(series))
    return fig


def _counts(
    ax: Axes, points: Sequence[tuple[int, Sequence[float]]], colour: str, shift: float
) -> None:
    solved = [(T, values) for T, values in points if values]
    for T, values in solved:
        ax.plot([T * shift] * len(values), values, "o", color=colour, markersize=2.5, alpha=0.35)
    medians = [float(np.median(values)) for _, values in solved]
    ax.plot([T * shift for T, _ in solved], medians, color=colour, lw=1.6)


def _rates(ax: Axes, one: Series, colour: str, shift: float) -> None:
    at = [point.T * shift for point in one.points]
    ax.plot(
        at,
        [point.rate for point in one.points],
        "o-",
        color=colour,
        markersize=5,
        lw=1.0,
        label=one.label,
        clip_on=False,
    )
    for T, point in zip(at, one.points, strict=True):
        ax.plot((T, T), point.interval, color=colour, lw=1.6)


def _axis(ax: Axes, at: Sequence[int], *, narrow: bool) -> None:
    ax.set_xscale("log")
    ax.set_xlim(at[0] / 1.3, at[-1] * 1.3)
    every = 2 if narrow and len(at) > MOST_TICKS else 1  # so that their words do not meet
    ax.set_xticks(at, [f"{T:,}" if not k % every else "" for k, T in enumerate(at, 1 - len(at))])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel("T, steps of the shortest sequence")
    ax.grid(axis="y")


def _plain(x: float, _: object) -> str:
    return f"{x:,.0f}" if x >= 1 else f"{x:g}"
