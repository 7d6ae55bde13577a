"""Figures of a run: four pictures, their numbers, and an animation of the training."""

from __future__ import annotations

from pathlib import Path

from longlag import checks
from longlag.figures import (
    animation,
    cell_state,
    curves,
    pred_vs_target,
    sample_sequences,
    style,
    training_curve,
)
from longlag.figures.animation import Progress
from longlag.figures.animation import check as check_animation
from longlag.files import write_anew, write_bytes
from longlag.learning.training import Run, check_run

__all__ = ["check_animation", "write_animation", "write_figures"]

CURVE = "training_curve"
PICTURES = {
    CURVE: training_curve.draw,
    "sample_sequences": sample_sequences.draw,
    "cell_state": cell_state.draw,
    "pred_vs_target": pred_vs_target.draw,
}


def write_figures(run: Run, out: Path) -> list[Path]:
    """Writes the four pictures of a run, and its curves as CSV, into the folder `out`.

    An imported network has no curves. `out` is made where it does not exist; each file is written
    whole or not at all.

    Returns:
        The files written: four .png and training_curve.csv, or without curves three .png.

    Raises:
        ValueError: no run, or no path.
    """
    check_run(run)
    out = checks.path("out", out)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in PICTURES.items():
        if name == CURVE and run.imported:
            continue
        written.append(out / f"{name}.png")
        write_bytes(written[-1], style.png(draw(run)))
    if not run.imported:
        written.append(out / f"{CURVE}.csv")
        write_bytes(written[-1], curves.csv(run).encode())
    return written


def write_animation(
    run: Run,
    out: Path,
    *,
    n_frames: int = 30,
    fps: int = 8,
    length: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes the training as an animated GIF, `out`, from the run's snapshots.

    Args:
        run: a run with its snapshots.
        out: the file; its folder is made where it does not exist.
        n_frames: frames at most, 2 to 500; fewer where there are fewer snapshots.
        fps: frames a second, 1 to 50; the last frame is held for three seconds.
        length: steps of the sequences shown, at most four times the longest of the training; those
            of the run's test where not given.
        progress: called after each frame with the frames done and all frames.

    Raises:
        ValueError: no run, no path, a run without snapshots, or n_frames, fps or length out of
            range.
    """
    check_run(run)
    out = checks.path("out", out)
    if not run.snapshots:
        raise ValueError("run must have snapshots to be animated, and this one has none")
    data = animation.gif(run, n_frames=n_frames, fps=fps, length=length, progress=progress)
    write_anew(out, data)
    return out
