"""The commands about a run: to train it, to look at it, to carry it elsewhere and back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from longlag import files, interop
from longlag import words as report
from longlag.cli.flags import (
    Directories,
    Directory,
    Engine,
    Name,
    OptionalPath,
    OptionalWhole,
    RunFormat,
    Seed,
    Settings,
    Whole,
    output,
)
from longlag.judging import evaluate
from longlag.learning import engine as engines
from longlag.learning.steps import Run
from longlag.runs import directory as runs
from longlag.runs import session
from longlag.tasks.marked_pairs import MarkedPairs
from longlag.tasks.score import Score


@dataclass
class Train:
    """Train a recipe into a run directory."""

    settings: Annotated[Any, tyro.conf.arg(constructor=Settings, prefix_name=False)]
    recipe: Name = None
    """Registered recipe: robust, catalog (the described system), paper, paper-adding (of 1997)."""
    seed: Seed = None
    """With the recipe and the engine it determines every bit."""
    save_dir: Path = Path("run")
    """Run directory."""
    engine: Engine = "auto"
    """Who does the arithmetic; auto takes the native kernel where there is one."""
    threads: Whole = 1
    """Threads of the native kernel."""
    resume: bool = False
    """Continue the unfinished training in the directory."""
    overwrite: bool = False
    """Replace another training's run, and discard an unfinished training, in the directory."""
    quiet: bool = False
    """No progress."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        if self.resume and self.overwrite:
            raise ValueError("--resume and --overwrite exclude each other: give one of them")
        given = {name: value for name, value in vars(self.settings).items() if value is not None}
        request = session.Request(self.recipe, given, self.seed, self.engine, self.threads)
        try:
            run = report.train(
                request, self.save_dir, self.resume, self.overwrite, quiet=self.quiet
            )
        except session.Interrupted as stop:
            if self.json:
                content = report.interrupted_json(stop.training)
                print(files.to_json({**content, "run_dir": str(self.save_dir)}))
            raise
        if self.json:
            print(files.to_json({**report.training_json(run), "run_dir": str(self.save_dir)}))
        else:
            print(report.score_card(run, self.save_dir))
        return 0


@dataclass
class Evaluate:
    """Score a run on fresh sequences."""

    run: Directory
    """Run directory."""
    n: Whole = 2560
    """Sequences."""
    seed: Whole = 0
    """Of the sequences: the same seed gives the same ones to every run."""
    min_length: OptionalWhole = None
    """T, steps of the shortest sequence; alone it implies --max-length 1.1 T."""
    max_length: OptionalWhole = None
    """Steps of the longest sequence."""
    engine: Engine = "auto"
    """Who does the arithmetic."""
    threads: Whole = 1
    """Threads of the native kernel."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        run = runs.load(self.run)
        task = _task(run, self.min_length, self.max_length)
        chosen = engines.choose(self.engine, self.threads)
        judged = evaluate(
            run, self.n, self.seed, task=task, engine=self.engine, threads=self.threads
        )
        content = {
            "recipe": run.recipe.name,
            "run_seed": run.seed,
            "seed": self.seed,
            "engine": chosen.name,
            "isa": chosen.isa,
            "min_length": task.min_length,
            "max_length": task.max_length,
            "chance_mse": task.chance_mse,
            "score": judged.as_dict(),
        }
        print(files.to_json(content) if self.json else report.evaluation(run, task, judged))
        return 0


