"""The commands about a run: to train it, to judge it, to carry it elsewhere and back."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from longlag import files, interop, judging, progress, words
from longlag.cli.outputs import files_of, output
from longlag.interop import plain
from longlag.learning import engine as engines
from longlag.learning.recipe import Recipe, recipe
from longlag.learning.training import Run, Training
from longlag.runs import directory as runs
from longlag.runs import session
from longlag.tasks.task import Task
from longlag.terminal import one_line, results_alone, say


def train(args: Namespace) -> int:
    if args.resume and args.overwrite:
        raise ValueError("--resume and --overwrite exclude each other: give one of them")
    given = {name: value for name in args.settings if (value := getattr(args, name)) is not None}
    request = session.Request(args.recipe, given, args.seed, args.engine, args.threads)
    try:
        with results_alone():
            run = progress.train(
                request, args.save_dir, args.resume, args.overwrite, quiet=args.quiet
            )
    except session.Interrupted as stop:
        if args.json:
            threads = _threads(stop.training.recipe, stop.training.engine.name, args)
            content = {**_interrupted(stop.training), "threads": threads}
            print(files.to_json({**content, "run_dir": str(args.save_dir)}))
        raise
    _show(run, args.save_dir, args.json, threads=_threads(run.recipe, run.engine, args))
    return 0


def _threads(recipe: Recipe, engine: str, args: Namespace) -> int:
    """How many threads computed: no more than gain."""
    return engines.choose(engine, args.threads, recipe).threads_used(recipe)


def _show(run: Run, directory: Path, as_json: bool, **more: int) -> None:
    if as_json:
        print(files.to_json({**words.training_json(run), **more, "run_dir": str(directory)}))
    else:
        print(words.score_card(run, directory))


def _interrupted(training: Training) -> dict[str, Any]:
    return {
        "recipe": training.recipe.name,
        "seed": training.seed,
        "engine": training.engine.name,
        "isa": training.engine.isa,
        "iterations": training.iteration,
        "sequences": training.iteration * training.recipe.batch_size,
        "stopped_by": "interrupted",
        "elapsed_sec": training.elapsed,
        "score": None,
    }


def evaluate(args: Namespace) -> int:
    with results_alone(), progress.of_sequences(args.n) as observe:
        run = runs.load(args.run)
        task = _task(run, args)
        chosen = engines.choose(args.engine, args.threads, run.recipe)
        judged = judging.evaluate(
            run,
            args.n,
            args.seed,
            task=task,
            engine=args.engine,
            threads=args.threads,
            callback=observe,
        )
    content = {
        "recipe": run.recipe.name,
        "run_seed": run.seed,
        "stopped_by": run.stopped_by,
        "seed": args.seed,
        "engine": chosen.name,
        "isa": chosen.isa,
        "min_length": task.min_length,
        "max_length": task.max_length,
        "chance_mse": task.chance_mse,
        "score": judged.as_dict(),
    }
    print(files.to_json(content) if args.json else words.evaluation(run, task, judged))
    return 0


def compare(args: Namespace) -> int:
    if len(args.runs) < 2:
        raise ValueError(f"compare needs at least two run directories, not {len(args.runs)}")
    with results_alone():
        loaded = [runs.load(path) for path in args.runs]
        task = _task(loaded[0], args)
        scores = []
        for run in loaded:
            with progress.of_sequences(args.n) as observe:
                scores.append(judging.evaluate(run, args.n, args.seed, task=task, callback=observe))
    names = [str(path) for path in args.runs]
    if args.json:
        print(files.to_json(words.comparison_json(names, loaded, task, scores)))
    else:
        print(words.comparison(names, loaded, task, scores))
    return 0


def _task(run: Run, args: Namespace) -> Task:
    """The task to judge on, as `longlag.evaluate(run, task=recipe)` does: that on which runs of the
    recipe are tested, with other lengths where they are given."""
    lengths = {"min_length": args.min_length, "max_length": args.max_length}
    given = {name: value for name, value in lengths.items() if value is not None}
    return judging.task_of(run.recipe.with_settings(given) if given else run.recipe)


def export(args: Namespace) -> int:
    with results_alone():
        run = runs.load(args.run)
        output(args.out, *files_of(args.run))
        interop.write(run, args.out, args.format)
    content = {"file": str(args.out), "format": args.format, **words.training_json(run)}
    print(files.to_json(content) if args.json else one_line(args.out))
    return 0


def import_(args: Namespace) -> int:
    with results_alone():
        run = _elsewhere(args)
    replaces = (args.out / runs.HISTORY).exists()
    runs.put(run, args.out, overwrite=args.overwrite)
    if replaces:
        say(f"the run that {args.out} held is replaced")
    _show(run, args.out, args.json)
    return 0


def _elsewhere(args: Namespace) -> Run:
    """A network from a file, as a run."""
    asked = {name: getattr(args, name) for name in ("task", "min_length", "max_length")}
    asked = {name: value for name, value in asked.items() if value is not None}
    if vars(args)["as"]:
        return plain.read(args.file, recipe("robust", **asked), say)
    if asked:
        raise ValueError("the file names its task: --task and lengths need --as lstm")
    return interop.read(args.file)
