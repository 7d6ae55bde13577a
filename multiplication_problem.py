#!/usr/bin/env python3
"""Train an LSTM on the multiplication problem and write weights and history.

    python3 multiplication_problem.py --seed 0 --max-iters 6000

Needs numpy and matplotlib alone. It takes the installed `longlag`, or `src/` where there is none;
the arithmetic is the numpy reference's.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

if importlib.util.find_spec("longlag") is None:
    sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from longlag import words as report
from longlag.learning import engine
from longlag.learning.recipe import ONLINE_RECIPES, Recipe, recipe
from longlag.learning.steps import Run
from longlag.learning.training import Training
from longlag.runs import directory as runs
from longlag.runs import session


def parser(description: str, max_iters: int = 6000) -> argparse.ArgumentParser:
    """The flags that the three scripts share."""
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("--recipe", help="registered recipe (default: catalog)")
    flags.add_argument("--seed", type=int, help="(default: 0)")
    flags.add_argument("--max-iters", type=int, help=f"batches at most (default: {max_iters})")
    flags.add_argument("--T-min", type=int, help="shortest training sequence, in steps")
    flags.add_argument("--T-max", type=int, help="longest sequence; catalog is tested on it")
    flags.add_argument("--hidden", type=int, help="memory cells")
    flags.add_argument("--lr", type=float, help="learning rate of the optimiser")
    flags.add_argument("--batch-size", type=int, help="sequences in a batch")
    flags.add_argument("--target-test-mse", type=float, help="stop below this test MSE")
    flags.add_argument(
        "--overwrite",
        action="store_true",
        help="write over another training's run and its pictures, and over an unfinished training",
    )
    flags.add_argument("--quiet", action="store_true", help="no progress")
    return flags


def settings(flags: argparse.Namespace) -> dict[str, Any]:
    """The settings that the flags change."""
    given = {
        "max_iterations": flags.max_iters,
        "min_length": flags.T_min,
        "max_length": flags.T_max,
        "hidden": flags.hidden,
        "learning_rate": flags.lr,
        "batch_size": flags.batch_size,
        "target_test_mse": flags.target_test_mse,
    }
    return {name: value for name, value in given.items() if value is not None}


def chosen(flags: argparse.Namespace, max_iters: int) -> Recipe:
    """The recipe that the flags describe."""
    return recipe(named(flags), **{"max_iterations": max_iters, **settings(flags)})


def named(flags: argparse.Namespace) -> str:
    """The recipe's name; these scripts train in mini-batches alone."""
    if flags.recipe in ONLINE_RECIPES:
        raise ValueError(f"recipe {flags.recipe} learns on-line: run `longlag train` for it")
    return flags.recipe or "catalog"


def trained(
    flags: argparse.Namespace, recipe: Recipe, pictures: Path, snapshot_every: int | None = None
) -> Run:
    """A training that leaves no files, for pictures in a folder.

    Raises:
        Refused: the folder holds the run of another training, and no --overwrite.
    """
    runs.writable(pictures)
    asked = runs.identity(recipe, flags.seed or 0, "numpy")
    runs.guard(pictures, asked, overwrite=flags.overwrite)
    training = Training(recipe, flags.seed or 0, engine.choose("numpy"), snapshot_every)
    with report.progress(flags.quiet) as observe:
        while training.stopped_by is None:
            training.advance()
            observe(training)
    return training.run()


def main() -> int:
    flags = parser("Train an LSTM on the multiplication problem.")
    flags.add_argument("--save-dir", type=Path, default=Path("run"), help="run directory")
    flags.add_argument("--resume", action="store_true", help="continue an unfinished training")
    args = flags.parse_args()
    if args.resume and args.overwrite:
        raise ValueError("--resume and --overwrite exclude each other: give one of them")
    given = settings(args)
    if args.resume:
        request = session.Request(args.recipe, given, args.seed, "numpy")
    else:
        given = {"max_iterations": 6000, **given}
        request = session.Request(named(args), given, args.seed, "numpy")
    run = report.train(request, args.save_dir, args.resume, args.overwrite, quiet=args.quiet)
    print(report.score_card(run, args.save_dir))
    return 0


if __name__ == "__main__":
    sys.exit(report.exit_status("multiplication_problem.py", main))
