"""Sequences, seconds and success rate against the lag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator, PercentFormatter

from longlag.figures import curves, style

COLOURS = (style.NETWORK, style.MARK, style.TEST, style.PEER, style.PAPER)
MARKERS = "os^Dv"
COUNTS, ROW = 2.3, 0.58  # inches: height of the upper panels, of a recipe's rates
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
    """Seeds as dots, medians joined; below, rates with exact intervals, a row a recipe.

    Every mark is drawn at its exact T; recipes that would overlap differ in row or in style.
    """
    rates = ROW * len(series)
    height = 0.95 + COUNTS + 0.85 + rates + 0.55
    subtitle = "small: a solved seed; large, joined: their median; colours as below"
    fig = style.figure(height, title, subtitle)
    edges = style.place(fig, 0.95, height - 0.95 - COUNTS, 8.05, height - 0.95)
    grid = fig.add_gridspec(1, 2, wspace=0.3, **edges)
    upper = [fig.add_subplot(grid[0, k]) for k in range(2)]
    edges = style.place(fig, 1.75, 0.55, 8.05, 0.55 + rates)
    grid = fig.add_gridspec(len(series), 1, hspace=0.3, **edges)
    rows = [fig.add_subplot(grid[k, 0]) for k in range(len(series))]
    at = sorted({point.T for one in series for point in one.points})
    for k, one in enumerate(series):
        look: dict[str, Any] = {
            "color": COLOURS[k % len(COLOURS)],
            "marker": MARKERS[k % len(MARKERS)],
        }
        _counts(upper[0], [(p.T, p.sequences) for p in one.points], look)
        _counts(upper[1], [(p.T, p.seconds) for p in one.points], look)
        _rates(rows[k], one, look)
        _axis(rows[k], at)
        rows[k].tick_params(labelbottom=one is series[-1])
    for ax, words in zip(upper, ("training sequences", "seconds a seed"), strict=True):
        ax.set_title(f"{words} to the strict rule")
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(FuncFormatter(_plain))
        ax.yaxis.set_minor_formatter(NullFormatter())
        _axis(ax, at, narrow=True)
    low, high = upper[0].get_ylim()
    upper[0].set_ylim(min(low, 5000), max(high, 100_000))
    upper[0].yaxis.set_major_locator(curves.readable_log_ticks(*upper[0].get_ylim()))
    rows[0].set_title("seeds that meet the strict rule, with exact 95 % intervals")
    for ax in (*upper, rows[-1]):
        ax.set_xlabel("T, steps of the shortest sequence")
    return fig


def _counts(ax: Axes, points: Sequence[tuple[int, Sequence[float]]], look: dict[str, Any]) -> None:
    solved = [(T, values) for T, values in points if values]
    for T, values in solved:
        ax.plot([T] * len(values), values, **look, ls="none", mfc="none", ms=3, mew=0.7, alpha=0.6)
    medians = [float(np.median(values)) for _, values in solved]
    ax.plot([T for T, _ in solved], medians, **look, lw=1.4, ms=5.5, mec="white", mew=0.8)


def _rates(ax: Axes, one: Series, look: dict[str, Any]) -> None:
    at = [point.T for point in one.points]
    ax.plot(at, [point.rate for point in one.points], **look, ms=3.8, lw=0.8, clip_on=False)
    for point in one.points:
        ax.plot((point.T,) * 2, point.interval, color=look["color"], lw=1.8)
    ax.set_ylim(-0.1, 1.1)
    ax.set_yticks([0, 1])
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    words: dict[str, Any] = {"rotation": 0, "ha": "right", "va": "center", "weight": "bold"}
    ax.set_ylabel(one.label, color=look["color"], labelpad=2, **words)


def _axis(ax: Axes, at: Sequence[int], *, narrow: bool = False) -> None:
    ax.set_xscale("log")
    ax.set_xlim(at[0] / 1.3, at[-1] * 1.3)
    every = 2 if narrow and len(at) > MOST_TICKS else 1  # so that their words do not meet
    ax.set_xticks(at, [f"{T:,}" if not k % every else "" for k, T in enumerate(at, 1 - len(at))])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.grid(axis="y")


def _plain(x: float, _: object) -> str:
    return f"{x:,.0f}" if x >= 1 else f"{x:g}"
