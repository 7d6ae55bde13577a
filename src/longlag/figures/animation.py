"""A training as a short film: the same sequence, read again and again while the network learns."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from PIL import Image

from longlag import checks
from longlag.figures import curves, examples, panels, style
from longlag.learning.recipe import Recipe
from longlag.learning.training import Run
from longlag.tasks.task import Sequence

Progress = Callable[[int, int], None]

DPI = 100  # 830 pixels wide
BARS = 7
LAST_FRAME_MS = 3000
WIDE = 36  # characters that have room above the input, beside the answer


@dataclass(frozen=True)
class Frame:
    """A network at one iteration: cell states (T, H), None where it shows none, and its answers to
    the sequences."""

    iteration: int
    cells: np.ndarray | None
    answers: np.ndarray


def chosen_iterations(run: Run, n_frames: int) -> list[int]:
    """At most n_frames of the run's snapshots, the first and the last among them.

    Frames are evenly spaced on a clock that runs half by iterations and half by how far the
    smoothed training error has fallen (in its logarithm), so that the moment of learning is not
    missed, nor a long plateau shown at length; by iterations alone where nothing was learned.

    Raises:
        ValueError: fewer than two frames.
    """
    iterations = sorted(run.snapshots)
    if len(iterations) <= n_frames:
        return iterations
    clock = _clock(run, np.array(iterations))
    chosen = {0, len(iterations) - 1}
    for wanted in np.linspace(0, 1, n_frames):
        chosen.add(int(np.argmin(np.abs(clock - wanted))))
    while len(chosen) < n_frames:  # where two wanted times fell on one snapshot: the widest gap
        order = np.array(sorted(chosen))
        gaps = np.where(np.diff(order) > 1, np.diff(clock[order]), -1.0)
        widest = int(np.argmax(gaps))
        chosen.add(int(order[widest] + order[widest + 1]) // 2)
    return [iterations[k] for k in sorted(chosen)]


def _clock(run: Run, iterations: np.ndarray) -> np.ndarray:
    """Time from 0 to 1 at each of these iterations; see `chosen_iterations`."""
    time = iterations / max(1, iterations[-1])
    at, losses = curves.finite_losses(run)
    if len(at) == 0:
        return time
    smoothed = np.log(curves.smooth(losses, curves.smoothing_window(len(losses))))
    lowest = np.minimum.accumulate(smoothed)
    fallen = np.interp(iterations, at, lowest[0] - lowest)
    if fallen[-1] <= 0:
        return time
    weight = min(1.0, fallen[-1] / np.log(2)) / 2  # a fall by less than half may be noise
    return (1 - weight) * time + weight * fallen / fallen[-1]


def film(run: Run, iterations: Iterable[int], sequences: list[Sequence]) -> list[Frame]:
    """The network at each iteration, on the first of the sequences and its answers to all."""
    frames, task = [], run.recipe.task.tested
    for iteration in iterations:
        network = run.network_at(iteration)
        cells = examples.memory(examples.states(network, sequences[0]))
        frames.append(Frame(iteration, cells, examples.answers(network, task, sequences)))
    return frames


class Stage:
    """The four panels; `show` puts one frame on them.

    Args:
        run: the training.
        sequences: held-out sequences; the first is the one whose inner life is shown.
        frames: all frames, so that every scale stays the same throughout.
    """

    run: Run
    sequences: list[Sequence]
    figure: Figure
    title: Text
    input: Axes
    cells: Axes
    colour_bar: Axes
    bars: Axes
    error: Axes
    answer: Text
    heat: AxesImage | None
    order: np.ndarray
    given: BarContainer
    losses: tuple[np.ndarray, np.ndarray]
    smoothed: np.ndarray
    batch_line: Line2D
    mean_line: Line2D
    now: Line2D

    @style.styled
    def __init__(self, run: Run, sequences: list[Sequence], frames: list[Frame]) -> None:
        self.run, self.sequences = run, sequences
        whose = "   ·   cells and answers of averaged weights" if run.averaged else ""
        self.figure = style.figure(5.5, " ", style.describe_setting(run) + whose)
        self.title = self.figure.texts[0]
        self._panels()
        self._input()
        self._answers()
        self._cells(frames)
        self._error()

    def _panels(self) -> None:
        fig = self.figure
        left = fig.add_gridspec(
            2,
            2,
            width_ratios=(1, 0.02),
            height_ratios=(1, 1.25),
            wspace=0.04,
            hspace=0.36,
            **style.place(fig, 0.5, 0.5, 4.93, 4.58),
        )
        right = fig.add_gridspec(
            2, 1, height_ratios=(1, 1.25), hspace=0.36, **style.place(fig, 5.92, 0.5, 8.12, 4.58)
        )
        self.input = fig.add_subplot(left[0, 0], label="input")
        self.cells = fig.add_subplot(left[1, 0], label="cells", sharex=self.input)
        self.colour_bar = fig.add_subplot(left[1, 1], label="colour bar")
        self.bars = fig.add_subplot(right[0], label="answers")
        self.error = fig.add_subplot(right[1], label="error")

    def _input(self) -> None:
        shown, task = self.sequences[0], self.run.recipe.task
        panels.sequence(self.input, task.drawing(shown), len(shown.inputs))
        self.input.tick_params(labelbottom=False)
        panels.mark_lines(self.input, task.drawing(shown))
        text = f"Input: {task.explain(shown)}"
        text = text if len(text) <= WIDE else f"Input: {task.drawing(shown).about}"
        _, self.answer = panels.titles(self.input, text, " ")

    def _cells(self, frames: list[Frame]) -> None:
        """The heat map; its colours mean the same in all frames, and suit the last one best."""
        ax, every = self.cells, [frame.cells for frame in frames if frame.cells is not None]
        self.heat = None
        if not every:
            for blank in (ax, self.colour_bar):
                blank.set_axis_off()
            self.input.tick_params(labelbottom=True)
            self.input.set_xlabel("step")
            style.note(ax, "the network shows no states")
            return
        cells, norm = every[-1], panels.colour_norm(*every)
        block_size = panels.block_size(self.run.network)
        self.heat = panels.heat_map(ax, self.colour_bar, cells, norm, block_size)
        ax.set_title(examples.memory(self.run.network.titles))
        ax.set_xlabel("step")
        panels.time_axis(ax, len(cells))
        panels.mark_lines(ax, self.run.recipe.task.drawing(self.sequences[0]))

    def _answers(self) -> None:
        """Truth and answer side by side; whiskers give the tolerance."""
        ax, at = self.bars, np.arange(len(self.sequences))
        task, targets = self.run.recipe.task, [np.asarray(s.target) for s in self.sequences]
        self.targets: np.ndarray = examples.telling(task, self.sequences, targets)
        shown = examples.marked(self.targets, self.targets)
        self.order = np.argsort(shown, kind="stable")
        truth, tolerance = shown[self.order], task.tolerance
        whisker = {"ecolor": style.MUTED, "elinewidth": 1, "capsize": 0}
        ax.bar(at - 0.2, truth, width=0.38, color=style.FAINT, yerr=tolerance, error_kw=whisker)
        self.given = ax.bar(at + 0.2, np.zeros(len(at)), width=0.38, color=style.NETWORK)
        ax.axhline(0, color=style.MUTED, lw=0.7)
        ax.set_ylim(-0.12, 1.12)
        ax.set_yticks([0, 0.5, 1])
        truth_is = "Right output" if task.classes else f"True {task.what}"
        ax.set_title(f"{truth_is} (grey), answer (blue)", pad=9)
        ax.set_xticks([int(np.argwhere(self.order == 0)[0, 0])], ["shown at left"])
        ax.tick_params(axis="x", length=0)

    def _error(self) -> None:
        ax, run = self.error, self.run
        curves.error_axis(ax, run)
        chance = curves.chance_line(ax, run)
        ax.set_title(f"Training MSE (chance: {style.number(chance)})")
        at, losses = curves.finite_losses(run)
        self.losses = at, losses
        self.smoothed = curves.smooth(losses, curves.smoothing_window(len(losses)))
        (self.batch_line,) = ax.plot([], [], color=style.NETWORK_LIGHT, lw=0.7)
        (self.mean_line,) = ax.plot([], [], color=style.NETWORK, lw=1.8)
        (self.now,) = ax.plot([], [], "o", color=style.NETWORK, markersize=5, clip_on=False)
        ax.set_xlim(0, max(1, run.iterations))
        ax.set_xlabel("thousand training sequences" if run.stops else "iterations")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
        ax.xaxis.set_major_formatter(lambda x, _: f"{x / (1000 if run.stops else 1):,.10g}")

    @style.styled
    def show(self, frame: Frame) -> np.ndarray:
        """Draws one frame; returns its pixels (height, width, 3)."""
        seen = f"{frame.iteration * self.run.recipe.batch_size:,} sequences seen"
        alike = self.run.stops  # on-line, an iteration is a sequence
        self.title.set_text(seen if alike else f"Iteration {frame.iteration:,}   ·   {seen}")
        task = self.run.recipe.task
        answers = examples.telling(task, self.sequences, [*frame.answers])
        self.answer.set_text(style.answer(task.say(answers[0])))
        if self.heat is not None and frame.cells is not None:
            self.heat.set_data(frame.cells.T)
        given = examples.marked(self.targets, answers)
        heights = np.nan_to_num(given[self.order], nan=0.0, posinf=2.0, neginf=-2.0)
        for bar, height in zip(self.given, np.clip(heights, -2, 2), strict=True):
            bar.set_height(height)
        at, losses = self.losses
        past = int(np.searchsorted(at, frame.iteration, side="right"))
        self.batch_line.set_data(*curves.thin(at[:past], losses[:past]))
        self.mean_line.set_data(*curves.thin(at[:past], self.smoothed[:past]))
        self.now.set_data(at[past - 1 : past], self.smoothed[past - 1 : past])
        canvas = self.figure.canvas
        assert isinstance(canvas, FigureCanvasAgg)
        self.figure.set_dpi(DPI)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[:, :, :3].copy()


def palette() -> np.ndarray:
    """The film's colours (n, 3), at most 255: each colour of the style on its way to white, the
    heat map's steps, and greys for the edges of letters. One palette for all frames: no flicker.
    """
    ways = [
        (colour, steps)
        for colour, steps in (
            (style.INK, 28),
            (style.NETWORK, 14),
            (style.MARK, 14),
            (style.NETWORK_LIGHT, 6),
            (style.FAINT, 6),
            (style.GRID, 3),
        )
    ]
    faded = [
        share * np.array(colors.to_rgb(colour)) + (1 - share)
        for colour, steps in ways
        for share in np.linspace(0, 1, steps)
    ]
    scale = style.heat_colours()
    heat = scale(np.arange(scale.N))[:, :3]
    lined = 0.45 * heat + 0.55 * np.array(colors.to_rgb(style.MARK))  # under the marks' lines
    every = np.concatenate([faded, heat, lined[::4]])
    return np.unique(np.round(255 * every).astype(np.uint8), axis=0)


def in_palette(pixels: np.ndarray, colours: np.ndarray) -> Image.Image:
    """The picture (height, width, 3) with each pixel at its nearest palette colour."""
    packed = pixels.astype(np.int64) @ np.array([65536, 256, 1])
    present, where = np.unique(packed, return_inverse=True)
    rgb = np.stack([present >> 16, (present >> 8) & 255, present & 255], axis=1)
    distance = np.sum((rgb[:, None, :] - colours[None].astype(np.int64)) ** 2, axis=2)
    indices = np.argmin(distance, axis=1).astype(np.uint8)[where.reshape(packed.shape)]
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    return image


def check(recipe: Recipe, n_frames: int, fps: int, length: int | None) -> None:
    """Refuses what cannot be animated, before any work.

    Raises:
        ValueError: n_frames, fps or length out of range.
    """
    checks.whole("n_frames", n_frames, 2, 500)
    checks.whole("fps", fps, 1, 50)
    if length is not None:
        longest = examples.LONGEST * recipe.task.max_length
        checks.whole("length", length, recipe.task.shortest, longest)


def gif(
    run: Run,
    *,
    n_frames: int = 30,
    fps: int = 8,
    length: int | None = None,
    progress: Progress | None = None,
) -> bytes:
    """The animation as GIF; the arguments are those of `write_animation`."""
    check(run.recipe, n_frames, fps, length)
    iterations = chosen_iterations(run, n_frames)
    spread = examples.spread_sequences(run, BARS - 1, length)
    sequences = [examples.one_sequence(run, length), *spread]
    frames = film(run, iterations, sequences)
    stage, colours = Stage(run, sequences, frames), palette()
    images = []
    for done, frame in enumerate(frames, start=1):
        images.append(in_palette(stage.show(frame), colours))
        if progress is not None:
            progress(done, len(frames))
    buffer = io.BytesIO()
    durations = [round(1000 / fps)] * (len(images) - 1) + [LAST_FRAME_MS]
    images[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        optimize=False,
    )
    return buffer.getvalue()
