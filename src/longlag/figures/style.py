"""One visual style for every figure.

Figures are made and drawn without pyplot, so that nothing global changes and no display is
needed. A function that makes artists is decorated with `styled`; what the user set in a
matplotlibrc plays no part. Colours are those of Okabe & Ito, which colour-blind readers tell
apart; a figure is 8.3 inches wide, 830 pixels in a README.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation, Transform

from longlag.learning.training import Run

WIDTH = 8.3  # inches
PNG_DPI = 200  # twice the README's pixels, for sharp screens

UNDATED: dict[str, tuple[str, ...]] = {
    "png": ("Software",),
    "pdf": ("CreationDate", "Producer", "Creator"),
    "svg": ("Date",),
}

INK = "#1a1a1a"  # text, sentinels
MUTED = "#5c5c5c"  # secondary text, the chance level
FAINT = "#b9bec4"  # unmarked values, the truth's bars
GRID = "#e4e6e8"
NETWORK = "#0072b2"  # the network's answers
NETWORK_LIGHT = "#a6cee6"
MARK = "#d55e00"  # marked values; answers that are wrong
PAPER = "#8f3f6d"  # the paper's own results
TEST = "#e69f00"
PEER = "#009e73"  # networks that are not ours

SMALL, NORMAL, LARGE = 7.5, 8.5, 12.0  # points; 10, 12 and 17 pixels in a README

LETTER = 0.57 * SMALL  # points: the mean width of a small letter, about
POINTS = 72.0  # in an inch
DASHES = ("-", (0, (4, 1)), (0, (1, 0.7)))  # of lines that share a colour

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": NORMAL,
    "axes.titlesize": NORMAL,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.labelsize": NORMAL,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": "#8a8f94",
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "text.color": INK,
    "xtick.color": "#8a8f94",
    "ytick.color": "#8a8f94",
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
    "figure.facecolor": "white",
    "lines.solid_capstyle": "round",
}

Given = ParamSpec("Given")
Made = TypeVar("Made")


def styled(function: Callable[Given, Made]) -> Callable[Given, Made]:
    """Decorator: runs `function` in this style, and leaves matplotlib's settings as they were."""
    return matplotlib.style.context(["default", RC])(function)


def figure(height: float, title: str, subtitle: str) -> Figure:
    """A figure, 8.3 inches wide and `height` inches high, with nothing but words in its upper left
    corner. A subtitle too long for one line of the usual size is smaller.
    """
    fig = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(fig)  # a canvas of its own
    left = 0.12 / WIDTH
    fig.text(left, 1 - 0.12 / height, title, size=LARGE, weight="bold", va="top")
    below = fig.text(left, 1 - 0.39 / height, subtitle, size=NORMAL, color=MUTED, va="top")
    room, wide = (1 - 2 * left) * fig.bbox.width, below.get_window_extent().width
    if wide > room:
        below.set_fontsize(NORMAL * room / wide)
    return fig


def place(fig: Figure, left: float, bottom: float, right: float, top: float) -> dict[str, Any]:
    """Edges in inches from the figure's lower left corner, as the fractions of a gridspec."""
    width, height = fig.get_size_inches()
    return {
        "left": left / width,
        "right": right / width,
        "bottom": bottom / height,
        "top": top / height,
    }


def panel(fig: Figure, left: float, bottom: float, right: float, top: float) -> Axes:
    """A panel with such edges, in inches from the figure's lower left corner."""
    return fig.add_subplot(fig.add_gridspec(**place(fig, left, bottom, right, top))[0])


def point(fig: Figure, x: float, y: float) -> tuple[float, float]:
    """A point, in inches from the figure's lower left corner, as fractions of the figure."""
    width, height = fig.get_size_inches()
    return x / width, y / height


def legend(fig: Figure, x: float, y: float, **look: Any) -> None:
    """A legend whose lower left corner lies there, in inches."""
    fig.legend(loc="lower left", bbox_to_anchor=point(fig, x, y), **look)


def legend_columns(labels: Iterable[str]) -> int:
    """How many entries of a legend have room beside each other; five at most."""
    widest = LETTER * max(map(len, labels)) + 5 * SMALL  # with its handle, and the space between
    return max(1, min(5, int(POINTS * (WIDTH - 0.7) / widest)))


def wrapped(name: str, letters: int) -> str:
    """A name in lines of so many letters at most, broken behind `_`, `-` and the like if it can."""
    lines = [""]
    for part in re.findall(rf"[^_\-:. ]{{1,{letters - 1}}}[_\-:. ]*|[_\-:. ]+", name):
        if len(lines[-1]) + len(part.rstrip()) > letters:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines if line)


def aside(ax: Axes, right: float, up: float = 0.0) -> Transform:
    """Data coordinates, moved by so many points: what would coincide is drawn side by side."""
    inches = ax.figure.dpi_scale_trans
    return ax.transData + ScaledTranslation(right / POINTS, up / POINTS, inches)


@styled
def picture(fig: Figure, form: str) -> bytes:
    """The figure as `png`, `pdf` or `svg`; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "longlag"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # in a name of the user's
        fig.savefig(buffer, format=form, dpi=PNG_DPI, metadata=dict.fromkeys(UNDATED[form]))
    return buffer.getvalue()


def png(fig: Figure) -> bytes:
    """The figure as a PNG."""
    return picture(fig, "png")


def heat_colours() -> Colormap:
    """Blue below zero, red above, in 127 steps; grey where there is no number."""
    return mpl.colormaps["RdBu_r"].resampled(127).with_extremes(bad=GRID)


def describe_setting(run: Run) -> str:
    """What was trained, in one line."""
    about = f"{rules(run)}   ·   {run.recipe.network.words}"
    return about if run.imported else f"recipe {run.words}   ·   {about}"


def describe(run: Run) -> str:
    """Which run this is, in one line."""
    trained = "trained elsewhere" if run.imported else f"trained on {run.sequences:,} sequences"
    return f"{describe_setting(run)}   ·   {trained}"


def rules(run: Run) -> str:
    """The task and the rules under which it is tested: 'product, paper rules, T = 100–110'."""
    task = run.recipe.task.tested
    longest = "" if task.max_length == task.min_length else f"–{task.max_length}"
    by = f"{task.rules_name} rules, " if task.rules_name else ""
    return f"{task.what}, {by}T = {task.min_length}{longest}"


def note(ax: Axes, text: str) -> None:
    """A remark in the middle of a panel that has nothing to show."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=MUTED)


def number(x: float) -> str:
    """Three significant digits, without an exponent where that stays readable."""
    if not np.isfinite(x):
        return "not a number" if np.isnan(x) else "infinite"
    if x != 0 and not 1e-5 <= abs(x) < 1e5:
        return f"{x:.2e}"
    digits = 3 if x == 0 else max(0, 2 - int(np.floor(np.log10(abs(x)))))
    return f"{x:.{digits}f}"


def answer(words: str) -> str:
    """A network's answer in words."""
    return f"network: {words}".replace("-", "−")
