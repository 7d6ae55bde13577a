"""The commands that draw a run."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from longlag import explorer
from longlag import figures as drawing
from longlag.cli.outputs import files_of, output
from longlag.runs import directory as runs
from longlag.terminal import one_line, results_alone


def figures(args: Namespace) -> int:
    with results_alone():
        paths = _figures(args)
    for path in paths:
        print(one_line(path))
    return 0


def _figures(args: Namespace) -> list[Path]:
    run = runs.load(args.run)
    out = args.out or args.run
    if (out / runs.HISTORY).exists() and not out.samefile(args.run):
        raise ValueError(f"--out {out} is the directory of another run, with its own pictures")
    return drawing.write_figures(run, runs.writable(out))


def animate(args: Namespace) -> int:
    with results_alone():
        path = _animation(args)
    print(one_line(path))
    return 0


def _animation(args: Namespace) -> Path:
    run = runs.load(args.run)
    if not run.snapshots:
        raise ValueError(f"{args.run} has no {runs.SNAPSHOTS}, which the animation is made of")
    out = output(args.out or args.run / "animation.gif", *files_of(args.run))
    drawing.write_animation(run, out, n_frames=args.n_frames, fps=args.fps, length=args.length)
    return out


def explore(args: Namespace) -> int:
    if not 1 <= len(args.runs) <= 2:
        raise ValueError(f"explore takes one run directory or two, not {len(args.runs)}")
    with results_alone():
        path = _page(args)
    print(one_line(path))
    return 0


def _page(args: Namespace) -> Path:
    loaded = {str(path): runs.load(path) for path in args.runs}
    if len(loaded) < len(args.runs):
        raise ValueError(f"explore sets two runs side by side, not {args.runs[0]} twice")
    out = args.out or args.runs[0] / runs.EXPLORER
    output(out, *(file for path in args.runs for file in files_of(path)))
    return explorer.write_page(loaded, out)