@dataclass
class Compare:
    """Show where runs differ, and their scores on the same sequences."""

    runs: Directories
    """Two or more run directories; sequences are of the first one's task."""
    n: Whole = 2560
    """Sequences."""
    seed: Whole = 0
    """Of the sequences."""
    min_length: OptionalWhole = None
    """T, steps of the shortest sequence; alone it implies --max-length 1.1 T."""
    max_length: OptionalWhole = None
    """Steps of the longest sequence."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        if len(self.runs) < 2:
            raise ValueError(f"compare needs at least two run directories, not {len(self.runs)}")
        loaded = [runs.load(path) for path in self.runs]
        task = _task(loaded[0], self.min_length, self.max_length)
        scores: list[Score] = [evaluate(r, self.n, self.seed, task=task) for r in loaded]
        names = [str(path) for path in self.runs]
        if self.json:
            print(files.to_json(report.comparison_json(names, loaded, task, scores)))
        else:
            print(report.comparison(names, loaded, task, scores))
        return 0


@dataclass
class Figures:
    """Draw the four figures of a run and write its curves as CSV."""

    run: Directory
    """Run directory."""
    out: OptionalPath = None
    """Where to; the run directory where not given."""

    def __call__(self) -> int:
        from longlag import figures

        run = runs.load(self.run)
        for path in figures.write_figures(run, runs.writable(self.out or self.run)):
            print(path)
        return 0


@dataclass
class Animate:
    """Animate a run's training as a GIF."""

    run: Directory
    """Run directory."""
    out: OptionalPath = None
    """The file; animation.gif in the run directory where not given."""
    n_frames: Whole = 30
    """Frames, 2 to 500."""
    fps: Whole = 8
    """Frames a second, 1 to 50."""
    length: OptionalWhole = None
    """Steps of the sequence shown, at most four times the longest of the training."""

    def __call__(self) -> int:
        from longlag import figures

        run = runs.load(self.run)
        if not run.snapshots:
            raise ValueError(f"{self.run} has no {runs.SNAPSHOTS}, which the animation is made of")
        out = output(self.out or self.run / "animation.gif", *_files(self.run))
        print(
            figures.write_animation(
                run, out, n_frames=self.n_frames, fps=self.fps, length=self.length
            )
        )
        return 0


@dataclass
class Explore:
    """Write the page on which to see a network think, or two side by side."""

    runs: Directories
    """One run directory or two; sequences are of the first one's task."""
    out: OptionalPath = None
    """The file; explorer.html in the first run directory where not given."""

    def __call__(self) -> int:
        from longlag import explorer

        if not 1 <= len(self.runs) <= 2:
            raise ValueError(f"explore takes one run directory or two, not {len(self.runs)}")
        loaded = {str(path): runs.load(path) for path in self.runs}
        if len(loaded) < len(self.runs):
            raise ValueError(f"explore sets two runs side by side, not {self.runs[0]} twice")
        out = self.out or self.runs[0] / runs.EXPLORER
        if out.is_dir():
            raise ValueError(f"--out must be a file, and {out} is a directory")
        output(out, *(file for path in self.runs for file in _files(path)))
        print(explorer.write_page(loaded, out))
        return 0


@dataclass
class Export:
    """Write a run's weights and history as a file that other programs read."""

    run: Directory
    """Run directory."""
    format: RunFormat
    """safetensors, torch (a state_dict) or onnx."""
    out: Path
    """The file to write."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        run = runs.load(self.run)
        output(self.out, *_files(self.run))
        interop.write(run, self.out, self.format)
        content = {"file": str(self.out), "format": self.format, **report.training_json(run)}
        print(files.to_json(content) if self.json else self.out)
        return 0


@dataclass
class Import:
    """Make a run directory of a file that `longlag export` wrote."""

    file: Directory
    """A safetensors, PyTorch or ONNX file; its content tells which."""
    out: Path
    """Run directory to write."""
    overwrite: bool = False
    """Replace another training's run, and discard an unfinished training, in the directory."""
    json: bool = False
    """Print one JSON object."""

    def __call__(self) -> int:
        run = interop.read(self.file)
        replaces = (self.out / runs.HISTORY).exists()
        runs.put(run, self.out, overwrite=self.overwrite)
        if replaces:
            report.say(f"the run that {self.out} held is replaced")
        if self.json:
            print(files.to_json({**report.training_json(run), "run_dir": str(self.out)}))
        else:
            print(report.score_card(run, self.out))
        return 0


def _files(run: Path) -> list[Path]:
    return [run / name for name in runs.RUN_FILES]


def _task(run: Run, min_length: int | None, max_length: int | None) -> MarkedPairs:
    """The task to judge on: the run's own, or of other lengths."""
    lengths = {"min_length": min_length, "max_length": max_length}
    given = {name: value for name, value in lengths.items() if value is not None}
    return run.recipe.with_settings(given).task if given else run.recipe.evaluation_task
